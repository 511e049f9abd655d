"""OpenID Connect providers: an account's word for whose ID tokens its roles may trust, and for which applications.

A provider is its URL: `arn:aws:iam::ACCOUNT:oidc-provider/idp.example.com/tenant`. Its keys are not kept here; they
are the provider's to publish (`freehold.federation`).
https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateOpenIDConnectProvider.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

from freehold.authorization.permission import Permission
from freehold.errors import aws_error
from freehold.federation.fetch import FetchFailed
from freehold.federation.issuers import BadIssuer, check_url
from freehold.services.call import Call
from freehold.services.iam import providers, shapes
from freehold.services.iam.authorized import Keys, iam, on_account, request_tags, untagged_keys
from freehold.services.iam.errors import EntityAlreadyExists, InvalidInput, NoSuchEntity, quota
from freehold.services.iam.records import Record
from freehold.services.iam.tags import checked_tags, page, without
from freehold.services.operation import Params, Permissions, Result
from freehold.storage.records import Reader, Table, Transaction

MOST_PROVIDERS: Final = 100
MOST_CLIENT_IDS: Final = 100
MOST_THUMBPRINTS: Final = 5
_TYPE: Final = "AWS::IAM::OIDCProvider"
_KIND: Final = "oidc-provider"
_THUMBPRINT: Final = re.compile(r"[0-9A-Fa-f]{40}", re.ASCII)

OpenIdIdpCommunicationError = aws_error("OpenIdIdpCommunicationError", 400)


class OidcProvider(Record, kw_only=True):
    account_id: str
    name: str
    """The URL without `https://`."""
    created_at: int
    client_ids: list[str] = msgspec.field(default_factory=list)
    thumbprints: list[str] = msgspec.field(default_factory=list)
    tags: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def arn(self) -> str:
        return arn_of(self.account_id, self.name)


PROVIDERS = Table("iam.oidc_providers", OidcProvider)  # (account id, name)


def arn_of(account_id: str, name: str) -> str:
    return f"arn:aws:iam::{account_id}:{_KIND}/{name}"


def named(reader: Reader, account_id: str, name: str) -> OidcProvider | None:
    """The account's provider whose URL is `https://NAME`."""
    return PROVIDERS.get(reader, (account_id, name))


def count(reader: Reader, account_id: str) -> int:
    return sum(1 for _ in PROVIDERS.scan(reader, (account_id,), limit=MOST_PROVIDERS))


def provider_at(reader: Reader, arn: str) -> OidcProvider | None:
    """The provider with this ARN. Raises InvalidInput."""
    return named(reader, *_parts(arn))


def _parts(arn: str) -> tuple[str, str]:
    return providers.parts(arn, _KIND)


def _require(call: Call, params: Params) -> OidcProvider:
    arn = params["OpenIDConnectProviderArn"]
    provider = provider_at(call.reader, arn)
    if provider is None:
        raise NoSuchEntity(f"OpenIDConnect Provider not found for arn {arn}")
    return provider


def _save(tx: Transaction, provider: OidcProvider) -> None:
    PROVIDERS.put(tx, (provider.account_id, provider.name), provider)


def _tags_of(reader: Reader, arn: str) -> dict[str, str]:
    provider = provider_at(reader, arn)
    return {} if provider is None else provider.tags


def _on(action: str, *keys: Keys) -> Permissions:
    return providers.on(action, "OpenIDConnectProviderArn", _KIND, _tags_of, keys)


def _may_create(call: Call, params: Params) -> list[Permission]:
    arn = arn_of(call.account_id, _name(params["Url"]))
    context = request_tags(params, None)
    actions = ["CreateOpenIDConnectProvider", *(["TagOpenIDConnectProvider"] if params.get("Tags") else [])]
    return [Permission(f"iam:{action}", arn, call.account_id, context) for action in actions]


def _name(url: str) -> str:
    """A provider's name, from its URL. Raises InvalidInput for a URL that is none."""
    try:
        check_url(url)
    except BadIssuer:
        raise InvalidInput("Invalid Open ID Connect Provider URL") from None
    if urlsplit(url).port is not None:
        raise InvalidInput("Invalid Open ID Connect Provider URL: it must not contain a port number")
    return url.removeprefix("https://")


def _checked_thumbprints(given: list[str]) -> list[str]:
    if not given:
        raise InvalidInput("Thumbprint list must contain at least one entry.")
    if len(given) > MOST_THUMBPRINTS:
        raise InvalidInput(f"Thumbprint list must contain fewer than {MOST_THUMBPRINTS} entries.")
    for thumbprint in given:
        if not _THUMBPRINT.fullmatch(thumbprint):
            raise InvalidInput("A thumbprint is the SHA-1 fingerprint of a certificate: 40 hexadecimal digits.")
    return list(dict.fromkeys(thumbprint.lower() for thumbprint in given))


def _refuse_too_many_client_ids(client_ids: list[str]) -> None:
    if len(client_ids) > MOST_CLIENT_IDS:
        raise quota("ClientIdsPerOpenIdConnectProvider", MOST_CLIENT_IDS)


def _refuse_present(reader: Reader, account_id: str, name: str) -> None:
    if named(reader, account_id, name) is not None:
        raise EntityAlreadyExists(f"Provider with url https://{name} already exists.")


async def _thumbprints(call: Call, params: Params) -> list[str]:
    """Those that are given, or else the top intermediate authority's of the provider's own certificate."""
    if params.get("ThumbprintList"):
        return _checked_thumbprints(params["ThumbprintList"])
    name = _name(params["Url"])
    _refuse_present(call.reader, call.account_id, name)  # before anyone is called
    try:
        return [await call.app.web_identities.thumbprint(name)]
    except FetchFailed as error:
        raise OpenIdIdpCommunicationError(
            f"IAM cannot get the certificate of the OpenID Connect identity provider URL: {error}. A provider whose "
            "certificate no trusted authority signed is created with a ThumbprintList."
        ) from None


@iam("CreateOpenIDConnectProvider", _may_create, writes=True, prepare=_thumbprints)
def create_open_id_connect_provider(call: Call, params: Params) -> Result:
    """At most 100 per account, 100 client ids and 5 thumbprints each. The URL has no port, query or fragment.

    Without thumbprints the provider is called for its certificate, which then must be one that a trusted authority
    signed.
    """
    name = _name(params["Url"])
    client_ids = list(dict.fromkeys(params.get("ClientIDList") or []))
    _refuse_too_many_client_ids(client_ids)
    _refuse_present(call.tx, call.account_id, name)
    if count(call.tx, call.account_id) >= MOST_PROVIDERS:
        raise quota("OpenIdConnectProvidersPerAccount", MOST_PROVIDERS)
    provider = OidcProvider(
        account_id=call.account_id,
        name=name,
        created_at=int(call.app.clock.now_seconds()),
        client_ids=client_ids,
        thumbprints=call.prepared,
        tags=checked_tags({}, params.get("Tags") or []),
    )
    _save(call.tx, provider)
    call.resources.append((_TYPE, provider.arn))
    return {"OpenIDConnectProviderArn": provider.arn, "Tags": shapes.tag_list(provider.tags)}


@iam("GetOpenIDConnectProvider", _on("GetOpenIDConnectProvider"))
def get_open_id_connect_provider(call: Call, params: Params) -> Result:
    """A provider; its URL comes without `https://`, as from AWS."""
    provider = _require(call, params)
    return {
        "Url": provider.name,
        "ClientIDList": provider.client_ids,
        "ThumbprintList": provider.thumbprints,
        "CreateDate": shapes.date(provider.created_at),
        "Tags": shapes.tag_list(provider.tags),
    }


@iam("ListOpenIDConnectProviders", on_account("ListOpenIDConnectProviders"))
def list_open_id_connect_providers(call: Call, params: Params) -> Result:
    """All of the account's, by URL; there are no pages."""
    providers = [provider for _, provider in PROVIDERS.scan(call.reader, (call.account_id,))]
    return {"OpenIDConnectProviderList": [{"Arn": provider.arn} for provider in providers]}


@iam("DeleteOpenIDConnectProvider", _on("DeleteOpenIDConnectProvider"), writes=True)
def delete_open_id_connect_provider(call: Call, params: Params) -> None:
    """One that isn't there is as good as deleted. Roles that trust it stay, and let nobody in."""
    account_id, name = _parts(params["OpenIDConnectProviderArn"])
    PROVIDERS.delete(call.tx, (account_id, name))
    call.resources.append((_TYPE, arn_of(account_id, name)))


@iam("AddClientIDToOpenIDConnectProvider", _on("AddClientIDToOpenIDConnectProvider"), writes=True)
def add_client_id_to_open_id_connect_provider(call: Call, params: Params) -> None:
    """One more application (audience). One that is there already changes nothing."""
    provider = _require(call, params)
    provider.client_ids = list(dict.fromkeys((*provider.client_ids, params["ClientID"])))
    _refuse_too_many_client_ids(provider.client_ids)
    _save(call.tx, provider)
    call.resources.append((_TYPE, provider.arn))


@iam("RemoveClientIDFromOpenIDConnectProvider", _on("RemoveClientIDFromOpenIDConnectProvider"), writes=True)
def remove_client_id_from_open_id_connect_provider(call: Call, params: Params) -> None:
    """One that isn't there changes nothing. Without any, no token of the provider is accepted."""
    provider = _require(call, params)
    provider.client_ids = [client_id for client_id in provider.client_ids if client_id != params["ClientID"]]
    _save(call.tx, provider)
    call.resources.append((_TYPE, provider.arn))


@iam("UpdateOpenIDConnectProviderThumbprint", _on("UpdateOpenIDConnectProviderThumbprint"), writes=True)
def update_open_id_connect_provider_thumbprint(call: Call, params: Params) -> None:
    """Replaces the whole list: 1 to 5."""
    thumbprints = _checked_thumbprints(params["ThumbprintList"])
    provider = _require(call, params)
    provider.thumbprints = thumbprints
    _save(call.tx, provider)
    call.resources.append((_TYPE, provider.arn))


@iam("TagOpenIDConnectProvider", _on("TagOpenIDConnectProvider", request_tags), writes=True)
def tag_open_id_connect_provider(call: Call, params: Params) -> None:
    """Add tags."""
    provider = _require(call, params)
    provider.tags = checked_tags(provider.tags, params["Tags"])
    _save(call.tx, provider)
    call.resources.append((_TYPE, provider.arn))


@iam("UntagOpenIDConnectProvider", _on("UntagOpenIDConnectProvider", untagged_keys), writes=True)
def untag_open_id_connect_provider(call: Call, params: Params) -> None:
    """Take tags away."""
    provider = _require(call, params)
    provider.tags = without(provider.tags, params["TagKeys"])
    _save(call.tx, provider)
    call.resources.append((_TYPE, provider.arn))


@iam("ListOpenIDConnectProviderTags", _on("ListOpenIDConnectProviderTags"))
def list_open_id_connect_provider_tags(call: Call, params: Params) -> Result:
    """The tags, by key."""
    return page(params, _require(call, params).tags)

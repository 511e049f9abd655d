"""SAML identity providers: an account's word for whose assertions its roles may trust.

What a provider's metadata says of issuers and keys is read when it is uploaded and kept beside it, so that a sign-in
parses no metadata. Private keys, for encrypted assertions, are kept sealed as all records are, and never shown.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateSAMLProvider.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_saml.html
"""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec

from freehold.authentication.key_ids import new_unique_id
from freehold.federation import saml_encryption, saml_metadata
from freehold.federation.identity import InvalidIdentity
from freehold.federation.saml_metadata import Metadata
from freehold.services.call import Call
from freehold.services.iam import entities, providers, shapes
from freehold.services.iam.authorized import Keys, iam, on_account, on_new, request_tags, untagged_keys
from freehold.services.iam.errors import EntityAlreadyExists, InvalidInput, LimitExceeded, NoSuchEntity
from freehold.services.iam.records import Record
from freehold.services.iam.tags import checked_tags, page, without
from freehold.services.operation import Params, Permissions, Result
from freehold.storage.records import Reader, Table, Transaction

_TYPE = "AWS::IAM::SAMLProvider"
_KIND = "saml-provider"
_CENTURY_SECONDS = 100 * 365 * 86_400
"""How long a provider is valid whose metadata names no end."""


class SamlKey(Record, kw_only=True):
    """A private key that assertions may be encrypted for."""

    key_id: str
    pem: str
    added_at: int

    def __repr__(self) -> str:
        return f"SamlKey({self.key_id})"


class SamlIdp(Record, kw_only=True):
    """An identity provider of the metadata: its certificates as DER."""

    entity_id: str
    certificates: list[bytes]


class SamlProvider(Record, kw_only=True):
    account_id: str
    name: str
    unique_id: str
    created_at: int
    valid_until: int
    idps: list[SamlIdp]
    keys: list[SamlKey] = msgspec.field(default_factory=list)
    encryption: Literal["", "Required", "Allowed"] = ""
    tags: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account_id}:{_KIND}/{self.name}"


class SamlDocument(Record, kw_only=True):
    text: str


PROVIDERS = Table("iam.saml_providers", SamlProvider)  # (account id, name)
DOCUMENTS = Table("iam.saml_metadata", SamlDocument)  # (account id, name)


def provider_at(reader: Reader, arn: str) -> SamlProvider | None:
    """The provider with this ARN."""
    account_id, name = _parts(arn)
    return PROVIDERS.get(reader, (account_id, name))


def _parts(arn: str) -> tuple[str, str]:
    account_id, name = providers.parts(arn, _KIND)
    if "/" in name:
        raise providers.not_valid(arn)
    return account_id, name


def _require(reader: Reader, params: Params) -> SamlProvider:
    arn = params["SAMLProviderArn"]
    provider = provider_at(reader, arn)
    if provider is None:
        raise NoSuchEntity(f"SAMLProvider not found for arn {arn}")
    return provider


def _save(tx: Transaction, provider: SamlProvider) -> None:
    PROVIDERS.put(tx, (provider.account_id, provider.name), provider)


def _tags_of(reader: Reader, arn: str) -> dict[str, str]:
    provider = provider_at(reader, arn)
    return {} if provider is None else provider.tags


def _on(action: str, *keys: Keys) -> Permissions:
    return providers.on(action, "SAMLProviderArn", _KIND, _tags_of, keys)


def _metadata(text: str) -> Metadata:
    try:
        return saml_metadata.parse(text)
    except InvalidIdentity as error:
        raise InvalidInput(f"Could not parse metadata. {error}") from None


async def _read_metadata(call: Call, params: Params) -> Metadata | None:
    """What the metadata says: megabytes of it take a while, in which nobody else should have to wait."""
    text = params.get("SAMLMetadataDocument")
    if text is None:
        return None
    return await asyncio.get_running_loop().run_in_executor(call.app.pool, _metadata, text)


def _take_metadata(call: Call, provider: SamlProvider, text: str) -> None:
    said: Metadata = call.prepared
    now = int(call.app.clock.now_seconds())
    if said.valid_until is not None and said.valid_until <= now:
        raise InvalidInput("Could not parse metadata. It is no longer valid (validUntil).")
    provider.valid_until = provider.created_at + _CENTURY_SECONDS if said.valid_until is None else said.valid_until
    provider.idps = [SamlIdp(entity_id=idp.entity_id, certificates=list(idp.certificates)) for idp in said.idps]
    DOCUMENTS.put(call.tx, (provider.account_id, provider.name), SamlDocument(text=text))


def _add_key(call: Call, provider: SamlProvider, pem: str) -> None:
    if len(provider.keys) >= saml_encryption.MOST_PRIVATE_KEYS:
        raise LimitExceeded(f"Private key limit of {saml_encryption.MOST_PRIVATE_KEYS} is reached.")
    try:
        saml_encryption.private_key(pem)
    except InvalidIdentity as error:
        raise InvalidInput(str(error)) from None
    key = SamlKey(key_id=new_unique_id("SAMLPK"), pem=pem, added_at=int(call.app.clock.now_seconds()))
    provider.keys = [*provider.keys, key]


def _remove_key(provider: SamlProvider, key_id: str) -> None:
    kept = [key for key in provider.keys if key.key_id != key_id]
    if len(kept) == len(provider.keys):
        raise InvalidInput("Failed to remove private key because the Key ID does not match a private key.")
    if not kept and provider.encryption == "Required":
        raise InvalidInput("Failed to remove private key. Assertion encryption is required.")
    provider.keys = kept


def _set_encryption(provider: SamlProvider, mode: str) -> None:
    if mode == "Required" and not provider.keys:
        raise InvalidInput("Unable to set assertion encryption mode to Required because no private key is provided.")
    provider.encryption = mode  # type: ignore[assignment]


@iam(
    "CreateSAMLProvider",
    on_new("CreateSAMLProvider", _KIND, "Name", request_tags),
    writes=True,
    prepare=_read_metadata,
    large=True,
)
def create_saml_provider(call: Call, params: Params) -> Result:
    """At most 100 per account; metadata of 1,000 to 10,000,000 characters, with at most 10 identity providers and 10
    keys. A provider whose metadata has no validUntil is valid for a century."""
    name = params["Name"]
    if PROVIDERS.get(call.tx, (call.account_id, name)) is not None:
        raise EntityAlreadyExists(f"SAMLProvider with name {name} already exists.")
    entities.count(call.tx, call.account_id, _KIND, 1)
    provider = SamlProvider(
        account_id=call.account_id,
        name=name,
        unique_id=new_unique_id("SAMLSP"),
        created_at=int(call.app.clock.now_seconds()),
        valid_until=0,
        idps=[],
        tags=checked_tags({}, params.get("Tags") or []),
    )
    _take_metadata(call, provider, params["SAMLMetadataDocument"])
    if "AddPrivateKey" in params:
        _add_key(call, provider, params["AddPrivateKey"])
    if "AssertionEncryptionMode" in params:
        _set_encryption(provider, params["AssertionEncryptionMode"])
    _save(call.tx, provider)
    call.resources.append((_TYPE, provider.arn))
    result: Result = {"SAMLProviderArn": provider.arn}
    if provider.tags:
        result["Tags"] = shapes.tag_list(dict(sorted(provider.tags.items())))
    return result


@iam("GetSAMLProvider", _on("GetSAMLProvider"), large=True)
def get_saml_provider(call: Call, params: Params) -> Result:
    """The metadata as it was uploaded, and the keys' ids; never a private key."""
    reader = call.reader
    provider = _require(reader, params)
    document = DOCUMENTS.get(reader, (provider.account_id, provider.name))
    shown: Result = {
        "SAMLProviderUUID": provider.unique_id,
        "SAMLMetadataDocument": "" if document is None else document.text,
        "CreateDate": shapes.date(provider.created_at),
        "ValidUntil": shapes.date(provider.valid_until),
        "Tags": shapes.tag_list(dict(sorted(provider.tags.items()))),
    }
    if provider.encryption:
        shown["AssertionEncryptionMode"] = provider.encryption
    if provider.keys:
        shown["PrivateKeyList"] = [
            {"KeyId": key.key_id, "Timestamp": shapes.date(key.added_at)} for key in provider.keys
        ]
    return shown


@iam("ListSAMLProviders", on_account("ListSAMLProviders"))
def list_saml_providers(call: Call, params: Params) -> Result:
    """All providers, on one page as AWS lists them."""
    providers = [
        {
            "Arn": provider.arn,
            "ValidUntil": shapes.date(provider.valid_until),
            "CreateDate": shapes.date(provider.created_at),
        }
        for _, provider in PROVIDERS.scan(call.reader, (call.account_id,))
    ]
    return {"SAMLProviderList": providers}


@iam("UpdateSAMLProvider", _on("UpdateSAMLProvider"), writes=True, prepare=_read_metadata, large=True)
def update_saml_provider(call: Call, params: Params) -> Result:
    """Other metadata, a private key more or less (two at most), or another encryption mode. Sign-ins from now on are
    judged by what is new; sessions already given last."""
    given = {"SAMLMetadataDocument", "AssertionEncryptionMode", "AddPrivateKey", "RemovePrivateKey"} & params.keys()
    if not given:
        raise InvalidInput(
            "Unable to update identity provider. No updates are defined for metadata or encryption assertion."
        )
    if {"AddPrivateKey", "RemovePrivateKey"} <= given:
        raise InvalidInput(
            "Unable to add and remove private keys in the same request. Set a value for only one of the two parameters."
        )
    provider = _require(call.tx, params)
    if "SAMLMetadataDocument" in given:
        _take_metadata(call, provider, params["SAMLMetadataDocument"])
    if "AddPrivateKey" in given:
        _add_key(call, provider, params["AddPrivateKey"])
    if "AssertionEncryptionMode" in given:
        _set_encryption(provider, params["AssertionEncryptionMode"])
    if "RemovePrivateKey" in given:
        _remove_key(provider, params["RemovePrivateKey"])
    _save(call.tx, provider)
    call.resources.append((_TYPE, provider.arn))
    return {"SAMLProviderArn": provider.arn}


@iam("DeleteSAMLProvider", _on("DeleteSAMLProvider"), writes=True)
def delete_saml_provider(call: Call, params: Params) -> None:
    """Roles that trust it are left as they are; nobody can assume them through it any more. Its private keys are
    erased from the files as well."""
    provider = _require(call.tx, params)
    place = (provider.account_id, provider.name)
    if provider.keys:
        call.tx.erase(PROVIDERS.name, place)
    else:
        PROVIDERS.delete(call.tx, place)
    DOCUMENTS.delete(call.tx, (provider.account_id, provider.name))
    entities.count(call.tx, call.account_id, _KIND, -1)
    call.resources.append((_TYPE, provider.arn))


@iam("TagSAMLProvider", _on("TagSAMLProvider", request_tags), writes=True)
def tag_saml_provider(call: Call, params: Params) -> None:
    """Add tags, or other values for keys that are there."""
    provider = _require(call.tx, params)
    provider.tags = checked_tags(provider.tags, params["Tags"])
    _save(call.tx, provider)
    call.resources.append((_TYPE, provider.arn))


@iam("UntagSAMLProvider", _on("UntagSAMLProvider", untagged_keys), writes=True)
def untag_saml_provider(call: Call, params: Params) -> None:
    """Take tags away."""
    provider = _require(call.tx, params)
    provider.tags = without(provider.tags, params["TagKeys"])
    _save(call.tx, provider)
    call.resources.append((_TYPE, provider.arn))


@iam("ListSAMLProviderTags", _on("ListSAMLProviderTags"))
def list_saml_provider_tags(call: Call, params: Params) -> Result:
    """The tags, by key."""
    return page(params, _require(call.reader, params).tags)

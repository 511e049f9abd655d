"""AssumeRoleWithSAML: credentials of a role, for whom a SAML identity provider vouches. Called without a signature.

The assertion says who it is and which roles the provider offers them; the role's trust policy decides, as for every
role. The provider is in the role's account. An assertion may be redeemed more than once within its five minutes, as
on AWS, except where its issuer says OneTimeUse.
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithSAML.html
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import TYPE_CHECKING, Final

from freehold.authorization.permission import ContextValue, Permission
from freehold.federation import saml
from freehold.federation.identity import FederationRefused, InvalidIdentity
from freehold.federation.saml import Assertion, Trusted
from freehold.federation.saml_metadata import Idp
from freehold.services.call import Call
from freehold.services.iam import saml_providers
from freehold.services.iam.errors import InvalidInput
from freehold.services.iam.records import Record
from freehold.services.iam.saml_providers import SamlProvider
from freehold.services.operation import Params, Result, due_work, operation
from freehold.services.sts import federated, role_sessions, saml_attributes
from freehold.services.sts.errors import AccessDenied, InvalidIdentityToken, ValidationError
from freehold.services.sts.federated import Vouched
from freehold.storage.records import Table, Transaction

if TYPE_CHECKING:
    from freehold.app import App

_NAME_FORMATS: Final = (
    "urn:oasis:names:tc:SAML:2.0:nameid-format:",
    "urn:oasis:names:tc:SAML:1.1:nameid-format:",
)
"""Prefixes of a NameID's format that SubjectType leaves out."""
_UNSPECIFIED: Final = "unspecified"


class UsedAssertion(Record, kw_only=True):
    useless_from: int
    """Seconds since the epoch, when the assertion would be refused anyway."""


USED = Table("sts.used_assertions", UsedAssertion)
"""Those that may be used but once: (account id, provider's unique id, SHA-256 of issuer and assertion id)."""


async def _identify(call: Call, params: Params) -> None:
    """Verify the assertion, on a thread: XML that somebody unknown sent can be made to take a while."""
    role_arn, provider_arn = params["RoleArn"], params["PrincipalArn"]
    account_id = role_sessions.account_of_role(role_arn)
    # Whatever is refused from here on is an event of the account whose role was asked for.
    call.principal = federated.caller(account_id, provider_arn)
    try:
        provider = saml_providers.provider_at(call.reader, provider_arn)
    except InvalidInput:
        raise ValidationError(f"{provider_arn} is invalid") from None
    if provider is None:
        raise InvalidIdentityToken("Specified provider doesn't exist.")
    if provider.account_id != account_id:
        raise AccessDenied("Not authorized to perform sts:AssumeRoleWithSAML")
    now, encoded = call.app.clock.now_seconds(), params["SAMLAssertion"]
    loop = asyncio.get_running_loop()
    try:
        assertion = await loop.run_in_executor(call.app.pool, _verified, provider, encoded, now)
        call.noted = {"sAMLAssertionID": assertion.assertion_id}
        call.prepared = (provider, assertion, _vouched(provider, assertion, now))
    except FederationRefused as error:
        raise federated.refusal(error) from None


def _verified(provider: SamlProvider, encoded: str, now_seconds: float) -> Assertion:
    if provider.valid_until <= now_seconds:
        raise InvalidIdentity("The metadata of the SAML provider is no longer valid.")
    trusted = Trusted(
        tuple(Idp(idp.entity_id, tuple(idp.certificates)) for idp in provider.idps),
        provider.unique_id,
        tuple(key.pem for key in provider.keys),
        provider.encryption == "Required",
    )
    return saml.verify(encoded, trusted, now_seconds)


def _may_assume(call: Call, params: Params) -> list[Permission]:
    """sts:AssumeRoleWithSAML on the role, as the provider; with tags or a source identity what these need as well."""
    provider, assertion, vouched = call.prepared
    noted = {
        "roleSessionName": vouched.session_name,
        "principalTags": dict(vouched.tags),
        "transitiveTagKeys": list(vouched.transitive_tag_keys),
        "sourceIdentity": vouched.source_identity,
    }
    call.noted = (call.noted or {}) | {name: value for name, value in noted.items() if value}
    permissions = federated.permissions(call, "sts:AssumeRoleWithSAML", params["RoleArn"], vouched)
    if not saml_attributes.allows_role(assertion.attributes, params["RoleArn"], params["PrincipalArn"]):
        raise AccessDenied("Not authorized to perform sts:AssumeRoleWithSAML")
    call.prepared = (call.prepared, provider, assertion)
    return permissions


def _vouched(provider: SamlProvider, assertion: Assertion, now_seconds: float) -> Vouched:
    attributes = assertion.attributes
    doc = f"{provider.account_id}/{provider.name}"
    qualifier = name_qualifier(assertion.issuer, doc)
    kept: dict[str, ContextValue] = {
        "saml:namequalifier": qualifier,
        "saml:sub": assertion.subject,
        "saml:sub_type": subject_type(assertion.subject_format),
        "aws:federatedprovider": provider.arn,
    }
    context = saml_attributes.condition_keys(attributes) | kept
    context |= {"saml:aud": assertion.recipient, "saml:iss": assertion.issuer, "saml:doc": doc}
    tags = saml_attributes.tags(attributes)
    limits = [saml_attributes.session_seconds(attributes)]
    if assertion.session_not_after is not None:
        limits.append(assertion.session_not_after - int(now_seconds))
    said = [limit for limit in limits if limit is not None]
    return Vouched(
        provider=provider.arn,
        unique_id=f"{qualifier}:{assertion.subject}",
        session_name=saml_attributes.session_name(attributes),
        context=context,
        kept=kept,
        tags=tags,
        transitive_tag_keys=saml_attributes.transitive_keys(attributes, tags),
        source_identity=saml_attributes.source_identity(attributes),
        most_seconds=min(said) if said else None,
    )


def name_qualifier(issuer: str, doc: str) -> str:
    """The hash that tells providers apart which name their users alike. `doc`: `ACCOUNT/PROVIDER`.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_saml.html#CreatingSAML-userid
    """
    digest = hashlib.sha1((issuer + doc).encode(), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def subject_type(name_format: str) -> str:
    """`persistent`, `transient` …; a format of another family in full."""
    for prefix in _NAME_FORMATS:
        if name_format.startswith(prefix):
            return name_format.removeprefix(prefix)
    return name_format or _UNSPECIFIED


@operation(
    "sts.AssumeRoleWithSAML",
    permissions=_may_assume,
    identify=_identify,
    writes=True,
    anonymous=True,
)
def assume_role_with_saml(call: Call, params: Params) -> Result:
    """Credentials for DurationSeconds (3,600 unless told, at most the role's MaxSessionDuration), or as long as the
    assertion's SessionDuration and SessionNotOnOrAfter say, if that is shorter.

    `Audience` in the reply is the assertion's recipient, and `saml:aud` is as well.
    """
    assumable, provider, assertion = call.prepared
    call.prepared = assumable
    if assertion.one_time:
        _use_up(call.tx, provider, assertion)
    result = federated.assume(call, params)
    call.resources.append(("AWS::IAM::SAMLProvider", provider.arn))
    kept = assumable.vouched.kept
    return result | {
        "Subject": assertion.subject,
        "SubjectType": kept["saml:sub_type"],
        "Issuer": assertion.issuer,
        "Audience": assertion.recipient,
        "NameQualifier": kept["saml:namequalifier"],
    }


def _use_up(tx: Transaction, provider: SamlProvider, assertion: Assertion) -> None:
    """Refuse an assertion for one use that was used before. Nothing is kept when the call fails later on."""
    name = hashlib.sha256(f"{assertion.issuer}\x00{assertion.assertion_id}".encode()).hexdigest()
    key = (provider.account_id, provider.unique_id, name)
    if USED.get(tx, key) is not None:
        raise InvalidIdentityToken("The SAML assertion is for one use, and was used before.")
    USED.put(tx, key, UsedAssertion(useless_from=assertion.useless_from))


@due_work
def forget_used_assertions(app: App, tx: Transaction) -> None:
    """What would be refused as too old needs no remembering."""
    now = app.clock.now_seconds()
    for key, used in list(USED.scan(tx)):
        if used.useless_from <= now:
            USED.delete(tx, key)

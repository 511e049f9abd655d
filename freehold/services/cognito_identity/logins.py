"""The `Logins` of a request, verified: each is a provider's name and its word for who signs in.

A login that isn't exactly one of the pool's providers' is refused before anything of it is believed. Access tokens of
social networks that only they can verify are refused as not implemented; SAML assertions are those of the pool's
providers, and may be used for several calls, so that one whose issuer says OneTimeUse is refused.
https://docs.aws.amazon.com/cognito/latest/developerguide/external-identity-providers.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from freehold.errors import AwsError, NotImplementedByFreehold
from freehold.federation.identity import FederationRefused, InvalidIdentity, ProviderUnreachable
from freehold.federation.oidc import TrustedIssuer
from freehold.services.call import Call
from freehold.services.cognito_identity import principal_tags, providers, role_choice, tokens
from freehold.services.cognito_identity.errors import ExternalService, NotAuthorized
from freehold.services.cognito_identity.principal_tags import Tags
from freehold.services.cognito_identity.records import AttributeMap, Link, Pool, RoleMapping

_MOST_SUBJECT: Final = 1_024
_SAML_ROLE: Final = "https://aws.amazon.com/SAML/Attributes/Role"


@dataclass(frozen=True, slots=True)
class Login:
    """One verified login. `names`: what the pool's role mappings and attribute maps may call its provider."""

    link: Link
    names: tuple[str, ...]
    audience: str
    claims: Mapping[str, Any] = field(repr=False)

    @property
    def amr(self) -> tuple[str, str]:
        """What the identity's token says of it."""
        who = "CognitoSignIn" if self.link.provider.startswith("cognito-idp.") else self.audience
        return self.link.provider, f"{self.link.provider}:{who}:{self.link.subject}"


async def verified(call: Call, pool: Pool, given: Mapping[str, str]) -> tuple[Login, ...]:
    """The logins, in their order. Raises NotAuthorizedException, ExternalServiceException, NotImplemented."""
    return tuple([await _verified(call, pool, provider, token) for provider, token in given.items()])


async def _verified(call: Call, pool: Pool, provider: str, token: str) -> Login:
    if provider == providers.OWN:
        raise NotAuthorized("Invalid login token. Can't pass in a Cognito token.")
    try:
        if provider in pool.saml_arns:
            return _by_saml(call, pool, provider, token)
        trusted = _trusted(call, pool, provider)
        if provider in providers.OPAQUE and token.count(".") != 2:
            raise NotImplementedByFreehold(
                f"An access token of {provider} says nothing by itself: only {provider} can tell whose it is, to an "
                "application that has its secret, for which an identity pool has no place. ID tokens are accepted."
            )
        identity = await call.app.web_identities.verify(token, trusted)
        link = _link(provider, identity.subject)
    except FederationRefused as refused:
        raise _refusal(refused) from None
    return Login(link, _names(pool, provider, identity.audience), identity.audience, identity.claims)


def _link(provider: str, subject: str) -> Link:
    """Raises InvalidIdentity for a subject that can't be kept."""
    if len(subject) > _MOST_SUBJECT:
        raise InvalidIdentity(f"The subject has at most {_MOST_SUBJECT} characters")
    try:
        subject.encode()
    except UnicodeEncodeError:
        raise InvalidIdentity("The subject is not text in Unicode") from None
    return Link(provider=provider, subject=subject)


def _names(pool: Pool, provider: str, audience: str) -> tuple[str, ...]:
    """A user pool is called by its application or itself, an OpenID Connect provider by its host or its ARN."""
    if any(one.provider_name == provider for one in pool.cognito_providers):
        return f"{provider}:{audience}", provider
    return (provider, *(arn for arn in pool.oidc_arns if arn.endswith(f":oidc-provider/{provider}")))


def _refusal(refused: FederationRefused) -> AwsError:
    if isinstance(refused, ProviderUnreachable):
        return ExternalService(str(refused))
    return NotAuthorized(f"Invalid login token. {refused}")


def _trusted(call: Call, pool: Pool, provider: str) -> TrustedIssuer:
    """Whose tokens count as this provider's, and for whom they must be made. Raises NotAuthorizedException."""
    client_ids = pool.login_providers.get(provider)
    if client_ids is not None:
        return TrustedIssuer(provider, tuple(client_ids.split(";")))
    applications = tuple(one.client_id for one in pool.cognito_providers if one.provider_name == provider)
    if applications:
        return TrustedIssuer(provider, applications)
    for arn in pool.oidc_arns:
        if arn.endswith(f":oidc-provider/{provider}"):
            known = providers.openid_at(call.reader, pool.account_id, arn)
            if known is not None:
                return TrustedIssuer(provider, tuple(known.client_ids), tuple(known.thumbprints))
    raise NotAuthorized("Token is not from a supported provider of this identity pool.")


def _by_saml(call: Call, pool: Pool, provider_arn: str, encoded: str) -> Login:
    from freehold.federation import saml
    from freehold.federation.saml_metadata import Idp

    provider = providers.saml_at(call.reader, pool.account_id, provider_arn)
    now = call.app.clock.now_seconds()
    if provider is None or provider.valid_until <= now:
        raise NotAuthorized("Token is not from a supported provider of this identity pool.")
    assertion = saml.verify(
        encoded,
        saml.Trusted(
            tuple(Idp(idp.entity_id, tuple(idp.certificates)) for idp in provider.idps),
            provider.unique_id,
            tuple(key.pem for key in provider.keys),
            provider.encryption == "Required",
        ),
        now,
    )
    if assertion.one_time:
        raise InvalidIdentity("The SAML assertion is for one use, and signing in takes several.")
    claims: dict[str, Any] = {
        name: values[0] if len(values) == 1 else list(values) for name, values in assertion.attributes.items()
    }
    offered = [value.split(",") for value in assertion.attributes.get(_SAML_ROLE, ())]
    claims[role_choice.ROLES_CLAIM] = [
        part.strip() for pair in offered for part in pair if len(pair) == 2 and ":role/" in part
    ]
    claims |= {"sub": assertion.subject, "aud": assertion.recipient, "iss": assertion.issuer}
    link = _link(provider_arn, f"{assertion.issuer}:{assertion.subject}")
    return Login(link, (provider_arn,), assertion.recipient, claims)


def own(call: Call, pool: Pool, identity_id: str, token: str) -> tokens.Verified:
    """The token that a developer's backend got for this very identity.

    Raises NotAuthorizedException, also when the developer's user no longer belongs to the identity.
    """
    try:
        verified = tokens.read(call.app, call.reader, token)
    except FederationRefused as refused:
        raise _refusal(refused) from None
    if (verified.pool.pool_id, verified.identity.identity_id) != (pool.pool_id, identity_id):
        raise NotAuthorized("Invalid login token. Identity doesn't match.")
    if not verified.by_developer:
        raise NotAuthorized("Invalid login token. Not a token of GetOpenIdTokenForDeveloperIdentity.")
    return verified


def mappings(pool: Pool, logins: tuple[Login, ...]) -> list[tuple[RoleMapping, Mapping[str, Any]]]:
    """The pool's role mappings for these logins, in their order."""
    return [
        (pool.role_mappings[name], login.claims)
        for login in logins
        for name in login.names
        if name in pool.role_mappings
    ]


def tags(pool: Pool, logins: tuple[Login, ...]) -> Tags:
    """The session tags that the pool makes of these logins' claims."""
    mapped: list[tuple[AttributeMap, Mapping[str, Any]]] = [
        (pool.attribute_maps[name], login.claims)
        for login in logins
        for name in login.names
        if name in pool.attribute_maps
    ]
    return principal_tags.of(mapped)

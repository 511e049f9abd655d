"""AssumeRoleWithWebIdentity: credentials of a role, for whom an OpenID Connect provider vouches. Called unsigned.

The token's issuer must be a provider of the role's account, or one of the two built-in ones whose tokens can be
verified here; the role's trust policy decides, as for every role. What is refused is an event in the trail of the
account whose role was asked for.
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
"""

from __future__ import annotations

from typing import Final

from freehold.authorization.permission import Permission
from freehold.errors import NotImplementedByFreehold
from freehold.federation.identity import FederationRefused, InvalidIdentity, WebIdentity
from freehold.federation.oidc import TrustedIssuer
from freehold.services.call import Call
from freehold.services.iam import oidc_providers
from freehold.services.iam.outbound_federation import PREFIX
from freehold.services.operation import Params, Result, operation
from freehold.services.sts import federated, role_sessions, web_identity_claims
from freehold.services.sts.errors import ValidationError
from freehold.services.sts.federated import Vouched

GOOGLE: Final = "accounts.google.com"
COGNITO: Final = "cognito-identity.amazonaws.com"
BUILT_IN: Final = frozenset((GOOGLE, COGNITO))
_OAUTH: Final = frozenset(("www.amazon.com", "graph.facebook.com"))
"""Providers of OAuth 2.0 access tokens, whose meaning only they can tell."""


async def _identify(call: Call, params: Params) -> None:
    """Who the token speaks of, verified, and under which name trust policies know its provider."""
    provider_id = params.get("ProviderId")
    if provider_id in _OAUTH:
        raise NotImplementedByFreehold(
            f"Access tokens of {provider_id} are not accepted: only {provider_id} can verify them."
        )
    if provider_id is not None:
        raise ValidationError("ProviderId is www.amazon.com or graph.facebook.com; leave it out for OpenID Connect.")
    role_arn, token = params["RoleArn"], params["WebIdentityToken"]
    account_id = role_sessions.account_of_role(role_arn)
    # Whatever is refused from here on is an event of the account whose role was asked for.
    call.principal = federated.caller(account_id, "")
    try:
        claimed = call.app.web_identities.claimed_providers(token)
        _refuse_own(call, claimed)
        principal, trusted = _trusted(call, account_id, role_arn, claimed)
        call.principal = federated.caller(account_id, principal)
        identity = await verified(call, token, trusted)
        vouched = vouch(identity, principal, params["RoleSessionName"])
    except FederationRefused as error:
        raise federated.refusal(error) from None
    call.prepared = identity, vouched


def _refuse_own(call: Call, claimed: tuple[str, ...]) -> None:
    """What GetWebIdentityToken gives is for others, as on AWS: here it would make a session outlive its end.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound_getting_started.html
    """
    own = call.app.settings.public_url.removeprefix("https://")
    if own and any(name.startswith(own + PREFIX) for name in claimed):
        raise InvalidIdentity("Tokens of GetWebIdentityToken cannot be used to assume roles here.")


def _trusted(call: Call, account_id: str, role_arn: str, claimed: tuple[str, ...]) -> tuple[str, TrustedIssuer]:
    """The provider as the role's trust policy names it, and whose tokens are accepted. Raises InvalidIdentity."""
    found = []
    for name in claimed:
        registered = oidc_providers.named(call.reader, account_id, name)
        if registered is not None:
            trusted = TrustedIssuer(name, tuple(registered.client_ids), tuple(registered.thumbprints))
            found.append((registered.arn, trusted))
        if name in BUILT_IN:
            found.append((name, TrustedIssuer(name)))
    if not found:
        raise InvalidIdentity(f"No OpenIDConnect provider found in your account for https://{claimed[-1][:255]}")
    known = role_sessions.trusted_role(call, role_arn)
    trust_policy = "" if known is None else known[0].trust_policy
    # A built-in provider may be registered as well: then the trust policy says which of the two it means.
    return next((pair for pair in found if f'"{pair[0]}"' in trust_policy), found[-1])


async def verified(call: Call, token: str, trusted: TrustedIssuer) -> WebIdentity:
    """Who a token speaks of. Raises FederationRefused."""
    if trusted.provider == COGNITO:
        from freehold.services.cognito_identity import tokens

        return tokens.verify(call.app, token)
    return await call.app.web_identities.verify(token, trusted)


def vouch(identity: WebIdentity, principal: str, session_name: str) -> Vouched:
    """What the provider, which trust policies name `principal`, says of its user. Raises InvalidIdentity."""
    tags, transitive = web_identity_claims.tags(identity.claims)
    context = web_identity_claims.condition_keys(identity)
    return Vouched(
        provider=principal,
        unique_id=f"{principal}:{identity.audience}:{identity.subject}",
        session_name=session_name,
        context=context,
        kept={**context, "aws:federatedprovider": principal},
        tags=tags,
        transitive_tag_keys=transitive,
        source_identity=web_identity_claims.source_identity(identity.claims),
    )


def _may_assume(call: Call, params: Params) -> list[Permission]:
    """sts:AssumeRoleWithWebIdentity on the role; with tags or a source identity what these need as well."""
    identity, vouched = call.prepared
    needed = federated.permissions(call, "sts:AssumeRoleWithWebIdentity", params["RoleArn"], vouched)
    call.prepared = call.prepared, identity
    return needed


@operation("sts.AssumeRoleWithWebIdentity", permissions=_may_assume, identify=_identify, anonymous=True)
def assume_role_with_web_identity(call: Call, params: Params) -> Result:
    """Credentials for 900 seconds up to the role's MaxSessionDuration (3,600 unless told).

    The reply's Provider is the name by which trust policies know the provider. The session keeps the provider's
    condition keys.
    """
    call.prepared, identity = call.prepared
    provider = call.prepared.vouched.provider
    return {
        **federated.assume(call, params),
        "SubjectFromWebIdentityToken": identity.subject,
        "Audience": identity.audience,
        "Provider": provider,
    }

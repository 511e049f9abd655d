"""Sessions of roles for whom an identity provider vouches: what OpenID Connect, SAML and Cognito have in common.

Whoever verified an identity makes a `Vouched` of it. `permissions` asks the role's trust policy, as the provider and
with what the provider said; `assume` makes the session. A role that doesn't exist is refused in the same words as one
that doesn't trust the provider.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from freehold.authorization.permission import ContextValue, Permission
from freehold.authorization.principal import Principal, Session
from freehold.errors import AwsError
from freehold.federation import identity
from freehold.services.call import Call
from freehold.services.iam import entities
from freehold.services.iam.records import Role
from freehold.services.operation import Params, Result
from freehold.services.sts import role_sessions, sessions
from freehold.services.sts.errors import (
    ExpiredToken,
    IDPCommunicationError,
    IDPRejectedClaim,
    InvalidIdentityToken,
    ValidationError,
)

_DEFAULT_SECONDS = 3600

_REFUSALS: dict[type[identity.FederationRefused], type[AwsError]] = {
    identity.InvalidIdentity: InvalidIdentityToken,
    identity.ExpiredIdentity: ExpiredToken,
    identity.RejectedByProvider: IDPRejectedClaim,
    identity.ProviderUnreachable: IDPCommunicationError,
}


def refusal(error: identity.FederationRefused) -> AwsError:
    """STS's answer to an identity that is not accepted."""
    return _REFUSALS.get(type(error), InvalidIdentityToken)(str(error))


@dataclass(frozen=True, slots=True)
class Vouched:
    """Who asks for a role, as the provider's verified word says, and what the session is to carry.

    `provider`: as a trust policy's `Federated` principal names it. `unique_id`: CloudTrail's principalId.
    """

    provider: str
    unique_id: str
    session_name: str
    context: Mapping[str, ContextValue] = field(default_factory=dict)
    """Condition keys of the trust policy's decision, in lower case (`saml:aud`, `accounts.google.com:sub` …)."""
    kept: Mapping[str, ContextValue] = field(default_factory=dict)
    """Those that the session keeps for its own requests."""
    tags: sessions.Tags = ()
    transitive_tag_keys: tuple[str, ...] = ()
    source_identity: str = ""
    most_seconds: int | None = None
    """How long the provider lets the session last at most."""


@dataclass(frozen=True, slots=True)
class Assumable:
    """A role whose trust policy was asked, and for whom: what `assume` finds in `call.prepared`."""

    role: Role
    vouched: Vouched


def caller(account_id: str, provider: str, unique_id: str = "", context: Mapping[str, Any] | None = None) -> Principal:
    """The provider as a caller. Its events belong in the trail of `account_id`; it has no permissions there."""
    return Principal(
        "federated", account_id, unique_id=unique_id, name=provider, extra_context=dict(context) if context else {}
    )


def permissions(call: Call, action: str, role_arn: str, vouched: Vouched) -> list[Permission]:
    """What the role's trust policy must allow: `action` (`sts:AssumeRoleWithSAML` …), and what the session carries.

    From here on the call is the provider's, whoever signed it. With tags, sts:TagSession is needed as well; with a
    source identity, sts:SetSourceIdentity.
    """
    account_id = role_sessions.account_of_role(role_arn)
    known = role_sessions.trusted_role(call, role_arn)
    call.principal = caller(account_id, vouched.provider, vouched.unique_id, vouched.context)
    call.account_id = account_id
    call.prepared = None if known is None else Assumable(known[0], vouched)
    context = sessions.tag_context(vouched.tags)
    context["sts:rolesessionname"] = vouched.session_name
    if vouched.source_identity:
        context["sts:sourceidentity"] = vouched.source_identity
    if vouched.transitive_tag_keys:
        context["sts:transitivetagkeys"] = vouched.transitive_tag_keys
    if known is not None:
        context |= entities.resource_tags(known[0])
    trust_policy = None if known is None else known[1]
    actions = [action]
    if vouched.tags:
        actions.append("sts:TagSession")
    if vouched.source_identity:
        actions.append("sts:SetSourceIdentity")
    return [Permission(each, role_arn, account_id, context, trust_policy, "trust") for each in actions]


def assume(call: Call, params: Params) -> Result:
    """Credentials for `DurationSeconds` (3,600 unless told), at most the role's MaxSessionDuration.

    The reply's Credentials, AssumedRoleUser, PackedPolicySize and SourceIdentity.
    """
    assumable: Assumable = call.prepared
    role, vouched = assumable.role, assumable.vouched
    seconds = params.get("DurationSeconds") or _DEFAULT_SECONDS
    if seconds > role.max_session_seconds:
        raise ValidationError("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    if vouched.most_seconds is not None:
        seconds = min(seconds, vouched.most_seconds)
    policies, policy_arns = sessions.passed_policies(call.reader, role.account_id, params)
    now = int(call.app.clock.now_seconds())
    session = Session(
        issued_at=now,
        expires_at=now + seconds,
        name=vouched.session_name,
        policies=policies,
        policy_arns=policy_arns,
        tags=vouched.tags,
        transitive_tag_keys=vouched.transitive_tag_keys,
        source_identity=vouched.source_identity,
        kind="assume-role",
        issuer_unique_id=role.unique_id,
    )
    return role_sessions.begin(call, role, session, vouched.kept)[1]

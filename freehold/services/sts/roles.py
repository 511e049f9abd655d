"""AssumeRole: credentials of a role, for whoever its trust policy and, from another account, their own allow.

A role that doesn't exist is refused in the same words as one that doesn't trust the caller.
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
"""

from __future__ import annotations

from typing import Any

from freehold.authorization.permission import Permission
from freehold.authorization.principal import Principal, Session
from freehold.services.call import Call
from freehold.services.iam import entities
from freehold.services.iam.records import Role
from freehold.services.operation import Params, Result, operation
from freehold.services.sts import mfa_given, role_sessions, sessions
from freehold.services.sts.errors import AccessDenied, ValidationError

_CHAINED_SECONDS = 3600


def _may_assume(call: Call, params: Params) -> list[Permission]:
    """sts:AssumeRole, with tags sts:TagSession as well, with a source identity sts:SetSourceIdentity as well."""
    principal = call.principal
    if principal.kind == "root":
        raise AccessDenied("Roles may not be assumed by root accounts.")
    if principal.kind not in ("user", "role"):
        raise AccessDenied(f"Cannot call AssumeRole with {principal.kind} credentials")
    role_arn = params["RoleArn"]
    account_id = role_sessions.account_of_role(role_arn)
    known = role_sessions.trusted_role(call, role_arn)
    call.prepared = None if known is None else known[0]
    tags = (*sessions.passed_tags(params), *sessions.inherited_tags(principal))
    context = _context(params, tags, principal) | mfa_given.context(params)
    if known is not None:
        context |= entities.resource_tags(known[0])
    trust_policy = None if known is None else known[1]

    def needed(action: str) -> Permission:
        return Permission(f"sts:{action}", role_arn, account_id, context, trust_policy, "trust")

    permissions = [needed("AssumeRole")]
    if tags:
        permissions.append(needed("TagSession"))
    if _source_identity(params, principal):
        permissions.append(needed("SetSourceIdentity"))
    return permissions


def _context(params: Params, tags: sessions.Tags, principal: Principal) -> dict[str, Any]:
    context = sessions.tag_context(tags)
    context["sts:rolesessionname"] = params["RoleSessionName"]
    if "ExternalId" in params:
        context["sts:externalid"] = params["ExternalId"]
    source_identity = _source_identity(params, principal)
    if source_identity:
        context["sts:sourceidentity"] = source_identity
    passed_on = (*(params.get("TransitiveTagKeys") or ()), *(key for key, _ in sessions.inherited_tags(principal)))
    if passed_on:
        context["sts:transitivetagkeys"] = passed_on
    return context


def _source_identity(params: Params, principal: Principal) -> str:
    """The source identity of the new session: once set it stays for the whole chain.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_monitor.html
    """
    held = principal.session.source_identity if principal.session is not None else ""
    given: str = params.get("SourceIdentity") or ""
    if given.lower().startswith("aws:"):
        raise ValidationError("SourceIdentity cannot begin with aws:, which is reserved.")
    if held and given and given != held:
        raise AccessDenied("The source identity that is set in the calling session cannot be changed.")
    return held or given


async def _use_code(call: Call, params: Params) -> None:
    call.prepared = call.prepared, await mfa_given.use_up(call, params)


@operation("sts.AssumeRole", permissions=_may_assume, prepare=_use_code, refuses=("ProvidedContexts",))
def assume_role(call: Call, params: Params) -> Result:
    """Credentials for 900 seconds up to the role's MaxSessionDuration; one hour at most along a chain of roles.

    The session's permissions are the role's, limited by the session policies that are passed. Who gives a code of
    their MFA device meets a trust policy that asks for MFA; the session itself doesn't count as one with MFA.
    """
    principal = call.principal
    # The very role whose trust policy was asked: one that takes its ARN meanwhile is another.
    role: Role
    role, with_code = call.prepared if isinstance(call.prepared, tuple) else (call.prepared, False)
    if "TokenCode" in params and not with_code:
        raise AccessDenied("MultiFactorAuthentication failed")
    chained = principal.kind == "role"
    seconds = params.get("DurationSeconds") or 3600
    if seconds > role.max_session_seconds:
        raise ValidationError("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    if chained and seconds > _CHAINED_SECONDS:
        raise ValidationError(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
        )
    policies, policy_arns = sessions.passed_policies(call.reader, role.account_id, params)
    inherited = sessions.inherited_tags(principal)
    tags = sessions.passed_tags(params)
    keys = sessions.transitive_keys(params, tags, inherited)
    now = int(call.app.clock.now_seconds())
    name = params["RoleSessionName"]
    session = Session(
        issued_at=now,
        expires_at=now + seconds,
        name=name,
        policies=policies,
        policy_arns=policy_arns,
        tags=(*tags, *inherited),
        transitive_tag_keys=keys,
        source_identity=_source_identity(params, principal),
        chained=chained,
        assumed_with_mfa=with_code or (principal.session is not None and principal.session.mfa_at is not None),
        kind="assume-role",
        issuer_unique_id=role.unique_id,
    )
    return role_sessions.begin(call, role, session)[1]

"""GetSessionToken and GetFederationToken: credentials of the caller, or of a user that the caller vouches for.

https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html
"""

from __future__ import annotations

from dataclasses import replace

from freehold.authorization.permission import Permission
from freehold.authorization.principal import Principal, Session
from freehold.services.call import Call
from freehold.services.operation import Params, Result, operation
from freehold.services.sts import mfa_given, sessions
from freehold.services.sts.errors import AccessDenied

_DEFAULT_SECONDS = 43_200
_ROOT_SECONDS = 3600


def _seconds(call: Call, params: Params) -> int:
    """12 hours unless told; for root users one hour, even if more is asked for."""
    asked: int = params.get("DurationSeconds") or _DEFAULT_SECONDS
    return min(asked, _ROOT_SECONDS) if call.principal.kind == "root" else asked


def _no_permission_but_long_term(call: Call, params: Params) -> list[Permission]:
    """AWS needs none: policies cannot control authentication. But only long-term credentials may ask."""
    sessions.refuse_session_credentials(call)
    if call.principal.kind not in ("user", "root"):
        raise AccessDenied("Only users and the root user can call GetSessionToken")
    return []


async def _use_code(call: Call, params: Params) -> None:
    call.prepared = await mfa_given.use_up(call, params)


@operation("sts.GetSessionToken", permissions=_no_permission_but_long_term, prepare=_use_code)
def get_session_token(call: Call, params: Params) -> Result:
    """Temporary credentials of the caller, 900 to 129,600 seconds. Without MFA they can't call IAM, and of STS only
    AssumeRole and GetCallerIdentity. With a code of the caller's MFA device they carry that MFA was given, and when."""
    principal = call.principal
    now = int(call.app.clock.now_seconds())
    session = Session(
        issued_at=now,
        expires_at=now + _seconds(call, params),
        mfa_at=now if call.prepared else None,
        kind="session-token",
        issuer_unique_id=principal.unique_id,
    )
    credential = sessions.issue(call, replace(principal, session=session, tags=(), issuer_arn=principal.arn))
    return {"Credentials": sessions.shown(credential, session)}


def _may_federate(call: Call, params: Params) -> list[Permission]:
    sessions.refuse_session_credentials(call)
    if call.principal.kind not in ("user", "root"):
        raise AccessDenied("Only users and the root user can call GetFederationToken")
    resource = f"arn:aws:sts::{call.account_id}:federated-user/{params['Name']}"
    tags = sessions.passed_tags(params)
    context = sessions.tag_context(tags)
    permissions = [Permission("sts:GetFederationToken", resource, call.account_id, context)]
    if tags:
        permissions.append(Permission("sts:TagSession", resource, call.account_id, context))
    return permissions


@operation("sts.GetFederationToken", permissions=_may_federate)
def get_federation_token(call: Call, params: Params) -> Result:
    """Credentials of a federated user: what both the caller's policies and the session policies that are passed allow.

    Without a session policy they have no permissions but what resources grant to the federated user by name.
    """
    principal, name = call.principal, params["Name"]
    policies, policy_arns = sessions.passed_policies(call.reader, call.account_id, params)
    now = int(call.app.clock.now_seconds())
    session = Session(
        issued_at=now,
        expires_at=now + _seconds(call, params),
        name=name,
        policies=policies,
        policy_arns=policy_arns,
        tags=sessions.passed_tags(params),
        kind="federation-token",
        issuer_unique_id=principal.unique_id,
    )
    packed = sessions.packed_size(session)
    federated = Principal(
        "federated-user",
        call.account_id,
        arn=f"arn:aws:sts::{call.account_id}:federated-user/{name}",
        unique_id=f"{call.account_id}:{name}",
        name=name,
        issuer_arn=principal.arn,
        session=session,
    )
    credential = sessions.issue(call, federated)
    result: Result = {
        "Credentials": sessions.shown(credential, session),
        "FederatedUser": {"FederatedUserId": federated.unique_id, "Arn": federated.arn},
    }
    if packed is not None:
        result["PackedPolicySize"] = packed
    return result

"""A service assumes a role: for EC2's instances, replication, log delivery and whatever else acts in a customer's name.

The role's trust policy decides, about the service principal (`ec2.amazonaws.com`) and the resource that it acts for:
`aws:SourceArn`, `aws:SourceAccount` and what follows from it. That pair is what keeps a service from being talked into
using one customer's role for another (the confused deputy), so it is for the service to say truly, and never taken
from a customer's request. The event is in the trail of the role's account, allowed or refused.
https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from freehold.audit import event
from freehold.authentication.credentials import TemporaryCredential
from freehold.authorization.context_keys import RequestKeys
from freehold.authorization.permission import ContextValue, Permission
from freehold.authorization.principal import Principal, Session
from freehold.errors import AwsError
from freehold.message import Request
from freehold.services.call import Call
from freehold.services.iam import entities
from freehold.services.operation import REGISTRY
from freehold.services.sts import role_sessions
from freehold.services.sts.errors import ValidationError

if TYPE_CHECKING:
    from freehold.app import App

LEAST_SECONDS = 900
MOST_SECONDS = 43_200
"""A role's MaxSessionDuration doesn't limit sessions that services assume."""
_SERVICE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com", re.ASCII)
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRole:
    """Which service wants which role, for what."""

    service: str
    """The service principal: `ec2.amazonaws.com`."""
    role_arn: str
    session_name: str
    source_arn: str = ""
    """The resource that the service acts for."""
    source_account: str = ""
    """Its account; that of `source_arn` where it names one."""
    seconds: int = 3600
    kept: Mapping[str, ContextValue] = field(default_factory=dict)
    """Condition keys, in lower case, that the session's own requests will carry (`ec2:sourceinstancearn`)."""


def assume_for_service(parent: Call, wanted: ServiceRole) -> TemporaryCredential:
    """The role's credentials, while serving a call; the event is written with the call's own.

    Raises STS's AccessDenied (a role that doesn't exist is refused in the same words) and ValidationError.
    """
    call = _call(parent.app, wanted, parent.region, parent.request_id)
    try:
        credential, result = _assume(call, wanted)
    except AwsError as error:
        parent.events.extend(event.build(call, None, error))
        raise
    parent.events.extend(event.build(call, result, None))
    return credential


async def assume_in_background(app: App, wanted: ServiceRole, *, region: str, request_id: str) -> TemporaryCredential:
    """As `assume_for_service`, for work that no call started. The event is durable before this returns or raises."""
    call = _call(app, wanted, region, request_id)
    try:
        credential, result = _assume(call, wanted)
    except AwsError as error:
        await app.audit.write(event.build(call, None, error))
        raise
    await app.audit.write(event.build(call, result, None))
    return credential


def _call(app: App, wanted: ServiceRole, region: str, request_id: str) -> Call:
    """AssumeRole as the service calls it. There is no request of a client behind it."""
    if not _SERVICE.fullmatch(wanted.service):
        raise ValidationError(f"{wanted.service} is not a service principal")
    account_id = role_sessions.account_of_role(wanted.role_arn)
    principal = Principal("service", account_id, name=wanted.service)
    keys = RequestKeys(app.clock.now_seconds())
    keys.update({"aws:requestedregion": region, "aws:securetransport": "true", "aws:viaawsservice": "false"})
    via = (wanted.service.removesuffix(".amazonaws.com"),)
    request = Request("POST", "/", "", {}, source_ip="", secure=True)
    call = Call(app, request, REGISTRY["sts.AssumeRole"], principal, region, request_id, keys, via=via)
    call.params = {
        "RoleArn": wanted.role_arn,
        "RoleSessionName": wanted.session_name,
        "DurationSeconds": wanted.seconds,
    }
    return call


def _assume(call: Call, wanted: ServiceRole) -> tuple[TemporaryCredential, dict[str, object]]:
    if not _SESSION_NAME.fullmatch(wanted.session_name):
        raise ValidationError(f"{wanted.session_name} is not a role session name")
    if not LEAST_SECONDS <= wanted.seconds <= MOST_SECONDS:
        raise ValidationError(f"DurationSeconds is {LEAST_SECONDS} to {MOST_SECONDS}")
    known = role_sessions.trusted_role(call, wanted.role_arn)
    context: dict[str, ContextValue] = {"sts:rolesessionname": wanted.session_name, **_source(wanted)}
    if known is not None:
        context |= entities.resource_tags(known[0])
    trust_policy = None if known is None else known[1]
    call.require(
        Permission("sts:AssumeRole", wanted.role_arn, call.account_id, context, trust_policy, "trust"),
    )
    assert known is not None
    role = known[0]
    now = int(call.app.clock.now_seconds())
    session = Session(
        issued_at=now,
        expires_at=now + wanted.seconds,
        name=wanted.session_name,
        kind="assume-role",
        issuer_unique_id=role.unique_id,
    )
    return role_sessions.begin(call, role, session, wanted.kept)


def _source(wanted: ServiceRole) -> dict[str, ContextValue]:
    """`aws:SourceArn` and `aws:SourceAccount`; the organization's keys follow from the account."""
    context: dict[str, ContextValue] = {}
    account_id = wanted.source_account
    if wanted.source_arn:
        parts = wanted.source_arn.split(":", 5)
        if len(parts) != 6 or parts[0] != "arn":
            raise ValidationError(f"{wanted.source_arn} is not an ARN")
        context["aws:sourcearn"] = wanted.source_arn
        if parts[4] and account_id and parts[4] != account_id:
            raise ValidationError(f"{wanted.source_arn} is not a resource of account {account_id}")
        account_id = account_id or parts[4]
    if account_id:
        context["aws:sourceaccount"] = account_id
    return context

"""AssumeRoot: a short session of a member account's root user, for one task that AWS's task policies name.

For users and roles of the organization's management account, or of a delegated administrator for IAM. The member's
service control policies limit the session as they limit its root user. The call itself reaches into the member account:
its resource control policies are asked, `aws:ResourceAccount` is the member, and both accounts' trails show it.
https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoot.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-track-privileged-tasks.html
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from freehold.authorization import document
from freehold.authorization.document import Policy
from freehold.authorization.permission import Permission
from freehold.authorization.principal import Principal, Session
from freehold.errors import AwsError
from freehold.services.call import Call
from freehold.services.iam import root_access, root_tasks
from freehold.services.operation import Params, Result, operation
from freehold.services.organizations import members, tree
from freehold.services.sts import sessions
from freehold.services.sts.errors import AccessDenied, ValidationError

_MOST_SECONDS = 900
_TARGET = re.compile(r"(?:arn:aws:iam::)?([0-9]{12})(?::root)?", re.ASCII)


def _target(params: Params) -> str:
    """The member account's id: it is given as such, or as the root user's ARN."""
    text = params["TargetPrincipal"]
    found = _TARGET.fullmatch(text)
    if found is None or text not in (found[1], f"arn:aws:iam::{found[1]}:root"):
        raise ValidationError("TargetPrincipal must be an account id or the ARN of an account's root user.")
    return found[1]


def _task(params: Params) -> str:
    arn: str = params["TaskPolicyArn"].get("arn") or ""
    if arn not in root_tasks.FEATURE_OF:
        raise ValidationError("TaskPolicyArn must be one of AWS's managed policies for root tasks.")
    return arn


def _may_assume_root(call: Call, params: Params) -> list[Permission]:
    principal = call.principal
    if principal.kind not in ("user", "role"):
        raise AccessDenied("AssumeRoot may only be called by users and roles.")
    context: dict[str, Any] = {"sts:taskpolicyarn": _task(params)}
    target = _target(params)
    trust = _trusting(principal.account_id)
    return [Permission("sts:AssumeRoot", f"arn:aws:iam::{target}:root", target, context, trust, "trust")]


@lru_cache(maxsize=1024)
def _trusting(account_id: str) -> Policy:
    """What stands in for the trust policy that a root user hasn't: the caller's account is let in, and has to allow.

    Whether it is one that administers the target is asked in the handler.
    """
    statement = {"Effect": "Allow", "Principal": {"AWS": account_id}, "Action": "sts:AssumeRoot"}
    return document.parse(json.dumps({"Version": "2012-10-17", "Statement": statement}), "trust")


@operation("sts.AssumeRoot", permissions=_may_assume_root)
def assume_root(call: Call, params: Params) -> Result:
    """Credentials for 900 seconds at most. They do what the task policy leaves of what a root user may."""
    account_id, task, principal = _target(params), _task(params), call.principal
    _refuse_without_access(call, account_id, task)
    seconds = params.get("DurationSeconds")
    now = int(call.app.clock.now_seconds())
    held = principal.session
    session = Session(
        issued_at=now,
        expires_at=now + (_MOST_SECONDS if seconds is None else seconds),
        policy_arns=(task,),
        source_identity="" if held is None else held.source_identity,
        chained=principal.kind == "role",
        kind="assume-root",
        issuer_unique_id=account_id,
    )
    root_arn = f"arn:aws:iam::{account_id}:root"
    assumed = Principal(
        "root",
        account_id,
        arn=root_arn,
        unique_id=account_id,
        session=session,
        extra_context={"aws:assumedroot": "true"},
    )
    credential = sessions.issue(call, assumed)
    result: Result = {"Credentials": sessions.shown(credential, session)}
    if session.source_identity:
        result["SourceIdentity"] = session.source_identity
    return result


def _refuse_without_access(call: Call, account_id: str, task: str) -> None:
    """Raises AccessDenied unless the caller's organization has the task's feature and the account as a member."""
    reader = call.reader
    try:
        organization = root_access.administered(reader, call.account_id)
    except AwsError as error:
        raise AccessDenied(f"Access denied. {error.message}") from None
    if root_tasks.FEATURE_OF[task] not in organization.features:
        raise AccessDenied(f"Access denied. {root_tasks.FEATURE_OF[task]} is not enabled in the organization.")
    if (
        account_id == organization.management_account_id
        or tree.member(reader, organization, account_id) is None
        or not members.is_open(reader, account_id)
    ):
        raise AccessDenied("Access denied. The target is not a member account of the organization.")

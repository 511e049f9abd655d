"""CreateServiceLinkedRole, DeleteServiceLinkedRole and the deletion's task.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateServiceLinkedRole.html
https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteServiceLinkedRole.html
"""

from __future__ import annotations

import logging
import re
import uuid
from typing import TYPE_CHECKING, Literal

import msgspec

from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.iam import entities, protected, records, service_linked, shapes
from freehold.services.iam.authorized import iam, on_entity
from freehold.services.iam.errors import InvalidInput, NoSuchEntity
from freehold.services.iam.records import Record, Role
from freehold.services.operation import Params, Result, due_work
from freehold.storage.records import Reader, Table, Transaction

if TYPE_CHECKING:
    from freehold.app import App

log = logging.getLogger("freehold")

TASK_SECONDS = 7 * 86_400
"""How long a finished task can be asked about."""
_TASK_ID = re.compile(r"task/aws-service-role/([\w.-]{1,128})/([\w+=,.@-]{1,64})/([0-9a-f-]{36})", re.ASCII)


class DeletionTask(Record, kw_only=True):
    role_id: str
    started_at: int
    status: Literal["NOT_STARTED", "IN_PROGRESS", "SUCCEEDED", "FAILED"] = "IN_PROGRESS"
    reason: str = ""
    usage: dict[str, list[str]] = msgspec.field(default_factory=dict)
    """Region -> ARNs of what used the role when the deletion was tried."""


TASKS = Table("iam.role_deletions", DeletionTask)  # (account id, task id)
PENDING = Table("iam.role_deletions_pending", records.Mark)  # (account id, role's unique id, task id)


def _may_create(call: Call, params: Params) -> list[Permission]:
    return [service_linked.creation(call, params["AWSServiceName"], params.get("CustomSuffix") or "")]


@iam("CreateServiceLinkedRole", _may_create, writes=True)
def create_service_linked_role(call: Call, params: Params) -> Result:
    """The role that a service defines, once per account; more than once only where the service takes a CustomSuffix.

    A service that isn't known here is refused rather than given a role with invented permissions.
    """
    role = service_linked.create(
        call.tx,
        call.account_id,
        params["AWSServiceName"],
        now_seconds=call.app.clock.now_seconds(),
        description=params.get("Description") or "",
        suffix=params.get("CustomSuffix") or "",
    )
    call.resources.append(("AWS::IAM::Role", role.arn))
    return {"Role": shapes.whole_role(call.tx, role, call.app.clock.now_seconds())}


@iam("DeleteServiceLinkedRole", on_entity("DeleteServiceLinkedRole", "role"), writes=True)
def delete_service_linked_role(call: Call, params: Params) -> Result:
    """Begin the deletion, whose outcome the task tells. Asked again meanwhile, the answer is the same task."""
    role = entities.require_role(call.tx, call.account_id, params["RoleName"])
    if not protected.is_service_linked(role):
        raise NoSuchEntity(f"The role {role.name} is not a service-linked role.")
    call.resources.append(("AWS::IAM::Role", role.arn))
    for key, _ in PENDING.scan(call.tx, (call.account_id, role.unique_id)):
        return {"DeletionTaskId": str(key[2])}
    task_id = f"task{role.path}{role.name}/{uuid.uuid4()}"
    now = int(call.app.clock.now_seconds())
    TASKS.put(call.tx, (call.account_id, task_id), DeletionTask(role_id=role.unique_id, started_at=now))
    PENDING.put(call.tx, (call.account_id, role.unique_id, task_id), records.Mark())
    stored = call.app.records

    def begin() -> None:
        stored.submit(finish_deletions)

    call.tx.after_commit(begin)
    return {"DeletionTaskId": task_id}


def finish_deletions(tx: Transaction) -> None:
    """Do what deletion tasks are waiting for: delete each role, or say what still uses it."""
    for key, _ in list(PENDING.scan(tx)):
        account_id, role_id, task_id = str(key[0]), str(key[1]), str(key[2])
        PENDING.delete(tx, key)
        task = TASKS.get(tx, (account_id, task_id))
        if task is None:
            continue
        role = records.by_unique_id(tx, role_id)
        if isinstance(role, Role):
            task.usage = service_linked.usage(tx, role)
            if not task.usage:
                service_linked.remove(tx, role)
        task.status = "FAILED" if task.usage else "SUCCEEDED"
        if task.usage:
            task.reason = "Resources that use the service-linked role must be deleted before the role can be deleted."
        TASKS.put(tx, (account_id, task_id), task)


@due_work
def tend_deletions(app: App, tx: Transaction) -> None:
    """What a stopped server left undone, and the tasks that nobody can ask about any more."""
    finish_deletions(tx)
    oldest = int(app.clock.now_seconds()) - TASK_SECONDS
    for key, task in list(TASKS.scan(tx)):
        if task.started_at < oldest:
            TASKS.delete(tx, key)


def _may_ask(call: Call, params: Params) -> list[Permission]:
    found = _TASK_ID.fullmatch(params["DeletionTaskId"])
    if found is None:
        raise InvalidInput("The DeletionTaskId is not one that DeleteServiceLinkedRole gave.")
    arn = f"arn:aws:iam::{call.account_id}:role{protected.PATH}{found[1]}/{found[2]}"
    return [Permission("iam:GetServiceLinkedRoleDeletionStatus", arn, call.account_id)]


@iam("GetServiceLinkedRoleDeletionStatus", _may_ask)
def get_service_linked_role_deletion_status(call: Call, params: Params) -> Result:
    """How the deletion went, for seven days; when it failed, which resources use the role."""
    task = _task(call.reader, call.account_id, params["DeletionTaskId"])
    if task.status != "FAILED":
        return {"Status": task.status}
    used = [{"Region": region, "Resources": arns} for region, arns in task.usage.items()]
    return {"Status": task.status, "Reason": {"Reason": task.reason, "RoleUsageList": used}}


def _task(reader: Reader, account_id: str, task_id: str) -> DeletionTask:
    task = TASKS.get(reader, (account_id, task_id))
    if task is None:
        raise NoSuchEntity(f"The deletion task {task_id} cannot be found.")
    return task

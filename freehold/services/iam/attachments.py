"""Managed policies attached to users, groups and roles, and who uses a managed policy.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachRolePolicy.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from freehold.services.call import Call
from freehold.services.iam import aws_managed, entities, pages, records
from freehold.services.iam.authorized import iam, on_entity, on_policy, policy_arn, present_boundary
from freehold.services.iam.entities import KINDS, Kind, Named
from freehold.services.iam.errors import NoSuchEntity, PolicyNotAttachable, quota
from freehold.services.iam.protected import refuse_protected
from freehold.services.iam.records import ATTACHMENTS, USES, Group, Mark, Role, User, Uses
from freehold.services.operation import Params, Result
from freehold.storage.records import Reader, Transaction

MOST_ATTACHED = 10
_SERVICE_ROLE_PATH = "/aws-service-role/"
Usage = Literal["policy", "boundary"]


def is_attachable(reader: Reader, account_id: str, arn: str) -> bool:
    """Whether `arn` is the account's own policy, or one of AWS's that isn't for its own service roles."""
    policy = records.policy_at(reader, arn)
    if policy is not None:
        return policy.account_id == account_id
    aws_policy = aws_managed.find(arn)
    return aws_policy is not None and aws_policy.path != _SERVICE_ROLE_PATH


def require_attachable(reader: Reader, account_id: str, arn: str) -> None:
    """Raises NoSuchEntity, and PolicyNotAttachable for what AWS keeps for its service-linked roles."""
    if is_attachable(reader, account_id, arn):
        return
    if aws_managed.find(arn) is not None:
        raise PolicyNotAttachable(f"Cannot attach a Service Role Policy to a Customer Role: {arn}")
    raise NoSuchEntity(f"Policy {arn} does not exist or is not attachable.")


def note_use(tx: Transaction, entity: Named, arn: str, usage: Usage, change: Literal[1, -1]) -> None:
    """Keep which entities use a managed policy, and how many do."""
    key = (entity.account_id, arn, usage, entity.kind, entity.unique_id)
    if change == 1:
        ATTACHMENTS.put(tx, key, Mark())
    else:
        ATTACHMENTS.delete(tx, key)
    uses = USES.get(tx, (entity.account_id, arn)) or Uses()
    if usage == "policy":
        uses.attachments += change
    else:
        uses.boundaries += change
    if uses.attachments or uses.boundaries:
        USES.put(tx, (entity.account_id, arn), uses)
    else:
        USES.delete(tx, (entity.account_id, arn))


def _declare(kind: Kind) -> None:
    attach, detach = f"Attach{kind.noun}Policy", f"Detach{kind.noun}Policy"
    list_ = f"ListAttached{kind.noun}Policies"

    @iam(attach, on_entity(attach, kind.kind, policy_arn, present_boundary), writes=True)
    def attach_policy(call: Call, params: Params) -> None:
        """At most 10 managed policies each. Attaching one again changes nothing."""
        entity = entities.require(call.tx, kind.kind, call.account_id, params[kind.member])
        refuse_protected(entity)
        arn = params["PolicyArn"]
        require_attachable(call.tx, call.account_id, arn)
        call.resources.extend(((kind.cloudformation_type, entity.arn), ("AWS::IAM::ManagedPolicy", arn)))
        if arn in entity.attached:
            return
        if len(entity.attached) >= MOST_ATTACHED:
            raise quota(f"PoliciesPer{kind.noun}", MOST_ATTACHED)
        entity.attached = [*entity.attached, arn]
        records.save(call.tx, entity)
        note_use(call.tx, entity, arn, "policy", 1)

    @iam(detach, on_entity(detach, kind.kind, policy_arn, present_boundary), writes=True)
    def detach_policy(call: Call, params: Params) -> None:
        """Take a managed policy away."""
        entity = entities.require(call.tx, kind.kind, call.account_id, params[kind.member])
        refuse_protected(entity)
        arn = params["PolicyArn"]
        if arn not in entity.attached:
            raise NoSuchEntity(f"Policy {arn} was not found.")
        entity.attached = [held for held in entity.attached if held != arn]
        records.save(call.tx, entity)
        note_use(call.tx, entity, arn, "policy", -1)
        call.resources.extend(((kind.cloudformation_type, entity.arn), ("AWS::IAM::ManagedPolicy", arn)))

    @iam(list_, on_entity(list_, kind.kind))
    def list_attached(call: Call, params: Params) -> Result:
        """The attached managed policies, by ARN."""
        entity = entities.require(call.reader, kind.kind, call.account_id, params[kind.member])
        prefix = params.get("PathPrefix") or "/"
        arns = (arn for arn in entity.attached if _path(arn).startswith(prefix))
        return pages.page_of_texts(params, "AttachedPolicies", arns, attached)


for _kind in KINDS.values():
    _declare(_kind)


def attached(arn: str) -> dict[str, str]:
    return {"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn}


def _path(arn: str) -> str:
    """`/` or `/a/b/` of a policy's ARN."""
    return arn.partition(":policy")[2].rpartition("/")[0] + "/"


_FILTERS = {"User": "user", "Group": "group", "Role": "role"}


@iam("ListEntitiesForPolicy", on_policy("ListEntitiesForPolicy"))
def list_entities_for_policy(call: Call, params: Params) -> Result:
    """The account's users, groups and roles that have the policy attached or as their boundary.

    Each appears once for each way in which it uses the policy; PolicyUsageFilter chooses one of the ways.
    """
    arn, reader = params["PolicyArn"], call.reader
    if records.policy_at(reader, arn) is None and aws_managed.find(arn) is None:
        raise NoSuchEntity(f"Policy {arn} was not found.")
    usages: tuple[Usage, ...] = ("boundary", "policy")
    if params.get("PolicyUsageFilter"):
        usages = ("boundary",) if params["PolicyUsageFilter"] == "PermissionsBoundary" else ("policy",)
    wanted = params.get("EntityFilter")
    if wanted is not None and wanted not in _FILTERS:
        wanted_kind: str | None = ""  # the filters for policies themselves match no entity
    else:
        wanted_kind = None if wanted is None else _FILTERS[wanted]
    prefix, start = params.get("PathPrefix") or "/", pages.after(params)

    def users_of_policy() -> Iterator[tuple[str, Named]]:
        for key, _ in ATTACHMENTS.scan(reader, (call.account_id, arn)):
            usage, kind, unique_id = str(key[2]), str(key[3]), str(key[4])
            place = f"{usage}/{kind}/{unique_id}"
            if usage not in usages or wanted_kind not in (None, kind) or (start is not None and place <= start):
                continue
            entity = records.by_unique_id(reader, unique_id)
            if isinstance(entity, User | Group | Role) and entity.path.startswith(prefix):
                yield place, entity

    page = pages.page(params, "entities", users_of_policy(), lambda item: item[0], lambda item: item[1])
    found: dict[str, dict[str, dict[str, Any]]] = {"user": {}, "group": {}, "role": {}}
    for entity in page.pop("entities"):
        noun = KINDS[entity.kind].noun
        found[entity.kind][entity.unique_id] = {f"{noun}Name": entity.name, f"{noun}Id": entity.unique_id}
    return {
        "PolicyUsers": list(found["user"].values()),
        "PolicyGroups": list(found["group"].values()),
        "PolicyRoles": list(found["role"].values()),
        **page,
    }

"""Policies attached to roots, units and accounts.

Every target keeps at least one service control policy; RCPFullAWSAccess can't be detached.
https://docs.aws.amazon.com/organizations/latest/APIReference/API_AttachPolicy.html
https://docs.aws.amazon.com/organizations/latest/APIReference/API_DetachPolicy.html
"""

from __future__ import annotations

from typing import Any, Final

from freehold.services.call import Call
from freehold.services.iam.records import ACCOUNTS
from freehold.services.operation import Params, Result
from freehold.services.organizations import attached, names, pages, shapes, tree
from freehold.services.organizations.authorized import current, node, on, on_each, organizations, policy, type_of_policy
from freehold.services.organizations.errors import (
    DuplicatePolicyAttachment,
    PolicyNotAttached,
    PolicyTypeNotEnabled,
    constraint,
    invalid_input,
)
from freehold.services.organizations.records import RCP_FULL_ACCESS, TARGETS, Organization
from freehold.storage.records import Reader

MOST_ATTACHED: Final = {
    # Doubled in May 2026.
    "SERVICE_CONTROL_POLICY": 10,
    "RESOURCE_CONTROL_POLICY": 5,
    "AISERVICES_OPT_OUT_POLICY": 5,
    "CHATBOT_POLICY": 5,
}
MOST_ATTACHED_OTHERWISE: Final = 10
"""Directly to one target: https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html"""

_TYPE = "AWS::Organizations::Policy"


@organizations(
    "AttachPolicy",
    on_each("AttachPolicy", "management", (policy, node("TargetId")), type_of_policy),
    writes=True,
)
def attach_policy(call: Call, params: Params) -> None:
    """From here the policy counts for the target and all below it, in every request. Its type must be enabled."""
    tx, organization, target_id = call.tx, current(call), params["TargetId"]
    record = attached.require_policy(tx, organization, params["PolicyId"])
    tree.require_node(tx, organization, target_id)
    if record.type not in organization.policy_types:
        raise PolicyTypeNotEnabled()
    if attached.is_attached(tx, organization, record.policy_id, target_id):
        raise DuplicatePolicyAttachment()
    present = attached.policies_on(tx, organization.organization_id, target_id, record.type)
    if len(present) >= MOST_ATTACHED.get(record.type, MOST_ATTACHED_OTHERWISE):
        raise constraint("MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED")
    attached.attach(tx, organization, record, target_id)
    call.resources.append((_TYPE, names.policy_of(organization.management_account_id, record)))


@organizations(
    "DetachPolicy",
    on_each("DetachPolicy", "management", (policy, node("TargetId")), type_of_policy),
    writes=True,
)
def detach_policy(call: Call, params: Params) -> None:
    """The last service control policy of a target stays: attach its replacement first."""
    tx, organization, target_id = call.tx, current(call), params["TargetId"]
    record = attached.require_policy(tx, organization, params["PolicyId"])
    tree.require_node(tx, organization, target_id)
    if not attached.is_attached(tx, organization, record.policy_id, target_id):
        raise PolicyNotAttached()
    if record.policy_id == RCP_FULL_ACCESS:
        raise invalid_input("NON_DETACHABLE_POLICY")
    present = attached.policies_on(tx, organization.organization_id, target_id, record.type)
    if record.type == "SERVICE_CONTROL_POLICY" and len(present) == 1:
        raise constraint("MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED")
    attached.detach(tx, organization, record.policy_id, target_id)
    call.resources.append((_TYPE, names.policy_of(organization.management_account_id, record)))


@organizations("ListPoliciesForTarget", on("ListPoliciesForTarget", "reader", node("TargetId"), type_of_policy))
def list_policies_for_target(call: Call, params: Params) -> Result:
    """Those attached to the target itself, in the order of attaching."""
    reader, organization, target_id = call.reader, current(call), params["TargetId"]
    tree.require_node(reader, organization, target_id)
    present = attached.numbered(reader, organization.organization_id, target_id, params["Filter"])
    placed = ((f"{number:020}", one) for number, one in present)
    return pages.page(params, "Policies", placed, lambda one: shapes.policy_summary(organization, one))


@organizations("ListTargetsForPolicy", on("ListTargetsForPolicy", "reader", policy, type_of_policy))
def list_targets_for_policy(call: Call, params: Params) -> Result:
    """The root, units and accounts that a policy is attached to, by id."""
    reader, organization = call.reader, current(call)
    record = attached.require_policy(reader, organization, params["PolicyId"])
    rows = TARGETS.scan(reader, (organization.organization_id, record.policy_id))
    targets = ((str(key[2]), str(key[2])) for key, _ in rows)
    return pages.page(params, "Targets", targets, lambda id_: _target(reader, organization, id_))


def _target(reader: Reader, organization: Organization, target_id: str) -> dict[str, Any]:
    kind, name = "ROOT", "Root"
    unit, account = tree.unit(reader, organization, target_id), ACCOUNTS.get(reader, (target_id,))
    if unit is not None:
        kind, name = "ORGANIZATIONAL_UNIT", unit.name
    elif account is not None:
        kind, name = "ACCOUNT", account.name
    return {"TargetId": target_id, "Arn": names.node(organization, target_id), "Name": name, "Type": kind}

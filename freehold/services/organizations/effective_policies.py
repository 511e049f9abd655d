"""DescribeEffectivePolicy: what the management policies of one type come to for one account.

https://docs.aws.amazon.com/organizations/latest/APIReference/API_DescribeEffectivePolicy.html
"""

from __future__ import annotations

import json

from freehold.authorization import document
from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.operation import Params, Result
from freehold.services.organizations import attached, inheritance, names, shapes, tree
from freehold.services.organizations.authorized import current, organizations, permission
from freehold.services.organizations.errors import EffectivePolicyNotFound, TargetNotFound, invalid_input


def _may_describe(call: Call, params: Params) -> list[Permission]:
    """Every account may ask for its own; for another's, as for all that is the organization's."""
    organization = tree.organization_of(call.reader, call.account_id)
    if organization is None:
        return [Permission("organizations:DescribeEffectivePolicy", "*", call.account_id)]
    target_id = params.get("TargetId", call.account_id)
    who = "member" if target_id == call.account_id else "reader"
    context = {"organizations:policytype": params["PolicyType"]}
    arn = names.node(organization, target_id)
    return [permission(call, organization, "DescribeEffectivePolicy", who, arn, context)]  # type: ignore[arg-type]


@organizations("DescribeEffectivePolicy", _may_describe)
def describe_effective_policy(call: Call, params: Params) -> Result:
    """Of management policies only: service and resource control policies have no one effective document."""
    reader, organization, type_ = call.reader, current(call), params["PolicyType"]
    target_id = params.get("TargetId", call.account_id)
    if not target_id.isdigit():
        raise invalid_input("TARGET_NOT_SUPPORTED")
    if tree.member(reader, organization, target_id) is None:
        raise TargetNotFound()
    if type_ not in organization.policy_types:
        raise EffectivePolicyNotFound()
    by_level = [
        attached.policies_on(reader, organization.organization_id, node_id, type_)
        for node_id in tree.levels(reader, organization, target_id)
    ]
    if not any(by_level):
        raise EffectivePolicyNotFound()
    merged = inheritance.effective([[document.load_json(one.content) for one in level] for level in by_level])
    return {
        "EffectivePolicy": {
            "PolicyContent": json.dumps(merged, separators=(",", ":"), ensure_ascii=False),
            "LastUpdatedTimestamp": shapes.date(max(one.updated_at for level in by_level for one in level)),
            "TargetId": target_id,
            "PolicyType": type_,
        }
    }

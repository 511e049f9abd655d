"""The root and the policy types that are enabled in it.

https://docs.aws.amazon.com/organizations/latest/APIReference/API_EnablePolicyType.html
"""

from __future__ import annotations

from freehold.services.call import Call
from freehold.services.operation import Params, Result
from freehold.services.organizations import attached, names, pages, shapes, tree
from freehold.services.organizations.authorized import current, node, on, organizations, type_of_policy
from freehold.services.organizations.errors import (
    PolicyTypeAlreadyEnabled,
    PolicyTypeNotAvailable,
    PolicyTypeNotEnabled,
    RootNotFound,
)
from freehold.services.organizations.records import ORGANIZATIONS, Organization


@organizations("ListRoots", on("ListRoots", "reader"))
def list_roots(call: Call, params: Params) -> Result:
    """The one root, with the policy types that are enabled in it."""
    organization = current(call)
    return pages.page(params, "Roots", [(organization.root_id, organization)], shapes.root)


def _require_root(organization: Organization, root_id: str) -> None:
    if root_id != organization.root_id:
        raise RootNotFound()


@organizations("EnablePolicyType", on("EnablePolicyType", "management", node("RootId"), type_of_policy), writes=True)
def enable_policy_type(call: Call, params: Params) -> Result:
    """From here policies of the type count. Service and resource control policies begin with full access everywhere."""
    tx, organization, type_ = call.tx, current(call), params["PolicyType"]
    _require_root(organization, params["RootId"])
    if not organization.all_features:
        raise PolicyTypeNotAvailable()
    if type_ in organization.policy_types:
        raise PolicyTypeAlreadyEnabled()
    organization.policy_types = sorted((*organization.policy_types, type_))
    ORGANIZATIONS.put(tx, (organization.organization_id,), organization)
    if type_ in attached.DEFAULT:
        for node_id in list(tree.node_ids(tx, organization)):
            attached.attach(tx, organization, attached.DEFAULT[type_], node_id)
    call.resources.append(("AWS::Organizations::Root", names.root(organization)))
    return {"Root": shapes.root(organization)}


@organizations("DisablePolicyType", on("DisablePolicyType", "management", node("RootId"), type_of_policy), writes=True)
def disable_policy_type(call: Call, params: Params) -> Result:
    """Policies of the type no longer count, and are detached from everything; enabling it again brings none back."""
    tx, organization, type_ = call.tx, current(call), params["PolicyType"]
    _require_root(organization, params["RootId"])
    if type_ not in organization.policy_types:
        raise PolicyTypeNotEnabled()
    organization.policy_types = [other for other in organization.policy_types if other != type_]
    ORGANIZATIONS.put(tx, (organization.organization_id,), organization)
    for node_id in list(tree.node_ids(tx, organization)):
        attached.detach_all(tx, organization, node_id, type_)
    call.resources.append(("AWS::Organizations::Root", names.root(organization)))
    return {"Root": shapes.root(organization)}

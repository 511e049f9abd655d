"""An organization's beginning and end: CreateOrganization, DescribeOrganization, DeleteOrganization.

https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreateOrganization.html
"""

from __future__ import annotations

from typing import Any

from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.operation import Params, Result
from freehold.services.organizations import attached, handshaking, members, names, shapes, tree
from freehold.services.organizations.authorized import (
    current,
    may_have_linked_role_made,
    on,
    organizations,
    the_organization,
)
from freehold.services.organizations.errors import AlreadyInOrganization, OrganizationNotEmpty
from freehold.services.organizations.records import (
    ACCOUNTS_OF,
    CREATIONS,
    MEMBERSHIPS,
    ORGANIZATIONS,
    POLICY_NAMES,
    RESOURCE_POLICIES,
    SERVICE_ACCESS,
    TAGS,
    UNITS,
    Organization,
)
from freehold.storage.records import Table


def _may_create(call: Call, params: Params) -> list[Permission]:
    if params.get("FeatureSet", "ALL") == "ALL":
        may_have_linked_role_made(call)
    return [Permission("organizations:CreateOrganization", "*", call.account_id)]


@organizations("CreateOrganization", _may_create, writes=True)
def create_organization(call: Call, params: Params) -> Result:
    """The caller's account becomes the management account. With all features, service control policies are enabled."""
    tx, now = call.tx, int(call.app.clock.now_seconds())
    if MEMBERSHIPS.get(tx, (call.account_id,)) is not None:
        raise AlreadyInOrganization()
    all_features = params.get("FeatureSet", "ALL") == "ALL"
    organization = Organization(
        organization_id=names.new_organization_id(),
        management_account_id=call.account_id,
        root_id=names.new_root_id(),
        created_at=now,
        all_features=all_features,
        policy_types=["SERVICE_CONTROL_POLICY"] if all_features else [],
    )
    ORGANIZATIONS.put(tx, (organization.organization_id,), organization)
    attached.attach_defaults(tx, organization, organization.root_id)
    members.join(tx, organization, call.account_id, "INVITED", now, {})
    call.resources.append(("AWS::Organizations::Organization", names.organization(organization)))
    return {"Organization": shapes.organization(tx, organization)}


@organizations("DescribeOrganization", on("DescribeOrganization", "member"))
def describe_organization(call: Call, params: Params) -> Result:
    """The organization that the caller's account is in; any of its accounts may ask."""
    return {"Organization": shapes.organization(call.reader, current(call))}


@organizations("DeleteOrganization", on("DeleteOrganization", "management", the_organization), writes=True)
def delete_organization(call: Call, params: Params) -> None:
    """Refused while there are other accounts (closed ones too), units or policies. Open invitations are canceled."""
    tx, organization = call.tx, current(call)
    of = organization.organization_id
    others = len(list(ACCOUNTS_OF.scan(tx, (of,), limit=2))) > 1
    left: tuple[Table[Any], ...] = (UNITS, POLICY_NAMES)
    if others or any(list(table.scan(tx, (of,), limit=1)) for table in left):
        raise OrganizationNotEmpty()
    now = int(call.app.clock.now_seconds())
    handshaking.cancel_all(tx, organization, now)
    members.remove(tx, organization, tree.require_member(tx, organization, call.account_id), now)
    attached.detach_all(tx, organization, organization.root_id)
    kept_by_organization: list[Table[Any]] = [TAGS, SERVICE_ACCESS, CREATIONS]
    for table in kept_by_organization:
        for key, _ in list(table.scan(tx, (of,))):
            table.delete(tx, key)
    RESOURCE_POLICIES.delete(tx, (of,))
    ORGANIZATIONS.delete(tx, (of,))
    call.resources.append(("AWS::Organizations::Organization", names.organization(organization)))

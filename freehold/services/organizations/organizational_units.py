"""Organizational units: containers of accounts and further units, five levels deep, names unique among siblings.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_ous.html
"""

from __future__ import annotations

from freehold.services.call import Call
from freehold.services.iam.records import Mark
from freehold.services.operation import Params, Result
from freehold.services.organizations import attached, names, pages, shapes, tagging, tree
from freehold.services.organizations.authorized import current, node, on, organizations, request_tags
from freehold.services.organizations.errors import (
    DuplicateOrganizationalUnit,
    OrganizationalUnitNotEmpty,
    OrganizationalUnitNotFound,
    constraint,
)
from freehold.services.organizations.records import ORGANIZATIONS, UNIT_NAMES, UNITS, Organization, Unit
from freehold.storage.records import Reader, Transaction

MOST_UNITS = 2000
"""https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html"""


def _require(reader: Reader, organization: Organization, unit_id: str) -> Unit:
    found = tree.unit(reader, organization, unit_id)
    if found is None:
        raise OrganizationalUnitNotFound()
    return found


def _take_name(tx: Transaction, organization: Organization, parent_id: str, name: str) -> None:
    key = (organization.organization_id, parent_id, name)
    if UNIT_NAMES.get(tx, key) is not None:
        raise DuplicateOrganizationalUnit()
    UNIT_NAMES.put(tx, key, Mark())


@organizations(
    "CreateOrganizationalUnit",
    on("CreateOrganizationalUnit", "management", node("ParentId"), request_tags, makes="ou"),
    writes=True,
)
def create_organizational_unit(call: Call, params: Params) -> Result:
    """At most 2,000, five levels deep. It begins with full access attached."""
    tx, organization, parent_id = call.tx, current(call), params["ParentId"]
    tree.require_parent(tx, organization, parent_id)
    if len(tree.levels(tx, organization, parent_id)) > tree.DEEPEST_UNIT:
        raise constraint("OU_DEPTH_LIMIT_EXCEEDED")
    if organization.units >= MOST_UNITS:
        raise constraint("OU_NUMBER_LIMIT_EXCEEDED")
    _take_name(tx, organization, parent_id, params["Name"])
    unit = Unit(
        unit_id=names.new_unit_id(organization.root_id),
        name=params["Name"],
        parent_id=parent_id,
        created_at=int(call.app.clock.now_seconds()),
    )
    organization.units += 1
    ORGANIZATIONS.put(tx, (organization.organization_id,), organization)
    UNITS.put(tx, (organization.organization_id, unit.unit_id), unit)
    tree.put_child(tx, organization, parent_id, "ORGANIZATIONAL_UNIT", unit.unit_id)
    attached.attach_defaults(tx, organization, unit.unit_id)
    tagging.add(tx, organization, unit.unit_id, tagging.checked(params.get("Tags") or []))
    call.resources.append(("AWS::Organizations::OrganizationalUnit", names.unit(organization, unit.unit_id)))
    return {"OrganizationalUnit": shapes.unit(tx, organization, unit)}


_on_unit = node("OrganizationalUnitId")


@organizations("DescribeOrganizationalUnit", on("DescribeOrganizationalUnit", "reader", _on_unit))
def describe_organizational_unit(call: Call, params: Params) -> Result:
    """One unit with its path."""
    organization = current(call)
    unit = _require(call.reader, organization, params["OrganizationalUnitId"])
    return {"OrganizationalUnit": shapes.unit(call.reader, organization, unit)}


@organizations("UpdateOrganizationalUnit", on("UpdateOrganizationalUnit", "management", _on_unit), writes=True)
def update_organizational_unit(call: Call, params: Params) -> Result:
    """Another name. Id, ARN, place and policies stay."""
    tx, organization = call.tx, current(call)
    unit = _require(tx, organization, params["OrganizationalUnitId"])
    name = params.get("Name", unit.name)
    if name != unit.name:
        _take_name(tx, organization, unit.parent_id, name)
        UNIT_NAMES.delete(tx, (organization.organization_id, unit.parent_id, unit.name))
        unit.name = name
        UNITS.put(tx, (organization.organization_id, unit.unit_id), unit)
    call.resources.append(("AWS::Organizations::OrganizationalUnit", names.unit(organization, unit.unit_id)))
    return {"OrganizationalUnit": shapes.unit(tx, organization, unit)}


@organizations("DeleteOrganizationalUnit", on("DeleteOrganizationalUnit", "management", _on_unit), writes=True)
def delete_organizational_unit(call: Call, params: Params) -> None:
    """Refused while it has accounts or units. Policies are detached from it."""
    tx, organization = call.tx, current(call)
    unit = _require(tx, organization, params["OrganizationalUnitId"])
    if not tree.is_empty(tx, organization, unit.unit_id):
        raise OrganizationalUnitNotEmpty()
    attached.detach_all(tx, organization, unit.unit_id)
    tagging.forget(tx, organization, unit.unit_id)
    UNIT_NAMES.delete(tx, (organization.organization_id, unit.parent_id, unit.name))
    UNITS.delete(tx, (organization.organization_id, unit.unit_id))
    tree.remove_child(tx, organization, unit.parent_id, "ORGANIZATIONAL_UNIT", unit.unit_id)
    organization.units -= 1
    ORGANIZATIONS.put(tx, (organization.organization_id,), organization)
    call.resources.append(("AWS::Organizations::OrganizationalUnit", names.unit(organization, unit.unit_id)))


@organizations("ListOrganizationalUnitsForParent", on("ListOrganizationalUnitsForParent", "reader", node("ParentId")))
def list_organizational_units_for_parent(call: Call, params: Params) -> Result:
    """The units directly in the root or a unit."""
    reader, organization, parent_id = call.reader, current(call), params["ParentId"]
    tree.require_parent(reader, organization, parent_id)
    found = (
        (unit_id, _require(reader, organization, unit_id))
        for unit_id in tree.children(reader, organization, parent_id, "ORGANIZATIONAL_UNIT")
    )
    return pages.page(params, "OrganizationalUnits", found, lambda unit: shapes.unit(reader, organization, unit))

"""Policies of every type: made, read, changed, deleted, listed.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freehold.services.call import Call
from freehold.services.operation import Params, Result
from freehold.services.organizations import attached, documents, names, pages, shapes, tagging
from freehold.services.organizations.authorized import (
    current,
    on,
    organizations,
    policy,
    request_tags,
    type_of_policy,
)
from freehold.services.organizations.errors import (
    DuplicatePolicy,
    PolicyInUse,
    PolicyTypeNotAvailable,
    constraint,
    invalid_input,
)
from freehold.services.organizations.records import POLICIES, POLICY_NAMES, TARGETS, Named, Organization, Policy
from freehold.storage.records import Reader, Transaction

_TYPE = "AWS::Organizations::Policy"


def _require_own(reader: Reader, organization: Organization, policy_id: str) -> Policy:
    """Raises PolicyNotFoundException, and InvalidInputException for AWS's own."""
    found = attached.require_policy(reader, organization, policy_id)
    if policy_id in attached.BUILT_IN:
        raise invalid_input("IMMUTABLE_POLICY")
    return found


def _take_name(tx: Transaction, record: Policy) -> None:
    key = (record.organization_id, record.type, record.name)
    built_in = attached.DEFAULT.get(record.type)
    if POLICY_NAMES.get(tx, key) is not None or (built_in is not None and built_in.name == record.name):
        raise DuplicatePolicy()
    POLICY_NAMES.put(tx, key, Named(id=record.policy_id))


def _shown(call: Call, organization: Organization, record: Policy) -> Result:
    call.resources.append((_TYPE, names.policy_of(organization.management_account_id, record)))
    return {"Policy": {"PolicySummary": shapes.policy_summary(organization, record), "Content": record.content}}


@organizations(
    "CreatePolicy",
    on("CreatePolicy", "management", None, type_of_policy, request_tags, makes="policy"),
    writes=True,
)
def create_policy(call: Call, params: Params) -> Result:
    """Names are unique within a type. A policy does nothing until it's attached."""
    tx, organization, now = call.tx, current(call), int(call.app.clock.now_seconds())
    type_ = params["Type"]
    if not organization.all_features:
        raise PolicyTypeNotAvailable()
    documents.check(type_, params["Content"])
    tags = tagging.checked(params.get("Tags") or [])
    most = documents.MOST_POLICIES.get(type_, documents.MOST_POLICIES_OTHERWISE)
    if sum(1 for _ in POLICY_NAMES.scan(tx, (organization.organization_id, type_), limit=most)) >= most:
        raise constraint("POLICY_NUMBER_LIMIT_EXCEEDED")
    record = Policy(
        policy_id=names.new_policy_id(),
        organization_id=organization.organization_id,
        type=type_,
        name=params["Name"],
        description=params["Description"],
        content=params["Content"],
        created_at=now,
        updated_at=now,
    )
    _take_name(tx, record)
    POLICIES.put(tx, (organization.organization_id, record.policy_id), record)
    tagging.add(tx, organization, record.policy_id, tags)
    return _shown(call, organization, record)


@organizations("DescribePolicy", on("DescribePolicy", "reader", policy, type_of_policy))
def describe_policy(call: Call, params: Params) -> Result:
    """A policy with its content."""
    organization = current(call)
    return _shown(call, organization, attached.require_policy(call.reader, organization, params["PolicyId"]))


@organizations("UpdatePolicy", on("UpdatePolicy", "management", policy, type_of_policy), writes=True)
def update_policy(call: Call, params: Params) -> Result:
    """Another name, description or content; what is left out stays. Other content counts at once wherever the policy
    is attached."""
    tx, organization = call.tx, current(call)
    record = _require_own(tx, organization, params["PolicyId"])
    if "Content" in params:
        documents.check(record.type, params["Content"])
        record.content = params["Content"]
    if params.get("Name", record.name) != record.name:
        POLICY_NAMES.delete(tx, (organization.organization_id, record.type, record.name))
        record.name = params["Name"]
        _take_name(tx, record)
    record.description = params.get("Description", record.description)
    record.updated_at = int(call.app.clock.now_seconds())
    POLICIES.put(tx, (organization.organization_id, record.policy_id), record)
    return _shown(call, organization, record)


@organizations("DeletePolicy", on("DeletePolicy", "management", policy, type_of_policy), writes=True)
def delete_policy(call: Call, params: Params) -> None:
    """Refused while it's attached to anything."""
    tx, organization = call.tx, current(call)
    record = _require_own(tx, organization, params["PolicyId"])
    of = organization.organization_id
    if list(TARGETS.scan(tx, (of, record.policy_id), limit=1)):
        raise PolicyInUse()
    POLICY_NAMES.delete(tx, (of, record.type, record.name))
    POLICIES.delete(tx, (of, record.policy_id))
    tagging.forget(tx, organization, record.policy_id)
    call.resources.append((_TYPE, names.policy_of(organization.management_account_id, record)))


@organizations("ListPolicies", on("ListPolicies", "reader", None, type_of_policy))
def list_policies(call: Call, params: Params) -> Result:
    """The policies of one type, AWS's own first, then by name; without content."""
    reader, organization, type_ = call.reader, current(call), params["Filter"]
    of = organization.organization_id

    def found() -> Iterator[tuple[str, Policy]]:
        if type_ in attached.DEFAULT:
            yield "", attached.DEFAULT[type_]
        start = pages.after(params)
        for key, named in POLICY_NAMES.scan(reader, (of, type_), after=(of, type_, start) if start else None):
            yield str(key[2]), attached.require_policy(reader, organization, named.id)

    return pages.page(params, "Policies", found(), lambda one: shapes.policy_summary(organization, one))

"""The organization's accounts: described, listed, moved, closed, and taken out.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts.html
"""

from __future__ import annotations

from freehold.services.call import Call
from freehold.services.iam.records import ACCOUNTS, Mark
from freehold.services.operation import Params, Result
from freehold.services.organizations import all_features, members, names, pages, shapes, tree
from freehold.services.organizations.authorized import current, node, on, on_each, organizations
from freehold.services.organizations.errors import (
    AccountAlreadyClosed,
    AccountNotFound,
    ChildNotFound,
    DestinationParentNotFound,
    DuplicateAccount,
    SourceParentNotFound,
    constraint,
)
from freehold.services.organizations.records import DUE, Organization

CLOSED_SECONDS = 90 * 86_400
"""So long a closed account is still shown in its organization."""
_MOST_CLOSED, _CLOSED_WITHIN_SECONDS = 250, 30 * 86_400
"""Or a fifth of the accounts, if that is more."""

_TYPE = "AWS::Organizations::Account"


@organizations("DescribeAccount", on("DescribeAccount", "reader", node("AccountId")))
def describe_account(call: Call, params: Params) -> Result:
    """One account of the organization. A closed one is SUSPENDED."""
    reader, organization = call.reader, current(call)
    membership = tree.require_member(reader, organization, params["AccountId"])
    return {"Account": shapes.account(reader, organization, membership)}


@organizations("ListAccounts", on("ListAccounts", "reader"))
def list_accounts(call: Call, params: Params) -> Result:
    """All accounts, by id."""
    reader, organization = call.reader, current(call)
    ids = tree.account_ids(reader, organization, after=pages.after(params))
    found = ((id_, tree.require_member(reader, organization, id_)) for id_ in ids)
    return pages.page(params, "Accounts", found, lambda one: shapes.account(reader, organization, one))


@organizations("ListAccountsForParent", on("ListAccountsForParent", "reader", node("ParentId")))
def list_accounts_for_parent(call: Call, params: Params) -> Result:
    """The accounts directly in the root or a unit."""
    reader, organization, parent_id = call.reader, current(call), params["ParentId"]
    tree.require_parent(reader, organization, parent_id)
    ids = tree.children(reader, organization, parent_id, "ACCOUNT")
    found = ((id_, tree.require_member(reader, organization, id_)) for id_ in ids)
    return pages.page(params, "Accounts", found, lambda one: shapes.account(reader, organization, one))


@organizations("ListChildren", on("ListChildren", "reader", node("ParentId")))
def list_children(call: Call, params: Params) -> Result:
    """The ids of the accounts, or of the units, directly in the root or a unit."""
    reader, organization, kind = call.reader, current(call), params["ChildType"]
    tree.require_parent(reader, organization, params["ParentId"])
    ids = tree.children(reader, organization, params["ParentId"], kind)
    return pages.page(params, "Children", ((id_, id_) for id_ in ids), lambda id_: {"Id": id_, "Type": kind})


@organizations("ListParents", on("ListParents", "reader", node("ChildId")))
def list_parents(call: Call, params: Params) -> Result:
    """Where an account or a unit is: one parent."""
    reader, organization, child_id = call.reader, current(call), params["ChildId"]
    child = tree.unit(reader, organization, child_id) or tree.member(reader, organization, child_id)
    if child is None:
        raise ChildNotFound()
    kind = "ROOT" if child.parent_id == organization.root_id else "ORGANIZATIONAL_UNIT"
    return pages.page(params, "Parents", [(child.parent_id, child.parent_id)], lambda id_: {"Id": id_, "Type": kind})


@organizations(
    "MoveAccount",
    on_each("MoveAccount", "management", (node("AccountId"), node("SourceParentId"), node("DestinationParentId"))),
    writes=True,
)
def move_account(call: Call, params: Params) -> None:
    """To another unit, or the root; from there the policies of the new place count. Its own stay."""
    tx, organization, account_id = call.tx, current(call), params["AccountId"]
    membership = tree.require_member(tx, organization, account_id)
    source, destination = params["SourceParentId"], params["DestinationParentId"]
    if not tree.is_parent(tx, organization, source):
        raise SourceParentNotFound()
    if not tree.is_parent(tx, organization, destination):
        raise DestinationParentNotFound()
    if membership.parent_id == destination:
        raise DuplicateAccount()
    if membership.parent_id != source:
        raise AccountNotFound("The account isn't in the source parent that you specified.")
    membership.parent_id = destination
    tree.put_member(tx, organization, membership)
    call.resources.append((_TYPE, names.account(organization, account_id)))


@organizations(
    "RemoveAccountFromOrganization", on("RemoveAccountFromOrganization", "management", node("AccountId")), writes=True
)
def remove_account_from_organization(call: Call, params: Params) -> None:
    """The account stands alone from here. One that was created in the organization stays at least four days."""
    organization, account_id = current(call), params["AccountId"]
    members.depart(call.tx, organization, account_id, int(call.app.clock.now_seconds()))
    call.resources.append((_TYPE, names.account(organization, account_id)))


@organizations("LeaveOrganization", on("LeaveOrganization", "member"), writes=True)
def leave_organization(call: Call, params: Params) -> None:
    """As RemoveAccountFromOrganization, by the member account itself. A service control policy can deny it."""
    organization = current(call)
    members.depart(call.tx, organization, call.account_id, int(call.app.clock.now_seconds()))
    call.resources.append((_TYPE, names.account(organization, call.account_id)))


@organizations("CloseAccount", on("CloseAccount", "management", node("AccountId")), writes=True)
def close_account(call: Call, params: Params) -> None:
    """Its principals are refused and what is in it can't be reached, from here on and for good.

    For 90 days it's still in the organization, SUSPENDED. Within 30 days at most 250 accounts or a fifth of them.
    """
    tx, organization, account_id = call.tx, current(call), params["AccountId"]
    now = int(call.app.clock.now_seconds())
    tree.require_member(tx, organization, account_id)
    if not organization.all_features:
        raise constraint("ORGANIZATION_NOT_IN_ALL_FEATURES_MODE")
    if account_id == organization.management_account_id:
        raise constraint("CANNOT_CLOSE_MANAGEMENT_ACCOUNT")
    account = ACCOUNTS.get(tx, (account_id,))
    assert account is not None
    if account.closed_at:
        raise AccountAlreadyClosed()
    if members.is_administrator(tx, organization, account_id):
        raise constraint("CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG")
    _refuse_too_many(call, organization, now)
    account.closed_at = now
    ACCOUNTS.put(tx, (account_id,), account)
    DUE.put(tx, ("account", now + CLOSED_SECONDS, account_id), Mark())
    tx.touch("organizations")
    all_features.advance(tx, organization, now)
    call.resources.append((_TYPE, names.account(organization, account_id)))


def _refuse_too_many(call: Call, organization: Organization, now: int) -> None:
    known = [ACCOUNTS.get(call.tx, (id_,)) for id_ in tree.account_ids(call.tx, organization)]
    closed = sum(1 for account in known if account is not None and account.closed_at > now - _CLOSED_WITHIN_SECONDS)
    if closed >= max(_MOST_CLOSED, len(known) // 5):
        raise constraint("CLOSE_ACCOUNT_QUOTA_EXCEEDED")

"""The tree of one organization: its root, its units, its accounts. Who is where, and how they come and go.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_getting-started_concepts.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from freehold.services.iam.records import Mark
from freehold.services.organizations.errors import AccountNotFound, ParentNotFound, TargetNotFound
from freehold.services.organizations.records import (
    ACCOUNTS_OF,
    CHILDREN,
    MEMBERSHIPS,
    ORGANIZATIONS,
    UNITS,
    Membership,
    Organization,
    Unit,
)
from freehold.storage.records import Reader, Transaction

ChildType = Literal["ACCOUNT", "ORGANIZATIONAL_UNIT"]
DEEPEST_UNIT = 5
"""Levels of units below the root: https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html"""


def organization_of(reader: Reader, account_id: str) -> Organization | None:
    """The organization that an account is in."""
    membership = MEMBERSHIPS.get(reader, (account_id,))
    return None if membership is None else ORGANIZATIONS.get(reader, (membership.organization_id,))


def member(reader: Reader, organization: Organization, account_id: str) -> Membership | None:
    membership = MEMBERSHIPS.get(reader, (account_id,))
    if membership is None or membership.organization_id != organization.organization_id:
        return None
    return membership


def require_member(reader: Reader, organization: Organization, account_id: str) -> Membership:
    """Raises AccountNotFoundException for an account of no or another organization."""
    found = member(reader, organization, account_id)
    if found is None:
        raise AccountNotFound()
    return found


def unit(reader: Reader, organization: Organization, unit_id: str) -> Unit | None:
    return UNITS.get(reader, (organization.organization_id, unit_id))


def is_parent(reader: Reader, organization: Organization, node_id: str) -> bool:
    """Whether the id is the root's, or a unit's."""
    return node_id == organization.root_id or unit(reader, organization, node_id) is not None


def require_parent(reader: Reader, organization: Organization, node_id: str) -> None:
    if not is_parent(reader, organization, node_id):
        raise ParentNotFound()


def require_node(reader: Reader, organization: Organization, node_id: str) -> None:
    """Raises TargetNotFoundException unless the id is the root's, a unit's or an account's."""
    if not is_parent(reader, organization, node_id) and member(reader, organization, node_id) is None:
        raise TargetNotFound()


def levels(reader: Reader, organization: Organization, node_id: str) -> list[str]:
    """The ids from the root down to a root, unit or account, which must exist."""
    found = [node_id]
    membership = MEMBERSHIPS.get(reader, (node_id,))
    if membership is not None:
        found.append(membership.parent_id)
    while found[-1] != organization.root_id:
        above = UNITS.get(reader, (organization.organization_id, found[-1]))
        assert above is not None
        found.append(above.parent_id)
    found.reverse()
    return found


def path(reader: Reader, organization: Organization, node_id: str) -> str:
    """The entity path down to and with a node: `o-…/r-…/ou-…/`."""
    return "/".join((organization.organization_id, *levels(reader, organization, node_id), ""))


def children(reader: Reader, organization: Organization, parent_id: str, kind: ChildType) -> Iterator[str]:
    """The ids of the children of one kind, in their order."""
    for key, _ in CHILDREN.scan(reader, (organization.organization_id, parent_id, kind)):
        yield str(key[3])


def is_empty(reader: Reader, organization: Organization, parent_id: str) -> bool:
    """Whether a unit has neither accounts nor units."""
    return not list(CHILDREN.scan(reader, (organization.organization_id, parent_id), limit=1))


def account_ids(reader: Reader, organization: Organization, *, after: str | None = None) -> Iterator[str]:
    """The ids of all accounts of the organization, in their order."""
    of = organization.organization_id
    for key, _ in ACCOUNTS_OF.scan(reader, (of,), after=None if after is None else (of, after)):
        yield str(key[1])


def node_ids(reader: Reader, organization: Organization) -> Iterator[str]:
    """The root, every unit, every account."""
    yield organization.root_id
    for key, _ in UNITS.scan(reader, (organization.organization_id,)):
        yield str(key[1])
    yield from account_ids(reader, organization)


def put_child(tx: Transaction, organization: Organization, parent_id: str, kind: ChildType, child_id: str) -> None:
    CHILDREN.put(tx, (organization.organization_id, parent_id, kind, child_id), Mark())


def remove_child(tx: Transaction, organization: Organization, parent_id: str, kind: ChildType, child_id: str) -> None:
    CHILDREN.delete(tx, (organization.organization_id, parent_id, kind, child_id))


def put_member(tx: Transaction, organization: Organization, membership: Membership) -> None:
    """Write an account's place, taking it out of the one that it had."""
    account_id = membership.account_id
    before = MEMBERSHIPS.get(tx, (account_id,))
    if before is not None:
        remove_child(tx, organization, before.parent_id, "ACCOUNT", account_id)
    MEMBERSHIPS.put(tx, (account_id,), membership)
    ACCOUNTS_OF.put(tx, (organization.organization_id, account_id), Mark())
    put_child(tx, organization, membership.parent_id, "ACCOUNT", account_id)


def remove_member(tx: Transaction, organization: Organization, membership: Membership) -> None:
    account_id = membership.account_id
    MEMBERSHIPS.delete(tx, (account_id,))
    ACCOUNTS_OF.delete(tx, (organization.organization_id, account_id))
    remove_child(tx, organization, membership.parent_id, "ACCOUNT", account_id)

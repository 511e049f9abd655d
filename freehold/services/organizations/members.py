"""How accounts come into an organization and go: what every way in and out has in common.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_remove.html
"""

from __future__ import annotations

from typing import Literal

from freehold.services.iam.records import ACCOUNTS
from freehold.services.organizations import all_features, attached, first_roles, tagging, tree
from freehold.services.organizations.errors import MasterCannotLeaveOrganization, constraint
from freehold.services.organizations.records import ADMINISTRATORS, Membership, Organization
from freehold.storage.records import Reader, Transaction

MOST_ACCOUNTS = 1000
"""Closed accounts and open invitations count. AWS's default is 10, raised on request."""

WAIT_SECONDS = 4 * 86_400
"""So long an account that was created in the organization stays in it at least."""


def join(
    tx: Transaction,
    organization: Organization,
    account_id: str,
    method: Literal["INVITED", "CREATED"],
    now: int,
    tags: dict[str, str],
) -> None:
    """Put an account under the root. Whether it may is the caller's to check."""
    tree.put_member(
        tx,
        organization,
        Membership(
            account_id=account_id,
            organization_id=organization.organization_id,
            parent_id=organization.root_id,
            joined_at=now,
            joined_method=method,
        ),
    )
    attached.attach_defaults(tx, organization, account_id)
    tagging.add(tx, organization, account_id, tags)
    if organization.all_features:
        first_roles.make_linked_role(tx, account_id, now)


def depart(tx: Transaction, organization: Organization, account_id: str, now: int) -> None:
    """Take an account out: its policies, tags and place go. Raises why it can't leave."""
    membership = tree.require_member(tx, organization, account_id)
    if account_id == organization.management_account_id:
        raise MasterCannotLeaveOrganization()
    if is_administrator(tx, organization, account_id):
        raise constraint("CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG")
    if membership.joined_method == "CREATED" and now - membership.joined_at < WAIT_SECONDS:
        raise constraint("WAIT_PERIOD_ACTIVE")
    remove(tx, organization, membership, now)


def remove(tx: Transaction, organization: Organization, membership: Membership, now: int) -> None:
    """Take an account out without asking. Nobody waits for its agreement any more."""
    attached.detach_all(tx, organization, membership.account_id)
    tagging.forget(tx, organization, membership.account_id)
    for key, _ in list(ADMINISTRATORS.scan(tx, (organization.organization_id, membership.account_id))):
        ADMINISTRATORS.delete(tx, key)
    tree.remove_member(tx, organization, membership)
    all_features.advance(tx, organization, now)


def is_administrator(reader: Reader, organization: Organization, account_id: str) -> bool:
    rows = ADMINISTRATORS.scan(reader, (organization.organization_id, account_id), limit=1)
    return next(iter(rows), None) is not None


def is_open(reader: Reader, account_id: str) -> bool:
    """Whether there's such an account, not closed."""
    account = ACCOUNTS.get(reader, (account_id,))
    return account is not None and not account.closed_at

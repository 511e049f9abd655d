"""EnableAllFeatures: from consolidated billing to all features, once every invited account has agreed.

The request's handshake (ENABLE_ALL_FEATURES) stays REQUESTED while each invited account is asked by one of its own, of
the same kind, whose parent it is. When all have agreed, the management account has an APPROVE_ALL_FEATURES handshake,
and accepting that makes the change. Accounts that were created in the organization aren't asked; an account that
leaves, or is closed, isn't waited for. All of it runs out after 90 days.
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_org_support-all-features.html
https://docs.aws.amazon.com/organizations/latest/APIReference/API_Handshake.html
"""

from __future__ import annotations

from freehold.services.call import Call
from freehold.services.iam.records import ACCOUNTS
from freehold.services.operation import Params, Result
from freehold.services.organizations import first_roles, handshaking, names, tree
from freehold.services.organizations.authorized import current, on, organizations, the_organization
from freehold.services.organizations.errors import handshake_constraint
from freehold.services.organizations.records import (
    HANDSHAKES,
    ORGANIZATIONS,
    Handshake,
    HandshakeState,
    Membership,
    Organization,
)
from freehold.storage.records import Reader, Transaction

OPEN_SECONDS = 90 * 86_400


@organizations("EnableAllFeatures", on("EnableAllFeatures", "management", the_organization), writes=True)
def enable_all_features(call: Call, params: Params) -> Result:
    """Ask every invited account to agree. Pending invitations go on, new ones are refused meanwhile."""
    tx, organization, now = call.tx, current(call), int(call.app.clock.now_seconds())
    if organization.all_features:
        raise handshake_constraint("ORGANIZATION_ALREADY_HAS_ALL_FEATURES")
    if handshaking.pending(tx, organization, now, "ENABLE_ALL_FEATURES"):
        raise handshake_constraint("ORGANIZATION_IS_ALREADY_PENDING_ALL_FEATURES_MIGRATION")
    parent = _new(organization, now, "REQUESTED", expires_at=now + OPEN_SECONDS)
    handshaking.put_new(tx, parent)
    for account_id in list(tree.account_ids(tx, organization)):
        if _is_asked(tx, organization, tree.require_member(tx, organization, account_id)):
            child = _new(organization, now, "OPEN", expires_at=parent.expires_at, account_id=account_id, of=parent)
            handshaking.put_new(tx, child)
    advance(tx, organization, now)
    return {"Handshake": handshaking.shown(tx, parent, now)}


def _is_asked(reader: Reader, organization: Organization, membership: Membership) -> bool:
    """Whether the account's agreement is needed: it was invited, is not the one that asks, and is not closed."""
    account_id = membership.account_id
    if account_id == organization.management_account_id or membership.joined_method != "INVITED":
        return False
    account = ACCOUNTS.get(reader, (account_id,))
    return account is not None and not account.closed_at


def _new(
    organization: Organization,
    now: int,
    state: HandshakeState,
    *,
    expires_at: int,
    account_id: str = "",
    of: Handshake | None = None,
) -> Handshake:
    return Handshake(
        handshake_id=names.new_handshake_id(),
        organization_id=organization.organization_id,
        management_account_id=organization.management_account_id,
        action="ENABLE_ALL_FEATURES",
        state=state,
        requested_at=now,
        expires_at=expires_at,
        account_id=account_id,
        parent_id="" if of is None else of.handshake_id,
    )


def advance(tx: Transaction, organization: Organization, now: int) -> None:
    """Let the management account finish, when nobody who was asked and still is a member has yet to agree."""
    for parent in handshaking.pending(tx, organization, now, "ENABLE_ALL_FEATURES"):
        if parent.parent_id:
            continue
        children = _children(tx, parent)
        if any(child.action == "APPROVE_ALL_FEATURES" for child in children) or any(
            child.state != "ACCEPTED" and _is_waited_for(tx, organization, child) for child in children
        ):
            continue
        last = _new(
            organization,
            now,
            "OPEN",
            expires_at=parent.expires_at,
            account_id=organization.management_account_id,
            of=parent,
        )
        last.action = "APPROVE_ALL_FEATURES"
        handshaking.put_new(tx, last)


def _is_waited_for(reader: Reader, organization: Organization, child: Handshake) -> bool:
    membership = tree.member(reader, organization, child.account_id)
    return membership is not None and _is_asked(reader, organization, membership)


def _children(reader: Reader, parent: Handshake) -> list[Handshake]:
    sent = handshaking.sent(reader, parent.organization_id)
    return [child for child in sent if child.parent_id == parent.handshake_id]


def cancel_children(tx: Transaction, parent: Handshake, now: int) -> None:
    """What nobody has answered ends with its parent."""
    for child in _children(tx, parent):
        if handshaking.state(child, now) in handshaking.PENDING:
            handshaking.end(tx, child, "CANCELED", now)


def agree(tx: Transaction, child: Handshake, now: int) -> None:
    """One invited account has agreed (its handshake is ACCEPTED already)."""
    organization = ORGANIZATIONS.get(tx, (child.organization_id,))
    if organization is not None:
        advance(tx, organization, now)


def finalize(tx: Transaction, last: Handshake, now: int) -> None:
    """The management account makes the change."""
    organization = ORGANIZATIONS.get(tx, (last.organization_id,))
    parent = HANDSHAKES.get(tx, (last.parent_id,))
    assert organization is not None
    assert parent is not None
    handshaking.end(tx, parent, "ACCEPTED", now)
    cancel_children(tx, parent, now)
    organization.all_features = True
    ORGANIZATIONS.put(tx, (organization.organization_id,), organization)
    for account_id in list(tree.account_ids(tx, organization)):
        first_roles.make_linked_role(tx, account_id, now)

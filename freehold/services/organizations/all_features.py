"""EnableAllFeatures: from consolidated billing to all features, once every invited account has agreed.

The management account's own handshake (ENABLE_ALL_FEATURES) waits, REQUESTED, for the invited accounts to accept
theirs (APPROVE_ALL_FEATURES); then it is OPEN, and accepting it makes the change. Accounts that were created in the
organization aren't asked. It runs out after 90 days.
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_org_support-all-features.html
"""

from __future__ import annotations

from freehold.services.call import Call
from freehold.services.operation import Params, Result
from freehold.services.organizations import first_roles, handshaking, names, tree
from freehold.services.organizations.authorized import current, on, organizations, the_organization
from freehold.services.organizations.errors import handshake_constraint
from freehold.services.organizations.records import HANDSHAKES, ORGANIZATIONS, Handshake, Organization
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
    asked = [
        account_id
        for account_id in tree.account_ids(tx, organization)
        if account_id != organization.management_account_id
        and tree.require_member(tx, organization, account_id).joined_method == "INVITED"
    ]
    parent = _new(organization, "", now)
    handshaking.put_new(tx, parent)
    for account_id in asked:
        child = _new(organization, account_id, now)
        child.action, child.state, child.parent_id = "APPROVE_ALL_FEATURES", "OPEN", parent.handshake_id
        handshaking.put_new(tx, child)
    advance(tx, parent, now)
    return {"Handshake": handshaking.shown(tx, parent, now)}


def _new(organization: Organization, account_id: str, now: int) -> Handshake:
    return Handshake(
        handshake_id=names.new_handshake_id(),
        organization_id=organization.organization_id,
        management_account_id=organization.management_account_id,
        action="ENABLE_ALL_FEATURES",
        state="REQUESTED",
        requested_at=now,
        expires_at=now + OPEN_SECONDS,
        account_id=account_id,
    )


def advance(tx: Transaction, parent: Handshake, now: int) -> None:
    """Open the management account's handshake when nobody who was asked, and still is a member, has yet to agree."""
    if parent.state == "REQUESTED" and not list(_unanswered(tx, parent)):
        parent.state = "OPEN"
        HANDSHAKES.put(tx, (parent.handshake_id,), parent)


def _unanswered(reader: Reader, parent: Handshake) -> list[Handshake]:
    organization = ORGANIZATIONS.get(reader, (parent.organization_id,))
    return [
        child
        for child in handshaking.sent(reader, parent.organization_id)
        if child.parent_id == parent.handshake_id
        and child.state != "ACCEPTED"
        and organization is not None
        and tree.member(reader, organization, child.account_id) is not None
    ]


def approve(tx: Transaction, child: Handshake, now: int) -> None:
    """One invited account has agreed (its handshake is ACCEPTED already)."""
    parent = HANDSHAKES.get(tx, (child.parent_id,))
    if parent is not None:
        advance(tx, parent, now)


def finalize(tx: Transaction, parent: Handshake, now: int) -> None:
    """The management account makes the change."""
    organization = ORGANIZATIONS.get(tx, (parent.organization_id,))
    assert organization is not None
    organization.all_features = True
    ORGANIZATIONS.put(tx, (organization.organization_id,), organization)
    for account_id in list(tree.account_ids(tx, organization)):
        first_roles.make_linked_role(tx, account_id, now)

"""Inviting an account that exists: open for 15 days, for the account itself to accept.

Whether an address or an account id is anyone's isn't told: an invitation to nobody is made, and never accepted.
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_invites.html
"""

from __future__ import annotations

from freehold.services.call import Call
from freehold.services.operation import Params, Result
from freehold.services.organizations import handshaking, members, names, tagging, tree
from freehold.services.organizations.authorized import current, on, organizations, request_tags
from freehold.services.organizations.errors import DuplicateHandshake, handshake_constraint, invalid_input
from freehold.services.organizations.records import ADDRESSES, MEMBERSHIPS, ORGANIZATIONS, Handshake, Organization
from freehold.storage.records import Reader, Transaction

OPEN_SECONDS = 15 * 86_400
DAY_SECONDS = 86_400
MOST_A_DAY = max(20, members.MOST_ACCOUNTS)
"""Invitations in 24 hours that weren't accepted. AWS's quota is 20, or the number of accounts that an organization may
have where that is more: https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html"""


def _invited(reader: Reader, organization: Organization, params: Params) -> tuple[str, str]:
    target = params["Target"]
    if target["Type"] == "ACCOUNT":
        return names.account(organization, target["Id"]), ""
    return names.account(organization, "*"), ""


@organizations(
    "InviteAccountToOrganization",
    on("InviteAccountToOrganization", "management", _invited, request_tags, makes="account"),
    writes=True,
)
def invite_account_to_organization(call: Call, params: Params) -> Result:
    """By account id or address. Open invitations count as accounts; one at a time for an account, and at most 1,000 a
    day that aren't accepted. Tags are put on it when it joins."""
    tx, organization, now = call.tx, current(call), int(call.app.clock.now_seconds())
    kind, party = params["Target"]["Type"], params["Target"]["Id"]
    if kind not in ("ACCOUNT", "EMAIL"):
        raise invalid_input("INVALID_PARTY_TYPE_TARGET")
    account_id, email = party, ""
    if kind == "EMAIL":
        found = ADDRESSES.get(tx, (party.lower(),))
        account_id, email = ("" if found is None else found.id), party
    elif not (len(party) == 12 and party.isascii() and party.isdigit()):
        raise invalid_input("INVALID_PATTERN_TARGET_ID")
    if account_id and tree.member(tx, organization, account_id) is not None:
        raise handshake_constraint("ALREADY_IN_AN_ORGANIZATION")
    if handshaking.awaited(tx, organization, now, "ENABLE_ALL_FEATURES"):
        raise handshake_constraint("INVITE_DISABLED_DURING_ENABLE_ALL_FEATURES")
    invitations = handshaking.awaited(tx, organization, now, "INVITE")
    if any((one.account_id, one.email.lower()) == (account_id, email.lower()) for _, one in invitations):
        raise DuplicateHandshake()
    if len(list(tree.account_ids(tx, organization))) + len(invitations) >= members.MOST_ACCOUNTS:
        raise handshake_constraint("ACCOUNT_NUMBER_LIMIT_EXCEEDED")
    if handshaking.invited_since(tx, organization, now - DAY_SECONDS, MOST_A_DAY) >= MOST_A_DAY:
        raise handshake_constraint("HANDSHAKE_RATE_LIMIT_EXCEEDED")
    handshake = Handshake(
        handshake_id=names.new_handshake_id(),
        organization_id=organization.organization_id,
        management_account_id=organization.management_account_id,
        action="INVITE",
        state="OPEN",
        requested_at=now,
        expires_at=now + OPEN_SECONDS,
        account_id=account_id,
        email=email,
        notes=params.get("Notes") or "",
        tags=tagging.checked(params.get("Tags") or []),
    )
    handshaking.put_new(tx, handshake)
    return {"Handshake": handshaking.shown(tx, handshake, now)}


def accept(tx: Transaction, handshake: Handshake, now: int) -> None:
    """The invited account joins. Raises HandshakeConstraintViolationException when it is in an organization."""
    organization = ORGANIZATIONS.get(tx, (handshake.organization_id,))
    if organization is None or MEMBERSHIPS.get(tx, (handshake.account_id,)) is not None:
        raise handshake_constraint("ALREADY_IN_AN_ORGANIZATION")
    members.join(tx, organization, handshake.account_id, "INVITED", now, handshake.tags)

"""Handshakes answered, canceled and listed. Only who is a party learns that one exists.

https://docs.aws.amazon.com/organizations/latest/APIReference/API_AcceptHandshake.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.operation import Params, Permissions, Result
from freehold.services.organizations import all_features, handshaking, invitations, names, pages
from freehold.services.organizations.authorized import (
    current,
    may_have_linked_role_made,
    on,
    organizations,
)
from freehold.services.organizations.errors import (
    HandshakeAlreadyInState,
    HandshakeNotFound,
    InvalidHandshakeTransition,
    invalid_input,
)
from freehold.services.organizations.records import HANDSHAKES, ORGANIZATIONS, Handshake, HandshakeState
from freehold.storage.records import Reader, Transaction

Party = Callable[[Handshake, str], bool]


def _is_sender(handshake: Handshake, account_id: str) -> bool:
    return handshake.management_account_id == account_id


def _is_recipient(handshake: Handshake, account_id: str) -> bool:
    return bool(account_id) and handshake.account_id == account_id


def _is_party(handshake: Handshake, account_id: str) -> bool:
    return _is_sender(handshake, account_id) or _is_recipient(handshake, account_id)


def _find(reader: Reader, call: Call, handshake_id: str, party: Party) -> Handshake | None:
    found = HANDSHAKES.get(reader, (handshake_id,))
    return found if found is not None and party(found, call.account_id) else None


def _arn(handshake: Handshake) -> str:
    return names.handshake(
        handshake.management_account_id, handshake.organization_id, handshake.action, handshake.handshake_id
    )


def _on_handshake(action: str, party: Party) -> Permissions:
    """A permission of the caller's own account, on the handshake if the caller is the party that may act."""

    def permissions(call: Call, params: Params) -> list[Permission]:
        found = _find(call.reader, call, params["HandshakeId"], party)
        if action == "AcceptHandshake" and found is not None and _needs_linked_role(call.reader, found):
            may_have_linked_role_made(call)
        return [Permission(f"organizations:{action}", "*" if found is None else _arn(found), call.account_id)]

    return permissions


def _needs_linked_role(reader: Reader, handshake: Handshake) -> bool:
    organization = ORGANIZATIONS.get(reader, (handshake.organization_id,))
    return organization is not None and (organization.all_features or handshake.action != "INVITE")


def _to_end(call: Call, params: Params, party: Party, to: HandshakeState) -> Handshake:
    """The handshake that may go on to another state. Raises why it may not."""
    found = _find(call.tx, call, params["HandshakeId"], party)
    if found is None:
        raise HandshakeNotFound()
    state = handshaking.state(found, int(call.app.clock.now_seconds()))
    if state == to:
        raise HandshakeAlreadyInState()
    if state not in (handshaking.PENDING if to == "CANCELED" else ("OPEN",)):
        raise InvalidHandshakeTransition()
    return found


_JOINING: dict[str, Callable[[Transaction, Handshake, int], None]] = {
    "INVITE": invitations.accept,
    "ENABLE_ALL_FEATURES": all_features.agree,
    "APPROVE_ALL_FEATURES": all_features.finalize,
}


@organizations("AcceptHandshake", _on_handshake("AcceptHandshake", _is_recipient), writes=True)
def accept_handshake(call: Call, params: Params) -> Result:
    """By the account that it was sent to, once. With an invitation it joins, under the root."""
    tx, now = call.tx, int(call.app.clock.now_seconds())
    handshake = _to_end(call, params, _is_recipient, "ACCEPTED")
    handshaking.end(tx, handshake, "ACCEPTED", now)
    _JOINING[handshake.action](tx, handshake, now)
    return {"Handshake": handshaking.shown(tx, handshake, now)}


@organizations("DeclineHandshake", _on_handshake("DeclineHandshake", _is_recipient), writes=True)
def decline_handshake(call: Call, params: Params) -> Result:
    """By the account that it was sent to."""
    tx, now = call.tx, int(call.app.clock.now_seconds())
    handshake = _to_end(call, params, _is_recipient, "DECLINED")
    handshaking.end(tx, handshake, "DECLINED", now)
    return {"Handshake": handshaking.shown(tx, handshake, now)}


@organizations("CancelHandshake", _on_handshake("CancelHandshake", _is_sender), writes=True)
def cancel_handshake(call: Call, params: Params) -> Result:
    """By the management account that sent it."""
    tx, now = call.tx, int(call.app.clock.now_seconds())
    handshake = _to_end(call, params, _is_sender, "CANCELED")
    handshaking.end(tx, handshake, "CANCELED", now)
    all_features.cancel_children(tx, handshake, now)
    return {"Handshake": handshaking.shown(tx, handshake, now)}


@organizations("DescribeHandshake", _on_handshake("DescribeHandshake", _is_party))
def describe_handshake(call: Call, params: Params) -> Result:
    """For a party, until 30 days after its end."""
    found = _find(call.reader, call, params["HandshakeId"], _is_party)
    if found is None:
        raise HandshakeNotFound()
    return {"Handshake": handshaking.shown(call.reader, found, int(call.app.clock.now_seconds()))}


def _listed(call: Call, params: Params, handshakes: Iterable[Handshake]) -> Result:
    wanted, now = params.get("Filter") or {}, int(call.app.clock.now_seconds())
    if len(wanted) > 1:
        raise invalid_input("MAX_LIMIT_EXCEEDED_FILTER")

    def matching() -> Iterator[tuple[str, Handshake]]:
        for one in handshakes:
            if wanted.get("ActionType", one.action) == one.action and (
                wanted.get("ParentHandshakeId", one.parent_id) == one.parent_id
            ):
                yield one.handshake_id, one

    return pages.page(params, "Handshakes", matching(), lambda one: handshaking.shown(call.reader, one, now))


def _on_own_account(call: Call, params: Params) -> list[Permission]:
    return [Permission("organizations:ListHandshakesForAccount", "*", call.account_id)]


@organizations("ListHandshakesForAccount", _on_own_account)
def list_handshakes_for_account(call: Call, params: Params) -> Result:
    """What the caller's account was sent; it need not be in an organization."""
    return _listed(call, params, handshaking.received(call.reader, call.account_id))


@organizations("ListHandshakesForOrganization", on("ListHandshakesForOrganization", "reader"))
def list_handshakes_for_organization(call: Call, params: Params) -> Result:
    """What the organization has sent."""
    return _listed(call, params, handshaking.sent(call.reader, current(call).organization_id))

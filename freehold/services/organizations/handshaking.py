"""What all handshakes have in common: their states over time, who is a party, how they are shown and end.

A handshake that has run out is EXPIRED whenever someone looks; 30 days after its end it is forgotten. What an
invitation asks (who is invited already, how many were sent today) is indexed, since an organization may have sent
tens of thousands within the 30 days.
https://docs.aws.amazon.com/organizations/latest/APIReference/API_Handshake.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from freehold.services.iam.records import ACCOUNTS, Mark
from freehold.services.organizations import names, shapes
from freehold.services.organizations.records import (
    DUE,
    HANDSHAKES,
    HANDSHAKES_AWAITED,
    HANDSHAKES_INDEXED,
    HANDSHAKES_RECEIVED,
    HANDSHAKES_SENT,
    INVITED,
    ORGANIZATIONS,
    Awaited,
    Handshake,
    HandshakeState,
    Organization,
)
from freehold.storage.records import Reader, Transaction

KEPT_SECONDS = 30 * 86_400
PENDING = ("REQUESTED", "OPEN")


def put_new(tx: Transaction, handshake: Handshake) -> None:
    _index_all(tx, handshake.organization_id)
    _index(tx, handshake)
    HANDSHAKES.put(tx, (handshake.handshake_id,), handshake)
    HANDSHAKES_SENT.put(tx, (handshake.organization_id, handshake.handshake_id), Mark())
    if handshake.account_id:
        HANDSHAKES_RECEIVED.put(tx, (handshake.account_id, handshake.handshake_id), Mark())
    DUE.put(tx, ("handshake", handshake.expires_at + KEPT_SECONDS, handshake.handshake_id), Mark())


def state(handshake: Handshake, now: int) -> HandshakeState:
    """Its state at a time."""
    return "EXPIRED" if handshake.state in PENDING and handshake.expires_at <= now else handshake.state


def end(tx: Transaction, handshake: Handshake, to: HandshakeState, now: int) -> None:
    DUE.delete(tx, ("handshake", handshake.expires_at + KEPT_SECONDS, handshake.handshake_id))
    HANDSHAKES_AWAITED.delete(tx, _awaited_at(handshake))
    if to == "ACCEPTED":
        INVITED.delete(tx, _sent_at(handshake))
    handshake.state, handshake.ended_at = to, now
    HANDSHAKES.put(tx, (handshake.handshake_id,), handshake)
    DUE.put(tx, ("handshake", now + KEPT_SECONDS, handshake.handshake_id), Mark())


def forget(tx: Transaction, handshake_id: str) -> None:
    handshake = HANDSHAKES.get(tx, (handshake_id,))
    if handshake is not None:
        HANDSHAKES.delete(tx, (handshake_id,))
        HANDSHAKES_SENT.delete(tx, (handshake.organization_id, handshake_id))
        HANDSHAKES_RECEIVED.delete(tx, (handshake.account_id, handshake_id))
        HANDSHAKES_AWAITED.delete(tx, _awaited_at(handshake))
        INVITED.delete(tx, _sent_at(handshake))


def sent(reader: Reader, organization_id: str) -> Iterator[Handshake]:
    """The handshakes of an organization, by id."""
    for key, _ in HANDSHAKES_SENT.scan(reader, (organization_id,)):
        handshake = HANDSHAKES.get(reader, (key[1],))
        if handshake is not None:
            yield handshake


def received(reader: Reader, account_id: str) -> Iterator[Handshake]:
    """The handshakes that an account was sent, by id."""
    for key, _ in HANDSHAKES_RECEIVED.scan(reader, (account_id,)):
        handshake = HANDSHAKES.get(reader, (key[1],))
        if handshake is not None:
            yield handshake


def _awaited_at(handshake: Handshake) -> tuple[str, int, str]:
    return handshake.organization_id, handshake.expires_at, handshake.handshake_id


def _sent_at(handshake: Handshake) -> tuple[str, int, str]:
    return handshake.organization_id, handshake.requested_at, handshake.handshake_id


def _index(tx: Transaction, handshake: Handshake) -> None:
    if handshake.state in PENDING:
        awaited = Awaited(action=handshake.action, account_id=handshake.account_id, email=handshake.email)
        HANDSHAKES_AWAITED.put(tx, _awaited_at(handshake), awaited)
    if handshake.action == "INVITE" and handshake.state != "ACCEPTED":
        INVITED.put(tx, _sent_at(handshake), Mark())


def _index_all(tx: Transaction, organization_id: str) -> None:
    """Index what an organization sent before there was an index, once."""
    if HANDSHAKES_INDEXED.get(tx, (organization_id,)) is None:
        for handshake in list(sent(tx, organization_id)):
            _index(tx, handshake)
        HANDSHAKES_INDEXED.put(tx, (organization_id,), Mark())


def awaited(tx: Transaction, organization: Organization, now: int, action: str) -> list[tuple[str, Awaited]]:
    """The handshakes of one kind that nobody has answered yet, by id."""
    organization_id = organization.organization_id
    _index_all(tx, organization_id)
    found = HANDSHAKES_AWAITED.scan(tx, (organization_id,), after=(organization_id, now + 1))
    return [(str(key[2]), one) for key, one in found if one.action == action]


def pending(tx: Transaction, organization: Organization, now: int, action: str) -> list[Handshake]:
    """The same, as they are."""
    found = [HANDSHAKES.get(tx, (handshake_id,)) for handshake_id, _ in awaited(tx, organization, now, action)]
    return [one for one in found if one is not None]


def invited_since(tx: Transaction, organization: Organization, time: int, most: int) -> int:
    """How many invitations were sent after a time and weren't accepted, counted up to a number."""
    organization_id = organization.organization_id
    _index_all(tx, organization_id)
    after = (organization_id, time + 1)
    return sum(1 for _ in INVITED.scan(tx, (organization_id,), after=after, limit=most))


def open_invitations(tx: Transaction, organization: Organization, now: int) -> int:
    return len(awaited(tx, organization, now, "INVITE"))


def cancel_all(tx: Transaction, organization: Organization, now: int) -> None:
    """What is pending, when the organization ends."""
    for handshake in list(sent(tx, organization.organization_id)):
        if state(handshake, now) in PENDING:
            end(tx, handshake, "CANCELED", now)


def shown(reader: Reader, handshake: Handshake, now: int) -> dict[str, Any]:
    parties = [{"Id": handshake.organization_id, "Type": "ORGANIZATION"}]
    management = ACCOUNTS.get(reader, (handshake.management_account_id,))
    inside = []
    if management is not None:
        inside = [
            {"Type": "MASTER_EMAIL", "Value": shapes.address(management)},
            {"Type": "MASTER_NAME", "Value": management.name},
        ]
    organization = ORGANIZATIONS.get(reader, (handshake.organization_id,))
    if organization is not None:
        features = "ALL" if organization.all_features else "CONSOLIDATED_BILLING"
        inside.append({"Type": "ORGANIZATION_FEATURE_SET", "Value": features})
    resources: list[dict[str, Any]] = [
        {"Type": "ORGANIZATION", "Value": handshake.organization_id, "Resources": inside}
    ]
    if handshake.email:
        parties.append({"Id": handshake.email, "Type": "EMAIL"})
        resources.append({"Type": "EMAIL", "Value": handshake.email})
    elif handshake.account_id:
        parties.append({"Id": handshake.account_id, "Type": "ACCOUNT"})
        resources.append({"Type": "ACCOUNT", "Value": handshake.account_id})
    if handshake.notes:
        resources.append({"Type": "NOTES", "Value": handshake.notes})
    if handshake.parent_id:
        resources.append({"Type": "PARENT_HANDSHAKE", "Value": handshake.parent_id})
    return {
        "Id": handshake.handshake_id,
        "Arn": names.handshake(
            handshake.management_account_id, handshake.organization_id, handshake.action, handshake.handshake_id
        ),
        "Parties": parties,
        "State": state(handshake, now),
        "RequestedTimestamp": shapes.date(handshake.requested_at),
        "ExpirationTimestamp": shapes.date(handshake.expires_at),
        "Action": handshake.action,
        "Resources": resources,
    }

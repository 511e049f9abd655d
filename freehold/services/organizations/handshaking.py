"""What all handshakes have in common: their states over time, who is a party, how they are shown and end.

A handshake that has run out is EXPIRED whenever someone looks; 30 days after its end it is forgotten.
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
    HANDSHAKES_RECEIVED,
    HANDSHAKES_SENT,
    ORGANIZATIONS,
    Handshake,
    HandshakeState,
    Organization,
)
from freehold.storage.records import Reader, Transaction

KEPT_SECONDS = 30 * 86_400
PENDING = ("REQUESTED", "OPEN")


def put_new(tx: Transaction, handshake: Handshake) -> None:
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
    handshake.state, handshake.ended_at = to, now
    HANDSHAKES.put(tx, (handshake.handshake_id,), handshake)
    DUE.put(tx, ("handshake", now + KEPT_SECONDS, handshake.handshake_id), Mark())


def forget(tx: Transaction, handshake_id: str) -> None:
    handshake = HANDSHAKES.get(tx, (handshake_id,))
    if handshake is not None:
        HANDSHAKES.delete(tx, (handshake_id,))
        HANDSHAKES_SENT.delete(tx, (handshake.organization_id, handshake_id))
        HANDSHAKES_RECEIVED.delete(tx, (handshake.account_id, handshake_id))


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


def pending(reader: Reader, organization: Organization, now: int, action: str) -> list[Handshake]:
    """The handshakes of one kind that nobody has answered yet."""
    return [
        handshake
        for handshake in sent(reader, organization.organization_id)
        if handshake.action == action and state(handshake, now) in PENDING
    ]


def open_invitations(reader: Reader, organization: Organization, now: int) -> int:
    return len(pending(reader, organization, now, "INVITE"))


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

"""How many invitations may be sent in a day. https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, Key
from desk import refused as refused_here

from freehold.services import operation
from freehold.services.organizations import handshaking, invitations, records

operation.load("organizations")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.close()


def test_invitations_of_a_day_are_counted_unless_they_were_accepted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invitations, "MOST_A_DAY", 3)
    root = desk.account("management")
    root("organizations.CreateOrganization")

    def invite(account: Key) -> dict[str, Any]:
        target = {"Type": "ACCOUNT", "Id": account.account}
        made: dict[str, Any] = root("organizations.InviteAccountToOrganization", Target=target)["Handshake"]
        return made

    first, second, third, fourth = (desk.account(f"member {number}") for number in range(4))
    root("organizations.CancelHandshake", HandshakeId=invite(first)["Id"])
    second("organizations.DeclineHandshake", HandshakeId=invite(second)["Id"])
    invited = invite(third)["Id"]
    with refused_here("HandshakeConstraintViolationException", "in one day") as caught:
        invite(fourth)
    assert caught.value.members["Reason"] == "HANDSHAKE_RATE_LIMIT_EXCEEDED"
    third("organizations.AcceptHandshake", HandshakeId=invited)
    invite(fourth)
    with refused_here("HandshakeConstraintViolationException"):
        invite(first)
    desk.clock.advance(86_399)
    with refused_here("HandshakeConstraintViolationException"):
        invite(first)
    desk.clock.advance(1)
    invite(first)


def test_the_limit_is_the_greater_of_twenty_and_the_number_of_accounts() -> None:
    assert invitations.MOST_A_DAY == 1_000


def test_what_was_sent_on_earlier_days_costs_an_invitation_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    root = desk.account("management")
    organization_id = root("organizations.CreateOrganization")["Organization"]["Id"]

    def invite(number: int) -> dict[str, Any]:
        target = {"Type": "EMAIL", "Id": f"somebody-{number}@example.com"}
        made: dict[str, Any] = root("organizations.InviteAccountToOrganization", Target=target)["Handshake"]
        return made

    for number in range(12):
        made = invite(number)
        if number % 2:
            root("organizations.CancelHandshake", HandshakeId=made["Id"])
    desk.clock.advance(16 * 86_400)
    looked_at: list[object] = []
    get, decoded = type(records.HANDSHAKES).get, records.HANDSHAKES_AWAITED._decode

    def getting(table: Any, reader: Any, key: Any) -> Any:
        looked_at.extend([key] if table is records.HANDSHAKES else [])
        return get(table, reader, key)

    def decoding(value: bytes) -> Any:
        looked_at.append(value)
        return decoded(value)

    monkeypatch.setattr(type(records.HANDSHAKES), "get", getting)
    monkeypatch.setattr(records.HANDSHAKES_AWAITED, "_decode", decoding)
    invite(0)
    assert looked_at == []
    with refused_here("DuplicateHandshakeException"):
        invite(0)
    assert len(looked_at) == 2  # the one that is open, for each of the two kinds that are asked for
    assert len(list(handshaking.sent(desk.worker.records.reader(), organization_id))) == 13


def test_handshakes_of_before_there_was_an_index_count(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invitations, "MOST_A_DAY", 3)
    root = desk.account("management")
    organization_id = root("organizations.CreateOrganization")["Organization"]["Id"]
    members = [desk.account(f"member {number}") for number in range(4)]

    def invite(account: Key) -> dict[str, Any]:
        target = {"Type": "ACCOUNT", "Id": account.account}
        made: dict[str, Any] = root("organizations.InviteAccountToOrganization", Target=target)["Handshake"]
        return made

    accepted = invite(members[0])["Id"]
    members[0]("organizations.AcceptHandshake", HandshakeId=accepted)
    root("organizations.CancelHandshake", HandshakeId=invite(members[1])["Id"])
    invite(members[2])

    def forget_the_index(tx: Any) -> None:
        for table in (records.HANDSHAKES_AWAITED, records.INVITED, records.HANDSHAKES_INDEXED):
            for key, _ in list(table.scan(tx, (organization_id,))):
                table.delete(tx, key)

    desk.worker.records.submit(forget_the_index).result()
    with refused_here("DuplicateHandshakeException"):
        invite(members[2])
    invite(members[3])
    with refused_here("HandshakeConstraintViolationException", "in one day"):
        invite(members[1])

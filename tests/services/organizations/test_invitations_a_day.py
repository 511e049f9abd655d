"""How many invitations may be sent in a day. https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from desk import Desk, Key
from desk import refused as refused_here

from freehold.services import operation
from freehold.services.organizations import invitations

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

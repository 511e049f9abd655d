"""What ends by itself: invitations after 15 days, a closed account's place after 90; and what may begin only later.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_invites.html
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_close.html
"""

from __future__ import annotations

from typing import Any

from organizing import Organized, refused

import freehold.testing


def state_of(account: Any, handshake: str) -> str:
    state: str = account.organizations.describe_handshake(HandshakeId=handshake)["Handshake"]["State"]
    return state


def test_days_go_by() -> None:
    """One story, since the clock goes on for everyone."""
    with freehold.testing.server() as server:
        org = Organized(server)
        late, prompt = server.new_account("late"), server.new_account("prompt")
        invited = {
            account.account_id: org.organizations.invite_account_to_organization(
                Target={"Type": "ACCOUNT", "Id": account.account_id}
            )["Handshake"]["Id"]
            for account in (late, prompt)
        }
        created = org.created().account_id
        closed = org.created().account_id
        org.organizations.close_account(AccountId=closed)
        with refused("AccountAlreadyClosedException"):
            org.organizations.close_account(AccountId=closed)
        with refused("ConstraintViolationException", reason="WAIT_PERIOD_ACTIVE"):
            org.organizations.remove_account_from_organization(AccountId=created)

        server.advance(days=4)
        org.organizations.remove_account_from_organization(AccountId=created)
        with refused("AccountNotFoundException"):
            org.organizations.describe_account(AccountId=created)

        server.advance(days=10, hours=23)
        prompt.organizations.accept_handshake(HandshakeId=invited[prompt.account_id])
        assert state_of(late, invited[late.account_id]) == "OPEN"
        with refused("DuplicateHandshakeException"):
            org.organizations.invite_account_to_organization(Target={"Type": "ACCOUNT", "Id": late.account_id})
        server.advance(hours=1)
        assert state_of(late, invited[late.account_id]) == "EXPIRED"
        for act in (late.organizations.accept_handshake, late.organizations.decline_handshake):
            with refused("InvalidHandshakeTransitionException"):
                act(HandshakeId=invited[late.account_id])
        with refused("InvalidHandshakeTransitionException"):
            org.organizations.cancel_handshake(HandshakeId=invited[late.account_id])
        org.organizations.invite_account_to_organization(Target={"Type": "ACCOUNT", "Id": late.account_id})

        server.advance(days=31)
        for handshake in invited.values():
            with refused("HandshakeNotFoundException"):
                org.organizations.describe_handshake(HandshakeId=handshake)

        server.advance(days=43, hours=23)
        shown = org.organizations.describe_account(AccountId=closed)["Account"]
        assert shown["Status"] == "SUSPENDED"
        server.advance(hours=1)
        with refused("AccountNotFoundException"):
            org.organizations.describe_account(AccountId=closed)
        # Out of the organization, and closed all the same.
        with refused("AccessDenied"):
            org.into(closed)
        prompt.organizations.leave_organization()
        org.organizations.delete_organization()

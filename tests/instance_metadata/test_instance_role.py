"""Credentials are renewed in time, and kept while they are good."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from freehold.instance_metadata.role import RETRY_SECONDS, InstanceRole, RoleCredentials, RoleUnavailable

START = datetime(2026, 11, 24, tzinfo=UTC)


class Server:
    """Counts what it gives; its clock is the test's."""

    def __init__(self, seconds: int = 3600) -> None:
        self.now = 1000.0
        self.seconds = seconds
        self.given = 0
        self.asked = 0
        self.failure: RoleUnavailable | None = None

    def __call__(self) -> RoleCredentials:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        self.given += 1
        # The server's clock is years away from the workload's: only durations count.
        issued = START + timedelta(days=3000, seconds=self.now)
        return RoleCredentials(
            access_key_id=f"ASIA{self.given}",
            secret_access_key="secret",
            session_token="token",
            issued_at=issued,
            expires_at=issued + timedelta(seconds=self.seconds),
            role_name="web",
            instance_profile_id="AIPA",
        )

    def role(self, renew_before_seconds: float = 0) -> InstanceRole:
        return InstanceRole(self, lambda: self.now, renew_before_seconds)


def test_credentials_are_kept_for_half_of_their_life_and_then_renewed() -> None:
    server = Server()
    role = server.role()
    assert [role.current().access_key_id for _ in range(3)] == ["ASIA1"] * 3
    server.now += 1799
    assert role.current().access_key_id == "ASIA1"
    server.now += 1
    assert role.current().access_key_id == "ASIA2"
    assert server.asked == 2


def test_they_are_renewed_as_early_as_is_told() -> None:
    server = Server()
    role = server.role(renew_before_seconds=3500)
    role.current()
    server.now += 100
    assert role.current().access_key_id == "ASIA2"


def test_what_is_still_good_is_given_while_the_server_refuses() -> None:
    server = Server()
    role = server.role()
    role.current()
    server.failure = RoleUnavailable("Failed", "down")
    server.now += 3000
    assert role.current().access_key_id == "ASIA1"
    asked = server.asked
    assert role.current().access_key_id == "ASIA1"
    assert server.asked == asked, "a server that refuses is not asked again at once"
    server.now += RETRY_SECONDS
    role.current()
    assert server.asked == asked + 1
    server.now += 600
    with pytest.raises(RoleUnavailable, match="down"):
        role.current()
    server.failure = None
    server.now += RETRY_SECONDS
    assert role.current().access_key_id == "ASIA2"


def test_an_expired_set_is_never_given() -> None:
    server = Server(seconds=900)
    role = server.role()
    role.current()
    server.failure = RoleUnavailable("AssumeRoleUnauthorizedAccess", "no")
    server.now += 900
    with pytest.raises(RoleUnavailable) as caught:
        role.current()
    assert caught.value.code == "AssumeRoleUnauthorizedAccess"


def test_one_thread_renews_while_the_others_go_on() -> None:
    server = Server()
    entered, finish = threading.Event(), threading.Event()

    def slow() -> RoleCredentials:
        if server.given:
            entered.set()
            assert finish.wait(10)
        return server()

    role = InstanceRole(slow, lambda: server.now)
    role.current()
    server.now += 2000
    renewing = threading.Thread(target=role.current)
    renewing.start()
    try:
        assert entered.wait(10)
        assert role.current().access_key_id == "ASIA1"
    finally:
        finish.set()
        renewing.join(10)
    assert role.current().access_key_id == "ASIA2"


def test_credentials_show_no_secret() -> None:
    shown = repr(Server()())
    assert "secret" not in shown.replace("secret_access_key", "")
    assert "'token'" not in shown

"""The log of denials without a wire: what it shares, what it bounds, and that it never fails a denial."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from freehold.authorization import document
from freehold.authorization.context_keys import RequestKeys
from freehold.authorization.gather import Authorizer, IdentityPolicies
from freehold.authorization.permission import Permission
from freehold.authorization.principal import Principal
from freehold.clock import Clock
from freehold.errors import AwsError
from freehold.services.iam_toolbox import kept
from freehold.services.iam_toolbox.kept import DenialLog

ACCOUNT = "111122223333"
ALICE = Principal("user", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/alice", "AIDAALICE1234567890", "alice")
POLICY = document.parse(
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}}', origin="p"
)


class Rows:
    """Records that keep what is put, or fail."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, Any], bytes] = {}
        self.full = False

    def submit(self, work: Any) -> Any:
        if self.full:
            raise OSError("no space left")
        work(self)
        return SimpleNamespace(result=lambda: None)

    def put(self, table: str, key: Any, value: bytes) -> None:
        self.rows[table, key] = value

    def count(self, table: str) -> int:
        return sum(name == table for name, _ in self.rows)


class Source:
    policies = IdentityPolicies((POLICY,), None)

    def identity(self, principal: Principal) -> IdentityPolicies:
        return self.policies


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def log(rows: Rows) -> Any:
    made: Any = DenialLog(rows, Clock(), bytes(32))  # type: ignore[arg-type]
    made.authorizer = Authorizer(Source(), denials=made)
    yield made
    made.close()


def denied(log: Any, resource: str = "*", principal: Principal = ALICE, times: int = 1, **context: Any) -> str:
    """What the message of a denial ends with."""
    call: Any = SimpleNamespace(
        principal=principal,
        context=RequestKeys(1_767_225_600.0) | context,
        operation=SimpleNamespace(service="iam", name="GetUser"),
        decisions=[],
        region="us-east-1",
        request_id="r",
        endpoint=None,
    )
    text = ""
    for _ in range(times):
        with pytest.raises(AwsError) as caught:
            log.authorizer.require(call, Permission("iam:GetUser", resource, ACCOUNT))
        text = caught.value.message
    return text.rpartition("authorization id: ")[2] if "authorization id" in text else ""


def test_a_document_is_stored_once_for_many_denials(log: Any, rows: Rows) -> None:
    ids = {denied(log, f"r{number}") for number in range(20)}
    log.flush()
    assert len(ids) == 20
    assert rows.count(kept.DENIALS.name) == 20
    assert rows.count(kept.DOCUMENTS.name) == 1


def test_an_equal_denial_has_the_same_id_and_another_context_another(log: Any) -> None:
    first = denied(log, "r")
    assert denied(log, "r") == first
    assert denied(log, "r", **{"aws:sourceip": "192.0.2.1"}) != first


def test_ids_are_in_the_order_of_their_time(log: Any) -> None:
    assert kept.new_id(1_000_000_000) < kept.new_id(1_000_000_001)
    assert kept.time_of(kept.new_id(1_767_225_600.9)) == 1_767_225_600
    for text in ("", "x", "é" * 26, "A" * 26, "../" * 9):
        assert kept.time_of(text) == 0


def test_an_account_that_is_denied_too_much_has_no_more_ids(log: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "ACCOUNT_BYTES_AT_ONCE", 3_000)
    ids = [denied(log, f"r{number}") for number in range(20)]
    assert ids[0]
    assert not ids[-1]
    other = Principal("user", "444455556666", "arn:aws:iam::444455556666:user/o", "AIDAOTHER", "o")
    assert denied(log, "r", other)


def test_a_denial_that_is_too_large_to_keep_has_no_id(log: Any) -> None:
    assert not denied(log, "r", **{"aws:useragent": "x" * kept.MOST_RECORD_BYTES})


def test_a_call_that_is_denied_item_by_item_tells_a_few_ids(log: Any) -> None:
    assert denied(log, "r", times=kept.MOST_IDS_A_CALL)
    assert not denied(log, "r2", times=kept.MOST_IDS_A_CALL + 1)


def test_a_full_disk_denies_all_the_same_and_ids_come_back_with_room(log: Any, rows: Rows) -> None:
    rows.full = True
    assert denied(log, "r")
    log.flush()
    rows.full = False
    again = denied(log, "r")
    log.flush()
    assert (kept.DENIALS.name, (again,)) in rows.rows
    assert rows.count(kept.DOCUMENTS.name) == 1


@pytest.mark.parametrize("kind", ["anonymous", "operator", "service"])
def test_who_has_no_account_has_no_ids(log: Any, kind: Any) -> None:
    assert not denied(log, "r", Principal(kind, name="someone"))

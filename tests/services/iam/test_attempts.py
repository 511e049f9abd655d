"""How guessing is slowed: waits that double, up to a limit, shared by workers, prolonged by nobody."""

from __future__ import annotations

from typing import Any

import pytest
from desk import Desk

from freehold.services.iam import attempts
from freehold.services.iam.attempts import ATTEMPTS, Counted, Limit, TooManyAttempts

LIMIT = Limit(free=3, most_seconds=60)
ONE = [Counted(("password", "u"), LIMIT)]


def charge(desk: Desk, now: float, counted: list[Counted] = ONE, worker: Any = None) -> None:
    (worker or desk.worker).records.submit(lambda tx: attempts.charge(tx, now, counted)).result(10)


def waits(desk: Desk, now: float) -> int:
    with pytest.raises(TooManyAttempts) as caught:
        charge(desk, now)
    return caught.value.seconds


def test_some_failures_are_free_and_then_waits_double_up_to_the_limit(desk: Desk) -> None:
    now = 1000.0
    for _ in range(3):
        charge(desk, now)
    for wait in (1, 2, 4, 8, 16, 32, 60, 60, 60):
        assert waits(desk, now) == wait
        now += wait
        charge(desk, now)


def test_asking_too_early_prolongs_nothing(desk: Desk) -> None:
    for _ in range(4):
        charge(desk, 1000.0 + _)
    for _ in range(50):
        assert waits(desk, 1003.5) == 2
    charge(desk, 1005.0)


def test_another_worker_knows_of_the_attempts(desk: Desk) -> None:
    other = desk.another_worker()
    for number in range(3):
        charge(desk, 1000.0, worker=(desk.worker, other)[number % 2])
    assert waits(desk, 1000.0) == 1
    with pytest.raises(TooManyAttempts):
        charge(desk, 1000.0, worker=other)


def test_an_hour_without_an_attempt_forgets(desk: Desk) -> None:
    for number in range(10):
        charge(desk, 1000.0 + 100 * number)
    for _ in range(3):
        charge(desk, 1000.0 + 900 + 3600)


def test_a_success_is_taken_back_and_leaves_the_failures_of_others(desk: Desk) -> None:
    for _ in range(3):
        charge(desk, 1000.0)
    now = 1001.0
    charge(desk, now)
    desk.worker.records.submit(lambda tx: attempts.take_back(tx, ONE)).result(10)
    assert waits(desk, now) == 1
    desk.worker.records.submit(lambda tx: attempts.forget(tx, ONE)).result(10)
    charge(desk, now)


def test_one_that_has_to_wait_counts_against_nothing(desk: Desk) -> None:
    for _ in range(3):
        charge(desk, 1000.0)
    other = Counted(("address", "192.0.2.1"), LIMIT)
    with pytest.raises(TooManyAttempts):
        charge(desk, 1000.0, [*ONE, other])
    assert ATTEMPTS.get(desk.worker.records.reader(), other.key) is None


def test_what_is_forgotten_is_deleted(desk: Desk) -> None:
    charge(desk, desk.clock.now_seconds() - 4000)
    charge(desk, desk.clock.now_seconds(), [Counted(("password", "v"), LIMIT)])
    app: Any = desk.worker
    desk.worker.records.submit(lambda tx: attempts._clean(app, tx)).result(10)
    assert [key for key, _ in ATTEMPTS.scan(desk.worker.records.reader())] == [("password", "v")]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("nonsense", "nonsense", True),
    ],
)
def test_an_ipv6_customer_is_one_network(one: str, other: str, same: bool) -> None:
    assert (attempts.network(one) == attempts.network(other)) is same

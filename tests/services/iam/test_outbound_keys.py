"""When the keys of outbound tokens change: whose turn it is at which time, and what a sweep does of it."""

from __future__ import annotations

from typing import Any

import pytest
from desk import Desk

from freehold.services.iam import outbound_keys
from freehold.services.iam.outbound_keys import ISSUERS, Issuer, SigningKey, rotated, signing

DAY = 86_400
START = 1_790_000_000


def key(name: str, signs_from: int = 0, algorithm: str = "ES384") -> SigningKey:
    return SigningKey(key_id=name, algorithm=algorithm, pem="", signs_from=signs_from)


def issuer(*keys: SigningKey, account: str = "111122223333", created_at: int = START) -> Issuer:
    return Issuer(account_id=account, issuer_id="i", created_at=created_at, keys=list(keys))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that cost nothing to make."""
    monkeypatch.setattr(outbound_keys, "made", lambda signs_from=0: [key(f"from {signs_from}", signs_from)])


TURNS = [  # now, who signs
    (START, "first"),
    (START + 30 * DAY - 1, "first"),
    (START + 30 * DAY, "second"),
    (START + 60 * DAY, "third"),
    (START - 400 * DAY, "first"),
]


@pytest.mark.parametrize(("now", "name"), TURNS)
def test_the_latest_key_whose_time_has_come_signs(now: int, name: str) -> None:
    keys = [key("third", START + 60 * DAY), key("first"), key("second", START + 30 * DAY)]
    chosen = signing(issuer(key("other", algorithm="RS256"), *keys), "ES384", now)
    assert chosen is not None
    assert chosen.key_id == name


def test_a_key_that_alone_is_there_signs_even_before_its_time() -> None:
    chosen = signing(issuer(key("only", START + DAY)), "ES384", START)
    assert chosen is not None
    assert chosen.key_id == "only"
    assert signing(issuer(), "ES384", START) is None


STEPS = [  # days since the first key, keys after a sweep then: when each signs, in days
    (28, [0]),
    (29, [0, 30]),
    (30, [0, 30]),
    (31, [30]),
    (59, [30, 60]),
    (61, [60]),
    (200, [60, 201]),
    (201, [60, 201]),
    (202, [201]),
]


def test_sweeps_keep_a_key_known_before_and_after_it_signs(quick: None) -> None:
    held = issuer(key("first"))
    for days, wanted in STEPS:
        rotated(held, START + days * DAY)
        found = [0 if not one.signs_from else (one.signs_from - START) // DAY for one in held.keys]
        assert found == wanted, days
        rotated(held, START + days * DAY)
        assert len(held.keys) == len(wanted), "a second sweep does nothing"


def test_a_sweep_makes_few_keys_and_the_next_ones_the_others(desk: Desk, quick: None) -> None:
    """Issuers of before there was a plan are found as well."""
    accounts = [f"11112222333{number}" for number in range(5)]
    worker: Any = desk.worker
    old = int(desk.clock.now_seconds()) - 40 * DAY

    def begin(tx: Any) -> None:
        for account in accounts:
            ISSUERS.put(tx, (account,), issuer(key("first"), account=account, created_at=old))

    worker.records.submit(begin).result(10)

    def sweep() -> int:
        worker.records.submit(lambda tx: outbound_keys.rotate_due(worker, tx)).result(10)
        found = [ISSUERS.get(worker.records.reader(), (account,)) for account in accounts]
        return sum(len(one.keys) > 1 for one in found if one is not None)

    assert [sweep() for _ in range(4)] == [2, 4, 5, 5]
    desk.clock.advance(2 * DAY)
    sweep()
    kept = [ISSUERS.get(worker.records.reader(), (account,)) for account in accounts]
    assert all(one is not None and [each.key_id for each in one.keys] != ["first"] for one in kept)
    assert all(one is not None and len(one.keys) == 1 for one in kept)


def test_a_key_shows_nothing_of_itself() -> None:
    assert "secret" not in repr(SigningKey(key_id="k", algorithm="ES384", pem="secret"))

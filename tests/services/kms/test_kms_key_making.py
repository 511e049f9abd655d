"""Slow key material is made one at a time, and no account's requests keep the others' waiting for long."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from freehold.errors import AwsError
from freehold.services.kms import key_making


class Parts(SimpleNamespace):
    __hash__ = object.__hash__  # type: ignore[assignment]


def test_requests_beyond_the_limits_are_asked_to_come_back() -> None:
    going = threading.Event()
    at_once, most_at_once = 0, 0

    def make() -> bytes:
        nonlocal at_once, most_at_once
        at_once += 1
        most_at_once = max(most_at_once, at_once)
        going.wait(10)
        at_once -= 1
        return b"made"

    async def ask() -> dict[str, list[Any]]:
        app: Any = Parts()
        spec: Any = SimpleNamespace(make=make)
        accounts = ("1", "2", "3", "4", "5")
        tasks = [
            (account, asyncio.create_task(key_making.made(app, spec, account)))
            for account in accounts
            for _ in range(key_making.MOST_OF_AN_ACCOUNT + 2)
        ]
        await asyncio.sleep(0.05)
        going.set()
        answers: dict[str, list[Any]] = {account: [] for account in accounts}
        for account, task in tasks:
            try:
                answers[account].append(await task)
            except AwsError as error:
                answers[account].append(error.code)
        # All that waited is forgotten: the next one is welcome.
        answers["1"].append(await key_making.made(app, spec, "1"))
        return answers

    answers = asyncio.run(ask())
    full = [b"made"] * key_making.MOST_OF_AN_ACCOUNT + ["ThrottlingException"] * 2
    assert answers["2"] == answers["3"] == answers["4"] == full
    assert answers["1"] == [*full, b"made"]
    # What all accounts together may have waiting was reached by then.
    assert set(answers["5"]) == {"ThrottlingException"}
    assert most_at_once == 1


@pytest.mark.parametrize("limit", [key_making.MOST_OF_AN_ACCOUNT, key_making.MOST_WAITING])
def test_the_limits_leave_room_for_others(limit: int) -> None:
    assert 0 < limit
    assert key_making.MOST_OF_AN_ACCOUNT * 2 <= key_making.MOST_WAITING

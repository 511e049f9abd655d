"""Slow key material is made one at a time, off the event loop, and no account keeps the others waiting for long."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from freehold.errors import AwsError
from freehold.services.kms import key_making, specs

LIMIT = key_making.MOST_OF_AN_ACCOUNT


class Parts:
    """Stands in for an App, by which the maker is kept."""


def spec(make: Callable[[], bytes]) -> Any:
    found = specs.SPECS["RSA_2048"]
    return specs.Spec(found.name, found.kind, found.usages, make, found.load, found.accept, slow=True)


async def answer(waiting: asyncio.Task[bytes]) -> Any:
    try:
        return await waiting
    except AwsError as error:
        return error.code


def test_material_is_made_one_at_a_time_while_the_loop_goes_on() -> None:
    going, at_once, most = threading.Event(), 0, 0

    def make() -> bytes:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        assert going.wait(10)
        at_once -= 1
        return b"material"

    async def ask() -> list[bytes]:
        app: Any = Parts()
        waiting = [asyncio.create_task(key_making.made(app, spec(make), "1")) for _ in range(5)]
        await asyncio.sleep(0.05)
        assert not any(one.done() for one in waiting)
        going.set()
        return list(await asyncio.gather(*waiting))

    assert asyncio.run(ask()) == [b"material"] * 5
    assert most == 1


def test_requests_beyond_the_limits_are_asked_to_come_back() -> None:
    going = threading.Event()

    def make() -> bytes:
        assert going.wait(10)
        return b"material"

    async def ask() -> dict[str, list[Any]]:
        app: Any = Parts()
        waiting = [
            (account, asyncio.create_task(key_making.made(app, spec(make), account)))
            for account in ("1", "2", "3", "4", "5")
            for _ in range(LIMIT + 2)
        ]
        await asyncio.sleep(0.05)
        going.set()
        answers: dict[str, list[Any]] = {}
        for account, task in waiting:
            answers.setdefault(account, []).append(await answer(task))
        # Who waited is forgotten: the next one is welcome.
        answers["5"].append(await key_making.made(app, spec(make), "5"))
        return answers

    answers = asyncio.run(ask())
    full = [b"material"] * LIMIT + ["ThrottlingException"] * 2
    assert [answers[account] for account in ("1", "2", "3", "4")] == [full] * 4
    # By then, all accounts together had as many waiting as there may be.
    assert LIMIT * 4 == key_making.MOST_WAITING
    assert answers["5"] == ["ThrottlingException"] * (LIMIT + 2) + [b"material"]


def test_a_failure_takes_nobodys_place() -> None:
    def fail() -> bytes:
        raise RuntimeError("no material")

    async def ask() -> None:
        app: Any = Parts()
        for _ in range(key_making.MOST_WAITING + 1):
            with pytest.raises(RuntimeError):
                await key_making.made(app, spec(fail), "1")

    asyncio.run(ask())


def test_who_gave_up_waiting_is_not_worked_for() -> None:
    """A server that stops is not held up by keys that nobody waits for any more."""
    going, made = threading.Event(), 0

    def make() -> bytes:
        nonlocal made
        made += 1
        assert going.wait(10)
        return b"material"

    async def ask() -> bytes:
        app: Any = Parts()
        waiting = [asyncio.create_task(key_making.made(app, spec(make), "1")) for _ in range(5)]
        await asyncio.sleep(0.05)
        for one in waiting[1:]:
            one.cancel()
        going.set()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert all(one.cancelled() for one in waiting[1:])
        # Their places are free again.
        await asyncio.gather(*(key_making.made(app, spec(lambda: b""), "1") for _ in range(LIMIT)))
        return await waiting[0]

    assert asyncio.run(ask()) == b"material"
    assert made == 1


@pytest.mark.parametrize(
    ("change", "more", "code"),
    [
        ("DisableKey", {}, "DisabledException"),
        ("ScheduleKeyDeletion", {}, "KMSInvalidStateException"),
        ("PutKeyPolicy", {"BypassPolicyLockoutSafetyCheck": True}, "AccessDeniedException"),
    ],
)
def test_who_waited_for_a_slow_key_pair_is_asked_again(
    kms: Any, key_id: str, monkeypatch: pytest.MonkeyPatch, change: str, more: dict[str, Any], code: str
) -> None:
    """A queue of RSA keys is seconds long; a key that was disabled meanwhile seals nothing any more."""
    if change == "PutKeyPolicy":
        statement = {"Effect": "Allow", "Principal": "*", "Action": "kms:DescribeKey", "Resource": "*"}
        more = {**more, "Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}

    async def made(*waiting: Any) -> bytes:
        # In another thread, since the call that waits has this one's event loop.
        await asyncio.to_thread(lambda: kms(change, KeyId=key_id, **more))
        return b"material that must not be used"

    monkeypatch.setattr(key_making, "made", made)
    with pytest.raises(AwsError) as error:
        kms("GenerateDataKeyPair", KeyId=key_id, KeyPairSpec="RSA_2048")
    assert error.value.code == code

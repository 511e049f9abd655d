"""How last uses are kept: the latest wins, across workers too; nothing is lost that could not be written."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from freehold.services.kms import key_uses
from freehold.services.kms.key_uses import KeyUses
from freehold.services.kms.last_usage import note_beginning
from freehold.services.kms.records import KEYS, LAST_USES, LastUse

OWNER, CALLER = "111122223333", "444455556666"
ARN = f"arn:aws:kms:us-east-1:{OWNER}:key/k"


def call(name: str = "Encrypt", *arns: str, at: float = 1000.0, ids: dict[str, str] | None = None) -> Any:
    return SimpleNamespace(
        operation=SimpleNamespace(name=name),
        app=SimpleNamespace(clock=SimpleNamespace(now_seconds=lambda: at)),
        event_ids=ids or {OWNER: "event"},
        request_id="request",
        resources=[("AWS::KMS::Key", arn) for arn in arns or (ARN,)],
    )


def written(kms: Any, key_id: str = "k") -> Any:
    return LAST_USES.get(kms.app.records.reader(), ("us-east-1", key_id))


def test_the_latest_of_all_workers_uses_is_kept(kms: Any) -> None:
    one, other = KeyUses(kms.app.records), KeyUses(kms.app.records)
    one.note(call("Encrypt", at=1000.0))
    other.note(call("Decrypt", at=2000.0))
    asyncio.run(other.write_out())
    asyncio.run(one.write_out())
    assert (written(kms).operation, written(kms).at) == ("Decrypt", 2000.0)
    one.note(call("ReEncrypt", at=3000.0))
    asyncio.run(one.write_out())
    assert written(kms).operation == "ReEncrypt"
    assert one.noted(ARN) is None


def test_the_owners_event_is_named_before_the_callers(kms: Any) -> None:
    uses = KeyUses(kms.app.records)
    uses.note(call(ids={CALLER: "theirs", OWNER: "ours"}))
    assert uses.noted(ARN).event_id == "ours"  # type: ignore[union-attr]
    uses.note(call(ids={CALLER: "the only one"}))
    assert uses.noted(ARN).event_id == "the only one"  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["DescribeKey", "GetPublicKey", "RotateKeyOnDemand", "GenerateRandom"])
def test_operations_that_use_no_material_are_not_noted(kms: Any, name: str) -> None:
    uses = KeyUses(kms.app.records)
    uses.note(call(name))
    assert uses.noted(ARN) is None


def test_what_cannot_be_written_stays_noted_and_newer_uses_win(kms: Any) -> None:
    class Full:
        def __init__(self, uses: list[KeyUses]) -> None:
            self.uses = uses

        async def submit_async(self, work: Any) -> None:
            # A use of one of the keys comes in while the writing fails.
            self.uses[0].note(call("Decrypt", at=2000.0))
            raise OSError("no room")

    holder: list[KeyUses] = []
    uses = KeyUses(Full(holder))  # type: ignore[arg-type]
    holder.append(uses)
    other = ARN[:-1] + "l"
    uses.note(call("Encrypt", ARN, other))
    with pytest.raises(OSError, match="no room"):
        asyncio.run(uses.write_out())
    assert uses.noted(ARN).operation == "Decrypt"  # type: ignore[union-attr]
    assert uses.noted(other).operation == "Encrypt"  # type: ignore[union-attr]


def test_many_keys_are_written_in_turns_the_longest_noted_first(kms: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_uses, "MOST_PER_WRITE", 2)
    uses = KeyUses(kms.app.records)
    for name in "abcde":
        uses.note(call("Encrypt", ARN[:-1] + name))
    asyncio.run(uses.write_out())
    assert [written(kms, name) is not None for name in "abcde"] == [True, True, False, False, False]
    asyncio.run(uses.write_out(everything=True))
    assert all(written(kms, name) is not None for name in "abcde")


def test_what_is_held_is_bounded(kms: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_uses, "_MOST_HELD", 3)
    uses = KeyUses(kms.app.records)
    for name in "abcd":
        uses.note(call("Encrypt", ARN[:-1] + name))
    assert uses.noted(ARN[:-1] + "d") is None
    uses.note(call("Decrypt", ARN[:-1] + "a"))
    assert uses.noted(ARN[:-1] + "a").operation == "Decrypt"  # type: ignore[union-attr]


def test_of_a_key_that_is_older_than_the_keeping_of_uses_it_is_said_since_when(kms: Any, key_id: str) -> None:
    place = ("us-east-1", key_id)
    key = KEYS.get(kms.app.records.reader(), place)
    assert key is not None
    key.created_at -= 30 * 86_400
    kms.write(lambda tx: KEYS.put(tx, place, key))
    began = kms.app.started_at
    for _ in range(2):
        shown = kms("GetKeyLastUsage", KeyId=key_id)
        assert shown["KeyLastUsage"] == {}
        assert abs((shown["TrackingStartDate"] - began).total_seconds()) < 0.001
        assert (shown["TrackingStartDate"] - shown["KeyCreationDate"]).days in (29, 30)
        # A later start of the server keeps the first one's date.
        kms.write(lambda tx: note_beginning(kms.app, tx))
        kms.app.started_at = began + timedelta(days=5)


def test_a_use_before_the_key_was_made_is_anothers(kms: Any, key_id: str) -> None:
    """A replica's id may be in use again in a Region where it was deleted before."""
    place = ("us-east-1", key_id)
    older = LastUse(operation="Encrypt", at=1000.0, event_id="e", request_id="r")
    kms.write(lambda tx: LAST_USES.put(tx, place, older))
    assert kms("GetKeyLastUsage", KeyId=key_id)["KeyLastUsage"] == {}


def test_a_destroyed_key_leaves_no_last_use(kms: Any, key_id: str) -> None:
    uses = kms.app.key_uses
    uses.note(call("Encrypt", kms("DescribeKey", KeyId=key_id)["KeyMetadata"]["Arn"], at=kms.app.clock.now_seconds()))
    asyncio.run(uses.write_out())
    assert written(kms, key_id) is not None
    kms("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=7)
    kms.app.clock.advance(8 * 86_400)
    kms.sweep()
    assert written(kms, key_id) is None

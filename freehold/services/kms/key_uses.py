"""Each key's last successful cryptographic operation: noted in memory, written every few seconds.

The latest use counts, as in AWS, of a key in its own Region, with the event that its owner's trail has of it. Noting
costs an entry in a dictionary; a worker that is killed forgets what it noted within the last few seconds (or longer,
while thousands of keys are in use), and nothing else. A dry run is no use, and neither is a call that fails.
https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyLastUsage.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from freehold.services.kms.records import LAST_USES, TOMBSTONES, LastUse
from freehold.storage.records import Records, Transaction

if TYPE_CHECKING:
    from freehold.services.call import Call

TRACKED: Final = frozenset(
    (
        "Decapsulate",
        "Decrypt",
        "DeriveSharedSecret",
        "Encapsulate",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateDataKeyWithoutPlaintext",
        "GenerateMac",
        "ReEncrypt",
        "Sign",
        "Verify",
        "VerifyMac",
    )
)
"""AWS's list (`KeyLastUsageTrackingOperation`)."""

Use = tuple[str, float, dict[str, str], str]
"""Operation, seconds since the epoch, the ids of its events by account, request id."""

MOST_PER_WRITE: Final = 2_000
_MOST_HELD: Final = 20_000


class KeyUses:
    """`note` each call of KMS that succeeded, from any thread; `write_out` now and then, on the event loop."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._noted: dict[str, Use] = {}

    def note(self, call: Call) -> None:
        """The call has succeeded, and its events are made."""
        operation = call.operation.name
        if operation in TRACKED:
            use = (operation, call.app.clock.now_seconds(), call.event_ids, call.request_id)
            noted = self._noted
            for _, arn in call.resources:
                if arn in noted or len(noted) < _MOST_HELD:
                    noted[arn] = use

    def noted(self, key_arn: str) -> LastUse | None:
        """What this worker has noted of a key and not written yet."""
        found = self._noted.get(key_arn)
        return None if found is None else _as_record(key_arn, found)

    async def write_out(self, *, everything: bool = False) -> None:
        """Write the longest noted, 2,000 keys at most, or `everything`. What cannot be written stays noted."""
        while self._noted:
            arns = list(self._noted)[:MOST_PER_WRITE]
            uses = [(arn, self._noted.pop(arn)) for arn in arns]

            def write(tx: Transaction, uses: list[tuple[str, Use]] = uses) -> None:
                for arn, use in uses:
                    _write(tx, arn, _as_record(arn, use))

            try:
                await self._records.submit_async(write)
            except BaseException:
                for arn, use in uses:
                    self._noted.setdefault(arn, use)
                raise
            if not everything:
                return


def _as_record(arn: str, use: Use) -> LastUse:
    operation, at, ids, request_id = use
    # The owner's event where there is one for the owner; of one account's own calls there is one event.
    event_id = ids.get(arn.split(":", 5)[4]) or next(iter(ids.values()), "")
    return LastUse(operation=operation, at=round(at, 3), event_id=event_id, request_id=request_id)


def _write(tx: Transaction, arn: str, use: LastUse) -> None:
    region, _, rest = arn.removeprefix("arn:aws:kms:").partition(":")
    place = (region, rest.partition("/")[2])
    if TOMBSTONES.get(tx, place) is not None:
        # Its key was destroyed since: nothing of it is left but its tombstone.
        return
    known = LAST_USES.get(tx, place)
    # Another worker may have noted a later one.
    if known is None or known.at <= use.at:
        LAST_USES.put(tx, place, use)

"""Blobs that nobody needs any longer: let go of in a transaction, deleted after it, swept after a crash.

A blob is written before its record. So there are two kinds of waste: one that was replaced or deleted, whose row in
`GARBAGE` commits with the replacement, and one whose record was never written (a cut upload, a crash), which has no row
in `BLOB_OWNERS`. `sweep` removes the first kind; `sweep_orphans` the second: at once those of before the start, others
when seen twice hours apart, so that an upload under way is left alone.
"""

from __future__ import annotations

import logging
import time
import weakref
from collections.abc import Set
from concurrent.futures import Future
from typing import TYPE_CHECKING

from freehold.services.operation import due_work
from freehold.services.s3.records import BLOB_OWNERS, GARBAGE, LAYOUTS, BlobOwner, Garbage, ObjectRecord

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.services.call import Call
    from freehold.storage.records import Transaction

_log = logging.getLogger("freehold")

LINGER_SECONDS = 15 * 60
"""How long a reader of a replaced multipart object may take to reach its last part."""
ORPHAN_SECONDS = 6 * 60 * 60
"""Between two looks for orphans: longer than an upload's last moments, from its blob's commit to its record's."""
_ROWS_AT_ONCE = 1_000


def own(tx: Transaction, blob: str, object_id: str) -> None:
    """Note in this transaction whose the blob is."""
    BLOB_OWNERS.put(tx, (blob,), BlobOwner(object_id))


def discard(call: Call, tx: Transaction, blob: str, *, lingers: bool = False) -> None:
    """Let go of a blob in this transaction; its bytes are deleted once that is durable (or later, if it lingers)."""
    app = call.app
    BLOB_OWNERS.delete(tx, (blob,))
    GARBAGE.put(tx, (blob,), Garbage(int(app.clock.now_seconds()), lingers))
    if not lingers:
        tx.after_commit(lambda: forget(app, blob))


def discard_object(call: Call, tx: Transaction, record: ObjectRecord) -> None:
    """Let go of all blobs of an object's record that is being replaced or deleted."""
    if record.blob:
        discard(call, tx, record.blob)
    elif record.parts:
        key = (record.object_id,)
        layout = LAYOUTS.get(tx, key)
        LAYOUTS.delete(tx, key)
        # A reader opens the parts one after the other, so they stay for those that have begun.
        for part in layout.parts if layout is not None else ():
            discard(call, tx, part.blob, lingers=True)


def forget(app: App, blob: str) -> None:
    """Delete the blob's bytes soon, in the pool. What fails here is left to the sweeps."""
    future: Future[None] = app.pool.submit(app.blobs.delete, blob)
    future.add_done_callback(lambda done: done.exception())


def sweep(app: App) -> int:
    """Delete the bytes and the rows of all that was let go. Returns how many."""
    reader = app.records.reader()
    latest = int(app.clock.now_seconds()) - LINGER_SECONDS
    due = [str(key[0]) for key, row in GARBAGE.scan(reader) if not row.lingers or row.since <= latest]
    for start in range(0, len(due), _ROWS_AT_ONCE):
        names = due[start : start + _ROWS_AT_ONCE]
        for name in names:
            app.blobs.delete(name)

        def remove(tx: Transaction, names: list[str] = names) -> None:
            for name in names:
                GARBAGE.delete(tx, (name,))

        app.records.submit(remove).result()
    return len(due)


def orphans(app: App) -> set[str]:
    """Blobs without a record at this moment; those of uploads under way are among them."""
    reader = app.records.reader()
    return {
        name
        for name in app.blobs.list()
        if reader.get(BLOB_OWNERS.name, (name,)) is None and reader.get(GARBAGE.name, (name,)) is None
    }


def sweep_orphans(app: App, seen_before: Set[str]) -> set[str]:
    """Delete the orphans that were orphans at an earlier call already; returns the others."""
    found = orphans(app)
    for name in found & seen_before:
        app.blobs.delete(name)
    return found - seen_before


class _Rounds:
    """What the sweeps of one worker remember."""

    def __init__(self, app: App) -> None:
        self.under_way: Future[None] | None = None
        self.orphans: Set[str] = app.blobs_at_start
        """What an orphan is deleted for being in: the orphans of the last look; before the first, all earlier blobs."""
        self.orphans_due = 0.0


_rounds: weakref.WeakKeyDictionary[App, _Rounds] = weakref.WeakKeyDictionary()


@due_work
def clean_up(app: App, tx: Transaction) -> None:
    """Start a sweep in the pool, if the last one is done and there may be something to do."""
    rounds = _rounds.get(app)
    if rounds is None:
        rounds = _rounds[app] = _Rounds(app)
    if rounds.under_way is not None and not rounds.under_way.done():
        return
    look_for_orphans = time.monotonic() >= rounds.orphans_due
    if look_for_orphans or next(iter(tx.scan(GARBAGE.name, limit=1)), None) is not None:
        rounds.under_way = app.pool.submit(_clean_up, app, rounds, look_for_orphans)


def _clean_up(app: App, rounds: _Rounds, look_for_orphans: bool) -> None:
    try:
        sweep(app)
        if look_for_orphans:
            rounds.orphans_due = time.monotonic() + ORPHAN_SECONDS
            rounds.orphans = sweep_orphans(app, rounds.orphans)
    except Exception as error:
        # The next round tries again; what is left takes room and does no other harm.
        _log.error("the clean-up of blobs failed: %s", type(error).__name__)

"""The audit log of one worker: takes events, makes them durable in groups, and keeps checkpoints.

Reads' and refusals' events go to the worker's segment (`write`), a mutation's into the mutation's own transaction
(`append_in`). Fails closed: an event that cannot be stored raises `AuditUnavailable`, so that its request fails; the
next one tries again, in a new segment. Knows nothing of what an event says.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from freehold.audit import chain, checkpoint
from freehold.audit.chain import DamagedChain
from freehold.audit.checkpoint import NO_CHECKPOINT, CheckpointFile, DamagedCheckpoints, SegmentHead, Signer
from freehold.audit.history import History
from freehold.audit.recovery import end_abandoned
from freehold.audit.segment import Head, SegmentWriter, sync_directory
from freehold.clock import Clock
from freehold.crypto.root_key import SealingKeys
from freehold.storage.gathering import Gathering
from freehold.storage.records import Records, Transaction

log = logging.getLogger("freehold.audit")

SEGMENT_BYTES: Final = 16 * 1024 * 1024
SEGMENT_SECONDS: Final = 24 * 3600
CHECKPOINT_SECONDS: Final = 1.0
MOST_EVENTS_PER_FRAME: Final = 512
MOST_GATHERED: Final = 32
QUICK_SYNC_SECONDS: Final = 0.001
"""How long the event loop may be kept at most by a sync of its own."""

Waiter = tuple[list[bytes], "asyncio.Future[None]"]


class AuditUnavailable(Exception):
    """The audit log cannot take an event. What it would have told of must not go through."""


class AuditLog:
    """`write` on the event loop that called `start`; `append_in` on the records' writer thread."""

    def __init__(
        self,
        directory: Path,
        records: Records,
        root_key: SealingKeys,
        clock: Clock,
        *,
        worker: int,
        segment_bytes: int = SEGMENT_BYTES,
        segment_seconds: float = SEGMENT_SECONDS,
    ) -> None:
        self.directory = directory
        self._records = records
        self._clock = clock
        self._worker = worker
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds
        self._key = root_key.sealing_key("audit")
        self._signer = Signer(root_key.sealing_key("audit-signing"))
        self._file = CheckpointFile(directory)
        self.history = History(directory, records, self._key, self._signer)
        self._segment: SegmentWriter | None = None
        self._rotate_at = 0.0
        self._ended: deque[Head] = deque()
        self._abandoned: list[SegmentHead] = []
        self._queue: SimpleQueue[Waiter | None] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flusher: threading.Thread | None = None
        self._checkpointer: threading.Thread | None = None
        self._wake = threading.Event()
        self._storing = threading.Lock()
        self._gathering = Gathering(self._store_gathered, MOST_GATHERED)
        self._sync_seconds = 0.0
        """A moving average of how long a frame takes to be durable."""
        self._dirty = False
        self._stopping = False
        self._finish = threading.Event()
        self._complained = False

    @property
    def public_key(self) -> bytes:
        """What copies of the checkpoints are checked with (Ed25519, 32 bytes)."""
        return self._signer.public_key

    @property
    def key(self) -> bytes:
        """What segments are opened with."""
        return self._key

    # --- start and stop --------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Look after what a crash left, begin a segment, and note it in a checkpoint. Raises AuditUnavailable."""
        self._loop = asyncio.get_running_loop()
        await self._loop.run_in_executor(None, self._begin)

    async def stop(self) -> None:
        """Write what is queued, end the segment, and note its end in a last checkpoint."""
        await asyncio.get_running_loop().run_in_executor(None, self.close)

    def close(self) -> None:
        """As `stop`. Harmless a second time."""
        if self._flusher is None or self._stopping:
            return
        self._stopping = True
        self._queue.put(None)
        self._flusher.join()
        self._finish.set()
        self._wake.set()
        if self._checkpointer is not None:
            self._checkpointer.join()

    def _begin(self) -> None:
        try:
            self.directory.mkdir(mode=0o700, exist_ok=True)
            sync_directory(self.directory.parent)
            self._abandoned = end_abandoned(self.directory, self._records.reader(), self._key, self._signer)
            self._open_segment()
            self._checkpoint()
        except (OSError, DamagedCheckpoints, DamagedChain) as error:
            raise AuditUnavailable(f"the audit log cannot be used: {error}") from error
        self._flusher = threading.Thread(target=self._flush, name="freehold-audit", daemon=True)
        self._checkpointer = threading.Thread(
            target=self._keep_checkpoints, name="freehold-audit-checkpoints", daemon=True
        )
        self._flusher.start()
        self._checkpointer.start()

    # --- events ----------------------------------------------------------------------------------------------

    def write(self, events: list[bytes]) -> asyncio.Future[None]:
        """Done when the events are durable; AuditUnavailable when they can't be. On the event loop only."""
        loop = self._loop
        if loop is None or self._stopping:
            raise AuditUnavailable("the audit log is not open")
        future = loop.create_future()
        if not events:
            future.set_result(None)
        elif self._sync_seconds > QUICK_SYNC_SECONDS:
            self._sync_seconds *= 0.99  # so that a disk that was slow once is tried again
            self._queue.put((events, future))
        else:
            self._gathering.add(loop, (events, future))
        return future

    def _store_gathered(self, waiters: list[Waiter]) -> None:
        """What the requests of a busy moment have written becomes one frame, here and now.

        Handing it to the flusher and back costs more than the sync on a quick disk, most of it in the interpreter's
        lock. A slow disk, and what comes while the flusher is at work, go to the flusher.
        """
        if self._stopping:
            _resolve(waiters, "it is closed")
            return
        if not self._storing.acquire(blocking=False):
            for waiter in waiters:
                self._queue.put(waiter)
            return
        failure = None
        try:
            self._store([event for events, _ in waiters for event in events])
        except Exception as error:
            failure = _reason(error)
            log.error("the audit log cannot be written: %s", failure)
        finally:
            self._storing.release()
        _resolve(waiters, failure)

    def append_in(self, tx: Transaction, events: list[bytes]) -> None:
        """Put a mutation's events into its own transaction."""
        if events:
            chain.append(tx, events, self._now_us())
            self._note_change()

    def _flush(self) -> None:
        """The flusher thread: everything that is queued becomes one frame, one write, one sync."""
        last = False
        while not last:
            first = self._queue.get()
            if first is None:
                break
            waiters = [first]
            events = list(first[0])
            with contextlib.suppress(Empty):
                while len(events) < MOST_EVENTS_PER_FRAME:
                    waiter = self._queue.get_nowait()
                    if waiter is None:
                        last = True
                        break
                    waiters.append(waiter)
                    events += waiter[0]
            failure = None
            try:
                with self._storing:
                    self._store(events)
            except Exception as error:
                failure = _reason(error)
                log.error("the audit log cannot be written: %s", failure)
            self._tell(waiters, failure)
        self._end_segment()
        with contextlib.suppress(Empty):
            while True:
                late = self._queue.get_nowait()
                if late is not None:
                    self._tell([late], "it is closed")

    def _store(self, events: list[bytes]) -> None:
        segment = self._segment
        if segment is None or segment.head.size >= self._segment_bytes or time.monotonic() >= self._rotate_at:
            self._end_segment()
            segment = self._open_segment()
        began = time.perf_counter()
        try:
            segment.append(events, self._now_us())
            self._sync_seconds += (time.perf_counter() - began - self._sync_seconds) * 0.1
        except BaseException:
            # Its number may be on the disk already, so this segment gets no further frame.
            self._end_segment()
            raise
        self._note_change()

    def _tell(self, waiters: list[Waiter], failure: str | None) -> None:
        assert self._loop is not None
        # The loop is closed when its process is being stopped; nobody waits there any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_resolve, waiters, failure)

    def _open_segment(self) -> SegmentWriter:
        segment = SegmentWriter(self.directory, self._key, self._worker, self._now_us())
        self._rotate_at = time.monotonic() + self._segment_seconds
        self._segment = segment
        return segment

    def _end_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        self._ended.append(segment.head)
        segment.discard_if_empty()
        segment.close()
        self._note_change()

    def _now_us(self) -> int:
        return int(self._clock.now_seconds() * 1_000_000)

    # --- checkpoints -----------------------------------------------------------------------------------------

    def _note_change(self) -> None:
        if not self._dirty:
            self._dirty = True
            self._wake.set()

    def _keep_checkpoints(self) -> None:
        """The checkpoint thread: sleeps while nothing happens, else writes one a second."""
        while True:
            self._wake.wait()
            finishing = self._finish.is_set()
            self._wake.clear()
            try:
                if self._dirty:
                    self._checkpoint()
                self._complained = False
            except Exception as error:
                self._dirty = True
                self._wake.set()
                if not self._complained:
                    self._complained = True
                    log.error("a checkpoint cannot be written: %s", error if str(error) else type(error).__name__)
            if finishing:
                return
            self._finish.wait(CHECKPOINT_SECONDS)

    def _checkpoint(self) -> None:
        # Before the heads are read, so that what comes later is seen next time.
        self._dirty = False
        segment = self._segment
        heads = {} if segment is None else {segment.head.segment_id: checkpoint.segment_head(segment.head)}
        own = tuple(self._ended)
        ended = [*self._abandoned, *map(checkpoint.segment_head, own)]
        for gone in ended:
            heads.pop(gone.segment_id, None)
        signed: Future[None] = self._records.submit(lambda tx: self._sign(tx, heads, ended))
        signed.result()
        self._abandoned = []
        for _ in own:
            self._ended.popleft()
        self._file.complete(self._records.reader())

    def _sign(self, tx: Transaction, heads: dict[bytes, SegmentHead], ended: list[SegmentHead]) -> None:
        found = checkpoint.newest(tx)
        before, before_hash = NO_CHECKPOINT, NO_CHECKPOINT.previous
        if found is not None:
            before, before_hash = self._signer.check(found[1]), checkpoint.hash_of(found[1])
        # Workers that start together find the same abandoned segments: whoever comes first ends them.
        still_open = [head for head in ended if checkpoint.ended(tx, head.segment_id) is None]
        new = checkpoint.next_checkpoint(before, before_hash, chain.head(tx), heads, still_open, self._now_us())
        checkpoint.put(tx, new, self._signer.sign(new))


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, OSError) else type(error).__name__


def _resolve(waiters: list[Waiter], failure: str | None) -> None:
    for _, future in waiters:
        if future.done():  # whoever awaited it has gone away
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(AuditUnavailable(f"the audit log cannot be written: {failure}"))

"""The one thread of a process that writes: takes works in groups, commits each group once, tells everyone together.

A group is what is queued when the write lock was taken. A work that raises is left out of it; a group that cannot be
stored fails as a whole, keeps nothing, and the writer goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any

import apsw

from freehold.storage.acknowledged import Acknowledged
from freehold.storage.cache import Counters
from freehold.storage.database import DatabaseReader, Statements, count_commit, meaning
from freehold.storage.gathering import Gathering
from freehold.storage.locks import TurnLock
from freehold.storage.pending import Pending
from freehold.storage.records import Transaction
from freehold.storage.transaction import GroupTransaction, Stored, apply

MOST_WORKS_PER_GROUP = 128

Work = Callable[[Transaction], Any]

_log = logging.getLogger(__name__)


class Job:
    """A work and how its caller hears of it: `loop` is None for a concurrent future."""

    __slots__ = ("failure", "future", "loop", "result", "work")

    def __init__(self, work: Work, future: Any, loop: asyncio.AbstractEventLoop | None) -> None:
        self.work = work
        self.future = future
        self.loop = loop
        self.result: Any = None
        self.failure: BaseException | None = None

    def start(self) -> bool:
        """False for one whose caller has cancelled it; from here on it can't be."""
        started: bool = self.loop is not None or self.future.set_running_or_notify_cancel()
        return started

    def resolve(self) -> None:
        future = self.future
        if future.done():  # whoever awaited it has gone away
            return
        if self.failure is None:
            future.set_result(self.result)
        elif isinstance(self.failure, StopIteration):  # no future carries one
            future.set_exception(RuntimeError("a work raised StopIteration"))
        else:
            future.set_exception(self.failure)


class Writer:
    """`submit` and `submit_async` queue works for the thread; `close` lets it finish what is queued."""

    def __init__(
        self,
        connection: apsw.Connection,
        statements: Statements,
        counters: Counters,
        lock: TurnLock,
        acknowledged: Acknowledged,
        *,
        truncate: Callable[[apsw.Connection], None],
        erasing: bool,
    ) -> None:
        self._connection = connection
        self._statements = statements
        self._reader = DatabaseReader(connection, statements)
        self._counters = counters
        self._lock = lock
        self._acknowledged = acknowledged
        self._truncate = truncate
        self._erasing = erasing
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._gathering = Gathering(self._put_all, MOST_WORKS_PER_GROUP)
        self._thread = threading.Thread(target=self._run, name="freehold-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Work) -> Future[Any]:
        future: Future[Any] = Future()
        self._put(Job(work, future, None))
        return future

    def submit_async(self, work: Work) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        if self._closed:
            raise RuntimeError("the records are closed")
        future = loop.create_future()
        self._gathering.add(loop, Job(work, future, loop))
        return future

    def _put_all(self, jobs: list[Job]) -> None:
        """Queue what was gathered. Nobody else can be told when the writer was closed meanwhile."""
        for job in jobs:
            try:
                self._put(job)
            except RuntimeError as error:
                job.failure = error
                job.resolve()

    def close(self) -> None:
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _put(self, job: Job) -> None:
        with self._closing:
            if self._closed:
                raise RuntimeError("the records are closed")
            self._queue.put(job)

    def _run(self) -> None:
        last = False
        while not last:
            job = self._queue.get()
            if job is None:
                return
            jobs = [job]
            try:
                with self._lock:
                    # Whatever arrived while others had the lock joins the group.
                    last = self._take(jobs)
                    jobs = [job for job in jobs if job.start()]
                    if jobs:
                        self._write(jobs)
            except BaseException as error:
                for job in jobs:
                    job.failure = job.failure or error
            _resolve(jobs)

    def _take(self, jobs: list[Job]) -> bool:
        """Add what is queued. True when the queue has ended."""
        with contextlib.suppress(Empty):
            while len(jobs) < MOST_WORKS_PER_GROUP:
                job = self._queue.get_nowait()
                if job is None:
                    return True
                jobs.append(job)
        return False

    def _write(self, jobs: list[Job]) -> None:
        """Run the jobs and commit what they wrote. Raises what befell the whole group."""
        connection = self._connection
        self._counters.repair()
        try:
            connection.execute("BEGIN IMMEDIATE")
            pending = Pending()
            stored: Stored = {}
            domains: set[str] = set()
            actions: list[Callable[[], None]] = []
            erases = False
            for job in jobs:
                transaction = GroupTransaction(self._reader, pending, stored, self._counters)
                try:
                    job.result = job.work(transaction)
                except BaseException as error:
                    job.failure = error
                    continue
                pending.add(transaction.own)
                domains |= transaction.domains
                actions += transaction.actions
                erases |= transaction.erases
            apply(pending, connection, self._statements)
            commits = count_commit(connection) if pending.tables else None
            self._counters.begin(domains)
            try:
                connection.execute("COMMIT")
            finally:
                self._counters.end(domains)
        except apsw.Error as error:
            self._undo()
            raise meaning(error, connection) from error
        except BaseException:
            self._undo()
            raise
        if commits is not None:
            # What is committed must not be reported as failed; the count may be behind.
            with contextlib.suppress(OSError):
                self._acknowledged.write(commits)
        self._erasing |= erases
        if self._erasing:
            self._finish_erasing()
        for action in actions:
            try:
                action()
            except Exception:
                _log.exception("an action after a commit failed")

    def _finish_erasing(self) -> None:
        """Empty the log. A reader that is stuck in mid-statement keeps it; then each group tries again, as does the
        next start: what is committed must not be reported as failed."""
        try:
            self._truncate(self._connection)
            self._erasing = False
        except apsw.Error as error:
            _log.error("the log still holds pages of what was erased; the next commit tries again: %s", error)

    def _undo(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _resolve(jobs: list[Job]) -> None:
    """Tell every caller; those of one event loop through one call."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Job]] = {}
    for job in jobs:
        if job.loop is None:
            job.resolve()
        else:
            by_loop.setdefault(job.loop, []).append(job)
    for loop, waiting in by_loop.items():
        # The loop is gone when its process is being stopped; nobody waits there any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve_here, waiting)


def _resolve_here(jobs: list[Job]) -> None:
    for job in jobs:
        job.resolve()

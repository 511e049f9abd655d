"""Records in one SQLite file, for the processes of one machine: the embedded engine.

A process makes its own `SqliteRecords` after it was forked. Threads read through a connection each; one thread writes
(see `writer.py`), in turn with the other processes' (see `locks.py`). Refuses a wrong key, a later format, and a log
that lost what was acknowledged.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

import apsw

from freehold.crypto.aead import Sealer
from freehold.storage.acknowledged import Acknowledged
from freehold.storage.cache import Counters
from freehold.storage.database import DatabaseReader, Statements, commits, connect, prepare
from freehold.storage.locks import TurnLock
from freehold.storage.records import Reader, Transaction
from freehold.storage.writer import Writer

T = TypeVar("T")

_log = logging.getLogger(__name__)

CHECKPOINT_AT_PAGES = 2_000
"""Of the write-ahead log (of 4 KiB). Reading gets slower with it, checkpointing more often writes more."""

TRUNCATE_WITHIN_SECONDS = 10.0
CLOSE_WITHIN_SECONDS = 5.0


class SqliteRecords:
    """`Records` in the directory `directory`: `records.db`, its log and the writers' lock files.

    `page_key` (32 bytes) opens the pages, `sealer` the values. `counters` are shared with the other workers.
    """

    def __init__(self, directory: Path, page_key: bytes, sealer: Sealer, counters: Counters) -> None:
        self._path = directory / "records.db"
        self._page_key = page_key
        self._statements = Statements(sealer)
        self._local = threading.local()
        self._opening = threading.Lock()
        # Weak, so that a thread's connection goes when its thread does.
        self._connections: weakref.WeakSet[apsw.Connection] = weakref.WeakSet()
        self._closed = False
        with contextlib.ExitStack() as opened:
            self._lock = opened.enter_context(contextlib.closing(TurnLock(directory)))
            self._checkpoint_lock = opened.enter_context(contextlib.closing(TurnLock(directory)))
            with self._lock:
                counters.repair()
                connection = opened.enter_context(contextlib.closing(connect(self._path, page_key, create=True)))
                prepare(connection)
                path = directory / "records.acknowledged"
                self._acknowledged = opened.enter_context(contextlib.closing(Acknowledged(path)))
                self._acknowledged.check(commits(connection))
                _sync_directory(directory)
                erasing = not self._emptied(connection)
            opened.pop_all()
        connection.set_wal_hook(self._log_grew)
        self._checkpoint_due = threading.Event()
        self._writer = Writer(
            connection, self._statements, counters, self._lock, self._acknowledged, truncate=_truncate, erasing=erasing
        )
        self._connections.add(connection)
        self._writing = connection
        self._checkpointer = threading.Thread(target=self._checkpoints, name="freehold-checkpoints", daemon=True)
        self._checkpointer.start()

    def _emptied(self, connection: apsw.Connection) -> bool:
        """Empty the log at the start: pages of what was erased just before a crash may be in it. False without room."""
        try:
            _truncate(connection)
            # All that the database holds is synced now. The file has its room before anything depends on it.
            self._acknowledged.write(commits(connection))
        except (apsw.Error, OSError) as error:
            _log.error("the log could not be emptied at the start; the first commit tries again: %s", error)
            return False
        return True

    def reader(self) -> Reader:
        try:
            reader: DatabaseReader = self._local.reader
            return reader
        except AttributeError:
            pass
        connection = self._connect()
        self._local.reader = reader = DatabaseReader(connection, self._statements)
        return reader

    def submit(self, work: Callable[[Transaction], T]) -> Future[T]:
        return self._writer.submit(work)

    def submit_async(self, work: Callable[[Transaction], T]) -> asyncio.Future[T]:
        return self._writer.submit_async(work)

    def purge(self) -> None:
        """Return when no former content of the database is left in its log. `Transaction.erase` does so by itself."""
        connection = self._connect()
        try:
            with self._checkpoint_lock:
                _truncate(connection)
        finally:
            connection.close()

    def close(self) -> None:
        """Finish what was submitted, and leave one file without a log when no other process uses it."""
        if self._closed:
            return
        self._writer.close()
        self._closed = True
        self._checkpoint_due.set()
        self._checkpointer.join()
        with self._lock, self._opening:
            for connection in list(self._connections):
                if connection is not self._writing:
                    _close(connection)
            # The last one to close empties the log and removes it, which one that was interrupted cannot.
            _close(self._writing)
            self._connections.clear()
        self._acknowledged.close()
        self._lock.close()
        self._checkpoint_lock.close()

    def _connect(self) -> apsw.Connection:
        with self._opening:
            if self._closed:
                raise RuntimeError("the records are closed")
            connection = connect(self._path, self._page_key)
            self._connections.add(connection)
        return connection

    def _log_grew(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        """Called at each commit of the writer with the log's length."""
        if pages >= CHECKPOINT_AT_PAGES:
            self._checkpoint_due.set()
        return apsw.SQLITE_OK

    def _checkpoints(self) -> None:
        """Copy the log into the database as it grows, beside the writers."""
        connection = self._connect()
        while True:
            self._checkpoint_due.wait()
            self._checkpoint_due.clear()
            if self._closed:
                connection.close()
                return
            try:
                # Most of it without stopping anyone, then what was added meanwhile, then the short rest while nobody
                # adds to it: only a log that was copied to its end is begun anew by the next writer.
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                with self._checkpoint_lock:
                    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            except apsw.BusyError:
                pass  # another process is doing it
            except apsw.Error as error:
                # The log keeps everything; the next commit asks again.
                _log.error("a checkpoint failed: %s", error)


def _truncate(connection: apsw.Connection) -> None:
    """Copy the log into the database and cut it to nothing. Under the write lock. Waits for readers."""
    deadline = time.monotonic() + TRUNCATE_WITHIN_SECONDS
    while True:
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            return
        except (apsw.BusyError, apsw.LockedError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.001)


def _close(connection: apsw.Connection) -> None:
    """Close it, even if its thread is in the middle of a statement."""
    deadline = time.monotonic() + CLOSE_WITHIN_SECONDS
    while True:
        try:
            connection.close()
            return
        except apsw.ThreadingViolationError:
            if time.monotonic() > deadline:
                raise
            connection.interrupt()
            time.sleep(0.001)


def _sync_directory(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)

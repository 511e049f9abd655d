"""A data directory with real records, and audit logs over it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from freehold.audit.sink import AuditLog
from freehold.audit.verify import Report, verify
from freehold.clock import Clock
from freehold.crypto.aead import Sealer
from freehold.crypto.root_key import RootKey
from freehold.storage.counters import SharedCounters
from freehold.storage.sqlite import SqliteRecords


class Trail:
    """A data directory whose logs run on an event loop in a thread of their own."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.directory = data / "audit"
        self.root_key = RootKey(bytes(range(32)))
        self.clock = Clock(movable=True)
        self.counters = SharedCounters()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self.logs: list[AuditLog] = []
        self.open_records()

    def open_records(self) -> None:
        key = self.root_key
        self.records = SqliteRecords(
            self.data, key.sealing_key("pages"), Sealer(key.sealing_key("records")), self.counters
        )

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    def start(self, worker: int = 0, **options: Any) -> AuditLog:
        log = AuditLog(self.directory, self.records, self.root_key, self.clock, worker=worker, **options)
        self.run(log.start())
        self.logs.append(log)
        return log

    def write(self, log: AuditLog, *events: bytes) -> None:
        async def one() -> None:
            await log.write(list(events))

        self.run(one())

    def change(self, log: AuditLog, *events: bytes) -> None:
        self.records.submit(lambda tx: log.append_in(tx, list(events))).result(30)

    def stop(self) -> None:
        for log in self.logs:
            self.run(log.stop())
        self.logs.clear()

    def crash(self, log: AuditLog) -> None:
        """End a log's threads and locks as if its process had been killed: nothing more is written."""
        log._checkpoint = lambda: None  # type: ignore[method-assign]
        segment, log._segment = log._segment, None
        assert segment is not None
        segment.close()
        self.run(log.stop())
        self.logs.remove(log)

    def verify(self) -> Report:
        return verify(self.directory, self.records.reader(), self.root_key)

    def close(self) -> None:
        self.stop()
        self.records.close()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def segments(self) -> list[Path]:
        return sorted(self.directory.glob("*.segment"))


@pytest.fixture
def trail(tmp_path: Path) -> Iterator[Trail]:
    made = Trail(tmp_path)
    yield made
    made.close()


@pytest.fixture
def new_trail(tmp_path: Path) -> Iterator[Callable[[], Trail]]:
    made: list[Trail] = []

    def new() -> Trail:
        directory = tmp_path / str(len(made))
        os.mkdir(directory)
        made.append(Trail(directory))
        return made[-1]

    yield new
    for trail in made:
        trail.close()

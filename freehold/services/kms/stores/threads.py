"""Threads in which one key store is waited for: what is slow or hangs there delays nobody else, nor the server's end.

They are daemons, since a library that hangs in a call can't be interrupted, and started when they are needed. Who
waits does so for a stated time and is then told; what hasn't begun by then never begins.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from queue import SimpleQueue
from typing import Any, Final, TypeVar

MOST_WAITING: Final = 256

T = TypeVar("T")


class Busy(Exception):
    """Too much is waiting already."""


class Threads:
    """Runs works in at most `most` threads."""

    def __init__(self, name: str, most: int) -> None:
        self._name = name
        self._most = most
        self._queue: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._started: list[threading.Thread] = []
        self._unfinished = 0
        self._closed = False

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Run `work` in one of the threads. Raises Busy."""
        future: Future[T] = Future()
        with self._lock:
            if self._closed or self._unfinished >= MOST_WAITING:
                raise Busy
            self._unfinished += 1
            if self._unfinished > len(self._started) < self._most:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._started.append(thread)
                thread.start()
        self._queue.put((future, work))
        return future

    async def run(self, work: Callable[[], T], seconds: float) -> T:
        """What `work` returns, or raises. Raises Busy, and TimeoutError when it took longer."""
        return await asyncio.wait_for(asyncio.wrap_future(self.submit(work)), seconds)

    def wait(self, work: Callable[[], T], seconds: float) -> T:
        """As `run`, for a thread; one of its own does the work itself."""
        if threading.current_thread() in self._started:
            return work()
        future = self.submit(work)
        try:
            return future.result(seconds)
        except FutureTimeout:
            if not future.done():
                future.cancel()
                raise TimeoutError from None
            raise

    def close(self) -> None:
        """Begin nothing more. What is under way goes on, and isn't waited for."""
        with self._lock:
            self._closed = True
            for _ in self._started:
                self._queue.put(None)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            future, work = item
            try:
                if future.set_running_or_notify_cancel():
                    try:
                        future.set_result(work())
                    except BaseException as error:
                        future.set_exception(error)
            finally:
                with self._lock:
                    self._unfinished -= 1
                del future, work, item

"""Where passwords are hashed: one thread per worker, at low priority, with a bounded queue.

An attacker who makes the server hash takes that thread's time and nobody else's: what doesn't fit in the queue is
refused, and one address or account has a small share of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from freehold.services.iam.errors import Throttling

MOST_WAITING: Final = 24
MOST_WAITING_EACH: Final = 4
_NICENESS: Final = 10

_BUSY: Final = "Rate exceeded: too many passwords are being checked. Try again in a moment."
T = TypeVar("T")


class PasswordThread:
    """`run` on the event loop; `close` when no more will come."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._waiting: dict[str, int] = {}

    async def run(self, for_whom: str, work: Callable[[], T]) -> T:
        """`work()` on the thread. `for_whom`: the address or account whose share it takes. Raises Throttling."""
        waiting = self._waiting
        mine = waiting.get(for_whom, 0)
        if mine >= MOST_WAITING_EACH or sum(waiting.values()) >= MOST_WAITING:
            raise Throttling(_BUSY)
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, thread_name_prefix="freehold-passwords", initializer=_be_nice)
        waiting[for_whom] = mine + 1
        loop = asyncio.get_running_loop()
        future = self._executor.submit(work)
        # Counted until it is really done: whoever hangs up meanwhile doesn't get another place for it.
        future.add_done_callback(lambda _: _tell(loop, self._done, for_whom))
        return await asyncio.wrap_future(future)

    def _done(self, for_whom: str) -> None:
        left = self._waiting[for_whom] - 1
        if left:
            self._waiting[for_whom] = left
        else:
            del self._waiting[for_whom]

    def close(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)


def _tell(loop: asyncio.AbstractEventLoop, action: Callable[[str], None], argument: str) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is gone when the process is being stopped
        loop.call_soon_threadsafe(action, argument)


def _be_nice() -> None:
    """Requests go first."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)

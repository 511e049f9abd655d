"""The only source of time.

Two times exist. `wall` is the machine's, used where a client's own clock is compared (signature dates, presigned
expiry). `now` is the deployment's, used for everything that lasts (sessions, deletion windows, record dates): it is
`wall` plus an offset that a test or the demo may move forward, never back.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Offset(Protocol):
    """Where the moved seconds are kept; shared by the workers of a node."""

    def get(self) -> int: ...
    def add(self, seconds: int) -> None: ...


class LocalOffset:
    """An offset in this process only."""

    def __init__(self) -> None:
        self._seconds = 0

    def get(self) -> int:
        return self._seconds

    def add(self, seconds: int) -> None:
        self._seconds += seconds


class Clock:
    """`now()` and `wall()` as seconds (float) or aware UTC datetimes. `movable=False` refuses `advance`."""

    def __init__(self, offset: Offset | None = None, *, movable: bool = False) -> None:
        self._offset = offset or LocalOffset()
        self.movable = movable

    def wall_seconds(self) -> float:
        return time.time()

    def wall(self) -> datetime:
        return datetime.fromtimestamp(time.time(), UTC)

    def now_seconds(self) -> float:
        return time.time() + self._offset.get()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.now_seconds(), UTC)

    def advance(self, seconds: int) -> None:
        """Move `now` forward. Raises ValueError for a clock that isn't movable, or for going back."""
        if not self.movable:
            raise ValueError("this server's clock cannot be moved; start it with --movable-clock")
        if seconds < 0:
            raise ValueError("the clock moves forward only")
        self._offset.add(seconds)

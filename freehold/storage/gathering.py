"""Gathering what the requests of a busy moment bring, so that one commit or one sync serves them all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

QUIET_TURNS = 2
"""A turn takes in what arrived, the next one serves it: two turns bring what one announces."""


class Gathering(Generic[T]):
    """Items from one event loop. They are handed to `act` together when the loop has turned twice without another.

    A sync costs as much CPU as serving one or two requests: handing each on by itself would make it the larger part.
    A lone request waits for two empty turns, some microseconds; nothing waits once `most` have come.
    """

    __slots__ = ("_act", "_items", "_most")

    def __init__(self, act: Callable[[list[T]], None], most: int) -> None:
        self._act = act
        self._most = most
        self._items: list[T] = []

    def add(self, loop: asyncio.AbstractEventLoop, item: T) -> None:
        """`act` gets the item soon. On the loop's thread only."""
        self._items.append(item)
        if len(self._items) == 1:
            loop.call_soon(self._turn, loop, 0, 0)

    def _turn(self, loop: asyncio.AbstractEventLoop, seen: int, quiet: int) -> None:
        count = len(self._items)
        quiet = quiet + 1 if count == seen else 0
        if quiet < QUIET_TURNS and count < self._most:
            loop.call_soon(self._turn, loop, count, quiet)
            return
        items, self._items = self._items, []
        self._act(items)

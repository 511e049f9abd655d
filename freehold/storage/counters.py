"""What the workers of one node share in memory: the domains' change counters and the clock's offset. Nothing else.

The memory is an anonymous mapping: whoever is forked after it was made shares it, nobody else can. It keeps nothing
across a restart of the node.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from freehold.storage.records import COUNTED

_WORD = 8
_UNDER_WAY = 1
"""The word that is 1 while a commit may have counters odd, so that `repair` need not look at all of them each time."""


class SharedCounters:
    """Change counters (see `cache.py`) in shared memory, and `offset`, the clock's. Make it before the workers fork.

    A counter is one aligned 64-bit word, so a reader sees it whole. Only the holder of the records' write lock calls
    `begin`, `end` and `repair`: there is one writer at a time, and a counter only ever grows.
    """

    def __init__(self, domains: Collection[str] = COUNTED) -> None:
        self._places = {domain: place for place, domain in enumerate(domains, _UNDER_WAY + 1)}
        self._memory = mmap.mmap(-1, max(mmap.PAGESIZE, _WORD * (_UNDER_WAY + 1 + len(self._places))))
        self._words = memoryview(self._memory).cast("Q")
        self.offset = SharedOffset(memoryview(self._memory).cast("q"), 0)

    def read(self, domain: str) -> int:
        """Even: nothing of the domain is being committed. KeyError for a domain that was not named."""
        return self._words[self._places[domain]]

    def begin(self, domains: Collection[str]) -> None:
        """A commit that touches `domains` follows: their counters are odd from here."""
        words = self._words
        words[_UNDER_WAY] = 1
        for domain in domains:
            words[self._places[domain]] |= 1

    def end(self, domains: Collection[str]) -> None:
        """The commit happened or failed: their counters are even again, and other than before `begin`."""
        words = self._words
        for domain in domains:
            place = self._places[domain]
            words[place] = (words[place] | 1) + 1
        words[_UNDER_WAY] = 0

    def repair(self) -> None:
        """Close what a process that died between `begin` and `end` left open. Its commit may have happened."""
        words = self._words
        if words[_UNDER_WAY]:
            for place in self._places.values():
                if words[place] & 1:
                    words[place] += 1
            words[_UNDER_WAY] = 0


class SharedOffset:
    """Seconds by which the deployment's clock was moved (a `clock.Offset`), in shared memory."""

    def __init__(self, words: memoryview, place: int) -> None:
        self._words = words
        self._place = place
        self._threads = threading.Lock()
        # A record lock on it belongs to a process, so forked workers exclude each other.
        self._file = os.memfd_create("freehold-clock-offset", os.MFD_CLOEXEC)

    def get(self) -> int:
        seconds: int = self._words[self._place]
        return seconds

    def add(self, seconds: int) -> None:
        with self._threads, self._alone():
            self._words[self._place] += seconds

    @contextmanager
    def _alone(self) -> Iterator[None]:
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def __del__(self) -> None:
        os.close(self._file)

"""Derived values that hold while their domain's change counter stands still.

A counter is even at rest and odd while a commit that touches its domain is under way (or was, when its process died):
then nothing is taken from the cache and nothing is put there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Protocol, TypeVar

from freehold.storage.records import Reader, Records

V = TypeVar("V")


class Counters(Protocol):
    """Change counters shared by a node's workers. Only the holder of the write lock calls all but `read`."""

    def read(self, domain: str) -> int: ...
    def begin(self, domains: Collection[str]) -> None: ...
    def end(self, domains: Collection[str]) -> None: ...
    def repair(self) -> None:
        """End what a process that died had begun."""
        ...


class _Values(dict[Any, Any]):
    """A domain's values by key, and what they weigh together."""

    __slots__ = ("weight",)

    def __init__(self) -> None:
        super().__init__()
        self.weight = 0


class Cache:
    """Values by domain (or part of one) and key; a domain's values are all dropped when its counter has moved.

    A domain holds 200,000 values, a part of one 400, or fewer where they are large: one with a `cache_weight` counts as
    that many.
    """

    def __init__(
        self, records: Records, counters: Counters, *, most_per_domain: int = 200_000, most_per_part: int = 400
    ) -> None:
        self._records = records
        self._counters = counters
        self._most = most_per_domain
        self._most_per_part = most_per_part
        self._held: dict[str, tuple[int, _Values]] = {}

    def get(self, domain: str, key: Any, load: Callable[[Reader], V]) -> V:
        """The value for `key`, from `load(reader)` when it isn't held. What `load` raises isn't held."""
        counter = self._counters.read(domain)
        held = self._held.get(domain)
        if held is None or held[0] != counter:
            held = (counter, _Values())
            if not counter & 1:
                self._held[domain] = held
        values = held[1]
        try:
            value: V = values[key]
            return value
        except KeyError:
            pass
        value = load(self._records.reader())
        if not counter & 1 and self._counters.read(domain) == counter:
            values.weight += getattr(value, "cache_weight", 1)
            if values.weight > (self._most_per_part if "/" in domain else self._most):
                values.clear()
                values.weight = getattr(value, "cache_weight", 1)
            values[key] = value
        return value

    def forget(self) -> None:
        """Let go of what doesn't hold any more, for a process that nobody asks: what was erased must not stay in it."""
        for domain, held in list(self._held.items()):
            if self._counters.read(domain) != held[0]:
                self._held.pop(domain, None)

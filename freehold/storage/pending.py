"""Writes that are not in the database yet: what one piece of work, or a group of them, will write. Knows no SQL.

Writes are gathered in memory and applied when the group commits, so undoing a work is forgetting its writes, a row
written by many works of a group is sealed and stored once, and reading one's own write costs a dictionary look-up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

DELETED = None
Rows = dict[bytes, bytes | None]
"""Values by encoded key; DELETED for rows to delete."""


class Pending:
    """Writes by table and encoded key. The latest one of a key counts."""

    __slots__ = ("_sorted", "tables")

    def __init__(self) -> None:
        self.tables: dict[str, Rows] = {}
        self._sorted: dict[str, list[bytes]] = {}

    def set(self, table: str, key: bytes, value: bytes | None) -> None:
        rows = self.tables.get(table)
        if rows is None:
            rows = self.tables[table] = {}
        rows[key] = value

    def add(self, later: Pending) -> None:
        """Take over `later`'s writes."""
        for table, rows in later.tables.items():
            held = self.tables.get(table)
            if held is None:
                self.tables[table] = dict(rows)
            else:
                held.update(rows)

    def keys_between(self, table: str, lowest: bytes, beyond: bytes) -> list[bytes]:
        """The keys written in `table` from `lowest` up to, but without, `beyond`; in order."""
        rows = self.tables.get(table)
        if not rows:
            return []
        # Rows are never taken out of a table's dictionary, so an equal length means that nothing was added.
        ordered = self._sorted.get(table)
        if ordered is None or len(ordered) != len(rows):
            ordered = self._sorted[table] = sorted(rows)
        return ordered[bisect_left(ordered, lowest) : bisect_left(ordered, beyond)]

    def __iter__(self) -> Iterator[tuple[str, Rows]]:
        return iter(self.tables.items())

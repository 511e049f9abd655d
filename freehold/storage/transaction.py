"""A piece of work's view while a group is being written: the database, under the group's writes, under its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

import apsw

from freehold.storage import keys
from freehold.storage.cache import Counters
from freehold.storage.database import (
    ROWS_PER_FETCH,
    ROWS_PER_PUT,
    DatabaseReader,
    Statements,
    TableStatements,
    is_missing_table,
)
from freehold.storage.pending import DELETED, Pending
from freehold.storage.records import Key, moved_with

_ABSENT = object()
Stored = dict[tuple[str, bytes], "bytes | None"]
"""What the works of a group have read of the database, which nobody else writes meanwhile."""
MOST_STORED_KEPT = 256


class GroupTransaction:
    """A `Transaction`. Nothing reaches the database before `Group.apply`; to undo the work is to drop this."""

    __slots__ = ("_base", "_counters", "_group", "_stored", "actions", "domains", "erases", "own")

    def __init__(self, base: DatabaseReader, group: Pending, stored: Stored, counters: Counters) -> None:
        self._base = base
        self._group = group
        self._stored = stored
        self._counters = counters
        self.own = Pending()
        self.domains: set[str] = set()
        self.actions: list[Callable[[], None]] = []
        self.erases = False

    def put(self, table: str, key: Key, value: bytes) -> None:
        self.own.set(table, keys.encode(key), bytes(value))

    def delete(self, table: str, key: Key) -> None:
        self.own.set(table, keys.encode(key), DELETED)

    def erase(self, table: str, key: Key) -> None:
        self.own.set(table, keys.encode(key), DELETED)
        self.erases = True

    def touch(self, domain: str) -> None:
        self._counters.read(domain)  # an unknown domain fails this work, not its group
        self.domains.update(moved_with(domain))

    def after_commit(self, action: Callable[[], None]) -> None:
        self.actions.append(action)

    def get(self, table: str, key: Key) -> bytes | None:
        encoded = keys.encode(key)
        for pending in (self.own, self._group):
            rows = pending.tables.get(table)
            if rows is not None and encoded in rows:
                return rows[encoded]
        try:
            return self._stored[table, encoded]
        except KeyError:
            value = self._base.get_encoded(table, encoded)
        if len(self._stored) < MOST_STORED_KEPT:
            self._stored[table, encoded] = value
        return value

    def scan(
        self,
        table: str,
        prefix: Key = (),
        *,
        text: str = "",
        after: Key | None = None,
        after_text: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[Key, bytes]]:
        """As `Reader.scan`. Of what the work writes meanwhile, new rows may be missed; deleted ones are."""
        lowest, beyond = keys.bounds(prefix, text, after, after_text, reverse)
        known = len(keys.encode(prefix))
        left = -1 if limit is None else limit
        if left == 0:
            return
        for key, value in self._merged(table, lowest, beyond, reverse, limit):
            yield prefix + keys.decode(key, known), value
            left -= 1
            if left == 0:
                return

    def _merged(
        self, table: str, lowest: bytes, beyond: bytes, reverse: bool, limit: int | None
    ) -> Iterator[tuple[bytes, bytes]]:
        statements = self._base.statements[table]
        statement = statements.down if reverse else statements.up
        size = 64 if limit is None else min(limit + 8, ROWS_PER_FETCH)
        while lowest < beyond:
            stored = dict(self._base.fetch(statement, lowest, beyond, size))
            first, last = lowest, beyond
            more = len(stored) == size
            if more:
                edge = next(reversed(stored))
                if reverse:
                    first = beyond = edge
                else:
                    last = lowest = edge + b"\0"
            written = {*self._group.keys_between(table, first, last), *self.own.keys_between(table, first, last)}
            for key in sorted(written | stored.keys(), reverse=reverse) if written else stored:
                value = self._written(table, key)
                if value is _ABSENT:
                    yield key, statements.sealed.open(key, stored[key])
                elif isinstance(value, bytes):
                    yield key, value
            if not more:
                return
            size = ROWS_PER_FETCH

    def _written(self, table: str, key: bytes) -> object:
        for pending in (self.own, self._group):
            rows = pending.tables.get(table)
            if rows is not None:
                value = rows.get(key, _ABSENT)
                if value is not _ABSENT:
                    return value
        return _ABSENT


def apply(pending: Pending, connection: apsw.Connection, statements: Statements) -> None:
    """Write what is pending through `connection`, which is in a transaction."""
    for table, rows in pending:
        of = statements[table]
        seal = of.sealed.seal
        # In key order, so that neighbouring rows find their page in the cache.
        puts = [(key, seal(key, value)) for key, value in sorted(rows.items()) if value is not None]
        deletes = [(key,) for key, value in rows.items() if value is None]
        try:
            _write(connection, of, puts, deletes)
        except apsw.SQLError as error:
            if not is_missing_table(error):
                raise
            # Found out when the first statement is compiled, so no row of it was written.
            connection.execute(of.create)
            _write(connection, of, puts, deletes)


def _write(
    connection: apsw.Connection,
    of: TableStatements,
    puts: list[tuple[bytes, bytes]],
    deletes: list[tuple[bytes]],
) -> None:
    # Each step of a statement gives the interpreter to another thread and waits to get it back: few steps, many rows.
    for start in range(0, len(puts), ROWS_PER_PUT):
        some = puts[start : start + ROWS_PER_PUT]
        connection.execute(of.put[len(some)], tuple(chain.from_iterable(some)))
    if deletes:
        connection.executemany(of.delete, deletes)

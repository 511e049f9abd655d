"""A look at the records from outside a server: reads, and a check of every page. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import cast

import apsw

from freehold.crypto.aead import Sealer
from freehold.storage import keys
from freehold.storage.acknowledged import Acknowledged
from freehold.storage.database import DatabaseReader, Statements, commits, connect, meaning
from freehold.storage.locks import TurnLock
from freehold.storage.records import CorruptRecord, Key, Reader


class Inspection:
    """The records in `directory`, beside a running server or without one. Raises as `SqliteRecords` does."""

    def __init__(self, directory: Path, page_key: bytes, sealer: Sealer) -> None:
        self._directory = directory
        self._connection = connect(directory / "records.db", page_key)
        self._reader = DatabaseReader(self._connection, Statements(sealer))
        self.reader: Reader = self._reader

    def check_pages(self) -> None:
        """Read every page in use and compare it with its tag, and the commits with those acknowledged.

        Raises CorruptRecord for the first that is not what was written there.
        """
        try:
            found = self._connection.execute("PRAGMA quick_check(1)").get
        except apsw.Error as error:
            known = meaning(error, self._connection)
            raise CorruptRecord(f"{self._connection.filename} is damaged: {known}") from error
        if found != "ok":
            what = " ".join(str(found).replace("*** in database main ***", "").split())
            raise CorruptRecord(f"{self._connection.filename} is damaged: {what or 'a page is not what was written'}")
        path = self._directory / "records.acknowledged"
        if path.exists():
            acknowledged = Acknowledged(path)
            try:
                with TurnLock(self._directory):
                    acknowledged.check(commits(self._connection))
            finally:
                acknowledged.close()

    def commits(self) -> int:
        """How many commits the database holds."""
        return commits(self._connection)

    def tables(self) -> list[str]:
        """The names of all tables of records, whoever they belong to."""
        named = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'r.%' ORDER BY name"
        return [str(name)[2:] for (name,) in self._connection.execute(named)]

    def count_rows(self, tables: Iterable[str]) -> int | None:
        """How many rows these tables have, None where damage keeps that from being known."""
        try:
            counts = [self._connection.execute(f'SELECT count(*) FROM "r.{name}"').get for name in tables]  # noqa: S608
        except apsw.Error:
            return None
        return sum(cast("list[int]", counts))

    def stored(self, table: str, damaged: Callable[[str], None], prefix: Key = ()) -> Iterator[tuple[bytes, bytes]]:
        """Encoded keys and sealed values of a table, as far as its pages can be read; `damaged` is told what can't.

        Behind a page that can't be read it goes on from the table's end, backwards.
        """
        lowest, beyond = keys.bounds(prefix, "", None, None, False)
        try:
            for key, value in self._reader.rows(table, lowest, beyond, False, None):
                yield key, value
                lowest = key + b"\0"
            return
        except (CorruptRecord, apsw.Error):
            damaged("a page of it is not what was written; records on it cannot be read")
        # Rows were fetched many at a time: those before the page, and behind it, come one by one.
        for backwards in (False, True):
            for key, value in self._singly(table, lowest, beyond, backwards):
                yield key, value
                lowest = lowest if backwards else key + b"\0"

    def _singly(self, table: str, lowest: bytes, beyond: bytes, backwards: bool) -> Iterator[tuple[bytes, bytes]]:
        """Rows of a range up to the first that can't be read."""
        statements = self._reader.statements[table]
        statement = statements.down if backwards else statements.up
        while True:
            try:
                rows = self._reader.fetch(statement, lowest, beyond, 1)
            except (CorruptRecord, apsw.Error):
                return
            if not rows:
                return
            yield rows[0]
            if backwards:
                beyond = rows[0][0]
            else:
                lowest = rows[0][0] + b"\0"

    def close(self) -> None:
        self._connection.close()

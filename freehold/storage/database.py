"""The SQLite file: opened under its key, created, checked, read. Owns the pragmas and the errors of the engine.

Pages are encrypted and authenticated by SQLite3 Multiple Ciphers' AEGIS-256 under a raw 32-byte key: a page takes
2 µs to open instead of the default cipher's 10, which counts because every commit empties the readers' page caches.
One SQLite table per table of records: `r.<name>(key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID`.

Do not open the database's files by other means in a process that uses it: closing such a handle drops SQLite's locks.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import apsw

from freehold.crypto.aead import Sealer
from freehold.storage import keys
from freehold.storage.records import CorruptRecord, Key, StorageFull
from freehold.storage.sealed import SealedTable

FORMAT = 1
"""Of the file's tables and keys; a file of a later format is refused."""

BUSY_TIMEOUT_MILLISECONDS = 20_000
CACHE_KIBIBYTES = 16_384
ROWS_PER_FETCH = 1_024
ROWS_PER_PUT = 16

_CREATE_META = "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID"
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class CannotOpen(Exception):
    """The database can't be used. The message is one line that says why."""


class WrongKey(CannotOpen):
    """The database does not open under this key."""


class UnknownFormat(CannotOpen):
    """The database was written by a later version of the program."""


def connect(path: Path, page_key: bytes, *, create: bool = False) -> apsw.Connection:
    """A connection to the database. Raises WrongKey or UnknownFormat. For one thread at a time, not across a fork."""
    if len(page_key) != 32:
        raise ValueError("a page key has 32 bytes")
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if create else 0)
    try:
        connection = apsw.Connection(str(path), flags=flags, statementcachesize=256)
    except apsw.CantOpenError as error:
        raise CannotOpen(f"{path} cannot be opened: it is missing, or access to it is denied") from error
    try:
        connection.set_busy_timeout(BUSY_TIMEOUT_MILLISECONDS)
        connection.execute("PRAGMA cipher = 'aegis'")
        connection.execute(f'PRAGMA key = "raw:{page_key.hex()}"', can_cache=False)
        try:
            connection.pragma("cache_size", -CACHE_KIBIBYTES)
            connection.execute("SELECT count(*) FROM sqlite_schema")
        except (apsw.NotADBError, apsw.CorruptError) as error:
            raise WrongKey(f"{path} belongs to another root key, or its first page is damaged") from error
        connection.pragma("synchronous", "FULL")
        connection.pragma("secure_delete", 1)
        connection.pragma("wal_autocheckpoint", 0)
        connection.pragma("trusted_schema", 0)
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(connection: apsw.Connection) -> None:
    """Make a new file a database of this format, or check that an existing one is. Under the write lock."""
    try:
        if connection.pragma("journal_mode", "wal") != "wal":
            raise CannotOpen(f"{connection.filename} is on a file system without write-ahead logging")
        with connection:
            connection.execute(_CREATE_META)
            connection.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?), ('commits', 0)", (FORMAT,))
        found = connection.execute("SELECT value FROM meta WHERE name = 'format'").get
    except apsw.Error as error:
        known = meaning(error, connection)
        if known is not error:
            raise known from error
        raise CannotOpen(f"{connection.filename} cannot be opened: {error}") from error
    if found != FORMAT:
        raise UnknownFormat(
            f"{connection.filename} has format {found}; this version of the program reads format {FORMAT}"
        )


def meaning(error: apsw.Error, connection: apsw.Connection) -> Exception:
    """An error of the engine as the interface's: CorruptRecord for damage, StorageFull where there is no room."""
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return CorruptRecord("a page of the database is not what was written there")
    if isinstance(error, apsw.FullError):
        return StorageFull("there is no room for the database")
    if isinstance(error, (apsw.IOError, apsw.CantOpenError)) and connection.system_errno in _NO_ROOM:
        return StorageFull("there is no room for the database")
    return error


def commits(connection: apsw.Connection) -> int:
    """How many commits the database holds."""
    return cast(int, connection.execute("SELECT value FROM meta WHERE name = 'commits'").get)


def count_commit(connection: apsw.Connection) -> int:
    """Count the commit that is under way; how many it makes."""
    counted = connection.execute("UPDATE meta SET value = value + 1 WHERE name = 'commits' RETURNING value").get
    return cast(int, counted)


class TableStatements:
    """One table's SQL and its sealing."""

    __slots__ = ("create", "delete", "down", "get", "put", "sealed", "up")

    def __init__(self, name: str, sealer: Sealer) -> None:
        self.sealed = SealedTable(name, sealer)
        table = f'"r.{name}"'
        within = f"SELECT key, value FROM {table} WHERE key >= ? AND key < ? ORDER BY key"  # noqa: S608 - a checked name
        self.get = f"SELECT value FROM {table} WHERE key = ?"  # noqa: S608
        self.up = f"{within} LIMIT ?"
        self.down = f"{within} DESC LIMIT ?"
        self.create = f"CREATE TABLE IF NOT EXISTS {table} (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID"
        put = f"INSERT OR REPLACE INTO {table} VALUES "  # noqa: S608
        self.put = tuple(put + ", ".join(["(?, ?)"] * rows) for rows in range(ROWS_PER_PUT + 1))
        """By how many rows it writes."""
        self.delete = f"DELETE FROM {table} WHERE key = ?"  # noqa: S608


class Statements(dict[str, TableStatements]):
    """By table's name, made at first use."""

    def __init__(self, sealer: Sealer) -> None:
        super().__init__()
        self._sealer = sealer

    def __missing__(self, name: str) -> TableStatements:
        made = self[name] = TableStatements(name, self._sealer)
        return made


def is_missing_table(error: apsw.SQLError) -> bool:
    return str(error).startswith("no such table")


class DatabaseReader:
    """A `Reader` over one connection. Each call sees the newest committed state (within a transaction: its own)."""

    def __init__(self, connection: apsw.Connection, statements: Statements) -> None:
        self._connection = connection
        self.statements = statements
        self._execute = connection.cursor().execute

    def get(self, table: str, key: Key) -> bytes | None:
        return self.get_encoded(table, keys.encode(key))

    def get_encoded(self, table: str, key: bytes) -> bytes | None:
        statements = self.statements[table]
        try:
            sealed = self._execute(statements.get, (key,)).get
        except apsw.SQLError as error:
            if is_missing_table(error):
                return None
            raise
        except apsw.Error as error:
            raise meaning(error, self._connection) from error
        if sealed is None:
            return None
        return statements.sealed.open(key, sealed)

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
        lowest, beyond = keys.bounds(prefix, text, after, after_text, reverse)
        known = len(keys.encode(prefix))
        open_value = self.statements[table].sealed.open
        decode = keys.decode
        for key, sealed in self.rows(table, lowest, beyond, reverse, limit):
            yield prefix + decode(key, known), open_value(key, sealed)

    def rows(
        self, table: str, lowest: bytes, beyond: bytes, reverse: bool, limit: int | None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Encoded keys and sealed values of a range, fetched in pieces: no statement stays open between two of them."""
        statement = self.statements[table].down if reverse else self.statements[table].up
        size = 64 if limit is None else min(limit, ROWS_PER_FETCH)
        while lowest < beyond and size > 0:
            rows = self.fetch(statement, lowest, beyond, size)
            yield from rows
            if len(rows) < size:
                return
            if reverse:
                beyond = rows[-1][0]
            else:
                lowest = rows[-1][0] + b"\0"
            if limit is None:
                size = ROWS_PER_FETCH
            else:
                limit -= len(rows)
                size = min(limit, ROWS_PER_FETCH)

    def fetch(self, statement: str, lowest: bytes, beyond: bytes, most: int) -> list[tuple[bytes, bytes]]:
        try:
            return cast("list[tuple[bytes, bytes]]", self._execute(statement, (lowest, beyond, most)).fetchall())
        except apsw.SQLError as error:
            if is_missing_table(error):
                return []
            raise
        except apsw.Error as error:
            raise meaning(error, self._connection) from error

"""A look at the records from outside a server: reads, and a check of every page. Changes nothing."""

from __future__ import annotations

from pathlib import Path

import apsw

from freehold.crypto.aead import Sealer
from freehold.storage.acknowledged import Acknowledged
from freehold.storage.database import DatabaseReader, Statements, commits, connect, meaning
from freehold.storage.locks import TurnLock
from freehold.storage.records import CorruptRecord, Reader


class Inspection:
    """The records in `directory`, beside a running server or without one. Raises as `SqliteRecords` does."""

    def __init__(self, directory: Path, page_key: bytes, sealer: Sealer) -> None:
        self._directory = directory
        self._connection = connect(directory / "records.db", page_key)
        self.reader: Reader = DatabaseReader(self._connection, Statements(sealer))

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

    def close(self) -> None:
        self._connection.close()

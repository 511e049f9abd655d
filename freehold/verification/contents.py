"""Every record of every table: whether it opens in its place, and decodes as what its table holds.

Goes on after what is damaged: behind a page that can't be read, the table is read from its end. What couldn't be read
is told once; whoever compares records afterwards gets `Unreadable` for it and looks at the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from freehold.audit import chain, checkpoint
from freehold.crypto.aead import Sealer
from freehold.storage import keys
from freehold.storage.inspection import Inspection
from freehold.storage.records import DECLARED, CorruptRecord, Key, Table
from freehold.storage.sealed import SealedTable
from freehold.verification.report import Progress, Report, row

R = TypeVar("R", bound=msgspec.Struct)

OF_THE_TRAIL: Final = {chain.TABLE, chain.HEAD_TABLE, checkpoint.TABLE, checkpoint.ENDED_TABLE}
"""Their values have formats of their own, which the trail's verification reads."""


class Unreadable(Exception):
    """This record was found damaged before."""


class Contents:
    """The records of a stopped deployment."""

    def __init__(self, directory: Path, page_key: bytes, sealer: Sealer, report: Report, progress: Progress) -> None:
        self.inspection = Inspection(directory, page_key, sealer)
        self.reader = self.inspection.reader
        self.report = report
        self.progress = progress
        self._sealer = sealer

    def check(self) -> None:
        """Read every page, and then every record."""
        self.progress.stage("pages", None)
        try:
            self.inspection.check_pages()
        except CorruptRecord as error:
            self.report.found("records.db", str(error))
        names = self.inspection.tables()
        self.progress.stage("records", self.inspection.count_rows(names))
        for name in names:
            if name not in DECLARED and name not in OF_THE_TRAIL:
                self.report.notes.append(f"{name} is a table that this version of the program doesn't know")
            self._check_table(name)

    def _check_table(self, name: str) -> None:
        sealed, table = SealedTable(name, self._sealer), DECLARED.get(name)
        for encoded, value in self.inspection.stored(name, lambda problem: self.report.found(name, problem)):
            self.progress.step()
            self.report.counts["records"] += 1
            try:
                key = keys.decode(encoded)
            except CorruptRecord:
                self.report.found(name, "a key of it is not one that was ever written")
                continue
            try:
                opened = sealed.open(encoded, value)
                if table is not None:
                    table.decoded(opened)
            except CorruptRecord:
                self.report.found(row(name, key), "it does not open: altered, or moved here from elsewhere")
            except msgspec.MsgspecError:
                self.report.found(row(name, key), "it is not a record of this table")

    def rows(self, table: Table[R], prefix: Key = ()) -> Iterator[tuple[Key, R]]:
        """The rows of a table that can be read."""
        sealed = SealedTable(table.name, self._sealer)
        for encoded, value in self.inspection.stored(table.name, lambda problem: None, prefix):
            try:
                yield keys.decode(encoded), table.decoded(sealed.open(encoded, value))
            except (CorruptRecord, msgspec.MsgspecError):
                continue

    def get(self, table: Table[R], key: Key) -> R | None:
        """One record, None when there is none. Raises Unreadable for a damaged one."""
        try:
            return table.get(self.reader, key)
        except (CorruptRecord, msgspec.MsgspecError):
            raise Unreadable from None

    def close(self) -> None:
        self.inspection.close()

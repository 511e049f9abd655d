"""A database with damaged pages, copied to a new one as far as it can be read. For a stopped deployment.

Rows are copied sealed, as they are: what doesn't open didn't open before, and isn't made to. The count of commits goes
on from the last that was acknowledged, so that no older copy passes for the new database. The damaged file is removed.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import apsw

from freehold.crypto.aead import Sealer
from freehold.storage.acknowledged import Acknowledged
from freehold.storage.database import connect, prepare
from freehold.storage.inspection import Inspection

_DRAFT = "records.rebuilt"


def rebuild(directory: Path, page_key: bytes) -> list[str]:
    """Replace the database by what can be read of it. What was lost: tables' names, and commits that the log lacks."""
    draft, lost = directory / _DRAFT, []
    for path in (draft, Path(f"{draft}-wal"), Path(f"{draft}-shm")):
        path.unlink(missing_ok=True)
    # Nothing is opened here: any sealer will do.
    damaged = Inspection(directory, page_key, Sealer(bytes(32)))
    try:
        made = connect(draft, page_key, create=True)
        try:
            prepare(made)
            for table in damaged.tables():
                if not _copy(damaged, made, table):
                    lost.append(table)
            held, acknowledged = _commits(directory, damaged)
            if held < acknowledged:
                lost.append(f"the last {acknowledged - held} acknowledged commits")
            made.execute("UPDATE meta SET value = ? WHERE name = 'commits'", (max(held, acknowledged) + 1,))
            made.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            made.pragma("journal_mode", "delete")
        finally:
            made.close()
    finally:
        damaged.close()
    os.chmod(draft, 0o600)
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{directory / 'records.db'}{suffix}")
    os.rename(draft, directory / "records.db")
    _sync(draft.parent)
    return lost


def _copy(damaged: Inspection, made: apsw.Connection, table: str) -> bool:
    """Whether all of the table could be read."""
    whole: list[str] = []
    made.execute(f'CREATE TABLE IF NOT EXISTS "r.{table}" (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID')
    insert = f'INSERT OR IGNORE INTO "r.{table}" VALUES (?, ?)'  # noqa: S608 - a table's name
    with made:
        made.executemany(insert, damaged.stored(table, whole.append))
    return not whole


def _commits(directory: Path, damaged: Inspection) -> tuple[int, int]:
    """How many commits the database holds (0 where that can't be read), and how many were acknowledged."""
    held = 0
    with contextlib.suppress(apsw.Error, TypeError):
        held = int(damaged.commits())
    acknowledged = Acknowledged(directory / "records.acknowledged")
    try:
        return held, acknowledged.known()
    finally:
        acknowledged.close()


def _sync(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)

"""How many commits were acknowledged, kept beside the database, so that a log that lost one is noticed when it opens.

SQLite ends its log at the first frame that doesn't add up. After a power cut that is what an unfinished write looks
like; with one flipped byte it would silently drop commits that were acknowledged. The database counts its commits
within each of them; this file is written, unsynced, after each was synced, so it may be behind but never ahead.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from freehold.storage.records import CorruptRecord

_VERSION = 1
_LENGTH = 16


class Acknowledged:
    """The file: a version byte, three zeros, the CRC-32 of those four and of the count (4 bytes), the count (8 bytes).

    Numbers are little-endian.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, commits: int) -> None:
        """Under the write lock, once so many are synced. One write within a sector: it happens or it doesn't."""
        os.pwrite(self._file, _encoded(commits), 0)

    def known(self) -> int:
        """How many commits were acknowledged as far as this file tells; 0 where it is damaged or empty."""
        content = os.pread(self._file, _LENGTH + 1, 0)
        known = int.from_bytes(content[8:16], "little")
        return known if content == _encoded(known) else 0

    def check(self, commits: int) -> None:
        """Raise CorruptRecord when the database has fewer than were acknowledged. Under the write lock."""
        content = os.pread(self._file, _LENGTH + 1, 0)
        if not content:
            return
        known = int.from_bytes(content[8:16], "little")
        if content != _encoded(known):
            raise CorruptRecord(f"{self._path} is not what was written there")
        if commits < known:
            raise CorruptRecord(
                f"the database has lost {known - commits} acknowledged commits: its log is damaged, or it was replaced "
                f"by an older one (then remove {self._path.name})"
            )

    def close(self) -> None:
        os.close(self._file)


def _encoded(commits: int) -> bytes:
    count = commits.to_bytes(8, "little")
    head = bytes((_VERSION, 0, 0, 0))
    return head + zlib.crc32(head + count).to_bytes(4, "little") + count

"""How a value looks to an engine: sealed under its table and key. Refuses values that were altered or moved."""

from __future__ import annotations

import re

from freehold.crypto.aead import IntegrityError, Sealer
from freehold.storage.records import CorruptRecord

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,62}")


class SealedTable:
    """Seals and opens the values of one table."""

    __slots__ = ("_bound", "_open", "_seal", "name")

    def __init__(self, name: str, sealer: Sealer) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be a table's name")
        self.name = name
        # A name has no NUL, so that a table's name and a key cannot run together.
        self._bound = name.encode() + b"\0"
        self._seal = sealer.seal
        self._open = sealer.open

    def seal(self, key: bytes, value: bytes) -> bytes:
        return self._seal(value, self._bound + key)

    def open(self, key: bytes, sealed: bytes) -> bytes:
        """The value. Raises CorruptRecord for what was not sealed for this table and key."""
        try:
            return self._open(sealed, self._bound + key)
        except IntegrityError as error:
            raise CorruptRecord(f"a record of the table {self.name} is not what was written there") from error

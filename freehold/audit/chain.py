"""The records' part of the trail: mutations' events, in rows that are chained by their hashes.

Owns the tables `audit` and `audit.head` (docs/formats/audit-segment.md). A row is written in the transaction of the
mutation that it tells of; the chain's head is read from that transaction, since other processes write too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from freehold.audit.segment import pack_events, unpack_events
from freehold.crypto.aead import IntegrityError
from freehold.storage.records import Reader, Transaction

TABLE: Final = "audit"
HEAD_TABLE: Final = "audit.head"
_HEAD_KEY: Final = ("head",)
_VERSION: Final = 1
_ROW: Final = struct.Struct(">BQ32s")
_HEAD: Final = struct.Struct(">BQQ32s")
_NUMBER: Final = struct.Struct(">Q")
FIRST_HASH: Final = sha256(b"freehold audit rows v1").digest()


class DamagedChain(IntegrityError):
    """The rows are not what was written. The message names the place."""


@dataclass(frozen=True, slots=True)
class RowsHead:
    """How far the rows go: their number, the newest one's time (microseconds) and the hash over all of them."""

    rows: int
    time_us: int
    hash: bytes


NO_ROWS: Final = RowsHead(0, 0, FIRST_HASH)


def head(reader: Reader) -> RowsHead:
    value = reader.get(HEAD_TABLE, _HEAD_KEY)
    if value is None:
        return NO_ROWS
    if len(value) != _HEAD.size or value[0] != _VERSION:
        raise DamagedChain("the head of the rows is malformed")
    _, rows, time_us, digest = _HEAD.unpack(value)
    return RowsHead(rows, time_us, digest)


def append(tx: Transaction, events: list[bytes], now_us: int) -> None:
    """Add a row with these events to the chain, in the transaction."""
    before = head(tx)
    # Times never go back, so that rows can be searched by time.
    time_us = max(now_us, before.time_us)
    number = before.rows + 1
    value = _ROW.pack(_VERSION, time_us, before.hash) + pack_events(events)
    tx.put(TABLE, (number,), value)
    digest = sha256(_NUMBER.pack(number) + value).digest()
    tx.put(HEAD_TABLE, _HEAD_KEY, _HEAD.pack(_VERSION, number, time_us, digest))


def parse(value: bytes) -> tuple[int, bytes, list[bytes]]:
    """(time in microseconds, hash of the rows before, events). Raises DamagedChain."""
    if len(value) < _ROW.size or value[0] != _VERSION:
        raise DamagedChain("a row is malformed")
    _, time_us, previous = _ROW.unpack_from(value)
    try:
        return time_us, previous, unpack_events(value, _ROW.size)
    except ValueError:
        raise DamagedChain("a row is malformed") from None


def walk(reader: Reader) -> Iterator[tuple[RowsHead, list[bytes]]]:
    """(head after it, events) of every row from the first, each checked against the one before it.

    Raises DamagedChain at the first row that is missing or doesn't follow.
    """
    at = NO_ROWS
    for key, value in reader.scan(TABLE):
        number = at.rows + 1
        if key != (number,):
            raise DamagedChain(f"row {number} is missing")
        time_us, previous, events = parse(value)
        if previous != at.hash or time_us < at.time_us:
            raise DamagedChain(f"row {number} does not follow the one before it")
        at = RowsHead(number, time_us, sha256(_NUMBER.pack(number) + value).digest())
        yield at, events

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from freehold.crypto.aead import Sealer
from freehold.storage.counters import SharedCounters
from freehold.storage.records import Table, Transaction
from freehold.storage.sqlite import SqliteRecords


class Colour(msgspec.Struct):
    name: str
    depth: int = 8


COLOURS = Table("colours", Colour, domain="iam")
UNCOUNTED = Table("uncounted", Colour)


def test_a_table_keeps_structs_and_moves_its_domain(tmp_path: Path) -> None:
    counters = SharedCounters()
    records = SqliteRecords(tmp_path, os.urandom(32), Sealer(os.urandom(32)), counters)

    def write(transaction: Transaction) -> None:
        COLOURS.put(transaction, ("a", 1), Colour("red"))
        COLOURS.put(transaction, ("a", 2), Colour("blue", 16))
        COLOURS.put(transaction, ("b", 1), Colour("green"))

    records.submit(write).result(10)
    reader = records.reader()
    assert COLOURS.get(reader, ("a", 2)) == Colour("blue", 16)
    assert COLOURS.get(reader, ("a", 3)) is None
    found = list(COLOURS.scan(reader, ("a",), reverse=True, limit=1))
    assert found == [(("a", 2), Colour("blue", 16))]
    moved = counters.read("iam")
    assert moved > 0
    records.submit(lambda transaction: UNCOUNTED.put(transaction, ("x",), Colour("grey"))).result(10)
    assert counters.read("iam") == moved
    records.submit(lambda transaction: COLOURS.delete(transaction, ("a", 2))).result(10)
    assert counters.read("iam") > moved
    assert COLOURS.get(reader, ("a", 2)) is None
    records.close()


def test_a_domain_without_a_counter_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    records = SqliteRecords(tmp_path, os.urandom(32), Sealer(os.urandom(32)), SharedCounters())
    unknown = Table("t", Colour, domain="nothing")
    with pytest.raises(KeyError):
        records.submit(lambda transaction: unknown.put(transaction, ("x",), Colour("grey"))).result(10)
    assert unknown.get(records.reader(), ("x",)) is None
    records.submit(lambda transaction: COLOURS.put(transaction, ("x",), Colour("grey"))).result(10)
    assert COLOURS.get(records.reader(), ("x",)) == Colour("grey")
    records.close()

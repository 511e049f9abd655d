from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from freehold.crypto.aead import Sealer
from freehold.storage.counters import SharedCounters
from freehold.storage.records import COUNTED, PARTS, Table, Transaction, part
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


THINGS = Table("things", Colour, domain=lambda key: part("kms", str(key[1])))
ABOUT_ALL = Table("about_all", Colour, domain="kms")


def test_a_row_moves_its_part_and_the_domain_and_no_other_part(tmp_path: Path) -> None:
    counters = SharedCounters()
    records = SqliteRecords(tmp_path, os.urandom(32), Sealer(os.urandom(32)), counters)

    def moved_by(work: Callable[[Transaction], None]) -> set[str]:
        before = {domain: counters.read(domain) for domain in COUNTED}
        records.submit(work).result(10)
        assert all(counters.read(domain) % 2 == 0 for domain in COUNTED)
        return {domain for domain in COUNTED if counters.read(domain) != before[domain]}

    of_one = {"kms", part("kms", "one")}
    assert moved_by(lambda tx: THINGS.put(tx, ("x", "one"), Colour("red"))) == of_one
    assert moved_by(lambda tx: THINGS.delete(tx, ("x", "one"))) == of_one
    assert moved_by(lambda tx: THINGS.erase(tx, ("x", "one"))) == of_one
    everything = {domain for domain in COUNTED if domain.partition("/")[0] == "kms"}
    assert len(everything) == PARTS + 1
    assert moved_by(lambda tx: ABOUT_ALL.put(tx, ("x",), Colour("red"))) == everything
    assert moved_by(lambda tx: COLOURS.put(tx, ("x",), Colour("red"))) == {"iam"}
    records.close()


def test_names_are_spread_over_all_parts() -> None:
    found = [part("kms", f"name-{number}") for number in range(20 * PARTS)]
    assert len(set(found)) == PARTS
    assert max(map(found.count, set(found[:50]))) < 60

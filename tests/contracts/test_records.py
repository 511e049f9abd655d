"""What every engine of `Records` must do, run over each of them."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.crypto.aead import Sealer
from freehold.storage.counters import SharedCounters
from freehold.storage.records import Key, Records, Transaction
from freehold.storage.sqlite import SqliteRecords

PAGE_KEY, SEALING_KEY = os.urandom(32), os.urandom(32)

Open = Callable[[], Records]


def sqlite(directory: Path) -> Open:
    counters = SharedCounters()
    return lambda: SqliteRecords(directory, PAGE_KEY, Sealer(SEALING_KEY), counters)


ENGINES = {"sqlite": sqlite}


def count_up(engine: str, directory: Path, page_key: bytes, sealing_key: bytes, times: int) -> None:
    """Another process's part: transactions that read and write the same row, and one row each of their own."""
    global PAGE_KEY, SEALING_KEY
    PAGE_KEY, SEALING_KEY = page_key, sealing_key
    records = ENGINES[engine](directory)()
    increments(records, times)
    records.close()


def increments(records: Records, times: int) -> None:
    def work(transaction: Transaction) -> None:
        count = int(transaction.get("count", ("all",)) or b"0")
        assert len(list(transaction.scan("seen"))) == count
        transaction.put("count", ("all",), b"%d" % (count + 1))
        transaction.put("seen", (count,), b"%d" % os.getpid())

    for future in [records.submit(work) for _ in range(times)]:
        future.result(60)


@pytest.fixture(params=ENGINES.values(), ids=ENGINES.keys())
def open_records(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return request.param(tmp_path)


@pytest.fixture
def records(open_records: Open) -> Iterator[Records]:
    records = open_records()
    yield records
    records.close()


def put(records: Records, table: str, *rows: tuple[Key, bytes]) -> None:
    def work(transaction: Transaction) -> None:
        for key, value in rows:
            transaction.put(table, key, value)

    records.submit(work).result(10)


def keys_of(rows: Iterator[tuple[Key, bytes]]) -> list[Key]:
    return [key for key, _ in rows]


def test_what_was_put_is_read_by_key(records: Records) -> None:
    put(records, "t", (("a",), b"1"), (("a", 1), b"2"), (("a\0b",), b""))
    reader = records.reader()
    assert reader.get("t", ("a",)) == b"1"
    assert reader.get("t", ("a", 1)) == b"2"
    assert reader.get("t", ("a\0b",)) == b""
    assert reader.get("t", ("b",)) is None
    assert reader.get("u", ("a",)) is None
    assert list(reader.scan("u")) == []


def test_a_put_replaces_and_a_delete_removes(records: Records) -> None:
    put(records, "t", (("a",), b"1"), (("b",), b"1"))
    put(records, "t", (("a",), b"2"))
    records.submit(lambda transaction: transaction.delete("t", ("b",))).result(10)
    records.submit(lambda transaction: transaction.delete("t", ("never there",))).result(10)
    assert list(records.reader().scan("t")) == [(("a",), b"2")]


def test_values_survive_a_restart(open_records: Open) -> None:
    records = open_records()
    put(records, "t", (("a",), b"1"))
    records.close()
    again = open_records()
    assert again.reader().get("t", ("a",)) == b"1"
    again.close()


def test_a_transaction_sees_its_own_writes(records: Records) -> None:
    put(records, "t", (("a",), b"old"), (("b",), b"old"))

    def work(transaction: Transaction) -> list[tuple[Key, bytes]]:
        transaction.put("t", ("a",), b"new")
        transaction.delete("t", ("b",))
        transaction.put("t", ("c",), b"new")
        assert transaction.get("t", ("a",)) == b"new"
        assert transaction.get("t", ("b",)) is None
        assert list(transaction.scan("t", reverse=True, limit=1)) == [(("c",), b"new")]
        return list(transaction.scan("t"))

    assert records.submit(work).result(10) == [(("a",), b"new"), (("c",), b"new")]


def test_nothing_is_seen_before_the_commit(records: Records) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def work(transaction: Transaction) -> None:
        transaction.put("t", ("a",), b"1")
        inside.set()
        assert go_on.wait(10)

    future = records.submit(work)
    assert inside.wait(10)
    assert records.reader().get("t", ("a",)) is None
    go_on.set()
    future.result(10)
    assert records.reader().get("t", ("a",)) == b"1"


def test_an_exception_undoes_its_own_work_alone(records: Records) -> None:
    gate = threading.Event()
    records.submit(lambda transaction: gate.wait(10))

    def failing(transaction: Transaction) -> None:
        transaction.put("t", ("b",), b"never")
        transaction.delete("t", ("a",))
        raise LookupError("no")

    ran: list[str] = []

    def failing_with_actions(transaction: Transaction) -> None:
        transaction.after_commit(lambda: ran.append("failed"))
        raise LookupError("no")

    first = records.submit(lambda transaction: transaction.put("t", ("a",), b"1"))
    second = records.submit(failing)
    third = records.submit(failing_with_actions)
    last = records.submit(lambda transaction: (transaction.get("t", ("a",)), transaction.get("t", ("b",))))
    gate.set()
    first.result(10)
    for future in (second, third):
        with pytest.raises(LookupError):
            future.result(10)
    assert last.result(10) == (b"1", None)
    assert keys_of(records.reader().scan("t")) == [("a",)]
    assert ran == []


def test_works_run_in_the_order_of_submission(records: Records) -> None:
    order: list[int] = []
    futures = [records.submit(lambda transaction, n=n: order.append(n)) for n in range(300)]
    for future in futures:
        future.result(10)
    assert order == list(range(300))


def test_an_action_after_the_commit_runs_before_anyone_is_told(records: Records) -> None:
    seen: list[bytes | None] = []

    def work(transaction: Transaction) -> None:
        transaction.put("t", ("a",), b"1")
        transaction.after_commit(lambda: seen.append(records.reader().get("t", ("a",))))

    records.submit(work).result(10)
    assert seen == [b"1"]


def test_a_coroutine_awaits_its_work(records: Records) -> None:
    def refuse(transaction: Transaction) -> None:
        raise LookupError("no")

    async def main() -> list[object]:
        works = [lambda transaction, n=n: transaction.put("t", (n,), b"%d" % n) or n for n in range(200)]
        return await asyncio.gather(*map(records.submit_async, [*works, refuse]), return_exceptions=True)

    *numbers, refused = asyncio.run(main())
    assert numbers == list(range(200))
    assert isinstance(refused, LookupError)
    assert keys_of(records.reader().scan("t")) == [(n,) for n in range(200)]


def test_a_waiter_that_has_gone_away_harms_nobody(records: Records) -> None:
    gate = threading.Event()

    async def main() -> None:
        records.submit(lambda transaction: gate.wait(10))
        gone = records.submit_async(lambda transaction: transaction.put("t", ("a",), b"1"))
        stays = records.submit_async(lambda transaction: transaction.put("t", ("b",), b"1"))
        gone.cancel()
        gate.set()
        await stays

    asyncio.run(main())
    put(records, "t", (("c",), b"1"))
    assert keys_of(records.reader().scan("t")) == [("a",), ("b",), ("c",)]


def test_a_cancelled_future_that_has_not_begun_never_runs(records: Records) -> None:
    gate, begun = threading.Event(), threading.Event()

    def wait(transaction: Transaction) -> None:
        begun.set()
        gate.wait(10)

    records.submit(wait)
    assert begun.wait(10)
    future = records.submit(lambda transaction: transaction.put("t", ("a",), b"1"))
    assert future.cancel()
    gate.set()
    put(records, "t", (("b",), b"1"))
    assert keys_of(records.reader().scan("t")) == [("b",)]


def test_closing_finishes_what_was_submitted_and_refuses_more(open_records: Open) -> None:
    records = open_records()
    futures = [records.submit(lambda transaction, n=n: transaction.put("t", (n,), b"")) for n in range(300)]
    records.close()
    assert all(future.done() and future.exception() is None for future in futures)
    with pytest.raises(RuntimeError, match="closed"):
        records.submit(lambda transaction: None)
    records.close()


def test_each_thread_reads(records: Records) -> None:
    put(records, "t", *(((n,), b"%d" % n) for n in range(500)))
    failures: list[object] = []

    def read() -> None:
        try:
            for n in range(500):
                assert records.reader().get("t", (n,)) == b"%d" % n
            assert len(list(records.reader().scan("t"))) == 500
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    put(records, "u", (("x",), b""))
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_reader_may_be_used_while_a_scan_is_under_way(records: Records) -> None:
    put(records, "t", *(((n,), b"") for n in range(3000)))
    reader = records.reader()
    seen = []
    for key, _ in reader.scan("t"):
        assert reader.get("t", key) == b""
        assert len(list(reader.scan("t", key, limit=2))) == 1
        if key[0] in (10, 1500):
            put(records, "t", (("late", key[0]), b""))
        seen.append(key)
    assert seen == [*((n,) for n in range(3000)), ("late", 10), ("late", 1500)]


@pytest.mark.parametrize("engine", ENGINES)
def test_transactions_of_two_processes_are_serializable(engine: str, tmp_path: Path) -> None:
    records = ENGINES[engine](tmp_path)()
    arguments = (engine, tmp_path, PAGE_KEY, SEALING_KEY, 200)
    others = [multiprocessing.get_context("spawn").Process(target=count_up, args=arguments) for _ in range(2)]
    for other in others:
        other.start()
    while any(other.is_alive() for other in others):
        increments(records, 5)
    for other in others:
        other.join()
    assert [other.exitcode for other in others] == [0, 0]
    rows = list(records.reader().scan("seen"))
    assert int(records.reader().get("count", ("all",)) or b"") == len(rows)
    assert keys_of(iter(rows)) == [(n,) for n in range(len(rows))]
    assert sum(value != b"%d" % os.getpid() for _, value in rows) == 400
    records.close()


# The model: a sorted list of (key, value) with the definition of a scan written out.

parts = st.one_of(
    st.text(st.sampled_from("\0ab/\u00ff\u0100\uffff\U0001f600"), max_size=3),
    st.sampled_from([0, 1, 255, 256, 2**63 - 1]),
)
some_keys = st.lists(parts, min_size=1, max_size=3).map(tuple)
texts = st.text(st.sampled_from("\0ab/\u00ff\U0001f600"), max_size=2)


def order(key: Key) -> list[tuple[int, int, bytes]]:
    return [(1, 0, part.encode()) if isinstance(part, str) else (0, part, b"") for part in key]


def model_scan(rows, prefix, text, after, after_text, reverse, limit):
    def part(key):
        return key[len(prefix)] if len(key) > len(prefix) else None

    chosen = []
    for key in sorted(rows, key=order, reverse=reverse):
        if key[: len(prefix)] != prefix:
            continue
        if text and not (isinstance(part(key), str) and part(key).startswith(text)):
            continue
        if after is not None and not (order(key) < order(after) if reverse else order(key) > order(after)):
            continue
        if after_text is not None:
            begins = isinstance(part(key), str) and part(key).startswith(after_text)
            edge = order((*prefix, after_text))
            if begins or (order(key) < edge) != reverse:
                continue
        chosen.append((key, rows[key]))
    return chosen[:limit]


scans = st.fixed_dictionaries(
    {
        "prefix": st.lists(parts, max_size=2).map(tuple),
        "text": texts,
        "after": st.none() | some_keys,
        "after_text": st.none() | texts,
        "reverse": st.booleans(),
        "limit": st.none() | st.integers(0, 5),
    }
)
changes = st.lists(st.tuples(some_keys, st.none() | st.binary(max_size=4)), max_size=30)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(committed=changes, grouped=changes, own=changes, asked=st.lists(scans, min_size=1, max_size=8))
def test_scans_agree_with_a_sorted_model(records: Records, committed, grouped, own, asked) -> None:
    model: dict[Key, bytes] = {}

    def change(transaction: Transaction, changed) -> None:
        for key, value in changed:
            if value is None:
                transaction.delete("t", key)
                model.pop(key, None)
            else:
                transaction.put("t", key, value)
                model[key] = value

    def compare(reader) -> None:
        for scan in asked:
            assert list(reader.scan("t", **scan)) == model_scan(model, **scan)

    def clear(transaction: Transaction) -> None:
        for key, _ in transaction.scan("t"):
            transaction.delete("t", key)

    gate = threading.Event()
    records.submit(clear).result(10)
    records.submit(lambda transaction: change(transaction, committed)).result(10)
    compare(records.reader())
    # Two works of one group: the second sees the first's writes, not yet stored, and its own.
    held = records.submit(lambda transaction: gate.wait(10))
    first = records.submit(lambda transaction: change(transaction, grouped))
    second = records.submit(lambda transaction: (change(transaction, own), compare(transaction)))
    gate.set()
    for future in (held, first, second):
        future.result(10)
    compare(records.reader())


@pytest.mark.parametrize("rows", [63, 64, 65, 1087, 1088, 1089, 3000])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_is_whole_at_every_edge_of_its_pieces(records: Records, rows: int, reverse: bool) -> None:
    put(records, "t", *(((n,), b"") for n in range(rows)))
    expected = sorted(((n,) for n in range(rows)), reverse=reverse)
    assert keys_of(records.reader().scan("t", reverse=reverse)) == expected
    assert keys_of(records.reader().scan("t", reverse=reverse, limit=rows - 1)) == expected[:-1]

    def work(transaction: Transaction) -> list[Key]:
        for n in range(0, rows, 2):
            transaction.delete("t", (n,))
        return keys_of(transaction.scan("t", reverse=reverse, limit=rows))

    assert records.submit(work).result(10) == [key for key in expected if key[0] % 2]


def test_a_scan_that_deletes_what_it_finds_finds_everything(records: Records) -> None:
    put(records, "t", *(((n,), b"") for n in range(2000)))

    def work(transaction: Transaction) -> int:
        found = 0
        for key, _ in transaction.scan("t"):
            transaction.delete("t", key)
            transaction.delete("t", (key[0] + 1,))
            found += 1
        return found

    assert records.submit(work).result(10) == 1000
    assert list(records.reader().scan("t")) == []


@pytest.mark.parametrize("key", [(1.5,), (None,), (b"x",), (True,)])
def test_a_key_of_another_type_is_refused(records: Records, key: Key) -> None:
    with pytest.raises(TypeError):
        records.reader().get("t", key)


@pytest.mark.parametrize("key", [(-1,), (2**63,), ("\ud800",)])
def test_a_key_without_an_encoding_is_refused(records: Records, key: Key) -> None:
    with pytest.raises(ValueError, match=r"integer|surrogates"):
        records.reader().get("t", key)


@pytest.mark.parametrize("name", ["", "T", 't"; DROP TABLE x', "a b", "é"])
def test_a_name_that_is_none_is_refused(records: Records, name: str) -> None:
    with pytest.raises(ValueError, match="table's name"):
        records.reader().get(name, ("a",))

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from freehold.crypto.aead import Sealer
from freehold.storage.cache import Cache
from freehold.storage.counters import SharedCounters
from freehold.storage.records import Reader, Transaction, part
from freehold.storage.sqlite import SqliteRecords


class Store:
    """A cache over records with one row that is read as a number."""

    def __init__(self, directory: Path, counters: SharedCounters, page_key: bytes, sealing_key: bytes) -> None:
        self.counters = counters
        self.records = SqliteRecords(directory, page_key, Sealer(sealing_key), counters)
        self.cache = Cache(self.records, counters)
        self.loads = 0

    def write(self, number: int, domain: str = "iam") -> None:
        def work(transaction: Transaction) -> None:
            transaction.put("t", ("n",), b"%d" % number)
            transaction.touch(domain)

        self.records.submit(work).result(10)

    def load(self, reader: Reader) -> int:
        self.loads += 1
        return int(reader.get("t", ("n",)) or b"-1")

    def read(self) -> int:
        return self.cache.get("iam", "n", self.load)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path, SharedCounters(), os.urandom(32), os.urandom(32))
    yield store
    store.records.close()


def test_a_value_is_loaded_once_while_nothing_changes(store: Store) -> None:
    store.write(1)
    assert [store.read() for _ in range(5)] == [1] * 5
    assert store.loads == 1
    store.write(2, domain="kms")
    assert store.read() == 1  # the row was written under another domain: that is the writer's word
    assert store.loads == 1


def test_a_write_is_seen_as_soon_as_its_future_is_done(store: Store) -> None:
    for number in range(50):
        store.write(number)
        assert store.read() == number


def test_nothing_is_kept_while_a_commit_is_under_way(store: Store) -> None:
    store.write(1)
    store.read()
    store.counters.begin({"iam"})
    store.loads = 0
    store.read()
    store.read()
    assert store.loads == 2
    store.counters.end({"iam"})
    store.read()
    store.read()
    assert store.loads == 3


def test_a_value_loaded_across_a_commit_is_not_kept(store: Store) -> None:
    store.write(1)

    def load_slowly(reader: Reader) -> int:
        old = store.load(reader)
        store.write(2)
        return old

    assert store.cache.get("iam", "n", load_slowly) == 1
    assert store.read() == 2


def test_what_a_load_raises_is_not_kept(store: Store) -> None:
    def refuse(reader: Reader) -> int:
        raise LookupError("no")

    with pytest.raises(LookupError):
        store.cache.get("iam", "n", refuse)
    store.write(1)
    assert store.read() == 1


def test_what_no_longer_holds_is_let_go_of_without_anybody_asking(store: Store) -> None:
    class Secret:
        pass

    kept = Secret()
    store.write(1)
    gone = weakref.ref(store.cache.get("iam", "erased", lambda _: Secret()))
    store.cache.get("kms", "kept", lambda _: kept)
    store.write(2)
    assert gone() is not None
    store.cache.forget()
    assert gone() is None
    assert store.cache.get("kms", "kept", lambda _: None) is kept


def test_a_domain_is_emptied_when_it_is_full(tmp_path: Path, store: Store) -> None:
    cache = Cache(store.records, store.counters, most_per_domain=10)
    for number in range(25):
        assert cache.get("iam", number, lambda reader, number=number: number) == number
    assert len(cache._held["iam"][1]) <= 10


def test_a_failed_work_moves_no_counter(store: Store) -> None:
    def fail(transaction: Transaction) -> None:
        transaction.touch("iam")
        raise LookupError("no")

    with pytest.raises(LookupError):
        store.records.submit(fail).result(10)
    assert store.counters.read("iam") == 0


def test_threads_never_read_older_than_what_was_acknowledged(store: Store) -> None:
    acknowledged = [0]
    store.write(0)
    stop = threading.Event()
    stale: list[tuple[int, int]] = []

    def read() -> None:
        while not stop.is_set():
            at_least = acknowledged[0]
            got = store.read()
            if got < at_least:
                stale.append((got, at_least))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(1, 60):
        store.write(number)
        acknowledged[0] = number
    stop.set()
    for thread in threads:
        thread.join()
    assert stale == []


def test_processes_never_read_older_than_what_another_acknowledged(tmp_path: Path) -> None:
    counters = SharedCounters()
    page_key, sealing_key = os.urandom(32), os.urandom(32)
    told, tell = os.pipe()
    reader = os.fork()
    if reader == 0:
        status = 1
        try:
            os.close(tell)
            store = Store(tmp_path, counters, page_key, sealing_key)
            while message := os.read(told, 4):
                for _ in range(3):
                    assert store.read() >= int.from_bytes(message, "big")
            assert store.loads < 400
            status = 0
        finally:
            os._exit(status)
    os.close(told)
    store = Store(tmp_path, counters, page_key, sealing_key)
    for number in range(100):
        store.write(number)
        os.write(tell, number.to_bytes(4, "big"))
        time.sleep(0)
    os.close(tell)
    assert os.waitpid(reader, 0)[1] == 0
    store.records.close()


@pytest.mark.parametrize("domain", ["kms", "kms/7"])
def test_large_values_count_as_many(store: Store, domain: str) -> None:
    """Whoever makes values as large as can be must not take all memory with as many as small ones may be."""

    class Value:
        def __init__(self, weight: int) -> None:
            self.cache_weight = weight

    cache = Cache(store.records, store.counters, most_per_domain=100, most_per_part=100)
    held: weakref.WeakSet[Value] = weakref.WeakSet()

    def load(weight: int) -> Value:
        made = Value(weight)
        held.add(made)
        return made

    most = 0
    for number in range(60):
        weight = 30 if number % 2 else 1
        cache.get(domain, number, lambda reader, weight=weight: load(weight))  # type: ignore[misc]
        most = max(most, sum(value.cache_weight for value in held))
    assert 90 <= most <= 100
    assert cache.get(domain, "larger than all", lambda reader: load(1_000)).cache_weight == 1_000


def test_a_part_that_has_grown_beyond_its_most_is_dropped_and_others_stay(store: Store) -> None:
    cache = Cache(store.records, store.counters, most_per_part=3)
    one, other = part("kms", "one"), part("kms", "other")
    assert one != other
    loads: list[object] = []

    def get(domain: str, key: int) -> None:
        cache.get(domain, key, lambda _: loads.append((domain, key)))

    get(other, 0)
    for key in range(4):
        get(one, key)
    loads.clear()
    get(other, 0)
    get(one, 3)
    assert loads == []
    get(one, 0)
    assert loads == [(one, 0)]

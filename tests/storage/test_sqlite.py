"""What the SQLite engine promises beyond the contract about damage, room, keys, formats and erasure."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from freehold.crypto.aead import Sealer
from freehold.storage.counters import SharedCounters
from freehold.storage.database import ROWS_PER_PUT, CannotOpen, UnknownFormat, WrongKey, connect
from freehold.storage.records import CorruptRecord, StorageFull, Transaction
from freehold.storage.sqlite import SqliteRecords

PAGE_KEY, SEALING_KEY = b"p" * 32, b"s" * 32
SECRET = b"the secret text of this record"


def open_records(directory: Path, counters: SharedCounters | None = None, **keys: bytes) -> SqliteRecords:
    page_key, sealing_key = keys.get("page_key", PAGE_KEY), keys.get("sealing_key", SEALING_KEY)
    return SqliteRecords(directory, page_key, Sealer(sealing_key), counters or SharedCounters())


@pytest.fixture
def records(tmp_path: Path) -> Iterator[SqliteRecords]:
    records = open_records(tmp_path)
    yield records
    records.close()


def fill(records: SqliteRecords, rows: int, table: str = "t", value: bytes = SECRET * 10) -> None:
    def work(transaction: Transaction) -> None:
        for number in range(rows):
            transaction.put(table, ("row", number), value)

    records.submit(work).result(10)


def test_another_key_does_not_open_it(tmp_path: Path) -> None:
    records = open_records(tmp_path)
    fill(records, 10)
    records.close()
    with pytest.raises(WrongKey, match="another root key"):
        open_records(tmp_path, page_key=b"q" * 32)
    again = open_records(tmp_path)
    assert again.reader().get("t", ("row", 3)) == SECRET * 10
    again.close()


def test_another_sealing_key_opens_no_record(tmp_path: Path) -> None:
    records = open_records(tmp_path)
    fill(records, 10)
    records.close()
    other = open_records(tmp_path, sealing_key=b"t" * 32)
    with pytest.raises(CorruptRecord, match="table t"):
        other.reader().get("t", ("row", 3))
    with pytest.raises(CorruptRecord, match="table t"):
        list(other.reader().scan("t"))
    other.close()


def test_a_later_format_is_refused(tmp_path: Path) -> None:
    open_records(tmp_path).close()
    connection = connect(tmp_path / "records.db", PAGE_KEY)
    connection.execute("UPDATE meta SET value = 2 WHERE name = 'format'")
    connection.close()
    with pytest.raises(UnknownFormat, match="has format 2"):
        open_records(tmp_path)


def test_a_row_moved_to_another_key_or_table_is_refused(tmp_path: Path) -> None:
    records = open_records(tmp_path)
    fill(records, 3)
    fill(records, 3, table="u", value=b"other")
    records.close()
    connection = connect(tmp_path / "records.db", PAGE_KEY)
    rows = connection.execute('SELECT key, value FROM "r.t" ORDER BY key').fetchall()
    connection.execute('UPDATE "r.t" SET value = ? WHERE key = ?', (rows[0][1], rows[1][0]))
    connection.execute('UPDATE "r.u" SET value = ? WHERE key = ?', (rows[0][1], rows[0][0]))
    connection.close()
    records = open_records(tmp_path)
    reader = records.reader()
    assert reader.get("t", ("row", 0)) == SECRET * 10
    for table, number in (("t", 1), ("u", 0)):
        with pytest.raises(CorruptRecord):
            reader.get(table, ("row", number))
    with pytest.raises(CorruptRecord):
        records.submit(lambda transaction: transaction.get("t", ("row", 1))).result(10)
    records.close()


def test_nothing_readable_is_in_the_files(tmp_path: Path) -> None:
    records = open_records(tmp_path)
    fill(records, 200, table="very.recognizable")
    for when in ("in the log", "in the database"):
        content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        assert len(content) > 50_000, when
        for text in (SECRET, b"very.recognizable", b"row"):
            assert content.count(text) == 0, (when, text)
        records.purge()
    records.close()


def read_everything(directory: Path) -> dict[object, bytes]:
    records = open_records(directory)
    try:
        return dict(records.reader().scan("t"))
    finally:
        records.close()


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x40
    path.write_bytes(content)


def test_a_flipped_byte_anywhere_in_a_page_is_noticed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    records = open_records(kept)
    fill(records, 60)
    records.close()
    good = read_everything(kept)
    size = (kept / "records.db").stat().st_size
    noticed = 0
    # Bytes 16 to 23 of the file are its page size and reserved length, in the clear.
    for place in [*range(0, 40, 3), *range(40, size, 997), *range(4096 - 70, 4096, 7), size - 1]:
        shutil.rmtree(tmp_path / "flipped", ignore_errors=True)
        shutil.copytree(kept, tmp_path / "flipped")
        flip(tmp_path / "flipped" / "records.db", place)
        try:
            assert read_everything(tmp_path / "flipped") == good, place
        except (CorruptRecord, CannotOpen):
            noticed += 1
    assert noticed > 20


def crashed(directory: Path, to: Path, commits: int = 6) -> dict[object, bytes]:
    """Leave at `to` what a killed process leaves of `commits` acknowledged ones; what it had acknowledged."""
    records = open_records(directory)
    for number in range(commits):
        records.submit(lambda transaction, number=number: transaction.put("t", ("row", number), SECRET * 4)).result(10)
    shutil.copytree(directory, to)
    good = dict(records.reader().scan("t"))
    records.close()
    return good


def test_what_was_acknowledged_survives_a_crash(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    good = crashed(tmp_path / "live", tmp_path / "crashed")
    assert len(good) == 6
    assert (tmp_path / "crashed" / "records.db-wal").stat().st_size > 0
    assert read_everything(tmp_path / "crashed") == good


def test_a_flipped_byte_anywhere_in_the_log_of_a_crash_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    good = crashed(tmp_path / "live", tmp_path / "crashed")
    size = (tmp_path / "crashed" / "records.db-wal").stat().st_size
    noticed = 0
    for place in [*range(0, 32, 2), *range(32, 60, 2), *range(60, size, 499), size - 1]:
        shutil.rmtree(tmp_path / "flipped", ignore_errors=True)
        shutil.copytree(tmp_path / "crashed", tmp_path / "flipped")
        flip(tmp_path / "flipped" / "records.db-wal", place)
        try:
            assert read_everything(tmp_path / "flipped") == good, place
        except (CorruptRecord, CannotOpen):
            noticed += 1
    assert noticed > 30


def test_a_cut_log_and_a_replaced_database_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    crashed(tmp_path / "live", tmp_path / "crashed")
    log = tmp_path / "crashed" / "records.db-wal"
    log.write_bytes(log.read_bytes()[:-4000])
    with pytest.raises(CorruptRecord, match="lost 1 acknowledged"):
        open_records(tmp_path / "crashed")
    for name in ("records.db", "records.db-wal", "records.db-shm"):
        (tmp_path / "crashed" / name).unlink(missing_ok=True)
    with pytest.raises(CorruptRecord, match="lost 6 acknowledged"):
        open_records(tmp_path / "crashed")


@pytest.mark.parametrize("place", range(16))
def test_an_altered_count_of_commits_is_noticed(tmp_path: Path, place: int) -> None:
    (tmp_path / "live").mkdir()
    crashed(tmp_path / "live", tmp_path / "crashed")
    flip(tmp_path / "crashed" / "records.acknowledged", place)
    with pytest.raises(CorruptRecord, match=r"records\.acknowledged"):
        open_records(tmp_path / "crashed")


@contextlib.contextmanager
def no_room_beyond(size_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond `size_bytes`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_when_the_room_ends_nothing_is_kept_and_the_writer_goes_on(records: SqliteRecords, tmp_path: Path) -> None:
    fill(records, 10)
    log = tmp_path / "records.db-wal"
    gate = threading.Event()

    def wait(transaction: Transaction) -> None:
        gate.wait(10)

    with no_room_beyond(log.stat().st_size + 6000):
        held = records.submit(wait)
        futures = [
            records.submit(lambda transaction, n=n: transaction.put("t", ("late", n), os.urandom(3000)))
            for n in range(10)
        ]
        gate.set()
        assert held.exception(10) is None or isinstance(held.exception(), StorageFull)
        for future in futures:
            with pytest.raises(StorageFull, match="no room"):
                future.result(10)
        assert list(records.reader().scan("t", ("late",))) == []
    fill(records, 20)
    assert len(list(records.reader().scan("t"))) == 20


def test_a_server_starts_on_a_full_disk_and_reads(tmp_path: Path) -> None:
    (tmp_path / "live").mkdir()
    records = open_records(tmp_path / "live")
    fill(records, 400)
    shutil.copytree(tmp_path / "live", tmp_path / "crashed")
    records.close()
    with no_room_beyond(40_000):  # the log is there, the database can't take it in
        again = open_records(tmp_path / "crashed")
        assert len(list(again.reader().scan("t"))) == 400
        with pytest.raises(StorageFull):
            fill(again, 400)
    fill(again, 500)
    again.close()
    assert len(read_everything(tmp_path / "crashed")) == 500


def test_a_count_that_cannot_be_written_fails_no_commit(
    records: SqliteRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("freehold.storage.acknowledged.os.pwrite", refuse)
    fill(records, 10)
    assert len(list(records.reader().scan("t"))) == 10


def test_when_sqlite_says_full_nothing_is_kept(records: SqliteRecords) -> None:
    fill(records, 10)
    connection = records._writer._connection
    limit = connection.pragma("max_page_count")
    connection.pragma("max_page_count", connection.pragma("page_count") + 2)
    with pytest.raises(StorageFull):
        fill(records, 500)
    assert len(list(records.reader().scan("t"))) == 10
    connection.pragma("max_page_count", limit)
    fill(records, 500)
    assert len(list(records.reader().scan("t"))) == 500


def test_a_full_disk_moves_no_reader_and_ends_the_counters(tmp_path: Path) -> None:
    counters = SharedCounters()
    records = open_records(tmp_path, counters)
    fill(records, 1)

    def work(transaction: Transaction) -> None:
        transaction.put("t", ("big",), os.urandom(100_000))
        transaction.touch("kms")

    with no_room_beyond((tmp_path / "records.db-wal").stat().st_size + 6000), pytest.raises(StorageFull):
        records.submit(work).result(10)
    assert counters.read("kms") % 2 == 0
    records.close()


def pages(directory: Path) -> bytes:
    """The database's pages, decrypted, as they are; not what its log holds."""
    copy = directory.parent / "copy.db"
    shutil.copy(directory / "records.db", copy)
    connection = apsw.Connection(str(copy))
    connection.execute("PRAGMA cipher = 'aegis'")
    connection.execute(f'PRAGMA key = "raw:{PAGE_KEY.hex()}"')
    connection.pragma("journal_mode", "delete")
    connection.execute("PRAGMA rekey = ''")
    connection.close()
    content = copy.read_bytes()
    copy.unlink()
    assert content.startswith(b"SQLite format 3")
    return content


def sealed_row(directory: Path, table: str, key: bytes) -> bytes:
    connection = connect(directory / "records.db", PAGE_KEY)
    value = connection.execute(f'SELECT value FROM "r.{table}" WHERE key = ?', (key,)).get
    connection.close()
    assert isinstance(value, bytes)
    return value


def test_an_erased_row_is_nowhere_in_the_files(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    records = open_records(tmp_path / "data")
    fill(records, 30)
    records.purge()
    sealed = sealed_row(tmp_path / "data", "t", b" row\0\x11\x07")
    # A part that fits within a page, wherever the row lies.
    part = sealed[20:120]
    assert part in pages(tmp_path / "data")
    records.submit(lambda transaction: transaction.put("t", ("row", 8), b"in the log again")).result(10)
    records.submit(lambda transaction: transaction.erase("t", ("row", 7))).result(10)
    assert (tmp_path / "data" / "records.db-wal").stat().st_size == 0
    assert part not in pages(tmp_path / "data")
    assert records.reader().get("t", ("row", 7)) is None
    assert len(list(records.reader().scan("t"))) == 29
    records.close()


def test_an_erasure_waits_for_readers_but_not_for_ever(tmp_path: Path) -> None:
    records = open_records(tmp_path)
    fill(records, 30)
    other = connect(tmp_path / "records.db", PAGE_KEY)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM meta").fetchall()
    threading.Timer(0.2, lambda: other.execute("COMMIT")).start()
    records.submit(lambda transaction: transaction.erase("t", ("row", 7))).result(10)
    assert (tmp_path / "records.db-wal").stat().st_size == 0
    other.close()
    records.close()


def test_an_erasure_that_a_stuck_reader_prevents_is_finished_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("freehold.storage.sqlite.TRUNCATE_WITHIN_SECONDS", 0.0)
    monkeypatch.setattr("freehold.storage.database.BUSY_TIMEOUT_MILLISECONDS", 10)
    records = open_records(tmp_path)
    fill(records, 30)
    stuck = connect(tmp_path / "records.db", PAGE_KEY)
    stuck.execute("BEGIN")
    stuck.execute("SELECT count(*) FROM meta").fetchall()
    records.submit(lambda transaction: transaction.erase("t", ("row", 7))).result(10)
    assert "still holds pages" in caplog.text
    assert (tmp_path / "records.db-wal").stat().st_size > 0
    stuck.close()
    fill(records, 1)
    assert (tmp_path / "records.db-wal").stat().st_size == 0
    records.close()


def test_closing_leaves_one_file_without_a_log(tmp_path: Path) -> None:
    records = open_records(tmp_path)
    fill(records, 30)
    records.reader().get("t", ("row", 1))
    records.close()
    assert {path.name for path in tmp_path.iterdir()} == {
        "records.db",
        "records.acknowledged",
        "write.lock",
        "write-turn.lock",
    }


def test_closing_does_not_wait_for_threads_that_go_on_reading(tmp_path: Path) -> None:
    records = open_records(tmp_path)
    fill(records, 3000)
    ended: list[BaseException] = []

    def read() -> None:
        try:
            while True:
                list(records.reader().scan("t", limit=1000))
        except BaseException as error:
            ended.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    records.close()
    for thread in threads:
        thread.join(10)
    assert len(ended) == 3
    assert not (tmp_path / "records.db-wal").exists()


def test_the_log_stays_short_under_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freehold.storage.sqlite.CHECKPOINT_AT_PAGES", 50)
    records = open_records(tmp_path)
    for number in range(300):
        fill(records, 20, value=b"%d" % number * 500)
    assert (tmp_path / "records.db-wal").stat().st_size < 4120 * 1000
    records.close()


def test_what_is_queued_shares_a_commit(records: SqliteRecords) -> None:
    gate = threading.Event()
    held = records.submit(lambda transaction: gate.wait(10))
    futures = [records.submit(lambda transaction, n=n: transaction.put("t", (n,), b"x")) for n in range(100)]
    gate.set()
    held.result(10)
    for future in futures:
        future.result(10)
    connection = records._connect()
    assert connection.execute("SELECT value FROM meta WHERE name = 'commits'").get <= 2
    connection.close()


KILLED = """
import os, sys
from pathlib import Path
from freehold.crypto.aead import Sealer
from freehold.storage.counters import SharedCounters
from freehold.storage.sqlite import SqliteRecords
counters = SharedCounters()
who = os.fork()
records = SqliteRecords(Path(sys.argv[1]), b"p" * 32, Sealer(b"s" * 32), counters)
number = 0
while True:
    def work(transaction):
        transaction.put("t", (who == 0 and "a" or "b", number), b"x" * 300)
    records.submit(work).result()
    os.write(1, b"%s %d\\n" % (who == 0 and b"a" or b"b", number))
    number += 1
"""


def test_what_two_killed_writers_acknowledged_is_there(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE, process_group=0) as process:
        time.sleep(0.7)
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    acknowledged = [line.split() for line in output.decode().splitlines() if line[:1] in "ab"]
    records = open_records(tmp_path)
    found = {tuple(key) for key, _ in records.reader().scan("t")}
    assert len(acknowledged) > 20
    assert {(name, int(number)) for name, number in acknowledged} <= found
    fill(records, 5)
    records.close()


def test_works_of_a_group_read_a_row_once_and_see_what_the_group_wrote(tmp_path: Path) -> None:
    records = open_records(tmp_path)
    records.submit(lambda tx: tx.put("t", ("shared",), b"0")).result()
    seen: list[bytes | None] = []

    def add(tx: Transaction) -> None:
        for key in ("shared", "absent"):
            value = tx.get("t", (key,))
            seen.append(value)
            tx.put("t", (key,), b"%d" % (int(value or b"0") + 1))

    def undone(tx: Transaction) -> None:
        add(tx)
        raise ValueError

    held = threading.Event()
    first = records.submit(lambda tx: held.wait(5))
    works = [records.submit(work) for work in (add, undone, add)]
    held.set()
    first.result()
    assert [work.exception() is None for work in works] == [True, False, True]
    assert seen == [b"0", None, b"1", b"1", b"1", b"1"]
    assert records.reader().get("t", ("shared",)) == b"2"
    # The next group reads anew.
    records.submit(lambda tx: tx.put("t", ("shared",), b"9")).result()
    assert records.submit(lambda tx: tx.get("t", ("shared",))).result() == b"9"
    records.close()


def test_a_group_writes_more_rows_than_one_statement_takes(tmp_path: Path) -> None:
    records = open_records(tmp_path)
    rows = {("many", number): b"%d" % number for number in range(3 * ROWS_PER_PUT + 1)}

    def write(tx: Transaction) -> None:
        for key, value in rows.items():
            tx.put("new", key, value)

    records.submit(write).result()
    assert dict(records.reader().scan("new")) == rows
    records.close()

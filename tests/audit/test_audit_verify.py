"""Verification: what it must find, and what it must not complain of."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from freehold.audit import chain, checkpoint, sink
from freehold.audit.segment import FRAME_BYTES, HEADER_BYTES
from freehold.audit.verify import verify
from freehold.crypto.root_key import RootKey
from tests.audit.conftest import Trail


@pytest.fixture
def written(trail: Trail) -> Trail:
    """Two workers, three segments, some rows, ended cleanly."""
    trail.records.submit(lambda tx: tx.put("other", ("x",), b"y")).result(30)
    logs = [trail.start(worker, segment_bytes=250) for worker in range(2)]
    for n in range(4):
        trail.write(logs[0], b"read %d" % n, b"refusal %d" % n)
        trail.change(logs[1], b"change %d" % n)
    trail.write(logs[1], b"other worker")
    trail.stop()
    assert trail.verify().ok
    return trail


def problems(trail: Trail) -> str:
    report = trail.verify()
    assert not report.ok
    return "\n".join(map(str, report.findings))


def test_a_whole_trail_is_in_order_and_counted(written: Trail) -> None:
    report = written.verify()
    assert report.findings == report.notes == []
    assert (report.events, report.rows, report.segments) == (13, 4, len(written.segments()))
    assert report.segments == 3
    assert report.checkpoints == checkpoint.CheckpointFile(written.directory).last_number()


def test_every_flipped_byte_of_every_file_is_found(written: Trail) -> None:
    for path in sorted(written.directory.iterdir()):
        whole = path.read_bytes()
        for at in range(len(whole)):
            altered = bytearray(whole)
            altered[at] ^= 0x10
            path.write_bytes(altered)
            assert not written.verify().ok, f"{path.name} at {at}"
        path.write_bytes(whole)
    assert written.verify().ok


def test_every_cut_of_every_file_is_found(written: Trail) -> None:
    for path in sorted(written.directory.iterdir()):
        whole = path.read_bytes()
        for length in {0, 1, 90, len(whole) // 2, len(whole) - 1} - {len(whole)}:
            path.write_bytes(whole[:length])
            assert not written.verify().ok, f"{path.name} at {length}"
        path.write_bytes(whole)


def test_added_bytes_are_found(written: Trail) -> None:
    for path in sorted(written.directory.iterdir()):
        whole = path.read_bytes()
        path.write_bytes(whole + b"\x00")
        assert not written.verify().ok, path.name
        path.write_bytes(whole)


def test_a_removed_workers_file_is_named(written: Trail) -> None:
    path = next(path for path in written.segments() if "-00001-" in path.name)
    path.unlink()
    assert "worker 1's segment" in problems(written)
    assert "the file is missing" in problems(written)


def test_a_segment_cut_at_a_frame_is_found(written: Trail) -> None:
    path = written.segments()[0]
    first = int.from_bytes(path.read_bytes()[HEADER_BYTES : HEADER_BYTES + 4], "big")
    path.write_bytes(path.read_bytes()[: HEADER_BYTES + FRAME_BYTES + first])
    assert path.name in problems(written)


def test_a_frame_taken_out_of_the_middle_is_found(written: Trail) -> None:
    path = written.segments()[0]
    data = path.read_bytes()
    first = HEADER_BYTES + FRAME_BYTES + int.from_bytes(data[HEADER_BYTES : HEADER_BYTES + 4], "big")
    path.write_bytes(data[:HEADER_BYTES] + data[first:])
    assert f"{path.name}: frame 0 was altered" in problems(written)


def test_segments_exchanged_for_each_other_are_found(written: Trail) -> None:
    one, two = written.segments()[:2]
    data = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(data)
    assert "the file was renamed" in problems(written)


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_removed_row_is_found(written: Trail, number: int) -> None:
    written.records.submit(lambda tx: tx.delete(chain.TABLE, (number,))).result(30)
    assert "row" in problems(written)


def test_an_altered_row_is_found(written: Trail) -> None:
    def alter(tx: object) -> None:
        value = tx.get(chain.TABLE, (2,))  # type: ignore[attr-defined]
        tx.put(chain.TABLE, (2,), value.replace(b"change", b"nothin"))  # type: ignore[attr-defined]

    written.records.submit(alter).result(30)
    assert "after row 2" in problems(written)


def test_cut_rows_with_a_head_that_fits_are_found(written: Trail) -> None:
    """Whoever can write records still can't write a checkpoint."""
    heads = [head for head, _ in chain.walk(written.records.reader())]

    def cut(tx: object) -> None:
        tx.delete(chain.TABLE, (4,))  # type: ignore[attr-defined]
        tx.put(  # type: ignore[attr-defined]
            chain.HEAD_TABLE, ("head",), chain._HEAD.pack(1, heads[2].rows, heads[2].time_us, heads[2].hash)
        )

    written.records.submit(cut).result(30)
    assert "3 of 4 rows are left" in problems(written)


def test_a_database_that_was_put_back_is_found(trail: Trail, tmp_path: Path) -> None:
    log = trail.start()
    trail.change(log, b"before")
    trail.stop()
    trail.records.close()
    shutil.copy(trail.data / "records.db", tmp_path / "older.db")
    trail.open_records()
    log = trail.start()
    trail.change(log, b"after")
    trail.write(log, b"read")
    trail.stop()
    trail.records.close()
    shutil.copy(tmp_path / "older.db", trail.data / "records.db")
    (trail.data / "records.acknowledged").unlink()
    trail.open_records()
    assert "as if put back" in problems(trail)


def test_database_and_checkpoints_put_back_together_are_found_by_the_newer_segment(
    trail: Trail, tmp_path: Path
) -> None:
    trail.write(trail.start(), b"before")
    trail.stop()
    kept = trail.directory / "checkpoints"
    older = kept.read_bytes()
    newest = checkpoint.newest(trail.records.reader())
    assert newest is not None
    trail.write(trail.start(), b"after")
    trail.stop()
    kept.write_bytes(older)
    trail.records.submit(
        lambda tx: [tx.delete(checkpoint.TABLE, key) for key, _ in list(tx.scan(checkpoint.TABLE, after=(newest[0],)))]
    ).result(30)
    assert "no checkpoint knows of it" in problems(trail)


def test_removed_checkpoints_are_found(written: Trail) -> None:
    kept = written.directory / "checkpoints"
    whole = kept.read_bytes()
    first = 8 + int.from_bytes(whole[:4], "big")
    last = 8 + int.from_bytes(whole[-4:], "big")
    for cut in (whole[first:], whole[:-last], b""):
        kept.write_bytes(cut)
        assert "checkpoint" in problems(written)
    kept.unlink()
    assert "it lacks the checkpoints 1 to" in problems(written)


def test_another_root_key_finds_everything_foreign(written: Trail) -> None:
    report = verify(written.directory, written.records.reader(), RootKey(bytes(32)))
    assert not report.ok


def test_a_running_server_is_verified_without_disturbing_it(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink, "CHECKPOINT_SECONDS", 0.01)
    logs = [trail.start(worker, segment_bytes=2000) for worker in range(2)]
    for n in range(60):
        trail.write(logs[n % 2], b"%100d" % n)
        trail.change(logs[n % 2], b"%100d" % n)
        report = trail.verify()
        assert report.findings == [], report.findings
        assert report.events == 2 * n + 2
    trail.stop()
    assert trail.verify().findings == []


def test_an_unfinished_checkpoint_after_a_crash_is_only_noted(trail: Trail) -> None:
    log = trail.start()
    trail.write(log, b"x")
    trail.crash(log)
    kept = trail.directory / "checkpoints"
    kept.write_bytes(kept.read_bytes()[:-3])
    report = trail.verify()
    assert report.ok
    assert any("unfinished" in note for note in report.notes)
    trail.start()
    trail.stop()
    assert trail.verify().notes == []


def test_what_is_no_trail_at_all_is_a_finding(new_trail: Callable[[], Trail]) -> None:
    assert not new_trail().verify().ok

"""The log: what is durable when, what fails closed, what a crash leaves."""

from __future__ import annotations

import asyncio
import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from freehold.audit import chain, checkpoint, segment, sink
from freehold.audit.segment import SegmentReader
from freehold.audit.sink import AuditLog, AuditUnavailable
from tests.audit.conftest import Trail


def stored_events(trail: Trail, path: Path) -> list[bytes]:
    reader = SegmentReader(path, trail.root_key.sealing_key("audit"))
    return [event for number in range(reader.refresh()) for event in reader.events(number)]


def test_an_event_is_in_the_segment_and_synced_before_its_writer_goes_on(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = trail.start()
    synced: list[int] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda descriptor: (synced.append(descriptor), real(descriptor))[1])
    trail.write(log, b"one", b"two")
    assert log._segment is not None
    assert log._segment._fd in synced
    assert stored_events(trail, trail.segments()[0]) == [b"one", b"two"]


def test_events_that_arrive_together_share_a_frame(trail: Trail) -> None:
    log = trail.start()

    async def together() -> None:
        await asyncio.gather(*(log.write([b"%d" % n]) for n in range(100)))

    trail.run(together())
    reader = SegmentReader(trail.segments()[0], log.key)
    assert reader.refresh() < 20
    assert stored_events(trail, trail.segments()[0]) == [b"%d" % n for n in range(100)]


def test_a_mutations_events_commit_with_it_or_not_at_all(trail: Trail) -> None:
    log = trail.start()
    trail.change(log, b"kept")

    def fails(tx: Any) -> None:
        log.append_in(tx, [b"undone"])
        raise LookupError

    with pytest.raises(LookupError):
        trail.records.submit(fails).result(30)
    trail.change(log, b"kept too")
    rows = [events for _, events in chain.walk(trail.records.reader())]
    assert rows == [[b"kept"], [b"kept too"]]


def test_rows_of_several_processes_make_one_chain(trail: Trail) -> None:
    logs = [trail.start(worker) for worker in range(2)]
    for n in range(10):
        trail.change(logs[n % 2], b"%d" % n)
    assert [events for _, events in chain.walk(trail.records.reader())] == [[b"%d" % n] for n in range(10)]


@pytest.mark.parametrize("call", ["write", "fdatasync"])
def test_when_the_disk_refuses_the_request_fails_and_later_ones_go_on(
    trail: Trail, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    log = trail.start()
    trail.write(log, b"before")
    assert log._segment is not None
    descriptor = log._segment._fd
    real = getattr(os, call)

    def full(target: int, *rest: Any) -> Any:
        if target == descriptor:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(target, *rest)

    monkeypatch.setattr(os, call, full)
    with pytest.raises(AuditUnavailable, match="No space left"):
        trail.write(log, b"lost")
    monkeypatch.undo()
    trail.write(log, b"after")
    trail.stop()
    assert [stored_events(trail, path) for path in trail.segments()] == [[b"before"], [b"after"]]
    assert trail.verify().ok


def test_while_no_segment_can_be_opened_every_write_fails(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    log = trail.start(segment_bytes=1)
    trail.write(log, b"one")

    def refuse(*arguments: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sink, "SegmentWriter", refuse)
    for _ in range(3):
        with pytest.raises(AuditUnavailable):
            trail.write(log, b"lost")
    monkeypatch.undo()
    trail.write(log, b"two")


def test_a_log_that_is_not_open_takes_nothing(trail: Trail) -> None:
    log = trail.start()
    trail.stop()
    with pytest.raises(AuditUnavailable, match="not open"):
        trail.write(log, b"late")


def test_segments_end_by_size_and_by_age(trail: Trail) -> None:
    log = trail.start(segment_bytes=300)
    for n in range(10):
        trail.write(log, b"%100d" % n)
    assert len(trail.segments()) == 5
    trail.stop()
    log = trail.start(segment_seconds=0)
    trail.write(log, b"x")
    trail.write(log, b"y")
    trail.stop()
    assert len(trail.segments()) == 7
    report = trail.verify()
    assert (report.ok, report.events) == (True, 12)


def test_a_checkpoint_follows_within_seconds_and_none_when_nothing_happens(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sink, "CHECKPOINT_SECONDS", 0.01)
    log = trail.start()
    first = checkpoint.newest(trail.records.reader())
    assert first is not None
    trail.write(log, b"x")
    for _ in range(200):
        found = checkpoint.newest(trail.records.reader())
        if found != first:
            break
        trail.run(asyncio.sleep(0.01))
    assert found is not None
    covered = log._signer.check(found[1])
    assert [head.events for head in covered.open] == [1]
    trail.run(asyncio.sleep(0.1))
    assert checkpoint.newest(trail.records.reader()) == found


def test_a_clean_end_is_covered_to_the_last_event(trail: Trail) -> None:
    log = trail.start()
    trail.write(log, b"x")
    trail.change(log, b"y")
    trail.stop()
    found = checkpoint.newest(trail.records.reader())
    assert found is not None
    last = log._signer.check(found[1])
    assert (last.open, [head.events for head in last.closed], last.rows) == ((), [1], 1)
    assert checkpoint.CheckpointFile(trail.directory).last_number() == last.number


def test_the_public_key_alone_checks_a_copy_of_the_checkpoints(trail: Trail) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    log = trail.start()
    trail.write(log, b"x")
    trail.stop()
    public = Ed25519PublicKey.from_public_bytes(log.public_key)
    numbers = [
        checkpoint.check(public, stored).number for stored in checkpoint.CheckpointFile(trail.directory).stored()
    ]
    assert numbers == list(range(1, len(numbers) + 1))


def test_after_a_crash_everything_acknowledged_is_there_and_the_torn_end_is_cut(trail: Trail) -> None:
    log = trail.start()
    trail.write(log, b"one")
    trail.write(log, b"two")
    trail.crash(log)
    path = trail.segments()[0]
    whole = path.read_bytes()
    path.write_bytes(whole + b"\x00\x00\x10\x00 an unfinished frame")
    assert trail.verify().ok
    trail.start()
    trail.stop()
    assert path.read_bytes() == whole
    report = trail.verify()
    assert report.ok
    assert report.events == 2
    assert any("cut off after a crash" in note for note in report.notes)


def test_a_crash_before_the_first_frame_leaves_nothing_to_complain_of(trail: Trail) -> None:
    trail.crash(trail.start())
    trail.start()
    trail.stop()
    report = trail.verify()
    assert (report.findings, report.events) == ([], 0)


@pytest.mark.parametrize("size", [0, 30, segment.HEADER_BYTES])
def test_a_crash_while_a_segment_is_made_leaves_nothing_to_complain_of(trail: Trail, size: int) -> None:
    trail.write(trail.start(), b"x")
    trail.stop()
    made = segment.SegmentWriter(trail.directory, trail.root_key.sealing_key("audit"), 0, trail.start()._now_us())
    made.close()
    os.truncate(made.path, size)
    trail.stop()
    assert trail.verify().findings == []
    trail.start()
    trail.stop()
    report = trail.verify()
    assert (report.findings, report.events) == ([], 1)


def test_a_segment_that_no_checkpoint_saw_is_taken_over_after_a_crash(trail: Trail) -> None:
    log = trail.start(segment_bytes=1)
    log._checkpoint = lambda: None  # type: ignore[method-assign]
    for n in range(3):
        trail.write(log, b"%d" % n)
    trail.crash(log)
    assert trail.verify().ok
    trail.start()
    trail.stop()
    report = trail.verify()
    assert (report.findings, report.events) == ([], 3)


def test_another_workers_live_segment_is_left_alone(trail: Trail) -> None:
    first = trail.start(0)
    trail.write(first, b"x")
    second = trail.start(1)
    trail.write(second, b"y")
    trail.write(first, b"z")
    trail.stop()
    report = trail.verify()
    assert (report.findings, report.events, report.segments) == ([], 3, 2)


def test_workers_that_start_together_after_a_crash_end_each_segment_once(
    trail: Trail, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed = [trail.start(worker) for worker in range(2)]
    for log in crashed:
        trail.write(log, b"x")
    for log in crashed:
        trail.crash(log)
    both_looked = threading.Barrier(2)
    real = sink.end_abandoned

    def look(*arguments: Any) -> Any:
        found = real(*arguments)
        both_looked.wait(10)
        return found

    monkeypatch.setattr(sink, "end_abandoned", look)
    logs = [AuditLog(trail.directory, trail.records, trail.root_key, trail.clock, worker=worker) for worker in range(2)]
    trail.logs += logs

    async def together() -> None:
        await asyncio.gather(*(log.start() for log in logs))

    trail.run(together())
    trail.stop()
    report = trail.verify()
    assert (report.findings, report.events) == ([], 2)


def test_records_that_were_put_back_are_refused_at_the_start(trail: Trail) -> None:
    log = trail.start()
    trail.write(log, b"x")
    trail.stop()
    found = checkpoint.newest(trail.records.reader())
    assert found is not None
    trail.records.submit(lambda tx: tx.delete(checkpoint.TABLE, (found[0],))).result(30)
    with pytest.raises(AuditUnavailable, match="older"):
        trail.start()


def test_no_plaintext_of_an_event_is_in_the_files(trail: Trail) -> None:
    log = trail.start()
    trail.write(log, b"a secret name")
    trail.change(log, b"another secret name")
    trail.stop()
    trail.records.purge()
    for path in trail.data.rglob("*"):
        if path.is_file():
            assert b"secret name" not in path.read_bytes(), path


def test_a_failed_segment_gets_no_further_frame(trail: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its nonces may have been used."""
    log: AuditLog = trail.start()
    trail.write(log, b"one")
    used = log._segment
    monkeypatch.setattr(segment, "_write", lambda *_: (_ for _ in ()).throw(OSError(errno.EIO, "Input/output error")))
    with pytest.raises(AuditUnavailable):
        trail.write(log, b"two")
    monkeypatch.undo()
    trail.write(log, b"three")
    assert log._segment is not used

"""Reading backwards: the order, where it starts and stops, and that damage is an error rather than a gap."""

from __future__ import annotations

from pathlib import Path

import pytest

from freehold.audit import chain, history
from freehold.audit.history import Place
from freehold.crypto.aead import IntegrityError
from tests.audit.conftest import Trail

EVER = 2**62


def told(trail: Trail, before: Place | None = None, newest_us: int = EVER, oldest_us: int = 0) -> list[bytes]:
    return [event for _, event in trail.logs[0].history.newest_first(before, newest_us, oldest_us)]


@pytest.fixture
def long(trail: Trail) -> Trail:
    """Thirty events, a second apart, over two workers' segments (some ended, some live) and the rows."""
    logs = [trail.start(worker, segment_bytes=400) for worker in range(2)]
    for n in range(30):
        trail.clock.advance(1)
        if n % 3 == 2:
            trail.change(logs[0], b"%d" % n)
        else:
            trail.write(logs[n % 3], b"%d" % n)
    assert len(trail.segments()) == 4
    return trail


ALL = [b"%d" % n for n in reversed(range(30))]


def test_events_of_all_sources_come_newest_first(long: Trail) -> None:
    assert told(long) == ALL


def test_reading_goes_on_behind_any_event(long: Trail) -> None:
    places = [place for place, _ in long.logs[0].history.newest_first(None, EVER, 0)]
    assert places == sorted(places, reverse=True)
    for at, place in enumerate(places):
        assert told(long, before=place) == ALL[at + 1 :]


def test_a_time_range_gives_what_was_written_in_it(long: Trail) -> None:
    times = [place.time_us for place, _ in long.logs[0].history.newest_first(None, EVER, 0)]
    assert told(long, newest_us=times[10], oldest_us=times[20]) == ALL[10:21]
    assert told(long, newest_us=times[-1] - 1) == []
    assert told(long, oldest_us=times[0] + 1) == []


def test_segments_that_the_range_cannot_reach_are_not_opened(long: Trail) -> None:
    now_us = int(long.clock.now_seconds() * 1e6)
    opened = long.logs[0].history
    list(opened.newest_first(None, EVER, now_us - 3_000_000))
    assert len(opened._segments) < len(long.segments())


def test_events_of_one_moment_are_told_once_each(trail: Trail) -> None:
    log = trail.start()
    trail.clock.now_seconds = lambda: 1000.0  # type: ignore[method-assign]
    for n in range(5):
        trail.write(log, b"segment %d" % n, b"and %d" % n)
        trail.change(log, b"row %d" % n)
    places = [place for place, _ in log.history.newest_first(None, EVER, 0)]
    assert len(set(places)) == len(places) == 15
    for at, place in enumerate(places):
        assert len(told(trail, before=place)) == 14 - at


def test_more_segments_than_are_held_are_read(long: Trail, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_HELD_SEGMENTS", 1)
    assert told(long) == told(long) == ALL


def test_nothing_at_all_is_nothing(trail: Trail) -> None:
    trail.start()
    assert told(trail) == []


def ended_and_read(long: Trail) -> Path:
    """Stop the writers, so that checkpoints cover all; read through a log that has nothing in memory."""
    long.stop()
    long.start(2)
    return long.segments()[0]


def test_every_flipped_byte_of_a_segment_fails_the_reader(long: Trail) -> None:
    path = ended_and_read(long)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])
        long.logs[0].history._segments.clear()
        with pytest.raises(IntegrityError):
            told(long)
    path.write_bytes(whole)
    long.logs[0].history._segments.clear()
    assert told(long) == ALL


def test_a_cut_segment_fails_the_reader(long: Trail) -> None:
    path = ended_and_read(long)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IntegrityError):
        told(long)


@pytest.mark.parametrize("number", [1, 4, 10])
def test_a_missing_row_fails_the_reader(long: Trail, number: int) -> None:
    long.records.submit(lambda tx: tx.delete(chain.TABLE, (number,))).result(30)
    with pytest.raises(IntegrityError, match="missing"):
        told(long)


def test_a_missing_live_segment_fails_the_reader(long: Trail) -> None:
    log = long.logs[1]
    log._checkpoint()
    assert log._segment is not None
    log._segment.path.unlink()
    with pytest.raises(IntegrityError, match="missing"):
        told(long)
    log._segment.path.touch()  # so that the log can end

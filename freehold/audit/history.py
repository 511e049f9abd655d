"""The trail read backwards: every event of all workers' segments and of the rows, newest first, from any place on.

Opens only what it comes by: segments that a time range cannot reach are not read. Refuses (`IntegrityError`) to go on
where something is missing or altered, rather than to tell less than what happened.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, insort
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from freehold.audit import chain, checkpoint
from freehold.audit.chain import DamagedChain
from freehold.audit.checkpoint import SegmentHead, Signer
from freehold.audit.segment import DamagedSegment, SegmentReader, segment_files
from freehold.storage.records import Reader, Records

ROWS: Final = "rows"
_HELD_SEGMENTS: Final = 64
_FOR_EVER: Final = 2**63 - 1


class Place(NamedTuple):
    """Where an event is: `source` is a segment's file name or `ROWS`, `number` its frame or row. Newer is greater."""

    time_us: int
    source: str
    number: int
    position: int


class Told(NamedTuple):
    place: Place
    event: bytes


class History:
    """Reads one deployment's trail. Safe to share between threads."""

    def __init__(self, directory: Path, records: Records, key: bytes, signer: Signer) -> None:
        self._directory = directory
        self._records = records
        self._key = key
        self._signer = signer
        self._lock = threading.Lock()
        self._segments: dict[Path, SegmentReader] = {}

    def newest_first(self, before: Place | None, newest_us: int, oldest_us: int) -> Iterator[Told]:
        """Events written between the two times (microseconds, both included) and before a place, newest first."""
        if before is None or before.time_us > newest_us:
            before = Place(newest_us + 1, "", 0, 0)
        reader = self._records.reader()
        sources = self._sources(reader, before, oldest_us)
        for time_us, source, number, events in _merged(sources):
            for position in range(len(events) - 1, -1, -1):
                place = Place(time_us, source, number, position)
                if place < before:
                    yield Told(place, events[position])

    def _sources(self, reader: Reader, before: Place, oldest_us: int) -> list[tuple[int, Frames]]:
        """(no frame of it is newer than this, its frames) of everything that may hold what is wanted."""
        sources = [(_FOR_EVER, _rows(reader, before, oldest_us))]
        # Heads first: whatever a checkpoint knows of has its file already.
        found = checkpoint.newest(reader)
        heads = {} if found is None else {head.segment_id: head for head in self._signer.check(found[1]).open}
        begun: dict[str, int] = {}
        present = set()
        for path in reversed(segment_files(self._directory)):
            created_us, worker = int(path.name[:16]), path.name[17:22]
            present.add(bytes.fromhex(path.stem[-32:]))
            # A worker's segment takes nothing any more once the worker's next one has begun.
            newest_us = begun.get(worker, _FOR_EVER)
            begun[worker] = created_us
            if created_us <= before.time_us and newest_us >= oldest_us:
                sources.append((newest_us, self._frames(path, reader, heads, before, oldest_us)))
        for head in heads.values():
            if head.frames and head.segment_id not in present:
                raise DamagedSegment(f"segment {head.segment_id.hex()} is missing")
        return sources

    def _frames(
        self, path: Path, reader: Reader, heads: dict[bytes, SegmentHead], before: Place, oldest_us: int
    ) -> Frames:
        """A segment's frames, newest first. Looks at the file only when the first one is asked for."""
        with self._lock:
            segment = self._segments.pop(path, None) or SegmentReader(path, self._key)
            self._segments[path] = segment
            while len(self._segments) > _HELD_SEGMENTS:
                del self._segments[next(iter(self._segments))]
            frames = segment.refresh()
        ended = checkpoint.ended(reader, segment.segment_id)
        known = ended or heads.get(segment.segment_id)
        if known is not None and not segment.reaches(known.frames, known.size):
            raise DamagedSegment(f"{path.name}: it is not as long as a checkpoint says")
        if ended is not None and frames != ended.frames:
            raise DamagedSegment(f"{path.name}: something was added to it after its end")
        number = min(bisect_left(segment.times, before.time_us + 1), frames)
        while number > 0:
            number -= 1
            time_us = segment.times[number]
            if time_us < oldest_us:
                return
            if (time_us, path.name, number) <= before[:3]:
                yield time_us, path.name, number, segment.events(number)


Frames = Iterator[tuple[int, str, int, list[bytes]]]


def _rows(reader: Reader, before: Place, oldest_us: int) -> Frames:
    """The rows, newest first."""
    head = chain.head(reader)
    number = _first_row_after(reader, head.rows, before.time_us) if before.time_us < head.time_us else head.rows + 1
    for key, value in reader.scan(chain.TABLE, reverse=True, after=(number,)):
        number -= 1
        if key != (number,):
            raise DamagedChain(f"row {number} is missing")
        time_us, _, events = chain.parse(value)
        if time_us < oldest_us:
            return
        if (time_us, ROWS, number) <= before[:3]:
            yield time_us, ROWS, number, events
    if number != 1:
        raise DamagedChain(f"row {number - 1} is missing")


def _first_row_after(reader: Reader, rows: int, time_us: int) -> int:
    """The number of the first row that is newer than a time: rows are in the order of their times."""
    low, high = 1, rows + 1
    while low < high:
        middle = (low + high) // 2
        value = reader.get(chain.TABLE, (middle,))
        if value is None:
            raise DamagedChain(f"row {middle} is missing")
        if chain.parse(value)[0] <= time_us:
            low = middle + 1
        else:
            high = middle
    return low


def _merged(sources: list[tuple[int, Frames]]) -> Frames:
    """All sources' frames, newest first. A source is begun when nothing older than its newest frame was told yet."""
    waiting = sorted(((newest_us, place) for place, (newest_us, _) in enumerate(sources)))
    # The next frame of each source that was begun, the newest last; no two have the same first three parts.
    ready: list[tuple[tuple[int, str, int, list[bytes]], int]] = []
    while waiting or ready:
        if waiting and (not ready or waiting[-1][0] >= ready[-1][0][0]):
            place = waiting.pop()[1]
        else:
            frame, place = ready.pop()
            yield frame
        following = next(sources[place][1], None)
        if following is not None:
            insort(ready, (following, place))

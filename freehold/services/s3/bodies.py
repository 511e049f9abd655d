"""An object's bytes, sealed: which context each message is bound to, and the plaintext as a stream of segments.

Every body, and every part of a multipart object, is one message under the object's data key. Its context holds the
object's random id, for a part also the upload's and the part's, so that no message can stand in another's place. How
long the plaintext is stands in the (authenticated) record, never in the blob.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from freehold.crypto import stream
from freehold.crypto.aead import IntegrityError
from freehold.services.s3.records import LAYOUTS, Layout, ObjectRecord, Part
from freehold.storage.blobs import BlobReader, CorruptBlob
from freehold.storage.records import CorruptRecord

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.storage.records import Reader

MOST_INLINE_BYTES = 16 * 1024
"""Up to here a body lives in the object's record."""


def context_of(object_id: str) -> bytes:
    """The context of a body written in one piece."""
    return f"s3 object\0{object_id}".encode()


def part_context_of(object_id: str, upload_id: str, number: int, part_id: str) -> bytes:
    """The context of one part."""
    return f"s3 part\0{object_id}\0{upload_id}\0{number}\0{part_id}".encode()


def open_inline(data_key: bytes, record: ObjectRecord) -> bytes:
    """The whole plaintext of a body that lives in its record."""
    try:
        return stream.open_whole(data_key, context_of(record.object_id), record.body, record.size)
    except IntegrityError:
        raise CorruptRecord("s3.objects: a body does not open") from None


@dataclass(slots=True)
class Segment:
    """A stretch of one sealed blob: `length` bytes of its plaintext (of `size`) from `first`."""

    blob: str
    context: bytes
    size: int
    first: int
    length: int


class Plaintext:
    """An `OutStream` of the plaintext of some segments. Authenticates each chunk before it is yielded."""

    def __init__(self, app: App, data_key: bytes, segments: list[Segment]) -> None:
        self.length = sum(segment.length for segment in segments)
        self._app = app
        self._data_key = data_key
        self._segments = segments
        # Opened before the answer begins, so that a reader finishes though the object is replaced meanwhile.
        self._reader: BlobReader | None = app.blobs.open(segments[0].blob) if segments else None

    def chunks(self) -> Iterator[bytes]:
        """Raises IntegrityError or CorruptBlob instead of yielding what was altered."""
        for place, segment in enumerate(self._segments):
            if place:
                self.close()
                self._reader = self._app.blobs.open(segment.blob)
            reader = self._reader
            if reader is None:
                raise CorruptBlob("the stream is closed")
            opened = stream.RangeReader(self._data_key, segment.context, reader.pread, segment.size, reader.size)
            yield from opened.chunks(segment.first, segment.length)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def segments(reader: Reader, record: ObjectRecord, first: int, length: int) -> list[Segment] | None:
    """Where these bytes of an object are; None when its parts are gone because it was replaced meanwhile."""
    if length == 0:
        return []
    if not record.parts:
        return [Segment(record.blob, context_of(record.object_id), record.size, first, length)]
    layout = LAYOUTS.get(reader, (record.object_id,))
    if layout is None:
        return None
    return segments_of_parts(record.object_id, layout, first, length)


def segments_of_parts(object_id: str, layout: Layout, first: int, length: int) -> list[Segment]:
    """The stretches of the parts that hold `length` bytes from `first`. Pure."""
    found: list[Segment] = []
    start = 0
    for part in layout.parts:
        end = start + part.size
        if end > first and start < first + length:
            begin = max(first - start, 0)
            stop = min(first + length, end) - start
            context = part_context_of(object_id, layout.upload_id, part.number, part.part_id)
            found.append(Segment(part.blob, context, part.size, begin, stop - begin))
        start = end
        if start >= first + length:
            break
    return found


def stretch_of_part(layout: Layout, number: int) -> tuple[int, Part] | None:
    """(offset, part) of the part with this number in its object, None if there's none."""
    start = 0
    for part in layout.parts:
        if part.number == number:
            return start, part
        start += part.size
    return None

"""Segment files: where one worker's events go, sealed, in frames that are chained by their hashes.

Owns the format of docs/formats/audit-segment.md. A segment has one writer, once: it is never written again after its
writer went away or failed, so that no nonce is used twice. Refuses, with `DamagedSegment`, a file that isn't what was
written; an unfinished frame at the end is told apart (`Tail`), since a crash leaves one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from freehold.crypto.aead import IntegrityError

MAGIC: Final = b"FHAUDIT\x01"
_INFO: Final = b"freehold audit segment v1\x00"
_PUBLIC: Final = struct.Struct(">8s16sHQ")
_COMMITMENT_BYTES: Final = 32
HEADER_BYTES: Final = _PUBLIC.size + _COMMITMENT_BYTES
_FRAME: Final = struct.Struct(">IQ")
FRAME_BYTES: Final = _FRAME.size
_HASH_BYTES: Final = 32
_TAG_BYTES: Final = 16
_LENGTH: Final = struct.Struct(">I")
_NAME: Final = re.compile(r"[0-9]{16}-[0-9]{5}-[0-9a-f]{32}\.segment")


class DamagedSegment(IntegrityError):
    """A segment is not what its writer wrote. The message names the file and the place."""


@dataclass(frozen=True, slots=True)
class Head:
    """How far a segment goes: what a checkpoint says of it."""

    segment_id: bytes
    worker: int
    frames: int
    events: int
    size: int
    hash: bytes


def pack_events(events: list[bytes]) -> bytes:
    """Events one after the other, each after its length."""
    pack = _LENGTH.pack
    return b"".join([part for event in events for part in (pack(len(event)), event)])


def unpack_events(packed: bytes, at: int = 0) -> list[bytes]:
    """What `pack_events` packed, from byte `at` on. Raises ValueError for anything else."""
    events = []
    end = len(packed)
    while at < end:
        beyond = at + 4 + int.from_bytes(packed[at : at + 4], "big")
        if beyond > end:
            raise ValueError("an event is cut short")
        events.append(packed[at + 4 : beyond])
        at = beyond
    return events


class SegmentWriter:
    """A new segment file, open for appending. One thread writes; `head` may be read by any."""

    def __init__(self, directory: Path, key: bytes, worker: int, now_us: int) -> None:
        """Create it, durably. Raises OSError, and then leaves no file."""
        self._fd, self.path, segment_id = _create(directory, worker, now_us)
        try:
            public = _PUBLIC.pack(MAGIC, segment_id, worker, now_us)
            derived = _derive(key, public)
            header = public + derived[32:]
            _write(self._fd, header)
            os.fsync(self._fd)
            sync_directory(directory)
        except BaseException:
            os.unlink(self.path)
            os.close(self._fd)
            raise
        self._encrypt = AESGCM(derived[:32]).encrypt
        self._time = now_us
        self.head = Head(segment_id, worker, 0, 0, HEADER_BYTES, sha256(header).digest())

    def append(self, events: list[bytes], now_us: int) -> None:
        """One frame with these events, durable when this returns. After an OSError the segment takes no more."""
        head = self.head
        # Times never go back within a segment, so that it can be searched by time.
        self._time = time = max(now_us, self._time)
        packed = head.hash + pack_events(events)
        start = _FRAME.pack(len(packed) + _TAG_BYTES, time)
        frame = start + self._encrypt(head.frames.to_bytes(12, "big"), packed, start)
        try:
            _write(self._fd, frame)
            os.fdatasync(self._fd)
        except BaseException:
            # What was not acknowledged goes away again if it can; a rest of it is an unfinished frame to its readers.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, head.size)
                os.fdatasync(self._fd)
            raise
        self.head = Head(
            head.segment_id,
            head.worker,
            head.frames + 1,
            head.events + len(events),
            head.size + len(frame),
            sha256(head.hash + frame).digest(),
        )

    def discard_if_empty(self) -> None:
        """Remove a segment that holds nothing: it may be missing, whatever checkpoints say."""
        if not self.head.frames:
            with contextlib.suppress(OSError):
                self.path.unlink()

    def close(self) -> None:
        os.close(self._fd)


def _create(directory: Path, worker: int, now_us: int) -> tuple[int, Path, bytes]:
    """An empty file, locked: whoever gets its lock later knows that the writer is gone."""
    while True:
        segment_id = os.urandom(16)
        path = directory / f"{now_us:016d}-{worker:05d}-{segment_id.hex()}.segment"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return descriptor, path, segment_id
        # Another worker that started at this moment took it for abandoned, before it was locked.
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Tail:
    """What follows the last whole frame: `bytes_over` bytes of one that isn't whole."""

    bytes_over: int


class SegmentReader:
    """Reads a segment, also one that is still being written. Opens it anew for each pass; not for several threads."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Raises DamagedSegment when the header isn't genuine, OSError when there's no such file."""
        self.path = path
        with open(path, "rb") as file:
            header = file.read(HEADER_BYTES)
        if len(header) < HEADER_BYTES:
            raise DamagedSegment(f"{path.name}: the header is cut short")
        public = header[: _PUBLIC.size]
        magic, self.segment_id, self.worker, self.created_us = _PUBLIC.unpack(public)
        derived = _derive(key, public)
        if magic != MAGIC or not compare_digest(derived[32:], header[_PUBLIC.size :]):
            raise DamagedSegment(f"{path.name}: the header was altered, or written under another root key")
        if path.name != f"{self.created_us:016d}-{self.worker:05d}-{self.segment_id.hex()}.segment":
            raise DamagedSegment(f"{path.name}: the file was renamed")
        self._decrypt = AESGCM(derived[:32]).decrypt
        self.first_head = Head(self.segment_id, self.worker, 0, 0, HEADER_BYTES, sha256(header).digest())
        self._offsets = array("Q")
        self._times = array("Q")
        self._end = HEADER_BYTES

    def refresh(self) -> int:
        """Find the frames that were added, by their lengths alone. Returns how many frames there are now."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(descriptor).st_size
            if size < self._end:
                # A frame that could not be synced was taken back.
                del self._offsets[:], self._times[:]
                self._end = HEADER_BYTES
            at = self._end
            while at + FRAME_BYTES <= size:
                length, time = _FRAME.unpack(os.pread(descriptor, FRAME_BYTES, at))
                beyond = at + FRAME_BYTES + length
                if beyond > size:
                    break
                self._offsets.append(at)
                self._times.append(time)
                at = beyond
            self._end = at
        finally:
            os.close(descriptor)
        return len(self._offsets)

    def reaches(self, frames: int, size: int) -> bool:
        """Whether `refresh` found that many frames, which take the file up to `size`."""
        found = len(self._offsets)
        return size == (self._end if frames == found else self._offsets[frames] if frames < found else -1)

    @property
    def times(self) -> array[int]:
        """When each frame that `refresh` found was written, microseconds since the epoch, ascending."""
        return self._times

    def size_of(self, number: int) -> int:
        """How many bytes a frame takes in the file."""
        after = self._offsets[number + 1] if number + 1 < len(self._offsets) else self._end
        return after - self._offsets[number]

    def events(self, number: int) -> list[bytes]:
        """The events of one frame that `refresh` found. Raises DamagedSegment."""
        with open(self.path, "rb") as file:
            frame = os.pread(file.fileno(), self.size_of(number), self._offsets[number])
        return self._open(number, frame)[1]

    def walk(self) -> Iterator[tuple[int, Head, list[bytes]] | Tail]:
        """(time, head after it, events) of every frame in order, each checked against the chain.

        Raises DamagedSegment at the first frame that is not genuine. Ends with a `Tail` where the file's last frame
        isn't whole.
        """
        head = self.first_head
        with open(self.path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(HEADER_BYTES)
            while head.size < size:
                start = file.read(FRAME_BYTES)
                length = int.from_bytes(start[:4], "big")
                if head.size + FRAME_BYTES > size or head.size + FRAME_BYTES + length > size:
                    yield Tail(size - head.size)
                    return
                frame = start + file.read(length)
                previous, events = self._open(head.frames, frame)
                if previous != head.hash:
                    raise DamagedSegment(f"{self.path.name}: frame {head.frames} does not follow the one before it")
                head = Head(
                    head.segment_id,
                    head.worker,
                    head.frames + 1,
                    head.events + len(events),
                    head.size + len(frame),
                    sha256(head.hash + frame).digest(),
                )
                yield int.from_bytes(start[4:], "big"), head, events

    def _open(self, number: int, frame: bytes) -> tuple[bytes, list[bytes]]:
        try:
            packed = self._decrypt(number.to_bytes(12, "big"), frame[FRAME_BYTES:], frame[:FRAME_BYTES])
            return packed[:_HASH_BYTES], unpack_events(packed, _HASH_BYTES)
        except (InvalidTag, ValueError):
            raise DamagedSegment(f"{self.path.name}: frame {number} was altered") from None


def segment_files(directory: Path) -> list[Path]:
    """The segments in a directory, oldest first."""
    return sorted(path for path in directory.iterdir() if _NAME.fullmatch(path.name))


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _derive(key: bytes, public: bytes) -> bytes:
    """Frame key and commitment, 32 bytes each; they bind every byte of the header."""
    return HKDFExpand(SHA512(), 64, _INFO + public).derive(key)


def _write(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, data[written:])

"""Checkpoints: signed statements of how far the trail goes, each naming the one before it.

Owns the format of docs/formats/audit-checkpoint.md, the file `checkpoints` and the tables
`audit.checkpoints` and `audit.segments`. Both
places hold the newest checkpoint, so that putting one of them back to an older state shows. A checkpoint holds no
secret: copies of the file may be kept elsewhere, and checked with the public key alone.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from freehold.audit.chain import NO_ROWS, RowsHead
from freehold.audit.segment import Head, sync_directory
from freehold.crypto.aead import IntegrityError
from freehold.storage.records import Reader, Transaction

TABLE: Final = "audit.checkpoints"
ENDED_TABLE: Final = "audit.segments"
FILE: Final = "checkpoints"
KEPT_IN_RECORDS: Final = 64
"""How many of the newest checkpoints stay in the records, from which the file is completed after a crash."""
_SIGNED: Final = b"freehold audit checkpoint v1\x00"
_SIGNATURE_BYTES: Final = 64
_LENGTH_BYTES: Final = 4
_MOST_BYTES: Final = 1 << 24
_NO_CHECKPOINT: Final = bytes(32)


class DamagedCheckpoints(IntegrityError):
    """Checkpoints are not what was written, or some are missing. The message names the place."""


class SegmentHead(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """A segment as a checkpoint sees it. `torn`: bytes of an unfinished frame that were cut off after a crash."""

    segment_id: bytes
    worker: int
    frames: int
    events: int
    size: int
    hash: bytes
    torn: int = 0


class Checkpoint(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """`open`: segments that may still grow. `closed` ended with this checkpoint; earlier ones are only counted and
    hashed (`closed_hash` over each one's encoding, in the order in which they ended)."""

    version: int
    number: int
    time_us: int
    previous: bytes
    """SHA-256 of the checkpoint before this one, as it is stored."""
    rows: int
    rows_time_us: int
    rows_hash: bytes
    open: tuple[SegmentHead, ...]
    closed: tuple[SegmentHead, ...]
    closed_segments: int
    closed_hash: bytes

    @property
    def rows_head(self) -> RowsHead:
        return RowsHead(self.rows, self.rows_time_us, self.rows_hash)


NO_CHECKPOINT: Final = Checkpoint(
    1, 0, 0, _NO_CHECKPOINT, NO_ROWS.rows, NO_ROWS.time_us, NO_ROWS.hash, (), (), 0, bytes(32)
)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Checkpoint).decode
_decode_head = msgspec.msgpack.Decoder(SegmentHead).decode


class Signer:
    """Signs and checks checkpoints with the Ed25519 key that follows from the root key."""

    def __init__(self, seed: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        self._public = self._private.public_key()

    def __repr__(self) -> str:
        return "Signer(…)"

    @property
    def public_key(self) -> bytes:
        """32 bytes (RFC 8032), with which others check copies of the checkpoints."""
        return self._public.public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, checkpoint: Checkpoint) -> bytes:
        """A checkpoint as it is stored: encoded, then its signature."""
        encoded = _encode(checkpoint)
        return encoded + self._private.sign(_SIGNED + encoded)

    def check(self, stored: bytes) -> Checkpoint:
        """The checkpoint. Raises DamagedCheckpoints."""
        return check(self._public, stored)


def check(public_key: Ed25519PublicKey, stored: bytes) -> Checkpoint:
    encoded = stored[:-_SIGNATURE_BYTES]
    try:
        public_key.verify(stored[-_SIGNATURE_BYTES:], _SIGNED + encoded)
        checkpoint = _decode(encoded)
    except InvalidSignature:
        raise DamagedCheckpoints("a checkpoint was altered, or signed under another root key") from None
    except msgspec.DecodeError:
        raise DamagedCheckpoints("a checkpoint is malformed") from None
    if checkpoint.version != 1:
        raise DamagedCheckpoints("a checkpoint has an unknown version")
    return checkpoint


def hash_of(stored: bytes) -> bytes:
    return sha256(stored).digest()


def next_checkpoint(
    before: Checkpoint,
    before_hash: bytes,
    rows: RowsHead,
    heads: dict[bytes, SegmentHead],
    ended: list[SegmentHead],
    time_us: int,
) -> Checkpoint:
    """The checkpoint after `before`: with newer `heads` of open segments, and those that ended."""
    now_open = {head.segment_id: head for head in before.open} | heads
    closed_hash = before.closed_hash
    for head in ended:
        now_open.pop(head.segment_id, None)
        closed_hash = sha256(closed_hash + _encode(head)).digest()
    return Checkpoint(
        version=1,
        number=before.number + 1,
        time_us=max(time_us, before.time_us),
        previous=before_hash,
        rows=rows.rows,
        rows_time_us=rows.time_us,
        rows_hash=rows.hash,
        open=tuple(now_open[segment_id] for segment_id in sorted(now_open)),
        closed=tuple(ended),
        closed_segments=before.closed_segments + len(ended),
        closed_hash=closed_hash,
    )


def segment_head(head: Head, torn: int = 0) -> SegmentHead:
    return SegmentHead(head.segment_id, head.worker, head.frames, head.events, head.size, head.hash, torn)


def newest(reader: Reader) -> tuple[int, bytes] | None:
    """(number, stored checkpoint) of the newest in the records."""
    for key, value in reader.scan(TABLE, reverse=True, limit=1):
        return int(key[0]), value
    return None


def put(tx: Transaction, checkpoint: Checkpoint, stored: bytes) -> None:
    """Store a signed checkpoint, and which segments ended with it."""
    tx.put(TABLE, (checkpoint.number,), stored)
    if checkpoint.number > KEPT_IN_RECORDS:
        tx.delete(TABLE, (checkpoint.number - KEPT_IN_RECORDS,))
    for head in checkpoint.closed:
        tx.put(ENDED_TABLE, (head.segment_id.hex(),), _encode(head))


def ended(reader: Reader, segment_id: bytes) -> SegmentHead | None:
    """The last head of a segment that a checkpoint has ended, None for one that may still grow."""
    value = reader.get(ENDED_TABLE, (segment_id.hex(),))
    return None if value is None else _decode_head(value)


class CheckpointFile:
    """The file `checkpoints`: each one between its length (4 bytes) twice. Every worker appends, one at a time."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE

    def complete(self, reader: Reader) -> None:
        """Append, durably, what the records have beyond the file's end. Raises OSError, DamagedCheckpoints."""
        created = not self.path.exists()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size, number = _end(descriptor)
            missing = b""
            for key, stored in reader.scan(TABLE, after=(number,)):
                number += 1
                if key != (number,):
                    raise DamagedCheckpoints(f"checkpoint {number} is missing from the file {FILE}")
                length = len(stored).to_bytes(4, "big")
                missing += length + stored + length
            if not missing:
                return
            try:
                os.ftruncate(descriptor, size)
                written = os.write(descriptor, missing)
                while written < len(missing):
                    written += os.write(descriptor, missing[written:])
                os.fdatasync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
            if created:
                sync_directory(self.path.parent)
        finally:
            os.close(descriptor)

    def last_number(self) -> int:
        """The number of the newest checkpoint in the file, 0 without any. Does not check its signature."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return 0
        try:
            return _end(descriptor)[1]
        finally:
            os.close(descriptor)

    def stored(self) -> Iterator[bytes]:
        """Every checkpoint in the file as it is stored, at last what follows the last whole one if there is any.

        Raises DamagedCheckpoints where the file is malformed.
        """
        if self.path.exists():
            with open(self.path, "rb") as file:
                yield from _entries(file)


def _end(descriptor: int) -> tuple[int, int]:
    """Where the last whole checkpoint ends, and its number; (0, 0) without one."""
    size = os.fstat(descriptor).st_size
    if size > 2 * _LENGTH_BYTES:
        length = os.pread(descriptor, _LENGTH_BYTES, size - _LENGTH_BYTES)
        start = size - 2 * _LENGTH_BYTES - int.from_bytes(length, "big")
        if start >= 0 and os.pread(descriptor, _LENGTH_BYTES, start) == length:
            stored = os.pread(descriptor, size - start - 2 * _LENGTH_BYTES, start + _LENGTH_BYTES)
            try:
                return size, _decode(stored[:-_SIGNATURE_BYTES]).number
            except msgspec.DecodeError:
                pass
    # A crash left an unfinished one at the end.
    end = number = 0
    with open(os.dup(descriptor), "rb") as file:
        file.seek(0)
        for stored in _entries(file):
            try:
                checkpoint = _decode(stored[:-_SIGNATURE_BYTES])
            except msgspec.DecodeError:
                break
            number = checkpoint.number
            end += len(stored) + 2 * _LENGTH_BYTES
    return end, number


def _entries(file: BinaryIO) -> Iterator[bytes]:
    at = 0
    while start := file.read(_LENGTH_BYTES):
        length = int.from_bytes(start, "big")
        rest = file.read(min(length, _MOST_BYTES) + _LENGTH_BYTES)
        if len(start) < _LENGTH_BYTES or len(rest) < length + _LENGTH_BYTES:
            yield start + rest
            return
        if rest[length:] != start:
            raise DamagedCheckpoints(f"the file {FILE} is malformed at byte {at}")
        yield rest[:length]
        at += length + 2 * _LENGTH_BYTES

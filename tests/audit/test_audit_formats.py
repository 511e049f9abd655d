"""Decoders written from docs/formats/audit-segment.md and audit-checkpoint.md alone."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.audit.conftest import Trail


def number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def list_of_events(data: bytes) -> list[bytes]:
    events = []
    while data:
        size = number(data[:4])
        events.append(data[4 : 4 + size])
        data = data[4 + size :]
    return events


def decode_segment(audit_key: bytes, data: bytes) -> tuple[dict[str, Any], list[list[bytes]], bytes]:
    assert data[:8] == b"FHAUDIT\x01"
    header = {"id": data[8:24], "worker": number(data[24:26]), "time": number(data[26:34])}
    info = b"freehold audit segment v1\x00" + data[:34]
    derived = hmac.new(audit_key, info + b"\x01", hashlib.sha512).digest()
    assert data[34:66] == derived[32:]
    digest, at, frames = hashlib.sha256(data[:66]).digest(), 66, []
    while at < len(data):
        size = number(data[at : at + 4])
        frame = data[at : at + 12 + size]
        opened = AESGCM(derived[:32]).decrypt(len(frames).to_bytes(12, "big"), frame[12:], frame[:12])
        assert opened[:32] == digest
        frames.append(list_of_events(opened[32:]))
        digest = hashlib.sha256(digest + frame).digest()
        at += len(frame)
    return header, frames, digest


def decode_checkpoints(seed: bytes, data: bytes) -> list[list[Any]]:
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    found, previous = [], bytes(32)
    while data:
        size = number(data[:4])
        stored, again, data = data[4 : 4 + size], data[4 + size : 8 + size], data[8 + size :]
        assert number(again) == size
        public.verify(stored[-64:], b"freehold audit checkpoint v1\x00" + stored[:-64])
        fields = msgspec.msgpack.decode(stored[:-64])
        assert fields[0] == 1
        assert fields[1] == len(found) + 1
        assert fields[3] == previous
        previous = hashlib.sha256(stored).digest()
        found.append(fields)
    return found


def test_decoders_written_from_the_pages_read_a_whole_trail(trail: Trail) -> None:
    log = trail.start(worker=7)
    trail.write(log, b"one", b"two")
    trail.write(log, b"three")
    trail.change(log, b"four")
    trail.change(log, b"five", b"six")
    trail.stop()

    [path] = trail.segments()
    header, frames, digest = decode_segment(trail.root_key.sealing_key("audit"), path.read_bytes())
    assert frames == [[b"one", b"two"], [b"three"]]
    assert path.name == f"{header['time']:016d}-{header['worker']:05d}-{header['id'].hex()}.segment"

    after = hashlib.sha256(b"freehold audit rows v1").digest()
    rows = []
    for n, (key, row) in enumerate(trail.records.reader().scan("audit"), 1):
        assert key == (n,)
        assert (row[0], row[9:41]) == (1, after)
        rows.append(list_of_events(row[41:]))
        after = hashlib.sha256(n.to_bytes(8, "big") + row).digest()
    assert rows == [[b"four"], [b"five", b"six"]]
    head = trail.records.reader().get("audit.head", ("head",))
    assert head is not None
    assert (head[0], number(head[1:9]), head[17:]) == (1, 2, after)

    seed = trail.root_key.sealing_key("audit-signing")
    checkpoints = decode_checkpoints(seed, (trail.directory / "checkpoints").read_bytes())
    last = checkpoints[-1]
    closed_head = [header["id"], 7, 2, 3, path.stat().st_size, digest, 0]
    closed_hash = hashlib.sha256(bytes(32) + msgspec.msgpack.encode(closed_head)).digest()
    assert last[4:] == [2, number(head[9:17]), after, [], [closed_head], 1, closed_hash]

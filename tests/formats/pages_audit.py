"""A reader of the trail written from audit-segment.md and audit-checkpoint.md alone."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _events(data: bytes) -> list[Any]:
    events = []
    while data:
        size = _number(data[:4])
        events.append(json.loads(data[4 : 4 + size]))
        data = data[4 + size :]
    return events


def segment(audit_key: bytes, name: str, data: bytes) -> list[Any]:
    """Its events; the chain is followed."""
    assert data[:8] == b"FHAUDIT\x01"
    assert name == f"{_number(data[26:34]):016d}-{_number(data[24:26]):05d}-{data[8:24].hex()}.segment"
    derived = hmac.digest(audit_key, b"freehold audit segment v1\x00" + data[:34] + b"\x01", "sha512")
    assert hmac.compare_digest(derived[32:], data[34:66])
    before, at, number, found = hashlib.sha256(data[:66]).digest(), 66, 0, []
    while at < len(data):
        frame = data[at : at + 12 + _number(data[at : at + 4])]
        opened = AESGCM(derived[:32]).decrypt(number.to_bytes(12, "big"), frame[12:], frame[:12])
        assert opened[:32] == before
        found += _events(opened[32:])
        before = hashlib.sha256(before + frame).digest()
        at, number = at + len(frame), number + 1
    return found


def rows(values: dict[tuple[Any, ...], bytes], head: bytes) -> list[Any]:
    before, found, number = hashlib.sha256(b"freehold audit rows v1").digest(), [], 0
    for number in range(1, len(values) + 1):
        row = values[(number,)]
        assert row[0] == 1
        assert row[9:41] == before
        found += _events(row[41:])
        before = hashlib.sha256(number.to_bytes(8, "big") + row).digest()
    assert (head[0], _number(head[1:9]), head[17:]) == (1, number, before)
    return found


def checkpoints(signing_seed: bytes, data: bytes) -> list[list[Any]]:
    public = Ed25519PrivateKey.from_private_bytes(signing_seed).public_key()
    found: list[list[Any]] = []
    previous = bytes(32)
    while data:
        size = _number(data[:4])
        stored, data = data[4 : 4 + size], data[8 + size :]
        public.verify(stored[-64:], b"freehold audit checkpoint v1\x00" + stored[:-64])
        fields = msgspec.msgpack.decode(stored[:-64])
        assert (fields[0], fields[1], fields[3]) == (1, len(found) + 1, previous)
        previous = hashlib.sha256(stored).digest()
        found.append(fields)
    return found

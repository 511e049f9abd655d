"""Decoders written from kms-key-material.md, import-token.md and key-material-backup.md alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pages_crypto import expand_sha512, sealed_value


def material(kms_key: bytes, region: str, key_id: str, number: int, row: dict[str, Any]) -> bytes:
    parts = ["freehold kms material v1", region, key_id, str(number), row["material_id"]]
    return sealed_value(kms_key, row["sealed"], "\x00".join(parts).encode())


def imported_id(import_secret: bytes, key_id: str, identity: bytes) -> str:
    named = b"freehold kms imported material v1\x00" + key_id.encode() + b"\x00" + identity
    return hmac.digest(import_secret, named, "sha256").hex()


def grant_token(kms_key: bytes, token: str) -> list[str]:
    opened = sealed_value(kms_key, base64.b64decode(token), b"freehold kms grant token v1")
    return opened.decode().split("\n")


def import_token_day(token: bytes) -> int:
    assert token[0] == 1
    return int.from_bytes(token[1:5], "big")


def import_token(secret: bytes, token: bytes) -> dict[str, Any]:
    opened: dict[str, Any] = msgspec.msgpack.decode(
        sealed_value(secret, token[5:], b"freehold kms import token v1\x00" + token[:5])
    )
    return opened


def backup(kms_key: bytes, file: bytes) -> tuple[dict[str, Any], list[list[Any]]]:
    """(head, entries)."""
    assert file[:8] == b"FHKEYBK\x01"
    head_end = 12 + int.from_bytes(file[8:12], "big")
    file_key = sealed_value(
        kms_key, file[head_end : head_end + 109], b"freehold key material backup v1\x00" + file[:head_end]
    )
    start = file[: head_end + 109]
    info = b"freehold key material backup frames v1\x00" + hashlib.sha512(start).digest()
    derived = expand_sha512(file_key, info, 64)
    at = len(start) + 32
    assert hmac.compare_digest(derived[32:], file[len(start) : at])
    entries: list[list[Any]] = []
    number, last = 0, False
    while not last:
        header = file[at : at + 5]
        last, length = {0: False, 1: True}[header[0]], int.from_bytes(header[1:], "big")
        sealed = file[at + 5 : at + 5 + length]
        opened = AESGCM(derived[:32]).decrypt(number.to_bytes(12, "big"), sealed, header)
        entries += msgspec.msgpack.decode(opened) if opened else []
        at, number = at + 5 + length, number + 1
    assert at == len(file)
    head: dict[str, Any] = json.loads(file[12:head_end])
    return head, entries

"""Decoders written from sealed-value.md, kms-ciphertext.md, kms-store-ciphertext.md and object-stream.md alone.

They share nothing with the program: whoever has these pages can read what it wrote. They refuse by `AssertionError` and
`InvalidTag`.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def hkdf_sha256(key: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 without salt, one block."""
    assert length <= 32
    return hmac.digest(hmac.digest(bytes(32), key, "sha256"), info + b"\x01", "sha256")[:length]


def expand_sha512(key: bytes, info: bytes, length: int) -> bytes:
    """HKDF-Expand of RFC 5869."""
    block, made = b"", b""
    for number in range(1, -(-length // 64) + 1):
        block = hmac.digest(key, block + info + bytes((number,)), "sha512")
        made += block
    return made[:length]


# --- sealed-value.md -------------------------------------------------------------------------------------------------


def sealed_value(purpose_key: bytes, sealed: bytes, associated: bytes) -> bytes:
    assert len(sealed) >= 77
    assert sealed[0] == 1
    derived = hmac.digest(purpose_key, b"freehold sealed value v1\x00" + sealed[1:17] + b"\x01", "sha512")
    assert hmac.compare_digest(derived[32:], sealed[17:49])
    return AESGCM(derived[:32]).decrypt(sealed[49:61], sealed[61:], associated)


# --- kms-ciphertext.md -----------------------------------------------------------------------------------------------


class Blob(NamedTuple):
    header: bytes
    region: str
    account_id: str
    key_id: str
    backing_key_id: str
    rest: bytes


def blob_parts(blob: bytes, version: int = 1) -> Blob:
    assert blob[0] == version
    at, names = 1, []
    for _ in range(4):
        end = at + 1 + blob[at]
        names.append(blob[at + 1 : end].decode())
        at = end
    return Blob(blob[:at], names[0], names[1], names[2], names[3], blob[at:])


def encoded_context(context: dict[str, str]) -> bytes:
    pairs = sorted((key.encode(), value.encode()) for key, value in context.items())
    made = len(pairs).to_bytes(4, "big")
    for pair in pairs:
        for text in pair:
            made += len(text).to_bytes(4, "big") + text
    return made


def kms_message(backing_key: bytes, blob: bytes, context: dict[str, str]) -> bytes:
    parts = blob_parts(blob)
    associated = parts.header + encoded_context(context)
    random, commitment = parts.rest[:16], parts.rest[16:48]
    info = b"freehold kms message v1\x00" + random + associated
    derived = hmac.digest(backing_key, info + b"\x01", "sha512")
    assert hmac.compare_digest(derived[32:], commitment)
    return AESGCM(derived[:32]).decrypt(bytes(12), parts.rest[48:], associated)


# --- kms-store-ciphertext.md -----------------------------------------------------------------------------------------


def token_message(token_key: bytes, blob: bytes, context: dict[str, str]) -> bytes:
    parts = blob_parts(blob, 2)
    associated = parts.header + encoded_context(context)
    digest = hashlib.sha512(associated).digest()
    info = b"freehold kms token message v2\x00" + parts.rest[:16] + digest
    return _inner(hmac.digest(token_key, info + b"\x01", "sha512"), parts.rest, associated)


def external_message(external_key: bytes, backing_key: bytes, blob: bytes, context: dict[str, str]) -> bytes:
    """With an external key manager that keeps AES-256-GCM's associated data as they are."""
    parts = blob_parts(blob, 3)
    associated = parts.header + encoded_context(context)
    rest = parts.rest
    vector, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
    metadata, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
    tag, outer = rest[:16], rest[16:]
    assert len(vector) in (12, 16)
    assert len(metadata) <= 20
    data = hashlib.sha256(b"freehold kms external key v3\x00" + associated).digest()
    inner = AESGCM(external_key).decrypt(vector, outer + tag, data + metadata)
    info = b"freehold kms external message v3\x00" + inner[:16] + hashlib.sha512(associated).digest()
    return _inner(expand_sha512(backing_key, info, 64), inner, associated)


def _inner(derived: bytes, message: bytes, associated: bytes) -> bytes:
    assert hmac.compare_digest(derived[32:], message[16:48])
    return AESGCM(derived[:32]).decrypt(bytes(12), message[48:], associated)


# --- object-stream.md ------------------------------------------------------------------------------------------------


def object_stream(data_key: bytes, context: bytes, stream: bytes, size: int) -> bytes:
    assert len(stream) == 56 + size + 16 * (size // 16_384 + 1)
    salt, commitment = stream[:24], stream[24:56]
    info = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00" + salt + context
    derived = expand_sha512(data_key, info, 76)
    key, base, expected = derived[:32], int.from_bytes(derived[32:44], "big"), derived[44:]
    assert hmac.compare_digest(expected, commitment)
    opened = b""
    for number, at in enumerate(range(56, len(stream), 16_400)):
        nonce = (base ^ number).to_bytes(12, "big")
        opened += AESGCM(key).decrypt(nonce, stream[at : at + 16_400], None)
    assert len(opened) == size
    return opened

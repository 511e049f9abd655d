"""Blobs of keys in custom key stores: their formats by a decoder written from the page, and every way to alter one."""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from freehold.crypto import envelope, store_envelope
from freehold.crypto.envelope import Header, InvalidBlob
from freehold.crypto.store_envelope import Outer

HEADER = Header("us-east-1", "111122223333", "1234abcd-12ab-34cd-56ef-1234567890ab", "1")
CONTEXT = {"table": "invoices", "a": "ü"}
TOKEN_KEY, BACKING_KEY, EXTERNAL_KEY = bytes(range(64)), bytes(range(32)), bytes(range(32, 64))


def mac(message: bytes) -> bytes:
    assert len(message) == 111, "a token gets a digest"
    return hmac.digest(TOKEN_KEY, message, "sha512")


def encrypt(plaintext: bytes, data: bytes) -> Outer:
    vector = os.urandom(12)
    sealed = AESGCM(EXTERNAL_KEY).encrypt(vector, plaintext, data + b"v1")
    return Outer(sealed[:-16], vector, sealed[-16:], b"v1")


def decrypt(outer: Outer, data: bytes) -> bytes:
    try:
        return AESGCM(EXTERNAL_KEY).decrypt(outer.vector, outer.ciphertext + outer.tag, data + outer.metadata)
    except Exception:
        raise InvalidBlob("the external key manager refuses") from None


def sealed(version: int, plaintext: bytes = b"secret", context: dict[str, str] = CONTEXT) -> bytes:
    if version == 2:
        return store_envelope.seal_in_token(mac, HEADER, context, plaintext)
    return store_envelope.seal_twice(encrypt, BACKING_KEY, HEADER, context, plaintext)


def opened(version: int, blob: bytes, context: dict[str, str] = CONTEXT) -> bytes:
    if version == 2:
        return store_envelope.open_in_token(mac, blob, context)
    return store_envelope.open_twice(decrypt, BACKING_KEY, blob, context)


def decoded(blob: bytes, context: dict[str, str]) -> tuple[list[str], bytes]:
    """Written from docs/formats/kms-store-ciphertext.md and kms-ciphertext.md alone."""
    version, at, names = blob[0], 1, []
    for _ in range(4):
        end = at + 1 + blob[at]
        names.append(blob[at + 1 : end].decode())
        at = end
    header, rest = blob[:at], blob[at:]
    pairs = len(context).to_bytes(4, "big")
    for key, value in sorted((key.encode(), value.encode()) for key, value in context.items()):
        pairs += len(key).to_bytes(4, "big") + key + len(value).to_bytes(4, "big") + value
    associated = header + pairs
    digest = hashlib.sha512(associated).digest()
    if version == 3:
        vector, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
        metadata, rest = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
        tag, rest = rest[:16], rest[16:]
        data = hashlib.sha256(b"freehold kms external key v3\0" + associated).digest()
        rest = AESGCM(EXTERNAL_KEY).decrypt(vector, rest + tag, data + metadata)
    random, commitment, ciphertext = rest[:16], rest[16:48], rest[48:]
    if version == 2:
        derived = hmac.digest(TOKEN_KEY, b"freehold kms token message v2\0" + random + digest + b"\x01", "sha512")
    else:
        derived = hmac.digest(BACKING_KEY, b"freehold kms external message v3\0" + random + digest + b"\x01", "sha512")
    assert derived[32:] == commitment
    return names, AESGCM(derived[:32]).decrypt(bytes(12), ciphertext, associated)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize(("plaintext", "context"), [(b"secret", CONTEXT), (bytes(4096), {}), (b"x", {"k": "v" * 8191})])
def test_the_page_is_enough_to_read_a_blob(version: int, plaintext: bytes, context: dict[str, str]) -> None:
    blob = sealed(version, plaintext, context)
    assert blob[0] == version
    assert decoded(blob, context) == (list(HEADER), plaintext)
    assert opened(version, blob, context) == plaintext
    assert envelope.parse_header(blob) == HEADER
    assert len(blob) <= 6144


@pytest.mark.parametrize("version", [2, 3])
def test_no_byte_of_a_blob_can_be_altered_or_left_out(version: int) -> None:
    blob = sealed(version)
    for at in range(len(blob)):
        for flip in (1, 0x80):
            altered = bytearray(blob)
            altered[at] ^= flip
            with pytest.raises(InvalidBlob):
                opened(version, bytes(altered))
        with pytest.raises(InvalidBlob):
            opened(version, blob[:at])
    with pytest.raises(InvalidBlob):
        opened(version, blob + b"\0")


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("context", [{}, {"table": "invoices"}, {**CONTEXT, "b": ""}, {"table": "Invoices", "a": "ü"}])
def test_another_context_opens_nothing(version: int, context: dict[str, str]) -> None:
    with pytest.raises(InvalidBlob):
        opened(version, sealed(version), context)


def test_versions_are_not_taken_for_each_other() -> None:
    ordinary = envelope.seal_message(BACKING_KEY, HEADER, CONTEXT, b"secret")
    for version in (2, 3):
        with pytest.raises(InvalidBlob):
            opened(version, ordinary)
        with pytest.raises(InvalidBlob):
            envelope.open_message(BACKING_KEY, sealed(version), CONTEXT)
        renumbered = bytes((5 - version,)) + sealed(version)[1:]
        with pytest.raises(InvalidBlob):
            opened(5 - version, renumbered)


def test_two_messages_share_no_message_key() -> None:
    assert len({sealed(2)[-70:] for _ in range(50)}) == 50


def test_neither_keeper_opens_a_doubly_encrypted_message_alone() -> None:
    blob = sealed(3)
    with pytest.raises(InvalidBlob):
        store_envelope.open_twice(lambda outer, data: outer.ciphertext, BACKING_KEY, blob, CONTEXT)
    with pytest.raises(InvalidBlob):
        store_envelope.open_twice(decrypt, bytes(32), blob, CONTEXT)


@pytest.mark.parametrize(
    "change",
    [
        {"vector": bytes(11)},
        {"tag": bytes(15)},
        {"metadata": bytes(21)},
        {"ciphertext": b""},
        {"ciphertext": bytes(71)},
    ],
)
def test_an_outer_layer_that_is_not_aes_gcms_is_never_handed_out(change: dict[str, Any]) -> None:
    def wrong(plaintext: bytes, data: bytes) -> Outer:
        made = encrypt(plaintext, data)
        return Outer(**{**{name: getattr(made, name) for name in Outer.__slots__}, **change})

    with pytest.raises(ValueError, match="outer layer"):
        store_envelope.seal_twice(wrong, BACKING_KEY, HEADER, CONTEXT, b"secret")


def test_a_token_that_answers_with_something_else_seals_nothing() -> None:
    with pytest.raises(ValueError, match="64 bytes"):
        store_envelope.seal_in_token(lambda message: bytes(32), HEADER, CONTEXT, b"secret")

"""Ciphertext blobs of KMS keys in custom key stores: messages whose key, or whose outer layer, another keeper makes.

Owns the formats of docs/formats/kms-store-ciphertext.md. A token message (version 2) is sealed under a key and with a
commitment that one HMAC inside an HSM makes: the token's key never leaves it, and what it is asked says nothing of the
message. A doubly encrypted message (version 3) is sealed here under a backing key and then once more by an external
key manager, so that neither alone can open it. Both bind the key's names and the encryption context, and refuse with
`InvalidBlob` as `envelope.py` does.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from freehold.crypto.envelope import (
    EXTERNAL_VERSION,
    TOKEN_VERSION,
    Header,
    InvalidBlob,
    encode_context,
    encode_header,
    header_end,
)

_TOKEN_INFO: Final = b"freehold kms token message v2\x00"
_INNER_INFO: Final = b"freehold kms external message v3\x00"
_OUTER_INFO: Final = b"freehold kms external key v3\x00"
_RANDOM_BYTES: Final = 16
_DERIVED_BYTES: Final = 64
_KEY_BYTES: Final = 32
_TAG_BYTES: Final = 16
_TEXT_AT: Final = _RANDOM_BYTES + _DERIVED_BYTES - _KEY_BYTES
_NONCE: Final = bytes(12)
"""One message key seals one message, so that its nonce may be constant."""
_VECTOR_BYTES: Final = (12, 16)
MOST_METADATA_BYTES: Final = 20

Mac = Callable[[bytes], bytes]
"""HMAC-SHA-512 of a message under a key that stays where it is."""


@dataclass(frozen=True, slots=True)
class Outer:
    """What an external key manager made of a message: AES-256-GCM under its own key, and what it wants to have back."""

    ciphertext: bytes
    vector: bytes
    tag: bytes
    metadata: bytes = b""


Encrypt = Callable[[bytes, bytes], Outer]
"""(plaintext, associated data) -> the outer layer."""
Decrypt = Callable[[Outer, bytes], bytes]


def seal_in_token(mac: Mac, header: Header, context: Mapping[str, str], plaintext: bytes) -> bytes:
    """The blob for `plaintext` under the token's key that `mac` uses."""
    encoded = encode_header(header, TOKEN_VERSION)
    associated = encoded + encode_context(context)
    return encoded + _seal(lambda random: _of_token(mac, random, associated), associated, plaintext)


def open_in_token(mac: Mac, blob: bytes, context: Mapping[str, str]) -> bytes:
    """The plaintext. Raises InvalidBlob unless blob, header, key and context are those of the sealing."""
    end = header_end(blob, TOKEN_VERSION)
    associated = _associated(blob[:end], context)
    return _open(lambda random: _of_token(mac, random, associated), associated, blob[end:])


def seal_twice(
    encrypt: Encrypt, backing_key: bytes, header: Header, context: Mapping[str, str], plaintext: bytes
) -> bytes:
    """The blob for `plaintext`, sealed under `backing_key` (32 bytes) and then by `encrypt`.

    Raises ValueError where the outer layer is not what AES-GCM gives for the inner message.
    """
    encoded = encode_header(header, EXTERNAL_VERSION)
    associated = encoded + encode_context(context)
    inner = _seal(lambda random: _of_backing_key(backing_key, random, associated), associated, plaintext)
    outer = encrypt(inner, _outer_data(associated))
    if len(outer.ciphertext) != len(inner) or len(outer.vector) not in _VECTOR_BYTES or len(outer.tag) != _TAG_BYTES:
        raise ValueError("the outer layer is not AES-GCM's")
    if len(outer.metadata) > MOST_METADATA_BYTES:
        raise ValueError("the outer layer's metadata is too long")
    lengths = bytes((len(outer.vector),)), bytes((len(outer.metadata),))
    return b"".join(
        (encoded, lengths[0], outer.vector, lengths[1], outer.metadata, outer.tag, outer.ciphertext),
    )


def open_twice(decrypt: Decrypt, backing_key: bytes, blob: bytes, context: Mapping[str, str]) -> bytes:
    """The plaintext. Raises InvalidBlob; what `decrypt` raises passes through."""
    end = header_end(blob, EXTERNAL_VERSION)
    associated = _associated(blob[:end], context)
    outer = _outer(blob[end:])
    inner = decrypt(outer, _outer_data(associated))
    return _open(lambda random: _of_backing_key(backing_key, random, associated), associated, inner)


def _associated(encoded: bytes, context: Mapping[str, str]) -> bytes:
    try:
        return bytes(encoded) + encode_context(context)
    except UnicodeEncodeError:
        raise InvalidBlob("the encryption context is not one that was ever sealed") from None


def _of_token(mac: Mac, random: bytes, associated: bytes) -> bytes:
    """Message key and commitment. The token gets a digest: short, always as long, and nothing of the context in it.

    It is one block of HKDF-Expand with the token's key as its pseudorandom key.
    """
    made = mac(_TOKEN_INFO + random + hashlib.sha512(associated).digest() + b"\x01")
    if len(made) != _DERIVED_BYTES:
        raise ValueError("HMAC-SHA-512 has 64 bytes")
    return made


def _of_backing_key(backing_key: bytes, random: bytes, associated: bytes) -> bytes:
    if len(backing_key) != _KEY_BYTES:
        raise ValueError("a backing key has 32 bytes")
    info = _INNER_INFO + random + hashlib.sha512(associated).digest()
    return HKDFExpand(SHA512(), _DERIVED_BYTES, info).derive(backing_key)


def _outer_data(associated: bytes) -> bytes:
    """The associated data of the outer layer, 32 bytes: an external key manager may see it and log it."""
    return hashlib.sha256(_OUTER_INFO + associated).digest()


def _seal(derive: Callable[[bytes], bytes], associated: bytes, plaintext: bytes) -> bytes:
    random = os.urandom(_RANDOM_BYTES)
    derived = derive(random)
    return random + derived[_KEY_BYTES:] + AESGCM(derived[:_KEY_BYTES]).encrypt(_NONCE, plaintext, associated)


def _open(derive: Callable[[bytes], bytes], associated: bytes, message: bytes) -> bytes:
    if len(message) < _TEXT_AT + _TAG_BYTES:
        raise InvalidBlob("the blob is cut short")
    derived = derive(bytes(message[:_RANDOM_BYTES]))
    if not compare_digest(message[_RANDOM_BYTES:_TEXT_AT], derived[_KEY_BYTES:]):
        raise InvalidBlob("the blob was altered, or sealed under another key or encryption context")
    try:
        return AESGCM(derived[:_KEY_BYTES]).decrypt(_NONCE, bytes(message[_TEXT_AT:]), associated)
    except InvalidTag:
        raise InvalidBlob("the blob was altered") from None


def _outer(rest: bytes) -> Outer:
    """What follows the header of a doubly encrypted message."""
    try:
        vector_end = 1 + rest[0]
        metadata_end = vector_end + 1 + rest[vector_end]
    except IndexError:
        raise InvalidBlob("the blob is cut short") from None
    vector, metadata = bytes(rest[1:vector_end]), bytes(rest[vector_end + 1 : metadata_end])
    tag, ciphertext = bytes(rest[metadata_end : metadata_end + _TAG_BYTES]), bytes(rest[metadata_end + _TAG_BYTES :])
    if len(vector) not in _VECTOR_BYTES or len(metadata) > MOST_METADATA_BYTES:
        raise InvalidBlob("the blob's outer layer is not one that was ever made")
    if len(ciphertext) < _TEXT_AT + _TAG_BYTES:
        raise InvalidBlob("the blob is cut short")
    return Outer(ciphertext, vector, tag, metadata)

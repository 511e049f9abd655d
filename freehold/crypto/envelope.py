"""KMS ciphertext blobs: messages sealed under a KMS key's backing key, carried by clients for as long as they like.

Owns the format of docs/formats/kms-ciphertext.md, which every later version must read. Protects the message, the names
of the keys in its header, and the encryption context, which must be given again exactly; the header is readable by
anyone. Refuses, with `InvalidBlob`, whatever was not sealed under that very backing key, header and context. Knows
nothing of key states and permissions.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from hmac import compare_digest
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from freehold.crypto.aead import IntegrityError

VERSION: Final = 1
TOKEN_VERSION: Final = 2
EXTERNAL_VERSION: Final = 3
"""The versions of `store_envelope.py`: their headers are as these."""
_INFO: Final = b"freehold kms message v1\x00"
_RANDOM_BYTES: Final = 16
_COMMITMENT_BYTES: Final = 32
_TAG_BYTES: Final = 16
_FIXED_BYTES: Final = _RANDOM_BYTES + _COMMITMENT_BYTES
_NONCE: Final = bytes(12)
"""One key seals one message, so that its nonce may be constant."""
_MOST_NAME_BYTES: Final = 255
_HELD_HEADERS: Final = 8192
_STORE_VERSIONS: Final = (TOKEN_VERSION, EXTERNAL_VERSION)


class InvalidBlob(IntegrityError):
    """Not a message sealed under this key and encryption context, or not whole."""


class Header(NamedTuple):
    """Which key opens a blob. Not secret; believed only once the blob has opened."""

    region: str
    account_id: str
    key_id: str
    backing_key_id: str
    """Names one version of the key's material."""


def seal_message(backing_key: bytes, header: Header, context: Mapping[str, str], plaintext: bytes) -> bytes:
    """The blob for `plaintext`. `backing_key` has 32 bytes; raises ValueError for names over 255 bytes."""
    encoded_header = encode_header(header)
    associated = encoded_header + encode_context(context)
    random = os.urandom(_RANDOM_BYTES)
    derived = _derive(backing_key, random, associated)
    ciphertext = AESGCM(derived[:32]).encrypt(_NONCE, plaintext, associated)
    return encoded_header + random + derived[32:] + ciphertext


def parse_header(blob: bytes) -> Header:
    """The header of a blob of any version, unauthenticated: enough to find the key to open it with.

    Raises InvalidBlob.
    """
    version = blob[0] if blob else 0
    return _decode_header(bytes(blob[: header_end(blob, version if version in _STORE_VERSIONS else VERSION)]))


def open_message(backing_key: bytes, blob: bytes, context: Mapping[str, str]) -> bytes:
    """The plaintext. Raises InvalidBlob unless blob, header, key and context are those of the sealing."""
    end = header_end(blob)
    try:
        associated = bytes(blob[:end]) + encode_context(context)
    except UnicodeEncodeError:
        raise InvalidBlob("the encryption context is not one that was ever sealed") from None
    derived = _derive(backing_key, bytes(blob[end : end + _RANDOM_BYTES]), associated)
    text_at = end + _FIXED_BYTES
    if not compare_digest(blob[end + _RANDOM_BYTES : text_at], derived[32:]):
        raise InvalidBlob("the blob was altered, or sealed under another key or encryption context")
    try:
        return AESGCM(derived[:32]).decrypt(_NONCE, blob[text_at:], associated)
    except InvalidTag:
        raise InvalidBlob("the blob was altered") from None


def encode_context(context: Mapping[str, str]) -> bytes:
    """The one encoding of an encryption context: its number of pairs, then the pairs in the order of their keys.

    Lengths come before texts, so that no two contexts have the same encoding. An empty context is four zero bytes.
    """
    if not context:
        return bytes(4)
    parts = [len(context).to_bytes(4, "big")]
    # Code points sort as their UTF-8 bytes do.
    for key, value in sorted(context.items()):
        raw_key, raw_value = key.encode(), value.encode()
        parts += (len(raw_key).to_bytes(4, "big"), raw_key, len(raw_value).to_bytes(4, "big"), raw_value)
    return b"".join(parts)


def _derive(backing_key: bytes, random: bytes, associated: bytes) -> bytes:
    """Message key and commitment, 32 bytes each.

    The associated data takes part, so that the commitment binds header and context too: even someone who knows the
    backing key cannot make a blob that opens under two contexts.
    """
    if len(backing_key) != 32:
        raise ValueError("a backing key has 32 bytes")
    return HKDFExpand(SHA512(), 64, _INFO + random + associated).derive(backing_key)


def header_end(blob: bytes, version: int = VERSION) -> int:
    """Where the header ends; refuses another version, and a blob too short to hold what must follow."""
    try:
        if blob[0] != version:
            raise InvalidBlob("the blob has an unknown version")
        end = 2 + blob[1]
        end += 1 + blob[end]
        end += 1 + blob[end]
        end += 1 + blob[end]
    except IndexError:
        raise InvalidBlob("the blob is cut short") from None
    if len(blob) < end + _FIXED_BYTES + _TAG_BYTES:
        raise InvalidBlob("the blob is cut short")
    return end


@lru_cache(_HELD_HEADERS)
def encode_header(header: Header, version: int = VERSION) -> bytes:
    """The header as it stands before a blob of this version. Raises ValueError for names over 255 bytes."""
    parts = [bytes((version,))]
    for name in header:
        raw = name.encode()
        if len(raw) > _MOST_NAME_BYTES:
            raise ValueError("a name in a blob's header has at most 255 bytes")
        parts.append(bytes((len(raw),)) + raw)
    return b"".join(parts)


@lru_cache(_HELD_HEADERS)
def _decode_header(encoded: bytes) -> Header:
    names = []
    at = 1
    try:
        while at < len(encoded):
            end = at + 1 + encoded[at]
            names.append(encoded[at + 1 : end].decode())
            at = end
    except UnicodeDecodeError:
        raise InvalidBlob("the blob's header is not text") from None
    return Header(*names)

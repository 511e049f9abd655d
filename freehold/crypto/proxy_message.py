"""Messages that an external key store's proxy seals for AWS KMS: fixed fields, and a key of its own for each.

Owns the format of docs/formats/xks-proxy-message.md, which every later version must read. The XKS Proxy API has an
initialization vector, a tag of 16 bytes, 20 bytes of metadata, and a ciphertext as long as the plaintext. The vector is
128 random bits, from which the message's key and its commitment are derived; the metadata holds the version, which
material of the KMS key it is under, and the commitment, of 136 bits since there's no room for more. Protects the
message, its metadata and the associated data; refuses with `InvalidMessage`. Knows nothing of key states.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from hmac import compare_digest
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from freehold.crypto.aead import IntegrityError

VERSION: Final = 1
MOST_NUMBER: Final = 65_535
MOST_DATA_BYTES: Final = 65_535
VECTOR_BYTES: Final = 16
TAG_BYTES: Final = 16
METADATA_BYTES: Final = 20
_KEY_BYTES: Final = 32
_COMMITMENT_AT: Final = 3
_INFO: Final = b"freehold xks proxy message v1\x00"


class InvalidMessage(IntegrityError):
    """Not a message sealed under this key and associated data, or not whole."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a message is sealed to. All of it is needed to open it, and none of it is secret."""

    ciphertext: bytes
    vector: bytes
    tag: bytes
    metadata: bytes


def seal(backing_key: bytes, number: int, key_id: str, data: bytes, plaintext: bytes) -> Sealed:
    """`plaintext` under version `number` of a KMS key, bound to `data` (65,535 bytes at most)."""
    if not 0 < number <= MOST_NUMBER:
        raise ValueError("a message names the first 65,535 versions of a key")
    vector = os.urandom(VECTOR_BYTES)
    head = bytes((VERSION,)) + number.to_bytes(2, "big")
    derived = _derive(backing_key, vector, head, key_id, data)
    metadata = head + derived[_KEY_BYTES:]
    sealed = AESGCM(derived[:_KEY_BYTES]).encrypt(vector, plaintext, bound(data, metadata))
    return Sealed(sealed[:-TAG_BYTES], vector, sealed[-TAG_BYTES:], metadata)


def number_of(metadata: bytes) -> int:
    """Which version of the key a message says it is under, not yet believed. Raises InvalidMessage."""
    if len(metadata) != METADATA_BYTES or metadata[0] != VERSION:
        raise InvalidMessage("the metadata is not one that was ever made")
    return int.from_bytes(metadata[1:_COMMITMENT_AT], "big")


def open_(backing_key: bytes, key_id: str, data: bytes, message: Sealed) -> bytes:
    """The plaintext. Raises InvalidMessage unless message, key and `data` are those of the sealing."""
    number_of(message.metadata)
    if len(message.vector) != VECTOR_BYTES or len(message.tag) != TAG_BYTES:
        raise InvalidMessage("the vector or the tag is not one that was ever made")
    if len(data) > MOST_DATA_BYTES:
        raise InvalidMessage("the associated data is too long to have been sealed")
    head, commitment = message.metadata[:_COMMITMENT_AT], message.metadata[_COMMITMENT_AT:]
    derived = _derive(backing_key, message.vector, head, key_id, data)
    if not compare_digest(commitment, derived[_KEY_BYTES:]):
        raise InvalidMessage("the message was altered, or sealed under another key or other associated data")
    try:
        return AESGCM(derived[:_KEY_BYTES]).decrypt(
            message.vector, message.ciphertext + message.tag, bound(data, message.metadata)
        )
    except InvalidTag:
        raise InvalidMessage("the message was altered") from None


def bound(data: bytes, metadata: bytes) -> bytes:
    """AES-GCM's associated data as the XKS Proxy API has it: both parts, each after its length."""
    return len(data).to_bytes(2, "big") + data + bytes((len(metadata),)) + metadata


def _derive(backing_key: bytes, vector: bytes, head: bytes, key_id: str, data: bytes) -> bytes:
    """Message key and commitment. The associated data takes part, so that the commitment binds it too."""
    if len(backing_key) != _KEY_BYTES:
        raise ValueError("a backing key has 32 bytes")
    name = key_id.encode()
    digest = hashlib.sha512(head + len(name).to_bytes(2, "big") + name + data).digest()
    length = _KEY_BYTES + METADATA_BYTES - _COMMITMENT_AT
    return HKDFExpand(SHA512(), length, _INFO + vector + digest).derive(backing_key)

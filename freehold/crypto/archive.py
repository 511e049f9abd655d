"""Sealed files that are carried away: a head that anybody may read, and entries under a key of the file's own.

Owns the format of docs/formats/key-material-backup.md but for what the entries are. The head is authenticated, the
file commits to its key, and frames are numbered with the last one marked, so that nothing can be altered, left out,
put in another order or cut off unseen. Refuses, with `IntegrityError`, whatever was not written so under the same key.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from hmac import compare_digest
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from freehold.crypto.aead import OVERHEAD_BYTES, IntegrityError, Sealer

MAGIC: Final = b"FHKEYBK\x01"
"""Its last byte is the version."""
MOST_HEAD_BYTES: Final = 4096
MOST_FRAME_BYTES: Final = 1 << 24
_ASSOCIATED: Final = b"freehold key material backup v1\x00"
_INFO: Final = b"freehold key material backup frames v1\x00"
_KEY_BYTES: Final = 32
_WRAPPED_BYTES: Final = OVERHEAD_BYTES + _KEY_BYTES
_MORE: Final = b"\x00"
_LAST: Final = b"\x01"
_FRAME_HEADER_BYTES: Final = 5


def write(sealer: Sealer, head: bytes, frames: Iterable[bytes]) -> bytes:
    """The file. `sealer` wraps its key; frames have at most 16 MiB each."""
    if len(head) > MOST_HEAD_BYTES:
        raise ValueError("a head has at most 4 KiB")
    start = MAGIC + len(head).to_bytes(4, "big") + head
    file_key = os.urandom(_KEY_BYTES)
    start += sealer.seal(file_key, _ASSOCIATED + start)
    frame_key, commitment = _derive(file_key, start)
    encrypt = AESGCM(frame_key).encrypt
    parts = [start, commitment]
    contents = list(frames) or [b""]
    for number, content in enumerate(contents):
        mark = _LAST if number == len(contents) - 1 else _MORE
        header = mark + (len(content) + 16).to_bytes(4, "big")
        parts += (header, encrypt(number.to_bytes(12, "big"), content, header))
    return b"".join(parts)


def head_of(file: bytes) -> bytes:
    """The head as it stands, unauthenticated. Raises IntegrityError for what is no such file."""
    if file[:8] != MAGIC:
        raise IntegrityError("not a backup of key material, or one of another version")
    end = 12 + int.from_bytes(file[8:12], "big")
    if end > 12 + MOST_HEAD_BYTES or len(file) < end + _WRAPPED_BYTES + 32:
        raise IntegrityError("the backup is cut short")
    return bytes(file[12:end])


def read(sealer: Sealer, file: bytes) -> Iterator[bytes]:
    """The frames. Raises IntegrityError at the first thing that isn't what was written; use none before the end."""
    start_end = 12 + len(head_of(file)) + _WRAPPED_BYTES
    head_end = start_end - _WRAPPED_BYTES
    file_key = sealer.open(file[head_end:start_end], _ASSOCIATED + file[:head_end])
    frame_key, commitment = _derive(file_key, file[:start_end])
    at = start_end + 32
    if not compare_digest(file[start_end:at], commitment):
        raise IntegrityError("the backup was altered")
    decrypt, number, mark = AESGCM(frame_key).decrypt, 0, _MORE
    while mark == _MORE:
        header = file[at : at + _FRAME_HEADER_BYTES]
        mark, length = header[:1], int.from_bytes(header[1:], "big")
        at += _FRAME_HEADER_BYTES
        if len(header) < _FRAME_HEADER_BYTES or length > MOST_FRAME_BYTES or len(file) < at + length:
            raise IntegrityError("the backup is cut short")
        try:
            yield decrypt(number.to_bytes(12, "big"), file[at : at + length], header)
        except InvalidTag:
            raise IntegrityError("the backup was altered") from None
        at, number = at + length, number + 1
    if at != len(file):
        raise IntegrityError("something was added to the backup")


def _derive(file_key: bytes, start: bytes) -> tuple[bytes, bytes]:
    """Frame key and commitment, bound to all that stands before them."""
    info = _INFO + hashlib.sha512(start).digest()
    derived = HKDFExpand(SHA512(), 64, info).derive(file_key)
    return derived[:32], derived[32:]

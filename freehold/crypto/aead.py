"""Sealed values: small secrets and records, encrypted and authenticated under one purpose key.

Owns the format of docs/formats/sealed-value.md. Protects confidentiality, integrity and what the caller names as
associated data (which row, which file a value belongs to). Hides neither a value's length nor that a value was
replaced by an older one with the same associated data: whoever needs freshness keeps a chain or a checkpoint above
this. Refuses, with `IntegrityError`, whatever it did not seal itself under the same key and associated data.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from hmac import compare_digest
from itertools import count
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

VERSION: Final = 1
_INFO: Final = b"freehold sealed value v1\x00"
_SALT_BYTES: Final = 16
_COMMITMENT_BYTES: Final = 32
_PREFIX_BYTES: Final = 1 + _SALT_BYTES + _COMMITMENT_BYTES
_NONCE_BYTES: Final = 12
_TEXT_AT: Final = _PREFIX_BYTES + _NONCE_BYTES
OVERHEAD_BYTES: Final = _TEXT_AT + 16
"""How much longer a sealed value is than its plaintext."""

MESSAGES_PER_SALT: Final = 1 << 20
_HELD_KEYS: Final = 512

Seal = Callable[[bytes, bytes, bytes], bytes]


class IntegrityError(Exception):
    """These bytes are not what was sealed: altered, moved, cut, or sealed under another key."""


class Sealer:
    """AES-256-GCM under keys derived from `key` (32 bytes) and a random salt. Safe to share between threads.

    What was sealed under one of the `former` keys opens too; the commitment says which it was.

    A salt, and the key derived from it, belongs to one process and serves at most `MESSAGES_PER_SALT` messages. Each
    nonce is that key's message counter (4 bytes) followed by 8 random bytes: the counter makes it unique, the random
    part keeps it so where a process image is resumed twice (a cloned virtual machine). After a fork the child starts
    a salt of its own.
    """

    __slots__ = ("__weakref__", "_epoch", "_held", "_held_before", "_keys")

    def __init__(self, key: bytes, former: Sequence[bytes] = ()) -> None:
        self._keys = (bytes(key), *map(bytes, former))
        if any(len(each) != 32 for each in self._keys):
            raise ValueError("a sealing key has 32 bytes")
        # Derived keys by version, salt and commitment as they stand (in the open) before each value: one look-up finds
        # the key and proves the commitment. In two generations: only what was not used for a whole one is forgotten.
        self._held: dict[bytes, Seal] = {}
        self._held_before: dict[bytes, Seal] = {}
        self._epoch: tuple[Callable[[], int], Seal, bytes] = _NO_EPOCH
        _sealers.add(self)

    def __repr__(self) -> str:
        return "Sealer(…)"

    def seal(self, plaintext: bytes, associated: bytes) -> bytes:
        """The sealed value, `OVERHEAD_BYTES` longer than `plaintext`. Two seals of the same bytes differ."""
        message, encrypt, prefix = self._epoch
        number = message()
        if number >= MESSAGES_PER_SALT:
            message, encrypt, prefix = self._epoch = self._new_epoch()
            number = message()
        nonce = number.to_bytes(4, "big") + os.urandom(8)
        return prefix + nonce + encrypt(nonce, plaintext, associated)

    def open(self, blob: bytes, associated: bytes) -> bytes:
        """What was sealed. Raises IntegrityError unless `blob` and `associated` are exactly as they were then."""
        try:
            decrypt = self._held[blob[:_PREFIX_BYTES]]
        except KeyError:
            decrypt = self._find(blob)
        try:
            # The length is looked at by the cipher itself.
            return decrypt(blob[49:61], blob[61:], associated)
        except (InvalidTag, ValueError):
            raise IntegrityError("a sealed value was altered, or belongs elsewhere") from None

    @staticmethod
    def _derive(key: bytes, salt: bytes) -> tuple[bytes, AESGCM]:
        """(commitment, cipher) for a salt: one block of HKDF-Expand gives both."""
        derived = HKDFExpand(SHA512(), 64, _INFO + salt).derive(key)
        return derived[32:], AESGCM(derived[:32])

    def _find(self, blob: bytes) -> Seal:
        if len(blob) < OVERHEAD_BYTES or blob[0] != VERSION:
            raise IntegrityError("not a sealed value")
        prefix = bytes(blob[:_PREFIX_BYTES])
        decrypt = self._held_before.get(prefix)
        if decrypt is None:
            decrypt = self._decrypt_of(prefix)
        self._hold(prefix, decrypt)
        return decrypt

    def _decrypt_of(self, prefix: bytes) -> Seal:
        for key in self._keys:
            commitment, cipher = self._derive(key, prefix[1:17])
            if compare_digest(prefix[17:], commitment):
                return cipher.decrypt
        # Not held: a salt that was never used here would only push out those that were.
        raise IntegrityError("not a value sealed under this key")

    def _hold(self, prefix: bytes, decrypt: Seal) -> None:
        if len(self._held) >= _HELD_KEYS:
            self._held_before = self._held
            self._held = {}
        self._held[prefix] = decrypt

    def _new_epoch(self) -> tuple[Callable[[], int], Seal, bytes]:
        salt = os.urandom(_SALT_BYTES)
        commitment, cipher = self._derive(self._keys[0], salt)
        prefix = bytes((VERSION,)) + salt + commitment
        self._hold(prefix, cipher.decrypt)
        # A C iterator's next() is one step under the interpreter lock: no two threads get the same number.
        return count().__next__, cipher.encrypt, prefix


def _no_seal(nonce: bytes, plaintext: bytes, associated: bytes) -> bytes:
    raise AssertionError("there is no epoch yet")


_NO_EPOCH: Final[tuple[Callable[[], int], Seal, bytes]] = (lambda: MESSAGES_PER_SALT, _no_seal, b"")
_sealers: weakref.WeakSet[Sealer] = weakref.WeakSet()


def _forget_epochs() -> None:
    for sealer in _sealers:
        sealer._epoch = _NO_EPOCH


os.register_at_fork(after_in_child=_forget_epochs)

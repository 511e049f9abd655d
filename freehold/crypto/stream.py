"""Object bodies: C2SP chunked encryption, instantiated as Cobblestone-256, and a reader of any range of one.

Owns the use of that layout (docs/formats/object-stream.md; https://c2sp.org/chunked-encryption). Sealing and reading a
whole message go through `cryptography.cobblestone`, which only streams; `RangeReader` opens single chunks of the same
layout over the library's HKDF and AES-GCM. A data key belongs to one message. Protects bytes, order and end; the
plaintext's length is the caller's to remember (authenticated) and is checked here. Refuses altered, reordered, cut or
foreign bytes with `IntegrityError` before any wrong byte is returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hmac import compare_digest
from typing import Final

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from freehold.crypto.aead import IntegrityError

CHUNK_BYTES: Final = 16 * 1024
TAG_BYTES: Final = 16
SEALED_CHUNK_BYTES: Final = CHUNK_BYTES + TAG_BYTES
_SALT_BYTES: Final = 24
_COMMITMENT_BYTES: Final = 32
PREFIX_BYTES: Final = _SALT_BYTES + _COMMITMENT_BYTES
_INFO: Final = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"

CHUNKS_PER_PIECE: Final = 16
"""256 KiB at a time: larger pieces leave the allocator's and the processor's caches (half the speed at 1 MiB)."""

Buffer = bytes | bytearray | memoryview
Pread = Callable[[int, int], bytes]
"""(offset, length) -> bytes of the sealed message; fewer than asked for only at its end."""


def sealed_size(plaintext_length: int) -> int:
    """How long a message of so many bytes is when sealed."""
    return PREFIX_BYTES + plaintext_length + TAG_BYTES * (plaintext_length // CHUNK_BYTES + 1)


def seal(data_key: bytes, context: bytes, plaintext: Buffer) -> bytes:
    """A whole message at once."""
    encryptor = Cobblestone256Encryptor(data_key, context)
    return encryptor.update(plaintext) + encryptor.finalize()


def open_whole(data_key: bytes, context: bytes, sealed: Buffer, plaintext_length: int) -> bytes:
    """A whole message's plaintext. Raises IntegrityError unless it is whole, unaltered and of that length."""
    if len(sealed) != sealed_size(plaintext_length):
        raise IntegrityError("a stored object does not have its length")
    try:
        decryptor = Cobblestone256Decryptor(data_key, context)
        return decryptor.update(sealed) + decryptor.finalize()
    except InvalidTag:
        raise IntegrityError("a stored object was altered, or belongs elsewhere") from None


class StreamSealer:
    """Seals one message piece by piece. For one thread at a time; a failed one is dropped, not retried."""

    __slots__ = ("_buffer", "_encryptor", "plaintext_length")

    def __init__(self, data_key: bytes, context: bytes) -> None:
        self._encryptor = Cobblestone256Encryptor(data_key, context)
        self._buffer = bytearray()
        self.plaintext_length = 0

    @property
    def sealed_length(self) -> int:
        """How many bytes the message has once finished, if nothing is added."""
        return sealed_size(self.plaintext_length)

    def update(self, data: Buffer) -> memoryview:
        """The sealed bytes that `data` completes, perhaps none. They hold until the next call.

        Pieces from 64 KiB to 1 MiB are the quickest. The memory used is that of the largest piece.
        """
        length = len(data)
        waiting = self.plaintext_length % CHUNK_BYTES
        needed = PREFIX_BYTES + (waiting + length) // CHUNK_BYTES * SEALED_CHUNK_BYTES
        if len(self._buffer) < needed:
            self._buffer = bytearray(needed)
        written = self._encryptor.update_into(data, self._buffer)
        self.plaintext_length += length
        return memoryview(self._buffer)[:written]

    def finish(self) -> bytes:
        """The rest of the sealed message: its last chunk, always shorter than the others."""
        if self.plaintext_length == 0:
            return self._encryptor.update(b"") + self._encryptor.finalize()
        return self._encryptor.finalize()


class RangeReader:
    """Reads any range of one sealed message, fetching and opening only the chunks that hold it.

    `plaintext_length` is what an authenticated record says; `sealed_length`, where given, is the stored message's and
    must fit to it. Raises IntegrityError when the message isn't one sealed under this key and context. Keeps no state
    between reads, so that threads may share it.
    """

    __slots__ = ("_base_nonce", "_decrypt", "_pread", "plaintext_length")

    def __init__(
        self, data_key: bytes, context: bytes, pread: Pread, plaintext_length: int, sealed_length: int | None = None
    ) -> None:
        if len(data_key) != 32:
            raise ValueError("a data key has 32 bytes")
        if sealed_length is not None and sealed_length != sealed_size(plaintext_length):
            raise IntegrityError("a stored object does not have its length")
        prefix = pread(0, PREFIX_BYTES)
        derived = HKDFExpand(SHA512(), 76, _INFO + prefix[:_SALT_BYTES] + context).derive(data_key)
        if not compare_digest(prefix[_SALT_BYTES:], derived[44:]):
            raise IntegrityError("a stored object was altered, or belongs elsewhere")
        self._decrypt = AESGCM(derived[:32]).decrypt
        self._base_nonce = int.from_bytes(derived[32:44], "big")
        self._pread = pread
        self.plaintext_length = plaintext_length

    def read(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`, at once."""
        return b"".join(self.chunks(start, length))

    def chunks(self, start: int, length: int) -> Iterator[bytes]:
        """`length` bytes from `start`, in pieces of at most 256 KiB, each authenticated before it is given out.

        Raises ValueError for a range outside of the message. A range that reaches the end also proves the end.
        """
        end = start + length
        if start < 0 or length < 0 or end > self.plaintext_length:
            raise ValueError("the range lies outside of the message")
        return self._pieces(start, end)

    def _pieces(self, start: int, end: int) -> Iterator[bytes]:
        first, last = start // CHUNK_BYTES, (end - 1) // CHUNK_BYTES
        if end == self.plaintext_length:
            # The last chunk is opened even where it's empty: only it shows that the message ends here.
            last = end // CHUNK_BYTES
        elif end == start:
            return
        for number in range(first, last + 1, CHUNKS_PER_PIECE):
            piece = self._open(number, min(number + CHUNKS_PER_PIECE - 1, last))
            offset = number * CHUNK_BYTES
            if offset < start or offset + len(piece) > end:
                piece = piece[max(0, start - offset) : end - offset]
            if piece:
                yield piece

    def _open(self, first: int, last: int) -> bytes:
        """The plaintext of chunks `first` to `last`."""
        beyond = min((last + 1) * CHUNK_BYTES, self.plaintext_length)
        wanted = beyond - first * CHUNK_BYTES + (last - first + 1) * TAG_BYTES
        sealed = memoryview(self._pread(PREFIX_BYTES + first * SEALED_CHUNK_BYTES, wanted))
        if len(sealed) != wanted:
            raise IntegrityError("a stored object is cut short")
        decrypt, base = self._decrypt, self._base_nonce
        try:
            return b"".join(
                [
                    decrypt(
                        (base ^ number).to_bytes(12, "big"),
                        sealed[(number - first) * SEALED_CHUNK_BYTES : (number - first + 1) * SEALED_CHUNK_BYTES],
                        None,
                    )
                    for number in range(first, last + 1)
                ]
            )
        except InvalidTag:
            raise IntegrityError("a stored object was altered") from None

"""Object bodies: our range reader against the library, and everything that must be refused."""

from __future__ import annotations

import collections
from collections.abc import Callable

import pytest
from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.crypto.aead import IntegrityError
from freehold.crypto.stream import (
    CHUNK_BYTES,
    PREFIX_BYTES,
    SEALED_CHUNK_BYTES,
    RangeReader,
    StreamSealer,
    open_whole,
    seal,
    sealed_size,
)

KEY = bytes(range(32))
CONTEXT = b"bucket/key"
BODY = bytes(n * 7 % 251 for n in range(1024)) * 400

EDGES = sorted({chunks * CHUNK_BYTES + near for chunks in (0, 1, 2, 16, 17) for near in (-1, 0, 1)} - {-1})


def library_seal(plaintext: bytes) -> bytes:
    encryptor = Cobblestone256Encryptor(KEY, CONTEXT)
    return encryptor.update(plaintext) + encryptor.finalize()


def library_open(sealed: bytes) -> bytes:
    decryptor = Cobblestone256Decryptor(KEY, CONTEXT)
    return decryptor.update(sealed) + decryptor.finalize()


def pread_of(sealed: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, length: sealed[offset : offset + length]


def reader(sealed: bytes, length: int) -> RangeReader:
    return RangeReader(KEY, CONTEXT, pread_of(sealed), length)


@pytest.mark.parametrize("length", EDGES)
def test_what_the_library_seals_is_read_whole_and_has_the_predicted_size(length: int) -> None:
    sealed = library_seal(BODY[:length])
    assert len(sealed) == sealed_size(length)
    assert open_whole(KEY, CONTEXT, sealed, length) == BODY[:length]
    assert RangeReader(KEY, CONTEXT, pread_of(sealed), length, len(sealed)).read(0, length) == BODY[:length]


@pytest.mark.parametrize("length", EDGES)
def test_ranges_at_every_chunk_edge_are_those_of_the_plaintext(length: int) -> None:
    plaintext = BODY[:length]
    read = reader(library_seal(plaintext), length).read
    points = [edge for edge in EDGES if edge <= length]
    for start in points:
        for end in points:
            if start <= end:
                assert read(start, end - start) == plaintext[start:end]


@settings(max_examples=50)
@given(st.data())
def test_pieces_of_any_sizes_seal_to_what_the_library_opens(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(0, 40_000), max_size=8))
    sealer, sealed, plaintext = StreamSealer(KEY, CONTEXT), bytearray(), bytearray()
    for size in sizes:
        piece = BODY[:size]
        plaintext += piece
        sealed += sealer.update(memoryview(piece))
    sealed += sealer.finish()
    assert len(sealed) == sealer.sealed_length == sealed_size(len(plaintext))
    assert library_open(bytes(sealed)) == plaintext
    start = data.draw(st.integers(0, len(plaintext)))
    length = data.draw(st.integers(0, len(plaintext) - start))
    assert reader(bytes(sealed), len(plaintext)).read(start, length) == plaintext[start : start + length]


def test_pieces_are_bounded() -> None:
    pieces = list(reader(library_seal(BODY), len(BODY)).chunks(5, len(BODY) - 5))
    assert max(map(len, pieces)) <= 16 * CHUNK_BYTES
    assert b"".join(pieces) == BODY[5:]


def test_a_range_fetches_only_the_chunks_that_hold_it() -> None:
    sealed = library_seal(BODY)
    fetched: list[tuple[int, int]] = []

    def pread(offset: int, length: int) -> bytes:
        fetched.append((offset, length))
        return sealed[offset : offset + length]

    RangeReader(KEY, CONTEXT, pread, len(BODY)).read(3 * CHUNK_BYTES + 1, 10)
    assert fetched == [(0, PREFIX_BYTES), (PREFIX_BYTES + 3 * SEALED_CHUNK_BYTES, SEALED_CHUNK_BYTES)]


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, 101), (101, 0), (50, 51), (0, -1)])
def test_a_range_outside_of_the_message_is_an_error(start: int, length: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        reader(library_seal(BODY[:100]), 100).chunks(start, length)


def refuses(sealed: bytes, length: int, key: bytes = KEY, context: bytes = CONTEXT) -> None:
    with pytest.raises(IntegrityError):
        open_whole(key, context, sealed, length)
    with pytest.raises(IntegrityError):
        RangeReader(key, context, pread_of(sealed), length).read(0, length)


def test_every_flipped_byte_of_a_small_object_is_refused() -> None:
    sealed = seal(KEY, CONTEXT, b"hello")
    for at in range(len(sealed)):
        refuses(sealed[:at] + bytes((sealed[at] ^ 0x40,)) + sealed[at + 1 :], 5)


LONG = 2 * CHUNK_BYTES + 100


@pytest.mark.parametrize("at", [0, 23, 24, 55, 56, 57, 16456, 16471, 16472, 32900, sealed_size(LONG) - 1])
def test_a_flipped_byte_anywhere_in_a_long_object_is_refused(at: int) -> None:
    sealed = seal(KEY, CONTEXT, BODY[:LONG])
    refuses(sealed[:at] + bytes((sealed[at] ^ 1,)) + sealed[at + 1 :], LONG)


def test_nothing_of_an_altered_chunk_is_given_out() -> None:
    length = 40 * CHUNK_BYTES
    plaintext = BODY[: 25 * CHUNK_BYTES] + BODY[: 15 * CHUNK_BYTES]
    sealed = bytearray(library_seal(plaintext))
    sealed[PREFIX_BYTES + 20 * SEALED_CHUNK_BYTES + 5] ^= 1
    given_out: list[bytes] = []
    with pytest.raises(IntegrityError):
        collections.deque(map(given_out.append, reader(bytes(sealed), length).chunks(0, length)), maxlen=0)
    assert b"".join(given_out) == plaintext[: 16 * CHUNK_BYTES]


@pytest.mark.parametrize("length", [0, 5, CHUNK_BYTES, LONG])
def test_every_truncation_is_refused(length: int) -> None:
    sealed = seal(KEY, CONTEXT, BODY[:length])
    for cut in {0, 23, 24, 55, 56, len(sealed) - 17, len(sealed) - 16, len(sealed) - 1} - {len(sealed)}:
        refuses(sealed[: max(cut, 0)], length)


def test_a_message_cut_at_a_chunk_does_not_pass_for_a_shorter_one() -> None:
    sealed = seal(KEY, CONTEXT, BODY[:LONG])
    shorter = sealed[: PREFIX_BYTES + SEALED_CHUNK_BYTES]
    refuses(shorter, CHUNK_BYTES)
    refuses(sealed[: PREFIX_BYTES + SEALED_CHUNK_BYTES + 60], CHUNK_BYTES + 44)


def test_another_length_than_recorded_is_refused() -> None:
    sealed = seal(KEY, CONTEXT, BODY[:LONG])
    for length in (LONG - 1, LONG + 1, LONG - CHUNK_BYTES, 0, CHUNK_BYTES):
        refuses(sealed, length)
        with pytest.raises(IntegrityError, match="length"):
            RangeReader(KEY, CONTEXT, pread_of(sealed), length, len(sealed))


def test_reordered_and_repeated_chunks_are_refused() -> None:
    length = 3 * CHUNK_BYTES
    sealed = seal(KEY, CONTEXT, BODY[:length])
    prefix, rest = sealed[:PREFIX_BYTES], sealed[PREFIX_BYTES:]
    a, b, c, end = (rest[n : n + SEALED_CHUNK_BYTES] for n in range(0, len(rest), SEALED_CHUNK_BYTES))
    for order in ((b, a, c), (a, a, c), (a, c, b)):
        refuses(prefix + b"".join(order) + end, length)


def test_another_key_or_context_is_refused() -> None:
    sealed = seal(KEY, CONTEXT, b"hello")
    refuses(sealed, 5, key=bytes(32))
    refuses(sealed, 5, context=b"bucket/other")


def test_chunks_of_another_message_under_the_same_key_are_refused() -> None:
    one, two = seal(KEY, CONTEXT, b"one"), seal(KEY, CONTEXT, b"two")
    refuses(one[:PREFIX_BYTES] + two[PREFIX_BYTES:], 3)


@given(st.binary(max_size=200), st.integers(0, 200))
def test_arbitrary_bytes_raise_nothing_but_integrity_error(sealed: bytes, length: int) -> None:
    refuses(sealed, length)

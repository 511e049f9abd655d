"""Sealed values: what is authenticated, how nonces and salts are used, and the page that describes the format."""

from __future__ import annotations

import hashlib
import hmac
import os
import threading

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from freehold.crypto import aead
from freehold.crypto.aead import MESSAGES_PER_SALT, OVERHEAD_BYTES, IntegrityError, Sealer

KEY = bytes(range(32))


def decode_as_the_page_says(key: bytes, blob: bytes, associated: bytes) -> bytes:
    """Written from docs/formats/sealed-value.md alone."""
    version, salt, commitment, nonce, rest = blob[0], blob[1:17], blob[17:49], blob[49:61], blob[61:]
    assert version == 1
    derived = hmac.new(key, b"freehold sealed value v1\x00" + salt + b"\x01", hashlib.sha512).digest()
    assert commitment == derived[32:64]
    return AESGCM(derived[:32]).decrypt(nonce, rest, associated)


@given(st.binary(max_size=300), st.binary(max_size=60))
def test_what_is_sealed_opens_again(plaintext: bytes, associated: bytes) -> None:
    sealer = Sealer(KEY)
    blob = sealer.seal(plaintext, associated)
    assert len(blob) == len(plaintext) + OVERHEAD_BYTES
    assert sealer.open(blob, associated) == plaintext
    assert Sealer(KEY).open(blob, associated) == plaintext


def test_a_decoder_written_from_the_page_reads_a_sealed_value() -> None:
    assert decode_as_the_page_says(KEY, Sealer(KEY).seal(b"secret", b"users/1"), b"users/1") == b"secret"


@pytest.mark.parametrize("held", [True, False], ids=["key held", "key derived"])
def test_every_flipped_bit_is_refused(held: bool) -> None:
    sealer = Sealer(KEY)
    blob = sealer.seal(b"x" * 20, b"a")
    for at in range(len(blob)):
        for bit in range(8):
            altered = bytearray(blob)
            altered[at] ^= 1 << bit
            with pytest.raises(IntegrityError):
                (sealer if held else Sealer(KEY)).open(bytes(altered), b"a")


def test_every_cut_and_every_extension_is_refused() -> None:
    sealer = Sealer(KEY)
    blob = sealer.seal(b"x" * 20, b"a")
    for length in range(len(blob)):
        with pytest.raises(IntegrityError):
            sealer.open(blob[:length], b"a")
        with pytest.raises(IntegrityError):
            Sealer(KEY).open(blob[:length], b"a")
    with pytest.raises(IntegrityError):
        sealer.open(blob + b"\x00", b"a")


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_integrity_error(blob: bytes) -> None:
    with pytest.raises(IntegrityError):
        Sealer(KEY).open(blob, b"")
    with pytest.raises(IntegrityError):
        Sealer(KEY).open(b"\x01" + blob, b"")


def test_a_value_moved_to_another_place_is_refused() -> None:
    sealer = Sealer(KEY)
    with pytest.raises(IntegrityError):
        sealer.open(sealer.seal(b"x", b"row 1"), b"row 2")


def test_another_key_is_refused() -> None:
    with pytest.raises(IntegrityError):
        Sealer(bytes(32)).open(Sealer(KEY).seal(b"x", b""), b"")


def test_the_commitment_binds_the_key() -> None:
    """With another key's commitment pasted in, the value is refused before any decryption."""
    blob = Sealer(KEY).seal(b"x", b"")
    other = Sealer(bytes(32)).seal(b"x", b"")
    with pytest.raises(IntegrityError, match="not a value sealed under this key"):
        Sealer(KEY).open(blob[:17] + other[17:49] + blob[49:], b"")


def test_nonces_never_repeat_between_threads() -> None:
    sealer = Sealer(KEY)
    counters: list[tuple[bytes, bytes]] = []

    def work() -> None:
        counters.extend((blob[1:17], blob[49:53]) for blob in (sealer.seal(b"", b"") for _ in range(2000)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(counters)) == len(counters) == 8000


def test_a_salt_serves_a_bounded_number_of_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aead, "MESSAGES_PER_SALT", 10)
    sealer = Sealer(KEY)
    blobs = [sealer.seal(b"x", b"") for _ in range(35)]
    salts = [blob[1:17] for blob in blobs]
    assert max(salts.count(salt) for salt in set(salts)) == 10
    assert all(sealer.open(blob, b"") == b"x" for blob in blobs)
    assert MESSAGES_PER_SALT == 1 << 20


def test_a_fork_starts_a_salt_of_its_own() -> None:
    sealer = Sealer(KEY)
    before = sealer.seal(b"x", b"")
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write_end, sealer.seal(b"from the child", b""))
        os._exit(0)
    os.close(write_end)
    blob = os.read(read_end, 4096)
    os.close(read_end)
    os.waitpid(child, 0)
    after = sealer.seal(b"x", b"")
    assert sealer.open(blob, b"") == b"from the child"
    assert blob[1:17] != before[1:17]
    assert after[1:17] == before[1:17]


def test_more_salts_than_are_held_still_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aead, "_HELD_KEYS", 4)
    blobs = [Sealer(KEY).seal(bytes([n]), b"") for n in range(20)]
    reader = Sealer(KEY)
    for _ in range(2):
        for n, blob in enumerate(blobs):
            assert reader.open(blob, b"") == bytes([n])
    assert len(reader._held) <= 4


def test_foreign_salts_do_not_push_out_held_keys() -> None:
    sealer = Sealer(KEY)
    sealer.seal(b"x", b"")
    for _ in range(10):
        with pytest.raises(IntegrityError):
            sealer.open(b"\x01" + os.urandom(100), b"")
    assert len(sealer._held) == 1


def test_a_sealer_shows_nothing_and_takes_only_32_bytes() -> None:
    assert KEY.hex() not in repr(Sealer(KEY))
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(b"short")

"""KMS ciphertext blobs: what is bound, what is refused, and a decoder written from the format's page."""

from __future__ import annotations

import contextlib
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from freehold.crypto.envelope import Header, InvalidBlob, encode_context, open_message, parse_header, seal_message

KEY = bytes(range(32))
HEADER = Header("eu-central-1", "111122223333", "1234abcd-12ab-34cd-56ef-1234567890ab", "1")
CONTEXT = {"department": "IT", "purpose": "test"}
BLOB = seal_message(KEY, HEADER, CONTEXT, b"hello")

NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
CONTEXTS = st.dictionaries(NAMES, NAMES, max_size=4)


def decode_as_the_page_says(key: bytes, blob: bytes, context: dict[str, str]) -> tuple[list[str], bytes]:
    """Written from docs/formats/kms-ciphertext.md alone."""
    assert blob[0] == 1
    at, names = 1, []
    for _ in range(4):
        size = blob[at]
        names.append(blob[at + 1 : at + 1 + size].decode("utf-8"))
        at += 1 + size
    random, commitment, sealed = blob[at : at + 16], blob[at + 16 : at + 48], blob[at + 48 :]
    pairs = sorted((k.encode(), v.encode()) for k, v in context.items())
    encoded = len(pairs).to_bytes(4, "big")
    for pair in pairs:
        for text in pair:
            encoded += len(text).to_bytes(4, "big") + text
    associated = blob[:at] + encoded
    derived = hmac.new(key, b"freehold kms message v1\x00" + random + associated + b"\x01", hashlib.sha512).digest()
    assert commitment == derived[32:]
    return names, AESGCM(derived[:32]).decrypt(bytes(12), sealed, associated)


@given(CONTEXTS, st.binary(max_size=300), NAMES)
def test_what_is_sealed_opens_again_and_the_page_decoder_agrees(
    context: dict[str, str], plaintext: bytes, name: str
) -> None:
    header = HEADER._replace(key_id=name)
    blob = seal_message(KEY, header, context, plaintext)
    assert parse_header(blob) == header
    assert open_message(KEY, blob, context) == plaintext
    assert decode_as_the_page_says(KEY, blob, context) == (list(header), plaintext)


def test_a_blob_of_an_earlier_release_still_opens() -> None:
    """Written once by version 1 of the format; it must open for ever."""
    blob = bytes.fromhex(EARLIER)
    assert parse_header(blob) == HEADER
    assert open_message(KEY, blob, CONTEXT) == b"written to last"


def test_every_flipped_bit_is_refused() -> None:
    for at in range(len(BLOB)):
        for bit in range(8):
            altered = bytearray(BLOB)
            altered[at] ^= 1 << bit
            with pytest.raises(InvalidBlob):
                open_message(KEY, bytes(altered), CONTEXT)


def test_every_cut_and_every_extension_is_refused() -> None:
    for length in range(len(BLOB)):
        with pytest.raises(InvalidBlob):
            open_message(KEY, BLOB[:length], CONTEXT)
    with pytest.raises(InvalidBlob):
        open_message(KEY, BLOB + b"\x00", CONTEXT)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_invalid_blob(blob: bytes) -> None:
    for candidate in (blob, b"\x01" + blob, BLOB[:70] + blob):
        with pytest.raises(InvalidBlob):
            open_message(KEY, candidate, CONTEXT)
        with contextlib.suppress(InvalidBlob):
            parse_header(candidate)


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"department": "IT"},
        {"department": "IT", "purpose": "Test"},
        {"Department": "IT", "purpose": "test"},
        {"department": "IT", "purpose": "test", "more": ""},
        {"department": "ITpurpose", "": "test"},
        {"department": "IT", "purpose": "\ud800"},
    ],
)
def test_another_encryption_context_is_refused(context: dict[str, str]) -> None:
    with pytest.raises(InvalidBlob):
        open_message(KEY, BLOB, context)


def test_the_order_of_the_context_does_not_matter() -> None:
    assert open_message(KEY, BLOB, dict(reversed(CONTEXT.items()))) == b"hello"


def test_another_backing_key_is_refused() -> None:
    with pytest.raises(InvalidBlob):
        open_message(bytes(32), BLOB, CONTEXT)


def test_a_header_swapped_for_another_keys_is_refused() -> None:
    other = seal_message(KEY, HEADER._replace(account_id="999999999999"), CONTEXT, b"hello")
    with pytest.raises(InvalidBlob):
        open_message(KEY, other[:79] + BLOB[79:], CONTEXT)


@given(CONTEXTS, CONTEXTS)
def test_no_two_contexts_are_encoded_alike(one: dict[str, str], two: dict[str, str]) -> None:
    assert (encode_context(one) == encode_context(two)) == (one == two)


def test_two_seals_of_the_same_message_share_nothing_after_the_header() -> None:
    again = seal_message(KEY, HEADER, CONTEXT, b"hello")
    end = len(BLOB) - 48 - 16 - len(b"hello")
    assert again[:end] == BLOB[:end]
    assert again[end : end + 16] != BLOB[end : end + 16]
    assert again[end + 48 :] != BLOB[end + 48 :]


def test_lengths_out_of_bounds_are_errors_of_the_caller() -> None:
    with pytest.raises(ValueError, match="255"):
        seal_message(KEY, HEADER._replace(key_id="x" * 256), {}, b"")
    with pytest.raises(ValueError, match="32 bytes"):
        seal_message(b"short", HEADER, {}, b"")


EARLIER = (
    "010c65752d63656e7472616c2d310c3131313132323232333333332431323334616263642d313261622d333463642d35"
    "3665662d313233343536373839306162013179cbf979e5ce619436befa30fa9ed9cbed05239a66fa9493adc05d6e75f8"
    "7b11b727b9ee8f55b598ff1a96f3dd62b0fb866e4bd582a0684762a383d98bae12f88908e95d178008cd29a578705317"
    "49"
)

"""What a proxy seals for AWS KMS: by a decoder written from docs/formats/xks-proxy-message.md, and what is refused."""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from freehold.crypto import proxy_message
from freehold.crypto.proxy_message import InvalidMessage, Sealed

KEY = bytes(range(32))
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
TEXT = b"a data key of thirty-two bytes.."
DATA = b"the associated data"


def _decoded(backing_key: bytes, key_id: str, data: bytes, message: Sealed) -> bytes:
    """As the page says, with nothing of Freehold's."""
    head, commitment = message.metadata[:3], message.metadata[3:]
    assert head[:1] == b"\x01"
    key, expected = _derived(backing_key, key_id, data, message.vector, head)
    assert commitment == expected
    associated = len(data).to_bytes(2, "big") + data + b"\x14" + message.metadata
    return AESGCM(key).decrypt(message.vector, message.ciphertext + message.tag, associated)


def _derived(backing_key: bytes, key_id: str, data: bytes, vector: bytes, head: bytes) -> tuple[bytes, bytes]:
    digest = hashlib.sha512(head + len(key_id).to_bytes(2, "big") + key_id.encode() + data).digest()
    text = b"freehold xks proxy message v1\x00" + vector + digest + b"\x01"
    block = hmac.digest(backing_key, text, "sha512")
    return block[:32], block[32:49]


@given(st.binary(min_size=1, max_size=300), st.binary(max_size=300), st.integers(1, 65_535))
def test_a_message_is_read_from_its_page_alone(text: bytes, data: bytes, number: int) -> None:
    message = proxy_message.seal(KEY, number, KEY_ID, data, text)
    assert len(message.ciphertext) == len(text)
    assert (len(message.vector), len(message.tag), len(message.metadata)) == (16, 16, 20)
    assert proxy_message.number_of(message.metadata) == number
    assert _decoded(KEY, KEY_ID, data, message) == text
    assert proxy_message.open_(KEY, KEY_ID, data, message) == text


def test_every_bit_counts() -> None:
    message = proxy_message.seal(KEY, 7, KEY_ID, DATA, TEXT)
    for field in ("ciphertext", "vector", "tag", "metadata"):
        whole = getattr(message, field)
        for bit in range(8 * len(whole)):
            changed = bytearray(whole)
            changed[bit // 8] ^= 1 << bit % 8
            with pytest.raises(InvalidMessage):
                proxy_message.open_(KEY, KEY_ID, DATA, replace(message, **{field: bytes(changed)}))


def test_every_length_counts() -> None:
    message = proxy_message.seal(KEY, 7, KEY_ID, DATA, TEXT)
    for field in ("ciphertext", "vector", "tag", "metadata"):
        whole = getattr(message, field)
        for changed in (b"", whole[:-1], whole[1:], whole + b"\x00"):
            with pytest.raises(InvalidMessage):
                proxy_message.open_(KEY, KEY_ID, DATA, replace(message, **{field: changed}))


@pytest.mark.parametrize(
    ("key", "key_id", "data"),
    [
        (bytes(32), KEY_ID, DATA),
        (KEY, KEY_ID[:-1], DATA),
        (KEY, KEY_ID, b""),
        # What is moved from one part to the other is another message.
        (KEY, KEY_ID + "t", DATA[1:]),
    ],
)
def test_another_key_or_other_data_opens_nothing(key: bytes, key_id: str, data: bytes) -> None:
    message = proxy_message.seal(KEY, 7, KEY_ID, DATA, TEXT)
    with pytest.raises(InvalidMessage):
        proxy_message.open_(key, key_id, data, message)


def test_metadata_given_as_data_opens_nothing() -> None:
    message = proxy_message.seal(KEY, 7, KEY_ID, b"", TEXT)
    with pytest.raises(InvalidMessage):
        proxy_message.open_(KEY, KEY_ID, message.metadata, message)
    with pytest.raises(InvalidMessage):
        proxy_message.open_(KEY, KEY_ID, message.metadata, replace(message, metadata=b""))


def test_a_tag_that_is_right_does_not_make_up_for_a_commitment_that_is_not() -> None:
    """AES-GCM alone opens what is made for this: under another key, bound to the metadata of the first."""
    first = proxy_message.seal(KEY, 1, KEY_ID, DATA, TEXT)
    other = os.urandom(32)
    key, _ = _derived(other, KEY_ID, DATA, first.vector, first.metadata[:3])
    associated = proxy_message.bound(DATA, first.metadata)
    made = AESGCM(key).encrypt(first.vector, TEXT, associated)
    assert AESGCM(key).decrypt(first.vector, made, associated) == TEXT
    with pytest.raises(InvalidMessage, match="another key"):
        proxy_message.open_(other, KEY_ID, DATA, replace(first, ciphertext=made[:-16], tag=made[-16:]))


def test_two_messages_share_nothing() -> None:
    made = [proxy_message.seal(KEY, 1, KEY_ID, DATA, TEXT) for _ in range(200)]
    for field in ("ciphertext", "vector", "tag", "metadata"):
        assert len({getattr(message, field) for message in made}) == len(made)


@pytest.mark.parametrize("number", [0, -1, 65_536])
def test_a_number_that_has_no_room_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="versions"):
        proxy_message.seal(KEY, number, KEY_ID, b"", TEXT)


def test_a_message_of_before_is_still_read() -> None:
    message = Sealed(
        bytes.fromhex("f0bba56899a86d42b35b582f8731302d3993c0679dff4ee0a11b1fae71027816"),
        bytes.fromhex("c3bd2cc59af8036dacfea29703e49fbd"),
        bytes.fromhex("964e358740586b184152e633a1702817"),
        bytes.fromhex("0100036062595f544ef533681452a6c47cb7d01c"),
    )
    assert proxy_message.open_(KEY, KEY_ID, DATA, message) == TEXT

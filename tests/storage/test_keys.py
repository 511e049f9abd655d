from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.storage import keys
from freehold.storage.records import CorruptRecord, Key

parts = st.text() | st.integers(0, 2**63 - 1)
any_keys = st.lists(parts, max_size=4).map(tuple)


def order(key: Key) -> list[tuple[int, int, bytes]]:
    return [(1, 0, part.encode()) if isinstance(part, str) else (0, part, b"") for part in key]


@given(any_keys)
def test_a_key_survives_its_encoding(key: Key) -> None:
    assert keys.decode(keys.encode(key)) == key


@given(any_keys, any_keys)
def test_bytes_are_ordered_as_the_keys_are(one: Key, other: Key) -> None:
    assert (keys.encode(one) < keys.encode(other)) == (order(one) < order(other))
    assert (keys.encode(one) == keys.encode(other)) == (one == other)


@given(any_keys, any_keys)
def test_the_parts_after_a_prefix_are_decoded_alone(prefix: Key, rest: Key) -> None:
    assert keys.decode(keys.encode(prefix + rest), len(keys.encode(prefix))) == rest


ENCODED = [  # key, its bytes: these are on disk, so they never change
    ((), ""),
    (("",), "2000"),
    (("a",), "206100"),
    (("a\0b", "é"), "206100ff620020c3a900"),
    ((0,), "10"),
    ((1, 255, 256), "110111ff120100"),
    ((2**63 - 1,), "187fffffffffffffff"),
    (("x", 7), "2078001107"),
]


@pytest.mark.parametrize(("key", "encoded"), ENCODED)
def test_the_encoding_stays_as_it_is(key: Key, encoded: str) -> None:
    assert keys.encode(key).hex() == encoded
    assert keys.decode(bytes.fromhex(encoded)) == key


@pytest.mark.parametrize("encoded", ["ff", "20", "2061", "206100ff", "1100", "12ff", "19" + "01" * 9, "20ff00", "00"])
def test_bytes_that_are_no_key_are_refused(encoded: str) -> None:
    with pytest.raises(CorruptRecord):
        keys.decode(bytes.fromhex(encoded))


@given(st.binary(max_size=12))
def test_only_what_encode_writes_is_decoded(encoded: bytes) -> None:
    try:
        key = keys.decode(encoded)
    except CorruptRecord:
        return
    assert keys.encode(key) == encoded


def test_a_member_of_an_enumeration_of_text_is_its_text() -> None:
    class Kind(str):
        __slots__ = ()

    assert keys.encode((Kind("a"),)) == keys.encode(("a",))

"""Key tuples as bytes whose order is the tuples' order, and back. Owns the encoding of keys; knows no engine.

A part is a tag byte and its content: `0x10 + n` and the n big-endian bytes (no leading zero) of an integer from 0 to
2**63-1, or `0x20`, UTF-8 text in which a NUL is written `00 ff`, and a closing `00`. So a text sorts before every
longer text that it begins, integers sort before text, and a key sorts before every longer key that it begins.
`decode` refuses what `encode` cannot have written.
"""

from __future__ import annotations

from freehold.storage.records import CorruptRecord, Key

BEYOND = b"\xff"
"""Sorts after whatever can follow an encoded part or an unfinished text: neither a tag nor UTF-8 has such a byte."""

_INTEGER = 0x10
_TEXT = 0x20
_TEXT_TAG = b"\x20"
_LARGEST = 2**63 - 1


def encode(key: Key) -> bytes:
    """The key's bytes. Raises TypeError for a part of another type, ValueError for one that has no encoding."""
    encoded = b""
    for part in key:
        if type(part) is str:
            text = part.encode()
            if b"\0" in text:
                text = text.replace(b"\0", b"\0\xff")
            encoded += b"\x20" + text + b"\0"
        else:
            encoded += _integer(part)
    return encoded


def beginning(prefix: Key, text: str) -> bytes:
    """What all keys begin with whose first parts are `prefix` and whose next part is text that begins with `text`."""
    return encode(prefix) + _TEXT_TAG + text.encode().replace(b"\0", b"\0\xff")


def decode(encoded: bytes, start: int = 0) -> Key:
    """The parts from byte `start` (where a part begins) to the end. Raises CorruptRecord for bytes that are no key."""
    parts: list[str | int] = []
    end = len(encoded)
    try:
        if start < end and encoded[start] == _TEXT and encoded.find(0, start) == end - 1:
            # One text is what most keys end with.
            return (encoded[start + 1 : end - 1].decode(),)
        while start < end:
            tag = encoded[start]
            if tag == _TEXT:
                close = encoded.index(0, start + 1)
                if encoded[close + 1 : close + 2] == BEYOND:
                    while encoded[close + 1 : close + 2] == BEYOND:
                        close = encoded.index(0, close + 2)
                    parts.append(encoded[start + 1 : close].replace(b"\0\xff", b"\0").decode())
                else:
                    parts.append(encoded[start + 1 : close].decode())
                start = close + 1
            elif _INTEGER <= tag <= _INTEGER + 8:
                close = start + 1 + tag - _INTEGER
                digits = encoded[start + 1 : close]
                number = int.from_bytes(digits, "big")
                if close > end or digits[:1] == b"\0" or number > _LARGEST:
                    raise ValueError("a truncated, padded or too large integer")
                parts.append(number)
                start = close
            else:
                raise ValueError("an unknown tag")
    except ValueError:
        raise CorruptRecord("a stored key is malformed") from None
    return tuple(parts)


def _integer(part: object) -> bytes:
    if isinstance(part, str):  # a subclass of str, such as an enumeration's member
        return encode((str.__str__(part),))
    if not isinstance(part, int) or isinstance(part, bool):
        raise TypeError(f"a key's parts are text and integers, not {type(part).__name__}")
    if not 0 <= part <= _LARGEST:
        raise ValueError("an integer in a key is from 0 to 2**63-1")
    size = (part.bit_length() + 7) // 8
    return bytes((_INTEGER + size,)) + part.to_bytes(size, "big")


def bounds(prefix: Key, text: str, after: Key | None, after_text: str | None, reverse: bool) -> tuple[bytes, bytes]:
    """The half-open range of encoded keys that a scan with these arguments (see `Reader.scan`) covers."""
    lowest = beginning(prefix, text) if text else encode(prefix)
    beyond = lowest + BEYOND
    if reverse:
        if after is not None:
            beyond = min(beyond, encode(after))
        if after_text is not None:
            beyond = min(beyond, beginning(prefix, after_text))
    else:
        if after is not None:
            lowest = max(lowest, encode(after) + b"\0")
        if after_text is not None:
            lowest = max(lowest, beginning(prefix, after_text) + BEYOND)
    return lowest, beyond

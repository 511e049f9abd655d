"""Percent-encoded text, query strings and forms: decoded once, strictly, with limits.

Raises the AwsError that the caller names. A stray percent sign, a byte sequence that isn't UTF-8 and too many fields
are refused; nothing is normalized, so that `..`, empty segments and encoded slashes stay what they are.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from freehold.errors import AwsError

MOST_FIELDS = 5_000
"""How many fields a query string or a form may have."""

_AT_ONCE = 64 * 1024
"""How much is decoded at a time: what it is split into takes many times its own size."""

_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})").search
Pairs = list[tuple[str, str]]


def decoded(text: str, refusal: type[AwsError]) -> str:
    """Percent-decoded UTF-8. Text that came as raw bytes is given as Latin-1."""
    if "%" not in text:
        if text.isascii():
            return text
    elif _STRAY_PERCENT(text):
        raise refusal()
    try:
        octets = text.encode("latin-1")
        return (unquote_to_bytes(octets) if len(octets) <= _AT_ONCE else _by_pieces(octets)).decode("utf-8")
    except UnicodeError:
        raise refusal() from None


def _by_pieces(octets: bytes) -> bytes:
    decoded, start = bytearray(), 0
    while start < len(octets):
        end = start + _AT_ONCE
        # Not between a percent sign and its digits.
        percent = octets.find(b"%", end - 2, end)
        if percent != -1 and end < len(octets):
            end = percent
        decoded += unquote_to_bytes(octets[start:end])
        start = end
    return bytes(decoded)


def fields(text: str, refusal: type[AwsError]) -> Pairs:
    """A query string's or a form's fields in order; a plus sign is a space. A field without `=` has the value ""."""
    if not text:
        return []
    if text.count("&") >= MOST_FIELDS:
        raise refusal(f"There are more than {MOST_FIELDS:,} fields.")
    plain = "%" not in text and "+" not in text and text.isascii()
    found = []
    for field in text.split("&"):
        if field:
            name, _, value = field.partition("=")
            if not plain:
                name = decoded(name.replace("+", " "), refusal)
                value = decoded(value.replace("+", " "), refusal)
            found.append((name, value))
    return found

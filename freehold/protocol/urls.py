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
        return unquote_to_bytes(text.encode("latin-1")).decode("utf-8")
    except UnicodeError:
        raise refusal() from None


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

"""Hypothesis strategies for values of botocore's shapes, built from botocore's own model and not from ours."""

from __future__ import annotations

import functools
import re
import string
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from freehold.protocol.validate import pattern

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TOKEN = string.ascii_lowercase + string.digits
VISIBLE = "".join(chr(code) for code in range(33, 127))
AWKWARD = "aZ09 /+=&<>\"'%~*.-_:;?#\\\t\né¤ß€漢字🜁"
_ONE_CLASS = re.compile(r"\^?(\[(?:[^\]\\]|\\.)+\]|\\d|\.)(?:[+*]|\{\d+(?:,\d+)?\})\$?")
_PLAIN = st.characters(codec="ascii", exclude_categories=("Cc",))
_POOL = [chr(code) for code in range(1, 0x250)] + ["漢", "🜁"]


_JSON: st.SearchStrategy[Any] = st.dictionaries(
    st.text(TOKEN, min_size=1, max_size=4),
    st.recursive(
        st.booleans() | st.integers(-9, 9) | st.text(AWKWARD, max_size=4),
        lambda part: st.lists(part, max_size=2) | st.dictionaries(st.text(TOKEN, min_size=1), part, max_size=2),
        max_leaves=4,
    ),
    max_size=3,
)


class Values:
    """Values for one protocol and direction. `out` is a reply (control characters and carriage returns too)."""

    def __init__(self, protocol: str, *, out: bool) -> None:
        self.protocol = protocol
        self.out = out

    def structure(self, shape: Any, depth: int = 0) -> st.SearchStrategy[dict[str, Any]]:
        return _structure(self, shape, depth)

    def value(self, shape: Any, depth: int, location: str | None = None) -> st.SearchStrategy[Any]:
        kind = shape.type_name
        if getattr(shape, "is_document_type", False):
            return _JSON
        if location == "header" and shape.serialization.get("jsonvalue"):
            return _JSON.filter(bool)
        if kind == "structure":
            return self.structure(shape, depth + 1)
        if kind == "list":
            low, high = _sizes(shape, 2)
            return st.lists(self.value(shape.member, depth + 1, location), min_size=max(low, 1), max_size=max(high, 1))
        if kind == "map":
            low, high = _sizes(shape, 2)
            key = self.text(shape.key, "key" if location == "headers" else location)
            return st.dictionaries(
                key, self.value(shape.value, depth + 1, location), min_size=max(low, 1), max_size=max(high, 1)
            )
        return self.scalar(shape, location)

    def scalar(self, shape: Any, location: str | None) -> st.SearchStrategy[Any]:
        kind = shape.type_name
        if location == "statusCode":
            return st.sampled_from((200, 201, 206))
        if kind == "boolean":
            return st.booleans()
        if kind in ("integer", "long"):
            limit = 2**31 if kind == "integer" else 2**63
            low, high = shape.metadata.get("min", -limit), shape.metadata.get("max", limit - 1)
            return st.integers(int(low), int(high))
        if kind in ("float", "double"):
            low, high = shape.metadata.get("min", 0), shape.metadata.get("max", 100)
            return st.floats(float(low), float(high), width=32).map(lambda value: round(value, 3))
        if kind == "blob":
            low, high = _sizes(shape, 24)
            return st.binary(min_size=low, max_size=high)
        if kind == "timestamp":
            fine = location in (None, "payload") and shape.serialization.get("timestampFormat") != "rfc822"
            return st.integers(0, 4_000_000_000_000 if fine else 4_000_000_000).map(
                lambda count: EPOCH + (timedelta(milliseconds=count) if fine else timedelta(seconds=count))
            )
        return self.text(shape, location)

    def text(self, shape: Any, location: str | None) -> st.SearchStrategy[str]:
        if shape.enum:
            return st.sampled_from(shape.enum)
        low, high = _sizes(shape, 12)
        if location == "payload":
            low = max(low, 1)
        if shape.metadata.get("pattern"):
            return _matching(shape.metadata["pattern"], low, high, shape.metadata.get("max", 1000))
        if location == "key":
            return st.text(TOKEN, min_size=1, max_size=8)
        if location == "bucket":
            return st.text(TOKEN, min_size=3, max_size=20)
        if location in ("header", "headers"):
            return st.text(VISIBLE.replace(",", "").replace('"', ""), min_size=max(low, 1), max_size=high)
        if location == "uri":
            return st.text(AWKWARD, min_size=1, max_size=high)
        alphabet = AWKWARD + "\r" if self.protocol == "json" or self.out else AWKWARD
        return st.text(alphabet, min_size=low, max_size=high)


@st.composite
def _structure(draw: Any, values: Values, shape: Any, depth: int) -> dict[str, Any]:
    required = list(shape.required_members)
    if getattr(shape, "is_tagged_union", False):
        chosen = [draw(st.sampled_from(sorted(shape.members)))]
    else:
        optional = [name for name in shape.members if name not in required]
        most = 5 if depth < 4 else 0
        chosen = (
            required + draw(st.lists(st.sampled_from(optional), max_size=most, unique=True)) if optional else required
        )
        if not chosen and optional and values.protocol != "json" and depth:
            chosen = optional[:1]
    out = {}
    for name in chosen:
        member = shape.members[name]
        location = member.serialization.get("location")
        if name == "Bucket" and location == "uri":
            location = "bucket"
        elif name == shape.serialization.get("payload"):
            location = "payload"
        out[name] = draw(values.value(member, depth, location))
    return out


def _sizes(shape: Any, spread: int) -> tuple[int, int]:
    low = int(shape.metadata.get("min", 0))
    return low, min(int(shape.metadata.get("max", low + spread)), low + spread)


@functools.cache
def _matching(source: str, low: int, high: int, most: float) -> st.SearchStrategy[str]:
    """Text that matches a model's pattern in full."""
    compiled = pattern(source)
    assert compiled is not None, source
    one = _ONE_CLASS.fullmatch(source)
    if one is not None:
        fits = [character for character in _POOL if compiled.fullmatch(character * max(low, 1))]
        if fits:
            return st.text(fits, min_size=max(low, 1), max_size=max(high, 1)).filter(
                lambda text: compiled.fullmatch(text) is not None
            )
    # Letters and digits stand for all character properties, which hypothesis can't generate from.
    readable = re.compile(re.sub(r"(\\p\{\w+\})+", r"\\w", source), re.ASCII)
    return st.from_regex(readable, fullmatch=True, alphabet=_PLAIN).filter(
        lambda text: low <= len(text) <= int(most) and compiled.fullmatch(text) is not None
    )

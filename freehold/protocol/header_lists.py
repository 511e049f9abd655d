"""Lists in one header: values separated by commas, quoted where a value holds a comma or a quotation mark.

Raises ValueError for a quoted value that doesn't end, or that isn't followed by a comma.
https://smithy.io/2.0/spec/http-bindings.html#httpheader-trait
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_VALUE = re.compile(r'[ \t]*+(?:"((?:[^"\\]|\\.)*)"[ \t]*|([^",][^,]*|))(?:,|$)')
_ESCAPED = re.compile(r'\\(["\\])')


def split(text: str, *, dates: bool = False) -> list[str]:
    """The values of a header. `dates`: each has a comma of its own (`Mon, 16 Dec 2019 23:48:18 GMT`)."""
    if dates:
        parts = [part.strip() for part in text.split(",")]
        if parts and not parts[0][:1].isdigit():
            return [", ".join(parts[at : at + 2]) for at in range(0, len(parts), 2)]
        return parts
    found, at = [], 0
    while at < len(text):
        value = _VALUE.match(text, at)
        if value is None:
            raise ValueError("a quoted value is not closed")
        found.append(_ESCAPED.sub(r"\1", value[1]) if value[1] is not None else value[2].rstrip(" \t"))
        at = value.end()
    return found


def joined(values: Iterable[str], *, quoted: bool) -> str:
    """The header of these values; `quoted`: with quotation marks where a value needs them."""
    return ",".join(_quoted(value) if quoted else value for value in values)


def _quoted(value: str) -> str:
    if "," in value or '"' in value:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return value

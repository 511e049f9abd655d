"""Pages of a list: `Limit`, `Marker`, `NextMarker`, `Truncated`. A marker names the last entry given."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, TypeVar

from freehold.services.kms.errors import InvalidMarker
from freehold.services.operation import Params, Result

T = TypeVar("T")


def marker(*parts: str) -> str:
    return base64.urlsafe_b64encode("\n".join(parts).encode()).decode().rstrip("=")


def last_seen(params: Params, parts: int) -> tuple[str, ...] | None:
    """The parts of the request's marker, None on the first page. Raises InvalidMarkerException."""
    text = params.get("Marker")
    if text is None:
        return None
    try:
        read = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidMarker from None
    found = tuple(read.split("\n"))
    if len(found) != parts or marker(*found) != text or not all(part.isprintable() and part for part in found):
        raise InvalidMarker
    return found


def page(
    name: str,
    entries: Iterable[T],
    params: Params,
    show: Callable[[T], Any],
    mark: Callable[[T], str],
    *,
    default: int = 100,
) -> Result:
    """The next entries of a list as `name`; `entries` begin after the request's marker."""
    limit: int = params.get("Limit", default)
    taken = list(islice(entries, limit + 1))
    result: Result = {name: [show(entry) for entry in taken[:limit]], "Truncated": len(taken) > limit}
    if len(taken) > limit:
        result["NextMarker"] = mark(taken[limit - 1])
    return result


def number(text: str) -> int:
    """A marker's part that is a number. Raises InvalidMarkerException."""
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise InvalidMarker
    return int(text)

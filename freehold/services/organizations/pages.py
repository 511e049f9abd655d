"""Pages of a list: `MaxResults` (20 unless told), `NextToken`, which names the last entry given."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from freehold.services.operation import Params, Result
from freehold.services.organizations.errors import invalid_input

T = TypeVar("T")
DEFAULT_RESULTS = 20
_MARK = "="
"""Before the place in a token: a place may be empty, and clients take an empty token for the end."""


def after(params: Params) -> str | None:
    """The place after which the page begins, None for the first one. Raises InvalidInputException."""
    token = params.get("NextToken")
    if token is None:
        return None
    try:
        place = base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise invalid_input("INVALID_NEXT_TOKEN") from None
    if not place.startswith(_MARK):
        raise invalid_input("INVALID_NEXT_TOKEN")
    return place[1:]


def page(
    params: Params, member: str, items: Iterable[tuple[str, T]], show: Callable[[T], Any], most: int | None = None
) -> Result:
    """One page of `(place, entry)`, in the order of their places, those after the token's alone."""
    most = most or params.get("MaxResults") or DEFAULT_RESULTS
    start, last = after(params), ""
    shown: list[Any] = []
    for place, entry in items:
        if start is not None and place <= start:
            continue
        if len(shown) == most:
            return {member: shown, "NextToken": base64.urlsafe_b64encode((_MARK + last).encode()).decode()}
        shown.append(show(entry))
        last = place
    return {member: shown}

"""Pages of a list: `MaxResults` (20 unless told), `NextToken`, which names the last entry given."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from freehold.services import paging
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
        place = paging.place(token)
    except ValueError:
        raise invalid_input("INVALID_NEXT_TOKEN") from None
    if not place.startswith(_MARK):
        raise invalid_input("INVALID_NEXT_TOKEN")
    return place[1:]


def page(
    params: Params, member: str, items: Iterable[tuple[str, T]], show: Callable[[T], Any], most: int | None = None
) -> Result:
    """One page of `(place, entry)`, in the order of their places, those after the token's alone."""
    start = after(params)
    rest = (item for item in items if start is None or item[0] > start)
    found, more = paging.take(rest, most or params.get("MaxResults") or DEFAULT_RESULTS)
    shown: Result = {member: [show(entry) for _, entry in found]}
    return shown | {"NextToken": paging.token(_MARK + found[-1][0])} if more else shown

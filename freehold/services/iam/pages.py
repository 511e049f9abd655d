"""Pagination: `MaxItems` (100 unless told), an opaque `Marker`, `IsTruncated`.

A marker holds the place after which the next page begins, so a page follows rightly even when entries come and go.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUsers.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from freehold.services import paging
from freehold.services.iam.errors import ValidationError
from freehold.services.operation import Params, Result

DEFAULT_ITEMS = 100
T = TypeVar("T")


def after(params: Params) -> str | None:
    """Where the page begins: after this place; None for the first page. Raises ValidationError."""
    marker = params.get("Marker")
    if marker is None:
        return None
    try:
        return paging.place(marker)
    except ValueError:
        raise ValidationError("Invalid Marker.") from None


def page(
    params: Params, member: str, items: Iterable[T], place: Callable[[T], str], show: Callable[[T], Any]
) -> Result:
    """One page of `items`, which are in the order of their places and begin after the marker's."""
    found, more = paging.take(items, params.get("MaxItems") or DEFAULT_ITEMS)
    shown = {member: [show(item) for item in found], "IsTruncated": more}
    return shown | {"Marker": paging.token(place(found[-1]))} if more else shown


def page_of_texts(params: Params, member: str, texts: Iterable[str], show: Callable[[str], Any] = str) -> Result:
    """One page of a collection held whole, in the order of its texts."""
    start = after(params)
    rest = sorted(text for text in texts if start is None or text > start)
    return page(params, member, rest, str, show)

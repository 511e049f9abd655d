"""What all services' pages have in common: a token holds the place of the last entry that was given.

So the next page follows rightly even when entries come and go. Services say which members hold token and entries, how
many there are on a page, and with which error a token is refused that isn't one.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def token(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode()


def place(given: str) -> str:
    """The place in a token. Raises ValueError for a text that can't be one."""
    return base64.b64decode(given, altchars=b"-_", validate=True).decode()


def take(entries: Iterable[T], most: int) -> tuple[list[T], bool]:
    """The entries of a page, and whether there are more. No more of them are read than are needed to know."""
    found = list(islice(entries, most + 1))
    return found[:most], len(found) > most

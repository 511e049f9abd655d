"""How much comparing one decision may take, so that no policy and request together keep everybody else waiting.

Policies have thousands of patterns, and requests thousands of values or characters for them: multiplied, that would be
seconds of the event loop for one request of one customer. What is counted are a pattern's steps over a text with `?`,
and comparisons of the values of one condition key with the values of one condition. Beyond the limit a decision is a
denial. Outside of a decision (`limited`) nothing is limited.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MOST_STEPS: Final = 200_000
"""Of one decision: some 20 ms."""
STEPS_OF_A_COMPARISON: Final = 8
_UNLIMITED: Final = float("inf")


class TooMuchToCompare(Exception):
    """The decision would take too long. It is a denial."""


class _Effort(threading.local):
    left: float = _UNLIMITED


_effort: Final = _Effort()


def begin() -> None:
    """A decision begins in this thread. `end` must follow."""
    _effort.left = MOST_STEPS


def end() -> None:
    _effort.left = _UNLIMITED


@contextmanager
def limited() -> Iterator[None]:
    """One decision, for those who have time for a context manager."""
    begin()
    try:
        yield
    finally:
        end()


def spend(steps: int) -> None:
    """Raise TooMuchToCompare if the decision of this thread has no such effort left."""
    left = _effort.left - steps
    if left < 0:
        raise TooMuchToCompare
    _effort.left = left

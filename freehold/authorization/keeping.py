"""What is compiled once and kept, if it is small: a cache that counts entries must not hold what is as large as a
policy may be, or whoever writes many such policies takes all memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache, wraps
from typing import Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

MOST_CHARACTERS: Final = 512
MOST_PARTS: Final = 32


def compiled_bytes(policy_text: str) -> int:
    """How much a policy takes at most once it's compiled: most by far is in its strings, each action and value one."""
    return 2_000 + 2 * len(policy_text) + 300 * policy_text.count('"')


def are_small(parts: Iterable[object], count: int) -> bool:
    """Whether these parts of a pattern, or values of a condition, are few and short."""
    return count <= MOST_PARTS and sum(len(part) for part in parts if isinstance(part, str)) <= MOST_CHARACTERS


def kept(most: int, *, if_small: Callable[P, bool]) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Keep what a function made of its latest `most` arguments that were small."""

    def keep(make: Callable[P, T]) -> Callable[P, T]:
        held = lru_cache(maxsize=most)(make)

        @wraps(make)
        def find(*arguments: P.args, **named: P.kwargs) -> T:
            if if_small(*arguments, **named):
                return held(*arguments, **named)  # type: ignore[arg-type]
            return make(*arguments, **named)

        return find

    return keep

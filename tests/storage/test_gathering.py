"""What comes in one busy moment is handed on together, and nothing is kept waiting for long."""

from __future__ import annotations

import asyncio

from freehold.storage.gathering import Gathering


def _groups(most: int, bursts: list[int]) -> list[list[int]]:
    """The groups that come of `bursts` of items, each burst brought by a turn of the loop of its own."""
    groups: list[list[int]] = []

    async def play() -> None:
        loop = asyncio.get_running_loop()
        gathering = Gathering(groups.append, most)
        number = 0
        for size in bursts:
            for _ in range(size):
                gathering.add(loop, number)
                number += 1
            await asyncio.sleep(0)
        for _ in range(10):
            await asyncio.sleep(0)

    asyncio.run(play())
    return groups


def test_a_lone_item_is_handed_on_by_itself() -> None:
    assert _groups(32, [1]) == [[0]]


def test_items_of_turns_that_follow_each_other_go_together_in_order() -> None:
    assert _groups(32, [2, 1, 3]) == [[0, 1, 2, 3, 4, 5]]


def test_a_pause_ends_a_group() -> None:
    assert _groups(32, [1, 0, 0, 0, 0, 1]) == [[0], [1]]


def test_no_more_wait_than_the_most() -> None:
    groups = _groups(4, [1] * 20)
    assert sorted(item for group in groups for item in group) == list(range(20))
    assert max(map(len, groups)) <= 5

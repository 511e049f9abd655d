"""Pages that all services share: where one ends, and what a token may be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from freehold.services import paging


@pytest.mark.parametrize("place", ["", "a", "zürich/ä", "\n", "=x", "x" * 5_000, "\U0001f511"])
def test_a_token_gives_its_place_back(place: str) -> None:
    assert paging.place(paging.token(place)) == place


@pytest.mark.parametrize("token", ["x", "é", "a b", "YQ", "gIA=", "\x00", "YQ==="])
def test_what_is_no_token_is_a_value_error(token: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        paging.place(token)


@pytest.mark.parametrize(
    ("entries", "most", "page"),
    [("", 2, ([], False)), ("a", 2, (["a"], False)), ("ab", 2, (["a", "b"], False)), ("abc", 2, (["a", "b"], True))],
)
def test_a_page_says_whether_there_are_more(entries: str, most: int, page: tuple[list[str], bool]) -> None:
    assert paging.take(entries, most) == page


def test_no_more_is_read_than_a_page_and_one() -> None:
    read = []

    def entries() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    paging.take(entries(), 3)
    assert read == [0, 1, 2, 3]

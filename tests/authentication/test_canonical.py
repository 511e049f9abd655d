"""Canonical forms: one spelling per path, query and header, and different things stay different."""

from __future__ import annotations

from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freehold.authentication.canonical import HeaderLines, joined, object_path, query_pairs, service_path

OBJECT_PATHS = [
    # as sent, canonical
    ("/", "/"),
    ("", "/"),
    ("/b/k", "/b/k"),
    ("/b//k/../x/.", "/b//k/../x/."),
    ("/b/a%20b", "/b/a%20b"),
    ("/b/a b", "/b/a%20b"),
    ("/b/%c3%a9", "/b/%C3%A9"),
    ("/b/%41%2d%7E", "/b/A-~"),
    ("/b/a%2Fb", "/b/a%2Fb"),
    ("/b/a%252Fb", "/b/a%252Fb"),
    ("/b/a+b", "/b/a%2Bb"),
    ("/b/100%", "/b/100%25"),
    ("/b/$file", "/b/%24file"),
    ("/b/\u00c3\u00a9", "/b/%C3%A9"),
]
SERVICE_PATHS = [
    ("", "/"),
    ("/", "/"),
    ("/a/../..", "/"),
    ("//a//", "/a/"),
    ("/a/./b", "/a/b"),
    ("/a%20b", "/a%2520b"),
]
QUERIES = [
    ("lifecycle", "lifecycle="),
    ("b=2&a=1", "a=1&b=2"),
    ("a=2&a=1&a", "a=&a=1&a=2"),
    ("a=b+c", "a=b%20c"),
    ("a=b%2Bc", "a=b%2Bc"),
    ("a=b%2fc/d", "a=b%2Fc%2Fd"),
    ("a=b=c", "a=b%3Dc"),
    ("&&a=1&", "a=1"),
    ("%61=%7e", "a=~"),
    ("a-b=1&a=2", "a=2&a-b=1"),
]


@pytest.mark.parametrize(("sent", "canonical"), OBJECT_PATHS)
def test_an_objects_path_is_encoded_once_and_kept(sent: str, canonical: str) -> None:
    assert object_path(sent) == canonical


@pytest.mark.parametrize(("sent", "canonical"), SERVICE_PATHS)
def test_a_services_path_is_normalized_and_encoded_again(sent: str, canonical: str) -> None:
    assert service_path(sent) == canonical


@pytest.mark.parametrize(("sent", "canonical"), QUERIES)
def test_a_query_has_one_canonical_form(sent: str, canonical: str) -> None:
    assert joined(query_pairs(sent)) == canonical


@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
    | st.from_regex("(%[0-9A-Fa-f]{2}){0,4}", fullmatch=True)
)
def test_the_short_way_and_the_long_way_agree(text: str) -> None:
    text = text.replace("/", "").replace("&", "").replace("=", "").replace("+", "")
    expected = quote(unquote_to_bytes(text), safe="-_.~")
    assert object_path("/" + text) == "/" + expected
    assert object_path("/" + expected) == "/" + expected
    if text:
        assert query_pairs(text) == [(expected, "")]


def test_header_values_are_trimmed_and_their_spaces_folded_and_nothing_else() -> None:
    lines = HeaderLines(("a", "b%", "c"))
    assert lines.of({"a": "1", "b%": "2", "c": "3: 4"}) == "a:1\nb%:2\nc:3: 4\n"
    assert lines.of({"a": " 1", "b%": "2 \t 3 ", "c": "x\u00a0 \u00a0y"}) == "a:1\nb%:2 3\nc:x\u00a0 \u00a0y\n"
    with pytest.raises(KeyError):
        lines.of({"a": "1", "b%": "2"})


def test_a_header_value_cannot_write_another_headers_line() -> None:
    assert HeaderLines(("a",)).of({"a": "1\nb:2"}) == "a:1 b:2\n"

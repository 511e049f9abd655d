"""Patterns: what they match, and that no pattern makes matching slow."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.authorization import match


def text_matches(pattern: str, text: str) -> bool:
    return match.text_test(match.parse(pattern, variables=False))(text)


def arn_matches(pattern: str, text: str) -> bool:
    return match.arn_test(match.complete_arn(match.parse(pattern, variables=False)))(text)


TEXTS = [  # pattern, text, matches
    ("", "", True),
    ("", "a", False),
    ("*", "", True),
    ("*", "a:b/c", True),
    ("a*", "a", True),
    ("a*", "ba", False),
    ("*a", "ba", True),
    ("*a", "ab", False),
    ("*a*", "bab", True),
    ("a*a", "a", False),
    ("a*a", "aa", True),
    ("a*b*c", "a-b-c", True),
    ("a*b*c", "a-c-b", False),
    ("ab*ba", "aba", False),
    ("*ab*ab*", "ab", False),
    ("*ab*ab*", "abab", True),
    ("*ab*b", "ab", False),
    ("*ab*b", "abb", True),
    ("a*ba*ab", "abab", False),
    ("a*ba*ab", "abaab", True),
    ("?", "", False),
    ("?", "a", True),
    ("?", "ab", False),
    ("a?c*", "abcd", True),
    ("a?c*", "acd", False),
    ("**", "x", True),
    ("*?*", "", False),
    ("*?*", "x", True),
    ("aXb", "aXb", True),
    ("aXb", "acb", False),
]


@pytest.mark.parametrize(("pattern", "text", "expected"), TEXTS)
def test_a_text_pattern(pattern: str, text: str, expected: bool) -> None:
    assert text_matches(pattern, text) is expected


ARNS = [
    ("*", "arn:aws:s3:::b", True),
    ("arn:aws:s3:::b", "arn:aws:s3:::b", True),
    ("arn:aws:s3:::b", "arn:aws:s3:::B", False),
    ("arn:aws:s3:::b/*", "arn:aws:s3:::b/x/y:z", True),
    ("arn:aws:s3:::b/*", "arn:aws:s3:::b", False),
    ("arn:aws:s3:::b*", "arn:aws:s3:::b:x", True),
    ("arn:aws:s3:::*/x", "arn:aws:s3:::a/b/x", True),
    ("arn:aws:s3:::*/x", "arn:aws:s3:::a:b/x", False),
    ("arn:aws:s3:::a*c", "arn:aws:s3:::abc", True),
    ("arn:aws:s3:::a*c", "arn:aws:s3:::a:c", False),
    ("arn:aws:s3:::a?c", "arn:aws:s3:::a:c", False),
    ("arn:aws:s3:::a?c", "arn:aws:s3:::abc", True),
    ("arn:aws:kms:*:1:key/*", "arn:aws:kms:eu-west-1:1:key/k", True),
    ("arn:aws:kms:*:1:key/*", "arn:aws:kms:eu-west-1:2:key/k", False),
    ("arn:aws:kms:*:1:key/*", "arn:aws:kms:a:b:1:key/k", True),
    ("arn:aws:kms:eu-*-1:1:key/*", "arn:aws:kms:eu-west-1:1:key/k", True),
    ("arn:aws:kms:eu-*-1:1:key/*", "arn:aws:kms:eu-w:x-1:1:key/k", False),
    ("arn:aws:logs:*:*:log-group:*:log-stream:*", "arn:aws:logs:r:1:log-group:g:log-stream:s", True),
    ("arn:aws:sqs", "arn:aws:sqs:r:1:q", True),
    ("arn:aws:sqs", "arn:aws:sns:r:1:q", False),
    ("arn:aws:sq", "arn:aws:sqs:r:1:q", False),
    ("arn:aws:sqs:r:1", "arn:aws:sqs:r:12:q", False),
    ("arn:aws:s*", "arn:aws:sqs:r:1:q", True),
    ("arn:aws:s3:::b/?", "arn:aws:s3:::b/kk", False),
    ("arn:aws:iam::*", "arn:aws:iam::1:user/x", True),
    ("arn:aws:s3:::x*a:*b", "arn:aws:s3:::xa:a:cb", False),
    ("arn:aws:s3:::x*:a*b", "arn:aws:s3:::x:ac:ab", True),
    ("arn:aws:s3:::x*a:*", "arn:aws:s3:::x:a:b", False),
    ("arn:aws:s3:::x*a:*", "arn:aws:s3:::xya:b", True),
]


@pytest.mark.parametrize(("pattern", "text", "expected"), ARNS)
def test_an_arn_pattern(pattern: str, text: str, expected: bool) -> None:
    assert arn_matches(pattern, text) is expected


def naive(pattern: str, text: str, *, arn: bool) -> bool:
    """The definition, by recursion over both."""
    if not pattern:
        return not text
    head, rest = pattern[0], pattern[1:]
    if head == "*":
        runs_on = not arn or not rest or rest[0] == ":"
        if naive(rest.lstrip("*") if rest[:1] == "*" else rest, text, arn=arn):
            return True
        return bool(text) and (runs_on or text[0] != ":") and naive(pattern, text[1:], arn=arn)
    if not text:
        return False
    if head == "?":
        return not (arn and text[0] == ":") and naive(rest, text[1:], arn=arn)
    return head == text[0] and naive(rest, text[1:], arn=arn)


def squeeze(pattern: str) -> str:
    while "**" in pattern:
        pattern = pattern.replace("**", "*")
    return pattern


@settings(max_examples=1500, deadline=None)
@given(st.text("ab:/*?", max_size=9), st.text("ab:/", max_size=10))
def test_matching_is_its_definition(pattern: str, text: str) -> None:
    pattern = squeeze(pattern)
    template = match.parse(pattern, variables=False)
    assert match.text_test(template)(text) is naive(pattern, text, arn=False)
    assert match.arn_test(template)(text) is naive(pattern, text, arn=True)


@settings(max_examples=300, deadline=None)
@given(st.text("ab:*?", max_size=12), st.text("ab:", max_size=14))
def test_the_automaton_and_the_string_methods_agree(pattern: str, text: str) -> None:
    template = match.parse(pattern, variables=False)
    assert match._Automaton(template, arn=False).matches(text) is match.text_test(template)(text)
    assert match._Automaton(template, arn=True).matches(text) is match.arn_test(template)(text)


HOSTILE = ["a*" * 5000 + "b", "*?" * 5000 + "b", "?" * 10_000, "*a?" * 3333 + "b", "*" * 10_000]


@pytest.mark.parametrize("pattern", HOSTILE, ids=range(len(HOSTILE)))
def test_ten_thousand_characters_of_wildcards_take_no_time(pattern: str) -> None:
    text = "a" * 10_000
    test = match.text_test(match.parse(pattern, variables=False))
    arn_test = match.arn_test(match.parse(pattern, variables=False))
    start = time.process_time()
    test(text)
    arn_test(text)
    assert time.process_time() - start < 1.0


def test_variables_are_parsed_only_where_they_exist() -> None:
    assert match.parse("a${aws:x}b", variables=True) == ("a", match.Variable("aws:x", None), "b")
    assert match.parse("a${aws:x}b", variables=False) == ("a${aws:x}b",)
    assert match.parse("${AWS:X, 'a b'}", variables=True) == (match.Variable("aws:x", "a b"),)
    assert match.parse("${*}${?}${$}", variables=True) == ("*?$",)
    assert match.parse("$x", variables=True) == ("$x",)
    assert match.parse("${aws:x, ''}", variables=True) == (match.Variable("aws:x", ""),)


@pytest.mark.parametrize(
    "pattern",
    ["${aws:x", "${}", "${}x}", "${aws:x, y'}", "${aws:x, '}", "${aws:x,}", "${aws:x, y}", "${aws:x,'y}", "${, 'y'}"],
)
def test_a_broken_variable_is_refused(pattern: str) -> None:
    with pytest.raises(match.BadPattern):
        match.parse(pattern, variables=True)


def test_a_resolved_variable_is_literal() -> None:
    template = match.parse("${aws:x}*", variables=True)
    assert match.resolve(template, {"aws:x": "a*"}) == ("a*", match.STAR)
    assert match.resolve(template, {"aws:x": None}) is None
    assert match.resolve(match.parse("a${aws:x}b${aws:x}*", variables=True), {"aws:x": "-"}) == ("a-b-", match.STAR)
    assert match.resolve(match.parse("*${aws:x}*", variables=True), {"aws:x": ""}) == (match.STAR, match.STAR)
    assert match.resolve(template, {"aws:x": ("a", "b")}) is None
    assert match.resolve(match.parse("${aws:x, 'd'}", variables=True), {"aws:x": None}) == ("d",)

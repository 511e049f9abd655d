"""Where statements stand in a policy's text."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.authorization import document
from freehold.authorization.positions import Lines, statement_places, statement_positions

LONE = (
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":'
    '{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}'
)
LISTED = """{
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": "codecommit:ListRepositories",
            "Resource": "*",
            "Sid": "a"
        }
    ]
}"""
TWO = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow"}, {"Effect": "Deny"}], "Id": "x"}'

EXAMPLES = [
    # https://docs.aws.amazon.com/cli/latest/reference/iam/simulate-custom-policy.html
    (LONE, [((1, 38), (1, 167))]),
    # https://docs.aws.amazon.com/cli/latest/reference/iam/simulate-principal-policy.html
    (LISTED, [((3, 19), (9, 10))]),
    (TWO, [((1, 41), (1, 60)), ((1, 60), (1, 80))]),
]


@pytest.mark.parametrize(("text", "wanted"), EXAMPLES)
def test_positions_are_those_of_awss_examples(text: str, wanted: list[Any]) -> None:
    assert statement_positions(text) == wanted


def test_lines_end_as_files_of_any_system_end_them() -> None:
    text = "a\nbc\r\nd\re"
    found = [Lines(text).position(text.index(letter)) for letter in "abcde"]
    assert found == [(1, 1), (2, 1), (2, 2), (3, 1), (4, 1)]


@pytest.mark.parametrize(
    "text",
    [
        '{"Id":"Statement","Statement":[{"Effect":"Allow","Action":"a:b","Resource":"*"}]}',
        '{"Statement":[{"Effect":"Allow","Action":"a:b","Resource":"*"}],"Id":"\\"Statement\\":[{"}',
        '{"\\u0053tatement":[{"Effect":"Allow","Action":"a:b","Resource":"*"}]}',
        '{"Statement":[{"Effect":"Allow","Action":"a:b","Resource":"*","Condition":{"StringLike":{"a:b":["{","]"]}}}]}',
    ],
)
def test_what_looks_like_a_statement_is_none(text: str) -> None:
    (place,) = statement_places(text)
    assert json.loads(text[place.start : place.end])["Effect"] == "Allow"


_texts = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="$"), max_size=12)
_statements = st.fixed_dictionaries(
    {
        "Effect": st.sampled_from(("Allow", "Deny")),
        "Action": st.sampled_from(("s3:Get*", ["s3:Get*", "kms:Decrypt"], "*")),
        "Resource": st.sampled_from(("*", ["arn:aws:s3:::b/{x}", "*"])),
    },
    optional={
        "Condition": st.dictionaries(
            st.sampled_from(("StringLike", "StringNotEquals")),
            st.dictionaries(
                st.sampled_from(("aws:Statement", "s3:{prefix}")), st.lists(_texts, min_size=1), min_size=1
            ),
            min_size=1,
        )
    },
)


def _written(value: Any, chance: random.Random) -> str:
    """JSON with whitespace anywhere that it may be."""

    def gap() -> str:
        return "".join(chance.choices(" \n\t\r", k=chance.choice((0, 0, 1, 3))))

    if isinstance(value, dict):
        inside = ",".join(f"{gap()}{json.dumps(k)}{gap()}:{_written(v, chance)}" for k, v in value.items())
        return f"{gap()}{{{inside}{gap()}}}{gap()}"
    if isinstance(value, list):
        return f"{gap()}[{','.join(_written(one, chance) for one in value)}{gap()}]{gap()}"
    return f"{gap()}{json.dumps(value, ensure_ascii=chance.random() < 0.5)}{gap()}"


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(_statements, st.lists(_statements, min_size=1, max_size=5)),
    st.permutations(["Version", "Statement", "Id"]),
    _texts,
    st.integers(0, 2**32),
)
def test_what_stands_at_a_statements_place_is_the_statement(statements: Any, order: Any, id_: str, seed: int) -> None:
    whole = {"Version": "2012-10-17", "Statement": statements, "Id": id_}
    text = _written({name: whole[name] for name in order}, random.Random(seed))
    document.parse(text)
    places = statement_places(text)
    listed = statements if isinstance(statements, list) else [statements]
    assert len(places) == len(listed)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for place, statement, (start, end) in zip(places, listed, statement_positions(text), strict=True):
        written = text[place.start : place.end]
        if not isinstance(statements, list):
            written = "{" + written
        assert json.loads(written.lstrip(" \n\t\r,")) == statement
        # The position leads to the same character in the lines that an editor shows.
        assert lines[end.line - 1][end.column - 2] == "}"
        assert start < end

"""Conditional reads and writes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from freehold.errors import AwsError
from freehold.services.s3 import conditions

AT = 1_700_000_000
THEN = datetime.fromtimestamp(AT, UTC)
BEFORE = datetime.fromtimestamp(AT - 1, UTC)
AFTER = datetime.fromtimestamp(AT + 1, UTC)

# if_match, if_none_match, if_modified_since, if_unmodified_since, status
READS: list[tuple[Any, Any, Any, Any, int]] = [
    (None, None, None, None, 200),
    ('"tag"', None, None, None, 200),
    ("tag", None, None, None, 200),
    ("*", None, None, None, 200),
    ('"other"', None, None, None, 412),
    ('"other", "tag"', None, None, None, 200),
    (None, '"tag"', None, None, 304),
    (None, "*", None, None, 304),
    (None, 'W/"tag"', None, None, 304),
    (None, '"other"', None, None, 200),
    (None, None, BEFORE, None, 200),
    (None, None, THEN, None, 304),
    (None, None, AFTER, None, 304),
    (None, None, None, BEFORE, 412),
    (None, None, None, THEN, 200),
    (None, None, None, AFTER, 200),
    # The tag wins over the date.
    ('"tag"', None, None, BEFORE, 200),
    ('"other"', None, None, AFTER, 412),
    (None, '"tag"', BEFORE, None, 304),
    (None, '"other"', AFTER, None, 200),
    # A failed If-Match is told before a matching If-None-Match.
    ('"other"', '"tag"', None, None, 412),
    ('"tag"', '"tag"', None, None, 304),
]


def _status(check: Any, case: tuple[Any, Any, Any, Any, int]) -> int:
    try:
        check(
            "tag",
            AT,
            if_match=case[0],
            if_none_match=case[1],
            if_modified_since=case[2],
            if_unmodified_since=case[3],
        )
    except AwsError as error:
        return error.status
    return 200


@pytest.mark.parametrize("case", READS)
def test_a_read_holds_to_its_conditions(case: tuple[Any, Any, Any, Any, int]) -> None:
    assert _status(conditions.check_read, case) == case[4]


@pytest.mark.parametrize("case", READS)
def test_a_copy_fails_with_412_where_a_read_would_say_304(case: tuple[Any, Any, Any, Any, int]) -> None:
    assert _status(conditions.check_copy_source, case) == (412 if case[4] == 304 else case[4])


# present etag, if_match, if_none_match, code
WRITES = [
    (None, None, None, ""),
    ("tag", None, None, ""),
    (None, None, "*", ""),
    ("tag", None, "*", "PreconditionFailed"),
    ("tag", '"tag"', None, ""),
    ("tag", '"other"', None, "PreconditionFailed"),
    ("tag", "*", None, ""),
    (None, '"tag"', None, "NoSuchKey"),
]


@pytest.mark.parametrize(("etag", "if_match", "if_none_match", "code"), WRITES)
def test_a_write_holds_to_its_conditions(
    etag: str | None, if_match: str | None, if_none_match: str | None, code: str
) -> None:
    found = ""
    try:
        conditions.check_write_headers(if_match, if_none_match)
        conditions.check_write(etag, "key", if_match=if_match, if_none_match=if_none_match)
    except AwsError as error:
        found = error.code
    assert found == code


def test_if_none_match_on_a_write_takes_a_star_only() -> None:
    with pytest.raises(AwsError) as refused:
        conditions.check_write_headers(None, '"tag"')
    assert refused.value.status == 501

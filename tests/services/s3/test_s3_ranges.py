"""The Range header and x-amz-copy-source-range."""

from __future__ import annotations

import pytest

from freehold.errors import AwsError
from freehold.services.s3 import ranges

# text, size, (first, length) or None where the header is ignored
CASES: list[tuple[str, int, tuple[int, int] | None]] = [
    ("bytes=0-0", 10, (0, 1)),
    ("bytes=0-9", 10, (0, 10)),
    ("bytes=0-99", 10, (0, 10)),
    ("bytes=5-", 10, (5, 5)),
    ("bytes=-3", 10, (7, 3)),
    ("bytes=-30", 10, (0, 10)),
    ("bytes=9-9", 10, (9, 1)),
    ("bytes=5-4", 10, None),
    ("bytes=", 10, None),
    ("bytes=-", 10, None),
    ("bytes=0-1,3-4", 10, None),
    ("lines=0-1", 10, None),
    ("bytes=a-b", 10, None),
    ("bytes=٣-٤", 10, None),
    ("bytes=0-99999999999999999999999999999999", 10, (0, 10)),
]


@pytest.mark.parametrize(("text", "size", "found"), CASES)
def test_a_range_is_read_as_s3_reads_it(text: str, size: int, found: tuple[int, int] | None) -> None:
    assert ranges.parse(text, size) == found


@pytest.mark.parametrize(("text", "size"), [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
def test_a_range_without_a_byte_of_the_object_is_416(text: str, size: int) -> None:
    with pytest.raises(AwsError) as refused:
        ranges.parse(text, size)
    assert (refused.value.code, refused.value.status) == ("InvalidRange", 416)


def test_a_copy_range_lies_within_the_source() -> None:
    assert ranges.parse_copy("bytes=2-5", 6) == (2, 4)


@pytest.mark.parametrize("text", ["bytes=2-6", "bytes=2-", "bytes=-2", "bytes=3-2", "2-3", ""])
def test_any_other_copy_range_is_refused(text: str) -> None:
    with pytest.raises(AwsError) as refused:
        ranges.parse_copy(text, 6)
    assert refused.value.code == "InvalidArgument"

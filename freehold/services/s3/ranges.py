"""The Range header: one byte range, as S3 honours it. Pure.

S3 ignores what it can't understand (several ranges, other units, first beyond last) and answers the whole object;
only a well-formed range beyond the end is an error.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

from __future__ import annotations

import re

from freehold.services.s3.errors import InvalidArgument, InvalidRange

_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_COPY_RANGE = re.compile(r"bytes=(\d+)-(\d+)", re.ASCII)


def parse(text: str, size: int) -> tuple[int, int] | None:
    """(first, length) of the bytes that `text` asks of `size`, or None where the header is to be ignored.

    Raises InvalidRange (416) where no byte is within the object.
    """
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        return None
    first_text, last_text = match.groups()
    if not first_text:
        if not last_text:
            return None
        wanted = min(int(last_text[:20]), size)
        if wanted == 0:
            raise InvalidRange(RangeRequested=text, ActualObjectSize=str(size))
        return size - wanted, wanted
    first = int(first_text[:20])
    last = int(last_text[:20]) if last_text else size - 1
    if last_text and last < first:
        return None
    if first >= size:
        raise InvalidRange(RangeRequested=text, ActualObjectSize=str(size))
    return first, min(last, size - 1) - first + 1


def parse_copy(text: str, size: int) -> tuple[int, int]:
    """(first, length) of `x-amz-copy-source-range`, which must be `bytes=first-last` within the source."""
    match = _COPY_RANGE.fullmatch(text)
    if match is None:
        raise InvalidArgument(
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the"
            " zero-based offsets of the first and last bytes to copy",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=text,
        )
    first, last = int(match[1][:20]), int(match[2][:20])
    if first > last or last >= size:
        raise InvalidArgument(
            f"Range specified is not valid for source object of size: {size}",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=text,
        )
    return first, last - first + 1

"""The three ways AWS writes a time: epoch seconds, ISO 8601 and HTTP's date. Reads to aware UTC datetimes.

Raises ValueError for what is none of them or lies outside the years 1 to 9999. Values to write may also be seconds
since the epoch (int or float).
https://smithy.io/2.0/spec/protocol-traits.html#timestampformat-trait
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

import orjson

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MILLISECONDS = tuple(f".{number:03d}Z" for number in range(1000))
_MONTH_NUMBERS = {name: number for number, name in enumerate(_MONTHS, 1)}

# Sun, 06 Nov 1994 08:49:37 GMT; a fraction of the second is allowed by Smithy.
_HTTP_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,6}))? GMT",
    re.ASCII,
)
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[Tt]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d{2}:?\d{2})?)?", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,13}(?:\.\d{1,9})?", re.ASCII)


def from_epoch(value: int | float) -> datetime:
    """Seconds since the epoch, with a fraction or without."""
    try:
        if not math.isfinite(value):
            raise ValueError("not a time")
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError("a time outside the years 1 to 9999") from error


def from_iso8601(text: str) -> datetime:
    """`2015-01-01T00:00:00Z`, with a fraction, with an offset, or a date alone. Without an offset it is UTC."""
    if not _ISO.fullmatch(text):
        raise ValueError("not an ISO 8601 time")
    try:
        value = datetime.fromisoformat(text)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("a time outside the years 1 to 9999") from error


def from_http_date(text: str) -> datetime:
    """`Sun, 06 Nov 1994 08:49:37 GMT`."""
    found = _HTTP_DATE.fullmatch(text)
    if found is None:
        raise ValueError("not an HTTP date")
    day, month, year, hour, minute, second, fraction = found.groups()
    if month not in _MONTH_NUMBERS:
        raise ValueError("not an HTTP date")
    micro = int(fraction.ljust(6, "0")) if fraction else 0
    return datetime(int(year), _MONTH_NUMBERS[month], int(day), int(hour), int(minute), int(second), micro, UTC)


def from_text(text: str) -> datetime:
    """Any of the three, since AWS's servers read all of them."""
    if text[:1].isalpha():
        return from_http_date(text)
    if _NUMBER.fullmatch(text):
        return from_epoch(float(text))
    return from_iso8601(text)


def _aware(value: datetime | int | float) -> datetime:
    if isinstance(value, datetime):
        if value.tzinfo is UTC:
            return value
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return datetime.fromtimestamp(value, UTC)


def to_epoch(value: datetime | int | float) -> int | float:
    """Seconds as a JSON number: whole where they are, otherwise to the millisecond."""
    seconds = value if isinstance(value, (int, float)) else _aware(value).timestamp()
    return int(seconds) if seconds == int(seconds) else round(seconds, 3)


def to_iso8601(value: datetime | int | float) -> str:
    """Whole seconds as `…:00Z`, otherwise with milliseconds: the query protocol's way."""
    moment = _aware(value)
    whole = orjson.dumps(moment)[1:20].decode()
    milliseconds = moment.microsecond // 1000
    return whole + _MILLISECONDS[milliseconds] if milliseconds else whole + "Z"


def to_iso8601_milliseconds(value: datetime | int | float) -> str:
    """Always with three digits: S3's way. (orjson writes a time in a fifth of what isoformat takes.)"""
    moment = value if type(value) is datetime and value.tzinfo is UTC else _aware(value)
    text = orjson.dumps(moment)
    # Six digits follow the point, where there are any.
    return text[1:24].decode() + "Z" if moment.microsecond else text[1:20].decode() + ".000Z"


def to_http_date(value: datetime | int | float) -> str:
    moment = _aware(value)
    return (
        f"{_DAYS[moment.weekday()]}, {moment.day:02d} {_MONTHS[moment.month - 1]} {moment.year:04d} "
        f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d} GMT"
    )

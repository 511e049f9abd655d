"""The dates of signatures: `yyyyMMdd'T'HHmmss'Z'` or an HTTP date, as seconds since the epoch, and their messages."""

from __future__ import annotations

from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime

_MOST_KNOWN = 4_096
_known: dict[str, int] = {}
"""Many requests are signed within the same second."""
_EPOCH_DAY = date(1970, 1, 1).toordinal()


def seconds_of(text: str) -> int | None:
    """Seconds since the epoch of `20150830T123600Z`, None for anything else."""
    known = _known.get(text)
    if known is not None:
        return known
    if len(text) != 16 or text[8] != "T" or text[15] != "Z":
        return None
    digits = text[:8] + text[9:15]
    if not (digits.isascii() and digits.isdigit()):
        return None
    hour, minute, second = int(text[9:11]), int(text[11:13]), int(text[13:15])
    if hour > 23 or minute > 59 or second > 59:
        return None
    try:
        day = date(int(text[:4]), int(text[4:6]), int(text[6:8])).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    seconds = day * 86_400 + hour * 3600 + minute * 60 + second
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[text] = seconds
    return seconds


def timestamp_of_http_date(text: str) -> str | None:
    """`Sun, 30 Aug 2015 12:36:00 GMT` as `20150830T123600Z`, None for anything else."""
    if seconds_of(text) is not None:
        return text
    try:
        moment = parsedate_to_datetime(text)
        # Some clients write the zone as -0000, which the parser takes for none.
        return compact((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def compact(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")


def extended(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

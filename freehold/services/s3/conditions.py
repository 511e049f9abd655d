"""Conditional requests: If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since. Pure.

The entity tag wins over the date: when If-Match holds, If-Unmodified-Since is not looked at, and when If-None-Match
is given, If-Modified-Since isn't.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html
"""

from __future__ import annotations

from datetime import datetime

from freehold.services.s3.errors import (
    InvalidArgument,
    NoSuchKey,
    NotImplementedHeader,
    NotModified,
    PreconditionFailed,
)


def matches(header: str, etag: str) -> bool:
    """Whether the tag (without quotes) is among those that the header lists; `*` stands for any."""
    for item in header.split(","):
        wanted = item.strip()
        if wanted == "*":
            return True
        if wanted.startswith("W/"):
            wanted = wanted[2:]
        if wanted.strip('"') == etag:
            return True
    return False


def check_read(
    etag: str,
    modified_seconds: int,
    *,
    if_match: str | None,
    if_none_match: str | None,
    if_modified_since: datetime | None,
    if_unmodified_since: datetime | None,
) -> None:
    """Raise PreconditionFailed (412) or NotModified (304) unless the object may be answered."""
    if if_match is not None:
        if not matches(if_match, etag):
            raise PreconditionFailed(Condition="If-Match")
    elif if_unmodified_since is not None and modified_seconds > if_unmodified_since.timestamp():
        raise PreconditionFailed(Condition="If-Unmodified-Since")
    if if_none_match is not None:
        if matches(if_none_match, etag):
            raise NotModified(ETag=f'"{etag}"')
    elif if_modified_since is not None and modified_seconds <= if_modified_since.timestamp():
        raise NotModified(ETag=f'"{etag}"')


def check_copy_source(
    etag: str,
    modified_seconds: int,
    *,
    if_match: str | None,
    if_none_match: str | None,
    if_modified_since: datetime | None,
    if_unmodified_since: datetime | None,
) -> None:
    """As `check_read`, with 412 for every condition that fails, as copies answer."""
    try:
        check_read(
            etag,
            modified_seconds,
            if_match=if_match,
            if_none_match=if_none_match,
            if_modified_since=if_modified_since,
            if_unmodified_since=if_unmodified_since,
        )
    except (NotModified, PreconditionFailed) as error:
        given = {
            "If-Match": if_match,
            "If-None-Match": if_none_match,
            "If-Modified-Since": if_modified_since,
            "If-Unmodified-Since": if_unmodified_since,
        }
        name = next(name for name, value in given.items() if value is not None)
        condition = error.members.get("Condition", name)
        raise PreconditionFailed(Condition=f"x-amz-copy-source-{condition}") from None


def check_write_headers(if_match: str | None, if_none_match: str | None) -> None:
    """Raise for conditions on a write that S3 does not know."""
    if if_none_match is not None and if_none_match.strip() != "*":
        raise NotImplementedHeader(
            "A header you provided implies functionality that is not implemented",
            Header="If-None-Match",
            additionalMessage="We don't accept the provided value of If-None-Match header for this API",
        )
    if if_match is not None and if_none_match is not None:
        raise InvalidArgument("If-Match and If-None-Match cannot both be given", ArgumentName="If-None-Match")


def check_write(etag: str | None, key: str, *, if_match: str | None, if_none_match: str | None) -> None:
    """Raise unless an object whose present tag is `etag` (None: there is none) may be replaced."""
    if if_none_match is not None and etag is not None:
        raise PreconditionFailed(Condition="If-None-Match")
    if if_match is not None:
        if etag is None:
            raise NoSuchKey(Key=key)
        if not matches(if_match, etag):
            raise PreconditionFailed(Condition="If-Match")

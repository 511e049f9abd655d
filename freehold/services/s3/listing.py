"""Listing objects: ListObjectsV2 and ListObjects.

Keys come in the order of their UTF-8 bytes. A common prefix counts as one entry, and all that lies under it is skipped
by seeking past it, so that a listing costs what it shows, not what the bucket holds.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from freehold.authorization.permission import Permission
from freehold.authorization.principal_element import canonical_id
from freehold.services.operation import operation
from freehold.services.s3.access import bucket_of, list_context, on_bucket
from freehold.services.s3.errors import InvalidArgument
from freehold.services.s3.records import ENTRIES, Entry
from freehold.storage.records import Reader

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.services.operation import Params, Result

MOST_KEYS = 1_000
_STEPS_BEFORE_SEEKING = 4
"""A seek costs about as much as a few rows; a common prefix with fewer keys is stepped over."""
_FEWEST_ROWS = 16
"""Read at once after a seek; more and more while there is no reason for another."""


class Page:
    """One page of a listing, in order."""

    __slots__ = ("common_prefixes", "contents", "last", "truncated")

    def __init__(self) -> None:
        self.contents: list[tuple[str, Entry]] = []
        self.common_prefixes: list[str] = []
        self.last = ""
        """The last key or common prefix of the page."""
        self.truncated = False


def walk(reader: Reader, bucket: str, prefix: str, delimiter: str, after: str, most: int) -> Page:
    """At most `most` keys and common prefixes beyond `after` (a key, or a common prefix: then beyond all of it)."""
    page = Page()
    if most == 0:
        return page
    if delimiter:
        _walk_by_prefix(page, reader, bucket, prefix, delimiter, after, most)
        return page
    contents = page.contents
    beyond = (bucket, after) if after else None
    for (_, key), entry in ENTRIES.scan(reader, (bucket,), text=prefix, after=beyond, limit=most + 1):
        contents.append((key, entry))  # type: ignore[arg-type]
    if len(contents) > most:
        contents.pop()
        page.truncated = True
    if contents:
        page.last = contents[-1][0]
    return page


def _walk_by_prefix(
    page: Page, reader: Reader, bucket: str, prefix: str, delimiter: str, after: str, most: int
) -> None:
    options: dict[str, Any] = {"after": (bucket, after)} if after else {}
    if after and after == _common_prefix(after, prefix, delimiter):
        options = {"after_text": after}
    count, rows_at_once = 0, _FEWEST_ROWS
    passed = ""
    while True:
        rows = steps = 0
        for (_, found), entry in ENTRIES.scan(reader, (bucket,), text=prefix, limit=rows_at_once, **options):
            rows += 1
            key: str = found  # type: ignore[assignment]
            if passed and key.startswith(passed):
                steps += 1
                if steps == _STEPS_BEFORE_SEEKING:
                    break
                continue
            if count == most:
                page.truncated = True
                return
            count += 1
            steps = 0
            common = _common_prefix(key, prefix, delimiter)
            passed = common or ""
            if common is None:
                page.contents.append((key, entry))
                page.last = key
            else:
                page.common_prefixes.append(common)
                page.last = common
        else:
            if rows < rows_at_once:
                return
            rows_at_once = min(rows_at_once * 4, MOST_KEYS)
            options = {"after_text": passed} if passed else {"after": (bucket, key)}
            continue
        rows_at_once = _FEWEST_ROWS
        options = {"after_text": passed}


def _common_prefix(key: str, prefix: str, delimiter: str) -> str | None:
    """What the key is rolled up into, None for a key that is shown itself."""
    if not key.startswith(prefix):
        return None
    at = key.find(delimiter, len(prefix))
    return None if at < 0 else key[: at + len(delimiter)]


def _may_list(call: Call, params: Params) -> list[Permission]:
    """s3:ListBucket with s3:prefix, s3:delimiter and s3:max-keys."""
    return [on_bucket(call, bucket_of(call, params), "s3:ListBucket", list_context(call, params))]


@operation("s3.ListObjectsV2", permissions=_may_list, refuses=("OptionalObjectAttributes",), anonymous=True)
def list_objects_v2(call: Call, params: Params) -> Result:
    """A page of at most 1,000 keys and common prefixes, by continuation token or beyond StartAfter.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    """
    token = params.get("ContinuationToken")
    after = params.get("StartAfter", "") if token is None else _opened_token(token)
    page, result = _page(call, params, after)
    owner = bucket_of(call, params).record.owner if params.get("FetchOwner", False) else None
    shown = _shown(page, encoded(params), owner)
    result["KeyCount"] = len(page.contents) + len(page.common_prefixes)
    if shown:
        result["Contents"] = shown
    if "StartAfter" in params:
        result["StartAfter"] = encoded(params)(params["StartAfter"])
    if token is not None:
        result["ContinuationToken"] = token
    if page.truncated:
        result["NextContinuationToken"] = base64.urlsafe_b64encode(page.last.encode()).decode()
    return result


@operation("s3.ListObjects", permissions=_may_list, refuses=("OptionalObjectAttributes",), anonymous=True)
def list_objects(call: Call, params: Params) -> Result:
    """The older listing: by marker, with owners.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html
    """
    marker = params.get("Marker", "")
    page, result = _page(call, params, marker)
    encode = encoded(params)
    shown = _shown(page, encode, bucket_of(call, params).record.owner)
    result["Marker"] = encode(marker)
    if shown:
        result["Contents"] = shown
    if page.truncated and params.get("Delimiter"):
        # Without a delimiter the last key is the next marker, and S3 leaves it out.
        result["NextMarker"] = encode(page.last)
    return result


def _page(call: Call, params: Params, after: str) -> tuple[Page, Result]:
    bucket = bucket_of(call, params)
    most = params.get("MaxKeys", MOST_KEYS)
    if most < 0:
        raise InvalidArgument(
            "Argument maxKeys must be an integer between 0 and 2147483647",
            ArgumentName="max-keys",
            ArgumentValue=str(most),
        )
    most = min(most, MOST_KEYS)
    prefix = params.get("Prefix", "")
    delimiter = params.get("Delimiter", "")
    page = walk(call.reader, bucket.name, prefix, delimiter, after, most)
    encode = encoded(params)
    result: Result = {"IsTruncated": page.truncated, "Name": bucket.name, "Prefix": encode(prefix), "MaxKeys": most}
    if delimiter:
        result["Delimiter"] = encode(delimiter)
    if "EncodingType" in params:
        result["EncodingType"] = params["EncodingType"]
    if page.common_prefixes:
        result["CommonPrefixes"] = [{"Prefix": encode(common)} for common in page.common_prefixes]
    return page, result


def _plain(text: str) -> str:
    return text


def encoded(params: Params) -> Any:
    """How names are written: percent-encoded with EncodingType=url (XML has no way to write some characters)."""
    return quote if "EncodingType" in params else _plain


def _shown(page: Page, encode: Any, owner: str | None) -> list[dict[str, Any]]:
    owner_shown = None if owner is None else {"ID": canonical_id(owner)}
    moments: dict[int, datetime] = {}
    algorithms: dict[str, list[str]] = {}
    shown: list[dict[str, Any]] = []
    for key, entry in page.contents:
        modified = entry.modified
        moment = moments.get(modified)
        if moment is None:
            moment = moments[modified] = datetime.fromtimestamp(modified, UTC)
        item = {
            "Key": key if encode is _plain else encode(key),
            "LastModified": moment,
            "ETag": f'"{entry.etag}"',
            "Size": entry.size,
            "StorageClass": "STANDARD",
        }
        algorithm = entry.algorithm
        if algorithm:
            item["ChecksumAlgorithm"] = algorithms.get(algorithm) or algorithms.setdefault(algorithm, [algorithm])
            item["ChecksumType"] = entry.kind
        if owner_shown is not None:
            item["Owner"] = owner_shown
        shown.append(item)
    return shown


def _opened_token(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidArgument(
            "The continuation token provided is incorrect", ArgumentName="continuation-token"
        ) from None

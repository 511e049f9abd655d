"""GetObject, HeadObject and GetObjectAttributes.

Every read opens the object's data key anew (with SSE-KMS as the caller, through KMS) and authenticates every byte
before it leaves. A reader that has begun finishes, though the object is replaced meanwhile.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from freehold.authorization.permission import Permission
from freehold.services.operation import operation
from freehold.services.s3 import checksums, conditions, encryption, ranges
from freehold.services.s3.access import Bucket, bucket_of, object_permission, on_object
from freehold.services.s3.bodies import Plaintext, open_inline, segments, stretch_of_part
from freehold.services.s3.errors import InvalidArgument, InvalidPartNumber, InvalidRequest, NoSuchKey
from freehold.services.s3.names import check_part_number
from freehold.services.s3.objects import existing
from freehold.services.s3.records import LAYOUTS, OBJECTS, Layout, ObjectRecord
from freehold.storage.blobs import CorruptBlob

if TYPE_CHECKING:
    from freehold.message import OutStream
    from freehold.services.call import Call
    from freehold.services.operation import Params, Result

RESPONSE_MEMBERS = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}
_TRIES = 8
"""How often an object may be replaced between reading its record and opening its bytes."""


class Asked(NamedTuple):
    """The bytes that a request asks for."""

    first: int
    length: int
    partial: bool
    """Whether the answer is 206 with a Content-Range."""
    parts: int = 0
    """The object's number of parts, shown with PartNumber."""


@operation(
    "s3.GetObject",
    permissions=object_permission("s3:GetObject"),
    refuses=("VersionId", *encryption.REFUSED_MEMBERS),
    anonymous=True,
)
def get_object(call: Call, params: Params) -> Result:
    """An object's bytes, or one range or part of them.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    """
    _check_overrides(call, params)
    bucket = bucket_of(call, params)
    for _ in range(_TRIES):
        record = existing(call, bucket, params["Key"])
        _check_conditions(record, params)
        asked = _asked(call, record, params)
        data_key = encryption.open_data_key(call, bucket.name, params["Key"], record.object_id, record.encryption)
        body = open_body(call, bucket, params["Key"], record, data_key, asked.first, asked.length)
        if body is not None:
            result = _described(call, record, params, asked)
            result["Body"] = body
            return result
    raise NoSuchKey(Key=params["Key"])


def open_body(
    call: Call, bucket: Bucket, key: str, record: ObjectRecord, data_key: bytes, first: int, length: int
) -> bytes | OutStream | None:
    """These bytes of the object; None when it was replaced since the record was read."""
    if record.body:
        plaintext = open_inline(data_key, record)
        return plaintext if length == record.size else plaintext[first : first + length]
    found = segments(call.reader, record, first, length)
    if found is not None:
        try:
            return Plaintext(call.app, data_key, found)
        except CorruptBlob:
            present = OBJECTS.get(call.reader, (bucket.name, key))
            if present is not None and present.object_id == record.object_id:
                raise
    return None


@operation(
    "s3.HeadObject",
    permissions=object_permission("s3:GetObject"),
    refuses=("VersionId", *encryption.REFUSED_MEMBERS),
    anonymous=True,
)
def head_object(call: Call, params: Params) -> Result:
    """What GetObject would say of the object. With SSE-KMS its checksum needs kms:Decrypt, the rest doesn't.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
    """
    _check_overrides(call, params)
    bucket = bucket_of(call, params)
    record = existing(call, bucket, params["Key"])
    _check_conditions(record, params)
    asked = _asked(call, record, params)
    if "ChecksumMode" in params and record.encryption.algorithm == encryption.SSE_KMS:
        encryption.open_data_key(call, bucket.name, params["Key"], record.object_id, record.encryption)
    return _described(call, record, params, asked)


def _check_overrides(call: Call, params: Params) -> None:
    """Only who signs may say how an object is to be shown: a link to a public text would else make it a page."""
    if call.principal.kind == "anonymous" and not RESPONSE_MEMBERS.keys().isdisjoint(params):
        raise InvalidRequest("Request specific response headers cannot be used for anonymous GET requests.")


def _check_conditions(record: ObjectRecord, params: Params) -> None:
    get = params.get
    if_match, if_none_match = get("IfMatch"), get("IfNoneMatch")
    since, unless_since = get("IfModifiedSince"), get("IfUnmodifiedSince")
    if if_match is None and if_none_match is None and since is None and unless_since is None:
        return
    conditions.check_read(
        record.etag,
        record.modified,
        if_match=if_match,
        if_none_match=if_none_match,
        if_modified_since=since,
        if_unmodified_since=unless_since,
    )


def _asked(call: Call, record: ObjectRecord, params: Params) -> Asked:
    text = params.get("Range")
    number = params.get("PartNumber")
    if number is not None:
        check_part_number(number)
        if text is not None:
            raise InvalidRequest("Cannot specify both Range header and partNumber query parameter")
        return _asked_part(call, record, number)
    if text is not None:
        found = ranges.parse(text, record.size)
        if found is not None:
            return Asked(found[0], found[1], True)
    return Asked(0, record.size, False)


def _asked_part(call: Call, record: ObjectRecord, number: int) -> Asked:
    if not record.parts:
        if number != 1:
            raise InvalidPartNumber(PartNumberRequested=str(number), ActualPartCount="1")
        return Asked(0, record.size, record.size > 0)
    layout = LAYOUTS.get(call.reader, (record.object_id,))
    found = None if layout is None else stretch_of_part(layout, number)
    if found is None:
        raise InvalidPartNumber(PartNumberRequested=str(number), ActualPartCount=str(record.parts))
    start, part = found
    return Asked(start, part.size, part.size > 0, record.parts)


def _described(call: Call, record: ObjectRecord, params: Params, asked: Asked) -> dict[str, Any]:
    result: dict[str, Any] = dict(record.headers)
    result["LastModified"] = datetime.fromtimestamp(record.modified, UTC)
    result["ETag"] = f'"{record.etag}"'
    result["AcceptRanges"] = "bytes"
    result["ContentLength"] = asked.length
    if asked.partial:
        result["ContentRange"] = f"bytes {asked.first}-{asked.first + asked.length - 1}/{record.size}"
    if asked.parts:
        result["PartsCount"] = asked.parts
    if record.metadata:
        result["Metadata"] = record.metadata
    result.update(encryption.members(record.encryption))
    if "ChecksumMode" in params and asked.length == record.size:
        result.update(checksums.members(record.checksum))
    for member, shown in RESPONSE_MEMBERS.items():
        if member in params:
            if call.principal.kind == "anonymous":
                raise InvalidRequest("Request specific response headers cannot be used for anonymous GET requests.")
            value = params[member]
            result[shown] = format_datetime(value, usegmt=True) if isinstance(value, datetime) else value
    return result


def _may_get_attributes(call: Call, params: Params) -> list[Permission]:
    """s3:GetObject and s3:GetObjectAttributes."""
    bucket = bucket_of(call, params)
    return [on_object(call, bucket, action, params["Key"]) for action in ("s3:GetObject", "s3:GetObjectAttributes")]


@operation(
    "s3.GetObjectAttributes",
    permissions=_may_get_attributes,
    refuses=("VersionId", *encryption.REFUSED_MEMBERS),
    anonymous=True,
)
def get_object_attributes(call: Call, params: Params) -> Result:
    """The attributes that the request lists: ETag, Checksum, ObjectParts, StorageClass, ObjectSize.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html
    """
    bucket = bucket_of(call, params)
    record = existing(call, bucket, params["Key"])
    wanted = params["ObjectAttributes"]
    result: dict[str, Any] = {"LastModified": datetime.fromtimestamp(record.modified, UTC)}
    if "ETag" in wanted:
        result["ETag"] = record.etag
    if "Checksum" in wanted and record.checksum is not None:
        if record.encryption.algorithm == encryption.SSE_KMS:
            encryption.open_data_key(call, bucket.name, params["Key"], record.object_id, record.encryption)
        result["Checksum"] = checksums.members(record.checksum)
    if "ObjectParts" in wanted and record.parts:
        layout = LAYOUTS.get(call.reader, (record.object_id,))
        if layout is not None:
            result["ObjectParts"] = _parts_shown(record, layout, params)
    if "StorageClass" in wanted:
        result["StorageClass"] = "STANDARD"
    if "ObjectSize" in wanted:
        result["ObjectSize"] = record.size
    return result


def _parts_shown(record: ObjectRecord, layout: Layout, params: Params) -> dict[str, Any]:
    shown: dict[str, Any] = {"TotalPartsCount": record.parts}
    if record.checksum is None or record.checksum.kind == checksums.FULL_OBJECT:
        return shown
    most = min(params.get("MaxParts", 1_000), 1_000)
    if most < 1:
        raise InvalidArgument("Argument x-amz-max-parts must be a positive integer", ArgumentName="x-amz-max-parts")
    try:
        after = int(params.get("PartNumberMarker", 0))
    except ValueError:
        raise InvalidArgument(
            "x-amz-part-number-marker must be an integer", ArgumentName="part-number-marker"
        ) from None
    later = [part for part in layout.parts if part.number > after]
    member = "Checksum" + record.checksum.algorithm
    page = later[:most]
    shown["PartNumberMarker"] = str(after)
    shown["MaxParts"] = most
    shown["IsTruncated"] = len(later) > most
    shown["NextPartNumberMarker"] = str(page[-1].number if page else 0)
    shown["Parts"] = [{"PartNumber": part.number, "Size": part.size, member: part.checksum} for part in page]
    return shown

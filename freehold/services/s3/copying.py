"""CopyObject and UploadPartCopy: read with the caller's rights to the source, written with those to the destination.

A copy is sealed anew under a data key of its own: between KMS keys it needs kms:Decrypt on the one and
kms:GenerateDataKey on the other.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from freehold.authorization.permission import Permission
from freehold.errors import NotImplementedByFreehold
from freehold.services.operation import operation
from freehold.services.s3 import checksums, conditions, encryption, ranges
from freehold.services.s3.access import Bucket, bucket_named, bucket_of, on_bucket, on_object, write_context
from freehold.services.s3.bodies import context_of, part_context_of
from freehold.services.s3.errors import AccessDenied, InvalidArgument, InvalidRequest, NoSuchKey
from freehold.services.s3.multipart import UploadedPart, put_part
from freehold.services.s3.names import check_part_number, object_arn
from freehold.services.s3.objects import put_in_place, write_permissions
from freehold.services.s3.ownership import check_acl
from freehold.services.s3.reading import open_body
from freehold.services.s3.records import OBJECTS, Checksum, ObjectRecord
from freehold.services.s3.taking import MOST_BYTES, Taken, copy_in
from freehold.services.s3.uploads import upload_at
from freehold.services.s3.writing import (
    REFUSED_BUT_CHECKSUMS,
    Written,
    check_storage_class,
    etag_of,
    system_headers,
    user_metadata,
)

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.services.call import Call
    from freehold.services.operation import Params, Result

SOURCE_REFUSED = (
    "CopySourceSSECustomerAlgorithm",
    "CopySourceSSECustomerKey",
    "CopySourceSSECustomerKeyMD5",
)
_TRIES = 8


class Source(NamedTuple):
    bucket: Bucket
    key: str
    record: ObjectRecord


def source_of(params: Params) -> tuple[str, str]:
    """(bucket, key) that x-amz-copy-source names. Raises InvalidArgument; NotImplemented for a version."""
    text: str = params["CopySource"]
    if text.startswith("arn:"):
        raise NotImplementedByFreehold("Copying from an access point is not implemented.")
    if "?versionId=" in text:
        raise NotImplementedByFreehold("Copying a version of an object is not implemented.")
    try:
        path = unquote(text, errors="strict")
    except UnicodeDecodeError:
        path = ""
    bucket, slash, key = path.removeprefix("/").partition("/")
    if not bucket or not slash or not key:
        raise InvalidArgument(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            ArgumentName="x-amz-copy-source",
            ArgumentValue=text,
        )
    return bucket, key


def _source_bucket(call: Call, params: Params) -> tuple[Bucket, str]:
    name, key = source_of(params)
    bucket = bucket_named(call, name)
    expected_owner = params.get("ExpectedSourceBucketOwner")
    if expected_owner is not None and expected_owner != bucket.record.owner:
        raise AccessDenied
    return bucket, key


def _may_copy(call: Call, params: Params) -> list[Permission]:
    """s3:GetObject on the source, s3:PutObject on the destination."""
    bucket, key = _source_bucket(call, params)
    return [on_object(call, bucket, "s3:GetObject", key), *write_permissions(call, params)]


def _may_copy_part(call: Call, params: Params) -> list[Permission]:
    """s3:GetObject on the source, s3:PutObject on the destination."""
    bucket, key = _source_bucket(call, params)
    destination = bucket_of(call, params)
    return [
        on_object(call, bucket, "s3:GetObject", key),
        on_object(call, destination, "s3:PutObject", params["Key"], write_context(params, creates=False)),
    ]


def _open_source(call: Call, params: Params) -> Source:
    """The source as it is now, its conditions checked. Raises NoSuchKey, AccessDenied, PreconditionFailed."""
    bucket, key = _source_bucket(call, params)
    record = OBJECTS.get(call.reader, (bucket.name, key))
    if record is None:
        call.require(on_bucket(call, bucket, "s3:ListBucket"))
        raise NoSuchKey(Key=key)
    call.resources.append(("AWS::S3::Object", object_arn(bucket.name, key)))
    conditions.check_copy_source(
        record.etag,
        record.modified,
        if_match=params.get("CopySourceIfMatch"),
        if_none_match=params.get("CopySourceIfNoneMatch"),
        if_modified_since=params.get("CopySourceIfModifiedSince"),
        if_unmodified_since=params.get("CopySourceIfUnmodifiedSince"),
    )
    return Source(bucket, key, record)


async def _copy(
    call: Call,
    source: Source,
    first: int,
    length: int,
    into: tuple[bytes, bytes],
    algorithm: checksums.Algorithm,
    *,
    with_md5: bool,
    inline: bool,
) -> Taken | None:
    """These bytes of the source, sealed under `into` (data key, context); None when it was replaced meanwhile."""
    app = call.app
    key = await encryption.opened_data_key(
        call, source.bucket.name, source.key, source.record.object_id, source.record.encryption
    )
    body = open_body(call, source.bucket, source.key, source.record, key, first, length)
    if body is None:
        return None

    def work() -> Taken:
        pieces: Iterable[bytes] = (body,) if isinstance(body, bytes) else body.chunks()
        try:
            return copy_in(app, pieces, *into, algorithm, size=length, with_md5=with_md5, inline=inline)
        finally:
            if not isinstance(body, bytes):
                body.close()

    future = app.pool.submit(work)
    try:
        return await asyncio.wrap_future(future)
    except asyncio.CancelledError:
        future.add_done_callback(lambda done: _drop(app, done))
        raise


def _drop(app: App, done: Future[Taken]) -> None:
    if not done.cancelled() and done.exception() is None:
        done.result().drop(app)


class Copied(NamedTuple):
    written: Written
    headers: dict[str, str]
    metadata: dict[str, str]


async def _copy_object(call: Call, params: Params) -> None:
    bucket = bucket_of(call, params)
    key = params["Key"]
    check_acl(params)
    check_storage_class(params)
    conditions.check_write_headers(params.get("IfMatch"), params.get("IfNoneMatch"))
    for _ in range(_TRIES):
        source = _open_source(call, params)
        record = source.record
        replaces = params.get("MetadataDirective", "COPY") == "REPLACE"
        if source.bucket.name == bucket.name and source.key == key and not replaces and not _changes(params):
            raise InvalidRequest(
                "This copy request is illegal because it is trying to copy an object to itself without changing the"
                " object's metadata, storage class, website redirect location or encryption attributes."
            )
        if record.size > MOST_BYTES:
            raise InvalidRequest(
                f"The specified copy source is larger than the maximum allowable size for a copy source: {MOST_BYTES}"
            )
        headers = system_headers(params) if replaces else record.headers
        metadata = user_metadata(params) if replaces else record.metadata
        algorithm = _algorithm_of_copy(params, record)
        object_id = secrets.token_hex(16)
        choice = encryption.choose(bucket, params)
        data_key, kept = await encryption.new_data_key(call, bucket.name, key, object_id, choice)
        into = (data_key, context_of(object_id))
        sse_s3 = kept.algorithm == encryption.SSE_S3
        taken = await _copy(call, source, 0, record.size, into, algorithm, with_md5=sse_s3, inline=True)
        if taken is not None:
            checksum = Checksum(algorithm.name, taken.checksum, checksums.FULL_OBJECT)
            call.prepared = Copied(Written(bucket, object_id, taken, kept, checksum), headers, metadata)
            return
    raise NoSuchKey(Key=source.key)


def _changes(params: Params) -> bool:
    return "ServerSideEncryption" in params or "StorageClass" in params or "BucketKeyEnabled" in params


def _algorithm_of_copy(params: Params, record: ObjectRecord) -> checksums.Algorithm:
    name = params.get("ChecksumAlgorithm")
    if name is None:
        name = checksums.DEFAULT if record.checksum is None else record.checksum.algorithm
    return checksums.multipart_kind(name, None)[0]


@operation(
    "s3.CopyObject",
    permissions=_may_copy,
    prepare=_copy_object,
    writes=True,
    refuses=(*REFUSED_BUT_CHECKSUMS, *SOURCE_REFUSED, "AnnotationDirective"),
)
def copy_object(call: Call, params: Params) -> Result:
    """Copy one object of at most 5 GiB, with its metadata or, with MetadataDirective REPLACE, with the request's.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html
    """
    copied: Copied = call.prepared
    written = copied.written
    taken = written.taken
    record = ObjectRecord(
        written.object_id,
        taken.size,
        etag_of(written.encryption, taken.md5, written.object_id),
        int(call.app.clock.now_seconds()),
        written.encryption,
        written.checksum,
        copied.headers,
        copied.metadata,
        taken.body,
        taken.blob,
    )
    try:
        put_in_place(
            call,
            written.bucket,
            params["Key"],
            record,
            if_match=params.get("IfMatch"),
            if_none_match=params.get("IfNoneMatch"),
        )
    except BaseException:
        taken.drop(call.app)
        raise
    shown: dict[str, Any] = {"ETag": f'"{record.etag}"', "LastModified": datetime.fromtimestamp(record.modified, UTC)}
    shown.update(checksums.members(record.checksum))
    return {"CopyObjectResult": shown, **encryption.write_members(record.encryption)}


async def _copy_part(call: Call, params: Params) -> None:
    bucket = bucket_of(call, params)
    number = params["PartNumber"]
    check_part_number(number)
    upload = upload_at(call.reader, bucket, params["Key"], params["UploadId"])
    algorithm = checksums.ALGORITHMS[upload.algorithm]
    for _ in range(_TRIES):
        source = _open_source(call, params)
        first, length = 0, source.record.size
        if "CopySourceRange" in params:
            first, length = ranges.parse_copy(params["CopySourceRange"], source.record.size)
        if length > MOST_BYTES:
            raise InvalidRequest(
                f"The specified copy source is larger than the maximum allowable size for a copy source: {MOST_BYTES}"
            )
        data_key = await encryption.opened_data_key(
            call, bucket.name, params["Key"], upload.object_id, upload.encryption
        )
        part_id = secrets.token_hex(8)
        into = (data_key, part_context_of(upload.object_id, params["UploadId"], number, part_id))
        sse_s3 = upload.encryption.algorithm == encryption.SSE_S3
        taken = await _copy(call, source, first, length, into, algorithm, with_md5=sse_s3, inline=False)
        if taken is not None:
            call.prepared = UploadedPart(
                bucket, part_id, taken, etag_of(upload.encryption, taken.md5, part_id), upload.algorithm
            )
            return
    raise NoSuchKey(Key=source.key)


@operation(
    "s3.UploadPartCopy",
    permissions=_may_copy_part,
    prepare=_copy_part,
    writes=True,
    refuses=(*encryption.REFUSED_MEMBERS, *SOURCE_REFUSED),
)
def upload_part_copy(call: Call, params: Params) -> Result:
    """Upload a part that is an object, or one range of it.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html
    """
    uploaded: UploadedPart = call.prepared
    upload = put_part(call, params, uploaded)
    shown = {
        "ETag": f'"{uploaded.etag}"',
        "LastModified": call.now.replace(microsecond=0),
        "Checksum" + uploaded.algorithm: uploaded.taken.checksum,
    }
    return {"CopyPartResult": shown, **encryption.members(upload.encryption)}

"""PutObject.

The body is taken in and sealed before the transaction, which then looks at the conditions and puts the record in place:
of two writers of one key the last to commit wins, whole.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from freehold.errors import NotImplementedByFreehold
from freehold.services.operation import operation
from freehold.services.s3 import checksums, conditions, encryption
from freehold.services.s3.access import Bucket, bucket_of
from freehold.services.s3.bodies import context_of
from freehold.services.s3.errors import InvalidRequest, MetadataTooLarge
from freehold.services.s3.objects import put_in_place, write_permissions
from freehold.services.s3.ownership import check_acl
from freehold.services.s3.records import OBJECTS, Checksum, Encryption, ObjectRecord
from freehold.services.s3.taking import Taken, take_in

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.services.operation import Params, Result

MOST_METADATA_BYTES = 2 * 1024
MOST_HEADER_BYTES = 6 * 1024
DEFAULT_CONTENT_TYPE = "binary/octet-stream"
HEADER_MEMBERS = (
    "ContentType",
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "Expires",
)
REFUSED_BUT_CHECKSUMS = (
    *encryption.REFUSED_MEMBERS,
    "ObjectLockEventHold",
    "ObjectLockEventHoldDurationDays",
    "ObjectLockEventHoldDurationYears",
    "ObjectLockLegalHoldStatus",
    "ObjectLockMode",
    "ObjectLockRetainUntilDate",
    "Tagging",
    "WebsiteRedirectLocation",
)
"""Members of a write that are not served, but for the checksums of those that carry bytes."""


class Written(NamedTuple):
    """What `prepare` leaves for the handler."""

    bucket: Bucket
    object_id: str
    taken: Taken
    encryption: Encryption
    checksum: Checksum


def system_headers(params: Params) -> dict[str, str]:
    """The system headers to keep. `aws-chunked` is how a body travelled, not what it is."""
    headers = {name: params[name] for name in HEADER_MEMBERS if name in params}
    coding = headers.get("ContentEncoding")
    if coding is not None and "aws-chunked" in coding.lower():
        rest = ",".join(one.strip() for one in coding.split(",") if one.strip().lower() != "aws-chunked")
        if rest:
            headers["ContentEncoding"] = rest
        else:
            del headers["ContentEncoding"]
    if not headers.get("ContentType"):
        headers["ContentType"] = DEFAULT_CONTENT_TYPE
    if sum(map(len, headers.values())) > MOST_HEADER_BYTES:
        raise InvalidRequest("The system metadata headers exceed the maximum allowed size.")
    return headers


def user_metadata(params: Params) -> dict[str, str]:
    """The user's metadata. Raises MetadataTooLarge beyond 2 KiB of names and values."""
    metadata: dict[str, str] = params.get("Metadata") or {}
    if metadata:
        size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
        if size > MOST_METADATA_BYTES:
            raise MetadataTooLarge(Size=str(size), MaxSizeAllowed=str(MOST_METADATA_BYTES))
        metadata = {name.lower(): value for name, value in metadata.items()}
    return metadata


def check_storage_class(params: Params) -> None:
    """Raise NotImplemented for any class but STANDARD."""
    if params.get("StorageClass", "STANDARD") != "STANDARD":
        raise NotImplementedByFreehold(f"The storage class {params['StorageClass']} is not implemented: use STANDARD.")


def etag_of(chosen: Encryption, md5: bytes | None, random_id: str) -> str:
    """MD5 of the content with SSE-S3; with SSE-KMS something that says nothing about it."""
    if chosen.algorithm == encryption.SSE_S3 and md5 is not None:
        return md5.hex()
    return hashlib.md5(random_id.encode(), usedforsecurity=False).hexdigest()


async def _take_in(call: Call, params: Params) -> None:
    bucket = bucket_of(call, params)
    key = params["Key"]
    check_acl(params)
    check_storage_class(params)
    user_metadata(params)
    _check_early(call, bucket, params)
    expected = checksums.expected(params, call.request.headers)
    choice = encryption.choose(bucket, params)
    object_id = secrets.token_hex(16)
    data_key, kept = await encryption.new_data_key(call, bucket.name, key, object_id, choice)
    taken = await take_in(
        call.app,
        params["Body"],
        data_key,
        context_of(object_id),
        expected,
        with_md5=kept.algorithm == encryption.SSE_S3,
        inline=True,
    )
    checksum = Checksum(expected.algorithm.name, taken.checksum, checksums.FULL_OBJECT)
    call.prepared = Written(bucket, object_id, taken, kept, checksum)


def _check_early(call: Call, bucket: Bucket, params: Params) -> None:
    """Refuse before the body is taken in what the transaction would refuse after it."""
    if_match, if_none_match = params.get("IfMatch"), params.get("IfNoneMatch")
    conditions.check_write_headers(if_match, if_none_match)
    if if_match is not None or if_none_match is not None:
        present = OBJECTS.get(call.reader, (bucket.name, params["Key"]))
        etag = None if present is None else present.etag
        conditions.check_write(etag, params["Key"], if_match=if_match, if_none_match=if_none_match)


@operation(
    "s3.PutObject",
    permissions=write_permissions,
    prepare=_take_in,
    writes=True,
    refuses=(*REFUSED_BUT_CHECKSUMS, *checksums.UNSUPPORTED_MEMBERS, "WriteOffsetBytes"),
    anonymous=True,
)
def put_object(call: Call, params: Params) -> Result:
    """Store one object of at most 5 GiB. Durable when answered; readers see the old one or this one, never a mixture.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
    """
    written: Written = call.prepared
    taken = written.taken
    try:
        record = ObjectRecord(
            written.object_id,
            taken.size,
            etag_of(written.encryption, taken.md5, written.object_id),
            int(call.app.clock.now_seconds()),
            written.encryption,
            written.checksum,
            system_headers(params),
            user_metadata(params),
            taken.body,
            taken.blob,
        )
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
    result: dict[str, Any] = {"ETag": f'"{record.etag}"'}
    result.update(checksums.members(record.checksum))
    result.update(encryption.write_members(record.encryption))
    return result

"""Multipart uploads: begun, parts uploaded in any order and in parallel, completed or aborted.

The object has one data key from the start; each part is a sealed message of its own in a blob of its own, so that
completing moves no bytes. With SSE-KMS beginning needs kms:GenerateDataKey, each part and the completion kms:Decrypt.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from freehold.authorization.permission import Permission
from freehold.services.operation import operation
from freehold.services.s3 import checksums, conditions, encryption, garbage
from freehold.services.s3.access import Bucket, bucket_of, object_permission, on_object, write_context
from freehold.services.s3.bodies import part_context_of
from freehold.services.s3.errors import (
    BadDigest,
    EntityTooSmall,
    InvalidPart,
    InvalidPartOrder,
    InvalidRequest,
    MalformedXML,
)
from freehold.services.s3.names import check_part_number
from freehold.services.s3.objects import bucket_in, put_in_place, remember_bucket, write_permissions
from freehold.services.s3.ownership import check_acl
from freehold.services.s3.records import LAYOUTS, PARTS, UPLOADS, Encryption, Layout, ObjectRecord, Part, UploadRecord
from freehold.services.s3.taking import Taken, take_in
from freehold.services.s3.uploads import drop_upload, upload_at
from freehold.services.s3.writing import (
    REFUSED_BUT_CHECKSUMS,
    check_storage_class,
    etag_of,
    system_headers,
    user_metadata,
)

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.services.operation import Params, Result

SMALLEST_PART_BYTES = 5 * 1024 * 1024


class Begun(NamedTuple):
    bucket: Bucket
    object_id: str
    encryption: Encryption


def _may_write_in_parts(call: Call, params: Params) -> list[Permission]:
    """s3:PutObject, with the condition keys of the request's members, for what makes no object yet."""
    context = write_context(params, creates=False)
    return [on_object(call, bucket_of(call, params), "s3:PutObject", params["Key"], context)]


async def _make_data_key(call: Call, params: Params) -> None:
    bucket = bucket_of(call, params)
    check_acl(params)
    check_storage_class(params)
    checksums.multipart_kind(params.get("ChecksumAlgorithm"), params.get("ChecksumType"))
    object_id = secrets.token_hex(16)
    choice = encryption.choose(bucket, params)
    _, kept = await encryption.new_data_key(call, bucket.name, params["Key"], object_id, choice)
    call.prepared = Begun(bucket, object_id, kept)


@operation(
    "s3.CreateMultipartUpload",
    permissions=_may_write_in_parts,
    prepare=_make_data_key,
    writes=True,
    refuses=REFUSED_BUT_CHECKSUMS,
)
def create_multipart_upload(call: Call, params: Params) -> Result:
    """Begin an upload. Its encryption, headers and checksum algorithm are chosen here, once for all parts.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html
    """
    begun: Begun = call.prepared
    bucket_in(call.tx, begun.bucket)
    algorithm, kind = checksums.multipart_kind(params.get("ChecksumAlgorithm"), params.get("ChecksumType"))
    upload_id = secrets.token_urlsafe(32)
    upload = UploadRecord(
        begun.bucket.record.bucket_id,
        begun.object_id,
        int(call.app.clock.now_seconds()),
        call.principal.arn,
        call.account_id,
        begun.encryption,
        algorithm.name,
        kind,
        "ChecksumAlgorithm" in params,
        system_headers(params),
        user_metadata(params),
    )
    UPLOADS.put(call.tx, (begun.bucket.name, params["Key"], upload_id), upload)
    result: dict[str, Any] = {"Bucket": begun.bucket.name, "Key": params["Key"], "UploadId": upload_id}
    if upload.explicit_algorithm:
        result["ChecksumAlgorithm"] = algorithm.name
        result["ChecksumType"] = kind
    result.update(encryption.write_members(begun.encryption))
    return result


class UploadedPart(NamedTuple):
    bucket: Bucket
    part_id: str
    taken: Taken
    etag: str
    algorithm: str


async def _take_part(call: Call, params: Params) -> None:
    bucket = bucket_of(call, params)
    number = params["PartNumber"]
    check_part_number(number)
    upload = upload_at(call.reader, bucket, params["Key"], params["UploadId"])
    algorithm = checksums.ALGORITHMS[upload.algorithm]
    # A client may check its part by another algorithm than the object's, unless it chose that one itself.
    expected = checksums.expected(params, call.request.headers, kept=algorithm)
    if upload.explicit_algorithm and expected.algorithm is not algorithm:
        raise InvalidRequest(
            f"Checksum Type mismatch occurred, expected checksum Type: {upload.algorithm.lower()},"
            f" actual checksum Type: {expected.algorithm.name.lower()}"
        )
    data_key = await encryption.opened_data_key(call, bucket.name, params["Key"], upload.object_id, upload.encryption)
    part_id = secrets.token_hex(8)
    sse_s3 = upload.encryption.algorithm == encryption.SSE_S3
    taken = await take_in(
        call.app,
        params["Body"],
        data_key,
        part_context_of(upload.object_id, params["UploadId"], number, part_id),
        expected,
        with_md5=sse_s3,
        inline=False,
    )
    call.prepared = UploadedPart(
        bucket, part_id, taken, etag_of(upload.encryption, taken.md5, part_id), upload.algorithm
    )


def put_part(call: Call, params: Params, uploaded: UploadedPart) -> UploadRecord:
    """Write the part's record, in place of an earlier upload of the same part. Drops its bytes where that fails."""
    tx, taken = call.tx, uploaded.taken
    try:
        bucket_in(tx, uploaded.bucket)
        upload = upload_at(tx, uploaded.bucket, params["Key"], params["UploadId"])
        at = (params["UploadId"], params["PartNumber"])
        earlier = PARTS.get(tx, at)
        if earlier is not None:
            garbage.discard(call, tx, earlier.blob)
        PARTS.put(
            tx,
            at,
            Part(
                params["PartNumber"],
                uploaded.part_id,
                taken.blob,
                taken.size,
                uploaded.etag,
                int(call.app.clock.now_seconds()),
                taken.checksum,
            ),
        )
        garbage.own(tx, taken.blob, upload.object_id)
    except BaseException:
        taken.drop(call.app)
        raise
    return upload


@operation(
    "s3.UploadPart",
    permissions=_may_write_in_parts,
    prepare=_take_part,
    writes=True,
    refuses=(*checksums.UNSUPPORTED_MEMBERS, *encryption.REFUSED_MEMBERS),
)
def upload_part(call: Call, params: Params) -> Result:
    """Upload one part (number 1-10,000, at most 5 GiB); again under the same number replaces it.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html
    """
    uploaded: UploadedPart = call.prepared
    upload = put_part(call, params, uploaded)
    result: dict[str, Any] = {"ETag": f'"{uploaded.etag}"', "Checksum" + uploaded.algorithm: uploaded.taken.checksum}
    result.update(encryption.members(upload.encryption))
    return result


async def _check_key(call: Call, params: Params) -> None:
    bucket = bucket_of(call, params)
    upload = upload_at(call.reader, bucket, params["Key"], params["UploadId"])
    await encryption.opened_data_key(call, bucket.name, params["Key"], upload.object_id, upload.encryption)
    call.prepared = bucket


@operation(
    "s3.CompleteMultipartUpload",
    permissions=write_permissions,
    prepare=_check_key,
    writes=True,
    refuses=(*checksums.UNSUPPORTED_MEMBERS, *encryption.REFUSED_MEMBERS),
)
def complete_multipart_upload(call: Call, params: Params) -> Result:
    """Make the listed parts the object. All but the last are at least 5 MiB; unlisted parts are let go.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
    """
    bucket: Bucket = call.prepared
    tx, key, upload_id = call.tx, params["Key"], params["UploadId"]
    if_match, if_none_match = params.get("IfMatch"), params.get("IfNoneMatch")
    conditions.check_write_headers(if_match, if_none_match)
    bucket_in(tx, bucket)
    upload = upload_at(tx, bucket, key, upload_id)
    kept = {part.number: part for _, part in PARTS.scan(tx, (upload_id,))}
    chosen = _chosen(upload, kept, params, upload_id)
    record = ObjectRecord(
        upload.object_id,
        sum(part.size for part in chosen),
        _etag_of_parts(chosen),
        int(call.app.clock.now_seconds()),
        upload.encryption,
        checksums.of_parts(
            checksums.ALGORITHMS[upload.algorithm], upload.kind, [(part.checksum, part.size) for part in chosen]
        ),
        upload.headers,
        upload.metadata,
        parts=len(chosen),
    )
    _check_claims(record, params)
    put_in_place(call, bucket, key, record, if_match=if_match, if_none_match=if_none_match)
    LAYOUTS.put(tx, (record.object_id,), Layout(upload_id, chosen))
    for part in chosen:
        del kept[part.number]
        PARTS.delete(tx, (upload_id, part.number))
    drop_upload(call, tx, key, upload_id, bucket.name)
    result: dict[str, Any] = {
        "Location": _url(call, bucket.name, key),
        "Bucket": bucket.name,
        "Key": key,
        "ETag": f'"{record.etag}"',
    }
    result.update(checksums.members(record.checksum))
    result.update(encryption.members(record.encryption))
    return result


def _url(call: Call, bucket: str, key: str) -> str:
    """The object's address, in the request's own style of addressing."""
    host = call.request.headers.get("host", "localhost")
    base = f"{'https' if call.request.secure else 'http'}://{host}"
    return f"{base}/{quote(key)}" if host.startswith(bucket + ".") else f"{base}/{bucket}/{quote(key)}"


def _chosen(upload: UploadRecord, kept: dict[int, Part], params: Params, upload_id: str) -> list[Part]:
    wanted = (params.get("MultipartUpload") or {}).get("Parts") or []
    if not wanted:
        raise MalformedXML
    member = "Checksum" + upload.algorithm
    chosen: list[Part] = []
    last = 0
    for item in wanted:
        number = item.get("PartNumber")
        if number is None:
            raise MalformedXML
        if number <= last:
            raise InvalidPartOrder(UploadId=upload_id)
        last = number
        part = kept.get(number)
        etag = item.get("ETag")
        claimed = item.get(member)
        if (
            part is None
            or etag is None
            or etag.strip('"') != part.etag
            or (claimed is not None and claimed != part.checksum)
        ):
            raise InvalidPart(UploadId=upload_id, PartNumber=str(number), ETag=etag or "")
        if upload.explicit_algorithm and upload.kind == checksums.COMPOSITE and claimed is None:
            raise InvalidRequest(
                f"The upload was created using a {upload.algorithm.lower()} checksum. The complete request must include"
                f" the checksum for each part. It was missing for part {number} in the request."
            )
        chosen.append(part)
    for part in chosen[:-1]:
        if part.size < SMALLEST_PART_BYTES:
            raise EntityTooSmall(
                ProposedSize=str(part.size),
                MinSizeAllowed=str(SMALLEST_PART_BYTES),
                PartNumber=str(part.number),
                ETag=part.etag,
            )
    return chosen


def _etag_of_parts(parts: list[Part]) -> str:
    digest = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in parts), usedforsecurity=False)
    return f"{digest.hexdigest()}-{len(parts)}"


def _check_claims(record: ObjectRecord, params: Params) -> None:
    size = params.get("MpuObjectSize")
    if size is not None and int(size) != record.size:
        raise InvalidRequest(
            f"The provided 'x-amz-mp-object-size' header value {size} does not match what was computed: {record.size}"
        )
    checksum = record.checksum
    assert checksum is not None
    kind = params.get("ChecksumType")
    if kind is not None and kind != checksum.kind:
        raise InvalidRequest(f"The upload was created with the checksum type {checksum.kind}, not {kind}.")
    for member, algorithm in checksums.MEMBERS:
        claimed = params.get(member)
        if claimed is None:
            continue
        if algorithm.name != checksum.algorithm:
            raise InvalidRequest(f"The upload was created with {checksum.algorithm}, not {algorithm.name}.")
        if claimed.partition("-")[0] != checksum.value.partition("-")[0]:
            raise BadDigest(f"The {algorithm.name} you specified did not match the calculated checksum.")


@operation(
    "s3.AbortMultipartUpload",
    permissions=object_permission("s3:AbortMultipartUpload"),
    prepare=remember_bucket,
    writes=True,
    refuses=("IfMatchInitiatedTime",),
)
def abort_multipart_upload(call: Call, params: Params) -> Result:
    """Forget an upload and its parts.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
    """
    bucket: Bucket = call.prepared
    bucket_in(call.tx, bucket)
    upload_at(call.tx, bucket, params["Key"], params["UploadId"])
    drop_upload(call, call.tx, params["Key"], params["UploadId"], bucket.name)
    return {}

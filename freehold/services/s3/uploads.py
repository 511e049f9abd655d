"""Uploads under way as records: found, listed, forgotten. ListMultipartUploads and ListParts.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from freehold.authorization.principal_element import canonical_id
from freehold.services.operation import operation
from freehold.services.s3 import encryption, garbage
from freehold.services.s3.access import Bucket, bucket_of, bucket_permission, object_permission
from freehold.services.s3.errors import InvalidArgument, NoSuchUpload
from freehold.services.s3.listing import encoded
from freehold.services.s3.records import PARTS, UPLOADS, UploadRecord

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.services.operation import Params, Result
    from freehold.storage.records import Reader, Transaction

MOST_SHOWN = 1_000


def upload_at(reader: Reader, bucket: Bucket, key: str, upload_id: str) -> UploadRecord:
    """The upload under way. Raises NoSuchUpload."""
    upload = UPLOADS.get(reader, (bucket.name, key, upload_id))
    if upload is None or upload.bucket_id != bucket.record.bucket_id:
        raise NoSuchUpload(UploadId=upload_id)
    return upload


def drop_upload(call: Call, tx: Transaction, key: str, upload_id: str, bucket: str) -> None:
    """Forget an upload and the parts it still holds."""
    UPLOADS.delete(tx, (bucket, key, upload_id))
    for part_key, part in list(PARTS.scan(tx, (upload_id,))):
        PARTS.delete(tx, part_key)
        garbage.discard(call, tx, part.blob)


def _page_size(params: Params, member: str, argument: str) -> int:
    most: int = params.get(member, MOST_SHOWN)
    if most < 0:
        raise InvalidArgument(
            f"Argument {argument} must be an integer between 0 and 2147483647",
            ArgumentName=argument,
            ArgumentValue=str(most),
        )
    return min(most, MOST_SHOWN)


@operation("s3.ListMultipartUploads", permissions=bucket_permission("s3:ListBucketMultipartUploads"))
def list_multipart_uploads(call: Call, params: Params) -> Result:
    """Uploads under way by key and then by upload id, at most 1,000 a page.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html
    """
    bucket = bucket_of(call, params)
    encode = encoded(params)
    most = _page_size(params, "MaxUploads", "max-uploads")
    prefix, delimiter = params.get("Prefix", ""), params.get("Delimiter", "")
    key_marker = params.get("KeyMarker", "")
    id_marker = params.get("UploadIdMarker", "") if key_marker else ""
    shown: list[dict[str, Any]] = []
    common: list[str] = []
    result: dict[str, Any] = {
        "Bucket": bucket.name,
        "KeyMarker": encode(key_marker),
        "UploadIdMarker": id_marker,
        "MaxUploads": most,
        "IsTruncated": False,
        "Prefix": encode(prefix),
    }
    last: tuple[str, str] = ("", "")
    for (_, key_part, id_part), upload in UPLOADS.scan(call.reader, (bucket.name,), text=prefix):
        key, upload_id = str(key_part), str(id_part)
        # Code points sort as their UTF-8 bytes do.
        if key_marker and (key < key_marker or (key == key_marker and (not id_marker or upload_id <= id_marker))):
            continue
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        rolled = key[: at + len(delimiter)] if at >= 0 else None
        if rolled is not None and (rolled in common[-1:] or rolled == key_marker):
            continue
        if len(shown) + len(common) >= most:
            result["IsTruncated"] = most > 0
            break
        if rolled is not None:
            common.append(rolled)
            last = (rolled, "")
        else:
            shown.append(_shown(bucket, encode(key), upload_id, upload))
            last = (key, upload_id)
    if result["IsTruncated"]:
        result["NextKeyMarker"], result["NextUploadIdMarker"] = encode(last[0]), last[1]
    if delimiter:
        result["Delimiter"] = encode(delimiter)
    if "EncodingType" in params:
        result["EncodingType"] = params["EncodingType"]
    if shown:
        result["Uploads"] = shown
    if common:
        result["CommonPrefixes"] = [{"Prefix": encode(one)} for one in common]
    return result


def _shown(bucket: Bucket, key: str, upload_id: str, upload: UploadRecord) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "UploadId": upload_id,
        "Key": key,
        "Initiated": datetime.fromtimestamp(upload.initiated, UTC),
        "StorageClass": "STANDARD",
        "Owner": {"ID": canonical_id(bucket.record.owner)},
        "Initiator": _initiator(upload),
    }
    if upload.explicit_algorithm:
        shown["ChecksumAlgorithm"] = upload.algorithm
        shown["ChecksumType"] = upload.kind
    return shown


def _initiator(upload: UploadRecord) -> dict[str, str]:
    return {"ID": upload.initiator_arn, "DisplayName": upload.initiator_arn.rpartition("/")[2]}


@operation(
    "s3.ListParts",
    permissions=object_permission("s3:ListMultipartUploadParts"),
    refuses=encryption.REFUSED_MEMBERS,
)
def list_parts(call: Call, params: Params) -> Result:
    """The parts of an upload that have arrived, by number, at most 1,000 a page.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html
    """
    bucket = bucket_of(call, params)
    upload_id = params["UploadId"]
    upload = upload_at(call.reader, bucket, params["Key"], upload_id)
    most = _page_size(params, "MaxParts", "max-parts")
    marker = _marker(params.get("PartNumberMarker"))
    rows = PARTS.scan(call.reader, (upload_id,), after=(upload_id, marker), limit=most + 1)
    parts = [part for _, part in rows]
    page = parts[:most]
    member = "Checksum" + upload.algorithm
    shown = [
        {
            "PartNumber": part.number,
            "LastModified": datetime.fromtimestamp(part.modified, UTC),
            "ETag": f'"{part.etag}"',
            "Size": part.size,
            member: part.checksum,
        }
        for part in page
    ]
    result: dict[str, Any] = {
        "Bucket": bucket.name,
        "Key": params["Key"],
        "UploadId": upload_id,
        "PartNumberMarker": marker,
        "NextPartNumberMarker": page[-1].number if page else 0,
        "MaxParts": most,
        "IsTruncated": most > 0 and len(parts) > most,
        "Owner": {"ID": canonical_id(bucket.record.owner)},
        "Initiator": _initiator(upload),
        "StorageClass": "STANDARD",
    }
    if shown:
        result["Parts"] = shown
    if upload.explicit_algorithm:
        result["ChecksumAlgorithm"] = upload.algorithm
        result["ChecksumType"] = upload.kind
    return result


def _marker(given: Any) -> int:
    try:
        return max(0, int(given or 0))
    except ValueError:
        raise InvalidArgument("part-number-marker must be an integer", ArgumentName="part-number-marker") from None

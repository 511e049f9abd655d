"""Objects as records: found, put in place, deleted. Reading and writing their bytes is elsewhere.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from freehold.authorization.permission import Permission
from freehold.errors import AwsError, NotImplementedByFreehold
from freehold.services.operation import operation, permission_per_item
from freehold.services.s3 import checksums, conditions, garbage
from freehold.services.s3.access import Bucket, bucket_of, on_bucket, on_object, write_context
from freehold.services.s3.errors import MalformedXML, NoSuchBucket, NoSuchKey
from freehold.services.s3.names import object_arn
from freehold.services.s3.records import BUCKET_IDENTITIES, ENTRIES, OBJECTS, Entry, ObjectRecord

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.services.operation import Params, Result
    from freehold.storage.records import Transaction

MOST_KEYS_IN_ONE_DELETE = 1_000
_ITEM_NOT_IMPLEMENTED = ("VersionId", "LastModifiedTime", "Size")


def existing(call: Call, bucket: Bucket, key: str) -> ObjectRecord:
    """The object. Raises NoSuchKey for those who may list the bucket, AccessDenied for the others."""
    record = OBJECTS.get(call.reader, (bucket.name, key))
    if record is None:
        call.require(on_bucket(call, bucket, "s3:ListBucket"))
        raise NoSuchKey(Key=key)
    call.resources.append(("AWS::S3::Object", object_arn(bucket.name, key)))
    return record


async def remember_bucket(call: Call, params: Params) -> None:
    """Keep the bucket that the permissions were decided for: the transaction must find the same one."""
    call.prepared = bucket_of(call, params)


def bucket_in(tx: Transaction, bucket: Bucket) -> None:
    """Raise NoSuchBucket if in this transaction the bucket is gone, or is another of the same name."""
    identity = BUCKET_IDENTITIES.get(tx, (bucket.name,))
    if identity is None or identity.bucket_id != bucket.record.bucket_id:
        raise NoSuchBucket(BucketName=bucket.name)


def put_in_place(
    call: Call, bucket: Bucket, key: str, record: ObjectRecord, *, if_match: str | None, if_none_match: str | None
) -> None:
    """Make `record` the object at `key`, and let go of what was there. Raises PreconditionFailed or NoSuchKey."""
    tx = call.tx
    bucket_in(tx, bucket)
    at = (bucket.name, key)
    present = OBJECTS.get(tx, at)
    conditions.check_write(
        None if present is None else present.etag, key, if_match=if_match, if_none_match=if_none_match
    )
    if present is not None:
        garbage.discard_object(call, tx, present)
    OBJECTS.put(tx, at, record)
    checksum = record.checksum
    ENTRIES.put(
        tx,
        at,
        Entry(record.size, record.etag, record.modified)
        if checksum is None
        else Entry(record.size, record.etag, record.modified, checksum.algorithm, checksum.kind),
    )
    if record.blob:
        garbage.own(tx, record.blob, record.object_id)
    call.resources.append(("AWS::S3::Object", object_arn(bucket.name, key)))


def _take_away(call: Call, bucket: Bucket, key: str, if_match: str | None) -> None:
    tx = call.tx
    at = (bucket.name, key)
    present = OBJECTS.get(tx, at)
    conditions.check_write(None if present is None else present.etag, key, if_match=if_match, if_none_match=None)
    if present is None:
        return
    garbage.discard_object(call, tx, present)
    OBJECTS.delete(tx, at)
    ENTRIES.delete(tx, at)


def _may_delete(call: Call, bucket: Bucket, key: str, if_match: str | None) -> list[Permission]:
    permissions = [on_object(call, bucket, "s3:DeleteObject", key)]
    if if_match is not None:
        # The answer tells whether the tag matches, so it needs what reading the tag needs.
        permissions.append(on_object(call, bucket, "s3:GetObject", key))
    return permissions


def _may_delete_object(call: Call, params: Params) -> list[Permission]:
    """s3:DeleteObject, and s3:GetObject with If-Match."""
    return _may_delete(call, bucket_of(call, params), params["Key"], params.get("IfMatch"))


@operation(
    "s3.DeleteObject",
    permissions=_may_delete_object,
    prepare=remember_bucket,
    writes=True,
    refuses=("VersionId", "MFA", "BypassGovernanceRetention", "IfMatchLastModifiedTime", "IfMatchSize"),
    anonymous=True,
)
def delete_object(call: Call, params: Params) -> Result:
    """Delete one object; one that isn't there is deleted already.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
    """
    bucket: Bucket = call.prepared
    bucket_in(call.tx, bucket)
    _take_away(call, bucket, params["Key"], params.get("IfMatch"))
    call.resources.append(("AWS::S3::Object", object_arn(bucket.name, params["Key"])))
    return {}


async def _authorize_each(call: Call, params: Params) -> None:
    """Decide on each key, before the transaction: what was refused is in `call.prepared` by its place in the list."""
    bucket = bucket_of(call, params)
    checksums.check_body(call.request.headers, call.request.body, required=True)
    wanted = params["Delete"]["Objects"]
    if not 1 <= len(wanted) <= MOST_KEYS_IN_ONE_DELETE:
        raise MalformedXML
    refused: dict[int, AwsError] = {}
    for place, item in enumerate(wanted):
        try:
            for permission in _may_delete(call, bucket, item["Key"], item.get("ETag")):
                call.require(permission)
        except AwsError as error:
            if error.status >= 500:
                raise
            refused[place] = error
    call.prepared = (bucket, refused)


@operation(
    "s3.DeleteObjects",
    permissions=permission_per_item("s3:DeleteObject is decided for each key; a refused key is an entry in Errors."),
    prepare=_authorize_each,
    writes=True,
    refuses=("MFA", "BypassGovernanceRetention"),
    anonymous=True,
)
def delete_objects(call: Call, params: Params) -> Result:
    """Delete up to 1,000 objects, each on its own: a refused key doesn't keep the others.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
    """
    bucket: Bucket = call.prepared[0]
    refused: dict[int, AwsError] = call.prepared[1]
    bucket_in(call.tx, bucket)
    quiet = params["Delete"].get("Quiet", False)
    deleted: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for place, item in enumerate(params["Delete"]["Objects"]):
        key = item["Key"]
        error = refused.get(place)
        if error is None:
            try:
                _refuse_unserved(item)
                _take_away(call, bucket, key, item.get("ETag"))
            except AwsError as found:
                error = found
        if error is not None:
            errors.append({"Key": key, "Code": error.code, "Message": error.message})
        elif not quiet:
            deleted.append({"Key": key})
    result: Result = {}
    if deleted:
        result["Deleted"] = deleted
    if errors:
        result["Errors"] = errors
    return result


def _refuse_unserved(item: dict[str, Any]) -> None:
    for member in _ITEM_NOT_IMPLEMENTED:
        if member in item:
            raise NotImplementedByFreehold(f"{member} is not implemented in DeleteObjects.")


def write_permissions(call: Call, params: Params) -> list[Permission]:
    """s3:PutObject with the condition keys of the request's members, and s3:GetObject with If-Match."""
    bucket = bucket_of(call, params)
    key = params["Key"]
    permissions = [on_object(call, bucket, "s3:PutObject", key, write_context(params))]
    if "IfMatch" in params:
        permissions.append(on_object(call, bucket, "s3:GetObject", key))
    return permissions

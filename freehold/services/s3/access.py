"""Buckets as permissions and handlers see them, and the permissions that S3's operations need.

A `Bucket` is its record with the policy compiled, kept while the "s3" change counter stands still. Every permission
function starts with `bucket_of`, which also honours ExpectedBucketOwner (confused bucket owner) and refuses a request
that was signed for another Region.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/list_amazons3.html
"""

from __future__ import annotations

import calendar
from typing import TYPE_CHECKING, Final

from freehold.authentication import canonical, presigned_v2
from freehold.authorization import document
from freehold.authorization.keeping import compiled_bytes
from freehold.authorization.permission import ContextValue, Permission
from freehold.services.s3 import publicness
from freehold.services.s3.errors import AccessDenied, AuthorizationHeaderMalformed, NoSuchBucket
from freehold.services.s3.names import bucket_arn, check_key, object_arn
from freehold.services.s3.records import BUCKETS, BucketRecord
from freehold.storage.records import Reader

if TYPE_CHECKING:
    from freehold.authorization.document import Policy
    from freehold.authorization.principal import Principal
    from freehold.message import Request
    from freehold.services.call import Call
    from freehold.services.operation import Params, Permissions

CONTEXT_PARAMS = {
    "ACL": "s3:x-amz-acl",
    "ServerSideEncryption": "s3:x-amz-server-side-encryption",
    "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "SSECustomerAlgorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
    "StorageClass": "s3:x-amz-storage-class",
    "WebsiteRedirectLocation": "s3:x-amz-website-redirect-location",
    "CopySource": "s3:x-amz-copy-source",
    "MetadataDirective": "s3:x-amz-metadata-directive",
    "IfMatch": "s3:if-match",
    "IfNoneMatch": "s3:if-none-match",
}
"""Members of a write whose values are condition keys."""
LIST_CONTEXT_PARAMS = (("Prefix", "prefix", "s3:prefix"), ("Delimiter", "delimiter", "s3:delimiter"))
"""(member, query parameter, condition key)."""


_WEIGHT_BYTES: Final = 4_096
"""What a bucket's policy may take, compiled, for the bucket to count as one of those that are kept (`Cache`)."""


class Bucket:
    """One bucket, ready for use: its record and what follows from it."""

    __slots__ = ("arn", "cache_weight", "name", "policy", "public", "record", "tag_keys")

    def __init__(self, name: str, record: BucketRecord) -> None:
        self.name = name
        self.arn = bucket_arn(name)
        self.record = record
        self.policy: Policy | None = (
            document.parse(record.policy, "resource", origin=self.arn) if record.policy else None
        )
        self.cache_weight = 1 + (compiled_bytes(record.policy) // _WEIGHT_BYTES if record.policy else 0)
        self.public = bool(record.policy) and publicness.is_public(record.policy)
        self.tag_keys = {
            f"{name}/{tag.lower()}": value
            for name in ("aws:resourcetag", "s3:buckettag")
            for tag, value in record.tags.items()
        }
        """What the tags are as condition keys, where they are."""

    def policy_for(self, principal: Principal) -> Policy | None:
        """The policy as far as it counts for this caller.

        RestrictPublicBuckets takes a public policy away from everyone outside the owner's account, those whom the
        policy names included; AWS service principals keep it.
        """
        block = self.record.public_access
        if (
            self.public
            and block is not None
            and block.restrict_public_buckets
            and principal.account_id != self.record.owner
            and principal.kind != "service"
        ):
            return None
        return self.policy


def bucket_named(call: Call, name: str) -> Bucket:
    """The bucket. Raises NoSuchBucket."""

    def load(reader: Reader) -> Bucket:
        record = BUCKETS.get(reader, (name,))
        if record is None:
            raise NoSuchBucket(BucketName=name)
        return Bucket(name, record)

    return call.cached("s3", name, load)


def bucket_of(call: Call, params: Params) -> Bucket:
    """The bucket that the request names. Raises NoSuchBucket, AccessDenied where its owner isn't the expected one,
    AuthorizationHeaderMalformed where the request was signed for a Region other than the bucket's. A signature of
    version 2 names no Region: from here on the call is in the bucket's."""
    bucket = bucket_named(call, params["Bucket"])
    expected_owner = params.get("ExpectedBucketOwner")
    if expected_owner is not None and expected_owner != bucket.record.owner:
        raise AccessDenied
    _check_region(call, bucket)
    authorized = call.prepared
    if authorized is None:
        call.prepared = bucket
    elif type(authorized) is Bucket and authorized.record.bucket_id != bucket.record.bucket_id:
        # Deleted and made again, perhaps by someone else, since the call was authorized.
        raise NoSuchBucket(BucketName=bucket.name)
    return bucket


def _check_region(call: Call, bucket: Bucket) -> None:
    region = bucket.record.region
    if call.region != region and call.principal.kind != "anonymous":
        if _is_signed_by_version_2(call.request):
            call.region = region
            call.context["aws:requestedregion"] = region
            return
        raise AuthorizationHeaderMalformed(
            f"The authorization header is malformed; the region '{call.region}' is wrong; expecting '{region}'",
            Region=region,
        )


def on_bucket(call: Call, bucket: Bucket, action: str, context: dict[str, ContextValue] | None = None) -> Permission:
    """`action` on the bucket itself."""
    return _permission(call, bucket, action, bucket.arn, context)


def on_object(
    call: Call, bucket: Bucket, action: str, key: str, context: dict[str, ContextValue] | None = None
) -> Permission:
    """`action` on one of its objects. Raises KeyTooLongError."""
    check_key(key)
    return _permission(call, bucket, action, object_arn(bucket.name, key), context)


def _permission(
    call: Call, bucket: Bucket, action: str, resource: str, context: dict[str, ContextValue] | None
) -> Permission:
    keys = request_context(call)
    keys["s3:resourceaccount"] = bucket.record.owner
    if bucket.record.abac:
        keys.update(bucket.tag_keys)
    if context:
        keys.update(context)
    return Permission(action, resource, bucket.record.owner, keys, bucket.policy_for(call.principal))


def request_context(call: Call) -> dict[str, ContextValue]:
    """The condition keys that S3 takes from how a request is signed and sent."""
    keys: dict[str, ContextValue] = {}
    request = call.request
    if request.tls_version:
        keys["s3:tlsversion"] = request.tls_version
    if call.principal.kind == "anonymous":
        return keys
    content = request.headers.get("x-amz-content-sha256")
    version_2 = _is_signed_by_version_2(request)
    keys["s3:signatureversion"] = "AWS" if version_2 else "AWS4-HMAC-SHA256"
    if "authorization" in request.headers:
        keys["s3:authtype"] = "REST-HEADER"
    else:
        keys["s3:authtype"] = "REST-QUERY-STRING"
        # Version 2 doesn't say when it was made: a statement that allows young signatures only doesn't allow it.
        age = None if version_2 else _signature_age_milliseconds(request.query_string, call.app.clock.wall_seconds())
        if age is not None:
            keys["s3:signatureage"] = str(age)
        content = content or "UNSIGNED-PAYLOAD"
    if content is not None:
        keys["s3:x-amz-content-sha256"] = content
    return keys


def _is_signed_by_version_2(request: Request) -> bool:
    """How an authenticated request was signed: authentication refuses those that are signed in two ways."""
    query = request.query_string
    return query != "" and "authorization" not in request.headers and presigned_v2.is_presigned(query)


def _signature_age_milliseconds(query: str, now_seconds: float) -> int | None:
    """How old a presigned request's signature is; authentication has accepted its date before, however it is spelled
    (another parameter may hold the same text)."""
    date = dict(canonical.query_pairs(query)).get("X-Amz-Date", "")
    if len(date) != 16:
        return None
    try:
        signed = calendar.timegm(
            (int(date[:4]), int(date[4:6]), int(date[6:8]), int(date[9:11]), int(date[11:13]), int(date[13:15]))
        )
    except ValueError:
        return None
    return max(0, int((now_seconds - signed) * 1000))


def write_context(params: Params, *, creates: bool = True) -> dict[str, ContextValue]:
    """The condition keys that a write's members carry, as the request says them (a bucket's defaults don't count).

    `creates`: whether it makes an object; what belongs to an upload in parts makes none before it is completed.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
    """
    keys: dict[str, ContextValue] = {
        key: str(params[member]) for member, key in CONTEXT_PARAMS.items() if member in params
    }
    keys["s3:objectcreationoperation"] = "true" if creates else "false"
    return keys


def list_context(call: Call, params: Params) -> dict[str, ContextValue]:
    """The condition keys of a listing. One that isn't given is absent; one that is given as nothing is empty."""
    keys: dict[str, ContextValue] = {}
    query = "&" + call.request.query_string + "&"
    for member, name, key in LIST_CONTEXT_PARAMS:
        if member in params:
            keys[key] = params[member]
        elif f"&{name}=&" in query or f"&{name}&" in query:
            keys[key] = ""
    most = params.get("MaxKeys")
    if most is not None:
        keys["s3:max-keys"] = str(most)
    return keys


def bucket_permission(action: str) -> Permissions:
    """A permission function: one action on the bucket."""

    def needed(call: Call, params: Params) -> list[Permission]:
        return [on_bucket(call, bucket_of(call, params), action)]

    needed.__doc__ = f"`{action}` on the bucket."
    return needed


def object_permission(action: str) -> Permissions:
    """A permission function: one action on the object."""

    def needed(call: Call, params: Params) -> list[Permission]:
        return [on_object(call, bucket_of(call, params), action, params["Key"])]

    needed.__doc__ = f"`{action}` on the object."
    return needed

"""Tags of buckets: at most 50. (Objects have none yet.)

https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from freehold.services.operation import operation
from freehold.services.s3 import checksums
from freehold.services.s3.access import Bucket, bucket_of, bucket_permission
from freehold.services.s3.errors import InvalidRequest, InvalidTag, NoSuchTagSet
from freehold.services.s3.records import BUCKETS

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.services.operation import Params, Result

MOST_TAGS = 50


def checked(tags: list[dict[str, Any]]) -> dict[str, str]:
    """The tags as a mapping. Raises InvalidTag."""
    found: dict[str, str] = {}
    for tag in tags:
        key, value = tag["Key"], tag["Value"]
        if not 1 <= len(key) <= 128 or key.lower().startswith("aws:"):
            raise InvalidTag("The TagKey you have provided is invalid", TagKey=key)
        if len(value) > 256:
            raise InvalidTag("The TagValue you have provided is invalid", TagValue=value)
        if key in found:
            raise InvalidTag("Cannot provide multiple Tags with the same key", TagKey=key)
        found[key] = value
    if len(found) > MOST_TAGS:
        raise InvalidTag("Bucket tag count cannot be greater than 50")
    return found


def _refuse_where_tags_decide(bucket: Bucket) -> None:
    if bucket.record.abac:
        raise InvalidRequest("The tags of a bucket with ABAC enabled cannot be changed with this operation.")


@operation("s3.PutBucketTagging", permissions=bucket_permission("s3:PutBucketTagging"), writes=True)
def put_bucket_tagging(call: Call, params: Params) -> Result:
    """Replace the bucket's tags.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html
    """
    bucket = bucket_of(call, params)
    _refuse_where_tags_decide(bucket)
    checksums.check_body(call.request.headers, call.request.body)
    bucket.record.tags = checked(params["Tagging"]["TagSet"])
    BUCKETS.put(call.tx, (bucket.name,), bucket.record)
    return {}


@operation("s3.GetBucketTagging", permissions=bucket_permission("s3:GetBucketTagging"))
def get_bucket_tagging(call: Call, params: Params) -> Result:
    """The bucket's tags; NoSuchTagSet where there are none.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketTagging.html
    """
    bucket = bucket_of(call, params)
    if not bucket.record.tags:
        raise NoSuchTagSet(BucketName=bucket.name)
    return {"TagSet": [{"Key": key, "Value": value} for key, value in bucket.record.tags.items()]}


@operation("s3.DeleteBucketTagging", permissions=bucket_permission("s3:PutBucketTagging"), writes=True)
def delete_bucket_tagging(call: Call, params: Params) -> Result:
    """Remove the bucket's tags.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketTagging.html
    """
    bucket = bucket_of(call, params)
    _refuse_where_tags_decide(bucket)
    bucket.record.tags = {}
    BUCKETS.put(call.tx, (bucket.name,), bucket.record)
    return {}

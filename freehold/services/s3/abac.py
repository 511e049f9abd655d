"""Whether a bucket's tags decide about access to it and its objects. They do once its owner has enabled it.

Then PutBucketTagging and DeleteBucketTagging are refused, so that who may tag for accounting can't widen access.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/buckets-tagging-enable-abac.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.services.operation import operation
from freehold.services.s3 import checksums
from freehold.services.s3.access import bucket_of, bucket_permission
from freehold.services.s3.errors import MalformedXML
from freehold.services.s3.records import BUCKETS

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.services.operation import Params, Result


@operation("s3.PutBucketAbac", permissions=bucket_permission("s3:PutBucketAbac"), writes=True)
def put_bucket_abac(call: Call, params: Params) -> Result:
    """Let the bucket's tags be condition keys (`aws:ResourceTag/…`, `s3:BucketTag/…`), or no more.

    While they are, its tags are those that it had before: they are changed after disabling it.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketAbac.html
    """
    bucket = bucket_of(call, params)
    checksums.check_body(call.request.headers, call.request.body)
    status = params["AbacStatus"].get("Status")
    if status is None:
        raise MalformedXML
    bucket.record.abac = status == "Enabled"
    BUCKETS.put(call.tx, (bucket.name,), bucket.record)
    return {}


@operation("s3.GetBucketAbac", permissions=bucket_permission("s3:GetBucketAbac"))
def get_bucket_abac(call: Call, params: Params) -> Result:
    """`Enabled` or `Disabled`, which is how a bucket begins.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAbac.html
    """
    bucket = bucket_of(call, params)
    return {"AbacStatus": {"Status": "Enabled" if bucket.record.abac else "Disabled"}}

"""Block Public Access of a bucket: on for new buckets; without a configuration nothing is blocked.

With ACLs disabled the two ACL settings are kept and shown, and have nothing to block.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.services.operation import operation
from freehold.services.s3 import checksums
from freehold.services.s3.access import bucket_of, bucket_permission
from freehold.services.s3.errors import NoSuchPublicAccessBlockConfiguration
from freehold.services.s3.records import BUCKETS, PublicAccessBlock

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.services.operation import Params, Result


@operation("s3.PutPublicAccessBlock", permissions=bucket_permission("s3:PutBucketPublicAccessBlock"), writes=True)
def put_public_access_block(call: Call, params: Params) -> Result:
    """Replace the four settings; one that isn't given is off.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutPublicAccessBlock.html
    """
    bucket = bucket_of(call, params)
    checksums.check_body(call.request.headers, call.request.body)
    wanted = params["PublicAccessBlockConfiguration"]
    bucket.record.public_access = PublicAccessBlock(
        bool(wanted.get("BlockPublicAcls", False)),
        bool(wanted.get("IgnorePublicAcls", False)),
        bool(wanted.get("BlockPublicPolicy", False)),
        bool(wanted.get("RestrictPublicBuckets", False)),
    )
    BUCKETS.put(call.tx, (bucket.name,), bucket.record)
    return {}


@operation("s3.GetPublicAccessBlock", permissions=bucket_permission("s3:GetBucketPublicAccessBlock"))
def get_public_access_block(call: Call, params: Params) -> Result:
    """The four settings.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetPublicAccessBlock.html
    """
    bucket = bucket_of(call, params)
    block = bucket.record.public_access
    if block is None:
        raise NoSuchPublicAccessBlockConfiguration(BucketName=bucket.name)
    return {
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": block.block_public_acls,
            "IgnorePublicAcls": block.ignore_public_acls,
            "BlockPublicPolicy": block.block_public_policy,
            "RestrictPublicBuckets": block.restrict_public_buckets,
        }
    }


@operation("s3.DeletePublicAccessBlock", permissions=bucket_permission("s3:PutBucketPublicAccessBlock"), writes=True)
def delete_public_access_block(call: Call, params: Params) -> Result:
    """Remove the settings: the bucket's policy alone decides then.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeletePublicAccessBlock.html
    """
    bucket = bucket_of(call, params)
    bucket.record.public_access = None
    BUCKETS.put(call.tx, (bucket.name,), bucket.record)
    return {}

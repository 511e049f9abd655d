"""Bucket policies: Put, Get, Delete and whether one is public.

A policy is checked when it is put (`policy_check.py`); its principals exist and are kept as unique ids. Refuses public
policies while BlockPublicPolicy is on.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.authorization.permission import Permission
from freehold.services.iam import principals
from freehold.services.operation import operation
from freehold.services.s3 import checksums, policy_check, publicness
from freehold.services.s3.access import bucket_of, on_bucket
from freehold.services.s3.errors import (
    AccessDenied,
    InvalidRequest,
    MalformedPolicy,
    MethodNotAllowed,
    NoSuchBucketPolicy,
)
from freehold.services.s3.records import BUCKETS

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.services.operation import Params, Permissions, Result

MAX_POLICY_BYTES = 20 * 1024


def _owner_permission(action: str) -> Permissions:
    def needed(call: Call, params: Params) -> list[Permission]:
        bucket = bucket_of(call, params)
        permission = on_bucket(call, bucket, action)
        if call.principal.kind == "root" and call.account_id == bucket.record.owner:
            # Root can always mend a policy that locks everyone out.
            permission.resource_policy = None
        return [permission]

    return needed


@operation(
    "s3.PutBucketPolicy",
    permissions=_owner_permission("s3:PutBucketPolicy"),
    writes=True,
    refuses=("ConfirmRemoveSelfBucketAccess",),
)
def put_bucket_policy(call: Call, params: Params) -> Result:
    """Replace the bucket's policy (at most 20 KiB). Only the owner's account may, whoever else the policy allows.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html
    """
    bucket = bucket_of(call, params)
    _require_owner(call, bucket.record.owner)
    checksums.check_body(call.request.headers, call.request.body)
    text: str = params["Policy"]
    if len(text.encode()) > MAX_POLICY_BYTES:
        raise InvalidRequest(f"The policy is larger than the maximum allowed size of {MAX_POLICY_BYTES} bytes.")
    policy_check.check(text, bucket.name)
    try:
        stored = principals.to_unique_ids(call.tx, text)
    except principals.InvalidPrincipal as error:
        raise MalformedPolicy("Invalid principal in policy", Detail=f'"{error.kind}" : "{error.principal}"') from None
    block = bucket.record.public_access
    if block is not None and block.block_public_policy and publicness.is_public(stored):
        raise AccessDenied(
            f"User: {call.principal.arn} is not authorized to perform: s3:PutBucketPolicy on resource:"
            f' "{bucket.arn}" because public policies are blocked by the BlockPublicPolicy setting in S3 Block Public'
            " Access."
        )
    bucket.record.policy = stored
    BUCKETS.put(call.tx, (bucket.name,), bucket.record)
    return {}


@operation("s3.GetBucketPolicy", permissions=_owner_permission("s3:GetBucketPolicy"))
def get_bucket_policy(call: Call, params: Params) -> Result:
    """The policy as JSON; principals that were deleted show as their unique ids.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicy.html
    """
    bucket = bucket_of(call, params)
    _require_owner(call, bucket.record.owner)
    if not bucket.record.policy:
        raise NoSuchBucketPolicy(BucketName=bucket.name)
    return {"Policy": principals.to_arns(call.reader, bucket.record.policy)}


@operation("s3.DeleteBucketPolicy", permissions=_owner_permission("s3:DeleteBucketPolicy"), writes=True)
def delete_bucket_policy(call: Call, params: Params) -> Result:
    """Remove the policy; also succeeds when there is none.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketPolicy.html
    """
    bucket = bucket_of(call, params)
    _require_owner(call, bucket.record.owner)
    if bucket.record.policy:
        bucket.record.policy = ""
        BUCKETS.put(call.tx, (bucket.name,), bucket.record)
    return {}


@operation("s3.GetBucketPolicyStatus", permissions=_owner_permission("s3:GetBucketPolicyStatus"))
def get_bucket_policy_status(call: Call, params: Params) -> Result:
    """Whether the policy is public, whatever Block Public Access makes of it.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketPolicyStatus.html
    """
    bucket = bucket_of(call, params)
    if not bucket.record.policy:
        raise NoSuchBucketPolicy(BucketName=bucket.name)
    return {"PolicyStatus": {"IsPublic": bucket.public}}


def _require_owner(call: Call, owner: str) -> None:
    if call.account_id != owner:
        raise MethodNotAllowed

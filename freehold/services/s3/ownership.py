"""Object ownership: always BucketOwnerEnforced, so that ACLs are disabled and say only that the owner controls all.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from freehold.authorization.principal_element import canonical_id
from freehold.errors import NotImplementedByFreehold
from freehold.services.operation import operation
from freehold.services.s3 import checksums
from freehold.services.s3.access import bucket_of, bucket_permission, object_permission
from freehold.services.s3.errors import (
    AccessControlListNotSupported,
    InvalidArgument,
    InvalidBucketAclWithObjectOwnership,
    MalformedXML,
    OwnershipControlsNotFound,
)
from freehold.services.s3.objects import existing
from freehold.services.s3.records import BUCKETS

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.services.operation import Params, Result


@operation("s3.PutBucketOwnershipControls", permissions=bucket_permission("s3:PutBucketOwnershipControls"), writes=True)
def put_bucket_ownership_controls(call: Call, params: Params) -> Result:
    """Only BucketOwnerEnforced; the two that bring ACLs back are refused.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketOwnershipControls.html
    """
    bucket = bucket_of(call, params)
    checksums.check_body(call.request.headers, call.request.body)
    rules = params["OwnershipControls"]["Rules"]
    if len(rules) != 1:
        raise MalformedXML
    ownership = rules[0]["ObjectOwnership"]
    if ownership != "BucketOwnerEnforced":
        raise NotImplementedByFreehold(f"ObjectOwnership {ownership} is not implemented: ACLs are disabled.")
    bucket.record.ownership = ownership
    BUCKETS.put(call.tx, (bucket.name,), bucket.record)
    return {}


@operation("s3.GetBucketOwnershipControls", permissions=bucket_permission("s3:GetBucketOwnershipControls"))
def get_bucket_ownership_controls(call: Call, params: Params) -> Result:
    """The ownership rule.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketOwnershipControls.html
    """
    bucket = bucket_of(call, params)
    if not bucket.record.ownership:
        raise OwnershipControlsNotFound(BucketName=bucket.name)
    return {"OwnershipControls": {"Rules": [{"ObjectOwnership": bucket.record.ownership}]}}


def full_control(account_id: str) -> Result:
    """The ACL of everything: the owner, and nobody else."""
    owner = canonical_id(account_id)
    return {
        "Owner": {"ID": owner},
        "Grants": [{"Grantee": {"ID": owner, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}],
    }


@operation("s3.GetBucketAcl", permissions=bucket_permission("s3:GetBucketAcl"))
def get_bucket_acl(call: Call, params: Params) -> Result:
    """The owner's full control.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketAcl.html
    """
    return full_control(bucket_of(call, params).record.owner)


@operation("s3.GetObjectAcl", permissions=object_permission("s3:GetObjectAcl"), refuses=("VersionId",))
def get_object_acl(call: Call, params: Params) -> Result:
    """The bucket owner's full control.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAcl.html
    """
    bucket = bucket_of(call, params)
    existing(call, bucket, params["Key"])
    return full_control(bucket.record.owner)


def check_acl(params: dict[str, Any]) -> None:
    """Raise AccessControlListNotSupported unless the request's ACL is what holds anyway.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/ensure-object-ownership.html
    """
    if params.get("ACL", "bucket-owner-full-control") != "bucket-owner-full-control":
        raise AccessControlListNotSupported
    for name in ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP"):
        if name in params:
            raise AccessControlListNotSupported


_BUCKET_ACLS = {
    "private": True,
    "bucket-owner-read": True,
    "bucket-owner-full-control": True,
    "public-read": False,
    "public-read-write": False,
    "authenticated-read": False,
    "log-delivery-write": False,
}
"""Canned ACLs, and whether a bucket may be made with them: two are objects' alone, and ignored for a bucket."""


def check_bucket_acl(params: dict[str, Any]) -> None:
    """Raise InvalidBucketAclWithObjectOwnership for the canned ACL of a new bucket that would grant something.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/acl-overview.html#canned-acl
    """
    named = params.get("ACL", "private")
    if named not in _BUCKET_ACLS:
        raise InvalidArgument(ArgumentName="x-amz-acl", ArgumentValue=named[:1024])
    if not _BUCKET_ACLS[named]:
        raise InvalidBucketAclWithObjectOwnership

"""Buckets: create, delete, head, list, and where one is.

Names are global: one owner for each, over all accounts. New buckets have Block Public Access on, ACLs disabled
(BucketOwnerEnforced), SSE-S3 by default and SSE-C blocked.
https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
"""

from __future__ import annotations

import base64
import binascii
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from freehold.authorization.permission import ContextValue, Permission
from freehold.authorization.principal_element import canonical_id
from freehold.services.operation import operation
from freehold.services.s3 import checksums, tagging
from freehold.services.s3.access import bucket_of, bucket_permission, request_context
from freehold.services.s3.errors import (
    AccessControlListNotSupported,
    BucketAlreadyExists,
    BucketAlreadyOwnedByYou,
    BucketNotEmpty,
    IllegalLocationConstraint,
    InvalidArgument,
    InvalidLocationConstraint,
    TooManyBuckets,
)
from freehold.services.s3.names import bucket_arn, check_bucket_name
from freehold.services.s3.ownership import check_bucket_acl
from freehold.services.s3.records import BUCKETS, ENTRIES, OWNED, UPLOADS, BucketRecord, OwnedBucket
from freehold.services.s3.uploads import drop_upload

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.services.operation import Params, Result

MOST_BUCKETS = 10_000
"""For each account, and the largest page of ListBuckets."""
FIRST_REGION = "us-east-1"
"""The Region whose location constraint is written as none."""


def _may_create(call: Call, params: Params) -> list[Permission]:
    """s3:CreateBucket on the name in the caller's own account, and what the request sets besides."""
    name = params["Bucket"]
    check_bucket_name(name)
    context: dict[str, ContextValue] = request_context(call)
    context["s3:resourceaccount"] = call.account_id
    configuration = params.get("CreateBucketConfiguration") or {}
    if "LocationConstraint" in configuration:
        context["s3:locationconstraint"] = configuration["LocationConstraint"]
    if "ACL" in params:
        context["s3:x-amz-acl"] = params["ACL"]
    if "ObjectOwnership" in params:
        context["s3:x-amz-object-ownership"] = params["ObjectOwnership"]
    actions = ["s3:CreateBucket"]
    if "ObjectOwnership" in params:
        actions.append("s3:PutBucketOwnershipControls")
    tags = configuration.get("Tags")
    if tags:
        actions.append("s3:TagResource")
        context["aws:tagkeys"] = tuple(tag["Key"] for tag in tags)
        context.update({f"aws:requesttag/{tag['Key'].lower()}": tag["Value"] for tag in tags})
    return [Permission(action, bucket_arn(name), call.account_id, context) for action in actions]


@operation(
    "s3.CreateBucket",
    permissions=_may_create,
    writes=True,
    refuses=(
        "GrantFullControl",
        "GrantRead",
        "GrantReadACP",
        "GrantWrite",
        "GrantWriteACP",
        "ObjectLockEnabledForBucket",
        "BucketNamespace",
    ),
)
def create_bucket(call: Call, params: Params) -> Result:
    """Make a bucket in the request's Region. Creating it again: BucketAlreadyOwnedByYou, in us-east-1 a success.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
    """
    name = params["Bucket"]
    checksums.check_body(call.request.headers, call.request.body)
    configuration = params.get("CreateBucketConfiguration") or {}
    _check_location(call.region, configuration)
    check_bucket_acl(params)
    if params.get("ObjectOwnership", "BucketOwnerEnforced") != "BucketOwnerEnforced":
        raise AccessControlListNotSupported(
            "Only BucketOwnerEnforced object ownership is implemented: ACLs are disabled."
        )
    tags = tagging.checked(configuration.get("Tags", []))
    tx = call.tx
    present = BUCKETS.get(tx, (name,))
    if present is not None:
        if present.owner != call.account_id:
            raise BucketAlreadyExists(BucketName=name)
        if call.region == FIRST_REGION and present.region == FIRST_REGION:
            return _created(name)
        raise BucketAlreadyOwnedByYou(BucketName=name)
    if sum(1 for _ in tx.scan(OWNED.name, (call.account_id,), limit=MOST_BUCKETS)) >= MOST_BUCKETS:
        raise TooManyBuckets
    now = int(call.now.timestamp())
    BUCKETS.put(
        tx,
        (name,),
        BucketRecord(secrets.token_hex(16), call.account_id, call.region, now, tags=tags),
    )
    OWNED.put(tx, (call.account_id, name), OwnedBucket(now, call.region))
    call.resources.append(("AWS::S3::Bucket", bucket_arn(name)))
    return _created(name)


def _created(name: str) -> Result:
    return {"Location": "/" + name, "BucketArn": bucket_arn(name)}


def _check_location(region: str, configuration: dict[str, Any]) -> None:
    if "Location" in configuration or "Bucket" in configuration:
        raise InvalidArgument("Directory buckets are not implemented.")
    wanted = configuration.get("LocationConstraint")
    if wanted == "EU":
        wanted = "eu-west-1"
    if wanted == FIRST_REGION:
        raise InvalidLocationConstraint(LocationConstraint=wanted)
    if (wanted or FIRST_REGION) != region:
        raise IllegalLocationConstraint(
            f"The {wanted or 'unspecified'} location constraint is incompatible for the region specific endpoint this"
            " request was sent to."
        )


@operation("s3.HeadBucket", permissions=bucket_permission("s3:ListBucket"), anonymous=True)
def head_bucket(call: Call, params: Params) -> Result:
    """Whether the bucket exists and the caller may list it.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
    """
    bucket = bucket_of(call, params)
    return {"BucketRegion": bucket.record.region, "BucketArn": bucket.arn}


@operation("s3.GetBucketLocation", permissions=bucket_permission("s3:GetBucketLocation"))
def get_bucket_location(call: Call, params: Params) -> Result:
    """The bucket's Region; nothing for us-east-1.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketLocation.html
    """
    region = bucket_of(call, params).record.region
    return {} if region == FIRST_REGION else {"LocationConstraint": region}


@operation("s3.DeleteBucket", permissions=bucket_permission("s3:DeleteBucket"), writes=True)
def delete_bucket(call: Call, params: Params) -> Result:
    """Delete an empty bucket; uploads in progress go with it, objects don't (BucketNotEmpty).

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucket.html
    """
    bucket = bucket_of(call, params)
    tx = call.tx
    if next(iter(tx.scan(ENTRIES.name, (bucket.name,), limit=1)), None) is not None:
        raise BucketNotEmpty(BucketName=bucket.name)
    for key, _ in list(UPLOADS.scan(tx, (bucket.name,))):
        drop_upload(call, tx, str(key[1]), str(key[2]), bucket.name)
    BUCKETS.delete(tx, (bucket.name,))
    OWNED.delete(tx, (bucket.record.owner, bucket.name))
    return {}


def _may_list_buckets(call: Call, params: Params) -> list[Permission]:
    """s3:ListAllMyBuckets, which no bucket's policy can give."""
    context = request_context(call)
    context["s3:resourceaccount"] = call.account_id
    return [Permission("s3:ListAllMyBuckets", "arn:aws:s3:::*", call.account_id, context)]


@operation("s3.ListBuckets", permissions=_may_list_buckets)
def list_buckets(call: Call, params: Params) -> Result:
    """The account's buckets by name, at most 10,000 a page.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListBuckets.html
    """
    most = params.get("MaxBuckets", MOST_BUCKETS)
    if not 1 <= most <= MOST_BUCKETS:
        raise InvalidArgument("Argument max-buckets must be an integer between 1 and 10000", ArgumentName="max-buckets")
    prefix = params.get("Prefix", "")
    region = params.get("BucketRegion")
    token = params.get("ContinuationToken")
    owner = call.account_id
    after = None if token is None else (owner, _after_token(token))
    shown: list[dict[str, Any]] = []
    result: Result = {"Buckets": shown, "Owner": {"ID": canonical_id(owner)}}
    if "Prefix" in params:
        result["Prefix"] = prefix
    for (_, name), bucket in OWNED.scan(call.reader, (owner,), text=prefix, after=after):
        if region is not None and bucket.region != region:
            continue
        if len(shown) == most:
            last: str = shown[-1]["Name"]
            result["ContinuationToken"] = base64.urlsafe_b64encode(last.encode()).decode()
            break
        shown.append(
            {
                "Name": name,
                "CreationDate": datetime.fromtimestamp(bucket.created, UTC),
                "BucketRegion": bucket.region,
                "BucketArn": bucket_arn(str(name)),
            }
        )
    return result


def _after_token(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidArgument(
            "The continuation token provided is incorrect", ArgumentName="continuation-token"
        ) from None

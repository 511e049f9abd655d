"""Who may: bucket policies, Block Public Access, accounts, anonymous callers, condition keys."""

from __future__ import annotations

import json
from typing import Any

import pytest
from s3_expecting import presigned, raw, refused


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(bucket: str, principal: Any, *actions: str, **more: Any) -> dict[str, Any]:
    arn = f"arn:aws:s3:::{bucket}"
    return {"Effect": "Allow", "Principal": principal, "Action": list(actions), "Resource": [arn, arn + "/*"], **more}


def open_to_the_public(aws: Any, bucket: str) -> None:
    aws.s3.delete_public_access_block(Bucket=bucket)
    aws.s3.put_bucket_policy(Bucket=bucket, Policy=policy(allow(bucket, "*", "s3:GetObject", "s3:PutObject")))


def test_a_policy_comes_back_as_it_was_put(aws: Any, bucket: str) -> None:
    user = aws.new_user("alice")
    arn = f"arn:aws:iam::{aws.account_id}:user/alice"
    text = policy(allow(bucket, {"AWS": arn}, "s3:GetObject"))
    aws.s3.put_bucket_policy(Bucket=bucket, Policy=text)
    assert json.loads(aws.s3.get_bucket_policy(Bucket=bucket)["Policy"]) == json.loads(text)
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert user.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    aws.s3.delete_bucket_policy(Bucket=bucket)
    with refused("AccessDenied", 403):
        user.s3.get_object(Bucket=bucket, Key="k")


def test_a_recreated_user_is_another_one(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    aws.new_user("bob")
    arn = f"arn:aws:iam::{aws.account_id}:user/bob"
    aws.s3.put_bucket_policy(Bucket=bucket, Policy=policy(allow(bucket, {"AWS": arn}, "s3:GetObject")))
    for key in aws.iam.list_access_keys(UserName="bob")["AccessKeyMetadata"]:
        aws.iam.delete_access_key(UserName="bob", AccessKeyId=key["AccessKeyId"])
    aws.iam.delete_user(UserName="bob")
    again = aws.new_user("bob")
    with refused("AccessDenied", 403):
        again.s3.get_object(Bucket=bucket, Key="k")
    shown = json.loads(aws.s3.get_bucket_policy(Bucket=bucket)["Policy"])
    assert shown["Statement"][0]["Principal"]["AWS"].startswith("AIDA")


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        '{"Version": "2012-10-17", "Statement": []}',
        policy({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::other/*"}),
        policy(allow("BUCKET", {"AWS": "arn:aws:iam::999999999999:user/nobody"}, "s3:GetObject")),
        policy(allow("BUCKET", {"AWS": "not an arn"}, "s3:GetObject")),
        policy(allow("BUCKET", {"AWS": "*"}, "s3:GetObject", Surprise=1)),
    ],
)
def test_a_malformed_policy_is_refused(aws: Any, bucket: str, text: str) -> None:
    with refused("MalformedPolicy", 400):
        aws.s3.put_bucket_policy(Bucket=bucket, Policy=text.replace("BUCKET", bucket))
    with refused("NoSuchBucketPolicy"):
        aws.s3.get_bucket_policy(Bucket=bucket)


def test_another_account_needs_both_sides(aws: Any, other: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    user = other.new_user("visitor")
    with refused("AccessDenied", 403):
        other.s3.get_object(Bucket=bucket, Key="k")
    root = f"arn:aws:iam::{other.account_id}:root"
    aws.s3.put_bucket_policy(
        Bucket=bucket, Policy=policy(allow(bucket, {"AWS": root}, "s3:GetObject", "s3:GetBucketPolicy"))
    )
    assert other.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    with refused("AccessDenied", 403):
        user.s3.get_object(Bucket=bucket, Key="k")
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    other.iam.put_user_policy(UserName="visitor", PolicyName="p", PolicyDocument=policy(statement))
    assert user.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    with refused("AccessDenied", 403):
        user.s3.put_object(Bucket=bucket, Key="k", Body=b"y")
    with refused("MethodNotAllowed", 405):
        other.s3.get_bucket_policy(Bucket=bucket)


def test_a_public_policy_is_blocked_until_the_block_is_gone(aws: Any, bucket: str) -> None:
    public = policy(allow(bucket, "*", "s3:GetObject"))
    with refused("AccessDenied", 403) as caught:
        aws.s3.put_bucket_policy(Bucket=bucket, Policy=public)
    assert "BlockPublicPolicy" in caught.value.response["Error"]["Message"]
    aws.s3.delete_public_access_block(Bucket=bucket)
    with refused("NoSuchPublicAccessBlockConfiguration", 404):
        aws.s3.get_public_access_block(Bucket=bucket)
    aws.s3.put_bucket_policy(Bucket=bucket, Policy=public)
    assert aws.s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is True


def test_anonymous_callers_get_what_the_policy_gives(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"public")
    assert raw(aws, "GET", f"/{bucket}/k", signed=False)[0] == 403
    open_to_the_public(aws, bucket)
    assert raw(aws, "GET", f"/{bucket}/k", signed=False)[::2] == (200, b"public")
    assert raw(aws, "PUT", f"/{bucket}/up", body=b"load", signed=False)[0] == 200
    assert aws.s3.get_object(Bucket=bucket, Key="up")["Body"].read() == b"load"
    assert raw(aws, "GET", f"/{bucket}", signed=False)[0] == 403
    assert raw(aws, "DELETE", f"/{bucket}/k", signed=False)[0] == 403
    assert raw(aws, "GET", f"/{bucket}/missing", signed=False)[0] == 403
    status, _, body = raw(aws, "GET", f"/{bucket}/k?response-content-type=text/html", signed=False)
    assert (status, b"InvalidRequest" in body) == (400, True)


def test_restrict_public_buckets_keeps_others_out_at_once(aws: Any, other: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    open_to_the_public(aws, bucket)
    assert other.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    aws.s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"RestrictPublicBuckets": True})
    with refused("AccessDenied", 403):
        other.s3.get_object(Bucket=bucket, Key="k")
    assert raw(aws, "GET", f"/{bucket}/k", signed=False)[0] == 403
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_anonymous_callers_cannot_use_kms(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms")
    open_to_the_public(aws, bucket)
    assert raw(aws, "GET", f"/{bucket}/k", signed=False)[0] == 403
    headers = {"x-amz-server-side-encryption": "aws:kms"}
    assert raw(aws, "PUT", f"/{bucket}/k2", body=b"x", headers=headers, signed=False)[0] == 403


def test_root_can_mend_a_policy_that_locks_everyone_out(aws: Any, bucket: str) -> None:
    statement = {**allow(bucket, "*", "s3:*"), "Effect": "Deny"}
    aws.s3.put_bucket_policy(Bucket=bucket, Policy=policy(statement))
    with refused("AccessDenied"):
        aws.s3.list_objects_v2(Bucket=bucket)
    aws.s3.delete_bucket_policy(Bucket=bucket)
    aws.s3.list_objects_v2(Bucket=bucket)


def test_a_listing_may_be_limited_to_a_prefix(aws: Any, bucket: str) -> None:
    statement = {
        "Effect": "Allow",
        "Action": "s3:ListBucket",
        "Resource": f"arn:aws:s3:::{bucket}",
        "Condition": {
            "StringEquals": {"s3:prefix": "home/", "s3:delimiter": "/"},
            "NumericLessThanEquals": {"s3:max-keys": "10"},
        },
    }
    user = aws.new_user("limited", {"Version": "2012-10-17", "Statement": [statement]})
    user.s3.list_objects_v2(Bucket=bucket, Prefix="home/", Delimiter="/", MaxKeys=10)
    for wrong in (
        {"Prefix": "home/", "Delimiter": "/", "MaxKeys": 11},
        {"Prefix": "home/", "Delimiter": "/"},
        {"Prefix": "other/", "Delimiter": "/", "MaxKeys": 1},
        {"MaxKeys": 1},
    ):
        with refused("AccessDenied", 403):
            user.s3.list_objects_v2(Bucket=bucket, **wrong)


def test_a_policy_may_demand_encryption_with_one_key(aws: Any, bucket: str) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    arn = f"arn:aws:s3:::{bucket}/*"
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": arn}
    name = "s3:x-amz-server-side-encryption-aws-kms-key-id"
    aws.s3.put_bucket_policy(
        Bucket=bucket,
        Policy=policy(
            {**deny, "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": "aws:kms"}}},
            {**deny, "Condition": {"ArnNotEqualsIfExists": {name: key}}},
        ),
    )
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    other_key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    for wrong in (
        {},
        {"ServerSideEncryption": "AES256"},
        {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": other_key},
    ):
        with refused("AccessDenied", 403):
            aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x", **wrong)
        with refused("AccessDenied", 403):
            aws.s3.create_multipart_upload(Bucket=bucket, Key="k", **wrong)


def test_a_policy_may_tell_presigned_from_signed(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    url = presigned(aws, "get_object", Params={"Bucket": bucket, "Key": "k"}, ExpiresIn=600)
    path = url.removeprefix(aws.endpoint)
    assert raw(aws, "GET", path, signed=False)[0] == 200
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    for condition in (
        {"StringNotEquals": {"s3:authType": "REST-HEADER"}},
        {"NumericGreaterThan": {"s3:signatureAge": "0"}},
    ):
        aws.s3.put_bucket_policy(Bucket=bucket, Policy=policy({**deny, "Condition": condition}))
        assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
        assert raw(aws, "GET", path, signed=False)[0] == 403


def test_a_copy_needs_both_ends(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="from/1", Body=b"x")
    arn = f"arn:aws:s3:::{bucket}"
    statements = {
        "reader": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": arn + "/from/*"},
        "writer": {"Effect": "Allow", "Action": "s3:PutObject", "Resource": arn + "/to/*"},
    }
    both = [*statements.values()]
    for name, statement in statements.items():
        user = aws.new_user(name, {"Version": "2012-10-17", "Statement": [statement]})
        with refused("AccessDenied", 403):
            user.s3.copy_object(Bucket=bucket, Key="to/1", CopySource=f"{bucket}/from/1")
    user = aws.new_user("copier", {"Version": "2012-10-17", "Statement": both})
    user.s3.copy_object(Bucket=bucket, Key="to/1", CopySource=f"{bucket}/from/1")
    with refused("AccessDenied", 403):
        user.s3.copy_object(Bucket=bucket, Key="to/2", CopySource=f"{bucket}/to/1")


def test_a_denial_says_why(aws: Any, bucket: str) -> None:
    user = aws.new_user("nobody")
    with refused("AccessDenied", 403) as caught:
        user.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    message = caught.value.response["Error"]["Message"]
    assert f"arn:aws:iam::{aws.account_id}:user/nobody" in message
    assert "s3:PutObject" in message
    assert f"arn:aws:s3:::{bucket}/k" in message

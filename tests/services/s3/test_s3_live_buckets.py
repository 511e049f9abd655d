"""Buckets over boto3: names, owners, lifecycle, configuration."""

from __future__ import annotations

from typing import Any

import pytest
from s3_expecting import raw, refused


def test_a_bucket_lives_and_dies(aws: Any, name: str) -> None:
    made = aws.s3.create_bucket(Bucket=name)
    assert made["Location"] == f"/{name}"
    head = aws.s3.head_bucket(Bucket=name)
    assert head["BucketRegion"] == "us-east-1"
    assert aws.s3.get_bucket_location(Bucket=name)["LocationConstraint"] is None
    assert [bucket["Name"] for bucket in aws.s3.list_buckets()["Buckets"]] == [name]
    aws.s3.put_object(Bucket=name, Key="k", Body=b"x")
    with refused("BucketNotEmpty", 409):
        aws.s3.delete_bucket(Bucket=name)
    aws.s3.delete_object(Bucket=name, Key="k")
    aws.s3.delete_bucket(Bucket=name)
    with refused("404"):
        aws.s3.head_bucket(Bucket=name)
    assert aws.s3.list_buckets()["Buckets"] == []


def test_a_name_has_one_owner(aws: Any, other: Any, name: str) -> None:
    aws.s3.create_bucket(Bucket=name)
    with refused("BucketAlreadyExists", 409):
        other.s3.create_bucket(Bucket=name)
    aws.s3.create_bucket(Bucket=name)


@pytest.mark.parametrize("bad", ["Up", "UPPER-case", "a_b_c", "192.168.0.1"])
def test_a_bad_name_is_refused(aws: Any, bad: str) -> None:
    status, _, body = raw(aws, "PUT", f"/{bad}")
    assert status == 400
    assert b"InvalidBucketName" in body


@pytest.mark.parametrize("path", ["/..%2F..%2Fetc", "/%2e%2e", "/a%00b-bucket"])
def test_a_path_is_no_bucket(aws: Any, path: str) -> None:
    status, _, _ = raw(aws, "PUT", path)
    assert 400 <= status < 500


def test_a_location_other_than_the_region_is_refused(aws: Any, name: str) -> None:
    with refused("IllegalLocationConstraintException"):
        aws.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})


def test_buckets_are_listed_in_pages(aws: Any, name: str) -> None:
    names = [f"{name}-{number}" for number in range(5)]
    for one in names:
        aws.s3.create_bucket(Bucket=one)
    first = aws.s3.list_buckets(MaxBuckets=2)
    second = aws.s3.list_buckets(MaxBuckets=10, ContinuationToken=first["ContinuationToken"])
    assert [b["Name"] for b in first["Buckets"] + second["Buckets"]] == names
    assert [b["Name"] for b in aws.s3.list_buckets(Prefix=f"{name}-3")["Buckets"]] == [f"{name}-3"]
    with refused("InvalidArgument"):
        aws.s3.list_buckets(ContinuationToken="?")


def test_a_missing_bucket_is_told(aws: Any, name: str) -> None:
    for operation in ("list_objects_v2", "get_bucket_location", "get_bucket_policy", "delete_bucket"):
        with refused("NoSuchBucket", 404):
            getattr(aws.s3, operation)(Bucket=name)


def test_the_expected_owner_is_honoured(aws: Any, other: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x", ExpectedBucketOwner=aws.account_id)
    wrong = {"Bucket": bucket, "ExpectedBucketOwner": other.account_id}
    with refused("AccessDenied", 403):
        aws.s3.put_object(Key="k", Body=b"y", **wrong)
    with refused("AccessDenied", 403):
        aws.s3.get_object(Key="k", **wrong)
    with refused("AccessDenied", 403):
        aws.s3.delete_bucket(**wrong)
    with refused("AccessDenied", 403):
        aws.s3.copy_object(
            Bucket=bucket, Key="k2", CopySource=f"{bucket}/k", ExpectedSourceBucketOwner=other.account_id
        )
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_what_is_not_configured_is_said_so(aws: Any, bucket: str) -> None:
    assert "Status" not in aws.s3.get_bucket_versioning(Bucket=bucket)
    assert aws.s3.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    assert "LoggingEnabled" not in aws.s3.get_bucket_logging(Bucket=bucket)
    for operation, code in [
        ("get_bucket_cors", "NoSuchCORSConfiguration"),
        ("get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"),
        ("get_bucket_replication", "ReplicationConfigurationNotFoundError"),
        ("get_bucket_website", "NoSuchWebsiteConfiguration"),
        ("get_object_lock_configuration", "ObjectLockConfigurationNotFoundError"),
        ("get_bucket_tagging", "NoSuchTagSet"),
        ("get_bucket_policy", "NoSuchBucketPolicy"),
    ]:
        with refused(code, 404):
            getattr(aws.s3, operation)(Bucket=bucket)


def test_acls_say_that_the_owner_controls_all(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="bucket-owner-full-control")
    acl = aws.s3.get_bucket_acl(Bucket=bucket)
    assert [grant["Permission"] for grant in acl["Grants"]] == ["FULL_CONTROL"]
    assert acl["Grants"][0]["Grantee"]["ID"] == acl["Owner"]["ID"]
    assert aws.s3.get_object_acl(Bucket=bucket, Key="k")["Grants"] == acl["Grants"]
    with refused("AccessControlListNotSupported", 400):
        aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")
    with refused("NotImplemented", 501):
        aws.s3.put_bucket_acl(Bucket=bucket, ACL="public-read")


@pytest.mark.parametrize(
    ("acl", "code"),
    [
        ("private", None),
        ("bucket-owner-full-control", None),
        ("public-read", "InvalidBucketAclWithObjectOwnership"),
        ("log-delivery-write", "InvalidBucketAclWithObjectOwnership"),
        ("everyone", "InvalidArgument"),
    ],
)
def test_a_bucket_is_made_with_an_acl_only_where_it_grants_nothing(
    aws: Any, name: str, acl: str, code: str | None
) -> None:
    if code is None:
        aws.s3.create_bucket(Bucket=name, ACL=acl)
    else:
        with refused(code, 400):
            aws.s3.create_bucket(Bucket=name, ACL=acl)
    assert [each["Name"] for each in aws.s3.list_buckets()["Buckets"]] == ([] if code else [name])


def test_ownership_stays_enforced(aws: Any, bucket: str) -> None:
    rules = aws.s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert rules == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    aws.s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls={"Rules": rules})
    with refused("NotImplemented", 501):
        aws.s3.put_bucket_ownership_controls(
            Bucket=bucket, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
        )


def test_tags_of_a_bucket_come_back(aws: Any, bucket: str) -> None:
    tags = [{"Key": "team", "Value": "red & blue"}, {"Key": "empty", "Value": ""}]
    aws.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": tags})
    assert aws.s3.get_bucket_tagging(Bucket=bucket)["TagSet"] == tags
    with refused("InvalidTag"):
        aws.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [tags[0], tags[0]]})
    aws.s3.delete_bucket_tagging(Bucket=bucket)
    with refused("NoSuchTagSet"):
        aws.s3.get_bucket_tagging(Bucket=bucket)


def test_default_encryption_may_change_at_any_time(aws: Any, bucket: str) -> None:
    rule = aws.s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    wanted = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    aws.s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": wanted, "BucketKeyEnabled": True}]
        },
    )
    rule = aws.s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert (rule["ApplyServerSideEncryptionByDefault"], rule["BucketKeyEnabled"]) == (wanted, True)
    aws.s3.delete_bucket_encryption(Bucket=bucket)
    rule = aws.s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    for default, code in [
        ({"SSEAlgorithm": "aws:kms:dsse"}, "NotImplemented"),
        ({"SSEAlgorithm": "AES256", "KMSMasterKeyID": key}, "InvalidArgument"),
        ({"SSEAlgorithm": "rot13"}, "MalformedXML"),
    ]:
        with refused(code):
            aws.s3.put_bucket_encryption(
                Bucket=bucket,
                ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": default}]},
            )


def test_a_configuration_must_arrive_whole(aws: Any, bucket: str) -> None:
    body = (
        b"<PublicAccessBlockConfiguration><BlockPublicPolicy>false</BlockPublicPolicy></PublicAccessBlockConfiguration>"
    )
    wrong = {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    status, _, answer = raw(aws, "PUT", f"/{bucket}?publicAccessBlock", body=body, headers=wrong)
    assert (status, b"BadDigest" in answer) == (400, True)
    settings = aws.s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert all(settings.values())


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>'
    b"<Tagging><TagSet><Tag><Key>&c;</Key><Value>x</Value></Tag></TagSet></Tagging>"
)


@pytest.mark.parametrize("body", [BOMB, b"<Tagging>", b"", b"<a>" * 100_000, b"\xff\xfe", b"<Other/>"])
def test_malformed_xml_is_refused(aws: Any, bucket: str, body: bytes) -> None:
    status, _, answer = raw(aws, "PUT", f"/{bucket}?tagging", body=body)
    assert status == 400, answer


def test_what_is_not_served_is_refused(aws: Any, bucket: str) -> None:
    with refused("NotImplemented", 501):
        aws.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    with refused("NotImplemented", 501):
        aws.s3.list_object_versions(Bucket=bucket)

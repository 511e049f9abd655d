"""SSE-S3 and SSE-KMS: whose key, whose permission, which context, and what is on disk."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from s3_expecting import refused


def use_by_default(aws: Any, bucket: str, key: str, *, bucket_key: bool = False) -> None:
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
        "BucketKeyEnabled": bucket_key,
    }
    aws.s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


@pytest.fixture
def key(aws: Any) -> str:
    return str(aws.kms.create_key()["KeyMetadata"]["Arn"])


@pytest.mark.parametrize("size", [100, 200_000])
def test_a_disabled_key_cannot_be_read_under(aws: Any, bucket: str, key: str, size: int) -> None:
    data = os.urandom(size)
    use_by_default(aws, bucket, key)
    put = aws.s3.put_object(Bucket=bucket, Key="k", Body=data)
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", key)
    got = aws.s3.get_object(Bucket=bucket, Key="k")
    assert (got["Body"].read(), got["SSEKMSKeyId"]) == (data, key)
    aws.kms.disable_key(KeyId=key)
    with refused("KMS.DisabledException", 400):
        aws.s3.get_object(Bucket=bucket, Key="k")
    with refused("KMS.DisabledException", 400):
        aws.s3.put_object(Bucket=bucket, Key="k2", Body=data)
    assert aws.s3.head_object(Bucket=bucket, Key="k")["ContentLength"] == size
    aws.kms.enable_key(KeyId=key)
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == data
    aws.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    with refused("KMS.KMSInvalidStateException", 400):
        aws.s3.get_object(Bucket=bucket, Key="k")


def test_the_etag_under_kms_says_nothing_of_the_content(aws: Any, bucket: str, key: str) -> None:
    use_by_default(aws, bucket, key)
    tags = {aws.s3.put_object(Bucket=bucket, Key="k", Body=b"same")["ETag"] for _ in range(3)}
    assert len(tags) == 3


def test_reading_needs_the_callers_own_kms_permission(aws: Any, bucket: str, key: str) -> None:
    use_by_default(aws, bucket, key)
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    s3_only = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    user = aws.new_user("reader", {"Version": "2012-10-17", "Statement": [s3_only]})
    with refused("AccessDenied", 403) as caught:
        user.s3.get_object(Bucket=bucket, Key="k")
    assert "kms:Decrypt" in caught.value.response["Error"]["Message"]
    with refused("AccessDenied", 403) as caught:
        user.s3.put_object(Bucket=bucket, Key="k", Body=b"y")
    assert "kms:GenerateDataKey" in caught.value.response["Error"]["Message"]
    via_s3 = {
        "Effect": "Allow",
        "Action": ["kms:Decrypt"],
        "Resource": key,
        "Condition": {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}},
    }
    aws.iam.put_user_policy(
        UserName="reader", PolicyName="kms", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [via_s3]})
    )
    assert user.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_the_context_is_the_objects_or_the_buckets_arn(aws: Any, bucket: str, key: str) -> None:
    for bucket_key, resource in [(False, f"arn:aws:s3:::{bucket}/k"), (True, f"arn:aws:s3:::{bucket}")]:
        use_by_default(aws, bucket, key, bucket_key=bucket_key)
        name = f"user-{bucket_key}"
        allow = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        kms = {
            "Effect": "Allow",
            "Action": "kms:*",
            "Resource": key,
            "Condition": {"StringEquals": {"kms:EncryptionContext:aws:s3:arn": resource}},
        }
        user = aws.new_user(name, {"Version": "2012-10-17", "Statement": [allow, kms]})
        put = user.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
        assert put.get("BucketKeyEnabled", False) is bucket_key
        assert user.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
        if not bucket_key:
            with refused("AccessDenied", 403):
                user.s3.put_object(Bucket=bucket, Key="other", Body=b"x")


def test_a_context_of_the_request_is_kept(aws: Any, bucket: str, key: str) -> None:
    context = base64.b64encode(json.dumps({"team": "red"}).encode()).decode()
    aws.s3.put_object(
        Bucket=bucket,
        Key="k",
        Body=b"x",
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=key,
        SSEKMSEncryptionContext=context,
    )
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    for wrong in ("?", base64.b64encode(b"[]").decode(), base64.b64encode(b'{"a": 1}').decode()):
        with refused("InvalidArgument", 400):
            aws.s3.put_object(
                Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSEncryptionContext=wrong
            )


def test_the_managed_key_appears_at_first_use(aws: Any, bucket: str) -> None:
    put = aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms")
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    managed = aws.kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert (managed["Arn"], managed["KeyManager"]) == (put["SSEKMSKeyId"], "AWS")


def test_the_managed_key_needs_no_kms_permission_but_only_through_s3(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms")
    s3_only = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    user = aws.new_user("plain", {"Version": "2012-10-17", "Statement": [s3_only]})
    user.s3.put_object(Bucket=bucket, Key="k2", Body=b"y", ServerSideEncryption="aws:kms")
    assert user.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    with refused("AccessDeniedException"):
        user.kms.generate_data_key(KeyId="alias/aws/s3", KeySpec="AES_256")


def test_a_request_overrides_the_bucket(aws: Any, bucket: str, key: str) -> None:
    use_by_default(aws, bucket, key)
    put = aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="AES256")
    assert (put["ServerSideEncryption"], "SSEKMSKeyId" in put) == ("AES256", False)
    with refused("InvalidArgument", 400):
        aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="AES256", SSEKMSKeyId=key)
    with refused("KMS.NotFoundException", 400):
        aws.s3.put_object(
            Bucket=bucket,
            Key="k",
            Body=b"x",
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId="12345678-1234-1234-1234-123456789012",
        )


def test_a_copy_goes_from_key_to_key(aws: Any, bucket: str, key: str) -> None:
    data = os.urandom(50_000)
    aws.s3.put_object(Bucket=bucket, Key="k", Body=data, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    second = aws.kms.create_key()["KeyMetadata"]["Arn"]
    copied = aws.s3.copy_object(
        Bucket=bucket, Key="k", CopySource=f"{bucket}/k", ServerSideEncryption="aws:kms", SSEKMSKeyId=second
    )
    assert copied["SSEKMSKeyId"] == second
    aws.kms.disable_key(KeyId=key)
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == data
    aws.kms.disable_key(KeyId=second)
    with refused("KMS.DisabledException"):
        aws.s3.copy_object(Bucket=bucket, Key="k3", CopySource=f"{bucket}/k", ServerSideEncryption="AES256")


SECRET = b"the secret that must not be on disk in the clear "


def blobs_of(server: Any) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in Path(server.data, "blobs").rglob("*") if path.is_file()}


def test_nothing_lies_on_disk_in_the_clear(aws: Any, bucket: str, freehold_server: Any) -> None:
    for number in range(4):
        aws.s3.put_object(Bucket=bucket, Key=f"secret-name-{number}", Body=SECRET * 10**number)
    for path in Path(freehold_server.data).rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert SECRET not in content
            assert b"secret-name-" not in content
            assert bucket.encode() not in content


def test_a_flipped_bit_is_an_error_and_never_a_wrong_byte(aws: Any, bucket: str, freehold_server: Any) -> None:
    before = blobs_of(freehold_server)
    data = os.urandom(100_000)
    aws.s3.put_object(Bucket=bucket, Key="k", Body=data)
    (path,) = blobs_of(freehold_server).keys() - before.keys()
    sealed = path.read_bytes()
    for place in (0, 30, 60, 20_000, len(sealed) - 1):
        path.write_bytes(sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :])
        received, whole = b"", False
        with contextlib.suppress(ClientError, BotoCoreError, OSError):  # an answer, or a connection that ends early
            for piece in aws.s3.get_object(Bucket=bucket, Key="k")["Body"].iter_chunks(4096):
                received += piece
            whole = True
        assert not whole
        assert data.startswith(received)
        assert len(received) < len(data)
    path.write_bytes(sealed[:-1])
    with pytest.raises((ClientError, BotoCoreError, OSError)):
        aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read()
    path.write_bytes(sealed)
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == data


def test_what_was_replaced_or_deleted_leaves_the_disk(aws: Any, bucket: str, freehold_server: Any) -> None:
    before = blobs_of(freehold_server).keys()
    for _ in range(3):
        aws.s3.put_object(Bucket=bucket, Key="k", Body=os.urandom(50_000))
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"small")
    aws.s3.put_object(Bucket=bucket, Key="k2", Body=os.urandom(50_000))
    aws.s3.delete_object(Bucket=bucket, Key="k2")
    for _ in range(50):
        if not blobs_of(freehold_server).keys() - before:
            return
        time.sleep(0.1)
    pytest.fail("blobs were left behind")

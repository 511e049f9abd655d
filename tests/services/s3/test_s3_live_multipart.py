"""Multipart uploads over boto3: parts in any order, what is refused, what they become."""

from __future__ import annotations

import base64
import concurrent.futures
import hashlib
import io
import os
import zlib
from typing import Any

import pytest
from s3_expecting import raw, refused

MIB = 1024 * 1024
PART = 5 * MIB


def begin(aws: Any, bucket: str, **options: Any) -> dict[str, Any]:
    upload = aws.s3.create_multipart_upload(Bucket=bucket, Key="k", **options)["UploadId"]
    return {"Bucket": bucket, "Key": "k", "UploadId": upload}


def put(aws: Any, where: dict[str, Any], number: int, data: bytes) -> dict[str, Any]:
    answer = aws.s3.upload_part(**where, PartNumber=number, Body=data)
    checksums = {name: value for name, value in answer.items() if name.startswith("Checksum")}
    return {"PartNumber": number, "ETag": answer["ETag"], **checksums}


def complete(aws: Any, where: dict[str, Any], parts: list[dict[str, Any]], **options: Any) -> Any:
    return aws.s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts}, **options)


def test_parts_in_any_order_become_one_object(aws: Any, bucket: str) -> None:
    where = begin(aws, bucket, ContentType="text/x", Metadata={"m": "1"})
    datas = {number: os.urandom(PART + number) for number in (1, 3, 7)}
    datas[9] = b"the last may be small"
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        parts = list(pool.map(lambda number: put(aws, where, number, datas[number]), (9, 3, 7, 1)))
    parts.sort(key=lambda part: part["PartNumber"])
    listed = aws.s3.list_parts(**where)["Parts"]
    assert [(part["PartNumber"], part["Size"]) for part in listed] == [(n, len(datas[n])) for n in sorted(datas)]
    done = complete(aws, where, parts)
    whole = b"".join(datas[number] for number in sorted(datas))
    tags = b"".join(hashlib.md5(datas[number]).digest() for number in sorted(datas))
    assert done["ETag"] == f'"{hashlib.md5(tags).hexdigest()}-4"'
    got = aws.s3.get_object(Bucket=bucket, Key="k")
    assert (got["ETag"], got["ContentType"], got["Metadata"]) == (done["ETag"], "text/x", {"m": "1"})
    assert got["Body"].read() == whole
    for first, last in [(0, 10), (PART - 3, PART + 8), (0, len(whole) - 1), (2 * PART, len(whole) - 5)]:
        got = aws.s3.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{last}")
        assert got["Body"].read() == whole[first : last + 1]
    got = aws.s3.get_object(Bucket=bucket, Key="k", PartNumber=3)
    assert (got["Body"].read(), got["PartsCount"], got["ResponseMetadata"]["HTTPStatusCode"]) == (datas[3], 4, 206)
    assert aws.s3.head_object(Bucket=bucket, Key="k", PartNumber=1)["ContentLength"] == len(datas[1])
    with refused("InvalidPartNumber", 416):
        aws.s3.get_object(Bucket=bucket, Key="k", PartNumber=2)
    with refused("NoSuchUpload", 404):
        aws.s3.list_parts(**where)
    copied = aws.s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/k")
    assert copied["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(whole).hexdigest()}"'
    assert aws.s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == whole


def test_what_cannot_be_completed_stays_under_way(aws: Any, bucket: str) -> None:
    where = begin(aws, bucket)
    one, two = put(aws, where, 1, b"too small"), put(aws, where, 2, b"last")
    with refused("EntityTooSmall", 400):
        complete(aws, where, [one, two])
    with refused("InvalidPartOrder", 400):
        complete(aws, where, [two, one])
    with refused("InvalidPartOrder", 400):
        complete(aws, where, [one, one])
    with refused("InvalidPart", 400):
        complete(aws, where, [one, {**two, "ETag": '"00000000000000000000000000000000"'}])
    with refused("InvalidPart", 400):
        complete(aws, where, [{**two, "PartNumber": 3}])
    with refused("MalformedXML", 400):
        complete(aws, where, [])
    with refused("NoSuchUpload", 404):
        complete(aws, {**where, "UploadId": "no-such-upload"}, [one])
    with refused("NoSuchUpload", 404):
        complete(aws, {**where, "Key": "other"}, [one])
    assert aws.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    complete(aws, where, [two])
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"last"


@pytest.mark.parametrize("number", [0, 10_001, -1])
def test_part_numbers_run_from_1_to_10000(aws: Any, bucket: str, number: int) -> None:
    where = begin(aws, bucket)
    status, _, body = raw(aws, "PUT", f"/{bucket}/k?partNumber={number}&uploadId={where['UploadId']}", body=b"x")
    assert (status, b"InvalidArgument" in body) == (400, True)


def test_a_part_may_be_uploaded_again(aws: Any, bucket: str) -> None:
    where = begin(aws, bucket)
    put(aws, where, 1, b"first try")
    part = put(aws, where, 1, b"second try")
    complete(aws, where, [part])
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"second try"


def test_an_aborted_upload_is_gone(aws: Any, bucket: str) -> None:
    where = begin(aws, bucket)
    put(aws, where, 1, b"x")
    uploads = aws.s3.list_multipart_uploads(Bucket=bucket)["Uploads"]
    assert [(one["Key"], one["UploadId"]) for one in uploads] == [("k", where["UploadId"])]
    aws.s3.abort_multipart_upload(**where)
    assert "Uploads" not in aws.s3.list_multipart_uploads(Bucket=bucket)
    for operation in ("abort_multipart_upload", "list_parts"):
        with refused("NoSuchUpload", 404):
            getattr(aws.s3, operation)(**where)
    with refused("NoSuchUpload", 404):
        put(aws, where, 1, b"x")


def test_uploads_are_listed_in_pages(aws: Any, bucket: str) -> None:
    made = [
        (key, aws.s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"])
        for key in ("a/1", "a/2", "b", "b", "c/1")
    ]
    found: list[tuple[str, str]] = []
    marker: dict[str, str] = {}
    while True:
        page = aws.s3.list_multipart_uploads(Bucket=bucket, MaxUploads=2, **marker)
        found += [(one["Key"], one["UploadId"]) for one in page.get("Uploads", [])]
        if not page["IsTruncated"]:
            break
        marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}
    assert found == sorted(made)
    page = aws.s3.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [one["Prefix"] for one in page["CommonPrefixes"]] == ["a/", "c/"]
    assert [one["Key"] for one in page["Uploads"]] == ["b", "b"]


def test_composite_and_full_object_checksums(aws: Any, bucket: str) -> None:
    datas = [os.urandom(PART), os.urandom(1000)]
    crcs = [zlib.crc32(data) for data in datas]
    composite = zlib.crc32(b"".join(crc.to_bytes(4, "big") for crc in crcs))
    full = zlib.crc32(b"".join(datas))
    for kind, value, suffix in [("COMPOSITE", composite, "-2"), ("FULL_OBJECT", full, "")]:
        where = begin(aws, bucket, ChecksumAlgorithm="CRC32", ChecksumType=kind)
        parts = [put(aws, where, number + 1, data) for number, data in enumerate(datas)]
        wanted = base64.b64encode(value.to_bytes(4, "big")).decode() + suffix
        with refused("BadDigest" if kind == "FULL_OBJECT" else "InvalidPart", 400):
            if kind == "FULL_OBJECT":
                complete(aws, where, parts, ChecksumCRC32="AAAAAA==", ChecksumType=kind)
            else:
                complete(aws, where, [{**part, "ChecksumCRC32": "AAAAAA=="} for part in parts])
        done = complete(aws, where, parts, ChecksumType=kind)
        assert (done["ChecksumCRC32"], done["ChecksumType"]) == (wanted, kind)
        head = aws.s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
        assert (head["ChecksumCRC32"], head["ChecksumType"]) == (wanted, kind)


def test_parts_are_copied_from_objects(aws: Any, bucket: str) -> None:
    data = os.urandom(PART + 100)
    aws.s3.put_object(Bucket=bucket, Key="source", Body=data)
    where = begin(aws, bucket)
    copy = {**where, "CopySource": {"Bucket": bucket, "Key": "source"}}
    first = aws.s3.upload_part_copy(**copy, PartNumber=1)["CopyPartResult"]
    second = aws.s3.upload_part_copy(**copy, PartNumber=2, CopySourceRange="bytes=10-19")["CopyPartResult"]
    assert second["ETag"] == f'"{hashlib.md5(data[10:20]).hexdigest()}"'
    with refused("InvalidArgument", 400):
        aws.s3.upload_part_copy(**copy, PartNumber=3, CopySourceRange=f"bytes=0-{len(data)}")
    complete(aws, where, [{"PartNumber": n, "ETag": part["ETag"]} for n, part in ((1, first), (2, second))])
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == data + data[10:20]


def test_under_kms_each_part_needs_the_key(aws: Any, bucket: str) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    where = begin(aws, bucket, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    part = put(aws, where, 1, b"sealed")
    aws.kms.disable_key(KeyId=key)
    with refused("KMS.DisabledException", 400):
        put(aws, where, 2, b"x")
    with refused("KMS.DisabledException", 400):
        complete(aws, where, [part])
    aws.kms.enable_key(KeyId=key)
    done = complete(aws, where, [part])
    assert done["SSEKMSKeyId"] == key
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"sealed"
    aws.kms.disable_key(KeyId=key)
    with refused("KMS.DisabledException", 400):
        aws.s3.get_object(Bucket=bucket, Key="k")


def test_the_transfer_manager_goes_both_ways(aws: Any, bucket: str) -> None:
    data = os.urandom(20 * MIB + 5)
    aws.s3.upload_fileobj(io.BytesIO(data), bucket, "big")
    assert "-3" in aws.s3.head_object(Bucket=bucket, Key="big")["ETag"]
    back = io.BytesIO()
    aws.s3.download_fileobj(bucket, "big", back)
    assert back.getvalue() == data


def test_a_bucket_with_uploads_under_way_may_be_deleted(aws: Any, bucket: str) -> None:
    where = begin(aws, bucket)
    put(aws, where, 1, b"x" * 20_000)
    aws.s3.delete_bucket(Bucket=bucket)
    aws.s3.create_bucket(Bucket=bucket)
    assert "Uploads" not in aws.s3.list_multipart_uploads(Bucket=bucket)
    with refused("NoSuchUpload", 404):
        put(aws, where, 1, b"x")


@pytest.mark.parametrize("in_parts", [False, True])
def test_a_reader_finishes_what_is_replaced_meanwhile(aws: Any, bucket: str, in_parts: bool) -> None:
    datas = [os.urandom(8 * MIB), os.urandom(8 * MIB), os.urandom(4 * MIB)]
    if in_parts:
        where = begin(aws, bucket)
        complete(aws, where, [put(aws, where, number + 1, data) for number, data in enumerate(datas)])
    else:
        aws.s3.put_object(Bucket=bucket, Key="k", Body=b"".join(datas))
    body = aws.s3.get_object(Bucket=bucket, Key="k")["Body"]
    start = body.read(1000)
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"new")
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"new"
    aws.s3.delete_object(Bucket=bucket, Key="k")
    assert start + body.read() == b"".join(datas)


def test_a_completion_may_be_conditional(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"first")
    where = begin(aws, bucket)
    part = put(aws, where, 1, b"second")
    with refused("PreconditionFailed", 412):
        complete(aws, where, [part], IfNoneMatch="*")
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"first"
    complete(aws, where, [part], IfMatch=hashlib.md5(b"first").hexdigest())
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"second"

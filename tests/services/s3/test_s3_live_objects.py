"""Objects over boto3: what is written comes back, wrong bytes are refused, conditions and ranges hold."""

from __future__ import annotations

import base64
import concurrent.futures
import contextlib
import datetime
import hashlib
import http.client
import os
import zlib
from typing import Any

import pytest
from s3_expecting import presigned, raw, refused

BIG = 300 * 1024


@pytest.mark.parametrize("size", [0, 1, 16 * 1024, 16 * 1024 + 1, 65_536, BIG, 3 * 1024 * 1024 + 7])
def test_what_is_put_is_what_is_got(aws: Any, bucket: str, size: int) -> None:
    data = os.urandom(size)
    put = aws.s3.put_object(Bucket=bucket, Key="k", Body=data)
    got = aws.s3.get_object(Bucket=bucket, Key="k")
    assert got["Body"].read() == data
    assert put["ETag"] == got["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    assert got["ContentLength"] == size
    assert got["ServerSideEncryption"] == "AES256"
    head = aws.s3.head_object(Bucket=bucket, Key="k")
    assert (head["ContentLength"], head["ETag"], head["AcceptRanges"]) == (size, put["ETag"], "bytes")
    assert head["LastModified"] == got["LastModified"]


def test_headers_and_metadata_come_back(aws: Any, bucket: str) -> None:
    headers = {
        "ContentType": "text/plain; charset=utf-8",
        "CacheControl": "max-age=60",
        "ContentDisposition": 'attachment; filename="a b.txt"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "de, en",
    }
    metadata = {"color": "red & <blue>", "number": "7"}
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x", Metadata=metadata, **headers)
    for got in (aws.s3.get_object(Bucket=bucket, Key="k"), aws.s3.head_object(Bucket=bucket, Key="k")):
        assert got["Metadata"] == metadata
        assert {name: got[name] for name in headers} == headers
    got = aws.s3.get_object(Bucket=bucket, Key="k", ResponseContentType="text/html", ResponseCacheControl="no-store")
    assert (got["ContentType"], got["CacheControl"]) == ("text/html", "no-store")
    then = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x", Expires=then)
    assert aws.s3.head_object(Bucket=bucket, Key="k")["ExpiresString"] == "Wed, 02 Jan 2030 03:04:05 GMT"
    got = aws.s3.get_object(Bucket=bucket, Key="k", ResponseExpires=then + datetime.timedelta(days=1))
    assert got["ExpiresString"] == "Thu, 03 Jan 2030 03:04:05 GMT"


def test_a_type_is_assumed_and_large_metadata_refused(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert aws.s3.head_object(Bucket=bucket, Key="k")["ContentType"] == "binary/octet-stream"
    with refused("MetadataTooLarge"):
        aws.s3.put_object(Bucket=bucket, Key="k2", Body=b"x", Metadata={"m": "v" * 2048})
    with refused("404"):
        aws.s3.head_object(Bucket=bucket, Key="k2")


KEYS = [
    "../../etc/passwd",
    "..",
    ".",
    "a//b",
    "/leading",
    "trailing/",
    "a b+c%2Fd?e=f&g#h",
    "ünïcødé/😀/日本語",
    "k" * 1024,
    "é" * 512,
    "\u0001\u007f<>&\"'",
    "a\\b",
    "*?[]{}",
    " ",
]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_text_and_nothing_else(aws: Any, bucket: str, key: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert aws.s3.get_object(Bucket=bucket, Key=key)["Body"].read() == key.encode()
    assert [item["Key"] for item in aws.s3.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    aws.s3.delete_object(Bucket=bucket, Key=key)
    assert aws.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_key_may_hold_a_nul(aws: Any, bucket: str) -> None:
    assert raw(aws, "PUT", f"/{bucket}/a%00b", body=b"nul")[0] == 200
    assert raw(aws, "GET", f"/{bucket}/a%00b")[2] == b"nul"
    assert aws.s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Key"] == "a\0b"
    assert raw(aws, "GET", f"/{bucket}/a")[0] == 404


def test_a_key_that_is_too_long_or_not_utf_8_is_refused(aws: Any, bucket: str) -> None:
    with refused("KeyTooLongError", 400):
        aws.s3.put_object(Bucket=bucket, Key="k" * 1025, Body=b"x")
    assert raw(aws, "PUT", f"/{bucket}/%ff%fe", body=b"x")[0] == 400
    assert aws.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


@pytest.mark.parametrize("size", [1000, 40_000])
@pytest.mark.parametrize("text", ["bytes=0-0", "bytes=-1", "bytes=10-", "bytes=100-899", "bytes=0-99999"])
def test_a_range_is_206(aws: Any, bucket: str, size: int, text: str) -> None:
    data = os.urandom(size)
    aws.s3.put_object(Bucket=bucket, Key="k", Body=data)
    got = aws.s3.get_object(Bucket=bucket, Key="k", Range=text)
    first, last = text.removeprefix("bytes=").split("-")
    wanted = data[-int(last) :] if not first else data[int(first) : int(last) + 1 if last else None]
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert got["Body"].read() == wanted
    start = data.index(wanted) if len(wanted) > 8 else (0 if first else size - 1)
    assert got["ContentRange"] == f"bytes {start}-{start + len(wanted) - 1}/{size}"
    assert aws.s3.head_object(Bucket=bucket, Key="k", Range=text)["ContentLength"] == len(wanted)


def test_a_range_beyond_the_end_is_416(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    with refused("InvalidRange", 416):
        aws.s3.get_object(Bucket=bucket, Key="k", Range="bytes=10-")
    assert aws.s3.get_object(Bucket=bucket, Key="k", Range="lines=1-2")["Body"].read() == b"0123456789"


def test_reads_are_conditional(aws: Any, bucket: str) -> None:
    tag = aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    modified = aws.s3.head_object(Bucket=bucket, Key="k")["LastModified"]
    where = {"Bucket": bucket, "Key": "k"}
    assert aws.s3.get_object(**where, IfMatch=tag)["Body"].read() == b"x"
    with refused("PreconditionFailed", 412):
        aws.s3.get_object(**where, IfMatch='"other"')
    with refused("304", 304):
        aws.s3.get_object(**where, IfNoneMatch=tag)
    with refused("304", 304):
        aws.s3.head_object(**where, IfModifiedSince=modified)
    assert aws.s3.get_object(**where, IfUnmodifiedSince=modified)["Body"].read() == b"x"


def test_writes_are_conditional(aws: Any, bucket: str) -> None:
    where = {"Bucket": bucket, "Key": "k"}
    with refused("NoSuchKey", 404):
        aws.s3.put_object(**where, Body=b"0", IfMatch='"tag"')
    tag = aws.s3.put_object(**where, Body=b"1", IfNoneMatch="*")["ETag"]
    with refused("PreconditionFailed", 412):
        aws.s3.put_object(**where, Body=b"2", IfNoneMatch="*")
    with refused("PreconditionFailed", 412):
        aws.s3.put_object(**where, Body=b"2", IfMatch='"other"')
    aws.s3.put_object(**where, Body=b"3", IfMatch=tag)
    with refused("PreconditionFailed", 412):
        aws.s3.delete_object(**where, IfMatch=tag)
    assert aws.s3.get_object(**where)["Body"].read() == b"3"
    aws.s3.delete_object(**where, IfMatch=hashlib.md5(b"3").hexdigest())
    with refused("NoSuchKey", 404):
        aws.s3.get_object(**where)


@pytest.mark.parametrize("size", [20, 40_000])
def test_of_many_creators_one_wins(aws: Any, bucket: str, size: int) -> None:
    def create(number: int) -> bool:
        body = bytes([number]) * size
        client = aws.client("s3")
        try:
            client.put_object(Bucket=bucket, Key="k", Body=body, IfNoneMatch="*")
        except client.exceptions.ClientError as error:
            return error.response["Error"]["Code"] != "PreconditionFailed"
        return True

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        won = list(pool.map(create, range(8)))
    assert won.count(True) == 1
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == bytes([won.index(True)]) * size


def test_concurrent_writers_leave_one_whole_object(aws: Any, bucket: str) -> None:
    def write(number: int) -> None:
        aws.client("s3").put_object(Bucket=bucket, Key="k", Body=bytes([number]) * 100_000)

    def read(_: int) -> set[int]:
        return set(aws.client("s3").get_object(Bucket=bucket, Key="k")["Body"].read())

    write(0)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(write, number) for number in range(12)]
        reading = [pool.submit(read, number) for number in range(12)]
        for future in writing:
            future.result()
        assert all(len(future.result()) == 1 for future in reading)


def b64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


@pytest.mark.parametrize("size", [100, 70_000])
def test_checksums_are_verified_kept_and_returned(aws: Any, bucket: str, size: int) -> None:
    data = os.urandom(size)
    claims = {
        "ChecksumCRC32": b64(zlib.crc32(data).to_bytes(4, "big")),
        "ChecksumSHA1": b64(hashlib.sha1(data).digest()),
        "ChecksumSHA256": b64(hashlib.sha256(data).digest()),
    }
    for member, value in claims.items():
        put = aws.s3.put_object(Bucket=bucket, Key="k", Body=data, **{member: value})
        assert (put[member], put["ChecksumType"]) == (value, "FULL_OBJECT")
        got = aws.s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
        assert got["Body"].read() == data
        assert got[member] == value
        assert aws.s3.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")[member] == value
        assert member not in aws.s3.head_object(Bucket=bucket, Key="k")
    for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
        put = aws.s3.put_object(Bucket=bucket, Key="k", Body=data, ChecksumAlgorithm=algorithm)
        assert aws.s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["Body"].read() == data
        item = aws.s3.list_objects_v2(Bucket=bucket)["Contents"][0]
        assert (item["ChecksumAlgorithm"], item["ChecksumType"]) == ([algorithm], "FULL_OBJECT")


@pytest.mark.parametrize("size", [100, 70_000])
def test_wrong_bytes_are_refused_and_nothing_is_stored(aws: Any, bucket: str, size: int, freehold_server: Any) -> None:
    data = os.urandom(size)
    wrong_crc = b64(zlib.crc32(b"other").to_bytes(4, "big"))
    with refused("BadDigest", 400):
        aws.s3.put_object(Bucket=bucket, Key="k", Body=data, ChecksumCRC32=wrong_crc)
    with refused("BadDigest", 400):
        aws.s3.put_object(Bucket=bucket, Key="k", Body=data, ContentMD5=b64(hashlib.md5(b"other").digest()))
    with refused("InvalidDigest", 400):
        aws.s3.put_object(Bucket=bucket, Key="k", Body=data, ContentMD5="AAAA")
    status, _, answer = raw(aws, "PUT", f"/{bucket}/k", body=data, signed_body=b"other")
    assert (status, b"XAmzContentSHA256Mismatch" in answer) == (400, True)
    assert aws.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_body_shorter_than_declared_stores_nothing(aws: Any, bucket: str) -> None:
    for declared, sent in [(100, 50), (200_000, 100_000)]:
        with contextlib.suppress(OSError, http.client.HTTPException):  # the server may hang up instead
            assert raw(aws, "PUT", f"/{bucket}/k", body=b"x" * sent, declared_length=declared)[0] == 400
    assert aws.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_missing_object_is_404_for_those_who_may_list(aws: Any, bucket: str) -> None:
    arn = f"arn:aws:s3:::{bucket}"
    get = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": arn + "/*"}
    can_list = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": arn}
    reader = aws.new_user("reader", {"Version": "2012-10-17", "Statement": [get]})
    lister = aws.new_user("lister", {"Version": "2012-10-17", "Statement": [get, can_list]})
    with refused("NoSuchKey", 404):
        lister.s3.get_object(Bucket=bucket, Key="missing")
    with refused("AccessDenied", 403) as caught:
        reader.s3.get_object(Bucket=bucket, Key="missing")
    assert "s3:ListBucket" in caught.value.response["Error"]["Message"]
    with refused("403"):
        reader.s3.head_object(Bucket=bucket, Key="missing")


def test_many_are_deleted_each_on_its_own(aws: Any, bucket: str) -> None:
    for key in ("mine/1", "mine/2", "theirs/1"):
        aws.s3.put_object(Bucket=bucket, Key=key, Body=b"x" * 20_000)
    statement = {"Effect": "Allow", "Action": "s3:DeleteObject", "Resource": f"arn:aws:s3:::{bucket}/mine/*"}
    user = aws.new_user("cleaner", {"Version": "2012-10-17", "Statement": [statement]})
    keys = [{"Key": key} for key in ("mine/1", "theirs/1", "mine/gone", "mine/2")]
    answer = user.s3.delete_objects(Bucket=bucket, Delete={"Objects": keys})
    assert [item["Key"] for item in answer["Deleted"]] == ["mine/1", "mine/gone", "mine/2"]
    assert [(item["Key"], item["Code"]) for item in answer["Errors"]] == [("theirs/1", "AccessDenied")]
    assert [item["Key"] for item in aws.s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["theirs/1"]
    quiet = aws.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "theirs/1"}], "Quiet": True})
    assert "Deleted" not in quiet
    with refused("MalformedXML"):
        aws.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": str(n)} for n in range(1001)]})


def test_a_listing_pages_and_rolls_up(aws: Any, bucket: str) -> None:
    keys = [*(f"{folder}/{number}" for folder in ("a", "b&c", "d") for number in range(4)), "top"]
    for key in keys:
        aws.s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = aws.s3.list_objects_v2(Bucket=bucket, MaxKeys=5, **token)
        found += [item["Key"] for item in page["Contents"]]
        assert page["KeyCount"] <= 5
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert found == keys
    page = aws.s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [one["Prefix"] for one in page["CommonPrefixes"]] == ["a/", "b&c/", "d/"]
    assert [one["Key"] for one in page["Contents"]] == ["top"]
    page = aws.s3.list_objects(Bucket=bucket, Delimiter="/", MaxKeys=2)
    assert page["NextMarker"] == "b&c/"
    page = aws.s3.list_objects(Bucket=bucket, Delimiter="/", Marker=page["NextMarker"])
    assert ([one["Prefix"] for one in page["CommonPrefixes"]], page["Contents"][0]["Key"]) == (["d/"], "top")
    page = aws.s3.list_objects_v2(Bucket=bucket, Prefix="a/", StartAfter="a/1", FetchOwner=True)
    assert [one["Key"] for one in page["Contents"]] == ["a/2", "a/3"]
    assert len(page["Contents"][0]["Owner"]["ID"]) == 64
    with refused("InvalidArgument"):
        aws.s3.list_objects_v2(Bucket=bucket, ContinuationToken="not a token")


def test_a_presigned_url_works_as_its_signer(aws: Any, bucket: str) -> None:
    put = presigned(aws, "put_object", Params={"Bucket": bucket, "Key": "p q"}, ExpiresIn=60)
    path = put.removeprefix(aws.endpoint)
    assert raw(aws, "PUT", path, body=b"by url", signed=False)[0] == 200
    get = presigned(
        aws, "get_object", Params={"Bucket": bucket, "Key": "p q", "ResponseContentType": "text/x"}, ExpiresIn=60
    )
    status, headers, body = raw(aws, "GET", get.removeprefix(aws.endpoint), signed=False)
    assert (status, headers["content-type"], body) == (200, "text/x", b"by url")
    assert raw(aws, "GET", get.removeprefix(aws.endpoint).replace("p%20q", "other"), signed=False)[0] == 403


def test_a_copy_keeps_or_replaces_the_metadata(aws: Any, bucket: str) -> None:
    data = os.urandom(50_000)
    aws.s3.put_object(Bucket=bucket, Key="a b/ü", Body=data, Metadata={"m": "1"}, ContentType="text/a")
    copied = aws.s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "a b/ü"})
    assert copied["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    got = aws.s3.get_object(Bucket=bucket, Key="copy")
    assert (got["Body"].read(), got["Metadata"], got["ContentType"]) == (data, {"m": "1"}, "text/a")
    aws.s3.copy_object(
        Bucket=bucket, Key="copy", CopySource=f"{bucket}/copy", MetadataDirective="REPLACE", Metadata={"m": "2"}
    )
    got = aws.s3.get_object(Bucket=bucket, Key="copy")
    assert (got["Body"].read(), got["Metadata"], got["ContentType"]) == (data, {"m": "2"}, "binary/octet-stream")
    with refused("InvalidRequest", 400):
        aws.s3.copy_object(Bucket=bucket, Key="copy", CopySource=f"{bucket}/copy")
    with refused("PreconditionFailed", 412):
        aws.s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/copy", CopySourceIfNoneMatch=got["ETag"])
    with refused("NoSuchKey", 404):
        aws.s3.copy_object(Bucket=bucket, Key="c", CopySource=f"{bucket}/missing")
    with refused("NoSuchBucket", 404):
        aws.s3.copy_object(Bucket=bucket, Key="c", CopySource="no-such-bucket-here/k")


def test_attributes_are_those_asked_for(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 10, ChecksumAlgorithm="SHA256")
    got = aws.s3.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ObjectSize", "Checksum", "ETag"])
    assert got["ObjectSize"] == 10
    assert got["ETag"] == hashlib.md5(b"x" * 10).hexdigest()
    assert got["Checksum"]["ChecksumSHA256"] == b64(hashlib.sha256(b"x" * 10).digest())
    assert "StorageClass" not in got


@pytest.mark.parametrize(
    "member",
    [
        {"Tagging": "a=b"},
        {"WebsiteRedirectLocation": "/x"},
        {"ObjectLockLegalHoldStatus": "ON"},
        {"StorageClass": "GLACIER"},
        {"ServerSideEncryption": "aws:kms:dsse"},
    ],
)
def test_what_is_not_served_is_refused_not_ignored(aws: Any, bucket: str, member: dict[str, str]) -> None:
    with refused("NotImplemented", 501):
        aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x", **member)
    assert aws.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def chunked(data: bytes, checksum: str) -> bytes:
    """One aws-chunked body with a trailing CRC32."""
    return b"%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % (len(data), data, checksum.encode())


@pytest.mark.parametrize("size", [100, 100_000])
def test_a_trailing_checksum_is_verified(aws: Any, bucket: str, size: int) -> None:
    data = os.urandom(size)
    right = b64(zlib.crc32(data).to_bytes(4, "big"))
    headers = {
        "X-Amz-Content-SHA256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "X-Amz-Trailer": "x-amz-checksum-crc32",
        "X-Amz-Decoded-Content-Length": str(size),
        "Content-Encoding": "aws-chunked",
    }
    for checksum, status in ((b64(b"nope"), 400), (right, 200)):
        found = raw(aws, "PUT", f"/{bucket}/k", body=chunked(data, checksum), headers=headers)
        assert found[0] == status, found[2]
        assert aws.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == (status == 200)
    got = aws.s3.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got["ChecksumCRC32"]) == (data, right)
    assert "ContentEncoding" not in got

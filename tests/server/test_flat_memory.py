"""Bodies of any size pass through the server in memory that doesn't grow with them."""

from __future__ import annotations

import hashlib
import http.client
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.config import Config

from freehold.testing import Principal, Server, server

MIB = 1024 * 1024
SIZE = 256 * MIB
MOST_GROWTH = 40 * MIB
PIECE = os.urandom(MIB)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with server() as made:
        s3 = made.account.s3
        s3.create_bucket(Bucket="large")
        key = made.account.kms.create_key()["KeyMetadata"]["KeyId"]
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
        s3.put_bucket_encryption(Bucket="large", ServerSideEncryptionConfiguration={"Rules": [rule]})
        for _ in range(2):  # what is made at first use is made now
            s3.put_object(Bucket="large", Key="first", Body=PIECE * 8)
            s3.get_object(Bucket="large", Key="first")["Body"].read()
        yield made


def peak(of: Server) -> int:
    """The most bytes that were resident at any moment."""
    for line in Path(f"/proc/{of.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError


def presigned(who: Principal, operation: str, key: str) -> str:
    s3 = who.client("s3", config=Config(signature_version="s3v4"))
    url: str = s3.generate_presigned_url(operation, Params={"Bucket": "large", "Key": key})
    return url.removeprefix(who.endpoint)


def digest_of(size: int) -> str:
    digest = hashlib.sha256()
    for _ in range(size // MIB):
        digest.update(PIECE)
    return digest.hexdigest()


def get(who: Principal, key: str) -> tuple[int, str]:
    body = who.s3.get_object(Bucket="large", Key=key)["Body"]
    digest, size = hashlib.sha256(), 0
    while piece := body.read(MIB):
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()


@pytest.mark.slow
def test_an_unsigned_body_and_its_download(running: Server) -> None:
    before = peak(running)
    host, _, port = running.endpoint.removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    pieces = (PIECE for _ in range(SIZE // MIB))
    connection.request("PUT", presigned(running.account, "put_object", "one"), pieces, {"Content-Length": str(SIZE)})
    assert connection.getresponse().status == 200
    connection.close()
    assert get(running.account, "one") == (SIZE, digest_of(SIZE))
    assert peak(running) - before < MOST_GROWTH


@pytest.mark.slow
def test_a_signed_body_and_a_copy(running: Server, tmp_path: Path) -> None:
    source = tmp_path / "source"
    with open(source, "wb") as file:
        for _ in range(SIZE // MIB):
            file.write(PIECE)
    before = peak(running)
    with open(source, "rb") as file:
        running.account.s3.put_object(Bucket="large", Key="two", Body=file, ChecksumAlgorithm="SHA256")
    copy = {"Bucket": "large", "Key": "two"}
    running.account.s3.copy_object(Bucket="large", Key="three", CopySource=copy)
    assert get(running.account, "three") == (SIZE, digest_of(SIZE))
    assert peak(running) - before < MOST_GROWTH


@pytest.mark.slow
def test_parts_at_the_same_time(running: Server, tmp_path: Path) -> None:
    from boto3.s3.transfer import TransferConfig

    source = tmp_path / "source"
    with open(source, "wb") as file:
        for _ in range(SIZE // MIB):
            file.write(PIECE)
    before = peak(running)
    config = TransferConfig(multipart_chunksize=32 * MIB, max_concurrency=4)
    running.account.s3.upload_file(str(source), "large", "four", Config=config)
    assert get(running.account, "four") == (SIZE, digest_of(SIZE))
    # Several bodies are under way at once.
    assert peak(running) - before < 2 * MOST_GROWTH

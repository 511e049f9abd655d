"""A full disk, a killed server: what was acknowledged stays, what wasn't is nowhere."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError
from s3_expecting import refused

from freehold.testing import server

MIB = 1024 * 1024


@pytest.fixture
def own_server() -> Iterator[Any]:
    with server() as running:
        yield running


def files(running: Any) -> set[Path]:
    return {path for path in Path(running.data, "blobs").rglob("*") if path.is_file()}


def test_a_full_disk_is_told_and_the_server_goes_on(own_server: Any) -> None:
    account = own_server.new_account()
    account.s3.create_bucket(Bucket="full-bucket")
    account.s3.put_object(Bucket="full-bucket", Key="k", Body=b"earlier" * 10_000)
    before = files(own_server)
    _, hard = resource.prlimit(own_server.pid, resource.RLIMIT_FSIZE, (8 * MIB, resource.RLIM_INFINITY))
    with refused("InsufficientStorage", 507):
        account.s3.put_object(Bucket="full-bucket", Key="k", Body=os.urandom(12 * MIB))
    upload = account.s3.create_multipart_upload(Bucket="full-bucket", Key="m")["UploadId"]
    with refused("InsufficientStorage", 507):
        account.s3.upload_part(Bucket="full-bucket", Key="m", UploadId=upload, PartNumber=1, Body=os.urandom(12 * MIB))
    assert files(own_server) == before
    assert account.s3.get_object(Bucket="full-bucket", Key="k")["Body"].read() == b"earlier" * 10_000
    account.s3.put_object(Bucket="full-bucket", Key="small", Body=b"fits")
    resource.prlimit(own_server.pid, resource.RLIMIT_FSIZE, (hard, hard))
    account.s3.put_object(Bucket="full-bucket", Key="k", Body=os.urandom(12 * MIB))


def test_parts_of_replaced_objects_leave_the_disk_in_time(own_server: Any) -> None:
    account = own_server.new_account()
    account.s3.create_bucket(Bucket="parts-bucket")
    where = {"Bucket": "parts-bucket", "Key": "k"}
    upload = account.s3.create_multipart_upload(**where)["UploadId"]
    part = account.s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"part")
    account.s3.complete_multipart_upload(
        **where, UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    )
    assert len(files(own_server)) == 1
    account.s3.put_object(**where, Body=b"small")
    assert len(files(own_server)) == 1
    own_server.advance(minutes=20)
    for _ in range(50):
        if not files(own_server):
            return
        time.sleep(0.1)
    pytest.fail("the part was left behind")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the killed server's log
def test_a_kill_loses_nothing_acknowledged_and_leaves_nothing_half_done(own_server: Any) -> None:
    account = own_server.new_account()
    account.s3.create_bucket(Bucket="kill-bucket")
    acknowledged: dict[str, bytes] = {}
    under_way: dict[str, bytes] = {}

    def write(worker: int) -> None:
        client = account.client("s3")
        number = 0
        while True:
            key, data = f"{worker}/{number % 7}", os.urandom(100 if number % 2 else 60_000)
            under_way[key] = data
            client.put_object(Bucket="kill-bucket", Key=key, Body=data)
            acknowledged[key] = data
            number += 1

    def until_it_dies(worker: int) -> None:
        with contextlib.suppress(ClientError, BotoCoreError, OSError):
            write(worker)

    for _ in range(2):
        threads = [threading.Thread(target=until_it_dies, args=(worker,)) for worker in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        own_server.kill()
        for thread in threads:
            thread.join()
        own_server.start()
        found = {item["Key"]: item["Size"] for item in account.s3.list_objects_v2(Bucket="kill-bucket")["Contents"]}
        assert found.keys() >= acknowledged.keys()
        for key in found:
            data = account.s3.get_object(Bucket="kill-bucket", Key=key)["Body"].read()
            assert data in (acknowledged.get(key), under_way[key])
            assert len(data) == found[key]
            acknowledged[key] = data

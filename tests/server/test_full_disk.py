"""A full disk: what cannot be stored is refused, nothing is lost, and the server goes on once there is room again.

The data directory is a small tmpfs; without the right to mount one, that test is skipped. A limit on the size of files
needs no such right, and is met in other places.
"""

from __future__ import annotations

import functools
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from freehold.storage.files import FileBlobs
from freehold.storage.locks import DirectoryHeld, hold_directory
from freehold.testing import Server, ServerError


@contextmanager
def small_disk(path: Path, size: str) -> Iterator[None]:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", path], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no right to mount: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", path], check=True)


@pytest.fixture(params=[1, 2], ids=["one worker", "two workers"])
def cramped(request: pytest.FixtureRequest, made: Server, tmp_path: Path) -> Iterator[Server]:
    """A server on a file system of 8 MiB."""
    data = tmp_path / "data"
    data.mkdir()
    with small_disk(data, "8m"):
        shutil.copytree(made.data, data, dirs_exist_ok=True)
        server = made.on_copy(data)
        server._options = [f"--root-key={made.root_key}", f"--workers={request.param}"]
        try:
            server.start()
            yield server
        finally:
            server.close()


def fill(data: Path) -> Path:
    """Leave no byte."""
    ballast = data / "ballast"
    with open(ballast, "ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return ballast


def wait_until_free(data: Path) -> None:
    """Until the workers of a killed supervisor are gone."""
    deadline = time.monotonic() + 10
    while True:
        try:
            hold_directory(data).release()
            return
        except DirectoryHeld:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def refusal(call: Callable[[], object]) -> tuple[str, int]:
    """The error that a call comes to; what is left of pages and segments may take a few."""
    for _ in range(1_000):
        try:
            call()
        except ClientError as error:
            return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    raise AssertionError("it was never refused")


def verified(server: Server) -> str:
    return subprocess.run(
        [sys.executable, "-m", "freehold", "audit", "verify", f"--data={server.data}", *server._options[:1]],
        capture_output=True,
        text=True,
    ).stdout


REFUSALS = {("InsufficientStorage", 507), ("ServiceUnavailable", 503)}


def test_nothing_is_lost_on_a_full_disk_and_it_goes_on_with_room(cramped: Server) -> None:
    account = cramped.account
    s3, kms, iam = account.s3, account.kms, account.iam
    stored: dict[str, bytes] = {}

    def put() -> None:
        key, body = f"object-{len(stored)}", os.urandom(300_000)
        s3.put_object(Bucket="made", Key=key, Body=body)
        stored[key] = body

    assert refusal(put) in REFUSALS
    assert len(stored) > 5
    ballast = fill(cramped.data)
    for call in (
        lambda: s3.put_object(Bucket="made", Key="large", Body=b"l" * 300_000),
        lambda: s3.put_object(Bucket="made", Key="small", Body=b"s" * 10_000),
        lambda: kms.create_key(Description="d" * 8_000),
        lambda: iam.create_user(UserName="nobody"),
        lambda: s3.create_bucket(Bucket="another"),
        lambda: s3.list_objects_v2(Bucket="made"),  # its event has no room: nothing is served unaudited
        lambda: kms.list_keys(),
    ):
        assert refusal(call) in REFUSALS
    ballast.unlink()
    for key, body in stored.items():
        assert s3.get_object(Bucket="made", Key=key)["Body"].read() == body
    s3.delete_object(Bucket="made", Key="object-0")
    kms.create_key()
    s3.put_object(Bucket="made", Key="later", Body=b"later")
    names = {row["Key"] for row in s3.list_objects_v2(Bucket="made")["Contents"]}
    assert stored.keys() - {"object-0"} <= names
    assert "large" not in names
    fill(cramped.data)
    cramped.kill()
    wait_until_free(cramped.data)
    with pytest.raises(ServerError, match=r"freehold: .*(no room|No space left)") as unstarted:
        cramped.start()
    assert "Traceback" not in str(unstarted.value)
    ballast.unlink()
    cramped.start()
    assert s3.get_object(Bucket="made", Key="later")["Body"].read() == b"later"
    assert cramped.stop() == 0
    assert "the audit log is whole" in verified(cramped)
    cramped.start()
    assert s3.get_object(Bucket="made", Key="later")["Body"].read() == b"later"


def test_what_meets_a_limit_on_files_is_refused_and_leaves_nothing(server: Server) -> None:
    server.start()
    s3, kms = server.account.s3, server.account.kms
    s3.put_object(Bucket="made", Key="before", Body=b"b" * 100_000)
    unlimited = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (50_000, unlimited[1]))
    large = functools.partial(s3.put_object, Bucket="made", Key="large", Body=b"l" * 100_000)
    assert refusal(large) == ("InsufficientStorage", 507)
    assert refusal(functools.partial(kms.create_key, Description="d" * 8_000)) in REFUSALS
    assert refusal(functools.partial(s3.list_objects_v2, Bucket="made")) == ("ServiceUnavailable", 503)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, unlimited)
    s3.put_object(Bucket="made", Key="large", Body=b"L" * 100_000)
    assert s3.get_object(Bucket="made", Key="large")["Body"].read() == b"L" * 100_000
    assert [row["Key"] for row in s3.list_objects_v2(Bucket="made")["Contents"]] == ["before", "large"]
    assert list((server.data / "blobs" / "unfinished").iterdir()) == []
    assert len(list(FileBlobs(server.data / "blobs").list())) == 2
    assert server.stop() == 0
    assert "the audit log is whole" in verified(server)

"""Blobs that no record names, as a crash leaves them, are gone soon after the next start; all others stay."""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable

import pytest

from freehold.storage.files import FileBlobs
from freehold.testing import Server

SIZE = 100_000


def wait_until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 15
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize("moved", [True, False], ids=["when the clock is moved", "by itself"])
def test_blobs_without_a_record_are_collected_after_a_start(server: Server, moved: bool) -> None:
    server.start()
    server.account.s3.put_object(Bucket="made", Key="kept", Body=b"k" * SIZE)
    server.kill()
    blobs = FileBlobs(server.data / "blobs")
    (kept,) = blobs.list()
    committed = blobs.create()  # as by a crash between a blob and its record
    committed.write(b"sealed")
    orphan = committed.commit()
    half = blobs.create()  # as by one in the middle of a body
    half.write(b"sealed")
    assert set(blobs.list()) == {kept, orphan}
    server.start()
    assert list((server.data / "blobs" / "unfinished").iterdir()) == []
    if moved:
        server.advance(seconds=1)
    wait_until(lambda: set(blobs.list()) == {kept})
    assert server.account.s3.get_object(Bucket="made", Key="kept")["Body"].read() == b"k" * SIZE


def test_a_body_that_is_cut_leaves_nothing(server: Server) -> None:
    server.start()
    host, _, port = server.endpoint.removeprefix("http://").rpartition(":")
    connection = http.client.HTTPConnection(host, int(port))
    s3 = server.account.s3
    sent: dict[str, str] = {}
    s3.meta.events.register("before-send.s3.PutObject", lambda request, **_: sent.update(request.headers.items()))
    s3.put_object(Bucket="made", Key="whole", Body=b"w" * SIZE)
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in sent.items()}
    connection.putrequest("PUT", "/made/whole", skip_host=True, skip_accept_encoding=True)
    for name, value in headers.items():
        if name.lower() not in ("expect", "host"):
            connection.putheader(name, value)
    connection.putheader("Host", f"{host}:{port}")
    connection.endheaders()
    connection.send(b"w" * (SIZE - 1))
    time.sleep(0.2)
    connection.close()
    unfinished = server.data / "blobs" / "unfinished"
    wait_until(lambda: not list(unfinished.iterdir()))
    assert len(list(FileBlobs(server.data / "blobs").list())) == 1
    assert s3.get_object(Bucket="made", Key="whole")["Body"].read() == b"w" * SIZE

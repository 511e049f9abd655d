"""The server's life: what it does when it's told to stop, and when some of its processes die."""

from __future__ import annotations

import hashlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import HTTPClientError

from freehold.audit.checkpoint import CheckpointFile
from freehold.storage.locks import DirectoryHeld, hold_directory
from freehold.testing import Principal, Server

MIB = 1024 * 1024


def address(server: Server) -> tuple[str, int]:
    host, _, port = server.endpoint.removeprefix("http://").rpartition(":")
    return host, int(port)


def workers_of(server: Server) -> list[int]:
    pid = server.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_until(true: Any, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_free(data: Path) -> bool:
    try:
        hold_directory(data).release()
    except DirectoryHeld:
        return False
    return True


def signed(who: Principal, operation: str, **parameters: str) -> str:
    """The target of one presigned S3 request."""
    s3 = who.client("s3", config=Config(signature_version="s3v4"))
    url: str = s3.generate_presigned_url(operation, Params=parameters)
    return url.removeprefix(who.endpoint)


class SlowUpload:
    """A PUT of 64 MiB that stands still in its middle until `finish`."""

    SIZE = 64 * MIB

    def __init__(self, server: Server, key: str) -> None:
        self.connection = http.client.HTTPConnection(*address(server), timeout=30)
        self.connection.putrequest("PUT", signed(server.account, "put_object", Bucket="made", Key=key))
        self.connection.putheader("Content-Length", str(self.SIZE))
        self.connection.endheaders()
        self.digest = hashlib.sha256()
        self._send(self.SIZE // 2)

    def _send(self, size: int) -> None:
        piece = os.urandom(MIB)
        for _ in range(size // MIB):
            self.connection.send(piece)
            self.digest.update(piece)

    def finish(self) -> int:
        self._send(self.SIZE // 2)
        status = self.connection.getresponse().status
        self.connection.close()
        return status


class SlowDownload:
    """A GET of which only the beginning is read until `finish`."""

    def __init__(self, server: Server, key: str) -> None:
        self.connection = http.client.HTTPConnection(*address(server), timeout=30)
        self.connection.request("GET", signed(server.account, "get_object", Bucket="made", Key=key))
        self.response = self.connection.getresponse()
        assert self.response.status == 200
        self.digest = hashlib.sha256(self.response.read(MIB))

    def finish(self) -> str:
        while piece := self.response.read(MIB):
            self.digest.update(piece)
        self.connection.close()
        return self.digest.hexdigest()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_requests_in_flight_are_finished(server: Server, number: signal.Signals, workers: int) -> None:
    server._options = [f"--workers={workers}"]
    server.start()
    first = SlowUpload(server, "first")
    assert first.finish() == 200
    upload, download = SlowUpload(server, "second"), SlowDownload(server, "first")
    process = server._process
    assert process is not None
    process.send_signal(number)
    wait_until(lambda: refuses_connections(server))
    assert process.poll() is None
    assert download.finish() == first.digest.hexdigest()
    assert upload.finish() == 200
    assert process.wait(10) == 0
    assert server.log() == ""
    server.stop()
    server.start()
    body = server.account.s3.get_object(Bucket="made", Key="second")["Body"].read()
    assert hashlib.sha256(body).digest() == upload.digest.digest()


def refuses_connections(server: Server) -> bool:
    try:
        socket.create_connection(address(server), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("workers", [1, 2])
def test_idle_connections_do_not_delay_the_end(server: Server, workers: int) -> None:
    server._options = [f"--workers={workers}"]
    server.start()
    idle = []
    target = signed(server.account, "list_buckets")
    for _ in range(20):
        connection = http.client.HTTPConnection(*address(server))
        connection.request("GET", target)
        answer = connection.getresponse()
        assert answer.read()
        assert answer.status == 200
        idle.append(connection)
    silent = [socket.create_connection(address(server)) for _ in range(5)]
    cut = socket.create_connection(address(server))
    cut.sendall(b"GET / HTTP/1.1\r\nHost: loc")
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 2
    for connection in (*silent, cut):
        connection.close()
    for each in idle:
        each.close()


def test_a_stop_ends_with_a_checkpoint_of_everything(server: Server) -> None:
    server.start()
    server.account.s3.list_buckets()
    before = CheckpointFile(server.data / "audit").last_number()
    assert server.stop() == 0
    assert CheckpointFile(server.data / "audit").last_number() > before
    verified = subprocess.run(
        [sys.executable, "-m", "freehold", "audit", "verify", f"--data={server.data}", "--json"],
        capture_output=True,
        text=True,
    )
    assert '"ok": true' in verified.stdout
    # Nothing is open, unfinished or uncovered, as it would be after a crash.
    assert '"notes": []' in verified.stdout
    assert not (server.data / "records.db-wal").exists()


def test_a_signal_during_the_start_is_a_clean_end(server: Server) -> None:
    for workers in (1, 3):
        for delay in (0.3, 0.45, 0.6):
            command = ["serve", f"--data={server.data}", "--port=0", f"--workers={workers}"]
            process = subprocess.Popen(
                [sys.executable, "-m", "freehold", *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            )
            time.sleep(delay)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=10)
            assert process.returncode in (0, -signal.SIGTERM)
            assert errors == b""
            wait_until(lambda: is_free(server.data))


def test_the_workers_go_with_a_killed_supervisor(server: Server) -> None:
    server._options = ["--workers=3"]
    server.start()
    assert len(workers_of(server)) == 3
    server.kill()
    wait_until(lambda: is_free(server.data), 2)
    assert refuses_connections(server)
    server.start()
    assert server.account.s3.list_buckets()["Buckets"]


def test_a_killed_worker_is_replaced_and_the_others_go_on(server: Server) -> None:
    server._options = ["--workers=2"]
    server.start()
    account = server.account
    account.iam.create_user(UserName="user")
    pinned = [account.in_region("us-east-1") for _ in range(12)]  # a connection each, spread over the workers
    for each in pinned:
        each.s3.list_buckets()
    first, second = workers_of(server)
    os.kill(first, signal.SIGKILL)
    answered = 0
    for each in pinned:
        try:
            each.s3.list_buckets()
            answered += 1
        except HTTPClientError:
            continue  # its worker was the one that died
    assert answered > 0
    wait_until(lambda: len(workers_of(server)) == 2)
    assert second in workers_of(server)
    assert "is replaced" in server.log()
    # What one changes holds in the other, the new one included.
    account = server.account
    for turn in range(10):
        account.iam.put_user_policy(UserName="user", PolicyName="p", PolicyDocument=POLICY % turn)
        for each in pinned[:4]:
            got = each.iam.get_user_policy(UserName="user", PolicyName="p")
            assert str(turn) in str(got["PolicyDocument"])


POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::%d"}]}'


def test_workers_that_die_at_once_end_the_server(server: Server) -> None:
    server._options = ["--workers=2"]
    server.start()
    process = server._process
    assert process is not None
    killing = threading.Event()

    def kill() -> None:
        while not killing.wait(0.1):
            for pid in workers_of(server):
                os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        assert process.wait(20) == 1
    finally:
        killing.set()
        thread.join()
    lines = server.log().splitlines()
    assert lines[-1] == "freehold: 5 workers died within a minute"
    server.stop()

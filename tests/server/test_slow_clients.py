"""Slow and silent clients: they keep nobody else waiting, hold little memory, and are let go of in time."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from freehold.testing import Principal, Server, server

MIB = 1024 * 1024
SECONDS = 2
"""What half a minute and more is cut down to in the server of the tests about time."""

HASTY = f"""
import sys
if "serve" in sys.argv:
    from freehold import server
    from freehold.transport import http
    server.HOUSEKEEPING_SECONDS = 0.2
    for name in ("HEADER_SECONDS", "IDLE_SECONDS", "BODY_IDLE_SECONDS", "WRITE_IDLE_SECONDS"):
        assert hasattr(http, name)
        setattr(http, name, {SECONDS})
"""


@pytest.fixture(scope="module")
def usual() -> Iterator[Server]:
    with server() as running:
        running.account.s3.create_bucket(Bucket="slow")
        running.account.s3.put_object(Bucket="slow", Key="large", Body=os.urandom(64 * MIB))
        running.account.s3.put_object(Bucket="slow", Key="small", Body=os.urandom(16_000))
        yield running


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with short times."""
    directory = tmp_path_factory.mktemp("hasty")
    (directory / "sitecustomize.py").write_text(HASTY)
    with server(environment={"PYTHONPATH": str(directory)}) as running:
        running.account.s3.create_bucket(Bucket="slow")
        running.account.s3.put_object(Bucket="slow", Key="large", Body=os.urandom(64 * MIB))
        yield running


def connect(to: Server) -> socket.socket:
    host, _, port = to.endpoint.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=20)


def target(who: Principal, operation: str, key: str) -> str:
    s3 = who.client("s3", config=Config(signature_version="s3v4"))
    url: str = s3.generate_presigned_url(operation, Params={"Bucket": "slow", "Key": key})
    return url.removeprefix(who.endpoint)


def get(to: Server, key: str) -> bytes:
    return f"GET {target(to.account, 'get_object', key)} HTTP/1.1\r\nHost: {to.endpoint[7:]}\r\n\r\n".encode()


def put(to: Server, key: str, size: int) -> bytes:
    line = f"PUT {target(to.account, 'put_object', key)} HTTP/1.1\r\nHost: {to.endpoint[7:]}\r\n"
    return f"{line}Content-Length: {size}\r\n\r\n".encode()


def memory_of(to: Server) -> int:
    """Resident bytes."""
    for line in Path(f"/proc/{to.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError


def test_two_hundred_trickling_clients_stop_nobody(usual: Server) -> None:
    usual.account.s3.list_buckets()
    headers = [connect(usual) for _ in range(120)]
    bodies = [connect(usual) for _ in range(60)]
    readers = [connect(usual) for _ in range(20)]
    start_of_put, start_of_get = put(usual, "trickled", MIB), get(usual, "large")
    for body in bodies:
        body.sendall(start_of_put)
    for reader in readers:
        reader.sendall(start_of_get)
    done = threading.Event()

    def trickle() -> None:
        line = iter(b"GET / HTTP/1.1\r\nX-Slow: " + b"x" * 10_000)
        while not done.wait(0.05):
            byte = bytes((next(line),))
            for each in (*headers, *bodies):
                each.sendall(byte)
            for each in readers:
                each.recv(100)

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        s3, kms = usual.account.client("s3"), usual.account.client("kms")
        slowest = 0.0
        for number in range(40):
            began = time.monotonic()
            s3.put_object(Bucket="slow", Key=f"{number}", Body=b"x" * 100_000)
            s3.list_objects_v2(Bucket="slow")
            kms.list_keys()
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 2
    finally:
        done.set()
        thread.join()
        for each in (*headers, *bodies, *readers):
            each.close()


def test_readers_that_stop_fill_no_memory(usual: Server) -> None:
    readers = [connect(usual) for _ in range(20)]
    ask, before = get(usual, "large"), memory_of(usual)
    for reader in readers:
        reader.sendall(ask)
    time.sleep(1)
    grown = memory_of(usual) - before
    for each in readers:
        each.close()
    # A write buffer, and what is being made meanwhile, for each of them.
    assert grown < 20 * 4 * MIB


def test_requests_whose_answers_nobody_takes_fill_no_memory(usual: Server) -> None:
    asking = get(usual, "small")
    usual.account.s3.get_object(Bucket="slow", Key="small")["Body"].read()
    before = memory_of(usual)
    connections = [connect(usual) for _ in range(4)]
    sent = 0
    for connection in connections:
        connection.setblocking(False)
    for _ in range(200):
        for connection in connections:
            try:
                sent += connection.send(asking * 5)
            except BlockingIOError:
                continue
        time.sleep(0.01)
    assert sent > 1_000 * len(asking)
    time.sleep(1)
    assert memory_of(usual) - before < 4 * 2 * MIB
    for connection in connections:
        connection.close()


def silence(connection: socket.socket) -> None:
    """Do nothing."""


def trickle_header(connection: socket.socket) -> None:
    for byte in b"GET / HTTP/1.1\r\nX-Slow: " + b"x" * 1_000:
        connection.sendall(bytes((byte,)))
        time.sleep(0.05)


def trickle_small_body(connection: socket.socket) -> None:
    connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1_000):
        connection.sendall(b"x")
        time.sleep(0.05)


@pytest.mark.parametrize("behave", [silence, trickle_header, trickle_small_body])
def test_who_does_not_come_to_a_request_is_let_go(hasty: Server, behave: Callable[[socket.socket], None]) -> None:
    assert cut_after(hasty, behave) < SECONDS + 2


def test_a_body_that_stops_is_let_go_and_leaves_nothing(hasty: Server) -> None:
    def stop_in_the_middle(connection: socket.socket) -> None:
        connection.sendall(put(hasty, "stopped", 10 * MIB) + b"x" * 3 * MIB)

    assert cut_after(hasty, stop_in_the_middle) < SECONDS + 2
    unfinished = hasty.data / "blobs" / "unfinished"
    deadline = time.monotonic() + 5
    while list(unfinished.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    listed = hasty.account.s3.list_objects_v2(Bucket="slow")["Contents"]
    assert [row["Key"] for row in listed] == ["large"]


def test_a_client_that_stops_reading_is_let_go(hasty: Server) -> None:
    connection = connect(hasty)
    connection.sendall(get(hasty, "large"))
    time.sleep(SECONDS + 2)
    assert read_all(connection) < 64 * MIB
    connection.close()


def test_a_client_that_reads_slowly_gets_everything(hasty: Server) -> None:
    connection = connect(hasty)
    connection.sendall(get(hasty, "large"))
    answer = connection.makefile("rb")
    assert answer.readline().startswith(b"HTTP/1.1 200")
    while answer.readline().strip():
        continue
    digest, received, began = hashlib.sha256(), 0, time.monotonic()
    while received < 64 * MIB:
        piece = answer.read(MIB)
        assert piece
        digest.update(piece)
        received += len(piece)
        time.sleep(0.08)
    assert time.monotonic() - began > 2 * SECONDS
    whole = hasty.account.s3.get_object(Bucket="slow", Key="large")["Body"].read()
    assert digest.digest() == hashlib.sha256(whole).digest()
    answer.close()
    connection.close()


def test_a_client_that_sends_slowly_is_heard(hasty: Server) -> None:
    body = os.urandom(MIB)
    connection = connect(hasty)
    connection.sendall(put(hasty, "patient", len(body)))
    for start in range(0, len(body), 200_000):
        connection.sendall(body[start : start + 200_000])
        time.sleep(SECONDS / 2)
    assert connection.recv(100).startswith(b"HTTP/1.1 200")
    connection.close()
    assert hasty.account.s3.get_object(Bucket="slow", Key="patient")["Body"].read() == body
    hasty.account.s3.delete_object(Bucket="slow", Key="patient")


def read_all(connection: socket.socket) -> int:
    """How many bytes come until the server ends the connection."""
    received = 0
    try:
        while piece := connection.recv(MIB):
            received += len(piece)
    except ConnectionResetError:
        pass
    return received


def cut_after(to: Server, behave: Callable[[socket.socket], Any]) -> float:
    """How long it takes until the server ends the connection, seconds."""
    connection = connect(to)
    began = time.monotonic()

    def act() -> None:
        try:
            behave(connection)
        except OSError:
            return

    thread = threading.Thread(target=act)
    thread.start()
    read_all(connection)
    took = time.monotonic() - began
    thread.join()
    connection.close()
    return took

"""Nothing that the server acknowledged is lost, and nothing partial is visible, whenever it is killed or power is cut.

Real clients work in several threads; then the supervisor and all workers are killed at a random moment. Afterwards
every acknowledged change is there, every undecided one happened as a whole or not at all, listings agree with what can
be read, the audit trail verifies, and it tells of every call that was answered.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import power_cut
import pytest
from botocore.exceptions import BotoCoreError, ClientError
from server_workload import Client, Keys, Objects, SealedObjects, Uploads, Users

from freehold.audit import chain
from freehold.audit.segment import SegmentReader, Tail, segment_files
from freehold.config import Settings
from freehold.crypto.aead import Sealer
from freehold.deployment import root_key_of
from freehold.storage.counters import SharedCounters
from freehold.storage.locks import DirectoryHeld, hold_directory
from freehold.storage.sqlite import SqliteRecords
from freehold.testing import Server, ServerError

KINDS = (Objects, SealedObjects, Uploads, Keys, Users)


def processes_of(server: Server) -> list[int]:
    """The supervisor and its workers."""
    pid = server.pid
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def kill_all(server: Server, chosen: random.Random) -> None:
    """kill -9 of every process, in any order; returns when all are gone."""
    pids = processes_of(server)
    chosen.shuffle(pids)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    server.kill()
    deadline = time.monotonic() + 10
    while True:
        try:
            hold_directory(server.data).release()
            return
        except DirectoryHeld:
            assert time.monotonic() < deadline
            time.sleep(0.005)


def clients_of(server: Server, killed: threading.Event) -> list[Client]:
    """A client of each kind, with the buckets that they need."""
    s3, kms = server.account.s3, server.account.kms
    s3.create_bucket(Bucket="plain")
    s3.create_bucket(Bucket="sealed")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    s3.put_bucket_encryption(Bucket="sealed", ServerSideEncryptionConfiguration={"Rules": [rule]})
    return [kind(server.account, kind.__name__.lower(), killed) for kind in KINDS]


def work_and_kill(
    server: Server, clients: list[Client], killed: threading.Event, chosen: random.Random, seconds: float
) -> None:
    killed.clear()
    seed = chosen.randrange(1 << 30)
    threads = [threading.Thread(target=client.run, args=(seed,)) for client in clients]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    killed.set()
    kill_all(server, chosen)
    for thread in threads:
        thread.join()


def told_request_ids(server: Server) -> set[str]:
    """The request ids of all events of the trail, read without a server."""
    root_key = root_key_of(Settings(data=server.data, root_key=server.root_key))
    records = SqliteRecords(
        server.data, root_key.sealing_key("pages"), Sealer(root_key.sealing_key("records")), SharedCounters()
    )
    try:
        events = [event for _, told in chain.walk(records.reader()) for event in told]
    finally:
        records.close()
    for path in segment_files(server.data / "audit"):
        for step in SegmentReader(path, root_key.sealing_key("audit")).walk():
            assert not isinstance(step, Tail), "it was cut off at the start"
            events += step[2]
    return {event["requestID"] for event in map(json.loads, events) if "requestID" in event}


def check(server: Server, clients: list[Client]) -> None:
    """Start the server, compare, stop it, and read the trail."""
    server.start()
    try:
        for client in clients:
            client.check()
    finally:
        status = server.stop()
    assert status == 0
    command = [sys.executable, "-m", "freehold", "audit", "verify", f"--data={server.data}", "--json"]
    verified = subprocess.run(command, capture_output=True, text=True)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    told = told_request_ids(server)
    for client in clients:
        untold = set(client.request_ids) - told
        assert not untold, f"{len(untold)} acknowledged calls of {client.name} left no event"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "workers", "rounds"), [("kill", 1, 1), ("kill", 2, 2), ("power cut", 1, 1), ("power cut", 2, 2)]
)
def test_what_was_acknowledged_survives(tmp_path: Path, kind: str, workers: int, rounds: int) -> None:
    server = Server(tmp_path, workers=workers)
    plain = server._environment
    killed = threading.Event()
    chosen = random.Random()
    server.start()
    clients = clients_of(server, killed)
    server.stop()
    try:
        for _ in range(rounds):
            if kind == "power cut":
                server._environment = power_cut.environment(server.data)
            before = sum(len(client.request_ids) for client in clients)
            server.start()
            work_and_kill(server, clients, killed, chosen, chosen.uniform(0.5, 1.5))
            assert sum(len(client.request_ids) for client in clients) > before
            if kind == "power cut":
                power_cut.roll_back(server.data)
            server._environment = plain
            check(server, clients)
    finally:
        server.close()


CARELESS = {
    "files": "import os; os.fsync = os.fdatasync = lambda file: None",
    "records": """
from freehold.storage import database, sqlite
def connect(*arguments, **options):
    connection = database.connect(*arguments, **options)
    connection.pragma("synchronous", "OFF")
    return connection
sqlite.connect = connect
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("which", CARELESS)
def test_this_test_notices_a_missing_sync(tmp_path: Path, which: str) -> None:
    server = Server(tmp_path)
    plain = server._environment
    killed = threading.Event()
    server.start()
    clients = clients_of(server, killed)
    server.stop()
    (tmp_path / "sitecustomize.py").write_text(CARELESS[which])
    server._environment = power_cut.environment(server.data) | {"PYTHONPATH": str(tmp_path)}
    server.start()
    work_and_kill(server, clients, killed, random.Random(), 0.7)
    assert all(client.request_ids for client in clients)
    power_cut.roll_back(server.data)
    server._environment = plain
    try:
        with pytest.raises((AssertionError, ClientError, BotoCoreError, ServerError)):
            check(server, clients)
    finally:
        server.close()

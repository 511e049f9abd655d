"""Nothing that was acknowledged is lost and nothing partial is visible, whenever a program is killed or power cut."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import power_cut
import pytest
import workload

from freehold.crypto.aead import Sealer
from freehold.storage.blobs import CorruptBlob
from freehold.storage.counters import SharedCounters
from freehold.storage.files import FileBlobs
from freehold.storage.records import CorruptRecord
from freehold.storage.sqlite import SqliteRecords

ROUNDS = 6


def run_and_kill(data: Path, told: Path, start: int, environment: dict[str, str], seconds: float) -> None:
    command = [sys.executable, Path(workload.__file__), data, told, str(start)]
    path = [environment.get("PYTHONPATH", ""), str(Path(__file__).parents[2])]
    environment = {**environment, "PYTHONPATH": os.pathsep.join(path)}
    with subprocess.Popen(command, env=environment, process_group=0, stderr=subprocess.PIPE) as process:
        before = told.stat().st_size if told.exists() else 0
        deadline = time.monotonic() + 30
        while not told.exists() or told.stat().st_size == before:  # the kill comes somewhere in the work, not before it
            assert time.monotonic() < deadline
            time.sleep(0.002)
        time.sleep(seconds)
        os.killpg(process.pid, signal.SIGKILL)
        _, errors = process.communicate()
    assert errors == b""


def check(data: Path, told: Path) -> int:
    """Compare what is stored with what was told; how many rows there are."""
    present: set[tuple[str, int]] = set()
    uncertain: set[tuple[str, int]] = set()
    gone: set[tuple[str, int]] = set()
    next_number: dict[str, int] = {}
    for line in told.read_text().splitlines():
        what, mine, text = line.split()
        key = (mine, int(text))
        if what == "put":
            present.add(key)
            next_number[mine] = key[1] + 1
        elif what == "deleting":
            present.discard(key)
            uncertain.add(key)
        else:
            uncertain.discard(key)
            gone.add(key)
    counters = SharedCounters()
    records = SqliteRecords(data, workload.PAGE_KEY, Sealer(workload.SEALING_KEY), counters)
    blobs = FileBlobs(data / "blobs")
    try:
        reader = records.reader()
        found = {key: value.decode().split() for key, value in reader.scan("object")}
        assert present - found.keys() == set()
        assert gone & found.keys() == set()
        for mine, number in found.keys() - present - uncertain:
            # Committed, and killed before that was told: at most the next one of each thread.
            assert number == next_number.get(mine, 0)
        assert {key for key, _ in reader.scan("twin")} == found.keys()
        for name, digest in found.values():
            blob = blobs.open(name)
            assert hashlib.sha256(blob.pread(0, blob.size)).hexdigest() == digest
            blob.close()
        total = int(reader.get("total", ("all",)) or b"0")
        assert total >= sum(next_number.values())
        return len(found)
    finally:
        records.close()


@pytest.mark.parametrize("kind", ["kill", "power cut"])
def test_what_was_acknowledged_is_there_and_nothing_is_partial(tmp_path: Path, kind: str) -> None:
    data, told = tmp_path / "data", tmp_path / "told"
    data.mkdir()
    chosen = random.Random()
    rows = 0
    for start in range(ROUNDS):
        environment = power_cut.environment(data) if kind == "power cut" else dict(os.environ)
        run_and_kill(data, told, start, environment, chosen.uniform(0, 0.6))
        if kind == "power cut":
            power_cut.roll_back(data)
        now = check(data, told)
        assert now > 0
        rows = max(rows, now)
    assert rows > 50


CARELESS = {
    "blobs": "import os; os.fsync = lambda file: None",
    "records": """
from freehold.storage import database, sqlite
def connect(*arguments, **options):
    connection = database.connect(*arguments, **options)
    connection.pragma("synchronous", "OFF")
    return connection
sqlite.connect = connect
""",
}


@pytest.mark.parametrize("which", CARELESS)
def test_this_test_notices_a_missing_sync(tmp_path: Path, which: str) -> None:
    data, told = tmp_path / "data", tmp_path / "told"
    data.mkdir()
    (tmp_path / "sitecustomize.py").write_text(CARELESS[which])
    environment = power_cut.environment(data)
    run_and_kill(data, told, 0, environment | {"PYTHONPATH": str(tmp_path)}, 0.1)
    power_cut.roll_back(data)
    with pytest.raises((AssertionError, CorruptBlob, CorruptRecord)):
        check(data, told)

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from freehold.storage.locks import DirectoryHeld, TurnLock, hold_directory

ALTERNATE = """
import sys
from pathlib import Path
from freehold.storage.locks import TurnLock
lock = TurnLock(Path(sys.argv[1]))
log = open(Path(sys.argv[1]) / "log", "ab", buffering=0)
print(flush=True)
sys.stdin.readline()
for _ in range(200):
    with lock:
        log.write(sys.argv[2].encode())
        for _ in range(2000):
            pass
"""

HOLD = """
import sys, time
from pathlib import Path
from freehold.storage.locks import TurnLock, hold_directory
lock = TurnLock(Path(sys.argv[1])) if sys.argv[2] == "turn" else hold_directory(Path(sys.argv[1]))
lock.__enter__()
print(flush=True)
time.sleep(60)
"""


def start(program: str, *arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"\n"
    return process


def test_two_processes_take_turns(tmp_path: Path) -> None:
    processes = [start(ALTERNATE, tmp_path, name) for name in "ab"]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in processes:
        process.communicate()
        assert process.returncode == 0
    log = (tmp_path / "log").read_bytes()
    assert len(log) == 400
    # While both run, neither works many times in a row (without turns the runs are hundreds long).
    both = log[log.index(b"b") if log[:1] == b"a" else log.index(b"a") :][:200]
    longest = max(len(run) for run in both.replace(b"ab", b"a b").replace(b"ba", b"b a").split())
    assert longest < 60, log


def test_the_lock_excludes_other_instances_and_threads(tmp_path: Path) -> None:
    one, other = TurnLock(tmp_path), TurnLock(tmp_path)
    inside = 0
    most = 0

    def work(lock: TurnLock) -> None:
        nonlocal inside, most
        for _ in range(100):
            with lock:
                inside += 1
                most = max(most, inside)
                time.sleep(0)
                inside -= 1

    threads = [threading.Thread(target=work, args=(lock,)) for lock in (one, one, other)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    one.close()
    other.close()


def test_a_killed_holder_frees_the_lock(tmp_path: Path) -> None:
    holder = start(HOLD, tmp_path, "turn")
    entered = threading.Event()
    lock = TurnLock(tmp_path)

    def enter() -> None:
        with lock:
            entered.set()

    thread = threading.Thread(target=enter)
    thread.start()
    assert not entered.wait(0.1)
    holder.send_signal(signal.SIGKILL)
    assert entered.wait(10)
    thread.join()
    holder.communicate()
    lock.close()


def test_a_held_directory_is_refused_until_its_holder_is_gone(tmp_path: Path) -> None:
    holder = start(HOLD, tmp_path, "directory")
    with pytest.raises(DirectoryHeld, match="another server"):
        hold_directory(tmp_path)
    holder.kill()
    holder.communicate()
    hold_directory(tmp_path).release()


def test_a_released_directory_can_be_held_again(tmp_path: Path) -> None:
    with hold_directory(tmp_path) as hold, pytest.raises(DirectoryHeld):
        hold_directory(tmp_path)
    hold.release()
    hold_directory(tmp_path).release()


def test_a_worker_that_outlives_its_supervisor_keeps_the_directory(tmp_path: Path) -> None:
    hold = hold_directory(tmp_path)
    end, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(go)
        os.read(end, 1)
        os._exit(0)
    os.close(end)
    hold.release()
    with pytest.raises(DirectoryHeld):
        hold_directory(tmp_path)
    os.close(go)
    os.waitpid(child, 0)
    hold_directory(tmp_path).release()

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from freehold.storage.locks import DirectoryHeld, TurnLock, hold_directory

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
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"\n"
    return process


def wait_for_a_waiter(directory: Path) -> None:
    file = os.open(directory / "write-turn.lock", os.O_RDWR)
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            fcntl.flock(file, fcntl.LOCK_UN)
            time.sleep(0.001)
    finally:
        os.close(file)


def test_who_releases_the_lock_comes_after_who_waited(tmp_path: Path) -> None:
    mine, other = TurnLock(tmp_path), TurnLock(tmp_path)
    had: list[int] = []

    def enter(number: int) -> None:
        with other:
            had.append(number)

    for number in range(20):
        mine.__enter__()
        thread = threading.Thread(target=enter, args=(number,))
        thread.start()
        wait_for_a_waiter(tmp_path)
        mine.__exit__()
        with mine:
            assert had[-1:] == [number]
        thread.join()
    mine.close()
    other.close()


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

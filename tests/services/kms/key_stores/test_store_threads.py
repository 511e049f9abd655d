"""Threads that wait for a store: bounded in number, time and queue, and never waited for at the end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from freehold.services.kms.stores.threads import MOST_WAITING, Busy, Threads


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hangs until the test is over."""
    event = threading.Event()
    yield event
    event.set()


def test_what_takes_too_long_is_given_up_and_never_begins_later(gate: threading.Event) -> None:
    threads, begun = Threads("test", 1), []
    threads.submit(gate.wait)
    with pytest.raises(TimeoutError):
        threads.wait(lambda: begun.append(1), 0.05)
    gate.set()
    assert threads.wait(lambda: "done", 5) == "done"
    assert begun == []


def test_others_threads_go_on(gate: threading.Event) -> None:
    stuck, free = Threads("stuck", 1), Threads("free", 1)
    stuck.submit(gate.wait)
    assert free.wait(lambda: 1, 5) == 1


def test_too_much_waiting_is_refused(gate: threading.Event) -> None:
    threads = Threads("test", 1)
    for _ in range(MOST_WAITING):
        threads.submit(gate.wait)
    with pytest.raises(Busy):
        threads.submit(gate.wait)


def test_a_thread_that_is_asked_from_itself_doesnt_wait_for_itself() -> None:
    threads = Threads("test", 1)
    assert threads.wait(lambda: threads.wait(lambda: "inner", 1), 5) == "inner"


def test_errors_come_back_and_the_thread_goes_on() -> None:
    threads = Threads("test", 1)

    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        threads.wait(fail, 5)
    with pytest.raises(KeyError):
        asyncio.run(threads.run(fail, 5))
    assert asyncio.run(threads.run(lambda: 2, 5)) == 2


def test_a_works_own_timeout_is_its_error() -> None:
    def late() -> None:
        raise TimeoutError("its own")

    with pytest.raises(TimeoutError, match="its own"):
        Threads("test", 1).wait(late, 5)


def test_no_more_threads_than_allowed(gate: threading.Event) -> None:
    threads = Threads("counted-threads", 3)
    for _ in range(20):
        threads.submit(gate.wait)
    time.sleep(0.05)
    assert sum(thread.name == "counted-threads" for thread in threading.enumerate()) == 3


def test_nothing_begins_after_the_end() -> None:
    threads = Threads("test", 1)
    threads.wait(lambda: None, 5)
    threads.close()
    with pytest.raises(Busy):
        threads.submit(lambda: None)


def test_a_process_ends_though_a_thread_hangs() -> None:
    code = (
        "import time; from freehold.services.kms.stores.threads import Threads; "
        "Threads('hanging', 1).submit(lambda: time.sleep(600)); time.sleep(0.1)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)

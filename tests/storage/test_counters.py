from __future__ import annotations

import os
import signal

import pytest

from freehold.clock import Clock
from freehold.storage.counters import SharedCounters


def in_child(work) -> int:
    """Run `work` in a forked process; its exit status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


def test_a_counter_is_odd_while_a_commit_is_under_way_and_never_repeats() -> None:
    counters = SharedCounters()
    seen = {counters.read("iam")}
    for _ in range(5):
        counters.begin({"iam"})
        assert counters.read("iam") % 2 == 1
        seen.add(counters.read("iam"))
        counters.end({"iam"})
        assert counters.read("iam") % 2 == 0
        seen.add(counters.read("iam"))
    assert len(seen) == 11
    assert counters.read("kms") == 0


def test_a_domain_that_was_not_named_is_refused() -> None:
    with pytest.raises(KeyError):
        SharedCounters().read("nothing")


def test_processes_forked_later_share_the_counters() -> None:
    counters = SharedCounters()
    assert in_child(lambda: (counters.begin({"kms"}), counters.end({"kms"}))) == 0
    assert counters.read("kms") == 2


def test_repair_ends_what_a_dead_process_had_begun() -> None:
    counters = SharedCounters()
    assert in_child(lambda: (counters.begin({"kms"}), os.kill(os.getpid(), signal.SIGKILL))) == signal.SIGKILL
    assert counters.read("kms") == 1
    counters.repair()
    assert counters.read("kms") == 2
    counters.repair()
    assert counters.read("kms") == 2
    assert counters.read("iam") == 0


def test_beginning_what_a_dead_process_had_begun_still_ends_elsewhere() -> None:
    counters = SharedCounters()
    counters.begin({"kms"})
    counters.begin({"kms"})
    assert counters.read("kms") == 1
    counters.end({"kms"})
    assert counters.read("kms") == 2


def test_the_clock_is_moved_for_all_processes() -> None:
    counters = SharedCounters()
    clock = Clock(counters.offset, movable=True)
    before = clock.now_seconds()
    assert in_child(lambda: clock.advance(86_400)) == 0
    assert 86_400 <= clock.now_seconds() - before < 86_460
    assert counters.offset.get() == 86_400


def test_no_move_of_the_clock_is_lost() -> None:
    counters = SharedCounters()

    def add() -> None:
        for _ in range(2000):
            counters.offset.add(1)

    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            add()
            os._exit(0)
        children.append(child)
    add()
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    assert counters.offset.get() == 8000

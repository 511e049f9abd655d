"""What keeps secrets in this process's memory from being written to a disk: no core dumps, and no swap where that is
permitted. Refuses nothing: what could not be had is said in the status (`freehold root-key status`).
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from pathlib import Path
from typing import Final, NamedTuple

_PR_SET_DUMPABLE: Final = 4
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4
_CAP_IPC_LOCK: Final = 14


class Locking(NamedTuple):
    locked: bool
    remark: str


_state = Locking(False, "memory was not locked in this process")


def protect() -> None:
    """Forbid core dumps of this process and lock its memory. Once per process: children don't inherit the lock."""
    global _state
    if sys.platform != "linux":
        _state = Locking(False, "memory is locked on Linux only; encrypt the swap")
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    # Beyond a finite limit allocations would fail one day, in the middle of work.
    if not _may_lock_all():
        _state = Locking(False, f"locking memory needs CAP_IPC_LOCK or LimitMEMLOCK=infinity; {_about_swap()}")
        return
    # Pages are locked as they are first used: what is only reserved costs nothing.
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT):
        _state = Locking(False, f"memory could not be locked: {os.strerror(ctypes.get_errno())}; {_about_swap()}")
        return
    _state = Locking(True, "memory is locked: nothing of it is swapped")


def locking() -> Locking:
    """Whether this process's memory is kept out of the swap, and a sentence about it."""
    return _state


def _may_lock_all() -> bool:
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] == resource.RLIM_INFINITY:
        return True
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> _CAP_IPC_LOCK & 1)
    except OSError:
        pass
    return False


def _about_swap() -> str:
    try:
        swapping = len(Path("/proc/swaps").read_text().splitlines()) > 1
    except OSError:
        return "encrypt the swap"
    return "there is swap: encrypt it, or turn it off" if swapping else "there is no swap now"

"""Locks between processes, on files: the writers' turn and the hold on a data directory. The kernel frees what a dead
process held, so no lock is ever stale. Only for a local file system.
"""

from __future__ import annotations

import fcntl
import os
import threading
from pathlib import Path


class DirectoryHeld(Exception):
    """Another server holds the data directory."""


class TurnLock:
    """A fair lock between processes: who releases it and wants it again comes after who was waiting.

    Two files: `turn` is held while waiting for `work`. Whoever has worked must queue for `turn`, which the next one
    holds until `work` is free. Threads that share one are not served in turn; give each its own.
    """

    def __init__(self, directory: Path) -> None:
        self._threads = threading.Lock()
        self._turn = _open(directory / "write-turn.lock")
        self._work = _open(directory / "write.lock")

    def __enter__(self) -> None:
        # A file lock belongs to the open file: it doesn't keep two threads apart.
        self._threads.acquire()
        try:
            fcntl.flock(self._turn, fcntl.LOCK_EX)
            try:
                fcntl.flock(self._work, fcntl.LOCK_EX)
            finally:
                fcntl.flock(self._turn, fcntl.LOCK_UN)
        except BaseException:
            self._threads.release()
            raise

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._work, fcntl.LOCK_UN)
        self._threads.release()

    def close(self) -> None:
        os.close(self._turn)
        os.close(self._work)


class DirectoryHold:
    """A data directory that is ours until `release`, or until the process and its forked children are gone."""

    def __init__(self, file: int) -> None:
        self._file: int | None = file

    def release(self) -> None:
        """Close this process's handle. Children forked while it was open keep the directory until they end."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> DirectoryHold:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def hold_directory(path: Path) -> DirectoryHold:
    """Hold the data directory `path` alone. Raises DirectoryHeld when another process does.

    Workers that are forked afterwards inherit the hold: while one of them lives, no other server can start on the
    directory, even if the supervisor was killed.
    """
    file = _open(path / "server.lock")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise DirectoryHeld(f"another server is using the data directory {path}; stop it first") from None
    return DirectoryHold(file)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

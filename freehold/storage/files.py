"""Blobs as files of one directory: `blobs/<two digits>/<32 digits>`. Owns their names, durability and removal.

A name is 128 random bits in lower-case hexadecimal; anything else is refused before it comes near a path. The content
is the caller's ciphertext: a flipped bit is found by whoever opens it, a missing or short file here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from freehold.storage.blobs import CorruptBlob
from freehold.storage.records import StorageFull

_NAME = re.compile(r"[0-9a-f]{32}")
_FAN = [f"{number:02x}" for number in range(256)]
_UNFINISHED = "unfinished"
WRITE_BACK_BYTES = 8 * 1024 * 1024
"""How much is written before the kernel is asked to begin storing it: less is left for the sync at the end."""
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class FileBlobs:
    """`Blobs` under `directory`, which is made, durably, if need be. Usable from any thread and after a fork.

    With `make=False` nothing is made: for reading what may not be there.
    """

    def __init__(self, directory: Path, *, make: bool = True) -> None:
        self._directory = directory
        if not make:
            return
        directory.mkdir(mode=0o700, exist_ok=True)
        present = set(os.listdir(directory))
        missing = [name for name in (*_FAN, _UNFINISHED) if name not in present]
        for name in missing:
            (directory / name).mkdir(mode=0o700, exist_ok=True)
        if missing:
            _sync(directory)
            _sync(directory.parent)

    def create(self) -> FileBlobWriter:
        return FileBlobWriter(self._directory)

    def open(self, name: str) -> FileBlobReader:
        """Raises CorruptBlob when there is no such blob, ValueError for what is not a blob's name."""
        try:
            file = os.open(_path(self._directory, name), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            raise CorruptBlob(f"the blob {name} is missing") from None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise CorruptBlob(f"the blob {name} is not a file") from None
            raise
        return FileBlobReader(name, file)

    def delete(self, name: str) -> None:
        """After a power cut the file may be back: then no record names it."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(_path(self._directory, name))

    def list(self) -> Iterator[str]:
        """All names, in order; those that are committed or deleted meanwhile may be missed."""
        for fan in _FAN:
            yield from sorted(name for name in os.listdir(self._directory / fan) if _NAME.fullmatch(name))

    def remove_unfinished(self) -> int:
        """Remove what writers that died left behind, and say how much. Only while no writer can be at work."""
        names = os.listdir(self._directory / _UNFINISHED)
        for name in names:
            os.unlink(self._directory / _UNFINISHED / name)
        return len(names)


class FileBlobWriter:
    """A `BlobWriter`. One that is dropped unfinished is aborted."""

    def __init__(self, directory: Path) -> None:
        self._name = secrets.token_hex(16)
        self._path = f"{directory}/{_UNFINISHED}/{self._name}"
        self._target = _path(directory, self._name)
        self._file: int | None = None
        self._size = self._stored = 0
        with _room():
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Raises StorageFull when there is no room; then only `abort` is left to do."""
        if self._file is None:
            raise ValueError("the blob is finished")
        with _room():
            written = os.write(self._file, data)
            if written < len(data):  # of a piece beyond 2 GiB, or at the end of the room
                rest = memoryview(data)[written:]
                while rest:
                    rest = rest[os.write(self._file, rest) :]
        self._size += len(data)
        if self._size - self._stored >= WRITE_BACK_BYTES:
            # On Linux this begins to write what is dirty, and forgets only what is stored already.
            os.posix_fadvise(self._file, self._stored, self._size - self._stored, os.POSIX_FADV_DONTNEED)
            self._stored = self._size

    def commit(self) -> str:
        if self._file is None:
            raise ValueError("the blob is finished")
        with _room():
            os.fsync(self._file)
            os.close(self._file)
            self._file = None
            try:
                os.rename(self._path, self._target)
                _sync(os.path.dirname(self._target))
            except BaseException:
                self._remove()
                raise
        return self._name

    def abort(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
            self._remove()

    def _remove(self) -> None:
        for path in (self._path, self._target):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def __del__(self) -> None:
        self.abort()


class FileBlobReader:
    """A `BlobReader`. A deleted blob stays readable until it is closed."""

    def __init__(self, name: str, file: int) -> None:
        self._name = name
        self._file: int | None = file
        self.size = os.fstat(file).st_size

    def pread(self, offset: int, length: int) -> bytes:
        if self._file is None:
            raise ValueError("the blob is closed")
        data = os.pread(self._file, length, offset)
        while len(data) < length:  # one call gives at most 2 GiB
            more = os.pread(self._file, length - len(data), offset + len(data))
            if not more:
                raise CorruptBlob(f"the blob {self._name} ends at byte {offset + len(data)}, too early")
            data += more
        return data

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __del__(self) -> None:
        self.close()


def _path(directory: Path, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("not a blob's name")
    return f"{directory}/{name[:2]}/{name}"


@contextlib.contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StorageFull("there is no room for the blob") from error
        raise


def _sync(directory: str | Path) -> None:
    file = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)

"""Blobs: ciphertext by opaque name. The interface; engines are in their own files. Never sees plaintext.

A blob is written once, becomes visible and durable by `commit`, and is then only read or deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class CorruptBlob(Exception):
    """A blob is missing or shorter than its record says."""


class BlobWriter(Protocol):
    """`write` and `commit` raise StorageFull when there is no room."""

    def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def commit(self) -> str:
        """Make it durable (file and directory synced) and return its name."""
        ...

    def abort(self) -> None:
        """Leave nothing behind. Harmless after `commit` or another `abort`."""
        ...


class BlobReader(Protocol):
    size: int

    def pread(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes. Raises CorruptBlob when the blob ends before."""
        ...

    def close(self) -> None: ...


class Blobs(Protocol):
    def create(self) -> BlobWriter: ...
    def open(self, name: str) -> BlobReader:
        """Raises CorruptBlob when there is no such blob."""
        ...

    def delete(self, name: str) -> None:
        """Harmless when there is no such blob."""
        ...

    def list(self) -> Iterator[str]: ...

"""Records: an ordered key-value store with serializable transactions. The interface; engines are in their own files.

Keys are tuples of text and integers (0 to 2**63-1), ordered part by part, text by its UTF-8 bytes. Values are bytes
here; `Table` gives them a type. Engines see sealed values only: what they hand back was authenticated under its
table and key, so a row that was altered, or moved to another key, raises `CorruptRecord` instead of being returned.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from itertools import chain
from typing import Any, Final, Generic, Protocol, TypeVar
from zlib import crc32

import msgspec

Key = tuple[str | int, ...]
T = TypeVar("T")
R = TypeVar("R", bound=msgspec.Struct)

DOMAINS = ("iam", "kms", "s3", "organizations", "accounts", "endpoints")
"""What caches depend on: each has a change counter (see `cache.py`)."""

PARTS: Final = 1024
_PARTS_OF: Final = {domain: tuple(f"{domain}/{number}" for number in range(PARTS)) for domain in ("kms",)}
"""Domains whose rows are about many things that change one by one: a change drops what is kept of its part alone."""

COUNTED: Final = (*DOMAINS, *chain.from_iterable(_PARTS_OF.values()))
"""All that has a change counter."""


def part(domain: str, name: str) -> str:
    """The part of a domain in which `name` is; the same in every process."""
    return _PARTS_OF[domain][crc32(name.encode()) % PARTS]


def moved_with(domain: str) -> Sequence[str]:
    """What moves when a domain, or a part of one, is touched: a domain with all of its parts, a part with its domain.

    So a value that is kept under a domain depends on all rows of it; one that is kept under a part depends on the rows
    of that part, and on those of the domain's tables that have no parts.
    """
    whole, slash, _ = domain.partition("/")
    return (domain, whole) if slash else (domain, *_PARTS_OF.get(domain, ()))


class CorruptRecord(Exception):
    """A stored value is not what was written there. Names the table, never the content."""


class StorageFull(Exception):
    """There is no room; nothing of the transaction was kept."""


class Reader(Protocol):
    """A view of the records."""

    def get(self, table: str, key: Key) -> bytes | None: ...

    def scan(
        self,
        table: str,
        prefix: Key = (),
        *,
        text: str = "",
        after: Key | None = None,
        after_text: str | None = None,
        reverse: bool = False,
        limit: int | None = None,
    ) -> Iterator[tuple[Key, bytes]]:
        """Rows whose key begins with the parts `prefix`, in key order.

        `text`: only where the part after `prefix` is text that begins so. `after`: only whole keys beyond this one.
        `after_text`: only beyond all keys whose part after `prefix` begins so (to skip a common prefix).
        `reverse`: from the end, `after` then means before. `limit`: at most so many rows.
        """
        ...


class Transaction(Reader, Protocol):
    """A view that writes; it sees its own writes. All or nothing, durable when `Records.submit`'s future is done."""

    def put(self, table: str, key: Key, value: bytes) -> None: ...
    def delete(self, table: str, key: Key) -> None: ...

    def erase(self, table: str, key: Key) -> None:
        """Delete, and leave no copy of the row in the engine's files once this is durable. For key material; slow."""
        ...

    def touch(self, domain: str) -> None:
        """The change counter of a domain, or of a part of one, moves when this commits, before anyone is told that it
        did. See `moved_with`."""
        ...

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run `action` once this is durable (never if it isn't). It must be quick and must not raise."""
        ...


class Records(Protocol):
    def reader(self) -> Reader:
        """The calling thread's view of all that is committed; each call on it sees the newest state."""
        ...

    def submit(self, work: Callable[[Transaction], T]) -> Future[T]:
        """Run `work` on the writer, one at a time across all processes; its future is done when that is durable.

        An exception from `work` undoes its own writes alone and is the future's exception. Works submitted close
        together share one commit.
        """
        ...

    def submit_async(self, work: Callable[[Transaction], T]) -> asyncio.Future[T]:
        """As `submit`, for a coroutine to await: the future belongs to the running loop."""
        ...

    def close(self) -> None: ...


DECLARED: Final[dict[str, Table[Any]]] = {}
"""The typed tables of the modules that were imported, by name; of two that read the same rows, the first."""


class Table(Generic[R]):
    """A typed table: `R` is a msgspec Struct, stored as MessagePack. A write touches `domain` when one is named: always
    the same, or the part that it says for the row's key."""

    def __init__(self, name: str, record: type[R], *, domain: str | Callable[[Key], str] | None = None) -> None:
        self.name = name
        self.domain = domain
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode: Callable[[bytes], R] = msgspec.msgpack.Decoder(record).decode
        DECLARED.setdefault(name, self)

    def decoded(self, value: bytes) -> R:
        """The record that a value is. Raises msgspec.MsgspecError for one of another type."""
        return self._decode(value)

    def get(self, reader: Reader, key: Key) -> R | None:
        value = reader.get(self.name, key)
        return None if value is None else self._decode(value)

    def put(self, transaction: Transaction, key: Key, record: R) -> None:
        transaction.put(self.name, key, self._encode(record))
        self._touch(transaction, key)

    def delete(self, transaction: Transaction, key: Key) -> None:
        transaction.delete(self.name, key)
        self._touch(transaction, key)

    def erase(self, transaction: Transaction, key: Key) -> None:
        """As `Transaction.erase`."""
        transaction.erase(self.name, key)
        self._touch(transaction, key)

    def _touch(self, transaction: Transaction, key: Key) -> None:
        domain = self.domain
        if domain is not None:
            transaction.touch(domain if isinstance(domain, str) else domain(key))

    def scan(self, reader: Reader, prefix: Key = (), **options: Any) -> Iterator[tuple[Key, R]]:
        decode = self._decode
        for key, value in reader.scan(self.name, prefix, **options):
            yield key, decode(value)

"""Taking a body in: read, hashed, sealed and written while the next piece arrives, in memory that doesn't grow.

A small body is sealed into what goes to the records. A larger one goes to a blob, which is durable before the record
that names it is written, and is aborted when anything about the body is wrong: a length, a hash, a checksum, a cut
connection.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, NamedTuple

from freehold.crypto import stream
from freehold.message import BodyStream
from freehold.services.s3 import garbage
from freehold.services.s3.bodies import MOST_INLINE_BYTES
from freehold.services.s3.checksums import ALGORITHMS, Algorithm, Expected, encode, nothing_claimed
from freehold.services.s3.errors import EntityTooLarge, MissingContentLength

if TYPE_CHECKING:
    from freehold.app import App

MOST_BYTES = 5 * 1024**3
"""In one request."""
PIECE_BYTES = 1024 * 1024
"""What is gathered before it is handed to a thread."""


class Taken(NamedTuple):
    """A body that was taken in. Its bytes are in `body` (sealed, for the record) or in the committed blob `blob`."""

    size: int
    md5: bytes | None
    checksum: str
    """Base64."""
    body: bytes
    blob: str

    def drop(self, app: App) -> None:
        """Leave nothing behind of a body whose record won't be written."""
        if self.blob:
            garbage.forget(app, self.blob)


class Digests:
    """The checksums, and MD5 where it is needed, of a body that is being taken in."""

    __slots__ = ("_expected", "_md5", "_running", "size")

    def __init__(self, expected: Expected, *, with_md5: bool) -> None:
        self.size = 0
        self._expected = expected
        self._running = {row.name: row.new() for row in (expected.algorithm, expected.kept)}
        self._md5 = hashlib.md5(usedforsecurity=False) if with_md5 or expected.md5 is not None else None

    @property
    def slow(self) -> bool:
        """Whether computing these costs more than handing a piece to another thread."""
        return self._md5 is not None or any(ALGORITHMS[name].combine is None for name in self._running)

    def update(self, pieces: Iterable[bytes]) -> None:
        updates: list[Callable[[bytes], None]] = [running.update for running in self._running.values()]
        if self._md5 is not None:
            updates.append(self._md5.update)
        for piece in pieces:
            self.size += len(piece)
            for update in updates:
                update(piece)

    def verified(self, trailers: Mapping[str, str]) -> tuple[bytes | None, str]:
        """(MD5 if it was computed, checksum to keep in base64). Raises what `Expected.check` raises."""
        md5 = None if self._md5 is None else self._md5.digest()
        expected = self._expected
        checksum = expected.check(self._running[expected.algorithm.name].digest(), md5, trailers)
        if expected.kept is not expected.algorithm:
            checksum = encode(self._running[expected.kept.name].digest())
        return md5, checksum


class BlobSink:
    """Seals pieces into a new blob. Used by one thread at a time."""

    def __init__(self, app: App, data_key: bytes, context: bytes) -> None:
        self._sealing = stream.StreamSealer(data_key, context)
        self._blob = app.blobs.create()

    def write(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            sealed = self._sealing.update(piece)
            if sealed:
                self._blob.write(sealed)

    def commit(self) -> str:
        """Durable when this returns; the blob's name."""
        self._blob.write(self._sealing.finish())
        return self._blob.commit()

    def abort(self) -> None:
        self._blob.abort()


async def take_in(
    app: App, body: BodyStream, data_key: bytes, context: bytes, expected: Expected, *, with_md5: bool, inline: bool
) -> Taken:
    """Take the body in and verify what was said of it. Raises what the stream raises, BadDigest, EntityTooLarge.

    `with_md5`: the ETag needs it; it is also computed for Content-MD5. `inline`: small bodies stay out of the blobs.
    """
    if body.length is None:
        raise MissingContentLength
    if body.length > MOST_BYTES:
        raise EntityTooLarge(ProposedSize=str(body.length), MaxSizeAllowed=str(MOST_BYTES))
    digests = Digests(expected, with_md5=with_md5)
    pieces: list[bytes] = []
    gathered = 0
    while gathered <= MOST_INLINE_BYTES:
        piece = await body.read()
        if not piece:
            break
        pieces.append(piece)
        gathered += len(piece)
    if inline and gathered <= MOST_INLINE_BYTES:
        digests.update(pieces)
        md5, checksum = digests.verified(body.trailers)
        return Taken(digests.size, md5, checksum, stream.seal(data_key, context, b"".join(pieces)), "")
    return await _to_blob(app, body, BlobSink(app, data_key, context), digests, pieces, gathered)


async def _to_blob(
    app: App,
    body: BodyStream,
    sink: BlobSink,
    digests: Digests,
    pieces: list[bytes],
    gathered: int,
) -> Taken:
    # A piece is sealed and hashed while the next one arrives, in two threads where hashing is the slower of the two.
    under_way: tuple[Future[None], ...] = ()
    try:
        while True:
            piece = await body.read()
            if piece:
                pieces.append(piece)
                gathered += len(piece)
            if pieces and (gathered >= PIECE_BYTES or not piece):
                await _done(under_way)
                if digests.slow:
                    under_way = (app.pool.submit(sink.write, pieces), app.pool.submit(digests.update, pieces))
                else:
                    under_way = (app.pool.submit(_write, sink, digests, pieces),)
                pieces, gathered = [], 0
            if not piece:
                break
        await _done(under_way)
        md5, checksum = digests.verified(body.trailers)
        committing = app.pool.submit(sink.commit)
        try:
            name = await asyncio.wrap_future(committing)
        except asyncio.CancelledError:
            committing.add_done_callback(lambda done: None if done.exception() else garbage.forget(app, done.result()))
            raise
    except BaseException:
        _abort(app, sink, under_way)
        raise
    return Taken(digests.size, md5, checksum, b"", name)


def _write(sink: BlobSink, digests: Digests, pieces: list[bytes]) -> None:
    digests.update(pieces)
    sink.write(pieces)


async def _done(under_way: tuple[Future[None], ...]) -> None:
    for future in under_way:
        await asyncio.wrap_future(future)


def _abort(app: App, sink: BlobSink, under_way: tuple[Future[None], ...]) -> None:
    """Abort once no thread writes to the blob any longer."""
    if under_way and not under_way[0].done():
        under_way[0].add_done_callback(lambda _: sink.abort())
    else:
        sink.abort()


def copy_in(
    app: App,
    pieces: Iterable[bytes],
    data_key: bytes,
    context: bytes,
    algorithm: Algorithm,
    *,
    size: int,
    with_md5: bool,
    inline: bool,
) -> Taken:
    """As `take_in`, of `size` bytes that are here already (a copy's source). Synchronous: for a thread of the pool."""
    digests = Digests(nothing_claimed(algorithm), with_md5=with_md5)
    if inline and size <= MOST_INLINE_BYTES:
        whole = b"".join(pieces)
        digests.update((whole,))
        body, blob = stream.seal(data_key, context, whole), ""
    else:
        sink = BlobSink(app, data_key, context)
        try:
            for piece in pieces:
                digests.update((piece,))
                sink.write((piece,))
            body, blob = b"", sink.commit()
        except BaseException:
            sink.abort()
            raise
    md5, checksum = digests.verified({})
    return Taken(digests.size, md5, checksum, body, blob)

"""`VerifiedBody`: the body of a request as a stream that verifies what authentication left to verify.

Unsigned, one hash over everything, or aws-chunked. Bytes under a single hash are released before the end is known to
be right: whoever takes them keeps them only once `read` has returned `b""`. That hash is computed in `executor`'s
threads for large bodies, in order and behind the reader, with at most a few MiB waiting.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from freehold.authentication.payload import Payload
from freehold.authentication.sigv4 import ContentMismatch
from freehold.errors import AwsError, aws_error
from freehold.message import Request
from freehold.transport.chunked import ChunkDecoder, IncompleteBody

if TYPE_CHECKING:
    from hashlib import _Hash

HASH_BATCH_BYTES: Final = 512 * 1024
"""How much is handed to a thread at once: a hand-over costs about what hashing 64 KiB does."""
MOST_WAITING_BYTES: Final = 8 * 1024 * 1024

MaxMessageLengthExceeded = aws_error("MaxMessageLengthExceeded", 400, "Your request was too big.")


class VerifiedBody:
    """freehold.message.BodyStream. Use `verified_body` to make one."""

    def __init__(self, request: Request, payload: Payload, executor: Executor | None = None) -> None:
        self.trailers: dict[str, str] = {}
        declared = request.headers.get("content-length", "")
        self._wire_length = int(declared) if declared.isascii() and declared.isdigit() and len(declared) < 16 else None
        self._arrived = 0
        self._receive = _buffered(request.body) if request.receive is None else request.receive
        self._decoder = ChunkDecoder(payload) if payload.kind == "chunks" else None
        self._hash = _OrderedHash(executor) if payload.kind == "sha256" else None
        self._expected = payload.sha256
        self._ready: deque[bytes] = deque()
        self._ended = False
        self._refused: AwsError | None = None
        self.length = payload.decoded_length if self._decoder is not None else self._wire_length
        if request.receive is None and self._decoder is None:
            self.length = len(request.body)
            self._wire_length = None

    async def read(self) -> bytes:
        """The next piece, `b""` once all of it has come and is right. Once it has raised, it raises always."""
        if self._refused is not None:
            raise self._refused
        try:
            return await self._read()
        except BaseException as error:
            self._refused = error if isinstance(error, AwsError) else IncompleteBody()
            raise

    async def _read(self) -> bytes:
        ready = self._ready
        while not ready:
            if self._ended:
                return b""
            piece = await self._receive()
            self._arrived += len(piece)
            if not piece:
                await self._finish()
                return b""
            if self._wire_length is not None and self._arrived > self._wire_length:
                raise IncompleteBody
            if self._decoder is not None:
                ready.extend(self._decoder.feed(piece))
                continue
            if self._hash is not None:
                await self._hash.update(piece)
            return piece
        return ready.popleft()

    async def read_all(self, most_bytes: int) -> bytes:
        """The whole body. Raises MaxMessageLengthExceeded beyond `most_bytes`, keeping no more than that."""
        if self.length is not None and self.length > most_bytes:
            raise MaxMessageLengthExceeded(MaxMessageLengthBytes=str(most_bytes))
        pieces, size = [], 0
        while piece := await self.read():
            size += len(piece)
            if size > most_bytes:
                raise MaxMessageLengthExceeded(MaxMessageLengthBytes=str(most_bytes))
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def _finish(self) -> None:
        if self._wire_length is not None and self._arrived != self._wire_length:
            raise IncompleteBody
        if self._decoder is not None:
            self._decoder.finish()
            self.trailers = self._decoder.trailers
        if self._hash is not None:
            computed = await self._hash.hexdigest()
            if not compare_digest(computed, self._expected):
                raise ContentMismatch(ClientComputedContentSHA256=self._expected, S3ComputedContentSHA256=computed)
        self._ended = True


def verified_body(request: Request, payload: Payload, executor: Executor | None = None) -> VerifiedBody:
    """The body of an authenticated request: `payload` as `authenticate` returned it."""
    return VerifiedBody(request, payload, executor)


def _buffered(body: bytes) -> Callable[[], Awaitable[bytes]]:
    pieces = [body] if body else []

    async def receive() -> bytes:
        return pieces.pop() if pieces else b""

    return receive


class _OrderedHash:
    """SHA-256 of pieces in order: batches go to a thread one after the other, what is left at the end is done here."""

    def __init__(self, executor: Executor | None) -> None:
        self._executor = executor
        self._hash: _Hash = sha256()
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._running: asyncio.Future[None] | None = None

    async def update(self, piece: bytes) -> None:
        if self._executor is None:
            self._hash.update(piece)
            return
        self._waiting.append(piece)
        self._waiting_bytes += len(piece)
        running = self._running
        if running is not None and (running.done() or self._waiting_bytes >= MOST_WAITING_BYTES):
            self._running = None
            await running
            running = None
        if running is None and self._waiting_bytes >= HASH_BATCH_BYTES:
            batch, self._waiting, self._waiting_bytes = self._waiting, [], 0
            self._running = asyncio.get_running_loop().run_in_executor(self._executor, _hash_all, self._hash, batch)

    async def hexdigest(self) -> str:
        if self._running is not None:
            await self._running
        if self._executor is not None and self._waiting_bytes >= HASH_BATCH_BYTES:
            await asyncio.get_running_loop().run_in_executor(self._executor, _hash_all, self._hash, self._waiting)
        else:
            _hash_all(self._hash, self._waiting)
        return self._hash.hexdigest()


def _hash_all(running: _Hash, pieces: list[bytes]) -> None:
    for piece in pieces:
        running.update(piece)

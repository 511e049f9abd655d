"""One request on a connection, and its answer: the body as it arrives, the response as bytes, with backpressure."""

from __future__ import annotations

import asyncio
import http
import time
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from freehold.message import OutStream, Request, Response

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from freehold.transport.http import HttpProtocol

HIGH_WATER_BYTES = 1024 * 1024
SENT_AT_ONCE_BYTES = 1024 * 1024
"""Of a stream: what a thread makes before it hands over. A hand-over costs about what opening 256 KiB does."""
LINGER_SECONDS = 2

STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in http.HTTPStatus}


class Serve(Protocol):
    """What the transport calls: the pipeline."""

    pool: Executor

    async def serve(self, request: Request) -> Response: ...


class Disconnected(Exception):
    """The client went away in the middle of its request."""


class Exchange:
    """One request and its answer on a connection."""

    __slots__ = (
        "answered",
        "buffered",
        "complete",
        "connection",
        "disconnected",
        "expects_continue",
        "keep_alive",
        "pieces",
        "request",
        "waiter",
    )

    def __init__(self, connection: HttpProtocol, request: Request, keep_alive: bool) -> None:
        self.connection = connection
        self.request = request
        self.keep_alive = keep_alive
        self.pieces: deque[bytes] = deque()
        self.buffered = 0
        self.complete = False
        self.answered = False
        self.disconnected = False
        self.expects_continue = False
        self.waiter: asyncio.Future[None] | None = None

    @property
    def waits_for_body(self) -> bool:
        return not self.complete

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def disconnect(self) -> None:
        self.disconnected = True
        self.wake()

    async def receive(self) -> bytes:
        """The body's next piece as it came, `b""` at its end. Raises Disconnected when the client went away."""
        if self.expects_continue:
            self.expects_continue = False
            if self.disconnected:
                raise Disconnected
            self.connection.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not self.pieces:
            if self.complete:
                return b""
            if self.disconnected:
                raise Disconnected
            self.waiter = self.connection.loop.create_future()
            await self.waiter
            self.waiter = None
        piece = self.pieces.popleft()
        self.buffered -= len(piece)
        connection = self.connection
        if connection.reading_paused and self.buffered <= HIGH_WATER_BYTES // 2 and not connection.waiting:
            connection.reading_paused = False
            if not connection.transport.is_closing():
                connection.transport.resume_reading()
        return piece

    async def run(self) -> None:
        try:
            response = await self.connection.pipeline.serve(self.request)
        except Disconnected:
            self.connection.transport.abort()
            return
        except BaseException:
            self.connection.transport.abort()
            raise
        self.answered = True
        self.pieces.clear()
        if self.disconnected or self.connection.transport.is_closing():
            await self._drop(response)
            return
        unread = not self.complete
        if unread:
            self.keep_alive = False
        await self._write(response)
        if unread:
            await self._let_the_client_finish()
        self.connection.finished(self)

    async def _drop(self, response: Response) -> None:
        """Let go of an answer that nobody waits for any longer."""
        connection = self.connection
        if not isinstance(response.body, bytes):
            await connection.loop.run_in_executor(connection.pipeline.pool, response.body.close)
        connection.finished(self)

    async def _let_the_client_finish(self) -> None:
        """Drop what still arrives for a moment: closing on unread data would make the kernel discard the answer."""
        connection = self.connection
        if self.expects_continue:
            return
        if connection.reading_paused:
            connection.reading_paused = False
            connection.transport.resume_reading()
        until = time.monotonic() + LINGER_SECONDS
        while not (self.complete or self.disconnected) and time.monotonic() < until:
            await asyncio.sleep(0.02)

    async def _write(self, response: Response) -> None:
        connection = self.connection
        transport = connection.transport
        body = response.body
        parts = [
            STATUS_LINES.get(response.status) or b"HTTP/1.1 %d Unknown\r\n" % response.status,
            _header_lines(response.headers),
        ]
        has_length = any(name in ("content-length", "Content-Length") for name, _ in response.headers)
        if not has_length and response.status not in (204, 304):
            parts.append(b"content-length: %d\r\n" % (len(body) if isinstance(body, bytes) else body.length))
        for raw_name, raw_value in connection.state.default_headers:
            parts.append(b"%b: %b\r\n" % (raw_name, raw_value))
        if not self.keep_alive or (connection.closing and not connection.waiting):
            self.keep_alive = False
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        head_only = self.request.method == "HEAD" or response.status in (204, 304)
        if isinstance(body, bytes):
            if not head_only:
                parts.append(body)
            transport.write(b"".join(parts))
            if connection.can_write is not None:
                # Else a client that sends requests and takes no answers would fill the memory with them.
                await connection.can_write
            return
        try:
            transport.write(b"".join(parts))
            if not head_only:
                await self._write_stream(body)
        finally:
            await connection.loop.run_in_executor(connection.pipeline.pool, body.close)

    async def _write_stream(self, body: OutStream) -> None:
        """Send a stream; each next piece is made in a thread while the one before it goes out."""
        connection = self.connection
        transport = connection.transport
        pool, loop = connection.pipeline.pool, connection.loop
        chunks = iter(body.chunks())
        left = body.length
        following = loop.run_in_executor(pool, _gathered, chunks)
        try:
            while True:
                pieces, size = await following
                if not pieces:
                    break
                following = loop.run_in_executor(pool, _gathered, chunks)
                left -= size
                transport.writelines(pieces)
                if connection.can_write is not None:
                    await connection.can_write
                if self.disconnected or transport.is_closing():
                    await following
                    return
        except Exception:
            # What was promised cannot be sent: only cutting the connection tells the client so.
            left = -1
        if left != 0:
            transport.abort()


def _gathered(chunks: Iterator[bytes]) -> tuple[list[bytes], int]:
    """The next pieces of a stream and how long they are together; none at its end."""
    pieces, size = [], 0
    for piece in chunks:
        pieces.append(piece)
        size += len(piece)
        if size >= SENT_AT_ONCE_BYTES:
            break
    return pieces, size


def _header_lines(headers: list[tuple[str, str]]) -> bytes:
    text = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if text.isascii() and text.count("\r") == text.count("\n") == len(headers) and "\0" not in text:
        return text.encode()
    return b"".join([_header_line(name, value) for name, value in headers])


def _header_line(name: str, value: str) -> bytes:
    line = f"{name}: {value}\r\n"
    if line.count("\r") != 1 or line.count("\n") != 1 or "\0" in line:
        # A header value with a line break would let stored data write headers of its own.
        return f"{name}: {''.join(c for c in value if c >= ' ')}\r\n".encode("latin-1", "replace")
    try:
        return line.encode("latin-1")
    except UnicodeEncodeError:
        return line.encode("utf-8")

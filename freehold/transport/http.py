"""HTTP/1.1 on a connection: bytes to `Request`, `Response` to bytes, within limits.

Parsing is httptools' (llhttp); sockets, TLS, signals and the server's life are uvicorn's, for which this is the
`http` protocol class. There is no ASGI message in between: a request is handed to `Pipeline.serve` as soon as its
headers are complete, or with its body when that is small (`docs/decisions/0002-transport.md` has the measurements).

Refused here, before anything else sees it: header blocks over 64 KiB or 200 fields, request targets over 16 KiB,
repeated Host or Content-Length, upgrades, headers or bodies that stop arriving, answers that nobody takes.
"""

from __future__ import annotations

import asyncio
import fcntl
import sys
import termios
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import httptools

from freehold.message import Request
from freehold.transport.exchange import HIGH_WATER_BYTES, STATUS_LINES, Exchange, Serve

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

MOST_HEADER_BYTES = 64 * 1024
MOST_VALUE_BYTES = 16 * 1024
"""Of one header. A session token may take 12 KiB."""
MOST_HEADERS = 200
MOST_TARGET_BYTES = 16 * 1024
WHOLE_BODY_BYTES = 64 * 1024
"""Bodies up to this size arrive complete with their request."""
HEADER_SECONDS = 30
IDLE_SECONDS = 75
BODY_IDLE_SECONDS = 60
WRITE_IDLE_SECONDS = 60
"""How long a client may take nothing of an answer that waits for it."""
HANG_UP_SECONDS = 0.1

_NAMES: dict[bytes, str] = {}
MOST_KNOWN_NAME_BYTES = 64
_UNREPEATABLE = frozenset(("host", "content-length", "authorization", "x-amz-date", "x-amz-content-sha256"))


async def no_application(scope: Any, receive: Any, send: Any) -> None:
    """What uvicorn is given as its application: requests never come to it."""
    raise NotImplementedError


def _name(raw: bytes) -> str:
    name = _NAMES.get(raw)
    if name is None:
        name = raw.decode("latin-1").lower()
        if len(_NAMES) < 4096 and len(raw) <= MOST_KNOWN_NAME_BYTES:
            _NAMES[raw] = name
    return name


class HttpProtocol(asyncio.Protocol):
    """One connection. Requests on it are answered one after the other, pipelined ones included."""

    pipeline: Serve

    @classmethod
    def serving(cls, pipeline: Serve) -> type[HttpProtocol]:
        """The protocol class for a uvicorn server whose requests go to `pipeline`."""
        return type("HttpProtocol", (cls,), {"pipeline": pipeline})

    def __init__(
        self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: asyncio.AbstractEventLoop
    ) -> None:
        self.state = server_state
        self.loop = _loop or asyncio.get_event_loop()
        self.transport: asyncio.Transport
        self.parser = httptools.HttpRequestParser(self)
        self.secure = False
        self.tls_version = ""
        self.source_ip = ""
        self.deadline = time.monotonic() + HEADER_SECONDS
        self.closing = False
        self.reading_paused = False
        self.unsent = 0
        self.can_write: asyncio.Future[None] | None = None
        self.exchange: Exchange | None = None
        self.waiting: deque[Exchange] = deque()
        self._begin()

    def _begin(self) -> None:
        self.target = b""
        self.headers: dict[str, str] = {}
        self.header_bytes = 0
        self.incoming: Exchange | None = None

    # --- the connection's life -------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.transport.set_write_buffer_limits(high=HIGH_WATER_BYTES)
        self.secure = transport.get_extra_info("sslcontext") is not None
        session = transport.get_extra_info("ssl_object")
        if session is not None:
            # `TLSv1.3`: conditions compare the number.
            self.tls_version = (session.version() or "").removeprefix("TLSv")
        peer = transport.get_extra_info("peername")
        self.source_ip = peer[0] if isinstance(peer, tuple) else ""
        self.state.connections.add(self)  # type: ignore[arg-type]

    def connection_lost(self, exc: Exception | None) -> None:
        self.state.connections.discard(self)
        self.closing = True
        for exchange in (self.exchange, self.incoming, *self.waiting):
            if exchange is not None:
                exchange.disconnect()
        self.waiting.clear()
        self.resume_writing()

    def shutdown(self) -> None:
        """Stop after the request under way (uvicorn calls this on SIGTERM)."""
        self.closing = True
        if self.exchange is None and self.incoming is None:
            self._hang_up()

    def _hang_up(self) -> None:
        """Close an idle connection without waiting for the client's part in it.

        A TLS transport waits half a minute for the client's close_notify, which an idle client doesn't send. TLS asks
        for no more than ours (RFC 8446 6.1), sent after the answers.
        """
        self.transport.close()
        if self.secure:
            self.loop.call_later(HANG_UP_SECONDS, self._let_go)

    def _let_go(self) -> None:
        """Drop the connection once the client has received what was written to it.

        The TLS transport doesn't tell what the one below it holds, but that fills only behind a full kernel queue.
        """
        if self not in self.state.connections:
            return
        if self.transport.get_write_buffer_size() or _unreceived_bytes(self.transport):
            self.loop.call_later(HANG_UP_SECONDS, self._let_go)
        else:
            self.transport.abort()

    def expire(self, now: float) -> None:
        """Close a connection on which nothing moved for too long; called every few seconds."""
        unsent = self.transport.get_write_buffer_size()
        if unsent != self.unsent:
            self.unsent = unsent
            if unsent:
                self.deadline = now + WRITE_IDLE_SECONDS
        if now < self.deadline:
            return
        if unsent:
            self.transport.abort()
            return
        exchange = self.exchange
        if exchange is None or (exchange.waits_for_body and not self.reading_paused):
            self.transport.abort() if exchange is not None else self._hang_up()

    def pause_writing(self) -> None:
        if self.can_write is None:
            self.can_write = self.loop.create_future()

    def resume_writing(self) -> None:
        if self.can_write is not None:
            if not self.can_write.done():
                self.can_write.set_result(None)
            self.can_write = None

    def eof_received(self) -> bool:
        """A client that half-closes still gets its answer if its request was complete."""
        busy = self.exchange is not None and self.exchange.complete
        self.closing = True
        if not busy and self.exchange is not None:
            self.exchange.disconnect()
        return busy and not self.secure

    def data_received(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(400, "Upgrades are not supported.")
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            if isinstance(cause, _Refused):
                self._refuse(cause.status, str(cause))
            else:
                self._refuse(400, "Bad request.")
        except httptools.HttpParserError:
            self._refuse(400, "This is not an HTTP/1.1 request.")

    def _refuse(self, status: int, text: str) -> None:
        """Answer what cannot be read as a request, after the ones before it, and close."""
        self.closing = True
        if self.incoming is not None:
            self.incoming.disconnect()
        if self.exchange is not None and self.exchange.complete:
            # The request under way is whole: it is answered, and the connection closed after that.
            self.transport.pause_reading()
            return
        if self.exchange is None and not self.transport.is_closing():
            body = text.encode()
            self.transport.write(
                b"%bcontent-type: text/plain\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
                % (STATUS_LINES[status], len(body), body)
            )
        self.transport.close()

    # --- httptools' callbacks --------------------------------------------------------------------------------

    def on_url(self, part: bytes) -> None:
        self.target += part
        if len(self.target) > MOST_TARGET_BYTES:
            raise _Refused(414, "The request target is too long.")

    def on_header(self, raw_name: bytes, value: bytes) -> None:
        self.header_bytes += len(raw_name) + len(value) + 4
        headers = self.headers
        if self.header_bytes > MOST_HEADER_BYTES or len(headers) >= MOST_HEADERS:
            raise _Refused(431, "Your request header section exceeds the maximum allowed size.")
        if len(value) > MOST_VALUE_BYTES:
            raise _Refused(431, "One of your request headers exceeds the maximum allowed size.")
        if self.incoming is not None:
            # A trailer of a chunked body: as a header it would come too late for the signature to cover it.
            return
        name = _name(raw_name)
        text = value.decode("latin-1")
        if name in headers:
            if name in _UNREPEATABLE:
                raise _Refused(400, f"The header {name} was sent more than once.")
            text = f"{headers[name]},{text}"
        headers[name] = text

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            raise _Refused(400, "Upgrades are not supported.")
        headers = self.headers
        target = self.target
        if not target.isascii():
            raise _Refused(400, "The request target must be percent-encoded.")
        path, _, query = target.decode("ascii").partition("?")
        if not path.startswith("/"):
            path = _path_of_absolute(path, headers)
        declared = headers.get("content-length")
        chunked = "transfer-encoding" in headers
        if chunked and declared is not None:
            raise _Refused(400, "Content-Length and Transfer-Encoding exclude each other.")
        length = int(declared) if declared is not None and declared.isdigit() else None
        request = Request(
            self.parser.get_method().decode("ascii"),
            path,
            query,
            headers,
            source_ip=self.source_ip,
            secure=self.secure,
            tls_version=self.tls_version,
        )
        exchange = Exchange(self, request, self.parser.should_keep_alive())
        self.incoming = exchange
        exchange.expects_continue = headers.get("expect", "").lower() == "100-continue"
        if chunked or exchange.expects_continue or (length is not None and length > WHOLE_BODY_BYTES):
            request.receive = exchange.receive
            self.deadline = time.monotonic() + BODY_IDLE_SECONDS
            self._dispatch(exchange)

    def on_body(self, data: bytes) -> None:
        exchange = self.incoming
        if exchange is None or exchange.answered:
            return
        exchange.pieces.append(data)
        if exchange.request.receive is None:
            return
        self.deadline = time.monotonic() + BODY_IDLE_SECONDS
        exchange.buffered += len(data)
        exchange.wake()
        if exchange.buffered > HIGH_WATER_BYTES and not self.reading_paused:
            self.reading_paused = True
            self.transport.pause_reading()

    def on_message_complete(self) -> None:
        exchange = self.incoming
        if exchange is None:
            return
        exchange.complete = True
        if exchange.request.receive is None:
            pieces = exchange.pieces
            if pieces:
                exchange.request.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
                exchange.pieces = deque()
            self._dispatch(exchange)
        else:
            exchange.wake()
        self._begin()

    # --- requests, one after the other -----------------------------------------------------------------------

    def _dispatch(self, exchange: Exchange) -> None:
        if self.exchange is not None:
            self.waiting.append(exchange)
            if not self.reading_paused:
                self.reading_paused = True
                self.transport.pause_reading()
            return
        self.exchange = exchange
        task = self.loop.create_task(exchange.run())
        self.state.tasks.add(task)
        task.add_done_callback(self.state.tasks.discard)

    def finished(self, exchange: Exchange) -> None:
        """The exchange has written its answer: go on with the next one, or close."""
        self.exchange = None
        self.state.total_requests += 1
        if self.transport.is_closing():
            return
        if not exchange.keep_alive or (self.closing and not self.waiting):
            self._hang_up() if self.closing and exchange.complete else self.transport.close()
            return
        self.deadline = time.monotonic() + IDLE_SECONDS
        if self.waiting:
            self._dispatch(self.waiting.popleft())
        if self.reading_paused and not self.waiting:
            self.reading_paused = False
            self.transport.resume_reading()


class _Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def _unreceived_bytes(transport: asyncio.Transport) -> int:
    """What the kernel has taken and the client's has not confirmed."""
    try:
        filled = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
    except OSError:
        return 0
    return int.from_bytes(filled, sys.byteorder)


def _path_of_absolute(target: str, headers: dict[str, str]) -> str:
    """The path of `http://host/path`; its host takes the place of the Host header (RFC 9112 3.2.2)."""
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        if target == "*":
            return "/"
        raise _Refused(400, "The request target must be a path.")
    host, _, path = rest.partition("/")
    headers["host"] = host
    return "/" + path

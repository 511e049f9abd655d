"""HTTP for the metadata service: the standard library's server, with limits; on loopback unless told otherwise.

At most 64 connections, each closed unless a whole request has come within 15 seconds of its beginning or of the answer
before: whoever sends a byte now and then holds no place for longer than whoever sends none.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from freehold.instance_metadata.service import Answer, MetadataService

MOST_CONNECTIONS = 64
REQUEST_SECONDS = 15
"""For a whole request, the wait for it included; and for taking an answer."""
MOST_BODY_BYTES = 1024


class Listener(ThreadingHTTPServer):
    """Serves until `shutdown`. `hop_limit`: how many network hops the answer with a token may travel."""

    daemon_threads = True
    request_seconds: float = REQUEST_SECONDS
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, host: str, port: int, service: MetadataService, *, hop_limit: int = 1) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        self.service = service
        self.hop_limit = hop_limit
        self._places = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__((host, port), _Handler)

    @property
    def endpoint(self) -> str:
        host, port = self.server_address[:2]
        shown = host if isinstance(host, str) else host.decode()
        return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away, or a defect: neither is worth a traceback, which could hold credentials."""


class _Incoming(io.RawIOBase):
    """What a client sends, until a time; reads raise TimeoutError then, however much has come."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.until = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    protocol_version = "HTTP/1.1"
    timeout = REQUEST_SECONDS
    server_version = "EC2ws"
    sys_version = ""
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.incoming = _Incoming(self.connection)
        self.rfile.close()
        self.rfile = io.BufferedReader(self.incoming)

    def handle_one_request(self) -> None:
        self.incoming.until = time.monotonic() + self.server.request_seconds
        super().handle_one_request()

    def _serve(self) -> None:
        declared = self.headers.get("content-length", "0")
        if "transfer-encoding" in self.headers or not (declared.isascii() and declared.isdigit()):
            return self._send(Answer(400, b"400 - No such body is taken.\n"), close=True)
        if int(declared) > MOST_BODY_BYTES:
            return self._send(Answer(413, b"413 - No such body is taken.\n"), close=True)
        self.rfile.read(int(declared))
        names = [name.lower() for name in self.headers]
        if len(set(names)) != len(names):
            # Which of two tokens, hosts or lengths would count is nothing to guess about.
            return self._send(Answer(400, b"400 - A header is given twice.\n"), close=True)
        headers = {name.lower(): value.strip() for name, value in self.headers.items()}
        return self._send(self.server.service.answer(self.command, self.path.partition("?")[0], headers))

    def _send(self, answer: Answer, *, close: bool = False) -> None:
        self.connection.settimeout(REQUEST_SECONDS)
        if answer.is_token:
            self._limit_hops()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers:
            self.send_header(name, value)
        if close:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def _limit_hops(self) -> None:
        if self.connection.family == socket.AF_INET6:
            self.connection.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, self.server.hop_limit)
        else:
            self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, self.server.hop_limit)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests aren't logged: a path tells nothing, and headers hold tokens."""


for _method in ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"):
    setattr(_Handler, f"do_{_method}", _Handler._serve)

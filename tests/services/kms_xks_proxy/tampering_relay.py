"""A relay between AWS KMS and a proxy that can change answers: it has the proxy's certificate, not its credential."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

Change = Callable[[dict[str, Any]], dict[str, Any]]


class Relay:
    def __init__(self, certificate: Path, key: Path, bundle: Path, port: int) -> None:
        self.behind = port
        self.change: Change | None = None
        self.outward = ssl.create_default_context(cafile=str(bundle))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"relay": self}))
        self._server.context = context
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @contextmanager
    def changing(self, change: Change) -> Iterator[None]:
        self.change = change
        try:
            yield
        finally:
            self.change = None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    context: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        try:
            secured = self.context.wrap_socket(request, server_side=True)
        except (OSError, ssl.SSLError):
            return
        with secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of the tests' errors."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    relay: ClassVar[Relay]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        connection = http.client.HTTPSConnection("localhost", self.relay.behind, context=self.relay.outward, timeout=10)
        try:
            connection.request("POST", self.path, body, dict(self.headers.items()))
            response = connection.getresponse()
            status, answer = response.status, response.read()
        except OSError:
            self.close_connection = True
            return
        finally:
            connection.close()
        if self.relay.change is not None:
            answer = json.dumps(self.relay.change(json.loads(answer))).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

"""How idle TLS connections end: at once, but not before the client has received what was written."""

from __future__ import annotations

import asyncio
import socket
import time
from types import SimpleNamespace
from typing import Any

from freehold.transport.http import HttpProtocol


class TlsTransport:
    """Closes only when it is made to, as a TLS transport does whose client says nothing."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.aborted = asyncio.Event()

    def get_extra_info(self, name: str) -> Any:
        return {"sslcontext": object(), "socket": self._sock, "peername": ("127.0.0.1", 1)}.get(name)

    def set_write_buffer_limits(self, high: int) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None: ...

    def abort(self) -> None:
        self.aborted.set()


def connected(transport: TlsTransport) -> HttpProtocol:
    state: Any = SimpleNamespace(connections=set(), tasks=set())
    protocol = HttpProtocol(None, state, {}, asyncio.get_running_loop())  # type: ignore[arg-type]
    protocol.connection_made(transport)  # type: ignore[arg-type]
    return protocol


def test_an_idle_tls_connection_ends_without_the_client() -> None:
    async def end() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            transport = TlsTransport(ours)
            connected(transport).shutdown()
            await asyncio.wait_for(transport.aborted.wait(), 5)

    asyncio.run(end())


def test_a_tls_connection_ends_after_its_last_answer_was_received() -> None:
    async def end() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.send(bytes(50_000))
            transport = TlsTransport(ours)
            connected(transport).shutdown()
            began = time.monotonic()
            while time.monotonic() - began < 0.5:
                await asyncio.sleep(0.05)
                assert not transport.aborted.is_set()
            left = 50_000
            while left:
                left -= len(theirs.recv(left))
            await asyncio.wait_for(transport.aborted.wait(), 5)

    asyncio.run(end())

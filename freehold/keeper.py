"""The process that stays while a server is sealed, unsealed and sealed again. It never has the root key.

It holds the listening socket and the data directory; a child collects what unseals, and becomes the server. Sealing is
that child's end: what it knew is gone with its memory, and another child begins sealed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn

from freehold.config import Settings
from freehold.custody import memory
from freehold.custody.access import Access
from freehold.custody.keyring import Keyring
from freehold.custody.mark import record_of
from freehold.custody.provider import waits_for_people
from freehold.deployment import NeedsPeople, access_of, opened
from freehold.server import BACKLOG, CANNOT_START, HOUSEKEEPING_SECONDS, SEALED, STOP_SIGNALS, Attempts, die_with
from freehold.transport.http import HttpProtocol, no_application

if TYPE_CHECKING:
    from freehold.sealed import SealedService

Serve = Callable[[Keyring, Attempts], int]


def keep(
    settings: Settings,
    access: Access | None,
    sock: socket.socket,
    serve: Serve,
    sealed: Callable[[], None],
) -> int:
    """Serve, sealed or not, until told to stop; `sealed` is called once a sealed server answers. The exit status."""
    child, stopping = 0, False

    def stop(number: int, frame: Any) -> None:
        nonlocal stopping
        stopping = True
        if child:
            os.kill(child, number)

    for each in STOP_SIGNALS:
        signal.signal(each, stop)
    first = True
    while not stopping:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        # A signal in between would miss the child, or be taken by it for its parent's.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        child = os.fork()
        if child == 0:
            for each in STOP_SIGNALS:
                signal.signal(each, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
            given = access if first else None
            _be_child(parent, partial(_live, settings, given, sock, serve, sealed, first))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        # What was given at the start counts for the start alone.
        first = False
        _, ended = os.waitpid(child, 0)
        child = 0
        status = os.waitstatus_to_exitcode(ended)
        if status != SEALED:
            # Ended by a signal, such as a kill: a shell would say 128 and more.
            return status if status >= 0 else 128 - status
    return 0


def _be_child(parent: int, live: Callable[[], int]) -> None:
    """Live, and end: never returns."""
    status = 1
    try:
        die_with(parent)
        memory.protect()
        status = live()
    except CANNOT_START as error:
        print(f"freehold: {error}", file=sys.stderr)  # noqa: T201
    except Exception as error:
        # Its text, and the frames' values, may be about the root key.
        print(f"freehold: the server ended: {type(error).__name__}", file=sys.stderr)  # noqa: T201
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _live(
    settings: Settings,
    access: Access | None,
    sock: socket.socket,
    serve: Serve,
    sealed: Callable[[], None],
    first: bool,
) -> int:
    record = record_of(settings.data)
    if first or not waits_for_people(record):
        # Unsealed at once where the passphrase was given, or where the root key was moved out of people's hands.
        try:
            return serve(opened(settings, access).keyring, ())
        except NeedsPeople:
            pass
    from freehold.sealed import SealedService

    assert record is not None
    service = SealedService(record, access_of(settings))
    stopped = _answer(settings, service, sock.dup(), sealed)
    service.pool.shutdown()
    if stopped or service.opened is None:
        return 0
    keyring, attempts = service.opened.keyring, service.attempts
    return serve(keyring, attempts)


def _answer(settings: Settings, service: SealedService, sock: socket.socket, sealed: Callable[[], None]) -> bool:
    """Answer as a sealed server until the keyring is open, or a signal comes: True then."""
    config = uvicorn.Config(
        no_application,
        http=HttpProtocol.serving(service),
        ws="none",
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=[("server", "Freehold")],
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
        backlog=BACKLOG,
        # Clients that hold their connections don't keep the others waiting for the unsealed server.
        timeout_graceful_shutdown=2,
    )
    server, stopped = _SealedServer(config, sealed), False

    def finish() -> None:
        server.should_exit = True

    def stop(number: int, frame: Any) -> None:
        nonlocal stopped
        stopped = server.should_exit = True

    service.on_opened = finish
    # uvicorn raises the signal that stopped it once more, for these.
    for each in STOP_SIGNALS:
        signal.signal(each, stop)
    server.run(sockets=[sock])
    for each in STOP_SIGNALS:
        signal.signal(each, signal.SIG_DFL)
    return stopped


class _SealedServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, sealed: Callable[[], None]) -> None:
        super().__init__(config)
        self._sealed = sealed

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._expiring = asyncio.create_task(self._expire_connections())
        self._sealed()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._expiring.cancel()
        await super().shutdown(sockets)

    async def _expire_connections(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                connection.expire(now)  # type: ignore[union-attr]

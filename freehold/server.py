"""The server's processes: one worker in this process, or several under a supervisor that replaces those that die.

All workers accept on one listening socket and share the change counters. The data directory is held for as long as
any of them lives. SIGTERM and SIGINT let requests in flight finish.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import resource
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable
from typing import Any

import uvicorn

from freehold.app import App
from freehold.audit.sink import AuditUnavailable
from freehold.config import Settings
from freehold.custody.keyring import Keyring
from freehold.deployment import DeploymentError, root_key_of
from freehold.services import operation
from freehold.storage.counters import SharedCounters
from freehold.storage.database import CannotOpen
from freehold.storage.files import FileBlobs
from freehold.storage.locks import DirectoryHeld, hold_directory
from freehold.storage.records import CorruptRecord, StorageFull
from freehold.transport.http import HttpProtocol, no_application

HOUSEKEEPING_SECONDS = 5.0
BACKLOG = 2048
MOST_OPEN_FILES = 65_536
QUICK_DEATHS = 5
"""A worker that dies so often within a minute is not replaced any more: the server stops with an error."""

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4

_READY = b"\n"
_MOST_ANSWER_BYTES = 2048
"""Within what a pipe takes in one piece, so that workers' answers don't mix."""

Ready = Callable[[str], None]


class ServeError(Exception):
    """The server can't start or go on; says why in one line."""


CANNOT_START = (
    ServeError,
    DeploymentError,
    DirectoryHeld,
    CannotOpen,
    CorruptRecord,
    StorageFull,
    AuditUnavailable,
    OSError,
)
"""What stands in the way of a start and can be mended: its message is one line that says what. All else is a defect."""

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(settings: Settings, ready: Ready) -> int:
    """Serve until told to stop; `ready(endpoint)` is called once requests are answered. Returns the exit status.

    Raises one of CANNOT_START when it can't start.
    """
    root_key = root_key_of(settings)
    _forbid_core_dumps()
    _allow_connections()
    with hold_directory(settings.data):
        blobs = FileBlobs(settings.blobs)
        blobs.remove_unfinished()
        blobs_at_start = frozenset(blobs.list())
        counters = SharedCounters()
        _check_tls(settings)
        sock = _listen(settings)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        endpoint = f"{settings.scheme}://{host}:{sock.getsockname()[1]}"
        if settings.workers == 1:
            _work(settings, root_key, counters, blobs_at_start, sock, 0, lambda: ready(endpoint))
            return 0
        # Loaded before the workers are forked, so that they have it from the start and share its memory.
        operation.load_all()
        _settle_garbage_collection()
        return _Supervisor(settings, root_key, counters, blobs_at_start, sock).run(lambda: ready(endpoint))


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((settings.host, settings.port))
    except OSError as error:
        sock.close()
        raise ServeError(f"cannot listen on {settings.host}:{settings.port}: {error.strerror}") from None
    sock.listen(BACKLOG)
    sock.setblocking(False)
    return sock


def _check_tls(settings: Settings) -> None:
    if settings.tls_cert is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key, _no_passphrase)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or str(error)
        raise ServeError(f"the TLS certificate or key cannot be used: {reason}") from None


def _no_passphrase() -> str:
    """Without this the library would ask for one on the terminal, and a service would wait for ever."""
    raise ServeError("the TLS key is encrypted with a passphrase; give one that is not")


def _forbid_core_dumps() -> None:
    """A core dump would hold the root key and secrets in the clear."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _allow_connections() -> None:
    """Lift the customary limit of 1,024 open files to what is permitted: every connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(MOST_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it answers and leaves signals to `_work`."""

    def __init__(self, config: uvicorn.Config, app: App, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._app = app
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await self._app.start()
        await super().startup(sockets)
        self._housekeeping = asyncio.create_task(self._keep_house())
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._housekeeping.cancel()
        await super().shutdown(sockets)
        await self._app.stop()

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(HOUSEKEEPING_SECONDS)
            now = time.monotonic()
            for connection in list(self.server_state.connections):
                connection.expire(now)  # type: ignore[union-attr]
            await self._app.keep_house()


def _work(
    settings: Settings,
    root_key: Keyring,
    counters: SharedCounters,
    blobs_at_start: frozenset[str],
    sock: socket.socket,
    number: int,
    ready: Callable[[], None],
) -> None:
    app = App(settings, root_key, counters, worker=number, blobs_at_start=blobs_at_start)
    try:
        config = uvicorn.Config(
            no_application,
            http=HttpProtocol.serving(app.pipeline),
            ws="none",
            loop="uvloop",
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
            timeout_graceful_shutdown=settings.graceful_seconds,
        )
        server = _Server(config, app, ready)
        _settle_garbage_collection()

        def stop(number: int, frame: Any) -> None:
            server.should_exit = True

        # For a signal that comes before uvicorn's own handlers are there. It raises the one that stopped it once more
        # for the handlers that were there before: these again.
        previous = {number: signal.signal(number, stop) for number in _STOP_SIGNALS}
        try:
            server.run(sockets=[sock])
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
    finally:
        app.close()


def _settle_garbage_collection() -> None:
    """What is there now stays for good, so that the collector need not go through it; it then runs less often.

    Requests leave hardly any cycles, while caches of thousands of principals would be gone through again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


class _Supervisor:
    def __init__(
        self,
        settings: Settings,
        root_key: Keyring,
        counters: SharedCounters,
        blobs_at_start: frozenset[str],
        sock: socket.socket,
    ) -> None:
        self._settings = settings
        self._root_key = root_key
        self._counters = counters
        self._blobs_at_start = blobs_at_start
        self._sock = sock
        self._workers: dict[int, int] = {}
        self._stopping = False
        self._deaths: list[float] = []

    def run(self, ready: Callable[[], None]) -> int:
        for each in _STOP_SIGNALS:
            signal.signal(each, self._stop)
        answers, told = os.pipe()
        for number in range(self._settings.workers):
            self._fork(number, told)
        os.close(told)
        with open(answers, "rb") as pipe:
            for _ in range(self._settings.workers):
                answer = pipe.readline()
                if answer == _READY:
                    continue
                if self._stopping:
                    break
                self._stop(signal.SIGTERM, None)
                self._reap_all()
                raise ServeError(answer.decode().strip() or "a worker ended while it was starting")
        if not self._stopping:
            ready()
        return self._watch()

    def _fork(self, number: int, told: int | None) -> None:
        """Start a worker, unless the server is stopping. It tells `told` that it answers, or why it can't."""
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        # A signal that came in between would miss the new worker, or be taken by it for its parent's.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
        try:
            child = 0 if self._stopping else os.fork()
            if child:
                self._workers[child] = number
            if child or self._stopping:
                return
            for each in _STOP_SIGNALS:
                signal.signal(each, signal.SIG_DFL)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)
        status = 1
        try:
            _die_with(parent)
            self._be_worker(number, told)
            status = 0
        except Exception as error:
            print(f"freehold: worker {number}: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
        finally:
            sys.stderr.flush()
            os._exit(status)

    def _be_worker(self, number: int, told: int | None) -> None:
        def tell(answer: bytes) -> None:
            nonlocal told
            if told is not None:
                os.write(told, answer)
                os.close(told)
                told = None

        try:
            _work(
                self._settings,
                self._root_key,
                self._counters,
                self._blobs_at_start,
                self._sock,
                number,
                lambda: tell(_READY),
            )
        except CANNOT_START as error:
            if told is None:
                raise
            tell(str(error).encode().replace(b"\n", b" ")[:_MOST_ANSWER_BYTES] + b"\n")

    def _stop(self, number: int, frame: Any) -> None:
        self._stopping = True
        # Nobody would accept what the kernel went on queueing here.
        self._sock.close()
        for worker in self._workers:
            try:
                os.kill(worker, signal.SIGTERM)
            except ProcessLookupError:
                continue

    def _watch(self) -> int:
        while self._workers:
            try:
                worker, status = os.wait()
            except InterruptedError:
                continue
            number = self._workers.pop(worker, None)
            if number is None or self._stopping:
                continue
            now = time.monotonic()
            self._deaths = [at for at in self._deaths if now - at < 60] + [now]
            print(f"freehold: worker {number} ended ({status}) and is replaced", file=sys.stderr)  # noqa: T201
            if len(self._deaths) >= QUICK_DEATHS:
                self._stop(signal.SIGTERM, None)
                self._reap_all()
                raise ServeError(f"{QUICK_DEATHS} workers died within a minute")
            self._fork(number, None)
        return 0

    def _reap_all(self) -> None:
        while self._workers:
            worker, _ = os.wait()
            self._workers.pop(worker, None)


def _die_with(parent: int) -> None:
    """A worker doesn't outlive its supervisor, not even one that was killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)

"""The server's processes: one worker in this process, or several under a supervisor that replaces those that die.

All workers accept on one listening socket and share the change counters. The data directory is held for as long as
any of them lives. SIGTERM and SIGINT let requests in flight finish. Where the root key is in people's hands, all of
this happens in a child of `keeper.py`, which never has the key: SIGUSR1 ends it, and what follows is sealed.
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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import uvicorn

from freehold.app import App
from freehold.audit.sink import AuditUnavailable
from freehold.config import Settings
from freehold.custody import memory
from freehold.custody.access import Access
from freehold.custody.errors import CustodyError
from freehold.custody.keyring import Keyring
from freehold.custody.mark import record_of
from freehold.custody.provider import waits_for_people
from freehold.deployment import DeploymentError, root_key_of
from freehold.services import operation
from freehold.storage.counters import SharedCounters
from freehold.storage.database import CannotOpen
from freehold.storage.files import FileBlobs
from freehold.storage.locks import DirectoryHeld, hold_directory
from freehold.storage.records import CorruptRecord, StorageFull
from freehold.transport.http import HttpProtocol, no_application

if TYPE_CHECKING:
    from freehold.sealed import Attempt

HOUSEKEEPING_SECONDS = 5.0
BACKLOG = 2048
MOST_OPEN_FILES = 65_536
QUICK_DEATHS = 5
"""A worker that dies so often within a minute is not replaced any more: the server stops with an error."""

SEALED = 75
"""Exit status of a server that was sealed."""

_PR_SET_PDEATHSIG = 1

_READY = b"\n"
_MOST_ANSWER_BYTES = 2048
"""Within what a pipe takes in one piece, so that workers' answers don't mix."""

Ready = Callable[[str, bool], None]
"""Called with the endpoint, and whether it answers sealed."""

Attempts = Sequence["Attempt"]


class ServeError(Exception):
    """The server can't start or go on; says why in one line."""


CANNOT_START = (
    ServeError,
    CustodyError,
    DeploymentError,
    DirectoryHeld,
    CannotOpen,
    CorruptRecord,
    StorageFull,
    AuditUnavailable,
    OSError,
)
"""What stands in the way of a start and can be mended: its message is one line that says what. All else is a defect."""

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(settings: Settings, ready: Ready, access: Access | None = None) -> int:
    """Serve until told to stop; `ready` is called once requests are answered. Returns the exit status.

    Raises one of CANNOT_START when it can't start.
    """
    by_people = waits_for_people(record_of(settings.data))
    keyring = None if by_people else root_key_of(settings, access)
    memory.protect()
    _allow_connections()
    with hold_directory(settings.data):
        _check_tls(settings)
        sock = _listen(settings)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        endpoint = f"{settings.scheme}://{host}:{sock.getsockname()[1]}"
        if keyring is not None:
            return _serve_opened(settings, keyring, sock, lambda: ready(endpoint, False))
        from freehold import keeper

        def opened(keyring: Keyring, attempts: Attempts) -> int:
            return _serve_opened(settings, keyring, sock, lambda: ready(endpoint, False), attempts, sealable=True)

        return keeper.keep(settings, access, sock, opened, lambda: ready(endpoint, True))


def _serve_opened(
    settings: Settings,
    keyring: Keyring,
    sock: socket.socket,
    ready: Callable[[], None],
    attempts: Attempts = (),
    *,
    sealable: bool = False,
) -> int:
    """Serve with an open keyring. Returns the exit status: SEALED when it was told to seal."""
    blobs = FileBlobs(settings.blobs)
    blobs.remove_unfinished()
    blobs_at_start = frozenset(blobs.list())
    started = Started(settings, keyring, SharedCounters(), blobs_at_start, sock, attempts, sealable)
    if settings.workers == 1:
        return _work(started, 0, ready, os.getpid())
    # Loaded before the workers are forked, so that they have it from the start and share its memory.
    operation.load_all()
    _settle_garbage_collection()
    return _Supervisor(started).run(ready)


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


@dataclass(frozen=True, slots=True)
class Started:
    """What the workers of one server have in common."""

    settings: Settings
    keyring: Keyring
    counters: SharedCounters
    blobs_at_start: frozenset[str]
    sock: socket.socket
    attempts: Attempts
    """Of unsealing, not yet in the audit."""
    sealable: bool


def _work(started: Started, number: int, ready: Callable[[], None], sealing: int) -> int:
    """One worker's life. `sealing`: the process that SIGUSR1 has sealed. Returns the exit status."""
    settings, sealed = started.settings, False
    app = App(
        settings,
        started.keyring,
        started.counters,
        worker=number,
        blobs_at_start=started.blobs_at_start,
        attempts=started.attempts,
        seal=(lambda: os.kill(sealing, signal.SIGUSR1)) if started.sealable else None,
    )
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
            nonlocal sealed
            sealed = sealed or number == signal.SIGUSR1
            server.should_exit = True

        if sealing == os.getpid():
            signal.signal(signal.SIGUSR1, stop if started.sealable else signal.SIG_DFL)
        # For a signal that comes before uvicorn's own handlers are there. It raises the one that stopped it once more
        # for the handlers that were there before: these again.
        previous = {each: signal.signal(each, stop) for each in STOP_SIGNALS}
        try:
            server.run(sockets=[started.sock])
        finally:
            for each, handler in previous.items():
                signal.signal(each, handler)
    finally:
        app.close()
    return SEALED if sealed else 0


def _settle_garbage_collection() -> None:
    """What is there now stays for good, so that the collector need not go through it; it then runs less often.

    Requests leave hardly any cycles, while caches of thousands of principals would be gone through again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


class _Supervisor:
    def __init__(self, started: Started) -> None:
        self._started = started
        self._sealing = False
        self._workers: dict[int, int] = {}
        self._stopping = False
        self._deaths: list[float] = []

    def run(self, ready: Callable[[], None]) -> int:
        for each in STOP_SIGNALS:
            signal.signal(each, self._stop)
        if self._started.sealable:
            signal.signal(signal.SIGUSR1, self._stop)
        workers = self._started.settings.workers
        answers, told = os.pipe()
        for number in range(workers):
            self._fork(number, told)
        # Told once; a worker that takes another's place doesn't tell it again.
        self._started = replace(self._started, attempts=())
        os.close(told)
        with open(answers, "rb") as pipe:
            for _ in range(workers):
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
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            child = 0 if self._stopping else os.fork()
            if child:
                self._workers[child] = number
            if child or self._stopping:
                return
            for each in STOP_SIGNALS:
                signal.signal(each, signal.SIG_DFL)
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        status = 1
        try:
            die_with(parent)
            memory.protect()
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
            _work(self._started, number, lambda: tell(_READY), os.getppid())
        except CANNOT_START as error:
            if told is None:
                raise
            tell(str(error).encode().replace(b"\n", b" ")[:_MOST_ANSWER_BYTES] + b"\n")

    def _stop(self, number: int, frame: Any) -> None:
        self._sealing = self._sealing or number == signal.SIGUSR1
        self._stopping = True
        # Nobody would accept what the kernel went on queueing here.
        self._started.sock.close()
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
        return SEALED if self._sealing else 0

    def _reap_all(self) -> None:
        while self._workers:
            worker, _ = os.wait()
            self._workers.pop(worker, None)


def die_with(parent: int) -> None:
    """A worker doesn't outlive its supervisor, not even one that was killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)

"""Fetching small documents from identity providers, over TLS, from addresses that may be called.

What a provider sends is hostile until proven otherwise: its size, its time and the number of fetches at once are
limited, redirects are not followed, and the address is checked and is then the very one that is called, so that a name
that changes its mind reaches nothing else. Says why a fetch failed in words of its own: nothing of an answer is in
them, and whether an inward name exists can't be told from them.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

from freehold.federation.addresses import is_public
from freehold.federation.issuers import BadIssuer, check_url

if TYPE_CHECKING:
    from freehold.federation import tls
    from freehold.federation.tls import Trust

MOST_BYTES: Final = 256 * 1024
"""The longest document: a hundred RSA keys of 4,096 bits and as many EC keys take about 90 KiB."""
TOTAL_SECONDS: Final = 5.0
"""How long one fetch may take, with the wait for a thread."""
MOST_AT_ONCE: Final = 32
MOST_WAITING: Final = 256
"""Fetches under way and waiting; one more is refused at once."""
_CONNECT_SECONDS: Final = 2.0
_MOST_ADDRESSES: Final = 4
_PIECE_BYTES: Final = 16 * 1024
_HTTPS_PORT: Final = 443
_MAX_AGE: Final = re.compile(r"(?:^|[\s,])max-age\s*=\s*\"?(\d{1,9})", re.IGNORECASE)
_NOT_KEPT: Final = re.compile(r"(?:^|[\s,])no-(?:store|cache)(?:$|[\s,])", re.IGNORECASE)

T = TypeVar("T")
Resolve = Callable[[str, int], list[str]]
Connect = Callable[[str, int, float], socket.socket]


class FetchFailed(Exception):
    """Why nothing was fetched."""


class Unreachable(FetchFailed):
    """The server can't be called, or didn't answer in time."""


class Untrusted(FetchFailed):
    """No trusted authority, and no thumbprint, vouches for the server's certificate."""


class Unacceptable(FetchFailed):
    """The server answered, and not with a document as it may be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A document, and for how long it may be kept: 0 for not at all, None where the answer doesn't say."""

    body: bytes
    max_age_seconds: int | None


def system_resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, in the system's order of preference."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def system_connect(address: str, port: int, seconds: float) -> socket.socket:
    return socket.create_connection((address, port), timeout=seconds)


class Fetcher:
    """Fetches in threads of its own. `authorities`: PEM file of further ones than the system's."""

    def __init__(
        self,
        authorities: Path | None = None,
        *,
        resolve: Resolve = system_resolve,
        connect: Connect = system_connect,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        self.resolve = resolve
        self.connect = connect
        self.total_seconds = total_seconds
        self._authorities = authorities
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="freehold-federation")
        self._running: set[_Fetch] = set()
        self._trust: Trust | None = None
        self._trust_lock = threading.Lock()

    async def get(
        self, url: str, read: Callable[[Answer], T], *, inward: str = "", thumbprints: tuple[str, ...] = ()
    ) -> T:
        """What `read` makes, in the fetching thread, of the document at an https URL. Raises FetchFailed.

        `inward`: a URL whose scheme, host and port the operator named, so that they may be inside one's own network.
        `thumbprints`: SHA-1 fingerprints, lower case, of certificates that vouch where no trusted authority does.
        """
        fetch = _Fetch(self, url, inward, thumbprints)
        return await self._run(fetch, lambda: read(fetch.document()))

    async def thumbprint(self, url: str, *, inward: str = "") -> str:
        """The SHA-1 fingerprint of the last certificate that a trusted server shows. Raises FetchFailed."""
        fetch = _Fetch(self, url, inward, ())
        return await self._run(fetch, fetch.thumbprint)

    async def _run(self, fetch: _Fetch, work: Callable[[], T]) -> T:
        if len(self._running) >= MOST_WAITING:
            raise Unreachable("too many identity providers are being asked at this moment")
        self._running.add(fetch)
        future = self._threads.submit(_ending(fetch, work))
        future.add_done_callback(lambda _: self._running.discard(fetch))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.total_seconds)
        except TimeoutError:
            raise Unreachable("the identity provider didn't answer in time") from None
        finally:
            # Whatever ended the waiting ends the fetch: one that waits for a thread never starts, another loses its
            # connection, and its thread is free.
            future.cancel()
            fetch.abort()

    def trust(self) -> Trust:
        """What certificates are verified with; made once."""
        from freehold.federation.tls import Trust

        with self._trust_lock:
            if self._trust is None:
                self._trust = Trust(self._authorities)
            return self._trust

    def close(self) -> None:
        for fetch in list(self._running):
            fetch.abort()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _ending(fetch: _Fetch, work: Callable[[], T]) -> Callable[[], T]:
    def run() -> T:
        try:
            return work()
        finally:
            fetch.close()

    return run


class _Fetch:
    """One fetch; used in one thread, but for `abort`."""

    def __init__(self, fetcher: Fetcher, url: str, inward: str, thumbprints: tuple[str, ...]) -> None:
        self._fetcher = fetcher
        self._url = url
        self._inward_url = inward
        self._inward = False
        self._thumbprints = thumbprints
        self._deadline = time.monotonic() + fetcher.total_seconds
        self._lock = threading.Lock()
        self._aborted = False
        self._open: socket.socket | None = None

    def abort(self) -> None:
        """End the connection, whatever it is waiting for."""
        with self._lock:
            self._aborted = True
            if self._open is not None:
                with contextlib.suppress(OSError):
                    self._open.shutdown(socket.SHUT_RDWR)

    def document(self) -> Answer:
        from freehold.federation import tls

        context = self._fetcher.trust().context
        host, port, target = _parts(self._url)
        address, first = self._connected(host, port)
        try:
            return _answer(tls.get(first, context, host, port, target))
        except Untrusted:
            if not self._thumbprints:
                raise
        shown = tls.shown_certificates(self._call(address, port), host)
        context = tls.pinned(shown, self._thumbprints)
        return _answer(tls.get(self._call(address, port), context, host, port, target))

    def thumbprint(self) -> str:
        from freehold.federation import tls

        host, port, _ = _parts(self._url)
        _, made = self._connected(host, port)
        return tls.thumbprint(tls.shown_certificates(made, host, self._fetcher.trust().context)[-1])

    def _connected(self, host: str, port: int) -> tuple[str, socket.socket]:
        """A connection to the host, and the address that it goes to."""
        for address in self._addresses(host, port)[:_MOST_ADDRESSES]:
            with contextlib.suppress(OSError):
                return address, self._call(address, port)
        raise Unreachable("the identity provider can't be reached")

    def _addresses(self, host: str, port: int) -> list[str]:
        inward = self._inward = bool(self._inward_url) and _parts(self._inward_url)[:2] == (host, port)
        if not inward and port != _HTTPS_PORT:
            raise Unacceptable(f"identity providers are asked on port {_HTTPS_PORT}")
        try:
            found = self._fetcher.resolve(host, port)
        except (OSError, UnicodeError):
            found = []
        # One inward address among several is enough: which of them is called would be a matter of chance.
        if not inward and not all(map(is_public, found)):
            found = []
        return found

    def _call(self, address: str, port: int) -> socket.socket:
        remaining = self._deadline - time.monotonic()
        if self._aborted or remaining <= 0:
            raise Unreachable("the identity provider didn't answer in time")
        made = self._fetcher.connect(address, port, min(remaining, _CONNECT_SECONDS))
        try:
            if not self._inward and made.getsockname()[0] == made.getpeername()[0]:
                raise Unreachable("the identity provider can't be reached")  # it is this very machine
            made.settimeout(remaining)
            with self._lock:
                if self._open is not None:
                    self._open.close()
                # TLS takes the socket over: a second name for the same connection stays here for `abort`.
                self._open = made.dup()
        except BaseException:
            made.close()
            raise
        return made

    def close(self) -> None:
        with self._lock:
            if self._open is not None:
                self._open.close()
                self._open = None


def _parts(url: str) -> tuple[str, int, str]:
    """Host, port and request target of an https URL."""
    try:
        check_url(url)
    except BadIssuer:
        raise Unacceptable("an identity provider's URL is not one that may be fetched") from None
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or _HTTPS_PORT, parts.path or "/"


def _answer(response: tls.Response) -> Answer:
    """The document of an answer, within limits. Closes the connection."""
    with response:
        headers = response.headers
        if response.status != 200 or headers.get("content-encoding", "identity").lower() != "identity":
            raise Unacceptable("the identity provider doesn't answer with a document")
        declared = headers.get("content-length", "0")
        body = bytearray()
        if declared.isdigit() and int(declared) <= MOST_BYTES:
            while (piece := response.read(_PIECE_BYTES)) and len(body) <= MOST_BYTES:
                body += piece
        else:
            raise Unacceptable("the identity provider's document is too long")
        if len(body) > MOST_BYTES:
            raise Unacceptable("the identity provider's document is too long")
        return Answer(bytes(body), _max_age(headers))


def _max_age(headers: tls.Headers) -> int | None:
    control = headers.get("cache-control", "")
    if _NOT_KEPT.search(control):
        return 0
    found = _MAX_AGE.search(control)
    if found is None:
        return None
    age = headers.get("age", "0")
    return max(0, int(found[1]) - (int(age) if age.isdigit() and len(age) < 10 else 0))

"""HTTPS to an external key store proxy: one signed POST with a JSON answer, within a time in all. Imported when used.

What a proxy sends is not trusted: its certificate is verified for the host, its answer is limited and read before the
deadline whatever its pace, redirects are not followed, and the address is one of the public internet unless the
operator mapped the host (`--xks-resolve`). Connections are kept, since a handshake may take most of the time there is.
https://github.com/aws/aws-kms-xksproxy-api-spec
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import io
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from freehold import __version__
from freehold.authentication.credentials import Secret
from freehold.federation.addresses import is_public
from freehold.federation.fetch import system_connect, system_resolve
from freehold.federation.strict_json import BadJson, an_object
from freehold.services.kms.stores.errors import PROBLEMS, StoreProblem

SERVICE: Final = "kms-xks-proxy"
PORT: Final = 443
MOST_ANSWER_BYTES: Final = 32 * 1024
MOST_KEPT: Final = 16
_KEPT_SECONDS: Final = 30.0
_MOST_ADDRESSES: Final = 4
_OWN_KINDS: Final = frozenset(name for name in PROBLEMS if name.endswith("Exception"))


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where a proxy is and how requests to it are signed."""

    host: str
    path: str
    region: str
    access_key_id: str
    secret: Secret
    place: tuple[str, int] | None = None
    """The address and port that the operator mapped the host to; they may be inside one's own network."""


class _Kept:
    """A connection that waits for its next request."""

    __slots__ = ("since", "sock")

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self.sock = sock
        self.since = time.monotonic()


class Client:
    """One proxy's connections. Safe to share between threads."""

    def __init__(
        self,
        proxy: Proxy,
        seconds: float,
        authorities: Path | None = None,
        *,
        now: Callable[[], float] = time.time,
        resolve: Callable[[str, int], list[str]] = system_resolve,
        connect: Callable[[str, int, float], socket.socket] = system_connect,
    ) -> None:
        self.proxy = proxy
        self._seconds = seconds
        self._now = now
        self._resolve = resolve
        self._connect = connect
        self._context = _context(authorities)
        self._lock = threading.Lock()
        self._kept: list[_Kept] = []
        self._closed = False

    def __repr__(self) -> str:
        return f"Client({self.proxy.host})"

    def post(self, path: str, body: bytes) -> dict[str, Any]:
        """The object that the proxy answers with. `path` follows the store's own. Raises StoreProblem."""
        deadline = time.monotonic() + self._seconds
        target = self.proxy.path + path
        request = self._request(target, body)
        try:
            status, answer = self._exchange(request, deadline)
        except TimeoutError:
            raise StoreProblem("timeout") from None
        except ssl.SSLError:
            raise StoreProblem("tls") from None
        except (OSError, http.client.HTTPException) as error:
            kind = "malformed" if isinstance(error, http.client.HTTPException) else "unreachable"
            raise StoreProblem(kind) from None
        try:
            found = an_object(answer)
        except BadJson:
            raise StoreProblem("malformed") from None
        if status == 200:
            return found
        name = found.get("errorName")
        raise StoreProblem(name if isinstance(name, str) and status >= 400 and name in _OWN_KINDS else "malformed")

    def close(self) -> None:
        with self._lock:
            self._closed = True
            kept, self._kept = self._kept, []
        for one in kept:
            _end(one.sock)

    def _exchange(self, request: bytes, deadline: float) -> tuple[int, bytes]:
        kept = self._take()
        if kept is not None:
            try:
                return self._once(kept, request, deadline)
            except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError, http.client.BadStatusLine):
                # It had ended while it waited; what it was sent has done nothing.
                pass
        return self._once(self._open(deadline), request, deadline)

    def _once(self, sock: ssl.SSLSocket, request: bytes, deadline: float) -> tuple[int, bytes]:
        reusable = False
        try:
            sock.settimeout(_left(deadline))
            sock.sendall(request)
            response = http.client.HTTPResponse(_Timed(sock, deadline), method="POST")  # type: ignore[arg-type]
            response.begin()
            declared = response.headers.get("content-length", "0")
            if not declared.isdigit() or int(declared) > MOST_ANSWER_BYTES:
                raise StoreProblem("malformed")
            body = response.read(MOST_ANSWER_BYTES + 1)
            if len(body) > MOST_ANSWER_BYTES:
                raise StoreProblem("malformed")
            reusable = not response.will_close and response.isclosed()
            return response.status, body
        finally:
            if reusable:
                self._keep(sock)
            else:
                _end(sock)

    def _take(self) -> ssl.SSLSocket | None:
        oldest = time.monotonic() - _KEPT_SECONDS
        with self._lock:
            while self._kept:
                one = self._kept.pop()
                if one.since >= oldest:
                    return one.sock
                _end(one.sock)
        return None

    def _keep(self, sock: ssl.SSLSocket) -> None:
        with self._lock:
            if not self._closed and len(self._kept) < MOST_KEPT:
                self._kept.append(_Kept(sock))
                return
        _end(sock)

    def _open(self, deadline: float) -> ssl.SSLSocket:
        made = self._reached(deadline)
        try:
            made.settimeout(_left(deadline))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return self._context.wrap_socket(made, server_hostname=self.proxy.host)
        except BaseException:
            made.close()
            raise

    def _reached(self, deadline: float) -> socket.socket:
        """A connection to the proxy: where it is mapped to, or at a public address that is not this very machine's."""
        if self.proxy.place is not None:
            return self._connect(*self.proxy.place, _left(deadline))
        try:
            found = self._resolve(self.proxy.host, PORT)
        except (OSError, UnicodeError):
            found = []
        # One inward address among several is enough: which of them is called would be a matter of chance.
        if not all(map(is_public, found)):
            found = []
        for address in found[:_MOST_ADDRESSES]:
            with suppress(OSError):
                made = self._connect(address, PORT, _left(deadline))
                if made.getsockname()[0] != made.getpeername()[0]:
                    return made
                made.close()
        _left(deadline)
        raise StoreProblem("unreachable")

    def _request(self, target: str, body: bytes) -> bytes:
        """The request as it is sent, signed with version 4 over its host, date and body."""
        proxy = self.proxy
        moment = datetime.fromtimestamp(self._now(), UTC).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{moment[:8]}/{proxy.region}/{SERVICE}/aws4_request"
        digest = hashlib.sha256(body).hexdigest()
        canonical = f"POST\n{target}\n\nhost:{proxy.host}\nx-amz-date:{moment}\n\nhost;x-amz-date\n{digest}"
        to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = b"AWS4" + proxy.secret.reveal().encode()
        for part in (*scope.split("/"), to_sign):
            key = hmac.digest(key, part.encode(), "sha256")
        authorization = (
            f"AWS4-HMAC-SHA256 Credential={proxy.access_key_id}/{scope}, SignedHeaders=host;x-amz-date, "
            f"Signature={key.hex()}"
        )
        lines = (
            f"POST {target} HTTP/1.1",
            f"Host: {proxy.host}",
            f"X-Amz-Date: {moment}",
            f"Authorization: {authorization}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            "Accept: application/json",
            f"User-Agent: freehold/{__version__}",
        )
        return "\r\n".join((*lines, "", "")).encode("ascii") + body


class _Timed:
    """A socket as HTTPResponse reads it, every read of which ends at the deadline."""

    def __init__(self, sock: ssl.SSLSocket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self._sock, self._deadline))


class _Reader(io.RawIOBase):
    def __init__(self, sock: ssl.SSLSocket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._deadline))
        return self._sock.recv_into(buffer)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _end(sock: ssl.SSLSocket) -> None:
    with suppress(OSError):
        sock.close()


def _context(authorities: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if authorities is not None:
        try:
            context.load_verify_locations(cafile=str(authorities))
        except (OSError, ssl.SSLError):
            raise StoreProblem("tls") from None
    return context

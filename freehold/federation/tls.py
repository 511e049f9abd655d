"""TLS to identity providers, and one HTTP request through it. Imported when something is fetched, not before.

Certificates are verified against the host's name with TLS 1.2 or later. Who vouches for them: the system's
authorities and those that the operator adds; for an account's provider with thumbprints also the certificate, among
those that the server shows, whose SHA-1 fingerprint is one of them. It is then the only authority, and everything else
of the verification stays.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc_verify-thumbprint.html
"""

from __future__ import annotations

import hashlib
import logging
import socket
import ssl
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol

from urllib3.connection import HTTPSConnection
from urllib3.exceptions import HTTPError

from freehold import __version__
from freehold.federation.fetch import Unacceptable, Unreachable, Untrusted

log = logging.getLogger("freehold")

_NOT_VOUCHED_FOR: Final = frozenset((2, 18, 19, 20, 21))
"""X509_V_ERR_…: unable to get issuer, self-signed, self-signed in chain, unable to get local issuer, unable to verify
the first. A wrong name, an expired certificate and the like are not for thumbprints to mend."""
_DER_ENCODING: Final = 2


class Headers(Protocol):
    def get(self, name: str, default: str, /) -> str: ...


class Trust:
    """The system's authorities, and those of a PEM file."""

    def __init__(self, authorities: Path | None) -> None:
        self.context = _context()
        self.context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        if authorities is not None:
            try:
                self.context.load_verify_locations(cafile=str(authorities))
            except (OSError, ssl.SSLError):
                log.error("no certificate authorities could be read from %s", authorities)
                raise Untrusted("the file with identity providers' authorities can't be read") from None


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def pinned(shown: list[bytes], thumbprints: tuple[str, ...]) -> ssl.SSLContext:
    """What trusts only those of the certificates that a thumbprint names. Raises Untrusted when there are none."""
    named = [certificate for certificate in shown if thumbprint(certificate) in thumbprints]
    if not named:
        raise Untrusted("OpenIDConnect provider's HTTPS certificate doesn't match configured thumbprint")
    context = _context()
    # The one that is named may be an intermediate authority's, or the server's own.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    for certificate in named:
        context.load_verify_locations(cadata=certificate)
    return context


def thumbprint(certificate: bytes) -> str:
    return hashlib.sha1(certificate, usedforsecurity=False).hexdigest()


def shown_certificates(made: socket.socket, host: str, context: ssl.SSLContext | None = None) -> list[bytes]:
    """The certificates (DER) that the server shows, its own first; not verified unless there is a context."""
    if context is None:
        context = _context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with made:
        try:
            with context.wrap_socket(made, server_hostname=host) as secured:
                return _chain(secured)
        except ssl.SSLCertVerificationError:
            raise Untrusted("the identity provider's certificate is not trusted") from None
        except (OSError, ValueError):
            raise Unreachable("the identity provider can't be reached by TLS") from None


def _chain(secured: ssl.SSLSocket) -> list[bytes]:
    if hasattr(secured, "get_unverified_chain"):  # since Python 3.13
        return [bytes(one) for one in secured.get_unverified_chain()]
    inner: Any = secured._sslobj  # type: ignore[attr-defined]
    return [one.public_bytes(_DER_ENCODING) for one in inner.get_unverified_chain()]


class _Connection(HTTPSConnection):
    """A connection over a socket that is there already."""

    def __init__(self, made: socket.socket, host: str, port: int, context: ssl.SSLContext) -> None:
        super().__init__(host, port, ssl_context=context, timeout=made.gettimeout())
        self._made = made

    def _new_conn(self) -> socket.socket:
        return self._made


class Response:
    """An answer whose body hasn't been read; a context manager that closes the connection."""

    def __init__(self, connection: HTTPSConnection) -> None:
        self._connection = connection
        self._response = connection.getresponse()
        self.status: int = self._response.status
        self.headers: Headers = self._response.headers

    def read(self, most: int) -> bytes:
        """The next bytes as they were sent, none at the end."""
        try:
            return self._response.read(most, decode_content=False)
        except (HTTPError, HTTPException, OSError, ValueError):
            raise Unreachable("the identity provider broke off its answer") from None

    def __enter__(self) -> Response:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._response.close()
        self._connection.close()


def get(made: socket.socket, context: ssl.SSLContext, host: str, port: int, target: str) -> Response:
    """Ask for a document over a connection. Raises Untrusted, Unreachable, Unacceptable."""
    connection = _Connection(made, host, port, context)
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Connection": "close",
        "User-Agent": f"freehold/{__version__}",
    }
    try:
        connection.request("GET", target, headers=headers, preload_content=False)
        return Response(connection)
    except ssl.SSLCertVerificationError as error:
        connection.close()
        made.close()
        if error.verify_code in _NOT_VOUCHED_FOR:
            raise Untrusted("the identity provider's certificate is not signed by a trusted authority") from None
        raise Unacceptable("the identity provider's certificate is not valid for its name and time") from None
    except (HTTPError, HTTPException, OSError, ValueError):
        connection.close()
        made.close()
        raise Unreachable("the identity provider can't be reached, or broke off its answer") from None

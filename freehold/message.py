"""What transport hands to the pipeline and takes back: one request, one response. Data only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol


class BodyStream(Protocol):
    """A request body that arrives in pieces, already unframed (aws-chunked decoded) and verified as it is read.

    `read` gives the next piece, `b""` once at the end; a wrong length, hash, chunk signature or trailer raises
    AwsError from the read that finds it, at the latest the one that would have returned `b""`.
    """

    length: int | None
    """Declared length in bytes of the decoded body, None if the client did not say."""
    trailers: dict[str, str]
    """Trailing headers, lower-case, verified; complete once `read` returned `b""`."""

    async def read(self) -> bytes: ...


class OutStream(Protocol):
    """A response body made in pieces. `chunks` runs in a worker thread; `close` is always called."""

    length: int

    def chunks(self) -> Iterator[bytes]: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class Request:
    """One HTTP request. Header names are lower-case; a repeated header's values are joined with a comma."""

    method: str
    raw_path: str
    """As sent, percent-encoded, without the query."""
    query_string: str
    """As sent, without the question mark."""
    headers: dict[str, str]
    body: bytes = b""
    """The whole body, for operations without a streaming input; empty until it has been received."""
    receive: Callable[[], Awaitable[bytes]] | None = None
    """Gives the body's next raw piece, `b""` at the end; the pipeline decides when to call it."""
    source_ip: str = "127.0.0.1"
    secure: bool = False
    """Whether it came over TLS."""
    tls_version: str = ""
    """`1.2` or `1.3`, empty without TLS."""


@dataclass(slots=True)
class Response:
    """One HTTP response. `body` is complete, or a stream."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | OutStream = b""

"""Requests and answers of the few operations that take more than 1 MiB: a bounded number of them at a time.

A signature in a form covers the whole body, so that it has to be here before anything is known for certain. Until then
a large body is taken from nobody but an access key that exists, one of an account and two in all at a time (per
worker), for a minute at most; and it is decoded only once its signature is right. What is larger, or for another
operation, is refused as ever.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from freehold.authentication.credentials import CredentialRefused
from freehold.authentication.sigv4 import authenticate
from freehold.errors import aws_error
from freehold.message import Request, Response
from freehold.services.operation import REGISTRY, Operation

if TYPE_CHECKING:
    from freehold.app import App

MOST_BYTES: Final = 31_000_000
"""SAML metadata of 10,000,000 characters, each of them percent-encoded, and what else is in its request."""
SECONDS: Final = 60
_AT_ONCE: Final = 2
_ANSWERS_AT_ONCE: Final = 8
_PIECE_BYTES: Final = 256 * 1024

RequestEntityTooLarge = aws_error("RequestEntityTooLarge", 413, "The request body is too large.")
Throttling = aws_error("Throttling", 400, "Rate exceeded")
RequestTimeout = aws_error("RequestTimeout", 400, "The request body did not arrive in time.")

_named_key = re.compile(r"Credential=([A-Za-z0-9]{16,128})/").search
_named_action = re.compile(rb"(?:^|&)Action=([A-Za-z]{1,64})(?:&|$)").search


class LargeRequests:
    """What of it is under way in this worker."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._accounts: set[str] = set()
        self._answers = 0

    @contextmanager
    def place(self, request: Request, service: str | None) -> Iterator[None]:
        """Keep a place for a request whose declared length is beyond the usual. Raises AwsError."""
        declared = request.headers.get("content-length", "")
        if not declared.isdigit() or len(declared) > 9 or int(declared) > MOST_BYTES:
            raise RequestEntityTooLarge
        if not any(operation.large for operation in REGISTRY.values() if operation.service == service):
            raise RequestEntityTooLarge
        named = _named_key(request.headers.get("authorization", ""))
        try:
            token = request.headers.get("x-amz-security-token")
            account = self._app.access.lookup("" if named is None else named[1], token).principal.account_id
        except CredentialRefused:
            raise RequestEntityTooLarge from None
        if account in self._accounts or len(self._accounts) >= _AT_ONCE:
            raise Throttling
        self._accounts.add(account)
        try:
            yield
        finally:
            self._accounts.discard(account)

    async def receive(self, request: Request, service: str | None) -> Operation:
        """Have the whole body in `request.body`, for an operation that takes so much: this one. Raises AwsError."""
        assert request.receive is not None
        pieces, size = [], 0
        try:
            async with asyncio.timeout(SECONDS):
                while piece := await request.receive():
                    size += len(piece)
                    if size > MOST_BYTES:
                        raise RequestEntityTooLarge
                    pieces.append(piece)
        except TimeoutError:
            raise RequestTimeout from None
        request.body = b"".join(pieces)
        request.receive = None
        action = _named_action(request.body)
        operation = None if action is None else REGISTRY.get(f"{service}.{action[1].decode()}")
        if operation is None or not operation.large:
            raise RequestEntityTooLarge
        return operation

    async def verify(self, request: Request) -> None:
        """Raises AwsError unless the body is signed."""
        app = self._app
        await asyncio.get_running_loop().run_in_executor(
            app.pool,
            lambda: authenticate(request, credentials=app.access, clock=app.clock, regions=app.settings.regions),
        )

    def answering(self, response: Response) -> Response:
        """A large answer, counted until its client has taken it. Raises Throttling when there are too many."""
        body = response.body
        if not isinstance(body, bytes) or len(body) <= 1024 * 1024:
            return response
        if self._answers >= _ANSWERS_AT_ONCE:
            raise Throttling
        self._answers += 1
        return Response(response.status, response.headers, _LargeAnswer(self, body))

    def _answered(self) -> None:
        self._answers -= 1


class _LargeAnswer:
    """freehold.message.OutStream of what is here as a whole."""

    def __init__(self, counted: LargeRequests, body: bytes) -> None:
        self.length = len(body)
        self._counted = counted
        self._body = body
        self._loop = asyncio.get_running_loop()

    def chunks(self) -> Iterator[bytes]:
        for at in range(0, self.length, _PIECE_BYTES):
            yield self._body[at : at + _PIECE_BYTES]

    def close(self) -> None:
        self._body = b""
        # From a thread of the pool: the count is the event loop's, which is closed while the server stops.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._counted._answered)

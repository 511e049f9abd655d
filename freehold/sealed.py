"""The sealed server: it has no root key yet, and answers nothing but how sealed it is, and what unseals it.

Everything else gets 503 in its own protocol. `Unseal` needs no signature, since there is nothing to verify one with:
whoever brings enough shares, or the passphrase, has the root key. Guessing is slowed per address, shares are checked
one by one and never logged, and what was tried is handed over to be told in the audit once that can be written.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from freehold import __version__
from freehold.custody.access import Access
from freehold.custody.errors import CustodyError, WrongSecret
from freehold.custody.opening import Opened, open_record
from freehold.custody.record import Record
from freehold.errors import AwsError, InternalFailure, ServiceUnavailable, ValidationException
from freehold.message import Request, Response
from freehold.pipeline import claimed_service, new_request_id
from freehold.protocol import xks
from freehold.protocol.codec import codec, serialize_error
from freehold.protocol.route import Router
from freehold.services.freehold.errors import TooManyRequestsException, UnsealFailedException

log = logging.getLogger("freehold")

OPERATIONS: Final = ("GetSealStatus", "Unseal")
FREE_FAILURES: Final = 3
MOST_WAIT_SECONDS: Final = 60
MOST_AT_ONCE: Final = 4
"""Passphrases that are tried or wait for it: each takes the memory that the provider's cost says."""
KEPT_SECONDS: Final = 3600
"""How long shares wait for the next one."""
_MOST_ADDRESSES: Final = 10_000
_MOST_ATTEMPTS: Final = 1_000
_SEALED: Final = "The server is sealed: it waits for its root key (freehold unseal)."


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of Unseal while sealed: when (seconds since the epoch), from where, and how it went."""

    at: float
    source_ip: str
    user_agent: str
    request_id: str
    outcome: str
    """"" for a success, else an error code."""


class SealedService:
    """What a sealed server's connections are served by (`transport.exchange.Serve`).

    `opened` is set, and `on_opened` called, once the keyring is open.
    """

    def __init__(self, record: Record, access: Access) -> None:
        self._record = record
        self._access = Access(access.root_key)
        self._kind = record.head.kind
        self._router = Router(("freehold",))
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._at_once = 0
        self._last_share = 0.0
        self.pool: Executor = ThreadPoolExecutor(1, thread_name_prefix="freehold-unseal")
        self.opened: Opened | None = None
        self.on_opened: Any = lambda: None
        self.attempts: list[Attempt] = []
        self.unlisted = 0
        """Attempts beyond those that are kept."""
        if self._kind == "shamir":
            from freehold.custody.shamir import Collected

            self._collected: Collected | None = Collected(record.head)
        else:
            self._collected = None

    async def serve(self, request: Request) -> Response:
        request_id = new_request_id()
        if xks.is_meant(request):
            return serialize_error(xks.SERVICE, None, ServiceUnavailable(_SEALED), request_id, request)
        name = request.headers.get("x-amz-target", "").removeprefix("Freehold.")
        if name not in OPERATIONS or not request.headers["x-amz-target"].startswith("Freehold."):
            refusal = ServiceUnavailable(_SEALED)
            return serialize_error(claimed_service(request), None, refusal, request_id, request)
        route = self._router.route(request, "freehold")
        operation = route.operation
        try:
            if request.receive is not None:
                raise ValidationException("The request is too long.")
            params = codec(operation).parse(request, route)
            if name == "Unseal":
                await self._unseal(request, request_id, params)
            # Whoever asks now still finds this server, which answers nothing else: it isn't over yet.
            sealed = name == "GetSealStatus" or self.opened is None
            return codec(operation).serialize(self._status(sealed), request_id)
        except AwsError as error:
            return serialize_error("freehold", operation, error, request_id, request)
        except Exception as error:
            # Its text may be about what was given.
            log.error("a call of a sealed server failed: %s", type(error).__name__)
            return serialize_error("freehold", operation, InternalFailure(), request_id, request)

    def _status(self, sealed: bool) -> dict[str, Any]:
        collected = self._collected
        status = {"Sealed": sealed, "Custody": self._kind, "Version": __version__}
        if collected is not None:
            self._forget_old_shares()
            progress = collected.threshold if self.opened is not None else len(collected)
            status |= {"Progress": progress, "Threshold": collected.threshold, "Shares": collected.of}
        return status

    # --- unsealing -------------------------------------------------------------------------------------------

    async def _unseal(self, request: Request, request_id: str, params: dict[str, Any]) -> None:
        outcome = "InternalFailure"
        try:
            self._check_pace(request.source_ip)
            share, passphrase = params.get("Share"), params.get("Passphrase")
            if self.opened is not None:
                raise ValidationException("The server is not sealed any more.")
            if self._collected is not None:
                if share is None or passphrase is not None:
                    raise ValidationException("This server is unsealed by shares, one at a time.")
                self._take(share)
            else:
                if passphrase is None or share is not None:
                    raise ValidationException("This server is unsealed by a passphrase.")
                await self._try(passphrase)
            self._failures.pop(request.source_ip, None)
            outcome = ""
        except WrongSecret as error:
            self._count_failure(request.source_ip)
            outcome = UnsealFailedException.code
            raise UnsealFailedException(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
        except CustodyError as error:
            outcome = ServiceUnavailable.code
            log.error("the keyring does not open: %s", error)
            raise ServiceUnavailable("The keyring does not open; the server's log says why.") from None
        except AwsError as error:
            outcome = error.code
            raise
        finally:
            self._note(Attempt(time.time(), request.source_ip, _agent(request), request_id, outcome))
        if self.opened is not None:
            self.on_opened()

    def _take(self, share: str) -> None:
        collected = self._collected
        assert collected is not None
        self._forget_old_shares()
        collected.add(share)
        self._last_share = time.monotonic()
        if collected.complete:
            root_key = collected.root_key()
            self.opened = Opened(self._record.head, self._record.open(root_key))

    def _forget_old_shares(self) -> None:
        assert self._collected is not None
        if len(self._collected) and time.monotonic() - self._last_share > KEPT_SECONDS:
            self._collected.forget()

    async def _try(self, passphrase: str) -> None:
        if self._at_once >= MOST_AT_ONCE:
            raise TooManyRequestsException("Other passphrases are being tried.", RetryAfterSeconds=2)
        self._at_once += 1
        try:
            access = Access(self._access.root_key, secret=passphrase)
            loop = asyncio.get_running_loop()
            opened = await loop.run_in_executor(self.pool, open_record, self._record, access)
            self.opened = self.opened or opened
        finally:
            self._at_once -= 1

    # --- pace ------------------------------------------------------------------------------------------------

    def _check_pace(self, source_ip: str) -> None:
        until = self._failures.get(source_ip, (0, 0.0))[1]
        wait = until - time.monotonic()
        if wait > 0:
            raise TooManyRequestsException(
                f"Too many wrong attempts from this address. Try again in {wait:.0f} seconds.",
                RetryAfterSeconds=max(1, round(wait)),
            )

    def _count_failure(self, source_ip: str) -> None:
        failures = self._failures.pop(source_ip, (0, 0.0))[0] + 1
        wait = 0 if failures < FREE_FAILURES else min(MOST_WAIT_SECONDS, 2 ** min(failures - FREE_FAILURES, 16))
        self._failures[source_ip] = failures, time.monotonic() + wait
        if len(self._failures) > _MOST_ADDRESSES:
            self._failures.popitem(last=False)

    def _note(self, attempt: Attempt) -> None:
        log.warning("unseal from %s: %s", attempt.source_ip, attempt.outcome or "accepted")
        if len(self.attempts) < _MOST_ATTEMPTS:
            self.attempts.append(attempt)
        else:
            self.unlisted += 1


def _agent(request: Request) -> str:
    return request.headers.get("user-agent", "")[:1024]

"""The details of denials, kept for a day and an hour or two under their authorization ids.

A denial hands its record over in memory; a thread stores what a moment brought in one transaction, so that denials
don't cost a commit each. Bounded: an account, and a worker, has so many bytes a day; what is denied beyond, or can't
be stored, has no id, and is denied all the same. Equal denials within a minute share one id. Documents are kept once
(docs/formats/denials.md).
"""

from __future__ import annotations

import base64
import logging
import os
import threading
import time
import weakref
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import orjson

from freehold.authorization import decoded, denial
from freehold.authorization.denial import Denial
from freehold.authorization.statement import Policy
from freehold.clock import Clock
from freehold.crypto.aead import Sealer
from freehold.services.operation import due_work
from freehold.storage.records import Reader, Records, Table, Transaction

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.authorization.decide import Decision
    from freehold.authorization.principal import Principal
    from freehold.services.call import Call

log = logging.getLogger("freehold")

KEPT_SECONDS: Final = 26 * 3600
"""AWS keeps them for at least 24 hours."""
DOCUMENTS_KEPT_SECONDS: Final = KEPT_SECONDS + 2 * 3600
DOCUMENT_AGAIN_SECONDS: Final = 3600
STORED_WITHIN_SECONDS: Final = 0.2
SHARED_SECONDS: Final = 60.0
MOST_RECORD_BYTES: Final = 64 * 1024
MOST_WAITING: Final = 4_000
MOST_IDS_A_CALL: Final = 8
"""A call that is decided item by item (DeleteObjects) tells so many ids."""
ACCOUNT_BYTES_AT_ONCE: Final = 8 * 1024 * 1024
ACCOUNT_BYTES_A_DAY: Final = 64 * 1024 * 1024
WORKER_BYTES_AT_ONCE: Final = 64 * 1024 * 1024
WORKER_BYTES_A_DAY: Final = 1024 * 1024 * 1024
MOST_ENCODED_CHARACTERS: Final = 10_240
_MOST_RECENT: Final = 2_000
_PRUNED_AT_ONCE: Final = 2_000
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_TIME_DIGITS: Final = 7
_ID_CHARACTERS: Final = 26


class Kept(msgspec.Struct, array_like=True, gc=False):
    """One denial's row."""

    account_id: str
    organization_id: str
    record: bytes
    """`denial.encode`."""


class KeptDocument(msgspec.Struct, array_like=True):
    text: str
    used_at: int


DENIALS = Table("iam-toolbox.denials", Kept)  # (authorization id)
DOCUMENTS = Table("iam-toolbox.documents", KeptDocument)  # (hexadecimal digest of the text)


class _Budget:
    """So many bytes at once, refilled evenly over the day."""

    __slots__ = ("_at", "_left", "_most", "_per_second")

    def __init__(self, at_once: int, a_day: int, now: float) -> None:
        self._left = float(at_once)
        self._most = at_once
        self._per_second = a_day / 86_400
        self._at = now

    def take(self, size: int, now: float) -> bool:
        self._left = min(self._most, self._left + (now - self._at) * self._per_second)
        self._at = now
        if size > self._left:
            return False
        self._left -= size
        return True


class _Recent(NamedTuple):
    """A denial that the next one may be equal to."""

    authorization_id: str
    at: float
    principal: Principal
    context: Mapping[str, Any]
    decisions: int
    decision: Decision

    def is_as(self, call: Call, decision: Decision, now: float) -> bool:
        return (
            now - self.at < SHARED_SECONDS
            and self.principal is call.principal
            and self.decisions == len(call.decisions)
            and self.context == call.context
            and denial.is_same_denial(self.decision, decision)
        )


class DenialLog:
    """Notes denials of one worker. Safe to use from any thread; `close` stores what is waiting."""

    def __init__(self, records: Records, clock: Clock, encoding_key: bytes) -> None:
        self._records = records
        self._clock = clock
        self._sealer = Sealer(encoding_key)
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._waiting: list[tuple[str, Kept]] = []
        self._documents: dict[bytes, Policy] = {}
        self._stored_documents: dict[bytes, float] = {}
        self._recent: dict[tuple[int, str, str], _Recent] = {}
        self._accounts: dict[str, _Budget] = {}
        self._worker = _Budget(WORKER_BYTES_AT_ONCE, WORKER_BYTES_A_DAY, time.monotonic())
        self._complained = False

    def told(self, call: Call, decision: Decision) -> str:
        """What is added to a denial's message: where its details are. Never raises.

        https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied-authorization-id.html
        """
        if not call.principal.account_id or call.principal.kind in ("anonymous", "operator", "service"):
            return ""  # nobody could ask for them
        try:
            text = ""
            authorization_id = self._noted(call, decision)
            if authorization_id:
                text = (
                    f". Run freehold why {authorization_id} for complete details, or call the "
                    f"GetRequestAuthorizationDetails API with the following authorization id: {authorization_id}"
                )
            if call.operation.service == "sts":
                encoded = self.encoded(decision)
                if encoded:
                    text += f". Encoded authorization failure message: {encoded}"
            return text
        except Exception as error:
            self._complain(error)
            return ""

    # --- authorization ids -----------------------------------------------------------------------------------

    def _noted(self, call: Call, decision: Decision) -> str:
        request = decision.request
        key = (id(call.principal), request.action, request.resource)
        now = time.monotonic()
        with self._lock:
            recent = self._recent.get(key)
            if recent is not None and recent.is_as(call, decision, now):
                return recent.authorization_id
            if sum(one.result != "allow" for one in call.decisions) > MOST_IDS_A_CALL:
                return ""
            if len(self._waiting) >= MOST_WAITING:
                return ""
            authorization_id = self._note(call, now)
            if authorization_id:
                if len(self._recent) >= _MOST_RECENT:
                    self._recent.clear()
                self._recent[key] = _Recent(
                    authorization_id, now, call.principal, call.context, len(call.decisions), decision
                )
            return authorization_id

    def _note(self, call: Call, now: float) -> str:
        at = self._clock.now_seconds()
        found, policies = denial.of_call(call, at)
        record = denial.encode(found)
        if len(record) > MOST_RECORD_BYTES:
            return ""
        size = len(record)
        new = []
        for policy, kept in zip(policies, found.policies, strict=True):
            if at - self._stored_documents.get(kept.digest, -1e9) > DOCUMENT_AGAIN_SECONDS:
                new.append((kept.digest, policy))
                size += len(denial.text_of(policy))
        account_id = call.principal.account_id
        account = self._accounts.get(account_id)
        if account is None:
            account = self._accounts[account_id] = _Budget(ACCOUNT_BYTES_AT_ONCE, ACCOUNT_BYTES_A_DAY, now)
        if not account.take(size, now) or not self._worker.take(size, now):
            return ""
        for digest, policy in new:
            self._documents[digest] = policy
            self._stored_documents[digest] = at
        authorization_id = new_id(at)
        self._waiting.append((authorization_id, Kept(account_id, found.organization_id, record)))
        if self._thread is None:
            self._thread = threading.Thread(target=self._store_waiting, name="freehold-denials", daemon=True)
            self._thread.start()
        self._wake.set()
        return authorization_id

    def _store_waiting(self) -> None:
        while True:
            self._wake.wait()
            self._closing.wait(STORED_WITHIN_SECONDS)
            self._wake.clear()
            self.flush()
            if self._closing.is_set():
                return

    def flush(self) -> None:
        """Store what is waiting. What can't be stored is let go."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            documents, self._documents = self._documents, {}
        if not waiting:
            return
        used_at = int(self._clock.now_seconds())

        def store(tx: Transaction) -> None:
            for digest, policy in documents.items():
                DOCUMENTS.put(tx, (digest.hex(),), KeptDocument(denial.text_of(policy), used_at))
            for authorization_id, kept in waiting:
                DENIALS.put(tx, (authorization_id,), kept)

        try:
            self._records.submit(store).result()
            self._complained = False
        except Exception as error:
            with self._lock:
                for digest in documents:
                    self._stored_documents.pop(digest, None)
                self._recent.clear()
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        if not self._complained:
            self._complained = True
            log.error("the details of denials cannot be kept: %s", type(error).__name__)

    def close(self) -> None:
        """Store what is waiting and stop. Harmless a second time."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    # --- encoded messages ------------------------------------------------------------------------------------

    def encoded(self, decision: Decision) -> str:
        """The decision as an encoded authorization message, sealed; empty where it would be too long.

        EC2's refusals carry one on AWS; here STS's do.
        """
        account_id = decision.request.who.principal.account_id
        content = zlib.compress(orjson.dumps([account_id, decoded.message(decision)]))
        sealed = base64.urlsafe_b64encode(self._sealer.seal(content, _ENCODED)).decode().rstrip("=")
        return sealed if len(sealed) <= MOST_ENCODED_CHARACTERS else ""

    def decoded(self, encoded: str) -> tuple[str, str]:
        """(the denied caller's account, the message's JSON). Raises ValueError or IntegrityError for anything else."""
        sealed = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        if base64.urlsafe_b64encode(sealed).decode().rstrip("=") != encoded:
            raise ValueError("an encoded message has one spelling")
        account_id, message = orjson.loads(zlib.decompress(self._sealer.open(sealed, _ENCODED)))
        return account_id, orjson.dumps(message).decode()


_ENCODED: Final = b"encoded authorization message"


def new_id(at: float) -> str:
    """26 characters: the time in 7 of them, so that rows are in its order, and 95 random bits."""
    number, characters = int(at), ""
    for _ in range(_TIME_DIGITS):
        number, digit = divmod(number, 36)
        characters = _DIGITS[digit] + characters
    random = base64.b32hexencode(os.urandom(12)).decode("ascii").lower()
    return characters + random[: _ID_CHARACTERS - _TIME_DIGITS]


def time_of(authorization_id: str) -> int:
    """When a denial with this id was, seconds since the epoch; 0 for what is no id."""
    if len(authorization_id) != _ID_CHARACTERS or not set(authorization_id) <= set(_DIGITS):
        return 0
    return int(authorization_id[:_TIME_DIGITS], 36)


def find(reader: Reader, authorization_id: str) -> Kept | None:
    return DENIALS.get(reader, (authorization_id,)) if time_of(authorization_id) else None


def opened(reader: Reader, kept: Kept) -> tuple[Denial, dict[bytes, str]]:
    """The record, and the documents that it names."""
    found = denial.decode(kept.record)
    texts = {}
    for policy in found.policies:
        held = DOCUMENTS.get(reader, (policy.digest.hex(),))
        if held is not None:
            texts[policy.digest] = held.text
    return found, texts


_documents_looked_at: weakref.WeakKeyDictionary[App, float] = weakref.WeakKeyDictionary()


@due_work
def prune(app: App, tx: Transaction) -> None:
    """Forget denials that are older than a day and two hours, and the documents that no later one names."""
    now = app.clock.now_seconds()
    oldest = now - KEPT_SECONDS
    gone = []
    for key, _ in tx.scan(DENIALS.name, limit=_PRUNED_AT_ONCE):
        if time_of(str(key[0])) >= oldest:
            break
        gone.append(key)
    for key in gone:
        DENIALS.delete(tx, key)
    if now - _documents_looked_at.get(app, 0.0) < DOCUMENT_AGAIN_SECONDS:
        return
    _documents_looked_at[app] = now
    unused = [key for key, held in DOCUMENTS.scan(tx) if held.used_at < now - DOCUMENTS_KEPT_SECONDS]
    for key in unused:
        DOCUMENTS.delete(tx, key)

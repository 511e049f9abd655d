"""How guessing is slowed: after some failures in a row each further attempt has to wait, twice as long each time.

An attempt is counted before it is made and taken back when it succeeds, in transactions that all workers share, so
that many at once gain nothing. What comes too early is refused without being counted, so that nobody prolongs a wait
by asking. No wait is longer than its limit's `most_seconds`, and an hour without an attempt forgets them all: nobody
is locked out for good. Keys name a user by id or a digest, never by what was typed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

from freehold.services.iam.credential_records import ATTEMPTS, Attempts
from freehold.services.operation import due_work
from freehold.storage.records import Transaction

if TYPE_CHECKING:
    from freehold.app import App

FORGOTTEN_AFTER_SECONDS: Final = 3600
_CLEANED_AT_ONCE: Final = 1000
Key = tuple[str, ...]


class TooManyAttempts(Exception):
    """`seconds` have to pass before the next attempt."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds
        super().__init__(f"try again in {seconds} seconds")


@dataclass(frozen=True, slots=True)
class Limit:
    """`free` failures cost nothing; then 1, 2, 4 … seconds, at most `most_seconds`."""

    free: int
    most_seconds: int

    def wait_seconds(self, failures: int) -> int:
        beyond = failures - self.free
        return 0 if beyond < 0 else min(self.most_seconds, 1 << min(beyond, 30))


@dataclass(frozen=True, slots=True)
class Counted:
    """What an attempt counts against: whatever `key` names."""

    key: Key
    limit: Limit


def charge(tx: Transaction, now: float, counted: Iterable[Counted]) -> None:
    """Count an attempt as failed. Raises TooManyAttempts, and counts nothing, when it's too early for one of them."""
    held = []
    longest = 0.0
    for each in counted:
        attempts = ATTEMPTS.get(tx, each.key)
        if attempts is None or now - attempts.last_at >= FORGOTTEN_AFTER_SECONDS:
            attempts = Attempts(failures=0, last_at=now)
        longest = max(longest, attempts.last_at + each.limit.wait_seconds(attempts.failures) - now)
        held.append((each.key, attempts))
    if longest > 0:
        raise TooManyAttempts(math.ceil(longest))
    for key, attempts in held:
        ATTEMPTS.put(tx, key, Attempts(failures=attempts.failures + 1, last_at=now))


def take_back(tx: Transaction, counted: Iterable[Counted]) -> None:
    """The attempt succeeded: it is not counted. Earlier failures stay, since they may have been somebody else's."""
    for each in counted:
        attempts = ATTEMPTS.get(tx, each.key)
        if attempts is None:
            continue
        if attempts.failures <= 1:
            ATTEMPTS.delete(tx, each.key)
        else:
            ATTEMPTS.put(tx, each.key, Attempts(failures=attempts.failures - 1, last_at=attempts.last_at))


def forget(tx: Transaction, counted: Iterable[Counted]) -> None:
    """The attempt succeeded, and failures before it were the same person's."""
    for each in counted:
        ATTEMPTS.delete(tx, each.key)


def digest(*texts: str) -> str:
    """A name for what was typed: people type their passwords where their names belong."""
    return hashlib.sha256("\x00".join(texts).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def network(address: str) -> str:
    """The address, of IPv6 the network that one customer has at least."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return digest(address)
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return f"{parsed.exploded[:19]}/64"
    return str(parsed)


_clean_from: list[Key | None] = [None]


@due_work
def _clean(app: App, tx: Transaction) -> None:
    """Delete what is forgotten, a thousand rows of the table at a time."""
    oldest = app.clock.now_seconds() - FORGOTTEN_AFTER_SECONDS
    rows = list(ATTEMPTS.scan(tx, after=_clean_from[0], limit=_CLEANED_AT_ONCE))
    for key, attempts in rows:
        if attempts.last_at < oldest:
            ATTEMPTS.delete(tx, key)
    _clean_from[0] = rows[-1][0] if len(rows) == _CLEANED_AT_ONCE else None  # type: ignore[assignment]

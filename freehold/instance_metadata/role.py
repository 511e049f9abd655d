"""The role's credentials as an instance sees them: renewed long before they expire, kept while renewal fails.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

RETRY_SECONDS = 5.0
"""After a failed renewal the server is left alone for so long."""


class RoleUnavailable(Exception):
    """There are no credentials now. `code` is what the metadata service answers (`AssumeRoleUnauthorizedAccess`)."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCredentials:
    """One set of temporary credentials, and what they belong to. Shows no secret."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    issued_at: datetime
    expires_at: datetime
    role_name: str
    instance_profile_id: str

    @property
    def lifetime_seconds(self) -> float:
        return (self.expires_at - self.issued_at).total_seconds()


class InstanceRole:
    """Hands out the current credentials. Safe to share between threads; one of them renews at a time.

    `assume` gets new ones or raises RoleUnavailable; `now` is a monotonic clock in seconds. They are renewed once half
    of their lifetime is over, or, when that is more, `renew_before_seconds` before they expire.
    """

    def __init__(
        self, assume: Callable[[], RoleCredentials], now: Callable[[], float], renew_before_seconds: float = 0.0
    ) -> None:
        self._assume = assume
        self._now = now
        self._renew_before = renew_before_seconds
        self._lock = threading.Lock()
        self._known: tuple[RoleCredentials, float] | None = None
        """The credentials, and when they end."""
        self._failure: RoleUnavailable | None = None
        self._retry_at = 0.0

    def current(self) -> RoleCredentials:
        """Credentials that haven't expired. Raises RoleUnavailable."""
        now = self._now()
        known = self._known
        if known is not None and known[1] - now > max(self._renew_before, known[0].lifetime_seconds / 2):
            return known[0]
        # While one thread renews, the others go on with what is still good.
        if not self._lock.acquire(blocking=known is None or known[1] <= now):
            assert known is not None
            return known[0]
        try:
            if self._known is known and now >= self._retry_at:
                self._renew(now)
            known = self._known
            if known is not None and known[1] > now:
                return known[0]
            raise self._failure or RoleUnavailable("Failed", "There are no credentials.")
        finally:
            self._lock.release()

    def _renew(self, now: float) -> None:
        try:
            held = self._assume()
        except RoleUnavailable as failure:
            self._failure = failure
            self._retry_at = now + RETRY_SECONDS
            return
        # By the server's word for how long they last, not by comparing two clocks.
        self._known = (held, now + held.lifetime_seconds)
        self._failure = None

"""Signing keys, derived once per secret, day, region and service, and kept for a while.

The secret itself is part of what a key is found by: once a secret has changed, its old keys are never found again.
"""

from __future__ import annotations

import hmac
from typing import Final

from freehold.authentication.credentials import Secret

MOST_HELD: Final = 4_096


class SigningKey:
    """A derived key, ready to sign. Its repr shows nothing."""

    __slots__ = ("_keyed", "key")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self._keyed = hmac.new(key, digestmod="sha256")

    def sign(self, text: bytes) -> str:
        """HMAC-SHA-256 of `text` as 64 hex digits."""
        mac = self._keyed.copy()
        mac.update(text)
        return mac.hexdigest()

    def __repr__(self) -> str:
        return "SigningKey(…)"


_held: dict[tuple[str, str, str, str], SigningKey] = {}


def signing_key(secret: Secret, date: str, region: str, service: str) -> SigningKey:
    """The key that signs for this scope."""
    text = secret.reveal()
    at = (text, date, region, service)
    key = _held.pop(at, None)
    if key is None:
        derived = hmac.digest(b"AWS4" + text.encode(), date.encode(), "sha256")
        for part in (region, service, "aws4_request"):
            derived = hmac.digest(derived, part.encode("utf-8", "surrogateescape"), "sha256")
        key = SigningKey(derived)
        if len(_held) >= MOST_HELD:
            _held.pop(next(iter(_held), at), None)
    # Inserted anew at each use, so that the first is the least recently used.
    _held[at] = key
    return key

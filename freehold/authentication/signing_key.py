"""Signing keys, derived once per secret, day, region and service, and kept for a while.

The secret itself is part of what a key is found by: once a secret has changed, its old keys are never found again.
"""

from __future__ import annotations

from hmac import digest
from typing import Final

from freehold.authentication.credentials import Secret

MOST_HELD: Final = 4_096
_held: dict[tuple[str, str, str, str], bytes] = {}


def signing_key(secret: Secret, date: str, region: str, service: str) -> bytes:
    """The 32-byte key that signs for this scope."""
    text = secret.reveal()
    at = (text, date, region, service)
    key = _held.pop(at, None)
    if key is None:
        key = digest(b"AWS4" + text.encode(), date.encode(), "sha256")
        for part in (region, service, "aws4_request"):
            key = digest(key, part.encode("utf-8", "surrogateescape"), "sha256")
        if len(_held) >= MOST_HELD:
            _held.pop(next(iter(_held), at), None)
    # Inserted anew at each use, so that the first is the least recently used.
    _held[at] = key
    return key

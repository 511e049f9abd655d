"""Presigned requests: the signature and all that it needs travel in the query, as `X-Amz-…` parameters.

Valid from its date (less the allowed clock skew) for `X-Amz-Expires` seconds, 1 to 604,800. Services other than S3
accept a presigned request for their clock skew at most, whatever it says. Parameters' names are case-sensitive and
each comes once.
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from freehold.authentication import canonical
from freehold.authentication.claim import ALGORITHM, Malformed, Scope, family_of, scope_of, signature_of
from freehold.authentication.refusals import S3, S3AccessDenied, Service
from freehold.authentication.timestamps import extended, seconds_of
from freehold.message import Request

MOST_EXPIRES_SECONDS: Final = 604_800
_REQUIRED: Final = ("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders")
_ALL: Final = frozenset((*_REQUIRED, "X-Amz-Expires", "X-Amz-Security-Token", "X-Amz-Content-Sha256"))


@dataclass(frozen=True, slots=True)
class Presigned:
    scope: Scope
    signature: str
    timestamp: str
    signed_at: int
    expires_seconds: int | None
    token: str | None
    content_sha256: str | None
    canonical_query: str


def is_presigned(query_string: str) -> bool:
    """Whether a query carries any part of a signature; then it must carry all of one."""
    return "X-Amz-" in query_string and any(
        item.startswith(("X-Amz-Algorithm=", "X-Amz-Credential=", "X-Amz-Signature="))
        for item in query_string.split("&")
    )


def from_query(request: Request, services: Mapping[str, Service]) -> Presigned:
    """Raises the service's error for a query that is not exactly one well-formed signature. Verifies nothing."""
    pairs = canonical.query_pairs(request.query_string)
    found: dict[str, str] = {}
    family = family_of(request)
    try:
        for name, value in pairs:
            if name in _ALL:
                if name in found:
                    raise Malformed(f"The query parameter {name} comes more than once.")
                found[name] = canonical.decoded(value)
        parts = found.get("X-Amz-Credential", "").split("/")
        service = services.get(parts[-2] if len(parts) >= 5 else "")
        family = service.refusals if service else family
        algorithm = found.get("X-Amz-Algorithm", ALGORITHM)
        if algorithm != ALGORITHM:
            raise Malformed('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
        for name in (*_REQUIRED, "X-Amz-Expires") if family is S3 else _REQUIRED:
            if not found.get(name):
                raise Malformed(
                    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, "
                    "X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
                )
        timestamp = found["X-Amz-Date"]
        signed_at = seconds_of(timestamp)
        if signed_at is None:
            raise Malformed("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
        expires = _expires(found["X-Amz-Expires"]) if "X-Amz-Expires" in found else None
        try:
            scope = scope_of(found["X-Amz-Credential"], found["X-Amz-SignedHeaders"])
        except Malformed as malformed:
            raise Malformed(f"Error parsing the X-Amz-Credential parameter; {malformed}") from None
        signature = signature_of(found["X-Amz-Signature"])
    except Malformed as malformed:
        raise family.incomplete_query(str(malformed)) from None
    return Presigned(
        scope,
        signature,
        timestamp,
        signed_at,
        expires,
        found.get("X-Amz-Security-Token"),
        found.get("X-Amz-Content-Sha256"),
        canonical.joined([pair for pair in pairs if pair[0] != "X-Amz-Signature"]),
    )


def _expires(text: str) -> int:
    if text.startswith("-"):
        raise Malformed("X-Amz-Expires must be non-negative")
    if not (text.isascii() and text.isdigit()):
        raise Malformed("X-Amz-Expires should be a number")
    if len(text) > 9 or int(text) > MOST_EXPIRES_SECONDS:
        raise Malformed(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            "604800 seconds"
        )
    if int(text) == 0:
        raise Malformed("X-Amz-Expires must be at least 1 second")
    return int(text)


def check_time(presigned: Presigned, skew_seconds: int, wall_seconds: float) -> None:
    """Raise S3's AccessDenied before the request's date (less the skew) or after its expiry."""
    if wall_seconds < presigned.signed_at - skew_seconds:
        raise S3AccessDenied("Request is not yet valid", ServerTime=extended(wall_seconds))
    expires_at = presigned.signed_at + (presigned.expires_seconds or 0)
    if wall_seconds >= expires_at:
        raise S3AccessDenied(
            "Request has expired",
            Expires=extended(expires_at),
            ServerTime=extended(wall_seconds),
            **{"X-Amz-Expires": str(presigned.expires_seconds)},
        )

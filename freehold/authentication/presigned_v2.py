"""S3's presigned requests of signature version 2: `AWSAccessKeyId`, `Expires` and `Signature` in the query.

boto3 and the AWS CLI still make them by default in us-east-1, so they are verified here, for S3 only and in the query
only; the `Authorization: AWS …` header stays refused. The signature (HMAC-SHA-1) covers the method, Content-MD5,
Content-Type, the time of expiry, every `x-amz-*` header, the bucket, the path and the sub-resources below. It covers
neither the host nor the rest of the query, so this module refuses

- every other query parameter, but for those that page and filter a listing (see `_LISTING`);
- what could be read as more than one request: control characters, a sub-resource inside another's value, a header
  that is in the query too with another value, a parameter that comes twice;
- an expiry more than seven days (and the allowed clock skew) ahead. S3 itself sets no limit.

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

from freehold.authentication.canonical import octets
from freehold.authentication.credentials import Secret
from freehold.authentication.presigned import MOST_EXPIRES_SECONDS
from freehold.authentication.refusals import S3, S3AccessDenied
from freehold.authentication.timestamps import extended
from freehold.message import Request

_OWN: Final = ("AWSAccessKeyId", "Expires", "Signature")
_POSITIONAL: Final = ("content-md5", "content-type")
"""Headers with a line of their own. A presigner moves them into the query, as it does `x-amz-*` headers."""

SUBRESOURCES: Final = frozenset(
    (
        "accelerate",
        "acl",
        "analytics",
        "cors",
        "defaultObjectAcl",
        "delete",
        "inventory",
        "lifecycle",
        "location",
        "logging",
        "metrics",
        "notification",
        "object-lock",
        "partNumber",
        "policy",
        "replication",
        "requestPayment",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "response-content-language",
        "response-content-type",
        "response-expires",
        "restore",
        "select",
        "select-type",
        "storageClass",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versionId",
        "versioning",
        "versions",
        "website",
    )
)
"""The query parameters that are signed: S3's documented ones and those that clients sign besides."""

_LISTING: Final = frozenset(
    (
        "bucket-region",
        "continuation-token",
        "delimiter",
        "encoding-type",
        "fetch-owner",
        "key-marker",
        "list-type",
        "marker",
        "max-buckets",
        "max-keys",
        "max-uploads",
        "prefix",
        "start-after",
        "upload-id-marker",
        "version-id-marker",
    )
)
"""Nobody signs these in version 2. Whoever may list a bucket by a URL may list all of it that the signer may."""
_LISTING_PARTS: Final = frozenset(("max-parts", "part-number-marker"))

_has_control = re.compile(rb"[\x00-\x1f\x7f]").search
_is_amz_header = re.compile(r"x-amz-[0-9a-z._-]+").fullmatch


@dataclass(frozen=True, slots=True)
class PresignedV2:
    """What a query claims; nothing of it is verified yet."""

    access_key_id: str
    expires_at: int
    """Seconds since the epoch."""
    signature: str
    token: str | None = field(repr=False)
    content_sha256: str | None
    string_to_sign: bytes = field(repr=False)


def is_presigned(query_string: str) -> bool:
    """Whether a query carries any part of a version 2 signature; then it must carry all of one."""
    return ("AWSAccessKeyId=" in query_string or "Signature=" in query_string) and any(
        item.startswith(("AWSAccessKeyId=", "Signature=")) for item in query_string.split("&")
    )


def is_for_s3(request: Request) -> bool:
    """Whether the request would be S3's: neither the target header, nor a form, nor an action of another service."""
    if "x-amz-target" in request.headers or "Action=" in request.query_string:
        return False
    form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return not (form and request.method == "POST")


def from_query(request: Request, bucket_of: Callable[[str], str | None]) -> PresignedV2:
    """What the request claims. `bucket_of`: the bucket that a Host header names, as routing reads it.

    Raises S3's AccessDenied for a query that isn't all of a signature or holds more than it covers, and
    AuthorizationQueryParametersError for one that may be read in two ways.
    """
    items = _items(request.query_string)
    if not all(items.get(name) for name in _OWN):
        raise S3AccessDenied(
            "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
        )
    access_key_id, expires, signature = [(items[name] or b"").decode("utf-8", "replace") for name in _OWN]
    if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
        raise S3AccessDenied(f"Invalid date (should be seconds since epoch): {expires[:64]}")
    headers = {
        name: octets(value).strip(b" \t")
        for name, value in request.headers.items()
        if name[:6] == "x-amz-" or name in _POSITIONAL
    }
    subresources: list[tuple[str, bytes | None]] = []
    uncovered: list[str] = []
    for name, value in items.items():
        lowered = name.lower()
        if name in _OWN:
            continue
        if name in SUBRESOURCES:
            subresources.append((name, value))
        elif lowered in _POSITIONAL or _is_amz_header(lowered):
            if headers.setdefault(lowered, value or b"") != (value or b""):
                raise S3.incomplete_query(f"The header {lowered} and the query parameter differ.")
        else:
            uncovered.append(name)
    host_bucket = bucket_of(request.headers.get("host", ""))
    if host_bucket is not None and "/" in host_bucket:
        # Signed as part of the path, it would read as another bucket.
        raise S3.incomplete_query("The Host header names no bucket.")
    if uncovered:
        tolerated = _filters(request, host_bucket is not None, "uploadId" in items)
        refused = sorted(name for name in uncovered if name not in tolerated)
        if refused:
            raise S3AccessDenied(
                "There were query parameters present in the request which signature version 2 does not sign; use "
                "AWS4-HMAC-SHA256",
                QueryParametersNotSigned=", ".join(refused)[:1024],
            )
    path = request.raw_path if host_bucket is None else f"/{host_bucket}{request.raw_path}"
    if path.count("/") == 1 and path != "/":
        # A bucket alone is signed in one way, whether it is in the path or in the host.
        path += "/"
    lines = [octets(request.method), *[headers.pop(name, b"") for name in _POSITIONAL], expires.encode()]
    lines += [name.encode() + b":" + headers[name] for name in sorted(headers)]
    lines.append(octets(path) + _signed_query(subresources))
    if any(_has_control(line) for line in lines):
        raise S3.incomplete_query("What is signed must not contain control characters.")
    token, content_sha256 = [
        headers[name].decode("utf-8", "surrogateescape") if name in headers else None
        for name in ("x-amz-security-token", "x-amz-content-sha256")
    ]
    return PresignedV2(access_key_id, int(expires), signature, token, content_sha256, b"\n".join(lines))


def check_time(claimed: PresignedV2, skew_seconds: int, wall_seconds: float) -> None:
    """Raise S3's AccessDenied once the request has expired, or its error for an expiry that is too far ahead."""
    if wall_seconds >= claimed.expires_at:
        raise S3AccessDenied(
            "Request has expired", Expires=extended(claimed.expires_at), ServerTime=extended(wall_seconds)
        )
    if claimed.expires_at - wall_seconds > MOST_EXPIRES_SECONDS + skew_seconds:
        raise S3.incomplete_query(f"Expires must be less than a week ({MOST_EXPIRES_SECONDS} seconds) ahead")


def verify(claimed: PresignedV2, secret: Secret) -> None:
    """Raise S3's SignatureDoesNotMatch, with what should have been signed, unless `secret` made the signature."""
    mac = hmac.digest(secret.reveal().encode(), claimed.string_to_sign, "sha1")
    if not hmac.compare_digest(base64.b64encode(mac), claimed.signature.encode("utf-8", "surrogateescape")):
        raise S3.mismatch(
            AWSAccessKeyId=claimed.access_key_id,
            StringToSign=claimed.string_to_sign.decode("utf-8", "replace"),
            SignatureProvided=claimed.signature,
            StringToSignBytes=claimed.string_to_sign.hex(" "),
        )


def _items(query_string: str) -> dict[str, bytes | None]:
    """The query's items, decoded as the parser of parameters decodes them; None for one without an equals sign."""
    items: dict[str, bytes | None] = {}
    seen: set[str] = set()
    for item in query_string.split("&"):
        if item:
            name, equals, value = item.replace("+", " ").partition("=")
            name = unquote_to_bytes(octets(name)).decode("utf-8", "surrogateescape")
            if name.lower() in seen:
                raise S3.incomplete_query("A query parameter comes more than once.")
            seen.add(name.lower())
            items[name] = unquote_to_bytes(octets(value)) if equals else None
    return items


def _filters(request: Request, in_host: bool, of_upload: bool) -> frozenset[str]:
    """The unsigned parameters that a request may have: a listing's, none for everything else."""
    if request.method != "GET":
        return frozenset()
    key = request.raw_path[1:] if in_host else request.raw_path[1:].partition("/")[2]
    if not key:
        return _LISTING
    return _LISTING_PARTS if of_upload else frozenset()


def _signed_query(subresources: list[tuple[str, bytes | None]]) -> bytes:
    """The signed parameters, sorted and decoded. Raises where a value reads as though it held another of them."""
    if not subresources:
        return b""
    for _, value in subresources:
        for piece in (value or b"").split(b"&")[1:]:
            if piece.partition(b"=")[0].decode("utf-8", "replace") in SUBRESOURCES:
                raise S3.incomplete_query("The value of a signed query parameter must not contain another.")
    subresources.sort(key=lambda pair: pair[0])
    return b"?" + b"&".join(
        name.encode() if value is None else name.encode() + b"=" + value for name, value in subresources
    )

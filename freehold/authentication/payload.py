"""What a signature says about the body, and what is left to verify while it arrives (`transport/chunked.py`).

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from freehold.errors import aws_error

EMPTY_SHA256: Final = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
UNSIGNED: Final = "UNSIGNED-PAYLOAD"

PayloadKind = Literal["verified", "unsigned", "sha256", "chunks"]

_is_sha256 = re.compile("[0-9a-f]{64}").fullmatch
_CHUNKED: Final = {
    # the header's value: (chunks are signed, trailers may follow)
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": (True, False),
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": (True, True),
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": (False, True),
}

InvalidArgument = aws_error("InvalidArgument", 400)
InvalidRequest = aws_error("InvalidRequest", 400)
MissingContentLength = aws_error("MissingContentLength", 411, "You must provide the Content-Length HTTP header.")


@dataclass(frozen=True, slots=True)
class ChunkSignature:
    """Where the chain of chunk signatures begins."""

    signing_key: bytes = field(repr=False)
    timestamp: str
    scope: str
    seed: str
    """The request's own signature."""


@dataclass(frozen=True, slots=True)
class Payload:
    """`verified`: the buffered body was compared already; `unsigned`: nothing to compare; `sha256`: of the whole body;
    `chunks`: aws-chunked, signed if `chunk_signature` is there."""

    kind: PayloadKind
    sha256: str = ""
    """64 lower-case hex digits for kind `sha256`."""
    chunk_signature: ChunkSignature | None = None
    decoded_length: int | None = None
    trailers_follow: bool = False
    trailer_names: frozenset[str] = frozenset()
    """The trailing headers that `x-amz-trailer` declares, lower-case. Each must come, and no other may."""


VERIFIED: Final = Payload("verified")
UNSIGNED_PAYLOAD: Final = Payload("unsigned")


def declared(value: str, headers: Mapping[str, str], signature: ChunkSignature | None) -> Payload:
    """What `x-amz-content-sha256: value` says. `signature` is None for a request that isn't signed.

    Raises S3's errors for a value that means nothing, or a chunked body without its decoded length.
    """
    if value == UNSIGNED:
        return UNSIGNED_PAYLOAD
    chunked = _CHUNKED.get(value)
    if chunked is not None:
        chunks_signed, trailers_follow = chunked
        if chunks_signed and signature is None:
            raise InvalidRequest("A request without a signature cannot have signed chunks.")
        return _chunked(headers, signature if chunks_signed else None, trailers_follow)
    if not _is_sha256(value):
        raise InvalidArgument(
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
            ArgumentName="x-amz-content-sha256",
            ArgumentValue=value,
        )
    return Payload("sha256", value)


def undeclared(headers: Mapping[str, str]) -> Payload:
    """Where nothing is said about a hash (presigned, anonymous): only the framing counts."""
    encodings = headers.get("content-encoding")
    if (
        encodings
        and "x-amz-decoded-content-length" in headers
        and "aws-chunked" in [encoding.strip().lower() for encoding in encodings.split(",")]
    ):
        return _chunked(headers, None, True)
    return UNSIGNED_PAYLOAD


def _chunked(headers: Mapping[str, str], signature: ChunkSignature | None, trailers_follow: bool) -> Payload:
    length = headers.get("x-amz-decoded-content-length", "")
    if not (length.isascii() and length.isdigit() and len(length) < 16):
        raise MissingContentLength
    names = headers.get("x-amz-trailer", "") if trailers_follow else ""
    return Payload(
        "chunks",
        "",
        signature,
        int(length),
        trailers_follow,
        frozenset(name for part in names.split(",") if (name := part.strip().lower())),
    )

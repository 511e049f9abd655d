"""Checksums of objects: the algorithms, what a request says about them, and their verification. No I/O.

CRC32, CRC32C, CRC64NVME, SHA1 and SHA256, from a header or a trailer, and Content-MD5. What a client gives is compared
with what arrived before anything is stored; where it gives nothing, CRC64NVME is computed and kept. The newer ones of
the model (SHA512, MD5, XXHASH…) are refused by the operations.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from typing import Any, Protocol

from freehold.services.s3.errors import BadDigest, InvalidDigest, InvalidRequest
from freehold.services.s3.records import Checksum

COMPOSITE, FULL_OBJECT = "COMPOSITE", "FULL_OBJECT"
DEFAULT = "CRC64NVME"
UNSUPPORTED_MEMBERS = (
    "ChecksumSHA512",
    "ChecksumMD5",
    "ChecksumXXHASH64",
    "ChecksumXXHASH3",
    "ChecksumXXHASH128",
)


class Running(Protocol):
    """A checksum being computed."""

    def update(self, data: bytes) -> None: ...
    def digest(self) -> bytes: ...


@cache
def _crt(name: str) -> Callable[..., int]:
    """A function of AWS's library. Imported at first use: it would be a tenth of a start's time and memory."""
    from awscrt import checksums as crt

    function: Callable[..., int] = getattr(crt, name)
    return function


class _Crc:
    __slots__ = ("_function", "_size", "_value")

    def __init__(self, name: str, size: int) -> None:
        self._function = _crt(name)
        self._size = size
        self._value = 0

    def update(self, data: bytes) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


@dataclass(frozen=True, slots=True)
class Algorithm:
    name: str
    size_bytes: int
    new: Callable[[], Running]
    combine: Callable[[int, int, int], int] | None
    """(checksum of A, of B, length of B) to the checksum of A followed by B; None where only parts can be summed."""
    default_kind: str
    """What a multipart upload gets when it names the algorithm alone."""
    composite: bool
    member: str
    header: str


def _algorithm(
    name: str,
    size: int,
    new: Callable[[], Running],
    combine: Callable[[int, int, int], int] | None,
    default_kind: str,
    composite: bool,
) -> Algorithm:
    return Algorithm(
        name, size, new, combine, default_kind, composite, "Checksum" + name, "x-amz-checksum-" + name.lower()
    )


def _combining(name: str) -> Callable[[int, int, int], int]:
    return lambda first, second, length: _crt("combine_" + name)(first, second, length)


def _sha1() -> Running:
    return hashlib.sha1(usedforsecurity=False)


ALGORITHMS: dict[str, Algorithm] = {
    row.name: row
    for row in (
        _algorithm("CRC32", 4, lambda: _Crc("crc32", 4), _combining("crc32"), COMPOSITE, True),
        _algorithm("CRC32C", 4, lambda: _Crc("crc32c", 4), _combining("crc32c"), COMPOSITE, True),
        _algorithm("CRC64NVME", 8, lambda: _Crc("crc64nvme", 8), _combining("crc64nvme"), FULL_OBJECT, False),
        _algorithm("SHA1", 20, _sha1, None, COMPOSITE, True),
        _algorithm("SHA256", 32, hashlib.sha256, None, COMPOSITE, True),
    )
}
MEMBERS = tuple((row.member, row) for row in ALGORITHMS.values())
_BY_HEADER = {row.header: row for row in ALGORITHMS.values()}
_NOT_VALUES = frozenset(("x-amz-checksum-algorithm", "x-amz-checksum-type", "x-amz-checksum-mode"))


def encode(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


@dataclass(frozen=True, slots=True)
class Expected:
    """What a request says of its body's checksum."""

    algorithm: Algorithm
    value: str | None
    """Base64 from a header; None when it comes in a trailer, or when nothing is claimed."""
    in_trailer: bool
    named: bool
    """Whether the client chose the algorithm."""
    md5: bytes | None
    """Content-MD5."""
    kept: Algorithm
    """Whose checksum is stored: another than the claimed one's for a part of an upload that chose none."""

    def check(self, digest: bytes, md5: bytes | None, trailers: Mapping[str, str]) -> str:
        """The checksum to keep, base64. Raises BadDigest or InvalidRequest when it isn't what was claimed."""
        if self.md5 is not None and (md5 is None or not hmac.compare_digest(self.md5, md5)):
            raise BadDigest
        computed = encode(digest)
        claimed = self.value
        if self.in_trailer:
            claimed = trailers.get(self.algorithm.header)
            if claimed is None:
                raise InvalidRequest(f"The trailer {self.algorithm.header} that x-amz-trailer announces is missing.")
            _check_form(self.algorithm, claimed)
        if claimed is not None and claimed != computed:
            raise BadDigest(f"The {self.algorithm.name} you specified did not match the calculated checksum.")
        return computed


def expected(params: Mapping[str, Any], headers: Mapping[str, str], *, kept: Algorithm | None = None) -> Expected:
    """What the request says, its form checked. `kept`: the algorithm to store, where the request has no say."""
    claimed: list[tuple[Algorithm, str]] = [(row, params[name]) for name, row in MEMBERS if name in params]
    announced = _announced(headers.get("x-amz-trailer"))
    chosen = params.get("ChecksumAlgorithm")
    if len(claimed) + (announced is not None) > 1:
        raise InvalidRequest("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    value: str | None = None
    algorithm: Algorithm
    if claimed:
        algorithm, value = claimed[0]
        _check_form(algorithm, value)
    elif announced is not None:
        algorithm = announced
    elif chosen is not None:
        raise InvalidRequest(
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers"
            " were found."
        )
    else:
        algorithm = kept if kept is not None else ALGORITHMS[DEFAULT]
    if chosen is not None and chosen != algorithm.name:
        raise InvalidRequest("Value for x-amz-sdk-checksum-algorithm header is invalid.")
    named = bool(claimed) or announced is not None
    return Expected(
        algorithm,
        value,
        announced is not None,
        named,
        content_md5(params, headers),
        kept if kept is not None else algorithm,
    )


def nothing_claimed(algorithm: Algorithm) -> Expected:
    """For bytes that come from here: the checksum is computed and there is nothing to compare it with."""
    return Expected(algorithm, None, False, False, None, algorithm)


def content_md5(params: Mapping[str, Any], headers: Mapping[str, str]) -> bytes | None:
    """Content-MD5 as 16 bytes, None where there is none. Raises InvalidDigest for one of another form."""
    text = params.get("ContentMD5") or headers.get("content-md5")
    if text is None:
        return None
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidDigest from None
    if len(digest) != 16:
        raise InvalidDigest
    return digest


def check_body(headers: Mapping[str, str], body: bytes, *, required: bool = False) -> None:
    """Verify Content-MD5 and x-amz-checksum-* headers of a request whose body is a document.

    `required`: raise InvalidRequest where the request has neither.
    """
    found = False
    md5 = content_md5({}, headers)
    if md5 is not None:
        found = True
        if not hmac.compare_digest(hashlib.md5(body, usedforsecurity=False).digest(), md5):
            raise BadDigest
    for header, row in _BY_HEADER.items():
        value = headers.get(header)
        if value is None:
            continue
        found = True
        _check_form(row, value)
        running = row.new()
        running.update(body)
        if encode(running.digest()) != value:
            raise BadDigest(f"The {row.name} you specified did not match the calculated checksum.")
    for name in headers:
        if name.startswith("x-amz-checksum-") and name not in _BY_HEADER and name not in _NOT_VALUES:
            raise InvalidRequest(f"The checksum {name} is not supported.")
    if required and not found:
        raise InvalidRequest("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")


def multipart_kind(algorithm: str | None, kind: str | None) -> tuple[Algorithm, str]:
    """The algorithm and type of a multipart upload that asks for these. Raises InvalidRequest for an odd pair."""
    if algorithm is None:
        if kind is not None:
            raise InvalidRequest(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
            )
        return ALGORITHMS[DEFAULT], FULL_OBJECT
    row = ALGORITHMS.get(algorithm)
    if row is None:
        raise InvalidRequest(
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types:"
            f" [{', '.join(ALGORITHMS)}]"
        )
    if kind is None:
        return row, row.default_kind
    if (kind == COMPOSITE and not row.composite) or (kind == FULL_OBJECT and row.combine is None):
        raise InvalidRequest(f"The {kind} checksum type cannot be used with the {row.name.lower()} checksum algorithm.")
    return row, kind


def of_parts(algorithm: Algorithm, kind: str, parts: Iterable[tuple[str, int]]) -> Checksum:
    """The checksum of an object from its parts' (base64 checksum, length in bytes), in order."""
    decoded = [(base64.b64decode(value), size) for value, size in parts]
    if kind == COMPOSITE or algorithm.combine is None:
        running = algorithm.new()
        running.update(b"".join(digest for digest, _ in decoded))
        return Checksum(algorithm.name, f"{encode(running.digest())}-{len(decoded)}", COMPOSITE)
    combine = algorithm.combine
    first, *rest = [(int.from_bytes(digest, "big"), size) for digest, size in decoded]
    value = reduce(lambda whole, part: combine(whole, part[0], part[1]), rest, first[0])
    return Checksum(algorithm.name, encode(value.to_bytes(algorithm.size_bytes, "big")), FULL_OBJECT)


def members(checksum: Checksum | None) -> dict[str, str]:
    """The output members that show a stored checksum."""
    if checksum is None:
        return {}
    return {"Checksum" + checksum.algorithm: checksum.value, "ChecksumType": checksum.kind}


def _announced(trailer: str | None) -> Algorithm | None:
    if trailer is None:
        return None
    names = [name.strip().lower() for name in trailer.split(",")]
    known = [_BY_HEADER[name] for name in names if name in _BY_HEADER]
    if len(known) != len(names) or len(known) != 1:
        raise InvalidRequest("The value specified in the x-amz-trailer header is not supported")
    return known[0]


def _check_form(algorithm: Algorithm, value: str) -> None:
    try:
        size = len(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        size = -1
    if size != algorithm.size_bytes:
        raise InvalidRequest(f"Value for {algorithm.header} header is invalid.")

"""Checksums: what requests claim, what is computed, how parts add up."""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.errors import AwsError
from freehold.services.s3 import checksums

# The check values of "123456789" in the catalogues of these algorithms.
KNOWN = {
    "CRC32": bytes.fromhex("cbf43926"),
    "CRC32C": bytes.fromhex("e3069283"),
    "CRC64NVME": bytes.fromhex("ae8b14860a799888"),
    "SHA1": hashlib.sha1(b"123456789").digest(),
    "SHA256": hashlib.sha256(b"123456789").digest(),
}


def digest(name: str, *pieces: bytes) -> str:
    running = checksums.ALGORITHMS[name].new()
    for piece in pieces:
        running.update(piece)
    return checksums.encode(running.digest())


@pytest.mark.parametrize("name", KNOWN)
def test_each_algorithm_is_the_one_of_its_name(name: str) -> None:
    assert digest(name, b"1234", b"56789") == base64.b64encode(KNOWN[name]).decode()


@settings(max_examples=50, deadline=None)
@given(
    parts=st.lists(st.binary(max_size=300), min_size=1, max_size=6),
    name=st.sampled_from(["CRC32", "CRC32C", "CRC64NVME"]),
)
def test_a_full_object_checksum_of_parts_is_that_of_the_bytes(parts: list[bytes], name: str) -> None:
    algorithm = checksums.ALGORITHMS[name]
    found = checksums.of_parts(algorithm, "FULL_OBJECT", [(digest(name, part), len(part)) for part in parts])
    assert found.value == digest(name, b"".join(parts))
    assert found.kind == "FULL_OBJECT"


def test_a_composite_checksum_is_that_of_the_parts_checksums() -> None:
    parts = [b"first", b"second"]
    found = checksums.of_parts(
        checksums.ALGORITHMS["CRC32"], "COMPOSITE", [(digest("CRC32", p), len(p)) for p in parts]
    )
    whole = b"".join(zlib.crc32(part).to_bytes(4, "big") for part in parts)
    assert found.value == base64.b64encode(zlib.crc32(whole).to_bytes(4, "big")).decode() + "-2"


def test_without_a_claim_crc64nvme_is_computed() -> None:
    expected = checksums.expected({}, {})
    assert (expected.algorithm.name, expected.value, expected.named) == ("CRC64NVME", None, False)


CRC = digest("CRC32", b"x")
MD5 = base64.b64encode(hashlib.md5(b"x").digest()).decode()
REFUSED: list[tuple[dict[str, Any], dict[str, str], str]] = [
    ({"ChecksumCRC32": CRC, "ChecksumSHA1": digest("SHA1", b"x")}, {}, "InvalidRequest"),
    ({"ChecksumCRC32": CRC}, {"x-amz-trailer": "x-amz-checksum-crc32"}, "InvalidRequest"),
    ({"ChecksumCRC32": "AAAA"}, {}, "InvalidRequest"),
    ({"ChecksumCRC32": "not base64!"}, {}, "InvalidRequest"),
    ({"ChecksumCRC32": CRC, "ChecksumAlgorithm": "SHA256"}, {}, "InvalidRequest"),
    ({"ChecksumAlgorithm": "CRC32"}, {}, "InvalidRequest"),
    ({}, {"x-amz-trailer": "x-amz-meta-sneaky"}, "InvalidRequest"),
    ({}, {"x-amz-trailer": "x-amz-checksum-crc32, x-amz-checksum-sha1"}, "InvalidRequest"),
    ({"ContentMD5": "AAAA"}, {}, "InvalidDigest"),
    ({"ContentMD5": "?"}, {}, "InvalidDigest"),
]


@pytest.mark.parametrize(("params", "headers", "code"), REFUSED)
def test_a_claim_of_the_wrong_form_is_refused(params: dict[str, Any], headers: dict[str, str], code: str) -> None:
    with pytest.raises(AwsError) as refused:
        checksums.expected(params, headers)
    assert refused.value.code == code


def _check(params: dict[str, Any], headers: dict[str, str], trailers: dict[str, str], body: bytes) -> str:
    expected = checksums.expected(params, headers)
    running = expected.algorithm.new()
    running.update(body)
    return expected.check(running.digest(), hashlib.md5(body).digest(), trailers)


def test_true_claims_are_accepted() -> None:
    assert _check({"ChecksumCRC32": CRC, "ContentMD5": MD5}, {}, {}, b"x") == CRC
    trailer = {"x-amz-trailer": "x-amz-checksum-crc32"}
    assert _check({"ChecksumAlgorithm": "CRC32"}, trailer, {"x-amz-checksum-crc32": CRC}, b"x") == CRC


@pytest.mark.parametrize(
    ("params", "headers", "trailers", "code"),
    [
        ({"ChecksumCRC32": CRC}, {}, {}, "BadDigest"),
        ({"ContentMD5": MD5}, {}, {}, "BadDigest"),
        ({}, {"x-amz-trailer": "x-amz-checksum-crc32"}, {"x-amz-checksum-crc32": CRC}, "BadDigest"),
        ({}, {"x-amz-trailer": "x-amz-checksum-crc32"}, {}, "InvalidRequest"),
    ],
)
def test_a_false_or_missing_claim_is_refused(
    params: dict[str, Any], headers: dict[str, str], trailers: dict[str, str], code: str
) -> None:
    with pytest.raises(AwsError) as refused:
        _check(params, headers, trailers, b"y")
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("algorithm", "kind", "wanted"),
    [
        (None, None, ("CRC64NVME", "FULL_OBJECT")),
        ("CRC32", None, ("CRC32", "COMPOSITE")),
        ("CRC32", "FULL_OBJECT", ("CRC32", "FULL_OBJECT")),
        ("CRC64NVME", None, ("CRC64NVME", "FULL_OBJECT")),
        ("SHA256", None, ("SHA256", "COMPOSITE")),
        ("SHA256", "FULL_OBJECT", None),
        ("CRC64NVME", "COMPOSITE", None),
        ("MD4", None, None),
        (None, "COMPOSITE", None),
    ],
)
def test_a_multipart_upload_gets_the_type_that_its_algorithm_can_have(
    algorithm: str | None, kind: str | None, wanted: tuple[str, str] | None
) -> None:
    if wanted is None:
        with pytest.raises(AwsError):
            checksums.multipart_kind(algorithm, kind)
    else:
        row, found = checksums.multipart_kind(algorithm, kind)
        assert (row.name, found) == wanted


def test_a_document_must_be_what_its_headers_say() -> None:
    checksums.check_body({"content-md5": MD5, "x-amz-checksum-crc32": CRC}, b"x", required=True)
    for headers in ({"content-md5": MD5}, {"x-amz-checksum-crc32": CRC}):
        with pytest.raises(AwsError):
            checksums.check_body(headers, b"y")
    with pytest.raises(AwsError):
        checksums.check_body({}, b"y", required=True)
    with pytest.raises(AwsError):
        checksums.check_body({"x-amz-checksum-sha512": "AAAA"}, b"y")

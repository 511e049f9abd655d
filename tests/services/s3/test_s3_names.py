"""Bucket names, keys and canonical ids."""

from __future__ import annotations

import pytest

from freehold.errors import AwsError
from freehold.services.s3 import names

GOOD_NAMES = ["abc", "my-bucket", "my.bucket.1", "1bucket", "a" * 63, "a.b-c", "1.2.3", "doc-example-bucket1"]
BAD_NAMES = [
    "",
    "ab",
    "a" * 64,
    "Bucket",
    "under_score",
    "-bucket",
    "bucket-",
    ".bucket",
    "bucket.",
    "a..b",
    "a-.b",
    "192.168.5.4",
    "xn--bucket",
    "sthree-bucket",
    "bucket-s3alias",
    "bucket--ol-s3",
    "bucket--x-s3",
    "a/b",
    "../etc",
    "a\0b",
    "bücket",
    "bucket\n",
]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_these_may_be_buckets(name: str) -> None:
    names.check_bucket_name(name)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_these_may_not_be_buckets(name: str) -> None:
    with pytest.raises(AwsError) as refused:
        names.check_bucket_name(name)
    assert refused.value.code == "InvalidBucketName"


@pytest.mark.parametrize("key", ["k" * 1024, "é" * 512, "😀" * 256, "../../etc/passwd", "a\0b", "//", "."])
def test_a_key_of_1024_bytes_is_taken_whatever_is_in_it(key: str) -> None:
    names.check_key(key)


@pytest.mark.parametrize("key", ["k" * 1025, "é" * 513, "😀" * 257])
def test_a_longer_key_is_too_long(key: str) -> None:
    with pytest.raises(AwsError) as refused:
        names.check_key(key)
    assert refused.value.code == "KeyTooLongError"

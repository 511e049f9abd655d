"""Names of buckets, objects and parts: what is allowed, and the ARNs made of them. Pure.

A bucket's name never becomes a path and an object's key never leaves the records, so `..` or a slash in a key is
text like any other.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
"""

from __future__ import annotations

import re

from freehold.services.s3.errors import InvalidArgument, InvalidBucketName, KeyTooLong

MAX_KEY_BYTES = 1024
MOST_PARTS = 10_000

_BUCKET_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?=[a-z0-9])){1,61}[a-z0-9]", re.ASCII)
_IP_ADDRESS = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}", re.ASCII)
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3", "-an")


def check_bucket_name(name: str) -> None:
    """Raise InvalidBucketName unless a general purpose bucket may be called so (3-63 characters)."""
    if (
        _BUCKET_NAME.fullmatch(name) is None
        or _IP_ADDRESS.fullmatch(name) is not None
        or "-." in name
        or name.startswith(_RESERVED_PREFIXES)
        or name.endswith(_RESERVED_SUFFIXES)
    ):
        raise InvalidBucketName(BucketName=name)


def check_key(key: str) -> None:
    """Raise KeyTooLongError for a key of more than 1,024 bytes of UTF-8."""
    if len(key) > MAX_KEY_BYTES // 4:
        size = len(key.encode())
        if size > MAX_KEY_BYTES:
            raise KeyTooLong(Size=str(size), MaxSizeAllowed=str(MAX_KEY_BYTES))


def check_part_number(number: int) -> None:
    """Raise InvalidArgument for a part number outside of 1 to 10,000."""
    if not 1 <= number <= MOST_PARTS:
        raise InvalidArgument(
            f"Part number must be an integer between 1 and {MOST_PARTS}, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=str(number),
        )


def bucket_arn(bucket: str) -> str:
    return "arn:aws:s3:::" + bucket


def object_arn(bucket: str, key: str) -> str:
    return f"arn:aws:s3:::{bucket}/{key}"

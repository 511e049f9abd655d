"""What x-amz-copy-source names."""

from __future__ import annotations

import pytest

from freehold.errors import AwsError
from freehold.services.s3.copying import source_of

GOOD = [
    ("bucket/key", ("bucket", "key")),
    ("/bucket/key", ("bucket", "key")),
    ("bucket/a%20b%2Fc", ("bucket", "a b/c")),
    ("bucket/a+b", ("bucket", "a+b")),
    ("bucket/a?b=c", ("bucket", "a?b=c")),
    ("bucket/a%3FversionId=1", ("bucket", "a?versionId=1")),
    ("bucket//key", ("bucket", "/key")),
    ("bucket%2Fkey", ("bucket", "key")),
    ("bucket/../other/key", ("bucket", "../other/key")),
]
BAD = [
    ("bucket", "InvalidArgument"),
    ("bucket/", "InvalidArgument"),
    ("/", "InvalidArgument"),
    ("", "InvalidArgument"),
    ("bucket/%ff", "InvalidArgument"),
    ("bucket/key?versionId=1", "NotImplemented"),
    ("arn:aws:s3:us-east-1:111122223333:accesspoint/a/object/k", "NotImplemented"),
]


@pytest.mark.parametrize(("text", "named"), GOOD)
def test_a_source_is_a_bucket_and_a_key(text: str, named: tuple[str, str]) -> None:
    assert source_of({"CopySource": text}) == named


@pytest.mark.parametrize(("text", "code"), BAD)
def test_anything_else_is_refused(text: str, code: str) -> None:
    with pytest.raises(AwsError) as refused:
        source_of({"CopySource": text})
    assert refused.value.code == code

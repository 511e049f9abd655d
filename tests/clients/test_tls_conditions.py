"""What policies know of a connection's encryption, over http and over https."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def reader(aws: Any, condition: dict[str, Any]) -> Any:
    statement = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*", "Condition": condition}
    return aws.new_user("u", {"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize(
    ("condition", "over_https"),
    [
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({"Bool": {"aws:SecureTransport": "false"}}, False),
        ({"NumericGreaterThanEquals": {"s3:TlsVersion": "1.2"}}, True),
        ({"NumericGreaterThan": {"s3:TlsVersion": "1.3"}}, None),
        ({"Null": {"s3:TlsVersion": "true"}}, False),
    ],
    ids=str,
)
def test_a_condition_on_encryption(aws: Any, scheme: str, condition: dict[str, Any], over_https: bool | None) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html"""
    user = reader(aws, condition)
    if over_https is not None and over_https == (scheme == "https"):
        user.s3.list_buckets()
    else:
        with pytest.raises(ClientError, match="AccessDenied"):
            user.s3.list_buckets()

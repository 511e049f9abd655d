"""What is accepted as a bucket's policy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.errors import AwsError
from freehold.services.s3 import policy

GOOD = {
    "Effect": "Allow",
    "Principal": {"AWS": "111122223333"},
    "Action": ["s3:GetObject", "S3:ListBucket"],
    "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"],
}


def text(**changes: Any) -> str:
    statement = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_policy_for_the_bucket_is_accepted() -> None:
    policy.check(text(), "bucket")


@pytest.mark.parametrize(
    "malformed",
    [
        "",
        "{",
        "[]",
        "{}",
        "[" * 50_000,
        text(Resource="arn:aws:s3:::other/*"),
        text(Resource="arn:aws:s3:::bucket2/*"),
        text(Resource="arn:aws:s3:::*"),
        text(Resource="*"),
        text(Resource=None, NotResource="arn:aws:s3:::other"),
        text(Action="ec2:RunInstances"),
        text(Action=["s3:GetObject", "kms:Decrypt"]),
        text(Principal=None),
        text(Effect="Maybe"),
        text(Surprise="x"),
        text(Condition={"StringResembles": {"aws:userid": "x"}}),
    ],
)
def test_anything_else_is_malformed(malformed: str) -> None:
    with pytest.raises(AwsError) as refused:
        policy.check(malformed, "bucket")
    assert refused.value.code == "MalformedPolicy"

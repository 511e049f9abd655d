"""What is accepted as a bucket's policy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.errors import AwsError
from freehold.services.s3 import policy_check

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
    policy_check.check(text(), "bucket")


def test_a_star_after_the_bucket_s_name_is_the_bucket_and_its_objects() -> None:
    policy_check.check(text(Resource="arn:aws:s3:::bucket*"), "bucket")
    policy_check.check(text(Action="s3:ListBucket", Resource="arn:aws:s3:::bucket*"), "bucket")


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
        text(Action="s3:Nope"),
        text(Action=["s3:GetObject", "s3:HeadObject"]),
        text(Action="s3:Nope*"),
        text(Action="s3:ListAllMyBuckets"),
        text(Action=None, NotAction="s3:Nope"),
        text(Action="s3:ListBucket", Resource="arn:aws:s3:::bucket/*"),
        text(Action="s3:GetObject", Resource="arn:aws:s3:::bucket"),
        text(Action=["s3:GetObject", "s3:ListBucket"], Resource="arn:aws:s3:::bucket/*"),
        text(Action="s3:*Object", Resource="arn:aws:s3:::bucket"),
        text(Principal=None),
        text(Effect="Maybe"),
        text(Surprise="x"),
        text(Condition={"StringResembles": {"aws:userid": "x"}}),
    ],
)
def test_anything_else_is_malformed(malformed: str) -> None:
    with pytest.raises(AwsError) as refused:
        policy_check.check(malformed, "bucket")
    assert refused.value.code == "MalformedPolicy"


REFUSALS = [
    ({"Action": "s3:Nope"}, "Policy has invalid action", "s3:Nope"),
    ({"Action": ["s3:GetObject", "s3:Nope*"]}, "Policy has invalid action", "s3:Nope*"),
    ({"Resource": "arn:aws:s3:::other/*"}, "Policy has invalid resource", "arn:aws:s3:::other/*"),
    (
        {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::bucket/a"},
        "Action does not apply to any resource(s) in statement",
        None,
    ),
]


@pytest.mark.parametrize(("changes", "message", "detail"), REFUSALS)
def test_a_refusal_says_what_is_wrong(changes: dict[str, Any], message: str, detail: str | None) -> None:
    with pytest.raises(AwsError) as refused:
        policy_check.check(text(**changes), "bucket")
    assert (refused.value.message, refused.value.members.get("Detail")) == (message, detail)


@pytest.mark.parametrize(
    "changes",
    [
        {"Action": "*"},
        {"Action": "s3:*", "Resource": "arn:aws:s3:::bucket/*"},
        {"Action": "s3:Get*", "Resource": "arn:aws:s3:::bucket"},
        {"Action": "S3:GETOBJECT", "Resource": "arn:aws:s3:::bucket/a/${aws:userid}/*"},
        {"Action": "s3:?etObject", "Resource": "arn:aws:s3:::bucket/*"},
        {"Action": None, "NotAction": "s3:GetObject"},
        {"Action": "s3:ListBucket", "Resource": None, "NotResource": "arn:aws:s3:::bucket/private/*"},
    ],
)
def test_patterns_and_exceptions_are_accepted_where_some_action_applies(changes: dict[str, Any]) -> None:
    policy_check.check(text(**changes), "bucket")

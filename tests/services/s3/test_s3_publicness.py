"""When a bucket policy counts as public."""

from __future__ import annotations

import json
from typing import Any

import pytest

from freehold.services.s3.publicness import is_public

ROOT = {"AWS": "arn:aws:iam::111122223333:root"}
# principal, condition, public
CASES: list[tuple[Any, dict[str, Any], bool]] = [
    ("*", {}, True),
    ({"AWS": "*"}, {}, True),
    ({"AWS": ["arn:aws:iam::111122223333:root", "*"]}, {}, True),
    (ROOT, {}, False),
    ({"Service": "cloudtrail.amazonaws.com"}, {}, False),
    ("*", {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, False),
    ("*", {"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, True),
    ("*", {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "0.0.0.0/1"]}}, True),
    ("*", {"IpAddress": {"aws:SourceIp": "::/0"}}, True),
    ("*", {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, True),
    ("*", {"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}, False),
    ("*", {"StringEquals": {"AWS:principalorgid": "o-abcdefghij"}}, False),
    ("*", {"StringLike": {"aws:PrincipalOrgID": "o-*"}}, True),
    ("*", {"StringLike": {"aws:PrincipalOrgID": "*"}}, True),
    ("*", {"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-abcdefghij"}}, True),
    ("*", {"StringNotEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}}, True),
    ("*", {"StringEquals": {"aws:SourceVpc": "vpc-91237329"}}, False),
    ("*", {"StringLike": {"aws:SourceVpc": "vpc-*"}}, True),
    ("*", {"StringEquals": {"aws:PrincipalAccount": "${aws:ResourceAccount}"}}, True),
    ("*", {"StringEquals": {"aws:UserAgent": "me"}}, True),
    ("*", {"Bool": {"aws:SecureTransport": "true"}}, True),
    ("*", {"ArnLike": {"aws:SourceArn": "arn:aws:sns:us-east-1:111122223333:*"}}, False),
    ("*", {"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:*:*"}}, True),
]


@pytest.mark.parametrize(("principal", "condition", "public"), CASES)
def test_a_statement_is_public_unless_it_says_who_or_whence(
    principal: Any, condition: dict[str, Any], public: bool
) -> None:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
    if condition:
        statement["Condition"] = condition
    assert is_public(json.dumps({"Version": "2012-10-17", "Statement": [statement]})) is public
    assert is_public(json.dumps({"Version": "2012-10-17", "Statement": statement})) is public


def test_a_deny_makes_nothing_public() -> None:
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::b/*"}
    assert not is_public(json.dumps({"Statement": statement}))

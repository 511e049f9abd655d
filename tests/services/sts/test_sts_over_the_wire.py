"""STS as boto3 sees it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from desk import allow, deny, policy, trust

from freehold.testing import Principal, Server


@contextmanager
def fails(code: str, status: int, text: str = ""):
    with pytest.raises(ClientError) as caught:
        yield
    response = caught.value.response
    got = (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"])
    assert (got, text in response["Error"]["Message"]) == ((code, status), True), response["Error"]


def a_role(aws: Principal, *statements: dict[str, Any], **more: Any) -> str:
    arn: str = aws.iam.create_role(RoleName="app", AssumeRolePolicyDocument=trust(aws.account_id), **more)["Role"][
        "Arn"
    ]
    if statements:
        aws.iam.put_role_policy(RoleName="app", PolicyName="p", PolicyDocument=policy(*statements))
    return arn


def a_user(aws: Principal, *statements: dict[str, Any]) -> Principal:
    return aws.new_user("bob", *([json.loads(policy(*statements))] if statements else []))


def test_everyone_learns_who_they_are(aws: Principal) -> None:
    bob = a_user(aws, deny("*"))
    identity = bob.sts.get_caller_identity()
    assert identity["Arn"] == f"arn:aws:iam::{aws.account_id}:user/bob"
    assert identity["UserId"] == aws.iam.get_user(UserName="bob")["User"]["UserId"]
    assert aws.sts.get_access_key_info(AccessKeyId=bob.access_key_id)["Account"] == aws.account_id


def test_a_role_is_assumed_and_used(aws: Principal) -> None:
    arn = a_role(aws, allow("iam:ListUsers"))
    bob = a_user(aws, allow("sts:AssumeRole", resource=arn))
    given = bob.sts.assume_role(RoleArn=arn, RoleSessionName="one", Policy=policy(allow("iam:*")))
    assert 0 < given["PackedPolicySize"] <= 100
    session = bob.using(given)
    assert session.sts.get_caller_identity()["UserId"] == given["AssumedRoleUser"]["AssumedRoleId"]
    assert len(session.iam.list_users()["Users"]) == 1
    with fails("AccessDenied", 403, "because no identity-based policy allows the iam:ListRoles action"):
        session.iam.list_roles()


def test_a_refused_role_says_why(aws: Principal) -> None:
    arn = a_role(aws)
    with fails("AccessDenied", 403, f"is not authorized to perform: sts:AssumeRole on resource: {arn}"):
        a_user(aws).sts.assume_role(RoleArn=arn, RoleSessionName="one")


def test_an_altered_or_expired_token_is_refused(aws: Principal, freehold_server: Server) -> None:
    arn = a_role(aws)
    bob = a_user(aws, allow("sts:*"))
    session = bob.using(bob.sts.assume_role(RoleArn=arn, RoleSessionName="one", DurationSeconds=900))
    token = session.session_token
    assert token is not None
    for place in (0, len(token) // 2, len(token) - 5):
        other = "A" if token[place] != "A" else "B"
        session.session_token = token[:place] + other + token[place + 1 :]
        with fails("InvalidClientTokenId", 403):
            session.client("sts").get_caller_identity()
    session.session_token = token
    altered = Principal(session.endpoint, session.access_key_id, session.secret_access_key, token)
    altered.sts.get_caller_identity()
    freehold_server.advance(seconds=901)
    with fails("ExpiredToken", 403, "expired"):
        altered.sts.get_caller_identity()


def test_a_deleted_roles_session_ends_at_once(aws: Principal) -> None:
    arn = a_role(aws)
    bob = a_user(aws, allow("sts:*"))
    session = bob.using(bob.sts.assume_role(RoleArn=arn, RoleSessionName="one"))
    session.sts.get_caller_identity()
    aws.iam.delete_role(RoleName="app")
    with fails("InvalidClientTokenId", 403):
        session.sts.get_caller_identity()
    a_role(aws)
    with fails("InvalidClientTokenId", 403):
        session.sts.get_caller_identity()


def test_a_user_session_without_mfa_cannot_call_iam(aws: Principal) -> None:
    bob = a_user(aws, allow("*"))
    session = bob.using(bob.sts.get_session_token())
    with fails("InvalidClientTokenId", 403):
        session.iam.list_users()
    with fails("AccessDenied", 403, "Cannot call GetSessionToken with session credentials"):
        session.sts.get_session_token()


REFUSED: list[tuple[dict[str, Any], str, int]] = [
    ({"RoleSessionName": "a b"}, "ValidationError", 400),
    ({"RoleSessionName": "ö" * 3}, "ValidationError", 400),
    ({"DurationSeconds": 899}, "ValidationError", 400),
    ({"DurationSeconds": 3601}, "ValidationError", 400),
    ({"Policy": "{"}, "MalformedPolicyDocument", 400),
    ({"SerialNumber": "arn:aws:iam::123456789012:mfa/x", "TokenCode": "123456"}, "AccessDenied", 403),
    ({"Policy": policy(allow(*(f"s3:Some{n}" for n in range(300))))}, "PackedPolicyTooLarge", 400),
    ({"PolicyArns": [{"arn": "arn:aws:iam::aws:policy/NoSuchPolicy"}]}, "ValidationError", 400),
]


def test_bad_sessions_are_refused(aws: Principal) -> None:
    arn = a_role(aws)
    bob = a_user(aws, allow("sts:*"))
    sts = bob.client("sts", config=Config(parameter_validation=False))
    for params, code, status in REFUSED:
        with fails(code, status):
            sts.assume_role(**{"RoleArn": arn, "RoleSessionName": "one", **params})


def test_what_is_not_implemented_is_not_pretended(aws: Principal) -> None:
    with fails("NotImplemented", 501, "delegation requests begin"):
        aws.sts.get_delegated_access_token(TradeInToken="t" * 20)

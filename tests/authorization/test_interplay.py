"""Boundaries and session policies against bucket policies that name users, roles and sessions, end to end.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
"""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest
from botocore.exceptions import ClientError

EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
NOTHING = {"Effect": "Allow", "Action": "ec2:Describe*", "Resource": "*"}
NEVER = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}


def doc(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


class Bench:
    """A bucket with one object, a user and a role, each with what a test gives them."""

    def __init__(self, aws: Any) -> None:
        self.aws = aws
        self.bucket = "b-" + secrets.token_hex(8)
        aws.s3.create_bucket(Bucket=self.bucket)
        aws.s3.put_object(Bucket=self.bucket, Key="k", Body=b"x")
        self.user = aws.new_user("u", json.loads(doc({**EVERYTHING, "Action": "sts:AssumeRole"})))
        self.user_arn = f"arn:aws:iam::{aws.account_id}:user/u"
        trust = {"Effect": "Allow", "Principal": {"AWS": aws.account_id}, "Action": "sts:AssumeRole"}
        self.role_arn = aws.iam.create_role(RoleName="r", AssumeRolePolicyDocument=doc(trust))["Role"]["Arn"]
        self.session_arn = f"arn:aws:sts::{aws.account_id}:assumed-role/r/one"

    def bounded(self, statement: dict[str, Any], *, user: bool = False) -> None:
        """A permissions boundary for the role, or the user."""
        made = self.aws.iam.create_policy(PolicyName="b" + secrets.token_hex(4), PolicyDocument=doc(statement))
        arn = made["Policy"]["Arn"]
        if user:
            self.aws.iam.put_user_permissions_boundary(UserName="u", PermissionsBoundary=arn)
        else:
            self.aws.iam.put_role_permissions_boundary(RoleName="r", PermissionsBoundary=arn)

    def named(self, principal: Any, effect: str = "Allow", element: str = "Principal") -> None:
        """The bucket's policy: the objects, for one principal."""
        statement = {"Effect": effect, element: principal, "Action": "s3:GetObject",
                     "Resource": f"arn:aws:s3:::{self.bucket}/*"}  # fmt: skip
        self.aws.s3.put_bucket_policy(Bucket=self.bucket, Policy=doc(statement))

    def session(self, *policies: dict[str, Any], name: str = "one") -> Any:
        limited = {"Policy": doc(*policies)} if policies else {}
        answer = self.user.sts.assume_role(RoleArn=self.role_arn, RoleSessionName=name, **limited)
        return self.aws.using(answer)

    def reads(self, principal: Any) -> bool:
        try:
            principal.s3.get_object(Bucket=self.bucket, Key="k")
        except ClientError as error:
            if error.response["Error"]["Code"] == "AccessDenied":
                return False
            raise
        return True


@pytest.fixture
def bench(aws: Any) -> Bench:
    return Bench(aws)


def test_a_user_that_the_bucket_names_escapes_its_boundarys_silence_and_not_its_deny(bench: Bench) -> None:
    assert not bench.reads(bench.user)
    bench.named({"AWS": bench.user_arn})
    assert bench.reads(bench.user)
    bench.bounded(NOTHING, user=True)
    assert bench.reads(bench.user)
    bench.bounded(NEVER, user=True)
    assert not bench.reads(bench.user)


def test_a_role_that_the_bucket_names_is_limited_by_boundary_and_session_policy(bench: Bench) -> None:
    bench.named({"AWS": bench.role_arn})
    assert bench.reads(bench.session())
    assert bench.reads(bench.session(EVERYTHING))
    assert not bench.reads(bench.session(NOTHING))
    bench.bounded(NOTHING)
    assert not bench.reads(bench.session())


def test_a_session_that_the_bucket_names_is_limited_by_their_denies_alone(bench: Bench) -> None:
    bench.named({"AWS": bench.session_arn})
    assert bench.reads(bench.session())
    assert not bench.reads(bench.session(name="two"))
    assert bench.reads(bench.session(NOTHING))
    assert not bench.reads(bench.session(EVERYTHING, NEVER))
    bench.bounded(NOTHING)
    assert bench.reads(bench.session(NOTHING))
    bench.bounded(NEVER)
    assert not bench.reads(bench.session())


def test_the_account_that_the_bucket_names_only_delegates(bench: Bench) -> None:
    bench.named({"AWS": bench.aws.account_id})
    assert not bench.reads(bench.user)
    bench.aws.iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=doc(EVERYTHING))
    assert bench.reads(bench.user)
    bench.bounded(NOTHING, user=True)
    assert not bench.reads(bench.user)


def test_identity_boundary_and_session_policies_must_all_allow(bench: Bench) -> None:
    bench.aws.iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=doc(EVERYTHING))
    bench.bounded(EVERYTHING)
    assert bench.reads(bench.session(EVERYTHING))
    assert not bench.reads(bench.session(NOTHING))
    bench.bounded(NOTHING)
    assert not bench.reads(bench.session(EVERYTHING))
    bench.bounded(EVERYTHING)
    bench.aws.iam.delete_role_policy(RoleName="r", PolicyName="p")
    assert not bench.reads(bench.session(EVERYTHING))


def test_a_deny_by_notprincipal_spares_the_session_with_its_role_and_account_unless_there_is_a_boundary(
    bench: Bench,
) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html"""
    account = bench.aws.account_id
    bench.aws.iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=doc(EVERYTHING))
    bench.aws.iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=doc(EVERYTHING))
    bench.named({"AWS": [bench.session_arn, bench.role_arn, account]}, "Deny", "NotPrincipal")
    assert bench.reads(bench.session())
    assert not bench.reads(bench.session(name="two"))
    assert not bench.reads(bench.user)
    bench.named({"AWS": [bench.role_arn, account]}, "Deny", "NotPrincipal")
    assert bench.reads(bench.session(name="two"))
    bench.bounded(EVERYTHING)
    assert not bench.reads(bench.session())


def test_a_federated_user_has_the_intersection_and_what_names_it(bench: Bench) -> None:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html"""
    bench.aws.iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=doc(EVERYTHING))

    def federated(*policies: dict[str, Any]) -> Any:
        limited = {"Policy": doc(*policies)} if policies else {}
        return bench.aws.using(bench.user.sts.get_federation_token(Name="susan", **limited))

    assert bench.reads(federated(EVERYTHING))
    assert not bench.reads(federated(NOTHING))
    assert not bench.reads(federated())
    bench.named({"AWS": f"arn:aws:sts::{bench.aws.account_id}:federated-user/susan"})
    assert bench.reads(federated(NOTHING))
    assert bench.reads(federated())
    assert not bench.reads(federated(NEVER))
    bench.named({"AWS": bench.user_arn})
    assert not bench.reads(federated(NOTHING))

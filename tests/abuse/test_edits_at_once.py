"""Many callers edit one policy, user or role at the same moment, through two workers: nothing is half-done.

Each outcome must be one that some order of the calls could have had: limits hold, what was acknowledged is there, and
what was refused left nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

import freehold.testing

AT_ONCE = 8
MOST_VERSIONS = 5
MOST_ACCESS_KEYS = 2


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with freehold.testing.server(workers=2) as made:
        yield made
        assert made.log() == ""


@pytest.fixture
def aws(server: Any) -> Any:
    return server.new_account()


def _document(number: int) -> str:
    allow = {"Sid": f"Edit{number}", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": allow})


def _at_once(aws: Any, act: Callable[[Any, int], Any]) -> list[Any]:
    """What each of the callers got: an answer, or the code of the refusal. Each has a connection of its own."""
    clients = [aws.client("iam") for _ in range(AT_ONCE)]

    def call(number: int) -> Any:
        try:
            return act(clients[number], number)
        except ClientError as error:
            return error.response["Error"]["Code"]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(call, range(AT_ONCE)))


def _refusals(outcomes: list[Any]) -> list[str]:
    return [outcome for outcome in outcomes if isinstance(outcome, str)]


def test_a_policy_gets_five_versions_whoever_writes_them(aws: Any) -> None:
    arn = aws.iam.create_policy(PolicyName="shared", PolicyDocument=_document(99))["Policy"]["Arn"]

    outcomes = _at_once(
        aws,
        lambda iam, number: iam.create_policy_version(
            PolicyArn=arn, PolicyDocument=_document(number), SetAsDefault=True
        ),
    )

    made = [outcome["PolicyVersion"]["VersionId"] for outcome in outcomes if not isinstance(outcome, str)]
    assert set(_refusals(outcomes)) == {"LimitExceeded"}
    assert len(made) == len(set(made)) == MOST_VERSIONS - 1
    versions = aws.iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert {version["VersionId"] for version in versions} == {"v1", *made}
    default = [version["VersionId"] for version in versions if version["IsDefaultVersion"]]
    # The last to be made the default is the one with the highest number.
    assert default == [max(made, key=lambda name: int(name[1:]))]
    assert aws.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == default[0]


def test_one_of_many_creates_a_user_and_the_others_are_told(aws: Any) -> None:
    outcomes = _at_once(aws, lambda iam, number: iam.create_user(UserName="Same" if number % 2 else "same"))

    assert _refusals(outcomes) == ["EntityAlreadyExists"] * (AT_ONCE - 1)
    assert len(aws.iam.list_users()["Users"]) == 1


def test_an_inline_policy_is_one_of_those_that_were_put(aws: Any) -> None:
    aws.iam.create_user(UserName="ada")

    outcomes = _at_once(
        aws,
        lambda iam, number: iam.put_user_policy(UserName="ada", PolicyName="inline", PolicyDocument=_document(number)),
    )

    assert not _refusals(outcomes)
    document = aws.iam.get_user_policy(UserName="ada", PolicyName="inline")["PolicyDocument"]
    assert document in [json.loads(_document(number)) for number in range(AT_ONCE)]


def test_a_user_gets_two_access_keys_however_many_ask(aws: Any) -> None:
    aws.iam.create_user(UserName="ada")

    outcomes = _at_once(aws, lambda iam, number: iam.create_access_key(UserName="ada"))

    assert _refusals(outcomes) == ["LimitExceeded"] * (AT_ONCE - MOST_ACCESS_KEYS)
    listed = {key["AccessKeyId"] for key in aws.iam.list_access_keys(UserName="ada")["AccessKeyMetadata"]}
    assert listed == {outcome["AccessKey"]["AccessKeyId"] for outcome in outcomes if not isinstance(outcome, str)}


def test_a_policy_is_either_attached_or_deleted(aws: Any) -> None:
    aws.iam.create_user(UserName="ada")
    for turn in range(4):
        arn: str = aws.iam.create_policy(PolicyName=f"contested-{turn}", PolicyDocument=_document(0))["Policy"]["Arn"]

        outcomes = _at_once(aws, _attach_or_delete(arn))

        attached = aws.iam.list_attached_user_policies(UserName="ada")["AttachedPolicies"]
        exists = arn in [each["Arn"] for each in aws.iam.list_policies(Scope="Local")["Policies"]]
        assert (arn in [each["PolicyArn"] for each in attached]) == exists
        assert set(_refusals(outcomes)) == ({"DeleteConflict"} if exists else {"NoSuchEntity"})
        if exists:
            aws.iam.detach_user_policy(UserName="ada", PolicyArn=arn)
            aws.iam.delete_policy(PolicyArn=arn)


def _attach_or_delete(arn: str) -> Callable[[Any, int], Any]:
    def act(iam: Any, number: int) -> Any:
        if number % 2:
            return iam.attach_user_policy(UserName="ada", PolicyArn=arn)
        return iam.delete_policy(PolicyArn=arn)

    return act


def test_deleting_a_user_meets_a_key_or_leaves_none(aws: Any) -> None:
    for turn in range(4):
        aws.iam.create_user(UserName=f"ada-{turn}")

        key, deletion, *_ = _at_once(aws, _make_key_or_delete(f"ada-{turn}"))

        if isinstance(key, str):
            assert key == "NoSuchEntity"
            assert not isinstance(deletion, str)
        else:
            assert deletion == "DeleteConflict"
            assert aws.using(key).sts.get_caller_identity()["Arn"].endswith(f"user/ada-{turn}")


def _make_key_or_delete(user: str) -> Callable[[Any, int], Any]:
    def act(iam: Any, number: int) -> Any:
        if number == 0:
            return iam.create_access_key(UserName=user)
        if number == 1:
            return iam.delete_user(UserName=user)
        return iam.get_user(UserName=user)

    return act


def test_a_trust_policy_is_one_of_those_that_were_written(aws: Any) -> None:
    trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole"}]}
    trusts = []
    for number in range(AT_ONCE):
        aws.iam.create_user(UserName=f"user-{number}")
        arn = f"arn:aws:iam::{aws.account_id}:user/user-{number}"
        trusts.append({**trust, "Statement": [{**trust["Statement"][0], "Principal": {"AWS": arn}}]})  # type: ignore[dict-item]
    aws.iam.create_role(RoleName="shared", AssumeRolePolicyDocument=json.dumps(trusts[0]))

    outcomes = _at_once(
        aws,
        lambda iam, number: iam.update_assume_role_policy(RoleName="shared", PolicyDocument=json.dumps(trusts[number])),
    )

    assert not _refusals(outcomes)
    assert aws.iam.get_role(RoleName="shared")["Role"]["AssumeRolePolicyDocument"] in trusts

"""Each place that takes a policy takes one of the largest size that AWS takes, and none that is larger.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


def sized(size: int, **statement: Any) -> str:
    """A policy of so many characters, none of them white space."""
    found = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", **statement}]}
    found["Statement"][0].setdefault("Sid", "")  # type: ignore[index]
    short = len(json.dumps(found, separators=(",", ":")))
    found["Statement"][0]["Sid"] = "a" * (size - short)  # type: ignore[index]
    text = json.dumps(found, separators=(",", ":"))
    assert len(text) == size
    return text


def inline(aws: Any, kind: str, limit: int) -> tuple[int, Callable[[str], Any]]:
    getattr(aws.iam, f"create_{kind}")(**{f"{kind.title()}Name": "x"} | (
        {"AssumeRolePolicyDocument": sized(200, Principal="*", Action="sts:AssumeRole")} if kind == "role" else {}
    ))  # fmt: skip
    put = getattr(aws.iam, f"put_{kind}_policy")
    return limit, lambda text: put(**{f"{kind.title()}Name": "x"}, PolicyName="p", PolicyDocument=text)


def trust(aws: Any) -> tuple[int, Callable[[str], Any]]:
    return 2048, lambda text: aws.iam.create_role(RoleName=f"r{len(text)}", AssumeRolePolicyDocument=text)


def key(aws: Any) -> tuple[int, Callable[[str], Any]]:
    return 32_768, lambda text: aws.kms.create_key(Policy=text, BypassPolicyLockoutSafetyCheck=True)


def bucket(aws: Any) -> tuple[int, Callable[[str], Any]]:
    name = f"sizes-{aws.account_id}"
    aws.s3.create_bucket(Bucket=name)
    return 20_480, lambda text: aws.s3.put_bucket_policy(Bucket=name, Policy=text.replace("BUCKET", name))


PLACES: list[tuple[str, Callable[[Any], tuple[int, Callable[[str], Any]]], dict[str, Any], str]] = [
    ("user", lambda aws: inline(aws, "user", 2048), {"Resource": "*"}, "LimitExceeded"),
    ("group", lambda aws: inline(aws, "group", 5120), {"Resource": "*"}, "LimitExceeded"),
    ("role", lambda aws: inline(aws, "role", 10_240), {"Resource": "*"}, "LimitExceeded"),
    ("trust", trust, {"Principal": "*", "Action": "sts:AssumeRole"}, "LimitExceeded"),
    ("key", key, {"Principal": "*", "Action": "kms:*", "Resource": "*"}, "LimitExceededException"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "prepare", "statement", "code"), PLACES, ids=[row[0] for row in PLACES])
def test_a_policy_of_the_largest_size(aws: Any, place: str, prepare: Any, statement: dict[str, Any], code: str) -> None:
    limit, put = prepare(aws)
    # A Sid has a limit of its own, which Freehold sets: the rest is made of actions.
    spare = limit - 400
    listed = ["sts:AssumeRole" if place == "trust" else ("kms:Decrypt" if place == "key" else "s3:GetObject")]
    width = len(listed[0]) + 3
    full = {**statement, "Action": listed * max(1, spare // width)}
    put(sized(limit, **full))
    with pytest.raises(ClientError) as found:
        put(sized(limit + 1, **full))
    assert found.value.response["Error"]["Code"] == code


def test_a_bucket_policy_of_the_largest_size(aws: Any) -> None:
    limit, put = bucket(aws)
    name = f"sizes-{aws.account_id}"
    full = {
        "Principal": {"AWS": aws.account_id},
        "Resource": f"arn:aws:s3:::{name}/*",
        "Action": ["s3:GetObject"] * 1300,
    }
    put(sized(limit, **full))
    with pytest.raises(ClientError):
        put(sized(limit + 1, **full))


def test_a_session_policy_of_the_largest_size(aws: Any) -> None:
    user = aws.new_user("u", {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:GetFederationToken", "Resource": "*"}]})  # fmt: skip
    user.sts.get_federation_token(Name="name", Policy=sized(2048, Resource="*"))
    with pytest.raises(ClientError) as found:
        # The client knows the limit as well: this one doesn't look.
        user.client("sts", config=_unchecked()).get_federation_token(Name="name", Policy=sized(2049, Resource="*"))
    assert found.value.response["Error"]["Code"] in ("ValidationError", "PackedPolicyTooLarge")


def _unchecked() -> Any:
    from botocore.config import Config

    return Config(parameter_validation=False)


def test_white_space_does_not_count_where_iam_counts(aws: Any) -> None:
    aws.iam.create_user(UserName="x")
    text = sized(2048, Resource="*")
    aws.iam.put_user_policy(UserName="x", PolicyName="p", PolicyDocument=text.replace(",", ",\n" + " " * 100))

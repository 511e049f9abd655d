"""Policies that name who isn't there, over the wire: nobody is let in ahead of time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

NOBODY: dict[str, dict[str, str]] = {
    "an account": {"AWS": "999999999999"},
    "an account by its root": {"AWS": "arn:aws:iam::999999999999:root"},
    "a user of no account": {"AWS": "arn:aws:iam::999999999999:user/ada"},
    "a role that isn't there": {"AWS": "arn:aws:iam::ACCOUNT:role/nobody"},
    "a session of no role": {"AWS": "arn:aws:sts::ACCOUNT:assumed-role/nobody/one"},
    "a federated user of no account": {"AWS": "arn:aws:sts::999999999999:federated-user/ada"},
    "an id of no user": {"AWS": "AIDA2ZTH4UYXAMPLEGONE"},
    "a service": {"Service": "freehold-made-this-up.amazonaws.com"},
    "a domain like a service's": {"Service": "s3.amazonaws.com.example.org"},
}
CANONICAL = {"CanonicalUser": "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be"}


@contextmanager
def refused(code: str, text: str) -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert (error["Code"], text in error["Message"]) == (code, True), error


def document(principal: Any, action: str, **more: Any) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": principal, "Action": action, **more}],
        }
    )


@pytest.fixture(scope="module")
def account(freehold_server: Any) -> Any:
    """An account with a bucket and a key, for the module."""
    made = freehold_server.new_account("trusting")
    made.bucket = f"trusting-{made.account_id}"
    made.s3.create_bucket(Bucket=made.bucket)
    made.key = made.kms.create_key()["KeyMetadata"]["KeyId"]
    return made


@pytest.mark.parametrize("nobody", NOBODY.values(), ids=NOBODY.keys())
def test_no_kind_of_policy_lets_in_who_is_not_there(account: Any, nobody: dict[str, str]) -> None:
    ((kind, name),) = nobody.items()
    principal = {kind: name.replace("ACCOUNT", account.account_id)}
    told = f'Invalid principal in policy: "{"SERVICE" if kind == "Service" else kind}":"{principal[kind]}"'
    with refused("MalformedPolicyDocument", told):
        account.iam.create_role(RoleName="r", AssumeRolePolicyDocument=document(principal, "sts:AssumeRole"))
    objects = f"arn:aws:s3:::{account.bucket}/*"
    with refused("MalformedPolicy", "Invalid principal in policy"):
        account.s3.put_bucket_policy(
            Bucket=account.bucket, Policy=document(principal, "s3:GetObject", Resource=objects)
        )
    with refused("MalformedPolicyDocumentException", "one or more invalid principals"):
        account.kms.put_key_policy(
            KeyId=account.key,
            Policy=document(principal, "kms:Decrypt", Resource="*"),
            BypassPolicyLockoutSafetyCheck=True,
        )


def test_a_canonical_user_of_nobody_reads_no_bucket(account: Any) -> None:
    text = document(CANONICAL, "s3:GetObject", Resource=f"arn:aws:s3:::{account.bucket}/*")
    with refused("MalformedPolicy", "Invalid principal in policy"):
        account.s3.put_bucket_policy(Bucket=account.bucket, Policy=text)
    own = {"CanonicalUser": account.s3.list_buckets()["Owner"]["ID"]}
    text = document(own, "s3:GetObject", Resource=f"arn:aws:s3:::{account.bucket}/*")
    account.s3.put_bucket_policy(Bucket=account.bucket, Policy=text)


def test_the_accounts_and_services_that_are_there_can_be_named(account: Any, freehold_server: Any) -> None:
    other = freehold_server.new_account("partner")
    for principal in (
        {"AWS": other.account_id},
        {"AWS": [f"arn:aws:iam::{other.account_id}:root", "*"]},
        {"Service": ["ec2.amazonaws.com", "logs.eu-west-1.amazonaws.com"]},
    ):
        account.iam.create_role(RoleName="r", AssumeRolePolicyDocument=document(principal, "sts:AssumeRole"))
        account.iam.delete_role(RoleName="r")


@pytest.mark.parametrize(
    ("action", "resource", "message"),
    [
        ("s3:Nope", "/*", "Policy has invalid action"),
        ("s3:HeadObject", "/*", "Policy has invalid action"),
        ("s3:GetObject", "-of-another/*", "Policy has invalid resource"),
        ("s3:ListBucket", "/*", "Action does not apply to any resource(s) in statement"),
        ("s3:GetObject", "", "Action does not apply to any resource(s) in statement"),
    ],
)
def test_a_bucket_policy_that_could_do_nothing_is_refused(
    account: Any, action: str, resource: str, message: str
) -> None:
    before = document("*", "s3:DeleteBucket", Resource=f"arn:aws:s3:::{account.bucket}").replace("Allow", "Deny")
    account.s3.put_bucket_policy(Bucket=account.bucket, Policy=before)
    text = document({"AWS": account.account_id}, action, Resource=f"arn:aws:s3:::{account.bucket}{resource}")
    with refused("MalformedPolicy", message):
        account.s3.put_bucket_policy(Bucket=account.bucket, Policy=text)
    assert json.loads(account.s3.get_bucket_policy(Bucket=account.bucket)["Policy"]) == json.loads(before)
    account.s3.delete_bucket_policy(Bucket=account.bucket)

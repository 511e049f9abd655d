"""Of what belongs to another account, a caller who may not use it hears what is said of what doesn't exist."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

CALLS: dict[str, dict[str, Any]] = {
    "encrypt": {"Plaintext": b"x"},
    "generate_data_key": {"KeySpec": "AES_256"},
    "describe_key": {},
    "get_key_rotation_status": {},
    "list_grants": {},
    "create_grant": {"GranteePrincipal": "arn:aws:iam::ACCOUNT:root", "Operations": ["Decrypt"]},
    "revoke_grant": {"GrantId": "0" * 64},
    "retire_grant": {"GrantId": "0" * 64},
    "put_key_policy": {"Policy": "{}"},
}
DENY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@pytest.fixture
def keys(aws: Any) -> list[tuple[str, str]]:
    """(a name of a key, one like it that no key has), by key ARN and by alias ARN."""
    key = aws.kms.create_key()["KeyMetadata"]
    aws.kms.create_alias(AliasName="alias/real", TargetKeyId=key["KeyId"])
    alias = key["Arn"].partition(":key/")[0] + ":alias/real"
    return [
        (key["Arn"], key["Arn"][:-4] + ("f00d" if key["Arn"][-4:] != "f00d" else "beef")),
        (alias, alias[:-4] + "none"),
    ]


@pytest.mark.parametrize("policy", [ALLOW, DENY], ids=["who may", "who may not"])
@pytest.mark.parametrize("operation", CALLS)
def test_the_keys_of_others_are_as_if_they_were_not(
    aws: Any, other: Any, keys: list[tuple[str, str]], operation: str, policy: dict[str, Any]
) -> None:
    user = other.new_user("u", policy)
    text = json.dumps(CALLS[operation] | {"Plaintext": ""}).replace("ACCOUNT", other.account_id)
    params = {name: value for name, value in json.loads(text).items() if name in CALLS[operation]}
    if "Plaintext" in params:
        params["Plaintext"] = b"x"
    by_alias = operation in ("encrypt", "generate_data_key", "describe_key")
    for names in keys[: 1 + by_alias]:
        said = []
        for name in names:
            with pytest.raises(ClientError) as caught:
                getattr(user.kms, operation)(KeyId=name, **params)
            error = caught.value.response["Error"]
            said.append((error["Code"], error["Message"]))
        assert said[0] == said[1]
        assert said[0][0] == "AccessDeniedException"


def test_a_key_that_lets_the_account_in_is_named_again(aws: Any, other: Any) -> None:
    root = [f"arn:aws:iam::{account}:root" for account in (aws.account_id, other.account_id)]
    statement = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"}
    key = aws.kms.create_key(Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))["KeyMetadata"]
    user = other.new_user("u", DENY)
    with pytest.raises(ClientError, match="explicit deny in an identity-based policy"):
        user.kms.encrypt(KeyId=key["Arn"], Plaintext=b"x")


def test_why_another_account_s_resource_was_denied_tells_no_tag_of_it(aws: Any, other: Any, bucket: str) -> None:
    """The tags of a role or a bucket decide, and stay their owner's; nor do they tell that a role is there."""
    hidden = "what-the-owner-wrote"
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": aws.account_id}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = aws.iam.create_role(RoleName="r", AssumeRolePolicyDocument=document, Tags=[{"Key": "t", "Value": hidden}])
    role_arn = role["Role"]["Arn"]
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"")
    aws.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "t", "Value": hidden}]})
    aws.s3.put_bucket_abac(Bucket=bucket, AbacStatus={"Status": "Enabled"})
    user, keys = other.new_user("u", ALLOW), []
    for denied, params in (
        (user.sts.assume_role, {"RoleArn": role_arn, "RoleSessionName": "ab"}),
        (user.sts.assume_role, {"RoleArn": role_arn + "-that-is-not-there", "RoleSessionName": "ab"}),
        (user.s3.get_object, {"Bucket": bucket, "Key": "k"}),
        (user.s3.list_objects_v2, {"Bucket": bucket}),
    ):
        with pytest.raises(ClientError, match="authorization id") as caught:
            denied(**params)
        message = caught.value.response["Error"]["Message"]
        found = re.search(r"authorization id: (\w+)", message)
        assert found
        details = other.iam_toolbox.get_request_authorization_details(authorizationId=found[1])
        told = json.dumps(details["evaluations"])
        keys.append(set(details["evaluations"][-1]["context"]))
        encoded = re.search(r"failure message: ([\w-]+)", message)
        if encoded:
            told += other.sts.decode_authorization_message(EncodedMessage=encoded[1])["DecodedMessage"]
        assert (hidden in told, "Tag/" in told) == (False, False)
    assert keys[0] == keys[1]


def test_why_one_s_own_resource_was_denied_tells_its_tags(aws: Any) -> None:
    aws.iam.create_user(UserName="v", Tags=[{"Key": "t", "Value": "what-the-owner-wrote"}])
    with pytest.raises(ClientError, match="authorization id") as caught:
        aws.new_user("u", DENY).iam.get_user(UserName="v")
    found = re.search(r"authorization id: (\w+)", caught.value.response["Error"]["Message"])
    assert found
    details = aws.iam_toolbox.get_request_authorization_details(authorizationId=found[1])
    assert details["evaluations"][-1]["context"]["aws:ResourceTag/t"] == "what-the-owner-wrote"

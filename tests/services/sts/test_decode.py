"""Encoded authorization messages: what STS's refusals carry, and who gets to read it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def encoded(ask: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as caught:
        ask(**params)
    _, found, message = caught.value.response["Error"]["Message"].partition("Encoded authorization failure message: ")
    assert found
    return str(message)


ROLE = "arn:aws:iam::{}:role/nobody"


def test_a_message_is_decoded_to_the_decision_and_its_context(aws: Any) -> None:
    deny = {"Sid": "No", "Effect": "Deny", "Action": "sts:Assume*", "Resource": "*"}
    bob = aws.new_user("bob", policy(deny))
    role = ROLE.format(aws.account_id)
    message = encoded(bob.sts.assume_role, RoleArn=role, RoleSessionName="one")
    found = json.loads(aws.sts.decode_authorization_message(EncodedMessage=message)["DecodedMessage"])
    assert found["allowed"] is False
    assert found["explicitDeny"] is True
    [statement] = found["matchedStatements"]["items"]
    assert (statement["statementId"], statement["effect"]) == ("No", "DENY")
    assert statement["actions"] == {"items": [{"value": "sts:Assume*"}]}
    assert found["failures"] == {"items": []}
    context = found["context"]
    assert context["action"] == "sts:AssumeRole"
    assert context["resource"] == role
    assert context["principal"]["arn"].endswith(":user/bob")
    keys = {one["key"]: one["values"]["items"] for one in context["conditions"]["items"]}
    assert keys["sts:RoleSessionName"] == [{"value": "one"}]


def test_it_needs_its_permission_and_the_refused_principal_s_account(aws: Any, freehold_server: Any) -> None:
    bob = aws.new_user("bob")
    message = encoded(bob.sts.assume_role, RoleArn=ROLE.format(aws.account_id), RoleSessionName="one")
    with pytest.raises(ClientError, match="sts:DecodeAuthorizationMessage"):
        bob.sts.decode_authorization_message(EncodedMessage=message)
    with pytest.raises(ClientError, match="InvalidAuthorizationMessageException"):
        freehold_server.new_account().sts.decode_authorization_message(EncodedMessage=message)


def test_an_altered_message_is_refused(aws: Any) -> None:
    bob = aws.new_user("bob")
    message = encoded(bob.sts.assume_role, RoleArn=ROLE.format(aws.account_id), RoleSessionName="one")
    other = "A" if message[40] != "A" else "B"
    altered = [message[:40] + other + message[41:], message[:-1], message + "A", "x", "é", "=" * 9, message + "="]
    for one in (*altered, "A" * 10_000):
        with pytest.raises(ClientError, match="InvalidAuthorizationMessageException") as caught:
            aws.sts.decode_authorization_message(EncodedMessage=one)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_what_another_account_s_role_says_is_not_in_the_message(aws: Any, freehold_server: Any) -> None:
    other = freehold_server.new_account()
    deny = {"Effect": "Deny", "Principal": {"AWS": aws.account_id}, "Action": "sts:AssumeRole", "Sid": "TheirSecret"}
    role = other.iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(policy(deny)))["Role"]["Arn"]
    bob = aws.new_user("bob", policy({"Effect": "Allow", "Action": "sts:*", "Resource": "*"}))
    message = encoded(bob.sts.assume_role, RoleArn=role, RoleSessionName="one")
    found = aws.sts.decode_authorization_message(EncodedMessage=message)["DecodedMessage"]
    assert json.loads(found)["explicitDeny"] is True
    assert "TheirSecret" not in found

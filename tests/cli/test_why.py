"""`freehold why` against a live server: the words, the JSON, and a change that really helps."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

import freehold


def why(aws: Any, authorization_id: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": aws.access_key_id,
        "AWS_SECRET_ACCESS_KEY": aws.secret_access_key,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [sys.executable, "-m", "freehold", "why", authorization_id, "--endpoint", aws.endpoint, *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


def denied(ask: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as caught:
        ask(**params)
    found = re.search(r"freehold why ([0-9a-z]{26}) for", str(caught.value))
    assert found
    return found[1]


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def test_the_proposed_change_made_by_hand_allows_the_call(aws: Any) -> None:
    bob = aws.new_user("bob")
    aws.s3.create_bucket(Bucket=f"why-{aws.account_id}")
    aws.s3.put_object(Bucket=f"why-{aws.account_id}", Key="k", Body=b"x")
    ask = {"Bucket": f"why-{aws.account_id}", "Key": "k"}
    authorization_id = denied(bob.s3.get_object, **ask)
    told = why(aws, authorization_id)
    assert told.returncode == 0, told.stderr
    assert "Denied s3:GetObject" in told.stdout
    assert "The smallest change that would have allowed it:" in told.stdout
    found = json.loads(why(aws, authorization_id, "--json").stdout)
    [change] = found["evaluations"][0]["remedy"]["changes"]
    aws.iam.put_user_policy(UserName="bob", PolicyName="fix", PolicyDocument=json.dumps(change["document"]))
    assert bob.s3.get_object(**ask)["Body"].read() == b"x"


def test_a_group_s_policy_is_named_with_the_group_and_is_not_what_is_changed_for_one_of_its_users(aws: Any) -> None:
    bob = aws.new_user("bob")
    aws.iam.create_group(GroupName="staff")
    aws.iam.add_user_to_group(GroupName="staff", UserName="bob")
    reading = {"Effect": "Allow", "Action": "kms:DescribeKey", "Resource": "arn:aws:kms:us-east-1:111122223333:key/x"}
    aws.iam.put_group_policy(GroupName="staff", PolicyName="reading", PolicyDocument=policy(reading))
    key = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    authorization_id = denied(bob.kms.describe_key, KeyId=key)
    assert "statement 1 of reading of the group staff: Allow does not apply" in why(aws, authorization_id).stdout
    found = json.loads(why(aws, authorization_id, "--json").stdout)
    [change] = found["evaluations"][0]["remedy"]["changes"]
    # To add the key to the group's statement would open it to all of the group.
    assert change["edit"] == "new-policy"
    aws.iam.put_user_policy(UserName="bob", PolicyName="fix", PolicyDocument=json.dumps(change["document"]))
    assert bob.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyId"] == key


def test_who_may_not_read_why_is_told_whom_to_ask(aws: Any) -> None:
    bob = aws.new_user("bob")
    told = why(bob, denied(bob.iam.list_users))
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith("freehold: you may not read why: iam:GetRequestAuthorizationDetails and ")


def test_all_changes_are_listed_when_several_types_refuse(aws: Any) -> None:
    boundary = aws.iam.create_policy(
        PolicyName="b", PolicyDocument=policy({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    )["Policy"]["Arn"]
    bob = aws.new_user("bob")
    aws.iam.put_user_permissions_boundary(UserName="bob", PermissionsBoundary=boundary)
    told = why(aws, denied(bob.iam.list_users)).stdout
    assert "What would have allowed it, all of it together:" in told
    assert "1. Add an identity-based policy to" in told
    assert f"2. Add a statement to the permissions boundary {boundary}" in told
    assert "Permissions boundary: not allowed" in told


def test_the_failed_condition_and_the_deciding_statement_are_told(aws: Any) -> None:
    statement = {"Sid": "Office", "Effect": "Allow", "Action": "iam:*", "Resource": "*",
                 "Condition": {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}  # fmt: skip
    bob = aws.new_user("bob", json.loads(policy(statement)))
    told = why(aws, denied(bob.iam.list_users)).stdout
    assert "its condition IpAddress on aws:SourceIp wants '203.0.113.0/24'" in told


def test_a_name_that_a_terminal_would_act_on_is_shown_harmlessly(aws: Any) -> None:
    bob = aws.new_user("bob")
    aws.s3.create_bucket(Bucket=f"why-{aws.account_id}")
    told = why(aws, denied(bob.s3.get_object, Bucket=f"why-{aws.account_id}", Key="\x1b]0;owned\x07\x9b31m"))
    assert told.returncode == 0
    assert "\\x1b]0;owned\\x07\\x9b31m" in told.stdout
    assert all(sign.isprintable() or sign == "\n" for sign in told.stdout)


def test_an_unknown_id_is_one_line(aws: Any) -> None:
    for text in ("0" * 26, "no-id!", "../../x"):
        told = why(aws, text)
        assert told.returncode == 1
        assert told.stderr.startswith("freehold: ")
        assert told.stderr.count("\n") == 1


def test_the_documentation_s_example_is_what_is_printed(freehold_server: Any) -> None:
    """docs/why.md, but for the id, the time and the account."""
    aws = freehold_server.new_account()
    bucket = f"reports-{aws.account_id}"
    aws.s3.create_bucket(Bucket=bucket)
    reading = policy({"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"})
    boundary = aws.iam.create_policy(PolicyName="exporters", PolicyDocument=reading)["Policy"]["Arn"]
    resource = f"arn:aws:s3:::{bucket}/daily/*"
    export = {"Sid": "Export", "Effect": "Allow", "Action": "s3:PutObject", "Resource": resource}
    exporter = aws.new_user("exporter", json.loads(policy(export)))
    aws.iam.put_user_permissions_boundary(UserName="exporter", PermissionsBoundary=boundary)
    told = why(aws, denied(exporter.s3.put_object, Bucket=bucket, Key="weekly/w47.csv", Body=b"x")).stdout
    told = told.replace(bucket, "reports").replace(aws.account_id, "111122223333")
    page = (Path(freehold.__file__).parents[1] / "docs" / "why.md").read_text()
    example = page.partition("$ freehold why")[2].partition("\n")[2].partition("```")[0]

    def without_time(text: str) -> list[str]:
        return [line for line in text.strip().splitlines() if not line.startswith("  at ")]

    assert without_time(told) == without_time(example)


def test_a_session_of_assume_root_is_told_of_its_task(freehold_server: Any) -> None:
    management, member = freehold_server.new_account("management"), freehold_server.new_account("member")
    management.organizations.create_organization(FeatureSet="ALL")
    invited = management.organizations.invite_account_to_organization(
        Target={"Type": "ACCOUNT", "Id": member.account_id}
    )
    member.organizations.accept_handshake(HandshakeId=invited["Handshake"]["Id"])
    management.organizations.enable_aws_service_access(ServicePrincipal="iam.amazonaws.com")
    management.iam.enable_organizations_root_sessions()
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    admin = management.new_user("admin", {"Version": "2012-10-17", "Statement": [everything]})
    session = management.using(
        admin.sts.assume_root(
            TargetPrincipal=member.account_id,
            TaskPolicyArn={"arn": "arn:aws:iam::aws:policy/root-task/S3UnlockBucketPolicy"},
        )
    )
    told = why(management, denied(session.iam.list_users))
    assert f"by arn:aws:iam::{member.account_id}:root" in told.stdout, told.stderr
    assert 'statement "DenyAllOtherActionsOnAnyResource"' in told.stdout
    assert "can't be told" not in told.stdout


def test_policies_of_awss_are_detached_and_replaced_and_the_call_is_allowed(aws: Any) -> None:
    """What is proposed can be done by hand: nobody but AWS edits its policies."""
    bob = aws.new_user("bob")
    deny_all, boundary = "arn:aws:iam::aws:policy/AWSDenyAll", "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    aws.iam.attach_user_policy(UserName="bob", PolicyArn=deny_all)
    aws.iam.put_user_permissions_boundary(UserName="bob", PermissionsBoundary=boundary)
    authorization_id = denied(bob.iam.list_users)
    told = why(aws, authorization_id).stdout
    assert f"Detach AWS's identity-based policy {deny_all}." in told
    assert f"in place of AWS's {boundary}" in told
    found = json.loads(why(aws, authorization_id, "--json").stdout)
    changes = {change["edit"]: change for change in found["evaluations"][0]["remedy"]["changes"]}
    assert set(changes) == {"detach-policy", "new-policy", "replace-policy"}
    aws.iam.detach_user_policy(UserName="bob", PolicyArn=changes["detach-policy"]["policy"])
    aws.iam.put_user_policy(
        UserName="bob", PolicyName="fix", PolicyDocument=json.dumps(changes["new-policy"]["document"])
    )
    own = aws.iam.create_policy(
        PolicyName="own-boundary", PolicyDocument=json.dumps(changes["replace-policy"]["document"])
    )["Policy"]["Arn"]
    aws.iam.put_user_permissions_boundary(UserName="bob", PermissionsBoundary=own)
    assert [user["UserName"] for user in bob.iam.list_users()["Users"]] == ["bob"]

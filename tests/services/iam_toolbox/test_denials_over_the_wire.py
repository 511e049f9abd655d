"""Authorization ids over the wire: what is kept of a denial, who may read it, for how long, and that it is bounded."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

import freehold.testing


@pytest.fixture(scope="module")
def server() -> Iterator[freehold.testing.Server]:
    with freehold.testing.server(workers=2) as running:
        yield running


@pytest.fixture
def account(server: freehold.testing.Server) -> freehold.testing.Principal:
    return server.new_account()


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def refused(ask: Any, **params: Any) -> str:
    with pytest.raises(ClientError) as caught:
        ask(**params)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 403)
    return str(caught.value.response["Error"]["Message"])


def id_in(message: str) -> str:
    found = re.search(r"with the following authorization id: ([0-9a-z]{26})(?:$|\. Encoded)", message)
    assert found, message
    return found[1]


def fresh(principal: freehold.testing.Principal) -> Any:
    """A client with a connection of its own, which may be the other worker's."""
    return principal.client("iam-toolbox")


def details(principal: freehold.testing.Principal, authorization_id: str) -> dict[str, Any]:
    found = fresh(principal).get_request_authorization_details(authorizationId=authorization_id)
    found.pop("ResponseMetadata")
    return dict(found)


def test_a_denial_names_an_id_whose_details_any_worker_tells_at_once(account: Any) -> None:
    bob = account.new_user("bob", policy(allow("s3:GetObject"), deny("iam:CreateUser", Sid="NoUsers")))
    message = refused(bob.iam.create_user, UserName="eve")
    assert "with an explicit deny in an identity-based policy. Run freehold why" in message
    authorization_id = id_in(message)
    with ThreadPoolExecutor(4) as pool:
        found, *others = pool.map(lambda _: details(account, authorization_id), range(8))
    assert all(other == found for other in others)
    assert found["requestContext"]["aws:PrincipalArn"].endswith(":user/bob")
    assert found["requestContext"]["aws:SourceIp"] == "127.0.0.1"
    [evaluation] = found["evaluations"]
    assert evaluation["evaluatedEffect"] == "EXPLICIT_DENY"
    assert evaluation["action"] == "iam:CreateUser"
    [check] = evaluation["checks"]
    assert (check["checkType"], check["evaluatedEffect"]) == ("PRINCIPAL", "EXPLICIT_DENY")
    [matched] = check["matchedPolicies"]
    assert matched["matchedStatements"] == [{"sid": "NoUsers", "evaluatedEffect": "DENY"}]
    [info] = found["policies"]
    assert info["uri"] == matched["uri"]
    assert info["inline"] is True
    assert info["attachedTo"][0]["arn"].endswith(":user/bob")


def test_a_policy_is_told_as_it_was_when_it_denied(account: Any) -> None:
    then = policy(allow("s3:*", Sid="Then"))
    arn = account.iam.create_policy(PolicyName="p", PolicyDocument=json.dumps(then))["Policy"]["Arn"]
    bob = account.new_user("bob")
    account.iam.attach_user_policy(UserName="bob", PolicyArn=arn)
    authorization_id = id_in(refused(bob.iam.get_group, GroupName="g"))
    account.iam.create_policy_version(
        PolicyArn=arn, PolicyDocument=json.dumps(policy(allow("iam:*"))), SetAsDefault=True
    )
    ask = fresh(account).get_request_authorization_policy
    assert ask(authorizationId=authorization_id, policyUri=arn)["policyDocument"] == then
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        ask(authorizationId=authorization_id, policyUri="inline:none")


def test_an_explicit_deny_names_the_managed_policy(account: Any) -> None:
    made = account.iam.create_policy(PolicyName="no", PolicyDocument=json.dumps(policy(deny("iam:*"))))
    bob = account.new_user("bob", policy(allow("*")))
    arn = made["Policy"]["Arn"]
    account.iam.attach_user_policy(UserName="bob", PolicyArn=arn)
    message = refused(bob.iam.list_users)
    assert f"with an explicit deny in an identity-based policy: {arn}. Run freehold why" in message


def test_details_need_their_permission_and_belong_to_the_caller_s_account(account: Any, server: Any) -> None:
    bob = account.new_user("bob")
    authorization_id = id_in(refused(bob.s3.list_buckets))
    message = refused(fresh(bob).get_request_authorization_details, authorizationId=authorization_id)
    assert "iam:GetRequestAuthorizationDetails" in message
    reader = account.new_user("reader", policy(allow("iam:GetRequestAuthorizationDetails")))
    assert details(reader, authorization_id)["evaluations"][0]["action"] == "s3:ListAllMyBuckets"
    assert "iam:GetRequestAuthorizationPolicy" in refused(
        fresh(reader).get_request_authorization_policy, authorizationId=authorization_id, policyUri="x"
    )
    other = server.new_account()
    for asked in (authorization_id, authorization_id[:-1] + "0", "0" * 26, "zz"):
        with pytest.raises(ClientError, match="ResourceNotFoundException") as caught:
            details(other, asked)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_another_account_s_policies_are_never_shown(account: Any, server: Any) -> None:
    other = server.new_account()
    secret = policy({"Effect": "Allow", "Principal": {"AWS": other.account_id}, "Action": "sts:AssumeRole",
                     "Condition": {"StringEquals": {"sts:ExternalId": "the-external-id"}}})  # fmt: skip
    role = other.iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(secret))["Role"]["Arn"]
    bob = account.new_user("bob", policy(allow("sts:*")))
    found = details(account, id_in(refused(bob.sts.assume_role, RoleArn=role, RoleSessionName="ss")))
    assert "the-external-id" not in json.dumps(found)
    assert {one["type"] for one in found["policies"]} == {"IDENTITY_BASED_POLICY"}
    effects = {one["checkType"]: one["evaluatedEffect"] for one in found["evaluations"][0]["checks"]}
    assert effects == {"RESOURCE": "IMPLICIT_DENY", "PRINCIPAL": "ALLOW"}
    # A role that isn't there leaves the same details.
    none = details(account, id_in(refused(bob.sts.assume_role, RoleArn=role + "x", RoleSessionName="ss")))
    assert none["evaluations"][0]["checks"] == found["evaluations"][0]["checks"]
    assert none["policies"] == found["policies"]


def test_a_key_of_another_account_tells_no_id_whether_it_is_there_or_not(account: Any, server: Any) -> None:
    other = server.new_account()
    key = other.kms.create_key()["KeyMetadata"]["Arn"]
    bob = account.new_user("bob", policy(allow("kms:*")))
    for arn in (key, key[:-4] + "0000"):
        message = refused(bob.kms.encrypt, KeyId=arn, Plaintext=b"x")
        assert message.endswith("explicitly denies access")


def test_an_anonymous_denial_has_no_id(account: Any, server: Any) -> None:
    from botocore import UNSIGNED
    from botocore.config import Config

    account.s3.create_bucket(Bucket=f"b-{account.account_id}")
    unsigned = boto3.client(
        "s3", endpoint_url=server.endpoint, region_name="us-east-1", config=Config(signature_version=UNSIGNED)
    )
    message = refused(unsigned.get_object, Bucket=f"b-{account.account_id}", Key="k")
    assert "authorization id" not in message


def test_equal_denials_share_an_id_and_others_don_t(account: Any) -> None:
    bob = account.new_user("bob")
    ids = [id_in(refused(bob.iam.get_group, GroupName=name)) for name in ("a", "a", "b")]
    # Connections may go to either worker, and each remembers its own.
    assert ids[0] != ids[2]
    assert len(set(ids)) in (2, 3)


def test_a_parameter_s_secret_is_not_in_the_details(account: Any) -> None:
    bob = account.new_user("bob")
    secret = "correct-horse-battery-staple-9"
    with pytest.raises(ClientError) as caught:
        bob.iam.change_password(OldPassword=secret, NewPassword=secret + "x")
    message = caught.value.response["Error"]["Message"]
    if "authorization id" in message:
        assert secret not in json.dumps(details(account, id_in(message)))
    key = account.kms.create_key()["KeyMetadata"]["Arn"]
    found = details(account, id_in(refused(bob.kms.encrypt, KeyId=key, Plaintext=secret.encode())))
    assert secret not in json.dumps(found)


def test_details_are_kept_for_a_day_and_then_gone() -> None:
    with freehold.testing.server() as server:
        account = server.new_account()
        bob = account.new_user("bob", policy(allow("s3:*")))
        authorization_id = id_in(refused(bob.iam.get_group, GroupName="g"))
        details(account, authorization_id)
        server.advance(hours=25)
        details(account, authorization_id)
        server.advance(hours=2)
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            details(account, authorization_id)


def test_details_outlive_the_server_that_told_the_id() -> None:
    with freehold.testing.server() as server:
        account = server.account
        bob = account.new_user("bob")
        authorization_id = id_in(refused(bob.iam.get_group, GroupName="g"))
        server.stop()
        server.start()
        assert details(server.account, authorization_id)["evaluations"]


def test_the_audit_names_the_id(account: Any) -> None:
    bob = account.new_user("bob")
    authorization_id = id_in(refused(bob.iam.get_group, GroupName="g"))
    attributes = [{"AttributeKey": "EventName", "AttributeValue": "GetGroup"}]
    [event] = account.cloudtrail.lookup_events(LookupAttributes=attributes)["Events"]
    assert authorization_id in json.loads(event["CloudTrailEvent"])["errorMessage"]


def test_an_organization_s_members_may_read_and_each_level_is_a_check(server: Any) -> None:
    management = server.new_account()
    organization = management.organizations.create_organization(FeatureSet="ALL")["Organization"]["Id"]
    root = management.organizations.list_roots()["Roots"][0]["Id"]
    made = management.organizations.create_account(Email=f"{organization}@example.com", AccountName="member")
    status = made["CreateAccountStatus"]
    for _ in range(100):
        if status["State"] != "IN_PROGRESS":
            break
        time.sleep(0.1)
        ask = management.organizations.describe_create_account_status
        status = ask(CreateAccountRequestId=status["Id"])["CreateAccountStatus"]
    member = status["AccountId"]
    unit = management.organizations.create_organizational_unit(ParentId=root, Name="team")["OrganizationalUnit"]
    management.organizations.move_account(AccountId=member, SourceParentId=root, DestinationParentId=unit["Id"])
    content = json.dumps(policy(deny("s3:*", Sid="NoS3")))
    scp = management.organizations.create_policy(
        Name="no", Description="no", Type="SERVICE_CONTROL_POLICY", Content=content
    )["Policy"]["PolicySummary"]
    management.organizations.attach_policy(PolicyId=scp["Id"], TargetId=unit["Id"])
    admin = management.new_user("admin", policy(allow("*")))
    role = f"arn:aws:iam::{member}:role/OrganizationAccountAccessRole"
    session = management.using(admin.sts.assume_role(RoleArn=role, RoleSessionName="one"))
    message = refused(session.s3.create_bucket, Bucket=f"b-{member}")
    assert f"with an explicit deny in a service control policy: {scp['Arn']}. Run" in message
    for reader in (session, management):
        found = details(reader, id_in(message))
        checks = found["evaluations"][0]["checks"]
        assert [check["evaluatedEffect"] for check in checks] == ["ALLOW", "EXPLICIT_DENY", "ALLOW", "ALLOW"]
        assert checks[1]["targetArn"] == unit["Arn"]
        [info] = [one for one in found["policies"] if one["uri"] == scp["Arn"]]
        assert info["attachedTo"] == [{"arn": unit["Arn"]}]
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        details(server.new_account(), id_in(message))


@pytest.mark.parametrize("asked", ["x" * 257, "UPPER", "a b", "..%2f..%2fetc", "é", "a/policy", "0" * 256])
def test_what_is_no_id_is_refused_as_such(account: Any, asked: str) -> None:
    with pytest.raises(ClientError) as caught:
        fresh(account).get_request_authorization_details(authorizationId=asked)
    assert caught.value.response["Error"]["Code"] in ("ValidationException", "ResourceNotFoundException", "404")


@pytest.mark.parametrize("token", ["-10", "5", "10", "99999999999999999999", "x", "１０", ""])
def test_a_token_that_was_not_given_is_refused(account: Any, token: str) -> None:
    bob = account.new_user("bob")
    authorization_id = id_in(refused(bob.iam.get_group, GroupName="g"))
    with pytest.raises(ClientError, match="ValidationException"):
        fresh(account).get_request_authorization_details(authorizationId=authorization_id, nextToken=token)


def test_a_call_that_is_decided_item_by_item_tells_its_last_decisions_by_pages(account: Any) -> None:
    bob = account.new_user("bob", policy(allow("s3:ListBucket")))
    bucket = f"b-{account.account_id}"
    account.s3.create_bucket(Bucket=bucket)
    items = [{"Key": f"k{number}"} for number in range(40)]
    errors = bob.s3.delete_objects(Bucket=bucket, Delete={"Objects": items})["Errors"]
    assert len(errors) == 40
    ids = [id_in(one["Message"]) for one in errors if "authorization id" in one["Message"]]
    assert 0 < len(ids) <= 8
    paginator = fresh(account).get_paginator("get_request_authorization_details")
    evaluations = paginator.paginate(authorizationId=ids[-1]).build_full_result()["evaluations"]
    assert 0 < len(evaluations) <= 16
    assert {one["evaluatedEffect"] for one in evaluations} == {"IMPLICIT_DENY"}

"""IAM as boto3 sees it: parameters, replies, refusals and their statuses."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from desk import allow, deny, policy, trust

from freehold.testing import Principal, Server, server

AWS_READ_ONLY = "arn:aws:iam::aws:policy/IAMReadOnlyAccess"


@contextmanager
def fails(code: str, status: int, text: str = ""):
    with pytest.raises(ClientError) as caught:
        yield
    response = caught.value.response
    got = (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"])
    assert (got, text in response["Error"]["Message"]) == ((code, status), True), response["Error"]


def unchecked(aws: Principal) -> Any:
    """A client that sends what boto3 would refuse itself."""
    return aws.client("iam", config=Config(parameter_validation=False))


def test_a_user_lives_from_creation_to_deletion(aws: Principal) -> None:
    iam = aws.iam
    made = iam.create_user(UserName="bob", Path="/staff/", Tags=[{"Key": "Team", "Value": "red blue"}])["User"]
    assert made["Arn"] == f"arn:aws:iam::{aws.account_id}:user/staff/bob"
    assert made["UserId"].startswith("AIDA")
    got = iam.get_user(UserName="bob")["User"]
    assert got == made
    assert "Tags" not in iam.list_users()["Users"][0]
    iam.update_user(UserName="bob", NewUserName="rob")
    iam.delete_user(UserName="rob")
    with fails("NoSuchEntity", 404, "The user with name rob cannot be found."):
        iam.get_user(UserName="rob")
    assert iam.list_users()["Users"] == []


def test_root_reads_itself(aws: Principal) -> None:
    user = aws.iam.get_user()["User"]
    assert (user["UserId"], user["Arn"]) == (aws.account_id, f"arn:aws:iam::{aws.account_id}:root")


def test_documents_come_back_as_they_were_sent(aws: Principal) -> None:
    iam, document = aws.iam, json.loads(policy(allow("s3:GetObject", resource="arn:aws:s3:::b/ä+%20 &=*")))
    iam.create_user(UserName="bob")
    text = json.dumps(document, ensure_ascii=False, indent=4)
    iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=text)
    assert iam.get_user_policy(UserName="bob", PolicyName="p")["PolicyDocument"] == document
    arn = iam.create_policy(PolicyName="p", PolicyDocument=text, Description="d")["Policy"]["Arn"]
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"] == document
    trusting = json.loads(trust(f"arn:aws:iam::{aws.account_id}:user/bob"))
    role = iam.create_role(RoleName="app", AssumeRolePolicyDocument=json.dumps(trusting))["Role"]
    assert role["AssumeRolePolicyDocument"] == trusting
    assert iam.get_role(RoleName="app")["Role"]["AssumeRolePolicyDocument"] == trusting


def test_a_paginator_gives_everything_once(aws: Principal) -> None:
    for number in range(5):
        aws.iam.create_user(UserName=f"user{number}")
    pages = aws.iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 2})
    assert [user["UserName"] for page in pages for user in page["Users"]] == [f"user{n}" for n in range(5)]
    listed = aws.iam.get_paginator("list_policies").paginate(Scope="AWS", PaginationConfig={"PageSize": 1000})
    assert sum(len(page["Policies"]) for page in listed) > 1500


def test_groups_roles_and_their_policies(aws: Principal) -> None:
    iam = aws.iam
    iam.create_group(GroupName="crew")
    iam.attach_group_policy(GroupName="crew", PolicyArn=AWS_READ_ONLY)
    bob = aws.new_user("bob")
    with fails("AccessDenied", 403, f"User: arn:aws:iam::{aws.account_id}:user/bob is not authorized to perform: "
               "iam:ListRoles on resource: "):  # fmt: skip
        bob.iam.list_roles()
    iam.add_user_to_group(GroupName="crew", UserName="bob")
    assert bob.iam.list_roles()["Roles"] == []
    assert [group["GroupName"] for group in bob.iam.list_groups_for_user(UserName="bob")["Groups"]] == ["crew"]
    assert iam.list_attached_group_policies(GroupName="crew")["AttachedPolicies"] == [
        {"PolicyName": "IAMReadOnlyAccess", "PolicyArn": AWS_READ_ONLY}
    ]
    iam.remove_user_from_group(GroupName="crew", UserName="bob")
    with fails("AccessDenied", 403):
        bob.iam.list_roles()


def test_an_inactive_or_deleted_key_is_refused_at_once(aws: Principal) -> None:
    bob = aws.new_user("bob", json.loads(policy(allow("iam:*"))))
    bob.iam.list_users()
    aws.iam.update_access_key(UserName="bob", AccessKeyId=bob.access_key_id, Status="Inactive")
    with fails("InvalidClientTokenId", 403, "The security token included in the request is invalid"):
        bob.iam.list_users()
    with fails("DeleteConflict", 409, "Cannot delete entity, must delete policies first."):
        aws.iam.delete_user(UserName="bob")
    aws.iam.update_access_key(UserName="bob", AccessKeyId=bob.access_key_id, Status="Active")
    bob.iam.delete_access_key(AccessKeyId=bob.access_key_id)  # its own, while in use
    with fails("InvalidClientTokenId", 403):
        bob.iam.list_users()


BAD_NAMES = ["", "a b", "a/b", "../bob", "bob\n", "böb", "b\u200bob", "\uff42ob", "a" * 65, "*", "bob?"]


BAD_PATHS = ["", "staff", "/staff", "staff/", "/st aff/", "/stäff/", "/" + "a" * 511 + "/"]


def test_names_and_paths_that_are_none_are_refused(aws: Principal) -> None:
    iam = unchecked(aws)
    for name in [*BAD_NAMES, "${aws:username}", "a:b"]:
        with fails("ValidationError", 400):
            iam.create_user(UserName=name)
    for path in BAD_PATHS:
        with fails("ValidationError", 400):
            iam.create_user(UserName="bob", Path=path)
    assert iam.list_users()["Users"] == []


REFUSED: list[tuple[str, dict[str, Any], str, int]] = [
    ("get_policy", {"PolicyArn": "arn:aws:iam::aws:policy/NoSuchPolicyAtAll"}, "NoSuchEntity", 404),
    ("get_policy", {"PolicyArn": "arn:aws:s3:::somebody-elses-bucket"}, "ValidationError", 400),
    ("create_role", {"RoleName": "r", "AssumeRolePolicyDocument": "{}"}, "MalformedPolicyDocument", 400),
    ("update_role", {"RoleName": "r", "MaxSessionDuration": 60}, "ValidationError", 400),
    ("list_users", {"MaxItems": 0}, "ValidationError", 400),
    ("list_users", {"MaxItems": 1001}, "ValidationError", 400),
    ("list_users", {"Marker": "%%%"}, "ValidationError", 400),
    ("create_login_profile", {"UserName": "bob", "Password": "x"}, "NoSuchEntity", 404),
    ("set_security_token_service_preferences", {"GlobalEndpointTokenVersion": "v2Token"}, "NotImplemented", 501),
]  # fmt: skip


def test_refusals_carry_awss_code_and_status(aws: Principal) -> None:
    iam = unchecked(aws)
    for operation, params, code, status in REFUSED:
        with fails(code, status):
            getattr(iam, operation)(**params)


def test_versions_of_a_policy(aws: Principal) -> None:
    arn = aws.iam.create_policy(PolicyName="p", PolicyDocument=policy(allow("iam:ListUsers")))["Policy"]["Arn"]
    for _ in range(4):
        aws.iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy(deny("*")))
    with fails("LimitExceeded", 409, "A managed policy can have up to 5 versions."):
        aws.iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy(deny("*")))
    versions = aws.iam.list_policy_versions(PolicyArn=arn)["Versions"]
    assert [(v["VersionId"], v["IsDefaultVersion"]) for v in versions][-1] == ("v1", True)


def test_of_many_who_create_the_same_user_one_does(aws: Principal) -> None:
    def create(number: int) -> str:
        try:
            aws.iam.create_user(UserName="Bob" if number % 2 else "bob")
        except ClientError as error:
            code: str = error.response["Error"]["Code"]
            return code
        return "created"

    aws.iam.list_users()  # the client is made before the threads use it
    with ThreadPoolExecutor(8) as threads:
        outcomes = sorted(threads.map(create, range(16)))
    assert outcomes == ["EntityAlreadyExists"] * 15 + ["created"]


def test_concurrent_attachments_stay_within_the_limit(aws: Principal) -> None:
    aws.iam.create_user(UserName="bob")
    arns = [
        aws.iam.create_policy(PolicyName=f"p{n}", PolicyDocument=policy(allow("iam:GetUser")))["Policy"]["Arn"]
        for n in range(14)
    ]

    def attach(arn: str) -> str:
        try:
            aws.iam.attach_user_policy(UserName="bob", PolicyArn=arn)
        except ClientError as error:
            code: str = error.response["Error"]["Code"]
            return code
        return "attached"

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(attach, arns)) == ["LimitExceeded"] * 4 + ["attached"] * 10
    assert len(aws.iam.list_attached_user_policies(UserName="bob")["AttachedPolicies"]) == 10


def test_a_revocation_holds_at_once_in_every_worker() -> None:
    """Each call is a connection of its own, so that the workers take turns."""
    with server(workers=2) as running:
        _revoke_and_grant(running)


def _revoke_and_grant(running: Server) -> None:
    aws = running.account
    bob = aws.new_user("bob")
    for _ in range(6):
        aws.iam.put_user_policy(UserName="bob", PolicyName="p", PolicyDocument=policy(allow("iam:ListUsers")))
        for _ in range(4):
            bob.client("iam").list_users()
        aws.iam.delete_user_policy(UserName="bob", PolicyName="p")
        for _ in range(4):
            with fails("AccessDenied", 403):
                bob.client("iam").list_users()

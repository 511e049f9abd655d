"""Ways to more than one was given: by permission on the wrong thing, by tricks with names, by changes in between."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from desk import Desk, Key, allow, policy, refused, trust

from freehold.errors import AwsError
from freehold.services import operation
from freehold.services.call import Call

ADMIN = policy(allow("*"))
AWS_ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


def test_each_operation_needs_its_own_permission(desk: Desk, root: Key) -> None:
    """A user without any policy is refused by every operation of IAM, with its action's name."""
    key = desk.user(root, "mal")
    params = dict.fromkeys(("UserName", "GroupName", "RoleName", "PolicyName", "InstanceProfileName"), "mal")
    params |= {"PolicyArn": f"arn:aws:iam::{root.account}:policy/p", "PermissionsBoundary": AWS_ADMIN, "TagKeys": []}
    params |= {"AccessKeyId": key.id, "AccountAlias": "acme", "VersionId": "v1", "PolicyDocument": ADMIN}
    params |= {"Arn": f"arn:aws:iam::{root.account}:user/mal", "AWSServiceName": "rds.amazonaws.com"}
    params |= {
        "PolicySourceArn": params["Arn"],
        "DeletionTaskId": f"task/aws-service-role/rds/role/{'0' * 8}-0000-0000-0000-{'0' * 12}",
    }
    params |= {"Url": "https://idp.example", "OpenIDConnectProviderArn": f"arn:aws:iam::{root.account}:oidc-provider/x"}
    params |= {"SAMLProviderArn": f"arn:aws:iam::{root.account}:saml-provider/x", "Name": "x"}
    params["EntityPath"] = "o-0123456789/r-0123"
    params |= {"VirtualMFADeviceName": "mal", "SerialNumber": f"arn:aws:iam::{root.account}:mfa/mal"}
    params |= {"ServerCertificateName": "mal", "ServiceName": "codecommit.amazonaws.com"}
    params["ServiceSpecificCredentialId"] = "ACCA" + "A" * 16
    declared = [name for name in operation.REGISTRY if name.startswith("iam.")]
    assert len(declared) > 80
    for name in declared:
        with refused("AccessDenied", f"is not authorized to perform: iam:{name.partition('.')[2]}"):
            key(name, **params)


def test_the_other_action_or_the_other_resource_is_not_enough(desk: Desk, root: Key) -> None:
    own = f"arn:aws:iam::{root.account}:user/mal"
    mal = desk.user(root, "mal", allow("iam:PutUserPolicy", "iam:CreateAccessKey", resource=own + "?*"))
    root("CreateUser", UserName="admin")
    root("CreateUser", UserName="mal2", Path="/x/")
    for name in ("mal", "admin", "mal2"):
        with refused("AccessDenied"):
            mal("PutUserPolicy", UserName=name, PolicyName="p", PolicyDocument=ADMIN)
        with refused("AccessDenied"):
            mal("CreateAccessKey", UserName=name)


@pytest.mark.parametrize(
    ("operation_name", "params"),
    [
        ("AttachUserPolicy", {"UserName": "dev1", "PolicyArn": AWS_ADMIN}),
        ("PutUserPolicy", {"UserName": "dev1", "PolicyName": "p", "PolicyDocument": ADMIN}),
        ("CreateUser", {"UserName": "dev2"}),
        ("CreateUser", {"UserName": "dev2", "PermissionsBoundary": AWS_ADMIN}),
        ("DeleteUserPermissionsBoundary", {"UserName": "bounded"}),
        ("PutUserPermissionsBoundary", {"UserName": "bounded", "PermissionsBoundary": AWS_ADMIN}),
    ],
)
def test_delegation_by_boundary_holds(desk: Desk, root: Key, operation_name: str, params: dict[str, Any]) -> None:
    """Who may only work on users with one boundary can neither leave it out, change it nor work on others."""
    edge = root("CreatePolicy", PolicyName="edge", PolicyDocument=policy(allow("s3:*")))["Policy"]["Arn"]
    only = {"StringEquals": {"iam:PermissionsBoundary": edge}}
    delegate = desk.user(
        root,
        "delegate",
        allow("iam:CreateUser", "iam:AttachUserPolicy", "iam:PutUserPolicy", "iam:PutUserPermissionsBoundary",
              Condition=only),
    )  # fmt: skip
    root("CreateUser", UserName="dev1")
    root("CreateUser", UserName="bounded", PermissionsBoundary=edge)
    with refused("AccessDenied"):
        delegate(operation_name, **params)
    delegate("CreateUser", UserName="dev3", PermissionsBoundary=edge)
    delegate("AttachUserPolicy", UserName="dev3", PolicyArn=AWS_ADMIN)
    delegate("PutUserPermissionsBoundary", UserName="dev1", PermissionsBoundary=edge)


def test_attaching_can_be_limited_to_policies(desk: Desk, root: Key) -> None:
    read_only = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    delegate = desk.user(
        root, "delegate", allow("iam:AttachRolePolicy", Condition={"ArnEquals": {"iam:PolicyARN": read_only}})
    )
    root("CreateRole", RoleName="app", AssumeRolePolicyDocument=trust(root.account))
    delegate("AttachRolePolicy", RoleName="app", PolicyArn=read_only)
    with refused("AccessDenied"):
        delegate("AttachRolePolicy", RoleName="app", PolicyArn=AWS_ADMIN)


def test_tags_decide_at_creation_and_afterwards(desk: Desk, root: Key) -> None:
    mine = {"StringEquals": {"aws:RequestTag/team": "red"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}
    delegate = desk.user(
        root,
        "delegate",
        allow("iam:CreateUser", "iam:TagUser", Condition=mine),
        allow("iam:DeleteUser", Condition={"StringEquals": {"aws:ResourceTag/team": "red"}}),
        allow("iam:UntagUser", Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["stage"]}}),
    )
    red, blue = [{"Key": "team", "Value": "red"}], [{"Key": "team", "Value": "blue"}]
    delegate("CreateUser", UserName="one", Tags=red)
    for tags in ([], blue, [*red, {"Key": "admin", "Value": "yes"}]):
        with refused("AccessDenied"):
            delegate("CreateUser", UserName="two", Tags=tags)
    root("CreateUser", UserName="two", Tags=blue)
    with refused("AccessDenied"):
        delegate("DeleteUser", UserName="two")
    with refused("AccessDenied"):
        delegate("UntagUser", UserName="one", TagKeys=["team"])
    delegate("DeleteUser", UserName="one")


def test_a_rename_needs_both_names(desk: Desk, root: Key) -> None:
    below = f"arn:aws:iam::{root.account}:user/"
    delegate = desk.user(root, "delegate", allow("iam:UpdateUser", resource=[below + "dev/*"]))
    root("CreateUser", UserName="bob", Path="/dev/")
    root("CreateUser", UserName="boss", Path="/admin/")
    delegate("UpdateUser", UserName="bob", NewUserName="rob")
    with refused("AccessDenied", "user/admin/rob"):
        delegate("UpdateUser", UserName="rob", NewPath="/admin/")
    with refused("AccessDenied", "user/admin/boss"):
        delegate("UpdateUser", UserName="boss", NewPath="/dev/")


def test_a_path_is_never_walked(desk: Desk, root: Key) -> None:
    """`..` in a path is a name like any other; it is no way out of what a policy allows."""
    below = f"arn:aws:iam::{root.account}:user/dev/"
    delegate = desk.user(root, "delegate", allow("iam:CreateUser", "iam:DeleteUser", resource=below + "*"))
    root("CreateUser", UserName="boss", Path="/admin/")
    made = delegate("CreateUser", UserName="bob", Path="/dev/../admin/")["User"]
    assert made["Arn"] == below + "../admin/bob"
    with refused("AccessDenied", "user/admin/boss"):
        delegate("DeleteUser", UserName="boss")


@pytest.mark.parametrize(
    "path", ["/aws-service-role/x.amazonaws.com/", "/x:role/aws-service-role/", "/aws-reserved/sso.amazonaws.com/"]
)
def test_nobody_makes_a_service_linked_role(root: Key, path: str) -> None:
    with refused("InvalidInput", "is reserved for roles that services create"):
        root("CreateRole", RoleName="app", Path=path, AssumeRolePolicyDocument=trust(root.account))


def test_what_was_authorized_is_what_is_changed(desk: Desk, root: Key) -> None:
    """The target is exchanged between the decision and the transaction."""
    delegate = desk.user(root, "delegate", allow("iam:DeleteUser", resource=f"arn:aws:iam::{root.account}:user/dev/*"))
    root("CreateUser", UserName="bob", Path="/dev/")
    worker: Any = desk.worker
    declared = operation.REGISTRY["iam.DeleteUser"]
    principal = worker.access.lookup(delegate.id, None).principal
    request: Any = SimpleNamespace(headers={})
    call = Call(worker, request, declared, principal, "us-east-1", "r", {})
    params = {"UserName": "bob"}
    for permission in declared.permissions(call, params):
        worker.authorizer.require(call, permission)
    root("UpdateUser", UserName="bob", NewPath="/admin/")

    def work(tx: Any) -> None:
        call.transaction = tx
        declared.handler(call, params)

    with pytest.raises(AwsError) as caught:
        worker.records.submit(work).result(10)
    assert caught.value.code == "ConcurrentModification"
    assert root("GetUser", UserName="bob")["User"]["Path"] == "/admin/"


def test_a_refused_change_leaves_nothing_behind(desk: Desk, root: Key) -> None:
    before = root("GetAccountSummary")
    with refused("MalformedPolicyDocument"):
        root("CreateRole", RoleName="app", AssumeRolePolicyDocument=policy(allow("*")))
    with refused("NoSuchEntity"):
        root("CreateUser", UserName="bob", PermissionsBoundary="arn:aws:iam::aws:policy/Nothing")
    assert root("GetAccountSummary") == before
    root("CreateUser", UserName="bob")


def test_a_recreated_user_inherits_nothing(desk: Desk, root: Key) -> None:
    desk.user(root, "bob", allow("iam:*"))
    key = root("ListAccessKeys", UserName="bob")["AccessKeyMetadata"][0]["AccessKeyId"]
    root("DeleteAccessKey", UserName="bob", AccessKeyId=key)
    root("DeleteUserPolicy", UserName="bob", PolicyName="inline")
    old = root("GetUser", UserName="bob")["User"]["UserId"]
    root("DeleteUser", UserName="bob")
    again = desk.user(root, "bob")
    assert root("GetUser", UserName="bob")["User"]["UserId"] != old
    with refused("AccessDenied"):
        again("ListUsers")


def test_an_explicit_deny_wins_over_the_administrator_policy(desk: Desk, root: Key) -> None:
    bob = desk.user(root, "bob", {"Effect": "Deny", "Action": "iam:*", "Resource": "*"})
    root("AttachUserPolicy", UserName="bob", PolicyArn=AWS_ADMIN)
    with refused("AccessDenied", "with an explicit deny in an identity-based policy"):
        bob("ListUsers")

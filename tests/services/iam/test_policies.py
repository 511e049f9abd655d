"""Managed policies: versions, attachments, AWS's own."""

from __future__ import annotations

import json
from urllib.parse import unquote

import pytest
from desk import Desk, Key, allow, policy, refused, sized

from freehold.authorization import document
from freehold.services.iam import aws_managed

SMALL = policy(allow("iam:GetUser"))
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


@pytest.fixture
def own(root: Key) -> str:
    arn: str = root("CreatePolicy", PolicyName="own", PolicyDocument=SMALL, Path="/team/")["Policy"]["Arn"]
    return arn


def test_a_policy_is_read_as_it_was_written(root: Key, own: str) -> None:
    assert own == f"arn:aws:iam::{root.account}:policy/team/own"
    version = root("GetPolicyVersion", PolicyArn=own, VersionId="v1")["PolicyVersion"]
    assert unquote(version["Document"]) == SMALL
    assert (version["VersionId"], version["IsDefaultVersion"]) == ("v1", True)
    with refused("NoSuchEntity"):
        root("GetPolicy", PolicyArn=own.replace("/team/", "/"))


def test_there_are_five_versions_at_most_and_numbers_are_not_used_again(root: Key, own: str) -> None:
    for _ in range(4):
        root("CreatePolicyVersion", PolicyArn=own, PolicyDocument=SMALL)
    with refused("LimitExceeded", "A managed policy can have up to 5 versions."):
        root("CreatePolicyVersion", PolicyArn=own, PolicyDocument=SMALL)
    with refused("DeleteConflict", "Cannot delete the default version of a policy."):
        root("DeletePolicyVersion", PolicyArn=own, VersionId="v1")
    root("DeletePolicyVersion", PolicyArn=own, VersionId="v5")
    made = root("CreatePolicyVersion", PolicyArn=own, PolicyDocument=SMALL, SetAsDefault=True)["PolicyVersion"]
    assert (made["VersionId"], made["IsDefaultVersion"]) == ("v6", True)
    listed = root("ListPolicyVersions", PolicyArn=own)["Versions"]
    assert [version["VersionId"] for version in listed] == ["v6", "v4", "v3", "v2", "v1"]
    root("DeletePolicyVersion", PolicyArn=own, VersionId="v1")
    with refused("DeleteConflict", "This policy has more than one version."):
        root("DeletePolicy", PolicyArn=own)


@pytest.mark.parametrize("version", ["v2", "v0", "v999999999999999999999", "v1.1", "v１"])
def test_versions_that_do_not_exist_are_not_found(root: Key, own: str, version: str) -> None:
    with refused("NoSuchEntity", f"version {version} does not exist or is not attachable."):
        root("GetPolicyVersion", PolicyArn=own, VersionId=version)


def test_the_default_version_is_in_force_at_once(desk: Desk, root: Key, own: str) -> None:
    bob = desk.user(root, "bob")
    root("AttachUserPolicy", UserName="bob", PolicyArn=own)
    bob("GetUser")
    root("CreatePolicyVersion", PolicyArn=own, PolicyDocument=policy(allow("iam:ListUsers")), SetAsDefault=True)
    with refused("AccessDenied"):
        bob("GetUser")
    bob("ListUsers")
    root("SetDefaultPolicyVersion", PolicyArn=own, VersionId="v1")
    bob("GetUser")


def test_an_attached_policy_is_not_deleted(root: Key, own: str) -> None:
    root("CreateUser", UserName="bob")
    root("AttachUserPolicy", UserName="bob", PolicyArn=own)
    root("AttachUserPolicy", UserName="bob", PolicyArn=own)
    assert root("GetPolicy", PolicyArn=own)["Policy"]["AttachmentCount"] == 1
    with refused("DeleteConflict", "Cannot delete a policy attached to entities."):
        root("DeletePolicy", PolicyArn=own)
    root("DetachUserPolicy", UserName="bob", PolicyArn=own)
    with refused("NoSuchEntity", f"Policy {own} was not found."):
        root("DetachUserPolicy", UserName="bob", PolicyArn=own)
    root("DeletePolicy", PolicyArn=own)
    with refused("NoSuchEntity"):
        root("GetPolicy", PolicyArn=own)


def test_a_recreated_policy_is_attached_to_nobody(desk: Desk, root: Key, own: str) -> None:
    root("DeletePolicy", PolicyArn=own)
    root("CreatePolicy", PolicyName="own", PolicyDocument=SMALL, Path="/team/")
    assert root("ListEntitiesForPolicy", PolicyArn=own)["PolicyUsers"] == []


def test_ten_policies_at_most_are_attached(root: Key) -> None:
    root("CreateUser", UserName="bob")
    for number in range(11):
        root("CreatePolicy", PolicyName=f"p{number}", PolicyDocument=SMALL)
    arn = f"arn:aws:iam::{root.account}:policy/p"
    for number in range(10):
        root("AttachUserPolicy", UserName="bob", PolicyArn=f"{arn}{number}")
    with refused("LimitExceeded", "Cannot exceed quota for PoliciesPerUser: 10"):
        root("AttachUserPolicy", UserName="bob", PolicyArn=f"{arn}10")


def test_another_accounts_policy_is_neither_read_nor_attached(desk: Desk, root: Key, own: str) -> None:
    other = desk.account("other")
    other("CreateUser", UserName="eve")
    with refused("NoSuchEntity", f"Policy {own} does not exist or is not attachable."):
        other("AttachUserPolicy", UserName="eve", PolicyArn=own)
    with refused("NoSuchEntity"):
        other("CreateUser", UserName="mal", PermissionsBoundary=own)
    for operation in ("GetPolicy", "DeletePolicy", "ListEntitiesForPolicy"):
        with refused("AccessDenied"):
            other(operation, PolicyArn=own)


def test_who_has_a_policy_and_how(root: Key, own: str) -> None:
    root("CreateUser", UserName="bob", PermissionsBoundary=own)
    root("CreateUser", UserName="eve")
    root("CreateGroup", GroupName="crew")
    root("AttachUserPolicy", UserName="eve", PolicyArn=own)
    root("AttachGroupPolicy", GroupName="crew", PolicyArn=own)
    everyone = root("ListEntitiesForPolicy", PolicyArn=own)
    assert sorted(user["UserName"] for user in everyone["PolicyUsers"]) == ["bob", "eve"]
    assert [group["GroupName"] for group in everyone["PolicyGroups"]] == ["crew"]
    bounded = root("ListEntitiesForPolicy", PolicyArn=own, PolicyUsageFilter="PermissionsBoundary")
    assert [user["UserName"] for user in bounded["PolicyUsers"]] == ["bob"]
    assert root("ListEntitiesForPolicy", PolicyArn=own, EntityFilter="Role")["PolicyUsers"] == []
    first = root("ListEntitiesForPolicy", PolicyArn=own, MaxItems=2)
    assert first["IsTruncated"]
    assert not root("ListEntitiesForPolicy", PolicyArn=own, MaxItems=2, Marker=first["Marker"])["IsTruncated"]


def test_a_managed_policy_is_of_the_newest_version(root: Key) -> None:
    with refused("MalformedPolicyDocument", "Policy document must be version 2012-10-17 or greater."):
        root("CreatePolicy", PolicyName="p", PolicyDocument=SMALL.replace("2012-10-17", "2008-10-17"))


def test_a_managed_policy_has_6144_characters_at_most(root: Key) -> None:
    root("CreatePolicy", PolicyName="full", PolicyDocument=sized(6144))
    with refused("LimitExceeded", "Cannot exceed quota for PolicySize: 6144"):
        root("CreatePolicy", PolicyName="over", PolicyDocument=sized(6145))


def test_policy_names_are_unique_over_paths(root: Key, own: str) -> None:
    with refused("EntityAlreadyExists", "A policy called OWN already exists. Duplicate names are not allowed."):
        root("CreatePolicy", PolicyName="OWN", PolicyDocument=SMALL)


# AWS's own


def test_aws_managed_policies_are_read_at_their_default_version(root: Key) -> None:
    shown = root("GetPolicy", PolicyArn=READ_ONLY)["Policy"]
    version = root("GetPolicyVersion", PolicyArn=READ_ONLY, VersionId=shown["DefaultVersionId"])["PolicyVersion"]
    assert json.loads(unquote(version["Document"]))["Statement"]
    with refused("NotImplemented", "Only the default version"):
        root("GetPolicyVersion", PolicyArn=READ_ONLY, VersionId="v1")
    with refused("NoSuchEntity"):
        root("GetPolicyVersion", PolicyArn=READ_ONLY, VersionId="v99999")


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("CreatePolicyVersion", {"PolicyDocument": SMALL}),
        ("DeletePolicy", {}),
        ("SetDefaultPolicyVersion", {"VersionId": "v1"}),
        ("DeletePolicyVersion", {"VersionId": "v1"}),
    ],
)
def test_aws_managed_policies_are_not_changed(root: Key, operation: str, params: dict[str, str]) -> None:
    with refused("AccessDenied", "is an AWS managed policy"):
        root(operation, PolicyArn=READ_ONLY, **params)


def test_policies_of_service_linked_roles_are_not_attached(root: Key) -> None:
    root("CreateUser", UserName="bob")
    linked = next(arn for arn in aws_managed.every() if "/aws-service-role/" in arn)
    with refused("PolicyNotAttachable"):
        root("AttachUserPolicy", UserName="bob", PolicyArn=linked)


def test_policies_are_listed_by_scope_and_use(root: Key, own: str) -> None:
    root("CreateUser", UserName="bob")
    root("AttachUserPolicy", UserName="bob", PolicyArn=READ_ONLY)
    assert [p["Arn"] for p in root("ListPolicies", Scope="Local")["Policies"]] == [own]
    assert [p["Arn"] for p in root("ListPolicies", OnlyAttached=True)["Policies"]] == [READ_ONLY]
    seen, params = [], {"MaxItems": 1000}
    while True:
        page = root("ListPolicies", **params)
        seen += [p["Arn"] for p in page["Policies"]]
        if not page["IsTruncated"]:
            break
        params["Marker"] = page["Marker"]
    assert seen == [own, *aws_managed.every()]


def test_every_attachable_policy_of_aws_can_be_read_and_compiled() -> None:
    attachable = [found for found in aws_managed.every().values() if found.path != "/aws-service-role/"]
    assert len(attachable) > 1000
    for found in attachable:
        document.parse(aws_managed.document.__wrapped__(found))

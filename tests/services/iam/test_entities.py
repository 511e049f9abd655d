"""Users, groups and roles: names, conflicts, limits, pages, tags and keys."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from desk import Desk, Key, allow, policy, refused, sized, trust
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.errors import AwsError

SMALL = policy(allow("iam:GetUser"))

CREATE: list[tuple[str, str, str, dict[str, Any]]] = [
    ("User", "UserName", "Users", {}),
    ("Group", "GroupName", "Groups", {}),
    ("Role", "RoleName", "Roles", {"AssumeRolePolicyDocument": policy(
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    )}),
]  # fmt: skip
every_kind = pytest.mark.parametrize(("noun", "member", "plural", "more"), CREATE)


@every_kind
def test_names_are_unique_without_regard_to_case(root: Key, noun: str, member: str, plural: str, more: Any) -> None:
    root(f"Create{noun}", **{member: "Bob"}, **more)
    for name in ("Bob", "bob", "BOB"):
        with refused("EntityAlreadyExists", f"{noun} with name {name} already exists."):
            root(f"Create{noun}", **{member: name}, **more)
    with refused("NoSuchEntity", f"The {noun.lower()} with name bob cannot be found."):
        root(f"Get{noun}", **{member: "bob"})


@every_kind
def test_accounts_do_not_see_each_other(desk: Desk, root: Key, noun: str, member: str, plural: str, more: Any) -> None:
    other = desk.account("other")
    root(f"Create{noun}", **{member: "bob"}, **more)
    assert other(f"List{plural}")[plural] == []
    with refused("NoSuchEntity"):
        other(f"Delete{noun}", **{member: "bob"})
    other(f"Create{noun}", **{member: "bob"}, **more)


@every_kind
def test_pages_hold_everything_once(root: Key, noun: str, member: str, plural: str, more: Any) -> None:
    for number in range(7):
        root(f"Create{noun}", **{member: f"n{number}"}, **more, Path="/a/" if number % 2 else "/b/")
    seen, params = [], {"MaxItems": 2}
    while True:
        page = root(f"List{plural}", **params)
        seen += [item[member] for item in page[plural]]
        if not page["IsTruncated"]:
            break
        params["Marker"] = page["Marker"]
    assert seen == [f"n{number}" for number in range(7)]
    assert "Marker" not in page
    assert [item[member] for item in root(f"List{plural}", PathPrefix="/a/")[plural]] == ["n1", "n3", "n5"]
    with refused("ValidationError", "Invalid Marker."):
        root(f"List{plural}", Marker="not base64!")


@given(
    marker=st.one_of(
        st.text(max_size=40), st.text(max_size=30).map(lambda t: b64encode(t.encode(errors="replace")).decode())
    )
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_marker_gives_a_page_or_is_refused(root: Key, marker: str) -> None:
    for operation in ("ListUsers", "ListPolicies", "ListAccountAliases", "GetAccountAuthorizationDetails"):
        try:
            assert "IsTruncated" in root(operation, Marker=marker, MaxItems=3)
        except AwsError as error:
            assert (error.code, error.message) == ("ValidationError", "Invalid Marker.")  # noqa: PT017


@every_kind
def test_inline_policies_are_written_read_and_in_the_way_of_deletion(
    root: Key, noun: str, member: str, plural: str, more: Any
) -> None:
    name = {member: "bob"}
    root(f"Create{noun}", **name, **more)
    root(f"Put{noun}Policy", **name, PolicyName="p", PolicyDocument=SMALL)
    got = root(f"Get{noun}Policy", **name, PolicyName="p")
    assert (got[member], got["PolicyName"]) == ("bob", "p")
    assert got["PolicyDocument"].startswith("%7B%22Version%22%3A%20%222012-10-17%22")
    assert root(f"List{noun}Policies", **name) == {"PolicyNames": ["p"], "IsTruncated": False}
    with refused("DeleteConflict", "Cannot delete entity, must delete policies first."):
        root(f"Delete{noun}", **name)
    root(f"Delete{noun}Policy", **name, PolicyName="p")
    with refused("NoSuchEntity", f"The {noun.lower()} policy with name p cannot be found."):
        root(f"Get{noun}Policy", **name, PolicyName="p")
    root(f"Delete{noun}", **name)


@pytest.mark.parametrize(("noun", "member", "most"), [("User", "UserName", 2048), ("Group", "GroupName", 5120)])
def test_the_limit_is_on_all_inline_policies_without_whitespace(root: Key, noun: str, member: str, most: int) -> None:
    root(f"Create{noun}", **{member: "bob"})

    def put(name: str, size: int) -> None:
        root(f"Put{noun}Policy", **{member: "bob"}, PolicyName=name, PolicyDocument=sized(size))

    put("one", most - 1000)
    put("two", 1000)
    put("two", 1000)  # in place of itself
    with refused("LimitExceeded", f"Maximum policy size of {most} bytes exceeded for {noun.lower()} bob"):
        put("two", 1001)


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("", "invalid Json"),
        ("[]", ""),
        ('{"Version":"2012-10-17"}', ""),
        ('{"Version":"2020-01-01","Statement":[]}', ""),
        (policy(allow("*", Principal="*")), "should not specify a principal"),
        (policy({"Effect": "Permit", "Action": "*", "Resource": "*"}), "Invalid effect"),
        (policy({"Effect": "Allow", "Action": "everything", "Resource": "*"}), "prefaced by a vendor"),
        (policy(allow("*", Condition={"StringSounds": {"aws:username": "x"}})), ""),
        (policy(allow("*", Comment="x")), "Unknown field Comment"),
        (SMALL.replace('"Effect": "Allow"', '"Effect": "Deny", "Effect": "Allow"'), ""),
    ],
)  # fmt: skip
def test_documents_that_are_no_policies_are_refused(root: Key, document: str, text: str) -> None:
    root("CreateUser", UserName="bob")
    with refused("MalformedPolicyDocument", text):
        root("PutUserPolicy", UserName="bob", PolicyName="p", PolicyDocument=document)
    with refused("MalformedPolicyDocument", text):
        root("CreatePolicy", PolicyName="p", PolicyDocument=document)


def test_a_trust_policy_speaks_of_assuming_only(root: Key) -> None:
    service = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}}
    for statement, text in (
        ({**service, "Action": "s3:GetObject"}, "AssumeRole policy may only specify STS AssumeRole actions."),
        ({**service, "Action": "sts:AssumeRole", "Resource": "*"}, "Has prohibited field Resource"),
        ({"Effect": "Allow", "Action": "sts:AssumeRole"}, "Missing required field Principal"),
    ):
        with refused("MalformedPolicyDocument", text):
            root("CreateRole", RoleName="app", AssumeRolePolicyDocument=policy(statement))


def test_a_user_that_holds_something_is_not_deleted(root: Key) -> None:
    root("CreateUser", UserName="bob")
    root("CreateGroup", GroupName="crew")
    key = root("CreateAccessKey", UserName="bob")["AccessKey"]["AccessKeyId"]
    read_only = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    undo = [
        ("AttachUserPolicy", {"PolicyArn": read_only}, "DetachUserPolicy", "must detach all policies first."),
        ("TagUser", {"Tags": []}, "DeleteAccessKey", "must delete access keys first."),
        ("AddUserToGroup", {"GroupName": "crew"}, "RemoveUserFromGroup", "must remove users from group first."),
    ]
    for do, params, _, _ in undo:
        root(do, UserName="bob", **params)
    with refused("DeleteConflict", "must remove users from group first."):
        root("DeleteGroup", GroupName="crew")
    for _, params, back, conflict in undo:
        with refused("DeleteConflict", f"Cannot delete entity, {conflict}"):
            root("DeleteUser", UserName="bob")
        root(back, UserName="bob", **({"AccessKeyId": key} if back == "DeleteAccessKey" else params))
    root("DeleteUser", UserName="bob")
    assert root("GetAccountSummary")["SummaryMap"]["Users"] == 0


def test_memberships_follow_a_renamed_user_and_group(root: Key) -> None:
    root("CreateUser", UserName="bob")
    root("CreateGroup", GroupName="crew")
    root("AddUserToGroup", UserName="bob", GroupName="crew")
    root("AddUserToGroup", UserName="bob", GroupName="crew")
    root("UpdateUser", UserName="bob", NewUserName="rob")
    root("UpdateGroup", GroupName="crew", NewGroupName="team", NewPath="/x/")
    assert [user["UserName"] for user in root("GetGroup", GroupName="team")["Users"]] == ["rob"]
    groups = root("ListGroupsForUser", UserName="rob")["Groups"]
    assert [group["Arn"] for group in groups] == [f"arn:aws:iam::{root.account}:group/x/team"]
    with refused("NoSuchEntity"):
        root("GetUser", UserName="bob")


def test_a_user_may_change_the_case_of_its_name_but_not_take_anothers(root: Key) -> None:
    root("CreateUser", UserName="bob")
    root("CreateUser", UserName="eve")
    root("UpdateUser", UserName="bob", NewUserName="Bob")
    with refused("EntityAlreadyExists"):
        root("UpdateUser", UserName="Bob", NewUserName="EVE")
    assert [user["UserName"] for user in root("ListUsers")["Users"]] == ["Bob", "eve"]


def test_a_user_is_in_ten_groups_at_most(root: Key) -> None:
    root("CreateUser", UserName="bob")
    for number in range(11):
        root("CreateGroup", GroupName=f"g{number}")
    for number in range(10):
        root("AddUserToGroup", UserName="bob", GroupName=f"g{number}")
    with refused("LimitExceeded", "Cannot exceed quota for GroupsPerUser: 10"):
        root("AddUserToGroup", UserName="bob", GroupName="g10")


# Access keys


def test_a_secret_is_shown_once(root: Key) -> None:
    root("CreateUser", UserName="bob")
    made = root("CreateAccessKey", UserName="bob")["AccessKey"]
    assert len(made["SecretAccessKey"]) == 40
    (listed,) = root("ListAccessKeys", UserName="bob")["AccessKeyMetadata"]
    assert listed == {key: value for key, value in made.items() if key != "SecretAccessKey"}


def test_nobody_has_three_access_keys(root: Key) -> None:
    root("CreateUser", UserName="bob")
    for _ in range(2):
        root("CreateAccessKey", UserName="bob")
    with refused("LimitExceeded", "Cannot exceed quota for AccessKeysPerUser: 2"):
        root("CreateAccessKey", UserName="bob")
    root("CreateAccessKey")  # root's own second
    with refused("LimitExceeded"):
        root("CreateAccessKey")


def test_another_users_key_cannot_be_named(root: Key) -> None:
    root("CreateUser", UserName="bob")
    root("CreateUser", UserName="eve")
    key = root("CreateAccessKey", UserName="bob")["AccessKey"]["AccessKeyId"]
    for owner in ({"UserName": "eve"}, {}):
        with refused("NoSuchEntity", f"The Access Key with id {key} cannot be found."):
            root("DeleteAccessKey", AccessKeyId=key, **owner)
        with refused("NoSuchEntity"):
            root("UpdateAccessKey", AccessKeyId=key, Status="Inactive", **owner)


def test_without_a_name_the_caller_is_meant(desk: Desk, root: Key) -> None:
    own = "arn:aws:iam::*:user/${aws:username}"
    bob = desk.user(root, "bob", allow("iam:*AccessKey*", "iam:GetUser", resource=own))
    desk.user(root, "eve")
    assert bob("GetUser")["User"]["UserName"] == "bob"
    made = bob("CreateAccessKey")["AccessKey"]
    assert made["UserName"] == "bob"
    assert len(bob("ListAccessKeys")["AccessKeyMetadata"]) == 2
    bob("DeleteAccessKey", AccessKeyId=made["AccessKeyId"])
    with refused("AccessDenied", "user/eve"):
        bob("CreateAccessKey", UserName="eve")


def test_a_role_session_has_no_user_of_its_own(desk: Desk, root: Key) -> None:
    bob = desk.user(root, "bob", allow("sts:*"))
    arn = root("CreateRole", RoleName="app", AssumeRolePolicyDocument=trust(root.account))["Role"]["Arn"]
    root("PutRolePolicy", RoleName="app", PolicyName="p", PolicyDocument=policy(allow("iam:*")))
    session = desk.session(bob, "AssumeRole", RoleArn=arn, RoleSessionName="one")
    with refused("ValidationError", "Must specify userName when calling with non-User credentials"):
        session("GetUser")


# Tags


def test_tag_keys_differ_in_more_than_case(root: Key) -> None:
    root("CreateUser", UserName="bob", Tags=[{"Key": "Team", "Value": "red"}])
    root("TagUser", UserName="bob", Tags=[{"Key": "team", "Value": "blue"}, {"Key": "b", "Value": ""}])
    assert root("ListUserTags", UserName="bob")["Tags"] == [{"Key": "b", "Value": ""}, {"Key": "team", "Value": "blue"}]
    root("UntagUser", UserName="bob", TagKeys=["TEAM", "absent"])
    assert root("GetUser", UserName="bob")["User"]["Tags"] == [{"Key": "b", "Value": ""}]


@pytest.mark.parametrize(
    ("tags", "code"),
    [
        ([{"Key": "a", "Value": "1"}, {"Key": "A", "Value": "2"}], "InvalidInput"),
        ([{"Key": "AWS:x", "Value": "1"}], "InvalidInput"),
        ([{"Key": f"k{n}", "Value": ""} for n in range(51)], "LimitExceeded"),
    ],
)
def test_bad_tags_are_refused_and_nothing_is_made(root: Key, tags: list[dict[str, str]], code: str) -> None:
    with refused(code):
        root("CreateUser", UserName="bob", Tags=tags)
    with refused("NoSuchEntity"):
        root("GetUser", UserName="bob")
    assert root("GetAccountSummary")["SummaryMap"]["Users"] == 0


# The account


def test_an_alias_is_one_accounts_at_a_time(desk: Desk, root: Key) -> None:
    other = desk.account("other")
    root("CreateAccountAlias", AccountAlias="acme")
    with refused("EntityAlreadyExists", "The account alias acme already exists."):
        other("CreateAccountAlias", AccountAlias="acme")
    with refused("NoSuchEntity"):
        other("DeleteAccountAlias", AccountAlias="acme")
    root("CreateAccountAlias", AccountAlias="apex")
    assert root("ListAccountAliases")["AccountAliases"] == ["apex"]
    other("CreateAccountAlias", AccountAlias="acme")


def test_authorization_details_hold_everything(desk: Desk, root: Key) -> None:
    desk.user(root, "bob", allow("iam:*"))
    root("CreateGroup", GroupName="crew")
    root("AddUserToGroup", UserName="bob", GroupName="crew")
    own = root("CreatePolicy", PolicyName="own", PolicyDocument=SMALL)["Policy"]["Arn"]
    aws = "arn:aws:iam::aws:policy/ReadOnlyAccess"
    for arn in (own, aws):
        root("AttachGroupPolicy", GroupName="crew", PolicyArn=arn)
    root("CreateRole", RoleName="app", AssumeRolePolicyDocument=trust(root.account))
    found: dict[str, list[Any]] = {"UserDetailList": [], "GroupDetailList": [], "RoleDetailList": [], "Policies": []}
    params: dict[str, Any] = {"MaxItems": 1}
    while True:
        page = root("GetAccountAuthorizationDetails", **params)
        for member in found:
            found[member] += page[member]
        if not page["IsTruncated"]:
            break
        params["Marker"] = page["Marker"]
    (user,), (group,), (role,) = found["UserDetailList"], found["GroupDetailList"], found["RoleDetailList"]
    assert (user["GroupList"], [p["PolicyName"] for p in user["UserPolicyList"]]) == (["crew"], ["inline"])
    assert {held["PolicyArn"] for held in group["AttachedManagedPolicies"]} == {own, aws}
    assert role["RoleName"] == "app"
    assert [(p["Arn"], p["AttachmentCount"]) for p in found["Policies"]] == [(own, 1), (aws, 1)]
    assert list(root("GetAccountAuthorizationDetails", Filter=["Role"])["UserDetailList"]) == []


def test_an_instance_profile_holds_one_role_and_needs_its_passing(desk: Desk, root: Key) -> None:
    for name in ("app", "db"):
        root("CreateRole", RoleName=name, AssumeRolePolicyDocument=trust(root.account))
    root("CreateInstanceProfile", InstanceProfileName="box")
    bob = desk.user(root, "bob", allow("iam:AddRoleToInstanceProfile"))
    with refused("AccessDenied", "iam:PassRole"):
        bob("AddRoleToInstanceProfile", InstanceProfileName="box", RoleName="app")
    root("AddRoleToInstanceProfile", InstanceProfileName="box", RoleName="app")
    with refused("LimitExceeded"):
        root("AddRoleToInstanceProfile", InstanceProfileName="box", RoleName="db")
    with refused("DeleteConflict", "must remove roles from instance profile first."):
        root("DeleteRole", RoleName="app")
    profile = root("GetInstanceProfile", InstanceProfileName="box")["InstanceProfile"]
    assert [role["RoleName"] for role in profile["Roles"]] == ["app"]
    root("RemoveRoleFromInstanceProfile", InstanceProfileName="box", RoleName="app")
    root("DeleteRole", RoleName="app")
    root("DeleteInstanceProfile", InstanceProfileName="box")

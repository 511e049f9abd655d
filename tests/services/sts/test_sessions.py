"""AssumeRole, GetFederationToken and GetSessionToken: who may, for how long, with which limits."""

from __future__ import annotations

import random
from string import ascii_letters
from typing import Any

import pytest
from desk import Desk, Key, allow, deny, policy, refused, trust

EVERYTHING = policy(allow("*"))
TAGGING = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]


def role(admin: Key, name: str, trusting: str, *statements: dict[str, Any], **more: Any) -> str:
    arn: str = admin("CreateRole", RoleName=name, AssumeRolePolicyDocument=trusting, **more)["Role"]["Arn"]
    if statements:
        admin("PutRolePolicy", RoleName=name, PolicyName="inline", PolicyDocument=policy(*statements))
    return arn


def user_arn(key: Key, name: str) -> str:
    return f"arn:aws:iam::{key.account}:user/{name}"


def assume(desk: Desk, key: Key, arn: str, **more: Any) -> Key:
    return desk.session(key, "AssumeRole", RoleArn=arn, RoleSessionName=more.pop("name", "one"), **more)


# GetCallerIdentity


def test_everyone_learns_who_they_are_despite_an_explicit_deny(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", deny("*"))
    assert alice("sts.GetCallerIdentity")["Arn"] == user_arn(root, "alice")
    assert root("sts.GetCallerIdentity") == {
        "UserId": root.account,
        "Account": root.account,
        "Arn": f"arn:aws:iam::{root.account}:root",
    }


def test_an_access_key_names_its_account(desk: Desk, root: Key) -> None:
    session = desk.session(root, "GetSessionToken")
    for key_id in (root.id, session.id):
        assert root("sts.GetAccessKeyInfo", AccessKeyId=key_id) == {"Account": root.account}
    with refused("ValidationError"):
        root("sts.GetAccessKeyInfo", AccessKeyId="AKIAIOSFODNN7EXAMPLE"[:16])


# AssumeRole: who may


def test_a_role_is_assumed_by_whom_it_names(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice")
    arn = role(root, "app", trust(user_arn(root, "alice")), allow("iam:ListUsers"))
    session = assume(desk, alice, arn)
    me = session("sts.GetCallerIdentity")
    role_id = root("GetRole", RoleName="app")["Role"]["RoleId"]
    assert me["Arn"] == f"arn:aws:sts::{root.account}:assumed-role/app/one"
    assert me["UserId"] == f"{role_id}:one"
    assert session.result["AssumedRoleUser"] == {"AssumedRoleId": me["UserId"], "Arn": me["Arn"]}
    assert "PackedPolicySize" not in session.result
    session("ListUsers")
    with refused("AccessDenied", f"User: {me['Arn']} is not authorized to perform: iam:ListRoles"):
        session("ListRoles")


def test_a_trusting_account_leaves_it_to_the_callers_policies(desk: Desk, root: Key) -> None:
    arn = role(root, "app", trust(root.account))
    alice, bob = desk.user(root, "alice", allow("sts:AssumeRole", resource=arn)), desk.user(root, "bob")
    assume(desk, alice, arn)
    with refused("AccessDenied", "sts:AssumeRole"):
        assume(desk, bob, arn)


def test_across_accounts_both_sides_must_allow(desk: Desk, root: Key) -> None:
    other = desk.account("other")
    eve = desk.user(other, "eve")
    arn = role(root, "app", trust(user_arn(other, "eve")))
    with refused("AccessDenied"):
        assume(desk, eve, arn)
    other("PutUserPolicy", UserName="eve", PolicyName="p", PolicyDocument=policy(allow("sts:AssumeRole", resource=arn)))
    assert assume(desk, eve, arn)("sts.GetCallerIdentity")["Account"] == root.account
    root("UpdateAssumeRolePolicy", RoleName="app", PolicyDocument=trust(root.account))
    with refused("AccessDenied"):
        assume(desk, eve, arn)


def test_a_missing_role_is_refused_as_one_that_trusts_nobody(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    quiet = role(root, "quiet", policy({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}))
    missing = quiet.replace("quiet", "quite")
    for arn in (missing, f"arn:aws:iam::{root.account}:role/other/quiet", "arn:aws:iam::999999999999:role/quiet"):
        with refused("AccessDenied", f"is not authorized to perform: sts:AssumeRole on resource: {arn}"):
            assume(desk, alice, arn)


def test_a_roles_path_and_case_are_part_of_its_arn(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    arn = role(root, "App", trust(root.account), Path="/team/")
    assume(desk, alice, arn)
    for wrong in (arn.replace("/team/", "/"), arn.replace("App", "app"), arn.replace("/team/", "/team/../team/")):
        with refused("AccessDenied"):
            assume(desk, alice, wrong)


@pytest.mark.parametrize(
    "arn", ["role/app-with-a-long-name", "arn:aws:s3:::bucket-with-a-long-name", "arn:aws:iam::1:user/some-user-name"]
)
def test_what_is_no_role_arn_is_invalid(desk: Desk, root: Key, arn: str) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    with refused("ValidationError", "is invalid"):
        assume(desk, alice, arn)


def test_root_assumes_no_role(desk: Desk, root: Key) -> None:
    with refused("AccessDenied", "Roles may not be assumed by root accounts."):
        assume(desk, root, role(root, "app", trust(root.account)))


def test_the_operator_assumes_no_role(desk: Desk, root: Key) -> None:
    everyone = policy({"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"})
    with refused("AccessDenied", "Cannot call AssumeRole with operator credentials"):
        assume(desk, desk.operator(), role(root, "app", everyone))


def test_an_external_id_must_be_the_one_that_is_asked_for(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    arn = role(root, "app", trust(root.account, Condition={"StringEquals": {"sts:ExternalId": "ours"}}))
    assume(desk, alice, arn, ExternalId="ours")
    for wrong in ({}, {"ExternalId": "Ours"}, {"ExternalId": "theirs"}):
        with refused("AccessDenied"):
            assume(desk, alice, arn, **wrong)


def test_a_recreated_user_does_not_regain_trust(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice")
    old_id = root("GetUser", UserName="alice")["User"]["UserId"]
    arn = role(root, "app", trust(user_arn(root, "alice")))
    assume(desk, alice, arn)
    root("DeleteAccessKey", UserName="alice", AccessKeyId=alice.id)
    root("DeleteUser", UserName="alice")
    again = desk.user(root, "alice")
    with refused("AccessDenied"):
        assume(desk, again, arn)
    assert old_id in root("GetRole", RoleName="app")["Role"]["AssumeRolePolicyDocument"]


def test_a_renamed_user_keeps_trust(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice")
    arn = role(root, "app", trust(user_arn(root, "alice")))
    root("UpdateUser", UserName="alice", NewUserName="alicia", NewPath="/staff/")
    assume(desk, alice, arn)
    assert "user%2Fstaff%2Falicia" in root("GetRole", RoleName="app")["Role"]["AssumeRolePolicyDocument"]


# AssumeRole: duration and chains


@pytest.mark.parametrize(("seconds", "allowed"), [(900, True), (7200, True), (7201, False), (43200, False)])
def test_a_session_is_no_longer_than_the_role_allows(desk: Desk, root: Key, seconds: int, allowed: bool) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    arn = role(root, "app", trust(root.account), MaxSessionDuration=7200)
    if allowed:
        result = assume(desk, alice, arn, DurationSeconds=seconds).result
        left = result["Credentials"]["Expiration"].timestamp() - desk.clock.now_seconds()
        assert seconds - 5 < left <= seconds
    else:
        with refused("ValidationError", "exceeds the MaxSessionDuration set for this role"):
            assume(desk, alice, arn, DurationSeconds=seconds)


def test_a_chain_of_roles_lasts_an_hour_at_most(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    first = role(root, "first", trust(root.account), allow("sts:AssumeRole"), MaxSessionDuration=43200)
    second = role(root, "second", trust(root.account), MaxSessionDuration=43200)
    session = assume(desk, alice, first, DurationSeconds=43200)
    with refused("ValidationError", "1 hour session limit for roles assumed by role chaining"):
        assume(desk, session, second, DurationSeconds=3601)
    assume(desk, session, second, DurationSeconds=3600)


def test_a_role_that_trusts_another_role_trusts_its_sessions(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    first = role(root, "first", trust(root.account))
    second = role(root, "second", trust(first))
    assume(desk, assume(desk, alice, first), second)
    with refused("AccessDenied"):
        assume(desk, alice, second)


# Session policies


def test_a_session_policy_only_takes_away(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    arn = role(root, "app", trust(root.account), allow("iam:ListUsers", "iam:ListRoles"))
    session = assume(desk, alice, arn, Policy=policy(allow("iam:ListUsers", "iam:ListGroups")))
    assert 0 < session.result["PackedPolicySize"] <= 100
    session("ListUsers")
    with refused("AccessDenied", "because no session policy allows the iam:ListRoles action"):
        session("ListRoles")
    with refused("AccessDenied", "because no identity-based policy allows the iam:ListGroups action"):
        session("ListGroups")


def test_managed_session_policies_count_as_inline_ones(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    arn = role(root, "app", trust(root.account), allow("iam:*"))
    read_only = [{"arn": "arn:aws:iam::aws:policy/IAMReadOnlyAccess"}]
    session = assume(desk, alice, arn, PolicyArns=read_only)
    session("ListUsers")
    with refused("AccessDenied", "because no session policy allows the iam:CreateUser action"):
        session("CreateUser", UserName="bob")


def test_session_policies_of_another_account_are_refused(desk: Desk, root: Key) -> None:
    other = desk.account("other")
    foreign = other("CreatePolicy", PolicyName="p", PolicyDocument=EVERYTHING)["Policy"]["Arn"]
    alice = desk.user(root, "alice", allow("sts:*"))
    arn = role(root, "app", trust(root.account))
    with refused("ValidationError", "does not exist or is not attachable"):
        assume(desk, alice, arn, PolicyArns=[{"arn": foreign}])


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{", "MalformedPolicyDocument"),
        ('{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}',
         "MalformedPolicyDocument"),
        (policy(allow(*(f"iam:Some{n}" for n in range(200)))), "PackedPolicyTooLarge"),
    ],
)  # fmt: skip
def test_a_bad_session_policy_is_refused(desk: Desk, root: Key, document: str, code: str) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    arn = role(root, "app", trust(root.account))
    with refused(code):
        assume(desk, alice, arn, Policy=document)


# Session tags and source identity


def tags(**given: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in given.items()]


def test_session_tags_need_a_permission_of_their_own(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    arn = role(root, "app", trust(root.account))
    with refused("AccessDenied", "sts:TagSession"):
        assume(desk, alice, arn, Tags=tags(team="red"))
    root("UpdateAssumeRolePolicy", RoleName="app", PolicyDocument=trust(root.account, actions=TAGGING))
    assume(desk, alice, arn, Tags=tags(team="red"))


def test_session_tags_reach_policies(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    may = allow("iam:GetUser", resource="arn:aws:iam::*:user/${aws:PrincipalTag/team}/*")
    arn = role(root, "app", trust(root.account, actions=TAGGING), may)
    root("CreateUser", UserName="bob", Path="/red/")
    root("CreateUser", UserName="eve", Path="/blue/")
    session = assume(desk, alice, arn, Tags=tags(team="red"))
    session("GetUser", UserName="bob")
    with refused("AccessDenied"):
        session("GetUser", UserName="eve")


def test_transitive_tags_go_along_the_chain_and_cannot_be_changed(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    first = role(root, "first", trust(root.account, actions=TAGGING), allow("sts:*"))
    second = role(root, "second", trust(root.account, actions=TAGGING), allow("sts:*"))
    given = {"Tags": tags(team="red", stage="dev"), "TransitiveTagKeys": ["team"]}
    session = assume(desk, alice, first, **given)
    with refused("InvalidParameterValue", "conflicts with a transitive tag key from the calling session"):
        assume(desk, session, second, Tags=tags(Team="blue"))
    further = assume(desk, session, second)
    principal = desk.worker.access.lookup(further.id, further.token).principal
    assert principal.tags == (("team", "red"),)
    again = assume(desk, further, first)
    assert desk.worker.access.lookup(again.id, again.token).principal.tags == (("team", "red"),)


def test_inherited_tags_need_the_permission_to_tag(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    first = role(root, "first", trust(root.account, actions=TAGGING), allow("sts:*"))
    second = role(root, "second", trust(root.account))
    session = assume(desk, alice, first, Tags=tags(team="red"), TransitiveTagKeys=["team"])
    with refused("AccessDenied", "sts:TagSession"):
        assume(desk, session, second)


@pytest.mark.parametrize(
    "given",
    [
        {"Tags": tags(team="red", Team="blue")},
        {"Tags": [{"Key": "aws:team", "Value": "red"}]},
        {"Tags": tags(team="red"), "TransitiveTagKeys": ["stage"]},
    ],
)
def test_bad_session_tags_are_refused(desk: Desk, root: Key, given: dict[str, Any]) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    arn = role(root, "app", trust(root.account, actions=TAGGING))
    with refused("InvalidParameterValue"):
        assume(desk, alice, arn, **given)


def test_session_tags_that_do_not_pack_are_refused(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    arn = role(root, "app", trust(root.account, actions=TAGGING))
    letters = random.Random(1)
    wide = [{"Key": f"k{n}", "Value": "".join(letters.choices(ascii_letters, k=256))} for n in range(50)]
    with refused("PackedPolicyTooLarge", "% of allotted space"):
        assume(desk, alice, arn, Tags=wide)


def test_a_source_identity_stays_along_the_chain(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    first = role(root, "first", trust(root.account, actions=TAGGING), allow("sts:*"))
    second = role(root, "second", trust(root.account, actions=TAGGING))
    third = role(root, "third", trust(root.account))
    session = assume(desk, alice, first, SourceIdentity="alice")
    assert assume(desk, session, second).result["SourceIdentity"] == "alice"
    with refused("AccessDenied", "cannot be changed"):
        assume(desk, session, second, SourceIdentity="bob")
    with refused("AccessDenied", "sts:SetSourceIdentity"):
        assume(desk, session, third)


# GetSessionToken


def test_a_session_without_mfa_calls_no_iam(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("*"))
    session = desk.session(alice, "GetSessionToken")
    for operation, params in (("ListUsers", {}), ("CreateUser", {"UserName": "bob"})):
        with refused("InvalidClientTokenId"):
            session(operation, **params)


def test_of_sts_a_session_calls_assume_role_and_get_caller_identity_only(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("*"))
    session = desk.session(alice, "GetSessionToken")
    assert session("sts.GetCallerIdentity")["Arn"] == user_arn(root, "alice")
    assume(desk, session, role(root, "app", trust(root.account)))
    for operation, params in (
        ("GetSessionToken", {}),
        ("GetFederationToken", {"Name": "fred"}),
        ("GetAccessKeyInfo", {"AccessKeyId": root.id}),
    ):
        with refused("AccessDenied", f"Cannot call {operation} with session credentials"):
            session(f"sts.{operation}", **params)


@pytest.mark.parametrize(("asked", "given"), [({}, 43200), ({"DurationSeconds": 129600}, 129600)])
def test_a_users_session_lasts_as_asked(desk: Desk, root: Key, asked: dict[str, int], given: int) -> None:
    session = desk.session(desk.user(root, "alice"), "GetSessionToken", **asked)
    left = session.result["Credentials"]["Expiration"].timestamp() - desk.clock.now_seconds()
    assert given - 5 < left <= given


def test_roots_session_lasts_an_hour_at_most(desk: Desk, root: Key) -> None:
    session = desk.session(root, "GetSessionToken", DurationSeconds=43200)
    assert session.result["Credentials"]["Expiration"].timestamp() - desk.clock.now_seconds() <= 3600


# GetFederationToken


def test_a_federated_user_without_a_session_policy_may_do_nothing(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("*"))
    federated = desk.session(alice, "GetFederationToken", Name="fred")
    assert federated("sts.GetCallerIdentity") == {
        "UserId": f"{root.account}:fred",
        "Account": root.account,
        "Arn": f"arn:aws:sts::{root.account}:federated-user/fred",
    }
    principal = desk.worker.access.lookup(federated.id, federated.token).principal
    assert desk.worker.access.identity(principal).identity == ()


def test_a_federated_user_calls_neither_iam_nor_sts(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("*"))
    federated = desk.session(alice, "GetFederationToken", Name="fred", Policy=EVERYTHING)
    with refused("InvalidClientTokenId"):
        federated("ListUsers")
    arn = role(root, "app", trust(root.account))
    with refused("AccessDenied"):
        assume(desk, federated, arn)
    with refused("AccessDenied"):
        federated("sts.GetSessionToken")


def test_federating_needs_a_permission(desk: Desk, root: Key) -> None:
    with refused("AccessDenied", "sts:GetFederationToken"):
        desk.session(desk.user(root, "alice"), "GetFederationToken", Name="fred")
    bob = desk.user(root, "bob", allow("sts:GetFederationToken"))
    with refused("AccessDenied", "sts:TagSession"):
        desk.session(bob, "GetFederationToken", Name="fred", Tags=tags(team="red"))


def test_role_sessions_do_not_federate(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    session = assume(desk, alice, role(root, "app", trust(root.account), allow("sts:*")))
    for operation, params in (("GetFederationToken", {"Name": "fred"}), ("GetSessionToken", {})):
        with refused("AccessDenied", "with session credentials"):
            session(f"sts.{operation}", **params)

"""Who holds a key and what is theirs: unknown, inactive and orphaned keys; sessions; other workers."""

from __future__ import annotations

import pytest
from desk import Desk, Key, allow, policy, refused, trust

from freehold.authentication.credentials import ExpiredToken, InvalidToken, UnknownAccessKey
from freehold.authorization.principal import ANONYMOUS
from freehold.services.iam import records


def test_an_unknown_key_is_refused(desk: Desk) -> None:
    with pytest.raises(UnknownAccessKey):
        desk.worker.access.lookup("AKIAQQQQQQQQQQQQQQQQ", None)


def test_a_temporary_key_without_its_token_is_refused(desk: Desk, root: Key) -> None:
    session = desk.session(root, "GetSessionToken")
    with pytest.raises(InvalidToken):
        desk.worker.access.lookup(session.id, None)


def test_a_long_term_key_with_a_token_is_refused(desk: Desk, root: Key) -> None:
    session = desk.session(root, "GetSessionToken")
    with pytest.raises(InvalidToken):
        desk.worker.access.lookup(root.id, session.token)


def test_an_inactive_key_is_unknown_in_every_worker_at_once(desk: Desk, root: Key) -> None:
    alice, other = desk.user(root, "alice"), desk.another_worker()
    assert other.access.lookup(alice.id, None).principal.name == "alice"
    root("UpdateAccessKey", UserName="alice", AccessKeyId=alice.id, Status="Inactive")
    for worker in (desk.worker, other):
        with pytest.raises(UnknownAccessKey):
            worker.access.lookup(alice.id, None)
    root("UpdateAccessKey", UserName="alice", AccessKeyId=alice.id, Status="Active")
    assert other.access.lookup(alice.id, None).principal.name == "alice"


def test_a_revoked_permission_is_revoked_in_every_worker_at_once(desk: Desk, root: Key) -> None:
    alice, other = desk.user(root, "alice", allow("iam:ListUsers")), desk.another_worker()
    alice.at(other)("ListUsers")
    root("DeleteUserPolicy", UserName="alice", PolicyName="inline")
    with refused("AccessDenied", "because no identity-based policy allows the iam:ListUsers action"):
        alice.at(other)("ListUsers")


def test_a_warm_lookup_gives_the_same_objects(desk: Desk, root: Key) -> None:
    access = desk.worker.access
    first = access.lookup(root.id, None)
    assert access.lookup(root.id, None) is first
    assert access.identity(first.principal) is access.identity(first.principal)


def test_anonymous_callers_have_no_policies(desk: Desk) -> None:
    found = desk.worker.access.identity(ANONYMOUS)
    assert (found.identity, found.boundary) == ((), None)


def test_the_operator_belongs_to_no_account(desk: Desk, root: Key) -> None:
    operator = desk.operator()
    principal = desk.worker.access.lookup(operator.id, None).principal
    assert (principal.kind, principal.account_id) == ("operator", "000000000000")
    with refused("AccessDenied"):
        operator("ListUsers")


def test_a_session_ends_with_its_time(desk: Desk, root: Key) -> None:
    session = desk.session(root, "GetSessionToken", DurationSeconds=900)
    desk.worker.access.lookup(session.id, session.token)
    desk.clock.advance(900)
    with pytest.raises(ExpiredToken):
        desk.worker.access.lookup(session.id, session.token)


def test_a_token_belongs_to_its_access_key(desk: Desk, root: Key) -> None:
    one, two = desk.session(root, "GetSessionToken"), desk.session(root, "GetSessionToken")
    with pytest.raises(InvalidToken):
        desk.worker.access.lookup(one.id, two.token)


def test_a_deleted_users_session_is_refused_even_when_the_user_is_created_again(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice")
    session = desk.session(alice, "GetSessionToken")
    root("DeleteAccessKey", UserName="alice", AccessKeyId=alice.id)
    assert desk.worker.access.lookup(session.id, session.token).principal.name == "alice"
    root("DeleteUser", UserName="alice")
    root("CreateUser", UserName="alice")
    with pytest.raises(UnknownAccessKey):
        desk.worker.access.lookup(session.id, session.token)


def test_a_deleted_roles_session_is_refused_even_when_the_role_is_created_again(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("sts:AssumeRole"))
    trusting = trust(f"arn:aws:iam::{root.account}:user/alice")
    role = root("CreateRole", RoleName="app", AssumeRolePolicyDocument=trusting)["Role"]
    session = desk.session(alice, "AssumeRole", RoleArn=role["Arn"], RoleSessionName="one")
    root("DeleteRole", RoleName="app")
    root("CreateRole", RoleName="app", AssumeRolePolicyDocument=trusting)
    with pytest.raises(UnknownAccessKey):
        desk.worker.access.lookup(session.id, session.token)


def test_sessions_before_the_revocation_are_refused(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice")
    session = desk.session(alice, "GetSessionToken")

    def revoke(tx: object) -> None:
        user = records.user_named(tx, root.account, "alice")  # type: ignore[arg-type]
        user.sessions_not_before = int(desk.clock.now_seconds()) + 1
        records.save(tx, user)  # type: ignore[arg-type]

    desk.worker.records.submit(revoke).result(10)
    with pytest.raises(ExpiredToken):
        desk.worker.access.lookup(session.id, session.token)
    desk.clock.advance(2)
    desk.session(alice, "GetSessionToken")("sts.GetCallerIdentity")


def test_policies_of_groups_and_attached_policies_count(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice")
    root("CreateGroup", GroupName="readers")
    root("AddUserToGroup", GroupName="readers", UserName="alice")
    with refused("AccessDenied"):
        alice("ListRoles")
    root("AttachGroupPolicy", GroupName="readers", PolicyArn="arn:aws:iam::aws:policy/IAMReadOnlyAccess")
    assert alice("ListRoles")["Roles"] == []
    root("RemoveUserFromGroup", GroupName="readers", UserName="alice")
    with refused("AccessDenied"):
        alice("ListRoles")


def test_a_boundary_limits_and_its_change_holds_at_once(desk: Desk, root: Key) -> None:
    only_users = root("CreatePolicy", PolicyName="edge", PolicyDocument=policy(allow("iam:ListUsers")))["Policy"]["Arn"]
    alice = desk.user(root, "alice", allow("iam:*"), PermissionsBoundary=only_users)
    alice("ListUsers")
    with refused("AccessDenied", "because no permissions boundary allows the iam:ListRoles action"):
        alice("ListRoles")
    root("CreatePolicyVersion", PolicyArn=only_users, PolicyDocument=policy(allow("iam:ListRoles")), SetAsDefault=True)
    alice("ListRoles")
    with refused("AccessDenied"):
        alice("ListUsers")


def test_a_boundary_policy_cannot_be_deleted_from_under_its_users(desk: Desk, root: Key) -> None:
    edge = root("CreatePolicy", PolicyName="edge", PolicyDocument=policy(allow("iam:ListUsers")))["Policy"]["Arn"]
    desk.user(root, "alice", PermissionsBoundary=edge)
    with refused("DeleteConflict", "Cannot delete a policy attached to entities."):
        root("DeletePolicy", PolicyArn=edge)
    assert root("GetPolicy", PolicyArn=edge)["Policy"]["PermissionsBoundaryUsageCount"] == 1
    root("DeleteUserPermissionsBoundary", UserName="alice")
    root("DeletePolicy", PolicyArn=edge)


def test_a_session_whose_managed_session_policy_is_gone_may_do_nothing(desk: Desk, root: Key) -> None:
    limit = root("CreatePolicy", PolicyName="limit", PolicyDocument=policy(allow("iam:*")))["Policy"]["Arn"]
    alice = desk.user(root, "alice", allow("iam:*", "sts:*"))
    role = root(
        "CreateRole", RoleName="app", AssumeRolePolicyDocument=trust(f"arn:aws:iam::{root.account}:user/alice")
    )["Role"]
    root("PutRolePolicy", RoleName="app", PolicyName="all", PolicyDocument=policy(allow("iam:*")))
    session = desk.session(alice, "AssumeRole", RoleArn=role["Arn"], RoleSessionName="one", PolicyArns=[{"arn": limit}])
    session("ListUsers")
    root("DeletePolicy", PolicyArn=limit)
    with refused("AccessDenied", "explicit deny in a session policy"):
        session("ListUsers")


def test_session_tags_lie_over_the_roles_tags(desk: Desk, root: Key) -> None:
    alice = desk.user(root, "alice", allow("sts:*"))
    user_arn = f"arn:aws:iam::{root.account}:user/alice"
    role = root(
        "CreateRole",
        RoleName="app",
        AssumeRolePolicyDocument=trust(user_arn, actions=["sts:AssumeRole", "sts:TagSession"]),
        Tags=[{"Key": "Team", "Value": "red"}, {"Key": "Stage", "Value": "dev"}],
    )["Role"]
    session = desk.session(
        alice, "AssumeRole", RoleArn=role["Arn"], RoleSessionName="one", Tags=[{"Key": "team", "Value": "blue"}]
    )
    tags = desk.worker.access.lookup(session.id, session.token).principal.tags
    assert dict(tags) == {"Stage": "dev", "team": "blue"}
    root("TagRole", RoleName="app", Tags=[{"Key": "Stage", "Value": "live"}])
    assert dict(desk.worker.access.lookup(session.id, session.token).principal.tags)["Stage"] == "live"

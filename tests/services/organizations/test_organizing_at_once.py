"""Many callers change one organization at the same moment, through two workers: nothing is half-done, and what was
acknowledged counts at once wherever the next request goes.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from organizing import RCP, SCP, Organized, allow, deny, refused

import freehold.testing


@pytest.fixture(scope="module")
def org() -> Iterator[Organized]:
    with freehold.testing.server(workers=2) as server:
        yield Organized(server)
        assert server.log() == ""


def at_once(acts: Sequence[Callable[[], Any]]) -> list[str]:
    """What became of each: "" or the code of its refusal."""

    def outcome(act: Callable[[], Any]) -> str:
        try:
            act()
        except ClientError as error:
            code: str = error.response["Error"]["Code"]
            return code
        return ""

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(outcome, acts))


def clients(org: Organized, count: int) -> list[Any]:
    """Each with a connection of its own, so that both workers are met."""
    return [org.management.client("organizations") for _ in range(count)]


def test_the_last_service_control_policy_is_never_detached(org: Organized) -> None:
    for _ in range(3):
        target = org.unit(secrets.token_hex(4))
        policies = ["p-FullAWSAccess", *(org.attach(target, allow("*")) for _ in range(3))]
        outcomes = at_once(
            [
                lambda client=client, policy=policy, target=target: client.detach_policy(  # type: ignore[misc]
                    PolicyId=policy, TargetId=target
                )
                for client, policy in zip(clients(org, 4), policies, strict=True)
            ]
        )
        assert sorted(outcomes) == ["", "", "", "ConstraintViolationException"]
        left = org.organizations.list_policies_for_target(TargetId=target, Filter=SCP)["Policies"]
        assert [one["Id"] for one in left] == [policies[outcomes.index("ConstraintViolationException")]]


def test_an_account_moved_by_many_is_in_one_place(org: Organized) -> None:
    member = org.invited()
    units = [org.unit(secrets.token_hex(4)) for _ in range(4)]
    outcomes = at_once(
        [
            lambda client=client, unit=unit: client.move_account(  # type: ignore[misc]
                AccountId=member.account_id, SourceParentId=org.root_id, DestinationParentId=unit
            )
            for client, unit in zip(clients(org, 4), units, strict=True)
        ]
    )
    assert sorted(outcomes)[0] == ""
    assert outcomes.count("") == 1
    assert set(outcomes) - {""} <= {"AccountNotFoundException", "ConcurrentModificationException"}
    parents = [
        unit for unit in (*units, org.root_id)
        for one in org.organizations.list_accounts_for_parent(ParentId=unit)["Accounts"]
        if one["Id"] == member.account_id
    ]  # fmt: skip
    assert parents == [units[outcomes.index("")]]
    assert org.organizations.list_parents(ChildId=member.account_id)["Parents"][0]["Id"] == parents[0]


def test_a_unit_is_not_deleted_under_an_account_that_moves_in(org: Organized) -> None:
    member = org.invited()
    for _ in range(3):
        unit = org.unit(secrets.token_hex(4))
        first, second = clients(org, 2)
        moved, deleted = at_once(
            [
                lambda client=first, unit=unit: client.move_account(  # type: ignore[misc]
                    AccountId=member.account_id, SourceParentId=org.root_id, DestinationParentId=unit
                ),
                lambda client=second, unit=unit: client.delete_organizational_unit(  # type: ignore[misc]
                    OrganizationalUnitId=unit
                ),
            ]
        )
        parent = org.organizations.list_parents(ChildId=member.account_id)["Parents"][0]["Id"]
        assert (moved, deleted, parent) in (
            ("", "OrganizationalUnitNotEmptyException", unit),
            ("DestinationParentNotFoundException", "", org.root_id),
        )
        if parent == unit:
            org.move(member.account_id, org.root_id)
        member.iam.list_users()


def test_one_account_is_in_one_organization_whoever_invites(org: Organized) -> None:
    other = Organized(org.server)
    account = org.server.new_account("wanted")
    target = {"Type": "ACCOUNT", "Id": account.account_id}
    handshakes = [
        inviting.organizations.invite_account_to_organization(Target=target)["Handshake"]["Id"]
        for inviting in (org, other)
    ]
    outcomes = at_once(
        [
            lambda handshake=handshake: account.client("organizations").accept_handshake(  # type: ignore[misc]
                HandshakeId=handshake
            )
            for handshake in handshakes
        ]
    )
    assert sorted(outcomes) == ["", "HandshakeConstraintViolationException"]
    have = [
        account.account_id in [one["Id"] for one in inviting.organizations.list_accounts()["Accounts"]]
        for inviting in (org, other)
    ]
    assert have == [outcome == "" for outcome in outcomes]


def test_one_name_is_taken_once_and_one_attachment_made_once(org: Organized) -> None:
    name = secrets.token_hex(4)
    outcomes = at_once(
        [
            lambda client=client: client.create_organizational_unit(ParentId=org.root_id, Name=name)  # type: ignore[misc]
            for client in clients(org, 4)
        ]
    )
    assert sorted(outcomes) == ["", *["DuplicateOrganizationalUnitException"] * 3]
    target, policy = org.unit(secrets.token_hex(4)), org.policy(deny("s3:*"))
    outcomes = at_once(
        [
            lambda client=client: client.attach_policy(PolicyId=policy, TargetId=target)  # type: ignore[misc]
            for client in clients(org, 4)
        ]
    )
    assert sorted(outcomes) == ["", *["DuplicatePolicyAttachmentException"] * 3]
    attached = org.organizations.list_policies_for_target(TargetId=target, Filter=SCP)["Policies"]
    assert [one["Id"] for one in attached] == ["p-FullAWSAccess", policy]


def test_a_move_counts_at_once_in_every_worker(org: Organized) -> None:
    closed = org.unit(secrets.token_hex(4))
    org.attach(closed, deny("iam:ListUsers"))
    member = org.invited()
    # Eight connections meet both workers, and each has decided (and remembers) before the move.
    callers = [member.client("iam") for _ in range(8)]
    for caller in callers:
        caller.list_users()
    for _ in range(3):
        org.move(member.account_id, closed)
        for caller in callers:
            with refused("AccessDenied", "service control policy"):
                caller.list_users()
        org.move(member.account_id, org.root_id)
        for caller in callers:
            caller.list_users()


def test_resource_control_policies_guard_buckets_and_roles_from_outside(org: Organized) -> None:
    """https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps_evaluation.html"""
    org.enable(RCP)
    inside, unit = org.invited(), org.unit(secrets.token_hex(4))
    owner, stranger = org.invited(unit), org.server.new_account("stranger")
    bucket = "b-" + secrets.token_hex(8)
    owner.s3.create_bucket(Bucket=bucket)
    owner.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    everyone = [{"AWS": account.account_id} for account in (inside, stranger)]
    statements = [
        {"Effect": "Allow", "Principal": one, "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
        for one in everyone
    ]
    owner.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
    trust = [{"Effect": "Allow", "Principal": one, "Action": "sts:AssumeRole"} for one in everyone]
    role = owner.iam.create_role(
        RoleName="shared", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust})
    )["Role"]["Arn"]
    insider, outsider = (account.new_user("u", {"Version": "2012-10-17", "Statement": [allow("*")]})
                         for account in (inside, stranger))  # fmt: skip

    def read(who: Any) -> Any:
        return who.s3.get_object(Bucket=bucket, Key="k")

    def assume(who: Any) -> Any:
        return who.sts.assume_role(RoleArn=role, RoleSessionName="test")

    for who in (insider, outsider):
        read(who)
        assume(who)
    perimeter = {"StringNotEqualsIfExists": {"aws:PrincipalOrgID": org.id}}
    policy = org.attach(unit, deny("s3:*", "sts:AssumeRole", Principal="*", Condition=perimeter), type=RCP)
    for act in (read, assume):
        act(insider)
        with refused("AccessDenied"):
            act(outsider)
    # A Deny of everyone binds the owner's own root user; the management account's resources are never bound.
    org.organizations.update_policy(
        PolicyId=policy,
        Content=json.dumps({"Version": "2012-10-17", "Statement": [deny("s3:GetObject", Principal="*")]}),
    )
    with refused("AccessDenied", "with an explicit deny in a resource control policy"):
        read(owner)
    assume(outsider)
    org.organizations.detach_policy(PolicyId=policy, TargetId=unit)
    for act in (read, assume):
        act(outsider)
    with refused("InvalidInputException", reason="NON_DETACHABLE_POLICY"):
        org.organizations.detach_policy(PolicyId="p-RCPFullAWSAccess", TargetId=unit)

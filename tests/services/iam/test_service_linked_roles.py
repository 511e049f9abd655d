"""Service-linked roles: made as AWS defines them, changed by their service alone, deleted once nothing uses them."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import unquote

import pytest
from desk import Desk, Key, allow, deny, policy, refused, trust

from freehold.message import Request
from freehold.services.call import Call
from freehold.services.iam import aws_managed, service_linked, service_linked_roles
from freehold.services.iam.pass_role import pass_role
from freehold.services.iam.service_linked_roles import tend_deletions
from freehold.services.operation import REGISTRY

RDS = "rds.amazonaws.com"
RDS_ROLE = "AWSServiceRoleForRDS"


@pytest.fixture
def linked(root: Key) -> str:
    """The name of an account's role for RDS."""
    return str(root("CreateServiceLinkedRole", AWSServiceName=RDS)["Role"]["RoleName"])


@pytest.fixture
def used_by(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Region -> ARNs, as RDS would say it."""
    usage: dict[str, list[str]] = {}
    monkeypatch.setattr(service_linked, "_USERS", {})
    service_linked.uses_service_linked_role(RDS)(lambda reader, role: usage)
    return usage


def test_every_known_role_has_a_policy_that_aws_publishes_and_a_name_that_fits() -> None:
    for kind in service_linked.kinds().values():
        assert aws_managed.find(kind.policy_arn) is not None, kind
        assert len(kind.role_name) <= 64
        assert kind.role_name.startswith("AWSServiceRoleFor")
        assert kind.service.endswith(".amazonaws.com")


def test_the_role_has_its_services_path_trust_and_policy(root: Key, linked: str) -> None:
    role = root("GetRole", RoleName=linked)["Role"]
    assert role["Arn"] == f"arn:aws:iam::{root.account}:role/aws-service-role/{RDS}/{RDS_ROLE}"
    document = json.loads(unquote(role["AssumeRolePolicyDocument"]))
    assert document["Statement"][0]["Principal"] == {"Service": RDS}
    attached = root("ListAttachedRolePolicies", RoleName=linked)["AttachedPolicies"]
    arn = "arn:aws:iam::aws:policy/aws-service-role/AmazonRDSServiceRolePolicy"
    assert [one["PolicyArn"] for one in attached] == [arn]
    assert root("GetPolicy", PolicyArn=arn)["Policy"]["AttachmentCount"] == 1


def test_a_second_one_is_refused_unless_its_service_takes_a_suffix(root: Key, linked: str) -> None:
    with refused("InvalidInput", "has been taken in this account"):
        root("CreateServiceLinkedRole", AWSServiceName=RDS)
    with refused("InvalidInput", "Custom suffix is not allowed"):
        root("CreateServiceLinkedRole", AWSServiceName=RDS, CustomSuffix="mine")
    scaling = "autoscaling.amazonaws.com"
    names = [
        root("CreateServiceLinkedRole", AWSServiceName=scaling, **more)["Role"]["RoleName"]
        for more in ({}, {"CustomSuffix": "blue"})
    ]
    assert names == ["AWSServiceRoleForAutoScaling", "AWSServiceRoleForAutoScaling_blue"]
    with refused("InvalidInput", "longer than 64"):
        root("CreateServiceLinkedRole", AWSServiceName=scaling, CustomSuffix="x" * 60)


def test_an_unknown_service_gets_no_role(root: Key) -> None:
    for service in ("evil.example.com", "RDS.amazonaws.com", "ec2.amazonaws.com"):
        with refused("InvalidInput", service):
            root("CreateServiceLinkedRole", AWSServiceName=service)


PROTECTED: list[tuple[str, dict[str, Any]]] = [
    ("AttachRolePolicy", {"PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
    ("DetachRolePolicy", {"PolicyArn": "arn:aws:iam::aws:policy/aws-service-role/AmazonRDSServiceRolePolicy"}),
    ("PutRolePolicy", {"PolicyName": "more", "PolicyDocument": policy(allow("*"))}),
    ("DeleteRolePolicy", {"PolicyName": "more"}),
    ("UpdateAssumeRolePolicy", {"PolicyDocument": policy(allow("sts:AssumeRole"))}),
    ("PutRolePermissionsBoundary", {"PermissionsBoundary": "arn:aws:iam::aws:policy/ReadOnlyAccess"}),
    ("DeleteRolePermissionsBoundary", {}),
    ("UpdateRole", {"MaxSessionDuration": 7200}),
    ("DeleteRole", {}),
    ("AddRoleToInstanceProfile", {"InstanceProfileName": "box"}),
]


@pytest.mark.parametrize(("name", "params"), PROTECTED, ids=[name for name, _ in PROTECTED])
def test_what_the_service_owns_cannot_be_changed(root: Key, linked: str, name: str, params: dict[str, Any]) -> None:
    root("CreateInstanceProfile", InstanceProfileName="box")
    before = root("GetRole", RoleName=linked)
    with refused("UnmodifiableEntity", f"protected role '{linked}' - this role is only modifiable by AWS"):
        root(name, RoleName=linked, **params)
    assert root("GetRole", RoleName=linked) == before


def test_description_and_tags_are_the_customers(root: Key, linked: str) -> None:
    root("UpdateRole", RoleName=linked, Description="ours")
    assert root("UpdateRoleDescription", RoleName=linked, Description="theirs")["Role"]["Description"] == "theirs"
    root("TagRole", RoleName=linked, Tags=[{"Key": "team", "Value": "data"}])
    assert root("GetRole", RoleName=linked)["Role"]["Tags"] == [{"Key": "team", "Value": "data"}]


def test_no_customer_principal_can_assume_it(desk: Desk, root: Key, linked: str) -> None:
    ada = desk.user(root, "ada", allow("*"))
    arn = f"arn:aws:iam::{root.account}:role/aws-service-role/{RDS}/{RDS_ROLE}"
    with refused("AccessDenied", "sts:AssumeRole"):
        ada("sts.AssumeRole", RoleArn=arn, RoleSessionName="s")


def _outcome(root: Key, task: str) -> dict[str, Any]:
    for _ in range(200):
        status = root("GetServiceLinkedRoleDeletionStatus", DeletionTaskId=task)
        if status["Status"] not in ("NOT_STARTED", "IN_PROGRESS"):
            return status
        time.sleep(0.01)
    raise AssertionError("the deletion did not end")


def test_it_is_deleted_by_a_task_that_tells_its_outcome(root: Key, linked: str) -> None:
    task = root("DeleteServiceLinkedRole", RoleName=linked)["DeletionTaskId"]
    assert task.startswith(f"task/aws-service-role/{RDS}/{RDS_ROLE}/")
    assert _outcome(root, task) == {"Status": "SUCCEEDED"}
    with refused("NoSuchEntity"):
        root("GetRole", RoleName=linked)
    assert root("GetAccountSummary")["SummaryMap"]["Roles"] == 0
    # Deleted and made again, it is another role, and counts once.
    root("CreateServiceLinkedRole", AWSServiceName=RDS)
    assert root("GetAccountSummary")["SummaryMap"]["Roles"] == 1


def test_it_stays_while_resources_use_it(root: Key, linked: str, used_by: dict[str, list[str]]) -> None:
    database = f"arn:aws:rds:eu-west-1:{root.account}:db:orders"
    used_by["eu-west-1"] = [database]
    task = root("DeleteServiceLinkedRole", RoleName=linked)["DeletionTaskId"]
    told = _outcome(root, task)
    assert told["Status"] == "FAILED"
    assert told["Reason"]["RoleUsageList"] == [{"Region": "eu-west-1", "Resources": [database]}]
    assert root("GetRole", RoleName=linked)["Role"]["RoleName"] == linked
    used_by.clear()
    again = root("DeleteServiceLinkedRole", RoleName=linked)["DeletionTaskId"]
    assert again != task
    assert _outcome(root, again) == {"Status": "SUCCEEDED"}
    # What is told of the first task doesn't change.
    assert _outcome(root, task)["Status"] == "FAILED"


def test_a_deletion_asked_for_twice_is_one_task_and_survives_a_stop(
    desk: Desk, root: Key, linked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as stopped:
        stopped.setattr(service_linked_roles, "finish_deletions", lambda tx: None)
        task = root("DeleteServiceLinkedRole", RoleName=linked)["DeletionTaskId"]
        assert root("DeleteServiceLinkedRole", RoleName=linked)["DeletionTaskId"] == task
        assert root("GetServiceLinkedRoleDeletionStatus", DeletionTaskId=task) == {"Status": "IN_PROGRESS"}
    app: Any = desk.worker
    desk.worker.records.submit(lambda tx: tend_deletions(app, tx)).result(10)
    assert root("GetServiceLinkedRoleDeletionStatus", DeletionTaskId=task) == {"Status": "SUCCEEDED"}


def test_only_service_linked_roles_are_deleted_so(root: Key) -> None:
    root("CreateRole", RoleName="mine", AssumeRolePolicyDocument=trust("*"))
    with refused("NoSuchEntity", "not a service-linked role"):
        root("DeleteServiceLinkedRole", RoleName="mine")


def test_a_task_is_its_accounts_alone_and_forgotten_after_a_week(desk: Desk, root: Key, linked: str) -> None:
    task = root("DeleteServiceLinkedRole", RoleName=linked)["DeletionTaskId"]
    _outcome(root, task)
    other = desk.account("other")
    with refused("NoSuchEntity"):
        other("GetServiceLinkedRoleDeletionStatus", DeletionTaskId=task)
    with refused("InvalidInput"):
        root("GetServiceLinkedRoleDeletionStatus", DeletionTaskId="task/anything")
    desk.clock.advance(8 * 86_400)
    app: Any = desk.worker
    desk.worker.records.submit(lambda tx: tend_deletions(app, tx)).result(10)
    with refused("NoSuchEntity"):
        root("GetServiceLinkedRoleDeletionStatus", DeletionTaskId=task)


def test_who_may_create_one_can_be_limited_to_a_service(desk: Desk, root: Key) -> None:
    only_rds = {"StringLike": {"iam:AWSServiceName": RDS}}
    ada = desk.user(root, "ada", allow("iam:CreateServiceLinkedRole", Condition=only_rds))
    with refused("AccessDenied", "iam:CreateServiceLinkedRole"):
        ada("CreateServiceLinkedRole", AWSServiceName="spot.amazonaws.com")
    assert ada("CreateServiceLinkedRole", AWSServiceName=RDS)["Role"]["RoleName"] == RDS_ROLE


def test_a_service_makes_its_role_at_first_use_and_finds_it_later(desk: Desk, root: Key, linked: str) -> None:
    def first_use(service: str) -> tuple[str, str]:
        found = desk.worker.records.submit(
            lambda tx: service_linked.ensure(tx, root.account, service, now_seconds=desk.clock.now_seconds())
        ).result(10)
        return found.name, found.unique_id

    assert first_use(RDS) == (linked, root("GetRole", RoleName=linked)["Role"]["RoleId"])
    made = first_use("spot.amazonaws.com")
    assert made == first_use("spot.amazonaws.com")
    assert made[0] == "AWSServiceRoleForEC2Spot"
    # A namesake of the customer's is not the service's.
    root("CreateRole", RoleName="AWSServiceRoleForBatch", AssumeRolePolicyDocument=trust("*"))
    with refused("InvalidInput", "has been taken"):
        first_use("batch.amazonaws.com")


# iam:PassRole


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({}, True),
        ({"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}, True),
        ({"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}, False),
        ({"ArnLike": {"iam:AssociatedResourceARN": "arn:aws:ec2:*:{account}:instance/*"}}, True),
        ({"ArnLike": {"iam:AssociatedResourceARN": "arn:aws:ec2:us-east-1:{account}:instance/i-1"}}, False),
        ({"StringEquals": {"iam:ResourceTag/team": "web"}}, True),
        ({"StringEquals": {"aws:ResourceTag/team": "db"}}, False),
    ],
)
def test_a_role_is_put_into_a_profile_by_who_may_pass_it(
    desk: Desk, root: Key, condition: dict[str, Any], allowed: bool
) -> None:
    root("CreateInstanceProfile", InstanceProfileName="box")
    tags = [{"Key": "team", "Value": "web"}]
    root("CreateRole", RoleName="worker", Path="/apps/", AssumeRolePolicyDocument=trust("*"), Tags=tags)
    condition = json.loads(json.dumps(condition).replace("{account}", root.account))
    passing = allow("iam:PassRole", resource=f"arn:aws:iam::{root.account}:role/apps/*", Condition=condition)
    ada = desk.user(root, "ada", allow("iam:AddRoleToInstanceProfile"), passing)
    if allowed:
        ada("AddRoleToInstanceProfile", InstanceProfileName="box", RoleName="worker")
    else:
        with refused("AccessDenied", "iam:PassRole on resource"):
            ada("AddRoleToInstanceProfile", InstanceProfileName="box", RoleName="worker")


def test_a_role_of_another_account_is_never_passed(desk: Desk, root: Key) -> None:
    principal = desk.worker.access.lookup(root.id, None).principal
    app: Any = desk.worker
    call = Call(app, Request("POST", "/", "", {}), REGISTRY["iam.GetRole"], principal, "us-east-1", "r", {})
    with refused("AccessDenied", "Cross-account pass role is not allowed."):
        pass_role(call, "arn:aws:iam::999988887777:role/theirs", "lambda.amazonaws.com")
    for role_arn in (f"arn:aws:iam::{root.account}:role/nobody", "not an arn"):
        # Whether it exists is for the operation to say, once the permission is there.
        needed = pass_role(call, role_arn, "lambda.amazonaws.com", associated_resource_arn="arn:aws:lambda:::f")
        assert (needed.action, needed.resource, needed.account_id) == ("iam:PassRole", role_arn, root.account)
        assert needed.context == {
            "iam:passedtoservice": "lambda.amazonaws.com",
            "iam:associatedresourcearn": "arn:aws:lambda:::f",
        }


def test_without_passrole_no_role_is_handed_on(desk: Desk, root: Key) -> None:
    root("CreateInstanceProfile", InstanceProfileName="box")
    root("CreateRole", RoleName="worker", AssumeRolePolicyDocument=trust("*"))
    for statements in ([], [allow("iam:PassRole"), deny("iam:PassRole")]):
        name = f"user-{len(statements)}"
        user = desk.user(root, name, allow("iam:AddRoleToInstanceProfile"), *statements)
        with refused("AccessDenied", "iam:PassRole"):
            user("AddRoleToInstanceProfile", InstanceProfileName="box", RoleName="worker")

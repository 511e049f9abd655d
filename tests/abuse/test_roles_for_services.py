"""Roles that services use: who gets in by them, what limits them, and what doesn't."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

GUARDDUTY = "guardduty.amazonaws.com"
EC2 = "ec2.amazonaws.com"
EVERYTHING = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}


def _trust(**condition: Any) -> str:
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": EC2}, "Action": "sts:AssumeRole"}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": statement})


@pytest.fixture
def organization(freehold_server: Any) -> tuple[Any, Any]:
    """(the management account, a member), where the member may not do anything with S3."""
    management = freehold_server.new_account("management")
    management.organizations.create_organization(FeatureSet="ALL")
    member = freehold_server.new_account("member")
    handshake = management.organizations.invite_account_to_organization(
        Target={"Id": member.account_id, "Type": "ACCOUNT"}
    )["Handshake"]["Id"]
    member.organizations.accept_handshake(HandshakeId=handshake)
    no_s3 = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}}
    made = management.organizations.create_policy(
        Name="no-s3", Description="", Type="SERVICE_CONTROL_POLICY", Content=json.dumps(no_s3)
    )["Policy"]["PolicySummary"]["Id"]
    management.organizations.attach_policy(PolicyId=made, TargetId=member.account_id)
    return management, member


def _as_service(server: Any, account: Any, service: str, role: str, **more: Any) -> Any:
    given = server.operator.freehold.assume_role_for_service(
        ServiceName=service, RoleArn=role, RoleSessionName="service", **more
    )
    return account.using(given["Credentials"])


def test_scps_limit_roles_that_services_assume_but_not_service_linked_ones(
    freehold_server: Any, organization: tuple[Any, Any]
) -> None:
    _, member = organization
    made = member.iam.create_role(RoleName="worker", AssumeRolePolicyDocument=_trust())["Role"]["Arn"]
    member.iam.put_role_policy(RoleName="worker", PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
    linked = member.iam.create_service_linked_role(AWSServiceName=GUARDDUTY)["Role"]["Arn"]
    worker = _as_service(freehold_server, member, EC2, made)
    with pytest.raises(ClientError, match="explicit deny in a service control policy"):
        worker.s3.list_buckets()
    guard = _as_service(freehold_server, member, GUARDDUTY, linked)
    assert guard.s3.list_buckets()["Buckets"] == []
    # Exempt from the organization, but not from having to be allowed.
    with pytest.raises(ClientError, match="no identity-based policy allows"):
        guard.iam.create_user(UserName="mal")


def test_a_trust_policy_knows_the_organization_of_the_source(
    freehold_server: Any, organization: tuple[Any, Any]
) -> None:
    management, member = organization
    ours = management.organizations.describe_organization()["Organization"]["Id"]
    trust = _trust(StringEquals={"aws:SourceOrgID": ours})
    made = member.iam.create_role(RoleName="inside", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    stranger = freehold_server.new_account("stranger")
    _as_service(freehold_server, member, EC2, made, SourceAccount=management.account_id)
    for source in ({"SourceAccount": stranger.account_id}, {}):
        with pytest.raises(ClientError, match="is not authorized to perform: sts:AssumeRole"):
            _as_service(freehold_server, member, EC2, made, **source)


def test_the_simulator_counts_the_organization(organization: tuple[Any, Any]) -> None:
    _, member = organization
    ada = member.new_user("ada", EVERYTHING)
    found = member.iam.simulate_principal_policy(
        PolicySourceArn=ada.sts.get_caller_identity()["Arn"], ActionNames=["s3:ListAllMyBuckets", "kms:ListKeys"]
    )["EvaluationResults"]
    told = [(one["EvalDecision"], one["OrganizationsDecisionDetail"]["AllowedByOrganizations"]) for one in found]
    assert told == [("explicitDeny", False), ("allowed", True)]


def test_nobody_makes_a_role_that_looks_service_linked(aws: Any) -> None:
    for path in ("/aws-service-role/guardduty.amazonaws.com/", "/x/aws-service-role/", "/aws-reserved/"):
        with pytest.raises(aws.iam.exceptions.InvalidInputException):
            aws.iam.create_role(RoleName="mine", Path=path, AssumeRolePolicyDocument=_trust())


def test_a_service_linked_role_is_no_way_up(aws: Any) -> None:
    """Who may do everything with roles but has no permissions otherwise gets none through a service's role."""
    linked = aws.iam.create_service_linked_role(AWSServiceName=GUARDDUTY)["Role"]["RoleName"]
    roles = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "iam:*Role*", "Resource": "*"}}
    mal = aws.new_user("mal", roles)
    own = f"arn:aws:iam::{aws.account_id}:user/mal"
    trusting_mal = _trust().replace('{"Service": "ec2.amazonaws.com"}', json.dumps({"AWS": own}))
    for attempt in (
        lambda: mal.iam.update_assume_role_policy(RoleName=linked, PolicyDocument=trusting_mal),
        lambda: mal.iam.put_role_policy(RoleName=linked, PolicyName="p", PolicyDocument=json.dumps(EVERYTHING)),
        lambda: mal.iam.attach_role_policy(RoleName=linked, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"),
        lambda: mal.iam.delete_role(RoleName=linked),
    ):
        with pytest.raises(mal.iam.exceptions.UnmodifiableEntityException):
            attempt()


def test_a_role_of_another_account_cannot_be_put_into_a_profile(aws: Any, freehold_server: Any) -> None:
    other = freehold_server.new_account("other")
    other.iam.create_role(RoleName="theirs", AssumeRolePolicyDocument=_trust())
    aws.iam.create_instance_profile(InstanceProfileName="box")
    with pytest.raises(aws.iam.exceptions.NoSuchEntityException):
        aws.iam.add_role_to_instance_profile(InstanceProfileName="box", RoleName="theirs")


def test_the_operator_gets_no_role_that_trusts_no_service(aws: Any, freehold_server: Any) -> None:
    trust = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"},
        }
    )
    made = aws.iam.create_role(RoleName="open", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    with pytest.raises(ClientError, match="is not authorized"):
        _as_service(freehold_server, aws, EC2, made)
    # Nor does it by asking STS itself.
    operator = freehold_server.operator
    with pytest.raises(ClientError, match="AccessDenied"):
        operator.client("sts").assume_role(RoleArn=made, RoleSessionName="operator")


def test_an_accounts_organization_keeps_its_service_linked_role(organization: tuple[Any, Any]) -> None:
    management, member = organization
    task = member.iam.delete_service_linked_role(RoleName="AWSServiceRoleForOrganizations")["DeletionTaskId"]
    for _ in range(200):
        told = member.iam.get_service_linked_role_deletion_status(DeletionTaskId=task)
        if told["Status"] != "IN_PROGRESS":
            break
        time.sleep(0.01)
    assert told["Status"] == "FAILED"
    (usage,) = told["Reason"]["RoleUsageList"]
    assert usage["Resources"][0].startswith(f"arn:aws:organizations::{management.account_id}:account/")

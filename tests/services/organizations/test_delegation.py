"""What the management account hands on: trusted access, delegated administrators, the resource policy; and tags.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_delegate_policies.html
https://docs.aws.amazon.com/organizations/latest/APIReference/API_RegisterDelegatedAdministrator.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from organizing import Organized, allow, deny, document, refused

SERVICE = "guardduty.amazonaws.com"


@pytest.fixture(scope="module")
def shared(freehold_server: Any) -> Organized:
    """One organization for the module, whose tests leave it as they found it."""
    return Organized(freehold_server)


@pytest.fixture(scope="module")
def member(shared: Organized) -> Any:
    return shared.invited()


@pytest.fixture(scope="module")
def other(shared: Organized) -> Any:
    return shared.invited()


@pytest.fixture
def trusted(shared: Organized) -> Iterator[str]:
    shared.organizations.enable_aws_service_access(ServicePrincipal=SERVICE)
    yield SERVICE
    shared.organizations.disable_aws_service_access(ServicePrincipal=SERVICE)


@pytest.fixture
def administrator(shared: Organized, member: Any, trusted: str) -> Iterator[Any]:
    which = {"AccountId": member.account_id, "ServicePrincipal": trusted}
    shared.organizations.register_delegated_administrator(**which)
    yield member
    shared.organizations.deregister_delegated_administrator(**which)


def test_trusted_access_is_switched_by_the_management_account_alone(shared: Organized, member: Any) -> None:
    organizations = shared.organizations
    for name in (SERVICE, "config.amazonaws.com", SERVICE):
        organizations.enable_aws_service_access(ServicePrincipal=name)
    listed = organizations.list_aws_service_access_for_organization()["EnabledServicePrincipals"]
    assert [one["ServicePrincipal"] for one in listed] == ["config.amazonaws.com", SERVICE]
    with refused("AccessDeniedException"):
        member.organizations.enable_aws_service_access(ServicePrincipal="sso.amazonaws.com")
    with refused("AccessDeniedException"):
        member.organizations.list_aws_service_access_for_organization()
    with refused("InvalidInputException", reason="UNRECOGNIZED_SERVICE_PRINCIPAL"):
        organizations.enable_aws_service_access(ServicePrincipal="example.org")
    with refused("InvalidInputException", reason="UNRECOGNIZED_SERVICE_PRINCIPAL"):
        organizations.enable_aws_service_access(ServicePrincipal="made-up.amazonaws.com")
    for name in (SERVICE, "config.amazonaws.com", SERVICE):
        organizations.disable_aws_service_access(ServicePrincipal=name)
    assert organizations.list_aws_service_access_for_organization()["EnabledServicePrincipals"] == []


def test_who_can_be_a_delegated_administrator(shared: Organized, member: Any) -> None:
    register = shared.organizations.register_delegated_administrator
    with refused("ConstraintViolationException", reason="SERVICE_ACCESS_NOT_ENABLED"):
        register(AccountId=member.account_id, ServicePrincipal="macie.amazonaws.com")
    with refused("ConstraintViolationException", reason="CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR"):
        register(AccountId=shared.management.account_id, ServicePrincipal=SERVICE)
    stranger = shared.server.new_account("stranger")
    with refused("AccountNotFoundException"):
        register(AccountId=stranger.account_id, ServicePrincipal=SERVICE)
    with refused("AccountNotRegisteredException"):
        shared.organizations.list_delegated_services_for_account(AccountId=member.account_id)
    with refused("AccountNotRegisteredException"):
        shared.organizations.deregister_delegated_administrator(AccountId=member.account_id, ServicePrincipal=SERVICE)


def test_a_delegated_administrator_is_listed_and_stays_until_it_is_deregistered(
    shared: Organized, administrator: Any
) -> None:
    organizations, account_id = shared.organizations, administrator.account_id
    with refused("AccountAlreadyRegisteredException"):
        organizations.register_delegated_administrator(AccountId=account_id, ServicePrincipal=SERVICE)
    for wanted in ({}, {"ServicePrincipal": SERVICE}):
        (listed,) = organizations.list_delegated_administrators(**wanted)["DelegatedAdministrators"]
        assert listed["Id"] == account_id
    others = organizations.list_delegated_administrators(ServicePrincipal="sso.amazonaws.com")
    assert others["DelegatedAdministrators"] == []
    (service,) = organizations.list_delegated_services_for_account(AccountId=account_id)["DelegatedServices"]
    assert service["ServicePrincipal"] == SERVICE
    for act in (
        organizations.remove_account_from_organization,
        organizations.close_account,
    ):
        with refused("ConstraintViolationException", reason="CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG"):
            act(AccountId=account_id)
    with refused("ConstraintViolationException", reason="CANNOT_REMOVE_DELEGATED_ADMINISTRATOR_FROM_ORG"):
        administrator.organizations.leave_organization()


def test_a_service_takes_as_many_administrators_as_its_guide_says(shared: Organized, member: Any, other: Any) -> None:
    third = shared.invited()
    accounts = [member.account_id, other.account_id, third.account_id]
    organizations = shared.organizations
    for service, most, reason in (
        (SERVICE, 1, "DELEGATED_ADMINISTRATOR_EXISTS_FOR_THIS_SERVICE"),
        ("cloudtrail.amazonaws.com", 3, None),
        ("backup.amazonaws.com", 3, None),
    ):
        organizations.enable_aws_service_access(ServicePrincipal=service)
        for account_id in accounts[:most]:
            organizations.register_delegated_administrator(AccountId=account_id, ServicePrincipal=service)
        if reason is not None:
            with refused("ConstraintViolationException", reason=reason):
                organizations.register_delegated_administrator(AccountId=accounts[most], ServicePrincipal=service)
    fourth = shared.invited()
    with refused("ConstraintViolationException", reason="MAX_DELEGATED_ADMINISTRATORS_FOR_SERVICE_LIMIT_EXCEEDED"):
        organizations.register_delegated_administrator(
            AccountId=fourth.account_id, ServicePrincipal="cloudtrail.amazonaws.com"
        )
    # Of a service whose guide names no number there may be more; and who goes makes room.
    organizations.register_delegated_administrator(AccountId=fourth.account_id, ServicePrincipal="backup.amazonaws.com")
    organizations.deregister_delegated_administrator(AccountId=accounts[0], ServicePrincipal=SERVICE)
    organizations.register_delegated_administrator(AccountId=accounts[1], ServicePrincipal=SERVICE)
    organizations.deregister_delegated_administrator(AccountId=accounts[1], ServicePrincipal=SERVICE)
    for service in ("cloudtrail.amazonaws.com", "backup.amazonaws.com"):
        for account_id in accounts:
            organizations.deregister_delegated_administrator(AccountId=account_id, ServicePrincipal=service)
        organizations.disable_aws_service_access(ServicePrincipal=service)
    organizations.deregister_delegated_administrator(
        AccountId=fourth.account_id, ServicePrincipal="backup.amazonaws.com"
    )
    organizations.disable_aws_service_access(ServicePrincipal=SERVICE)


def test_a_delegated_administrator_reads_all_and_changes_nothing(
    shared: Organized, administrator: Any, other: Any
) -> None:
    its = administrator.organizations
    reads: dict[str, dict[str, Any]] = {
        "describe_account": {"AccountId": other.account_id},
        "describe_policy": {"PolicyId": "p-FullAWSAccess"},
        "list_accounts": {},
        "list_accounts_for_parent": {"ParentId": shared.root_id},
        "list_aws_service_access_for_organization": {},
        "list_children": {"ParentId": shared.root_id, "ChildType": "ACCOUNT"},
        "list_create_account_status": {},
        "list_delegated_administrators": {},
        "list_delegated_services_for_account": {"AccountId": administrator.account_id},
        "list_handshakes_for_organization": {},
        "list_organizational_units_for_parent": {"ParentId": shared.root_id},
        "list_parents": {"ChildId": other.account_id},
        "list_policies": {"Filter": "SERVICE_CONTROL_POLICY"},
        "list_policies_for_target": {"TargetId": other.account_id, "Filter": "SERVICE_CONTROL_POLICY"},
        "list_roots": {},
        "list_tags_for_resource": {"ResourceId": other.account_id},
        "list_targets_for_policy": {"PolicyId": "p-FullAWSAccess"},
    }
    for name, arguments in reads.items():
        getattr(its, name)(**arguments)
        with refused("AccessDeniedException"):
            getattr(other.organizations, name)(**arguments)
    with refused("ResourcePolicyNotFoundException"):
        its.describe_resource_policy()
    own, content = administrator.account_id, document(deny("s3:*"))
    delegated = document(allow("organizations:ListAccounts", Principal={"AWS": own}))
    writes: dict[str, dict[str, Any]] = {
        "attach_policy": {"PolicyId": "p-FullAWSAccess", "TargetId": shared.root_id},
        "close_account": {"AccountId": other.account_id},
        "create_organizational_unit": {"ParentId": shared.root_id, "Name": "mine"},
        "create_policy": {"Name": "p", "Description": "", "Type": "SERVICE_CONTROL_POLICY", "Content": content},
        "deregister_delegated_administrator": {"AccountId": own, "ServicePrincipal": SERVICE},
        "put_resource_policy": {"Content": delegated},
        "register_delegated_administrator": {"AccountId": other.account_id, "ServicePrincipal": SERVICE},
        "remove_account_from_organization": {"AccountId": other.account_id},
        "tag_resource": {"ResourceId": own, "Tags": [{"Key": "k", "Value": "v"}]},
    }
    for name, arguments in writes.items():
        with refused("AccessDeniedException"):
            getattr(its, name)(**arguments)


def test_reading_ends_with_the_registration(shared: Organized, member: Any, trusted: str) -> None:
    which = {"AccountId": member.account_id, "ServicePrincipal": trusted}
    shared.organizations.register_delegated_administrator(**which)
    reader = member.new_user("reader-of-all", {"Version": "2012-10-17", "Statement": [allow("organizations:List*")]})
    reader.organizations.list_accounts()
    shared.organizations.deregister_delegated_administrator(**which)
    with refused("AccessDeniedException"):
        reader.organizations.list_accounts()


@pytest.fixture
def delegating(shared: Organized) -> Iterator[Any]:
    """Puts a resource policy, deleted in the end."""

    def put(*statements: dict[str, Any]) -> Any:
        return shared.organizations.put_resource_policy(Content=document(*statements))["ResourcePolicy"]

    yield put
    try:
        shared.organizations.delete_resource_policy()
    except shared.organizations.exceptions.ResourcePolicyNotFoundException:
        return


def test_the_resource_policy_lets_in_what_it_names_and_nothing_else(
    shared: Organized, member: Any, other: Any, delegating: Any
) -> None:
    principal = {"AWS": f"arn:aws:iam::{member.account_id}:root"}
    of_type = {"StringEquals": {"organizations:PolicyType": "SERVICE_CONTROL_POLICY"}}
    policies = allow("organizations:CreatePolicy", "organizations:DescribePolicy", "organizations:DeletePolicy")
    delegating(
        allow("organizations:ListAccounts", Principal=principal),
        policies | {"Principal": principal, "Condition": of_type},
    )
    member.organizations.list_accounts()
    with refused("AccessDeniedException"):
        other.organizations.list_accounts()
    with refused("AccessDeniedException"):
        member.organizations.list_roots()
    new = {"Name": "delegated", "Description": "", "Content": document(deny("s3:*"))}
    made = member.organizations.create_policy(Type="SERVICE_CONTROL_POLICY", **new)["Policy"]["PolicySummary"]["Id"]
    with refused("AccessDeniedException"):
        member.organizations.create_policy(Type="TAG_POLICY", **new)
    with refused("AccessDeniedException"):
        member.organizations.attach_policy(PolicyId=made, TargetId=shared.root_id)
    # The account is let in; its users need their own account's permission as well.
    with refused("AccessDeniedException"):
        member.new_user("nobody").organizations.list_accounts()
    # Giving tags at birth is tagging.
    with refused("AccessDeniedException"):
        member.organizations.create_policy(
            Type="SERVICE_CONTROL_POLICY", **new | {"Name": "tagged"}, Tags=[{"Key": "k", "Value": "v"}]
        )
    member.organizations.delete_policy(PolicyId=made)
    shared.organizations.delete_resource_policy()
    with refused("AccessDeniedException"):
        member.organizations.list_accounts()


def test_the_resource_policy_is_one_and_is_shown_with_its_arn(shared: Organized, member: Any, delegating: Any) -> None:
    statement = allow("organizations:List*", "organizations:Describe*", Principal={"AWS": member.account_id})
    first, second = delegating(statement), delegating(statement | {"Sid": "Again"})
    assert first["ResourcePolicySummary"] == second["ResourcePolicySummary"]
    described = shared.organizations.describe_resource_policy()["ResourcePolicy"]
    assert described == second
    assert json.loads(described["Content"])["Statement"][0]["Sid"] == "Again"
    assert described["ResourcePolicySummary"]["Arn"].startswith(
        f"arn:aws:organizations::{shared.management.account_id}:resourcepolicy/{shared.id}/rp-"
    )
    member.organizations.list_roots()
    shared.organizations.delete_resource_policy()
    with refused("ResourcePolicyNotFoundException"):
        shared.organizations.delete_resource_policy()


TO = {"AWS": "MEMBER"}
UNSUPPORTED, PRINCIPAL, JSON, RESOURCE = (
    "UNSUPPORTED_ACTION_IN_RESOURCE_POLICY",
    "INVALID_PRINCIPAL",
    "INVALID_RESOURCE_POLICY_JSON",
    "UNSUPPORTED_RESOURCE_IN_RESOURCE_POLICY",
)


def on_resource(*resources: str, **more: Any) -> dict[str, Any]:
    return allow("organizations:ListAccounts", Principal=TO, **more) | {"Resource": list(resources)}


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        (allow("organizations:MoveAccount", Principal=TO), UNSUPPORTED),
        (allow("organizations:*", Principal=TO), UNSUPPORTED),
        (allow("iam:ListUsers", Principal=TO), UNSUPPORTED),
        (allow("organizations:CreateGovCloudAccount", Principal=TO), UNSUPPORTED),
        (allow("organizations:PutResourcePolicy", Principal=TO), UNSUPPORTED),
        (allow("organizations:Nope", Principal=TO), UNSUPPORTED),
        (allow("organizations:ListAccounts", "organizations:Nope*", Principal=TO), UNSUPPORTED),
        (deny("organizations:Nope", Principal=TO), UNSUPPORTED),
        (deny("s3:GetObject", Principal=TO), UNSUPPORTED),
        (on_resource("arn:aws:s3:::bucket"), RESOURCE),
        (on_resource("*", "arn:aws:organizations::MEMBER:account/ORGANIZATION/*"), RESOURCE),
        (on_resource("arn:aws:organizations::MANAGEMENT:account/o-another000/*"), RESOURCE),
        (on_resource("arn:aws:organizations::MANAGEMENT:bucket/ORGANIZATION/*"), RESOURCE),
        (on_resource("arn:aws:organizations:us-east-1:MANAGEMENT:account/ORGANIZATION/*"), RESOURCE),
        (on_resource("arn:aws:organizations::aws:account/ORGANIZATION/*"), RESOURCE),
        (allow("organizations:ListAccounts", Principal={"AWS": "999999999999"}), PRINCIPAL),
        (allow("organizations:ListAccounts", Principal="*"), PRINCIPAL),
        (allow("organizations:ListAccounts", Principal={"AWS": "*"}), PRINCIPAL),
        (allow("organizations:ListAccounts", Principal={"Service": "ec2.amazonaws.com"}), PRINCIPAL),
        (allow("organizations:ListAccounts", NotPrincipal=TO), JSON),
        (allow("organizations:ListAccounts", Principal={"AWS": "arn:aws:iam::MEMBER:user/nobody-here"}), PRINCIPAL),
        (allow("organizations:ListAccounts"), JSON),
        ({"Effect": "Allow", "NotAction": "organizations:MoveAccount", "Resource": "*", "Principal": TO}, JSON),
    ],
)
def test_what_cannot_be_delegated(shared: Organized, member: Any, statement: Any, reason: str) -> None:
    with refused("InvalidInputException", reason=reason):
        shared.organizations.put_resource_policy(Content=filled(shared, member, statement))


def filled(shared: Organized, member: Any, statement: Any) -> str:
    text = document(statement).replace("MEMBER", member.account_id).replace("ORGANIZATION", shared.id)
    return text.replace("MANAGEMENT", shared.management.account_id)


@pytest.mark.usefixtures("delegating")
def test_what_is_the_organizations_own_can_be_named(shared: Organized, member: Any) -> None:
    under = "arn:aws:organizations::MANAGEMENT:"
    named = on_resource(
        f"{under}policy/ORGANIZATION/service_control_policy/*",
        f"{under}root/ORGANIZATION/r-*",
        f"{under}account/*",
        "arn:aws:organizations::aws:policy/*",
    )
    shared.organizations.put_resource_policy(Content=filled(shared, member, named))
    shared.organizations.put_resource_policy(
        Content=filled(shared, member, deny("organizations:*", "organizations:MoveAccount", Principal=TO))
    )


def test_tags_are_put_read_and_taken_away(shared: Organized, other: Any) -> None:
    organizations = shared.organizations
    policy_id = shared.policy(deny("s3:*"))
    for resource in (shared.root_id, other.account_id, policy_id):
        organizations.tag_resource(ResourceId=resource, Tags=[{"Key": "b", "Value": "1"}, {"Key": "a", "Value": ""}])
        organizations.tag_resource(ResourceId=resource, Tags=[{"Key": "b", "Value": "2"}])
        assert organizations.list_tags_for_resource(ResourceId=resource)["Tags"] == [
            {"Key": "a", "Value": ""},
            {"Key": "b", "Value": "2"},
        ]
        organizations.untag_resource(ResourceId=resource, TagKeys=["a", "b", "never"])
        assert organizations.list_tags_for_resource(ResourceId=resource)["Tags"] == []
    organizations.delete_policy(PolicyId=policy_id)


def test_tags_have_rules(shared: Organized, other: Any) -> None:
    organizations, resource = shared.organizations, {"ResourceId": other.account_id}
    one = {"Key": "k", "Value": "v"}
    with refused("InvalidInputException", reason="DUPLICATE_TAG_KEY"):
        organizations.tag_resource(**resource, Tags=[one, one])
    with refused("InvalidInputException", reason="INVALID_SYSTEM_TAGS_PARAMETER"):
        organizations.tag_resource(**resource, Tags=[{"Key": "AWS:x", "Value": "v"}])
    with refused("ConstraintViolationException", reason="MAX_TAG_LIMIT_EXCEEDED"):
        organizations.tag_resource(**resource, Tags=[{"Key": f"k{n}", "Value": ""} for n in range(51)])
    with refused("TargetNotFoundException"):
        organizations.tag_resource(ResourceId="p-0000000000", Tags=[one])
    with refused("InvalidInputException", reason="TARGET_NOT_SUPPORTED"):
        organizations.tag_resource(ResourceId="p-FullAWSAccess", Tags=[one])
    assert organizations.list_tags_for_resource(**resource)["Tags"] == []


def test_tags_decide_who_may(shared: Organized, other: Any) -> None:
    shared.organizations.tag_resource(ResourceId=other.account_id, Tags=[{"Key": "team", "Value": "red"}])
    red = allow("organizations:DescribeAccount", Condition={"StringEquals": {"aws:ResourceTag/team": "red"}})
    user = shared.root_user.new_user("red", {"Version": "2012-10-17", "Statement": [red]})
    user.organizations.describe_account(AccountId=other.account_id)
    with refused("AccessDeniedException"):
        user.organizations.describe_account(AccountId=shared.management.account_id)
    shared.organizations.untag_resource(ResourceId=other.account_id, TagKeys=["team"])
    with refused("AccessDeniedException"):
        user.organizations.describe_account(AccountId=other.account_id)

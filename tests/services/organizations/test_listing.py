"""Every list in pages, and the rules of names, depths and sizes.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_limits.html
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from organizing import SCP, Organized, allow, deny, document, refused

SERVICES = ("config.amazonaws.com", "guardduty.amazonaws.com", "sso.amazonaws.com")


@pytest.fixture(scope="module")
def full(freehold_server: Any) -> Organized:
    """An organization that has three of everything."""
    made = Organized(freehold_server)
    accounts = [made.created(Tags=[{"Key": "n", "Value": "v"}]) for _ in range(2)]
    for name in ("a", "b", "c"):
        made.unit(name)
        made.attach(made.root_id, deny("s3:*"))
    for service in SERVICES:
        made.organizations.enable_aws_service_access(ServicePrincipal=service)
        made.organizations.register_delegated_administrator(AccountId=accounts[0].account_id, ServicePrincipal=service)
    made.organizations.register_delegated_administrator(AccountId=accounts[1].account_id, ServicePrincipal=SERVICES[0])
    for _ in range(2):
        target = {"Type": "ACCOUNT", "Id": freehold_server.new_account("asked").account_id}
        made.organizations.invite_account_to_organization(Target=target)
    made.accounts = accounts  # type: ignore[attr-defined]
    return made


LISTS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "list_accounts": ("Accounts", 3, {}),
    "list_accounts_for_parent": ("Accounts", 3, {"ParentId": "ROOT"}),
    "list_aws_service_access_for_organization": ("EnabledServicePrincipals", 3, {}),
    "list_children": ("Children", 3, {"ParentId": "ROOT", "ChildType": "ORGANIZATIONAL_UNIT"}),
    "list_create_account_status": ("CreateAccountStatuses", 2, {}),
    "list_delegated_administrators": ("DelegatedAdministrators", 2, {}),
    "list_delegated_services_for_account": ("DelegatedServices", 3, {"AccountId": "ADMINISTRATOR"}),
    "list_handshakes_for_organization": ("Handshakes", 2, {}),
    "list_organizational_units_for_parent": ("OrganizationalUnits", 3, {"ParentId": "ROOT"}),
    "list_parents": ("Parents", 1, {"ChildId": "ADMINISTRATOR"}),
    "list_policies": ("Policies", 4, {"Filter": SCP}),
    "list_policies_for_target": ("Policies", 4, {"TargetId": "ROOT", "Filter": SCP}),
    "list_roots": ("Roots", 1, {}),
    "list_targets_for_policy": ("Targets", 7, {"PolicyId": "p-FullAWSAccess"}),
}


@pytest.mark.parametrize("name", LISTS)
def test_pages_of_one_are_the_whole_list(full: Organized, name: str) -> None:
    member, count, arguments = LISTS[name]
    known = {"ROOT": full.root_id, "ADMINISTRATOR": full.accounts[0].account_id}  # type: ignore[attr-defined]
    given = {key: known.get(value, value) for key, value in arguments.items()}
    whole = getattr(full.organizations, name)(**given)
    assert len(whole[member]) == count
    assert "NextToken" not in whole
    pages = list(full.organizations.get_paginator(name).paginate(**given, PaginationConfig={"PageSize": 1}))
    assert [one for page in pages for one in page[member]] == whole[member]
    assert [len(page[member]) for page in pages] == [1] * count
    for token in ("!", "bm90aGluZw==", "gA=="):
        with refused("InvalidInputException", reason="INVALID_NEXT_TOKEN"):
            getattr(full.organizations, name)(**given, NextToken=token)


def test_a_page_goes_on_after_what_was_detached_meanwhile(full: Organized) -> None:
    organizations, target = full.organizations, full.unit("moving")
    attached = ["p-FullAWSAccess", *(full.attach(target, deny("s3:*")) for _ in range(3))]
    first = organizations.list_policies_for_target(TargetId=target, Filter=SCP, MaxResults=2)
    organizations.detach_policy(PolicyId=attached[0], TargetId=target)
    rest = organizations.list_policies_for_target(TargetId=target, Filter=SCP, NextToken=first["NextToken"])
    assert [one["Id"] for page in (first, rest) for one in page["Policies"]] == attached
    organizations.delete_organizational_unit(OrganizationalUnitId=target)


def test_an_account_sees_its_own_handshakes_in_pages(full: Organized) -> None:
    account, others = full.server.new_account("asked"), [Organized(full.server) for _ in range(2)]
    for organization in (full, *others):
        organization.organizations.invite_account_to_organization(Target={"Type": "ACCOUNT", "Id": account.account_id})
    pages = list(
        account.organizations.get_paginator("list_handshakes_for_account").paginate(PaginationConfig={"PageSize": 1})
    )
    assert [len(page["Handshakes"]) for page in pages] == [1, 1, 1]
    # Two organizations contend for one account: the first to be accepted has it.
    first, second, third = (page["Handshakes"][0]["Id"] for page in pages)
    account.organizations.accept_handshake(HandshakeId=second)
    for late in (first, third):
        with refused("HandshakeConstraintViolationException", reason="ALREADY_IN_AN_ORGANIZATION"):
            account.organizations.accept_handshake(HandshakeId=late)
        state = account.organizations.describe_handshake(HandshakeId=late)["Handshake"]["State"]
        assert state == "OPEN"


def test_units_go_five_deep_and_their_names_are_unique_among_siblings(full: Organized) -> None:
    parent, made = full.root_id, []
    for level in range(5):
        parent = full.unit(f"level {level}", parent)
        made.append(parent)
    with refused("ConstraintViolationException", reason="OU_DEPTH_LIMIT_EXCEEDED"):
        full.unit("too deep", parent)
    with refused("DuplicateOrganizationalUnitException"):
        full.unit("level 0")
    full.organizations.update_organizational_unit(OrganizationalUnitId=made[0], Name="other")
    again = full.unit("level 0")
    with refused("DuplicateOrganizationalUnitException"):
        full.organizations.update_organizational_unit(OrganizationalUnitId=made[0], Name="level 0")
    with refused("OrganizationalUnitNotEmptyException"):
        full.organizations.delete_organizational_unit(OrganizationalUnitId=made[0])
    for unit in (again, *reversed(made)):
        full.organizations.delete_organizational_unit(OrganizationalUnitId=unit)
    with refused("OrganizationalUnitNotFoundException"):
        full.organizations.describe_organizational_unit(OrganizationalUnitId=again)


def test_a_target_has_at_most_ten_service_control_policies(full: Organized) -> None:
    target = full.unit("crowded")
    for _ in range(9):
        full.attach(target, deny("s3:*"))
    with refused("ConstraintViolationException", reason="MAX_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED"):
        full.attach(target, deny("s3:*"))


def test_policies_have_names_sizes_and_an_owner(full: Organized) -> None:
    organizations, policy_id = full.organizations, full.policy(deny("s3:*"))
    new = {"Description": "", "Type": SCP, "Content": document(deny("s3:*"))}
    for name in ("FullAWSAccess", organizations.describe_policy(PolicyId=policy_id)["Policy"]["PolicySummary"]["Name"]):
        with refused("DuplicatePolicyException"):
            organizations.create_policy(Name=name, **new)
    with refused("DuplicatePolicyException"):
        organizations.update_policy(PolicyId=policy_id, Name="FullAWSAccess")
    exact = document(deny("s3:*", Sid="A")).ljust(10_240)
    organizations.update_policy(PolicyId=policy_id, Content=exact)
    with refused("ConstraintViolationException", reason="POLICY_CONTENT_LIMIT_EXCEEDED"):
        organizations.update_policy(PolicyId=policy_id, Content=exact + " ")
    with refused("MalformedPolicyDocumentException"):
        organizations.update_policy(PolicyId=policy_id, Content=json.dumps({"Statement": [allow("*")]}))
    for change in (organizations.update_policy, organizations.delete_policy):
        with refused("InvalidInputException", reason="IMMUTABLE_POLICY"):
            change(PolicyId="p-FullAWSAccess")
    organizations.attach_policy(PolicyId=policy_id, TargetId=full.root_id)
    with refused("DuplicatePolicyAttachmentException"):
        organizations.attach_policy(PolicyId=policy_id, TargetId=full.root_id)
    with refused("PolicyInUseException"):
        organizations.delete_policy(PolicyId=policy_id)
    organizations.detach_policy(PolicyId=policy_id, TargetId=full.root_id)
    with refused("PolicyNotAttachedException"):
        organizations.detach_policy(PolicyId=policy_id, TargetId=full.root_id)
    organizations.delete_policy(PolicyId=policy_id)


def test_an_address_is_one_accounts_alone(full: Organized) -> None:
    taken = full.organizations.describe_account(AccountId=full.accounts[0].account_id)["Account"]["Email"]  # type: ignore[attr-defined]
    before = len(full.organizations.list_accounts()["Accounts"])
    status = full.organizations.create_account(AccountName="again", Email=taken.upper())["CreateAccountStatus"]
    done = full.organizations.describe_create_account_status(CreateAccountRequestId=status["Id"])
    assert done["CreateAccountStatus"]["FailureReason"] == "EMAIL_ALREADY_EXISTS"
    assert len(full.organizations.list_accounts()["Accounts"]) == before

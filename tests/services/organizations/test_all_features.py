"""From consolidated billing to all features, with the agreement of every invited account.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_org_support-all-features.html
https://docs.aws.amazon.com/organizations/latest/APIReference/API_Handshake.html
"""

from __future__ import annotations

from typing import Any

import pytest
from organizing import SCP, Organized, deny, refused


@pytest.fixture
def billing(freehold_server: Any) -> Organized:
    """An organization with consolidated billing alone."""
    return Organized(freehold_server, FeatureSet="CONSOLIDATED_BILLING")


def asked(account: Any, action: str) -> list[dict[str, Any]]:
    listed = account.organizations.list_handshakes_for_account(Filter={"ActionType": action})["Handshakes"]
    return [one for one in listed if one["State"] == "OPEN"]


def has_linked_role(account: Any) -> bool:
    names = [role["RoleName"] for role in account.iam.list_roles()["Roles"]]
    return "AWSServiceRoleForOrganizations" in names


def test_every_invited_account_agrees_and_then_the_management_account_finishes(billing: Organized) -> None:
    first, second = billing.invited(), billing.invited()
    created = billing.created()
    with refused("PolicyTypeNotAvailableForOrganizationException"):
        billing.policy(deny("s3:*"))
    with refused("ConstraintViolationException", reason="ORGANIZATION_NOT_IN_ALL_FEATURES_MODE"):
        billing.organizations.enable_aws_service_access(ServicePrincipal="iam.amazonaws.com")
    with refused("ConstraintViolationException", reason="ORGANIZATION_NOT_IN_ALL_FEATURES_MODE"):
        billing.organizations.close_account(AccountId=created.account_id)
    assert not has_linked_role(first)
    begun = billing.organizations.enable_all_features()["Handshake"]
    assert (begun["Action"], begun["State"]) == ("ENABLE_ALL_FEATURES", "REQUESTED")
    with refused("HandshakeConstraintViolationException", reason="INVITE_DISABLED_DURING_ENABLE_ALL_FEATURES"):
        billing.invited()
    with refused(
        "HandshakeConstraintViolationException", reason="ORGANIZATION_IS_ALREADY_PENDING_ALL_FEATURES_MIGRATION"
    ):
        billing.organizations.enable_all_features()
    assert asked(created, "ENABLE_ALL_FEATURES") == []
    with refused("HandshakeNotFoundException"):
        billing.organizations.accept_handshake(HandshakeId=begun["Id"])
    for account in (first, second):
        assert asked(billing.management, "APPROVE_ALL_FEATURES") == []
        (own,) = asked(account, "ENABLE_ALL_FEATURES")
        told = {one["Type"]: one["Value"] for one in own["Resources"]}
        assert told["PARENT_HANDSHAKE"] == begun["Id"]
        account.organizations.accept_handshake(HandshakeId=own["Id"])
    (last,) = asked(billing.management, "APPROVE_ALL_FEATURES")
    with refused("HandshakeNotFoundException"):
        first.organizations.accept_handshake(HandshakeId=last["Id"])
    assert billing.organizations.describe_organization()["Organization"]["FeatureSet"] == "CONSOLIDATED_BILLING"
    billing.organizations.accept_handshake(HandshakeId=last["Id"])
    assert billing.organizations.describe_organization()["Organization"]["FeatureSet"] == "ALL"
    assert has_linked_role(first)
    assert has_linked_role(billing.management)
    billing.enable(SCP)
    billing.attach(first.account_id, deny("iam:ListUsers"))
    with refused("AccessDenied", "service control policy"):
        first.iam.list_users()
    billing.invited()
    with refused("HandshakeConstraintViolationException", reason="ORGANIZATION_ALREADY_HAS_ALL_FEATURES"):
        billing.organizations.enable_all_features()


def test_who_leaves_is_not_waited_for(billing: Organized) -> None:
    stays, leaves = billing.invited(), billing.invited()
    begun = billing.organizations.enable_all_features()["Handshake"]["Id"]
    (own,) = asked(stays, "ENABLE_ALL_FEATURES")
    stays.organizations.accept_handshake(HandshakeId=own["Id"])
    assert asked(billing.management, "APPROVE_ALL_FEATURES") == []
    leaves.organizations.leave_organization()
    (last,) = asked(billing.management, "APPROVE_ALL_FEATURES")
    billing.organizations.accept_handshake(HandshakeId=last["Id"])
    assert asked(leaves, "ENABLE_ALL_FEATURES") == []
    assert billing.organizations.describe_handshake(HandshakeId=begun)["Handshake"]["State"] == "ACCEPTED"


def test_who_declines_holds_it_up_and_canceling_ends_it_for_all(billing: Organized) -> None:
    first, second = billing.invited(), billing.invited()
    begun = billing.organizations.enable_all_features()["Handshake"]["Id"]
    (own,) = asked(first, "ENABLE_ALL_FEATURES")
    first.organizations.decline_handshake(HandshakeId=own["Id"])
    (other,) = asked(second, "ENABLE_ALL_FEATURES")
    second.organizations.accept_handshake(HandshakeId=other["Id"])
    assert asked(billing.management, "APPROVE_ALL_FEATURES") == []
    with refused("HandshakeNotFoundException"):
        first.organizations.cancel_handshake(HandshakeId=begun)
    billing.organizations.cancel_handshake(HandshakeId=begun)
    billing.organizations.enable_all_features()
    assert len(asked(second, "ENABLE_ALL_FEATURES")) == 1


def test_an_invitation_says_which_features_there_are(billing: Organized) -> None:
    account = billing.server.new_account("asked")
    target = {"Type": "ACCOUNT", "Id": account.account_id}
    made = billing.organizations.invite_account_to_organization(Target=target)["Handshake"]
    inside = {one["Type"]: one["Value"] for one in made["Resources"][0]["Resources"]}
    assert inside["ORGANIZATION_FEATURE_SET"] == "CONSOLIDATED_BILLING"

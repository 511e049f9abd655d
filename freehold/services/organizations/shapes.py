"""Records as the structures that replies hold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from freehold.services.iam.records import ACCOUNTS, Account
from freehold.services.organizations import names, tree
from freehold.services.organizations.records import FULL_ACCESS, RCP_FULL_ACCESS, Membership, Organization, Policy, Unit
from freehold.storage.records import Reader


def date(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def address(account: Account) -> str:
    """The account's address; for one that has none, a name that no mail reaches."""
    return account.email or f"{account.account_id}@account.invalid"


def organization(reader: Reader, record: Organization) -> dict[str, Any]:
    management = ACCOUNTS.get(reader, (record.management_account_id,))
    assert management is not None
    available = [{"Type": "SERVICE_CONTROL_POLICY", "Status": "ENABLED"}] if record.all_features else []
    return {
        "Id": record.organization_id,
        "Arn": names.organization(record),
        "FeatureSet": "ALL" if record.all_features else "CONSOLIDATED_BILLING",
        "MasterAccountArn": names.account(record, record.management_account_id),
        "MasterAccountId": record.management_account_id,
        "MasterAccountEmail": address(management),
        "AvailablePolicyTypes": available,
    }


def root(record: Organization) -> dict[str, Any]:
    return {
        "Id": record.root_id,
        "Arn": names.root(record),
        "Name": "Root",
        "PolicyTypes": [{"Type": type_, "Status": "ENABLED"} for type_ in record.policy_types],
    }


def unit(reader: Reader, of: Organization, record: Unit) -> dict[str, Any]:
    return {
        "Id": record.unit_id,
        "Arn": names.unit(of, record.unit_id),
        "Name": record.name,
        "Path": tree.path(reader, of, record.unit_id),
    }


def account(reader: Reader, of: Organization, membership: Membership) -> dict[str, Any]:
    record = ACCOUNTS.get(reader, (membership.account_id,))
    assert record is not None
    return {
        "Id": record.account_id,
        "Arn": names.account(of, record.account_id),
        "Email": address(record),
        "Name": record.name,
        "Status": "SUSPENDED" if record.closed_at else "ACTIVE",
        "State": "CLOSED" if record.closed_at else "ACTIVE",
        "Paths": [tree.path(reader, of, record.account_id)],
        "JoinedMethod": membership.joined_method,
        "JoinedTimestamp": date(membership.joined_at),
    }


def policy_summary(of: Organization, record: Policy) -> dict[str, Any]:
    return {
        "Id": record.policy_id,
        "Arn": names.policy_of(of.management_account_id, record),
        "Name": record.name,
        "Description": record.description,
        "Type": record.type,
        "AwsManaged": record.policy_id in (FULL_ACCESS, RCP_FULL_ACCESS),
    }

"""The roles that an account has from its organization: the management account's way in, and Organizations' own.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_access.html
"""

from __future__ import annotations

import json

from freehold.authentication.key_ids import new_unique_id
from freehold.services.iam import entities, records
from freehold.services.iam.attachments import note_use
from freehold.services.iam.records import ROLES, Role
from freehold.services.organizations.authorized import LINKED_ROLE, LINKED_ROLE_PATH
from freehold.storage.records import Transaction

ACCESS_ROLE = "OrganizationAccountAccessRole"
_ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
_TRUST_POLICY = "arn:aws:iam::aws:policy/aws-service-role/AWSOrganizationsServiceTrustPolicy"


def make_access_role(tx: Transaction, account_id: str, name: str, management_account_id: str, now: int) -> None:
    """An administrator's role that whoever the management account lets may assume."""
    principal = {"AWS": f"arn:aws:iam::{management_account_id}:root"}
    _make(tx, account_id, name, "/", principal, _ADMINISTRATOR, "", now)


def make_linked_role(tx: Transaction, account_id: str, now: int) -> None:
    """The service-linked role of Organizations, unless the account has it."""
    if ROLES.get(tx, (account_id, LINKED_ROLE.lower())) is None:
        principal = {"Service": "organizations.amazonaws.com"}
        description = "Service-linked role used by AWS Organizations to enable integration of other AWS services."
        _make(tx, account_id, LINKED_ROLE, LINKED_ROLE_PATH, principal, _TRUST_POLICY, description, now)


def _make(
    tx: Transaction,
    account_id: str,
    name: str,
    path: str,
    principal: dict[str, str],
    policy_arn: str,
    description: str,
    now: int,
) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}],
    }
    entities.count(tx, account_id, "role", 1)
    role = Role(
        account_id=account_id,
        name=name,
        path=path,
        unique_id=new_unique_id("AROA"),
        created_at=now,
        trust_policy=json.dumps(trust),
        description=description,
        attached=[policy_arn],
    )
    records.save(tx, role)
    note_use(tx, role, policy_arn, "policy", 1)

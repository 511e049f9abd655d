"""The roles that an account has from its organization: the management account's way in, and Organizations' own.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_access.html
"""

from __future__ import annotations

import json

from freehold.authentication.key_ids import new_unique_id
from freehold.services.iam import entities, records, service_linked
from freehold.services.iam.attachments import note_use
from freehold.services.iam.records import Role
from freehold.services.organizations.authorized import SERVICE
from freehold.storage.records import Transaction

ACCESS_ROLE = "OrganizationAccountAccessRole"
_ADMINISTRATOR = "arn:aws:iam::aws:policy/AdministratorAccess"
_DESCRIPTION = "Service-linked role used by AWS Organizations to enable integration of other AWS services."


def make_access_role(tx: Transaction, account_id: str, name: str, management_account_id: str, now: int) -> None:
    """An administrator's role that whoever the management account lets may assume."""
    principal = {"AWS": f"arn:aws:iam::{management_account_id}:root"}
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}],
    }
    entities.count(tx, account_id, "role", 1)
    role = Role(
        account_id=account_id,
        name=name,
        path="/",
        unique_id=new_unique_id("AROA"),
        created_at=now,
        trust_policy=json.dumps(trust),
        attached=[_ADMINISTRATOR],
    )
    records.save(tx, role)
    note_use(tx, role, _ADMINISTRATOR, "policy", 1)


def make_linked_role(tx: Transaction, account_id: str, now: int) -> None:
    """The service-linked role of Organizations, unless the account has it."""
    service_linked.ensure(tx, account_id, SERVICE, now_seconds=now, description=_DESCRIPTION)

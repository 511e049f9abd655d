"""Policies by id and by target: AWS's own two among them, and what is attached where, in the order of attaching.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_policies_attach.html
"""

from __future__ import annotations

from freehold.services.organizations.errors import PolicyNotFound
from freehold.services.organizations.records import (
    ATTACHMENTS,
    FULL_ACCESS,
    ORGANIZATIONS,
    POLICIES,
    RCP_FULL_ACCESS,
    TARGETS,
    Attachment,
    Organization,
    Policy,
)
from freehold.storage.records import Reader, Transaction

BUILT_IN = {
    FULL_ACCESS: Policy(
        policy_id=FULL_ACCESS,
        organization_id="",
        type="SERVICE_CONTROL_POLICY",
        name="FullAWSAccess",
        description="Allows access to every operation",
        content='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}',
        created_at=0,
        updated_at=0,
    ),
    RCP_FULL_ACCESS: Policy(
        policy_id=RCP_FULL_ACCESS,
        organization_id="",
        type="RESOURCE_CONTROL_POLICY",
        name="RCPFullAWSAccess",
        description="Allows access to every resource",
        content='{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}',
        created_at=0,
        updated_at=0,
    ),
}
"""AWS's own policies, the same in every organization; nobody changes or deletes them."""

DEFAULT = {policy.type: policy for policy in BUILT_IN.values()}
"""What every root, unit and account has attached while the type is enabled and nothing else was chosen."""


def policy(reader: Reader, organization: Organization, policy_id: str) -> Policy | None:
    return BUILT_IN.get(policy_id) or POLICIES.get(reader, (organization.organization_id, policy_id))


def require_policy(reader: Reader, organization: Organization, policy_id: str) -> Policy:
    found = policy(reader, organization, policy_id)
    if found is None:
        raise PolicyNotFound()
    return found


def policies_on(reader: Reader, organization_id: str, target_id: str, policy_type: str) -> list[Policy]:
    """The policies of one type that are attached to a root, unit or account itself, in the order of attaching."""
    return [policy for _, policy in numbered(reader, organization_id, target_id, policy_type)]


def numbered(reader: Reader, organization_id: str, target_id: str, policy_type: str) -> list[tuple[int, Policy]]:
    """As `policies_on`, each with its attachment's number."""
    rows = [
        (attachment.number, str(key[2]))
        for key, attachment in ATTACHMENTS.scan(reader, (organization_id, target_id))
        if attachment.type == policy_type
    ]
    found = (
        (number, BUILT_IN.get(id_) or POLICIES.get(reader, (organization_id, id_))) for number, id_ in sorted(rows)
    )
    return [(number, policy) for number, policy in found if policy is not None]


def is_attached(reader: Reader, organization: Organization, policy_id: str, target_id: str) -> bool:
    return ATTACHMENTS.get(reader, (organization.organization_id, target_id, policy_id)) is not None


def attach(tx: Transaction, organization: Organization, policy: Policy, target_id: str) -> None:
    """Attach without asking for limits. `organization` counts its attachments and is written."""
    of = organization.organization_id
    organization.next_attachment += 1
    attachment = Attachment(type=policy.type, number=organization.next_attachment)
    ATTACHMENTS.put(tx, (of, target_id, policy.policy_id), attachment)
    TARGETS.put(tx, (of, policy.policy_id, target_id), attachment)
    ORGANIZATIONS.put(tx, (of,), organization)


def attach_defaults(tx: Transaction, organization: Organization, target_id: str) -> None:
    """What a new root, unit or account has attached from the start."""
    for policy_type in organization.policy_types:
        if policy_type in DEFAULT:
            attach(tx, organization, DEFAULT[policy_type], target_id)


def detach(tx: Transaction, organization: Organization, policy_id: str, target_id: str) -> None:
    of = organization.organization_id
    ATTACHMENTS.delete(tx, (of, target_id, policy_id))
    TARGETS.delete(tx, (of, policy_id, target_id))


def detach_all(tx: Transaction, organization: Organization, target_id: str, policy_type: str | None = None) -> None:
    """Everything, or everything of one type, from what is going away or losing the type."""
    for key, attachment in list(ATTACHMENTS.scan(tx, (organization.organization_id, target_id))):
        if policy_type in (None, attachment.type):
            detach(tx, organization, str(key[2]), target_id)

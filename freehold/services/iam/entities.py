"""Users, groups and roles by name: what the operations on all three have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from freehold.services.iam import records
from freehold.services.iam.errors import EntityAlreadyExists, NoSuchEntity, quota
from freehold.services.iam.records import TOTALS, Group, ManagedPolicy, Role, Totals, User
from freehold.storage.records import Reader, Transaction

EntityKind = Literal["user", "group", "role"]
Named = User | Group | Role


@dataclass(frozen=True, slots=True)
class Kind:
    """`noun` is what AWS's operations call it, `member` their parameter; sizes in characters without whitespace."""

    kind: EntityKind
    noun: str
    member: str
    most_inline_characters: int
    cloudformation_type: str


KINDS: dict[EntityKind, Kind] = {
    "user": Kind("user", "User", "UserName", 2048, "AWS::IAM::User"),
    "group": Kind("group", "Group", "GroupName", 5120, "AWS::IAM::Group"),
    "role": Kind("role", "Role", "RoleName", 10240, "AWS::IAM::Role"),
}

MOST: dict[str, tuple[str, int]] = {
    "user": ("UsersPerAccount", 5000),
    "group": ("GroupsPerAccount", 300),
    "role": ("RolesPerAccount", 1000),
    "policy": ("PoliciesPerAccount", 1500),
    "policy-version": ("PolicyVersionsPerAccount", 10_000),
    "instance-profile": ("InstanceProfilesPerAccount", 1000),
    "saml-provider": ("SAMLProvidersPerAccount", 100),
    "server-certificate": ("ServerCertificatesPerAccount", 20),
    "mfa-device": ("MFADevicesPerAccount", 5000),
    "mfa-device-in-use": ("MFADevicesPerAccount", 5000),
}
"""AWS's default quotas per account: the name in messages, and the number."""


_TOTALS = {
    "user": "users",
    "group": "groups",
    "role": "roles",
    "policy": "policies",
    "policy-version": "policy_versions",
    "instance-profile": "instance_profiles",
    "saml-provider": "saml_providers",
    "server-certificate": "server_certificates",
    "mfa-device": "mfa_devices",
    "mfa-device-in-use": "mfa_devices_in_use",
}


def find(reader: Reader, kind: EntityKind, account_id: str, name: str) -> Named | None:
    if kind == "user":
        return records.user_named(reader, account_id, name)
    if kind == "group":
        return records.group_named(reader, account_id, name)
    return records.role_named(reader, account_id, name)


def require(reader: Reader, kind: EntityKind, account_id: str, name: str) -> Named:
    found = find(reader, kind, account_id, name)
    if found is None:
        raise NoSuchEntity(f"The {kind} with name {name} cannot be found.")
    return found


def require_user(reader: Reader, account_id: str, name: str) -> User:
    user = require(reader, "user", account_id, name)
    assert isinstance(user, User)
    return user


def require_group(reader: Reader, account_id: str, name: str) -> Group:
    group = require(reader, "group", account_id, name)
    assert isinstance(group, Group)
    return group


def require_role(reader: Reader, account_id: str, name: str) -> Role:
    role = require(reader, "role", account_id, name)
    assert isinstance(role, Role)
    return role


def refuse_taken_name(reader: Reader, kind: str, account_id: str, name: str) -> None:
    """Names are unique without regard to case."""
    if records.NAMED[kind].get(reader, (account_id, name.lower())) is not None:
        raise EntityAlreadyExists(f"{kind.capitalize()} with name {name} already exists.")


def count(tx: Transaction, account_id: str, kind: str, change: int) -> None:
    """Keep the account's totals. Raises LimitExceeded when a new one would be one too many."""
    totals = TOTALS.get(tx, (account_id,)) or Totals()
    field = _TOTALS[kind]
    number: int = getattr(totals, field) + change
    name, most = MOST[kind]
    if change > 0 and number > most:
        raise quota(name, most)
    setattr(totals, field, number)
    TOTALS.put(tx, (account_id,), totals)


def resource_tags(entity: Named | ManagedPolicy) -> dict[str, Any]:
    """`aws:ResourceTag/…` and `iam:ResourceTag/…` of what has tags; groups have none."""
    if isinstance(entity, Group):
        return {}
    context: dict[str, Any] = {}
    for key, value in entity.tags.items():
        context[f"aws:resourcetag/{key.lower()}"] = value
        if not isinstance(entity, ManagedPolicy):
            context[f"iam:resourcetag/{key.lower()}"] = value
    return context

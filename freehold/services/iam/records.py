"""What identity keeps: accounts, users, groups, roles, managed policies and access keys, and how they are found.

Users, groups, roles and policies are kept under (account, lower-case name), since AWS doesn't distinguish names by
case; `identities` finds them by unique id (`AIDA…`), which is what memberships, attachments, sessions and stored
principals refer to, so that a recreated namesake inherits nothing. Everything an entity owns with a small bound
(inline policies, attachments, tags) is inside its record. Holds no rules: those are the operations'.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from freehold.storage.records import Reader, Table, Transaction

OPERATOR_ACCOUNT = "000000000000"
"""The account id that the operator's calls carry. No customer account has it, so nothing is ever in it."""


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Stored as a MessagePack map without defaults, so that a field with a default may be added later."""


class Account(Record, kw_only=True):
    account_id: str
    name: str
    created_at: int
    """Seconds since the epoch, as all `…_at` here."""
    root_access_key_ids: list[str] = []
    alias: str = ""
    root_sessions_not_before: int = 0
    email: str = ""
    """The root user's address, unique in the deployment. Accounts that the operator made have none."""
    imported: bool = False
    """Whether the operator made it from another place's authorization details, with an id of its own choice."""
    closed_at: int = 0
    """When the account was closed, zero while it's open. A closed account's principals are refused."""


class Entity(Record, kw_only=True):
    """What users, groups and roles have in common."""

    kind: ClassVar[Literal["user", "group", "role"]]
    account_id: str
    name: str
    path: str
    unique_id: str
    created_at: int
    inline: dict[str, str] = {}
    """Policy name -> document as it was written."""
    attached: list[str] = []
    """ARNs of managed policies, in the order in which they were attached."""

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account_id}:{self.kind}{self.path}{self.name}"


class User(Entity, kw_only=True):
    kind: ClassVar[Literal["user", "group", "role"]] = "user"
    tags: dict[str, str] = {}
    group_ids: list[str] = []
    boundary: str = ""
    """ARN of the managed policy that is the permissions boundary, empty without one."""
    access_key_ids: list[str] = []
    sessions_not_before: int = 0
    """Temporary credentials issued earlier are refused (seconds since the epoch)."""


class Group(Entity, kw_only=True):
    kind: ClassVar[Literal["user", "group", "role"]] = "group"


class Role(Entity, kw_only=True):
    kind: ClassVar[Literal["user", "group", "role"]] = "role"
    trust_policy: str
    """The trust policy's text with principals as unique ids (`principals.py`)."""
    description: str = ""
    max_session_seconds: int = 3600
    tags: dict[str, str] = {}
    boundary: str = ""
    sessions_not_before: int = 0


class ManagedPolicy(Record, kw_only=True):
    kind: ClassVar[Literal["policy"]] = "policy"
    account_id: str
    name: str
    path: str
    unique_id: str
    created_at: int
    updated_at: int
    description: str = ""
    default_version: int = 1
    latest_version: int = 1
    """The highest number ever given; numbers of deleted versions aren't used again."""
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account_id}:policy{self.path}{self.name}"


class PolicyVersion(Record, kw_only=True):
    document: str
    created_at: int


class Uses(Record, kw_only=True):
    """How often a managed policy is used within one account."""

    attachments: int = 0
    boundaries: int = 0


class Totals(Record, kw_only=True):
    """How many an account has."""

    users: int = 0
    groups: int = 0
    roles: int = 0
    policies: int = 0
    policy_versions: int = 0
    instance_profiles: int = 0
    saml_providers: int = 0
    server_certificates: int = 0
    mfa_devices: int = 0
    mfa_devices_in_use: int = 0


class InstanceProfile(Record, kw_only=True):
    """A container that passes one role to an instance."""

    account_id: str
    name: str
    path: str
    unique_id: str
    created_at: int
    role_id: str = ""
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account_id}:instance-profile{self.path}{self.name}"


class AccessKey(Record, kw_only=True):
    """A long-term key. `owner_id` is the user's unique id, the account id for root, the operator's id."""

    access_key_id: str
    secret: str
    account_id: str
    owner: Literal["user", "root", "operator"]
    owner_id: str
    created_at: int
    active: bool = True

    def __repr__(self) -> str:
        return f"AccessKey({self.access_key_id})"


class Operator(Record, kw_only=True):
    unique_id: str
    name: str
    created_at: int
    access_key_ids: list[str] = []


class Identity(Record, kw_only=True):
    """What a unique id names: a user, group, role or policy, kept under (account, lower-case name)."""

    kind: Literal["user", "group", "role", "policy"]
    account_id: str
    name: str


class Alias(Record, kw_only=True):
    """Whose an account alias is."""

    account_id: str


class Mark(Record, kw_only=True):
    """A row whose key says everything."""


ACCOUNTS = Table("accounts", Account, domain="iam")  # (account id)
ALIASES = Table("iam.aliases", Alias, domain="iam")  # (alias)
OPERATORS = Table("iam.operators", Operator, domain="iam")  # (unique id)
USERS = Table("iam.users", User, domain="iam")  # (account id, lower-case name)
GROUPS = Table("iam.groups", Group, domain="iam")
ROLES = Table("iam.roles", Role, domain="iam")
POLICIES = Table("iam.policies", ManagedPolicy, domain="iam")
POLICY_VERSIONS = Table("iam.policy_versions", PolicyVersion, domain="iam")  # (policy's unique id, number)
USES = Table("iam.policy_uses", Uses, domain="iam")  # (account id, policy ARN)
TOTALS = Table("iam.totals", Totals)  # (account id)
INSTANCE_PROFILES = Table("iam.instance_profiles", InstanceProfile)  # (account id, lower-case name)
ROLE_PROFILES = Table("iam.role_profiles", Mark)  # (role's unique id, lower-case name of the instance profile)
ATTACHMENTS = Table("iam.attachments", Mark, domain="iam")
"""(account id, policy ARN, "policy" or "boundary", kind of the entity, its unique id)"""
MEMBERS = Table("iam.members", Mark, domain="iam")  # (group's unique id, user's unique id)
ACCESS_KEYS = Table("iam.access_keys", AccessKey, domain="iam")  # (access key id)
IDENTITIES = Table("iam.identities", Identity, domain="iam")  # (unique id)

Named = User | Group | Role | ManagedPolicy

NAMED: dict[str, Table[User] | Table[Group] | Table[Role] | Table[ManagedPolicy]] = {
    "user": USERS,
    "group": GROUPS,
    "role": ROLES,
    "policy": POLICIES,
}


def user_named(reader: Reader, account_id: str, name: str) -> User | None:
    """The user with exactly this name. Names differing in case only can't both exist, but don't match either."""
    user = USERS.get(reader, (account_id, name.lower()))
    return user if user is not None and user.name == name else None


def group_named(reader: Reader, account_id: str, name: str) -> Group | None:
    group = GROUPS.get(reader, (account_id, name.lower()))
    return group if group is not None and group.name == name else None


def role_named(reader: Reader, account_id: str, name: str) -> Role | None:
    role = ROLES.get(reader, (account_id, name.lower()))
    return role if role is not None and role.name == name else None


def policy_at(reader: Reader, arn: str) -> ManagedPolicy | None:
    """The customer managed policy with this ARN (path included)."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or not parts[5].startswith("policy/"):
        return None
    policy = POLICIES.get(reader, (parts[4], parts[5].rpartition("/")[2].lower()))
    return policy if policy is not None and policy.arn == arn else None


def role_at(reader: Reader, arn: str) -> Role | None:
    """The role with this ARN (path included)."""
    found = entity_at(reader, arn)
    return found if isinstance(found, Role) else None


def entity_at(reader: Reader, arn: str) -> User | Role | None:
    """The user or role with this ARN (path included)."""
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[:4] != ["arn", "aws", "iam", ""]:
        return None
    kind, slash, rest = parts[5].partition("/")
    if not slash or kind not in ("user", "role"):
        return None
    name = rest.rpartition("/")[2]
    found = user_named(reader, parts[4], name) if kind == "user" else role_named(reader, parts[4], name)
    return found if found is not None and found.arn == arn else None


def by_unique_id(reader: Reader, unique_id: str) -> Named | None:
    identity = IDENTITIES.get(reader, (unique_id,))
    if identity is None:
        return None
    return NAMED[identity.kind].get(reader, (identity.account_id, identity.name.lower()))


def save(tx: Transaction, record: Named) -> None:
    """Write an entity under its name and its unique id."""
    table: Table[Named] = NAMED[record.kind]  # type: ignore[assignment]
    table.put(tx, (record.account_id, record.name.lower()), record)
    identity = Identity(kind=record.kind, account_id=record.account_id, name=record.name)
    if IDENTITIES.get(tx, (record.unique_id,)) != identity:
        IDENTITIES.put(tx, (record.unique_id,), identity)


def remove(tx: Transaction, record: Named) -> None:
    """Delete an entity's own rows; what refers to it is the caller's to check first."""
    NAMED[record.kind].delete(tx, (record.account_id, record.name.lower()))
    IDENTITIES.delete(tx, (record.unique_id,))

"""What Organizations keeps: organizations, the tree of roots and units, memberships, policies, handshakes, delegation.

An account is in at most one organization, so a membership is kept under the account alone; all else under its
organization. `CHILDREN` is the tree downwards, `parent_id` upwards. Holds no rules: those are the operations'.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from freehold.services.iam.records import Mark
from freehold.storage.records import Table

FULL_ACCESS = "p-FullAWSAccess"
RCP_FULL_ACCESS = "p-RCPFullAWSAccess"


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Stored without defaults, so that a field with a default may be added later."""


HandshakeState = Literal["REQUESTED", "OPEN", "CANCELED", "ACCEPTED", "DECLINED", "EXPIRED"]


class Organization(Record, kw_only=True):
    organization_id: str
    management_account_id: str
    root_id: str
    created_at: int
    """Seconds since the epoch, as all `…_at` here."""
    all_features: bool = True
    policy_types: list[str] = []
    """Those that are enabled in the root."""
    units: int = 0
    next_attachment: int = 0
    features: list[str] = []
    """Of centralized root access: RootCredentialsManagement, RootSessions."""


class Unit(Record, kw_only=True):
    """An organizational unit."""

    unit_id: str
    name: str
    parent_id: str
    created_at: int


class Membership(Record, kw_only=True):
    """An account's place in its organization."""

    account_id: str
    organization_id: str
    parent_id: str
    joined_at: int
    joined_method: Literal["INVITED", "CREATED"]


class Policy(Record, kw_only=True):
    policy_id: str
    organization_id: str
    type: str
    name: str
    description: str
    content: str
    created_at: int
    updated_at: int


class Attachment(Record, kw_only=True):
    """A policy on a root, a unit or an account. Policies of one target count in the order of `number`."""

    type: str
    number: int


class Handshake(Record, kw_only=True):
    handshake_id: str
    organization_id: str
    management_account_id: str
    action: Literal["INVITE", "ENABLE_ALL_FEATURES", "APPROVE_ALL_FEATURES"]
    state: HandshakeState
    requested_at: int
    expires_at: int
    account_id: str = ""
    """The other party, empty for an address that is no account's, and where there is no other party."""
    email: str = ""
    """The address that was invited, where it was an address."""
    notes: str = ""
    tags: dict[str, str] = {}
    parent_id: str = ""
    ended_at: int = 0


class Creation(Record, kw_only=True):
    """A request to create an account, and what became of it."""

    creation_id: str
    name: str
    requested_at: int
    completed_at: int = 0
    account_id: str = ""
    failure: str = ""


class Awaited(Record, kw_only=True):
    """A handshake that nobody has answered: who is asked for what."""

    action: str
    account_id: str
    email: str


class Since(Record, kw_only=True):
    """Since when something is so."""

    at: int


class ResourcePolicy(Record, kw_only=True):
    policy_id: str
    content: str
    """With principals as unique ids."""


class Tags(Record, kw_only=True):
    tags: dict[str, str]


class Named(Record, kw_only=True):
    """What a name, or an address, is of."""

    id: str


_DOMAIN = "organizations"

ORGANIZATIONS = Table("organizations", Organization, domain=_DOMAIN)  # (organization id)
MEMBERSHIPS = Table("organizations.memberships", Membership, domain=_DOMAIN)  # (account id)
ACCOUNTS_OF = Table("organizations.accounts", Mark, domain=_DOMAIN)  # (organization id, account id)
UNITS = Table("organizations.units", Unit, domain=_DOMAIN)  # (organization id, unit id)
CHILDREN = Table("organizations.children", Mark, domain=_DOMAIN)
"""(organization id, parent's id, "ACCOUNT" or "ORGANIZATIONAL_UNIT", child's id)"""
UNIT_NAMES = Table("organizations.unit_names", Mark, domain=_DOMAIN)  # (organization id, parent's id, name)
POLICIES = Table("organizations.policies", Policy, domain=_DOMAIN)  # (organization id, policy id)
POLICY_NAMES = Table("organizations.policy_names", Named, domain=_DOMAIN)  # (organization id, type, name)
ATTACHMENTS = Table("organizations.attachments", Attachment, domain=_DOMAIN)  # (organization id, target id, policy id)
TARGETS = Table("organizations.targets", Attachment, domain=_DOMAIN)  # (organization id, policy id, target id)
HANDSHAKES = Table("organizations.handshakes", Handshake)  # (handshake id)
HANDSHAKES_SENT = Table("organizations.handshakes_sent", Mark)  # (organization id, handshake id)
HANDSHAKES_RECEIVED = Table("organizations.handshakes_received", Mark)  # (account id, handshake id)
HANDSHAKES_AWAITED = Table("organizations.handshakes_awaited", Awaited)
"""(organization id, when it expires, handshake id): those of HANDSHAKES_SENT that nobody has answered"""
INVITED = Table("organizations.invited", Mark)
"""(organization id, when it was sent, handshake id): invitations that weren't accepted"""
HANDSHAKES_INDEXED = Table("organizations.handshakes_indexed", Mark)
"""(organization id): the two above have its handshakes, those of before there were the two as well"""
CREATIONS = Table("organizations.creations", Creation)  # (organization id, creation id)
ADMINISTRATORS = Table("organizations.administrators", Since, domain=_DOMAIN)
"""(organization id, account id, service principal)"""
SERVICE_ACCESS = Table("organizations.service_access", Since)  # (organization id, service principal)
RESOURCE_POLICIES = Table("organizations.resource_policies", ResourcePolicy, domain=_DOMAIN)  # (organization id)
TAGS = Table("organizations.tags", Tags)  # (organization id, resource id)
ADDRESSES = Table("organizations.addresses", Named)  # (an account's address in lower case)
DUE = Table("organizations.due", Mark)  # ("account" or "handshake", when its traces are removed, its id)

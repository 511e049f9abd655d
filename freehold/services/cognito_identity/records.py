"""What Cognito keeps: identity pools, their identities, and which login belongs to which identity.

An identity is found by its own id or by a login (provider and subject) within its pool. One that ever had a login is
`authenticated` for good: when its last login is unlinked nobody can be it any more, as on AWS. A pool's id is random
and never used again, so what is left of a deleted pool can be removed at leisure (`pools.py`).
"""

from __future__ import annotations

from typing import Literal

import msgspec

from freehold import arn
from freehold.services.iam.records import Mark, Record
from freehold.storage.records import Reader, Table, Transaction

MOST_LINKS = 20
"""How many logins an identity may have.
https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_MergeDeveloperIdentities.html"""


class CognitoProvider(Record, kw_only=True):
    """An application of a user pool, whose ID tokens are accepted."""

    provider_name: str
    client_id: str = ""


class Rule(Record, kw_only=True):
    claim: str
    match_type: Literal["Equals", "Contains", "StartsWith", "NotEqual"]
    value: str
    role_arn: str


class RoleMapping(Record, kw_only=True):
    type: Literal["Token", "Rules"]
    ambiguous: Literal["", "AuthenticatedRole", "Deny"] = ""
    rules: list[Rule] = msgspec.field(default_factory=list)


class AttributeMap(Record, kw_only=True):
    """Which claims of a provider's tokens become session tags: tag key -> claim."""

    use_defaults: bool = False
    tags: dict[str, str] = msgspec.field(default_factory=dict)


class Pool(Record, kw_only=True):
    account_id: str
    region: str
    pool_id: str
    name: str
    created_at: int
    """Seconds since the epoch, as all `…_at` here."""
    allow_unauthenticated: bool = False
    allow_classic: bool | None = None
    """None where nobody ever said: that is no."""
    login_providers: dict[str, str] = msgspec.field(default_factory=dict)
    """Public provider -> the application's client ids there, separated by semicolons."""
    developer_provider: str = ""
    oidc_arns: list[str] = msgspec.field(default_factory=list)
    cognito_providers: list[CognitoProvider] = msgspec.field(default_factory=list)
    saml_arns: list[str] = msgspec.field(default_factory=list)
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    roles: dict[str, str] = msgspec.field(default_factory=dict)
    """`authenticated` and `unauthenticated` -> the role's ARN."""
    role_mappings: dict[str, RoleMapping] = msgspec.field(default_factory=dict)
    attribute_maps: dict[str, AttributeMap] = msgspec.field(default_factory=dict)

    @property
    def arn(self) -> str:
        return pool_arn(self.region, self.account_id, self.pool_id)


class Link(msgspec.Struct, kw_only=True, frozen=True):
    """A login: whom a provider calls `subject`."""

    provider: str
    subject: str


class Identity(Record, kw_only=True):
    identity_id: str
    pool_id: str
    created_at: int
    modified_at: int
    links: list[Link] = msgspec.field(default_factory=list)
    authenticated: bool = False
    """Whether it has, or ever had, a login."""
    disabled: bool = False
    """Whether it was merged into another."""


class Whereabouts(Record, kw_only=True):
    """Where to find what is known by its id, or by a login, alone."""

    id: str


class SigningKey(Record, kw_only=True):
    """The key that signs identity tokens: PKCS #8, PEM."""

    key_id: str
    pem: str
    created_at: int

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id})"


POOLS = Table("cognito.pools", Pool)  # (pool id)
POOLS_OF = Table("cognito.pools_of", Mark)  # (account id, Region, pool id)
IDENTITIES = Table("cognito.identities", Identity)  # (pool id, identity id)
IDENTITY_POOLS = Table("cognito.identity_pools", Whereabouts)  # (identity id): its pool
LINKS = Table("cognito.links", Whereabouts)  # (pool id, provider, subject): its identity
LEFTOVERS = Table("cognito.leftovers", Mark)  # (id of a deleted pool)
SIGNING_KEYS = Table("cognito.signing_keys", SigningKey)  # (key id)


def pool_arn(region: str, account_id: str, pool_id: str) -> str:
    return arn.build("cognito-identity", region, account_id, f"identitypool/{pool_id}")


def identity_by_id(reader: Reader, identity_id: str) -> tuple[Pool, Identity] | None:
    """An identity and its pool. One that was merged into another, or whose pool is gone, is none."""
    where = IDENTITY_POOLS.get(reader, (identity_id,))
    pool = None if where is None else POOLS.get(reader, (where.id,))
    identity = None if pool is None else IDENTITIES.get(reader, (pool.pool_id, identity_id))
    return None if pool is None or identity is None or identity.disabled else (pool, identity)


def owner_of(reader: Reader, pool_id: str, link: Link) -> str | None:
    """The id of the identity that a login belongs to."""
    found = LINKS.get(reader, (pool_id, link.provider, link.subject))
    return None if found is None else found.id


def add_identity(tx: Transaction, identity: Identity) -> None:
    IDENTITIES.put(tx, (identity.pool_id, identity.identity_id), identity)
    IDENTITY_POOLS.put(tx, (identity.identity_id,), Whereabouts(id=identity.pool_id))
    for link in identity.links:
        LINKS.put(tx, (identity.pool_id, link.provider, link.subject), Whereabouts(id=identity.identity_id))


def save_identity(tx: Transaction, identity: Identity, now_seconds: float) -> None:
    """Write an identity whose `links` may have changed; those that are new are put, those gone are the caller's."""
    identity.modified_at = int(now_seconds)
    add_identity(tx, identity)


def remove_link(tx: Transaction, identity: Identity, link: Link) -> None:
    """Take a login away; it is a new one to Cognito when it is seen again."""
    identity.links = [one for one in identity.links if one != link]
    LINKS.delete(tx, (identity.pool_id, link.provider, link.subject))


def remove_identity(tx: Transaction, identity: Identity) -> None:
    for link in identity.links:
        LINKS.delete(tx, (identity.pool_id, link.provider, link.subject))
    IDENTITIES.delete(tx, (identity.pool_id, identity.identity_id))
    IDENTITY_POOLS.delete(tx, (identity.identity_id,))

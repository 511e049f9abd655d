"""Who asks. The decision's own data type: authentication makes it, authorization and the services read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["root", "user", "role", "federated-user", "federated", "service", "anonymous", "operator"]


@dataclass(frozen=True, slots=True)
class Session:
    """What temporary credentials carry (STS)."""

    issued_at: int
    """Seconds since the epoch."""
    expires_at: int
    name: str = ""
    policies: tuple[str, ...] | None = None
    """Inline session policies and the texts of managed session policies, as JSON; None when none was passed."""
    policy_arns: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    transitive_tag_keys: tuple[str, ...] = ()
    mfa_at: int | None = None
    """When MFA was given, seconds since the epoch; None without MFA."""
    source_identity: str = ""
    chained: bool = False
    """Whether a role session assumed this role (role chaining: one hour at most)."""
    kind: Literal["assume-role", "session-token", "federation-token", "console", "assume-root"] = "assume-role"
    """What gave the credentials. `console`: signing in, whoever did."""
    assumed_with_mfa: bool = False
    """Whether who assumed the role had given MFA: the audit says so, `aws:MultiFactorAuthPresent` does not."""
    issuer_unique_id: str = ""
    """AROA… of the role or AIDA… of the user (or the account id for root) behind the session."""


@dataclass(frozen=True, slots=True, eq=False)
class Principal:
    """One authenticated (or anonymous) caller.

    `arn` is what `aws:PrincipalArn`-like displays start from: the user's, root's, or the session's
    (`arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`); `issuer_arn` the role's (with its path) or the user's behind
    a session, which is what `aws:PrincipalArn` holds. `unique_id` is `AIDA…`, the account id for root,
    `AROA…:session` for a role session, `ACCOUNT:name` for a federated user.
    """

    kind: Kind
    account_id: str = ""
    arn: str = ""
    unique_id: str = ""
    name: str = ""
    """User name; role name for a session; `cloudtrail.amazonaws.com` for a service; the provider for `federated`."""
    issuer_arn: str = ""
    access_key_id: str = ""
    session: Session | None = None
    tags: tuple[tuple[str, str], ...] = ()
    """The user's or the role's tags merged with the session's (the session's win): `aws:PrincipalTag/…`."""
    extra_context: dict[str, Any] = field(default_factory=dict)
    """Further condition keys that follow from how the caller signed in (federation), keys in lower case."""


ANONYMOUS = Principal(kind="anonymous", arn="", name="anonymous")

"""One thing that a request must be allowed to do: what a service hands to the decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from freehold.authorization.document import Policy

ContextValue = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """A KMS grant as the decision sees it. `constraints`: {"EncryptionContextSubset": {...}} or "…Equals"."""

    grantee: str
    """The grantee principal's ARN (or a service principal's name)."""
    operations: tuple[str, ...]
    constraints: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    grant_id: str = ""
    grantee_unique_id: str = ""


@dataclass(slots=True)
class Permission:
    """`action` on `resource`, with what the resource's side says about it.

    `resource_policy`: the compiled policy attached to the resource. `kind`: how it takes part: "resource" (same
    account: identity OR resource; else both), "key" (KMS: the key policy must allow or delegate), "trust" (STS: the
    role's trust policy). `account_id`: the resource's owner. `context`: condition keys of this permission, names in
    lower case, values always text (or a tuple of texts for multi-valued keys).
    `encryption_context`: for grant constraints.
    """

    action: str
    resource: str
    account_id: str
    context: Mapping[str, ContextValue] = field(default_factory=dict)
    resource_policy: Policy | None = None
    kind: Literal["resource", "key", "trust"] = "resource"
    grants: tuple[Grant, ...] = ()
    encryption_context: Mapping[str, str] | None = None
    default_allow: bool = False
    """True where the account's own service-owned key policy lets every caller of the account through (AWS managed
    keys through their service)."""

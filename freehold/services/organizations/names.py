"""Ids and ARNs in AWS's formats: `o-`, `r-`, `ou-`, `p-`, `h-`, `car-`, `rp-`. All ids are random.

An ARN names the management account, whichever account it is about.
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_reference_arn-formats.html
"""

from __future__ import annotations

import secrets

from freehold.services.organizations.records import FULL_ACCESS, RCP_FULL_ACCESS, Organization, Policy

_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def _random(characters: int) -> str:
    return "".join(secrets.choice(_CHARACTERS) for _ in range(characters))


def new_organization_id() -> str:
    return f"o-{_random(10)}"


def new_root_id() -> str:
    return f"r-{_random(4)}"


def new_unit_id(root_id: str) -> str:
    """A unit's id names its root."""
    return f"ou-{root_id.removeprefix('r-')}-{_random(8)}"


def new_policy_id() -> str:
    # Longer than AWS's shortest, so that one is never drawn twice.
    return f"p-{_random(12)}"


def new_handshake_id() -> str:
    return f"h-{secrets.token_hex(16)}"


def new_creation_id() -> str:
    return f"car-{secrets.token_hex(16)}"


def new_resource_policy_id() -> str:
    return f"rp-{_random(8)}"


def _arn(organization: Organization, rest: str) -> str:
    return f"arn:aws:organizations::{organization.management_account_id}:{rest}"


def organization(of: Organization) -> str:
    return _arn(of, f"organization/{of.organization_id}")


def root(of: Organization) -> str:
    return _arn(of, f"root/{of.organization_id}/{of.root_id}")


def account(of: Organization, account_id: str) -> str:
    return _arn(of, f"account/{of.organization_id}/{account_id}")


def unit(of: Organization, unit_id: str) -> str:
    return _arn(of, f"ou/{of.organization_id}/{unit_id}")


def handshake(management_account_id: str, organization_id: str, action: str, handshake_id: str) -> str:
    return f"arn:aws:organizations::{management_account_id}:handshake/{organization_id}/{action.lower()}/{handshake_id}"


def resource_policy(of: Organization, policy_id: str) -> str:
    return _arn(of, f"resourcepolicy/{of.organization_id}/{policy_id}")


def policy_of(management_account_id: str, policy: Policy) -> str:
    """A policy's ARN; AWS's own have no account and no organization in theirs."""
    if policy.policy_id in (FULL_ACCESS, RCP_FULL_ACCESS):
        return f"arn:aws:organizations::aws:policy/{policy.type.lower()}/{policy.policy_id}"
    return (
        f"arn:aws:organizations::{management_account_id}:policy/{policy.organization_id}/{policy.type.lower()}/"
        f"{policy.policy_id}"
    )


def node(of: Organization, node_id: str) -> str:
    """The ARN of a root, a unit or an account by its id."""
    if node_id.startswith("r-"):
        return root(of)
    return unit(of, node_id) if node_id.startswith("ou-") else account(of, node_id)

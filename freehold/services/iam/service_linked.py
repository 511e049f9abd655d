"""Service-linked roles: which there are, how one is made and removed, what keeps one from being removed.

The service owns name, path, trust policy and permissions (`arn:aws:iam::aws:policy/aws-service-role/…`); customers own
the description and the tags. A service that keeps resources in an account says so with
`uses_service_linked_role`, and its role cannot be deleted while it has any. What is protected is in `protected.py`.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create-service-linked-role.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import orjson

from freehold.authentication.key_ids import new_unique_id
from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.iam import attachments, entities, records
from freehold.services.iam.aws_managed import ARN_PREFIX
from freehold.services.iam.errors import InvalidInput
from freehold.services.iam.protected import PATH, service_of
from freehold.services.iam.records import Role
from freehold.storage.records import Reader, Transaction

_DATA = Path(__file__).parents[2] / "data" / "service_linked_roles.json"
_LONGEST_NAME = 64

Usage = Mapping[str, Iterable[str]]
"""Region -> ARNs of the resources that use a role there."""
Users = Callable[[Reader, Role], Usage]

_USERS: dict[str, list[Users]] = {}


class Kind(NamedTuple):
    """What AWS defines of a service's role."""

    service: str
    """The service principal: `rds.amazonaws.com`."""
    role_name: str
    policy_name: str
    suffix_allowed: bool

    @property
    def policy_arn(self) -> str:
        return f"{ARN_PREFIX}{PATH}{self.policy_name}"

    @property
    def trust_policy(self) -> str:
        statement = {"Effect": "Allow", "Principal": {"Service": self.service}, "Action": "sts:AssumeRole"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    def name(self, suffix: str = "") -> str:
        return f"{self.role_name}_{suffix}" if suffix else self.role_name


@lru_cache(maxsize=1)
def kinds() -> dict[str, Kind]:
    """All that are known, by service principal. A service's name is compared exactly."""
    return {row[0]: Kind(*row) for row in orjson.loads(_DATA.read_bytes())["roles"]}


def uses_service_linked_role(service: str) -> Callable[[Users], Users]:
    """Register `users(reader, role)`, which names the resources of the role's account that still need it."""

    def register(users: Users) -> Users:
        _USERS.setdefault(service, []).append(users)
        return users

    return register


def usage(reader: Reader, role: Role) -> dict[str, list[str]]:
    """The resources that keep a role from being deleted, by Region."""
    found: dict[str, list[str]] = {}
    for users in _USERS.get(service_of(role), ()):
        for region, arns in users(reader, role).items():
            found.setdefault(region, []).extend(arns)
    return {region: arns for region, arns in found.items() if arns}


def creation(call: Call, service: str, suffix: str = "") -> Permission:
    """What a caller needs to have a service's role made, also where a service makes it on first use."""
    kind = kinds().get(service)
    name = "*" if kind is None else kind.name(suffix)
    arn = f"arn:aws:iam::{call.account_id}:role{PATH}{service}/{name}"
    return Permission("iam:CreateServiceLinkedRole", arn, call.account_id, {"iam:awsservicename": service})


def ensure(tx: Transaction, account_id: str, service: str, *, now_seconds: float, description: str = "") -> Role:
    """A service's role as it is, made if it isn't there: for a service's first use in an account."""
    kind = kinds().get(service)
    found = None if kind is None else records.role_named(tx, account_id, kind.role_name)
    if found is not None and found.path == f"{PATH}{service}/":
        return found
    return create(tx, account_id, service, now_seconds=now_seconds, description=description)


def create(
    tx: Transaction, account_id: str, service: str, *, now_seconds: float, description: str = "", suffix: str = ""
) -> Role:
    """Make a service's role, on the customer's or the service's own initiative. Raises InvalidInput, LimitExceeded."""
    kind = kinds().get(service)
    if kind is None:
        raise InvalidInput(f"{service} is not a service that has a service-linked role here.")
    if suffix and not kind.suffix_allowed:
        raise InvalidInput(f"Custom suffix is not allowed for {service}")
    name = kind.name(suffix)
    if len(name) > _LONGEST_NAME:
        raise InvalidInput(f"The role name {name} is longer than {_LONGEST_NAME} characters; use a shorter suffix.")
    if records.ROLES.get(tx, (account_id, name.lower())) is not None:
        raise InvalidInput(f"Service role name {name} has been taken in this account, please try a different suffix.")
    entities.count(tx, account_id, "role", 1)
    role = Role(
        account_id=account_id,
        name=name,
        path=f"{PATH}{service}/",
        unique_id=new_unique_id("AROA"),
        created_at=int(now_seconds),
        trust_policy=kind.trust_policy,
        description=description,
        attached=[kind.policy_arn],
    )
    records.save(tx, role)
    attachments.note_use(tx, role, kind.policy_arn, "policy", 1)
    return role


def remove(tx: Transaction, role: Role) -> None:
    """Delete the role with its attachments. That nothing uses it is the caller's to check first."""
    for arn in role.attached:
        attachments.note_use(tx, role, arn, "policy", -1)
    records.remove(tx, role)
    entities.count(tx, role.account_id, "role", -1)

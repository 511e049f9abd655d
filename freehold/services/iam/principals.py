"""Principals of resource, trust and key policies: ARNs in what clients see, unique ids in what is kept.

A user or role is bound when the policy is written: deleted and recreated under the same name it isn't trusted again,
and the policy then shows the id (`AIDA…`, `AROA…`) of what is gone. Used by IAM for trust policies, by KMS for key
policies and by S3 for bucket policies. The text must have been accepted by `authorization.document` before; what is
refused here are principals that don't exist: users and roles, accounts (those of this deployment are all that there
are) and AWS services. A role session's ARN stays one: its role must exist when it is written.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from freehold.authorization.principal_element import canonical_id
from freehold.services.iam import records, service_principals
from freehold.services.iam.records import ACCOUNTS, Role, User
from freehold.storage.records import Reader

_ACCOUNT = re.compile(r"[0-9]{12}", re.ASCII)
_UNIQUE_ID = re.compile(r"(AIDA|AROA)[A-Z2-7]{12,28}", re.ASCII)
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


class InvalidPrincipal(ValueError):
    """A principal that doesn't exist or can't be one. The message is IAM's text; services wrap it in their own code."""

    def __init__(self, kind: str, principal: str) -> None:
        self.kind = kind
        self.principal = principal
        super().__init__(f'Invalid principal in policy: "{kind}":"{principal}"')


def to_unique_ids(reader: Reader, policy_text: str) -> str:
    """The policy with users and roles as unique ids and accounts as their root ARNs. Raises InvalidPrincipal."""
    canonical_ids = cache(lambda: frozenset(canonical_id(account.account_id) for _, account in ACCOUNTS.scan(reader)))
    return _rewrite(policy_text, lambda kind, value: _bind(reader, kind, value, canonical_ids))


def to_arns(reader: Reader, policy_text: str) -> str:
    """The policy as it is shown: unique ids as today's ARNs, those of deleted users and roles as they are."""
    return _rewrite(policy_text, lambda kind, value: _show(reader, value) if kind == "AWS" else value)


def arn_of(reader: Reader, unique_id: str) -> str:
    """A user's or role's ARN by its unique id, or the id itself when it's gone."""
    found = records.by_unique_id(reader, unique_id)
    return found.arn if isinstance(found, User | Role) else unique_id


def is_account(reader: Reader, account_id: str) -> bool:
    """Whether this deployment has the account, or AWS itself; a closed one is one still."""
    return ACCOUNTS.get(reader, (account_id,)) is not None or account_id in service_principals.ACCOUNTS


def _rewrite(policy_text: str, change: Callable[[str, str], str]) -> str:
    policy = json.loads(policy_text, parse_float=str)  # 1.10 stays 1.10: conditions compare texts
    statements = policy.get("Statement", [])
    changed = False
    for statement in statements if isinstance(statements, list) else [statements]:
        for element in ("Principal", "NotPrincipal"):
            principals = statement.get(element)
            if not isinstance(principals, dict):
                continue  # "*", or no principal: nothing is bound
            for kind, values in principals.items():
                new: Any = [change(kind, v) for v in values] if isinstance(values, list) else change(kind, values)
                if new != values:
                    principals[kind] = new
                    changed = True
    if not changed:
        return policy_text
    return json.dumps(policy, indent=2 if "\n" in policy_text else None, ensure_ascii=False)


def _bind(reader: Reader, kind: str, value: str, canonical_ids: Callable[[], frozenset[str]]) -> str:
    if value == "*":
        return value
    bound: str | None = value
    if kind == "AWS":
        bound = _bind_aws(reader, value)
    elif (kind == "Service" and not service_principals.exists(value)) or (
        # All accounts are read for it, so once for a policy, however many it names.
        kind == "CanonicalUser" and value.lower() not in canonical_ids()
    ):
        bound = None
    if bound is None:
        raise InvalidPrincipal("SERVICE" if kind == "Service" else kind, value)
    return bound


def _bind_aws(reader: Reader, value: str) -> str | None:
    """What an `AWS` principal is kept as, None if there's no such principal."""
    if _ACCOUNT.fullmatch(value):
        return f"arn:aws:iam::{value}:root" if is_account(reader, value) else None
    if _UNIQUE_ID.fullmatch(value):
        return value if isinstance(records.by_unique_id(reader, value), User | Role) else None
    parts = value.split(":", 5)
    if len(parts) != 6 or parts[:2] != ["arn", "aws"] or parts[3] or not _ACCOUNT.fullmatch(parts[4]):
        return None
    service, account_id, resource = parts[2], parts[4], parts[5]
    if service == "iam":
        if resource == "root":
            return value if is_account(reader, account_id) else None
        entity = records.entity_at(reader, value)
        return None if entity is None else entity.unique_id
    if service == "sts":
        names = resource.split("/")
        if len(names) == 3 and names[0] == "assumed-role" and _SESSION_NAME.fullmatch(names[2]):
            return None if records.role_named(reader, account_id, names[1]) is None else value
        if len(names) == 2 and names[0] == "federated-user" and _SESSION_NAME.fullmatch(names[1]):
            return value if is_account(reader, account_id) else None
    return None


def _show(reader: Reader, value: str) -> str:
    return arn_of(reader, value) if _UNIQUE_ID.fullmatch(value) else value

"""Trust policies of an import: users and roles bound to unique ids, and who is outside of this deployment.

A real account trusts accounts, vendors and identity providers that aren't here. Such a policy is kept as it is, where a
new one would be refused: nobody can call as who isn't here, and what it names is in the notes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final

from freehold.services.iam import service_principals
from freehold.services.iam.importing.parts import Parts
from freehold.services.iam.records import Role

Rewrite = Callable[[str, str], str]
_AWS_ID: Final = re.compile(r"(AIDA|AROA)[A-Z0-9]{12,28}", re.ASCII)
_ACCOUNT: Final = re.compile(r"(?:arn:aws:iam::)?([0-9]{12})(?::root)?", re.ASCII)


def bind(parts: Parts, bound_elsewhere: Callable[[str], str | None], has_account: Callable[[str], bool]) -> None:
    """Users and roles as unique ids, as in every trust policy that is written here; notes on who isn't here."""
    plan = parts.plan
    own: dict[str, str] = {one.arn: one.unique_id for one in (*plan.users, *plan.roles)}
    for role in plan.roles:
        subject = f"role {role.name}"

        def bound(kind: str, value: str, subject: str = subject) -> str:
            if kind == "AWS" and value in own:
                return own[value]
            found = bound_elsewhere(value) if kind == "AWS" else None
            if found is not None:
                return found
            missing = _missing(parts, kind, value, has_account)
            if missing:
                plan.note(subject, f"it trusts {value[:300]}, {missing}")
            return value

        role.trust_policy = _with_principals(role, bound)


def _missing(parts: Parts, kind: str, value: str, has_account: Callable[[str], bool]) -> str:
    """Why nobody is here by this name; empty for who may be."""
    if kind == "Service":
        known = value == "*" or service_principals.exists(value)
        return "" if known else "a service that isn't known here: kept as it is"
    if kind == "Federated" and value.startswith("arn:"):
        return "an identity provider that has to be made here first: kept as it is"
    if kind != "AWS" or value == "*":
        return ""
    if _AWS_ID.fullmatch(value):
        return "" if value in parts.ids else "of whom nobody is known: kept as it is"
    account = _ACCOUNT.fullmatch(value)
    if account is not None:
        here = account[1] == parts.plan.account_id or has_account(account[1])
        return "" if here else "an account that this deployment doesn't have: kept as it is"
    named = value.split(":", 5)
    return "who isn't in the file: kept as it is, by name" if len(named) == 6 and named[2] == "iam" else ""


def _with_principals(role: Role, bound: Rewrite) -> str:
    """The trust policy with its principals changed; its text as it was where nothing changes."""
    policy = json.loads(role.trust_policy, parse_float=str)
    listed = policy["Statement"]
    changed = False
    for statement in listed if isinstance(listed, list) else [listed]:
        principal = statement.get("Principal")
        for kind, before in principal.items() if isinstance(principal, dict) else ():
            after = [bound(kind, one) for one in before] if isinstance(before, list) else bound(kind, before)
            if after != before:
                principal[kind] = after
                changed = True
    return json.dumps(policy, ensure_ascii=False) if changed else role.trust_policy

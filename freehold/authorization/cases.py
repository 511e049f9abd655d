"""Cases in the format of `freehold policy test` as situations: decided, changed and compared without a server.

The format is `testing.py`'s; `expect` is not needed here. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from freehold.authorization import context_keys, testing
from freehold.authorization.document import PolicyType
from freehold.authorization.principal_element import caller
from freehold.authorization.situation import Document, Situation
from freehold.authorization.testing import MalformedCases


def situation(case: Mapping[str, Any], name: str = "case") -> Situation:
    """The situation of one case. Raises MalformedCases; a document is looked at only when it is decided with."""
    request = testing._object(name, case, "request", required=True)
    policies = testing._object(name, case, "policies")
    for field in ("principal", "action", "resource"):
        if not isinstance(request.get(field), str) or not request[field]:
            raise MalformedCases(f"{name}: request.{field} is missing or not text.")
    action, resource = request["action"], request["resource"]
    if not testing._ACTION.fullmatch(action):
        raise MalformedCases(f"{name}: the action {action[:100]!r} is not of the form service:Name.")
    try:
        principal = testing.principal_of(request["principal"], request.get("role"))
        given = testing._object(name, request, "context")
        own = testing._context(given)
        grants = tuple(testing._grant(one) for one in testing._list(name, policies, "kms_grants"))
    except MalformedCases as error:
        raise MalformedCases(f"{name}: {error}") from error
    who = caller(principal)
    owner = case.get("account_of_resource")
    if owner is not None and not (isinstance(owner, str) and testing._ACCOUNT.fullmatch(owner)):
        raise MalformedCases(f"{name}: account_of_resource is not 12 digits.")
    account_id = owner or testing._account_in(resource) or who.account_id
    management_account = testing._flag(name, request, "management_account")
    kind = testing.kind_of_request(action.partition(":")[0].lower(), action.lower(), resource)
    session = testing._list(name, policies, "session")
    return Situation(
        principal,
        action,
        resource,
        account_id,
        kind,
        {**context_keys.of_principal(who), **own},
        _documents(testing._list(name, policies, "identity"), "identity", "identity-based policy {}"),
        _document(policies.get("boundary"), "boundary", "permissions boundary"),
        _documents(session, "session", "session policy {}") if session else None,
        tuple(
            _documents(level, "scp", f"service control policy {{}} of level {depth}")
            for depth, level in enumerate(testing._levels(name, policies, "scps"), 1)
        ),
        tuple(
            _documents(level, "rcp", f"resource control policy {{}} of level {depth}")
            for depth, level in enumerate(testing._levels(name, policies, "rcps"), 1)
        ),
        _document(policies.get("endpoint"), "endpoint", "VPC endpoint policy"),
        _document(policies.get("resource"), kind, ""),
        grants,
        testing._encryption_context(given),
        management_account=management_account,
        resource_in_management_account=management_account and account_id == who.account_id,
    )


def _documents(raw: list[Any], type_: PolicyType, name: str) -> tuple[Document, ...]:
    found = (_document(one, type_, name.format(number)) for number, one in enumerate(raw, 1))
    return tuple(one for one in found if one is not None)


def _document(raw: Any, type_: PolicyType, name: str) -> Document | None:
    if raw is None:
        return None
    return Document(type_, name, raw if isinstance(raw, str) else orjson.dumps(raw).decode())

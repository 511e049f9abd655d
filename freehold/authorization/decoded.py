"""What an encoded authorization message says once it is decoded: AWS's JSON, made of one denied decision.

The shape is that of the examples that AWS gives; of another account's policies and tags nothing is said.
https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html
https://repost.aws/knowledge-center/ec2-not-auth-launch
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from freehold.authorization import checks
from freehold.authorization.key_names import spelled
from freehold.authorization.permission import ContextValue

if TYPE_CHECKING:
    from freehold.authorization.decide import Decision
    from freehold.authorization.statement import Statement

_OF_THE_RESOURCE = ("resource", "key", "trust", "grant", "rcp")


def message(decision: Decision) -> dict[str, Any]:
    """The decoded message."""
    request = decision.request
    principal = request.who.principal
    foreign = request.account_id != principal.account_id and decision.decided_by in _OF_THE_RESOURCE
    matched = [] if decision.statement is None or foreign else [_statement(decision.statement, principal.unique_id)]
    return {
        "allowed": decision.allowed,
        "explicitDeny": decision.result == "explicitDeny",
        "matchedStatements": {"items": matched},
        "failures": {"items": []},
        "context": {
            "principal": {"id": principal.unique_id, "name": principal.name, "arn": principal.arn},
            "action": request.action,
            "resource": request.resource,
            "conditions": {
                "items": [
                    {"key": spelled(key), "values": _items(_texts(value))}
                    for key, value in sorted(request.context.complete().items())
                    if checks.is_visible_key(key, request)
                ]
            },
        },
    }


def _statement(statement: Statement, principal_id: str) -> dict[str, Any]:
    return {
        "statementId": statement.sid,
        "effect": statement.effect.upper(),
        "principals": _items([principal_id]),
        "principalGroups": _items([]),
        "actions": _items(statement.actions),
        "resources": _items(statement.resources),
        "conditions": {
            "items": [
                {"operator": one.operator, "key": one.key, "values": _items(one.wanted)} for one in statement.conditions
            ]
        },
    }


def _items(values: Iterable[str]) -> dict[str, Any]:
    return {"items": [{"value": value} for value in values]}


def _texts(value: ContextValue) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value

"""Candidates for a deny: an exception from it, as exact as a statement can say it, and last its removal.

Pure; see `changes.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from freehold.authorization import asking
from freehold.authorization.changes import (
    NAMES,
    Candidate,
    Change,
    document_of,
    is_aws_managed,
    is_pattern,
    is_services_own,
    listed,
    literal,
    put,
    statements_of,
    what,
)
from freehold.authorization.situation import Document, Situation
from freehold.authorization.statement import Statement


def around_a_deny(current: Situation, statement: Statement) -> Iterator[Candidate]:
    """Candidates for a denial that a statement made."""
    one = document_of(current, statement.policy)
    if one is None:
        return
    yield from asking.asked_differently(current, statement, every_key=False)
    raw = one.parsed()
    statements = statements_of(raw)
    before = statements[statement.index]
    name = one.origin or "without a name"
    where = f"{statement.label} of the {NAMES[one.type]} {name}"
    arn = current.principal.issuer_arn or current.principal.arn
    shared = one.type not in ("identity", "session")
    if is_aws_managed(one):
        yield from _instead_of_awss(current, one, statement)
        return
    if one is current.resource_policy and is_services_own(current, one):
        return

    def replaced(edit: str, by: list[dict[str, Any]], words: str, warning: str = "") -> Candidate:
        after = [*statements[: statement.index], *by, *statements[statement.index + 1 :]]
        document: dict[str, Any] | None = {**raw, "Statement": after} if after else None
        kept = one.with_json(document) if document is not None else None
        change = Change(one.type, one.origin, edit, words, tuple(by), before, document, warning=warning)
        return change, put(current, one, kept)

    narrowed = _without(before, current, arn if shared else "")
    if narrowed is not None:
        who = f" by {arn}" if shared else ""
        yield replaced("narrow-deny", narrowed, f"Let {where} no longer deny {what(current)}{who}.")
    elsewhere = _without_resource(before, current.resource)
    if shared and current.principal.arn and elsewhere is not None:
        by = [_exempting(before, arn), {key: value for key, value in _only_for(elsewhere, arn).items() if key != "Sid"}]
        words = f"Let {where} deny {arn} nothing on {current.resource}."
        yield replaced("exempt-principal", by, words, "it then denies this principal no other action on it either")
    if shared and current.principal.arn:
        exempt = _exempting(before, arn)
        words = f"Exempt {arn} from {where}."
        yield replaced("exempt-principal", [exempt], words, "it then denies this principal nothing else either")
    rest = _without_action(before, current.action)
    if rest:
        words = f"Take {current.action} out of {where}."
        yield replaced("narrow-deny", [rest], words, f"it then denies {current.action} on no resource any more")
    if elsewhere is not None:
        words = f"Take {current.resource} out of {where}."
        yield replaced("narrow-deny", [elsewhere], words, f"it then denies nothing on {current.resource} any more")
    if len(statements) == 1 and one.type in ("boundary", "endpoint"):
        return  # an empty one would allow nothing, and none at all would allow everything
    words = f"Remove {where}."
    yield replaced("remove-statement", [], words, "everything else that it denied is no longer denied by it")


def _instead_of_awss(current: Situation, one: Document, statement: Statement) -> Iterator[Candidate]:
    """Candidates for a deny in one of AWS's policies: its document without the deny, as a policy of one's own; or, of
    what doesn't allow anything either, that it goes."""
    raw = one.parsed()
    statements = statements_of(raw)
    before = statements[statement.index]
    left = [*statements[: statement.index], *statements[statement.index + 1 :]]
    name = NAMES[one.type]
    if left:
        document = {**raw, "Statement": left}
        words = (
            f"Use a customer managed policy in place of AWS's {name} {one.origin}: the same without {statement.label}."
        )
        change = Change(
            one.type,
            one.origin,
            "replace-policy",
            words,
            (),
            before,
            document,
            warning="everything else that the statement denied is no longer denied by it",
        )
        yield change, put(current, one, replace(one, origin="").with_json(document))
    elif one.type in ("identity", "scp", "rcp"):
        words = f"Detach AWS's {name} {one.origin}."
        warning = "everything else that it denied is no longer denied by it"
        yield Change(one.type, one.origin, "detach-policy", words, (), before, warning=warning), put(current, one, None)


def _without(statement: dict[str, Any], current: Situation, exempt_arn: str) -> list[dict[str, Any]] | None:
    """The statement without this action on this resource (for one principal, if named), None where that can't be said
    exactly."""
    if "Action" not in statement or "Resource" not in statement:
        return None
    resource = literal(current.resource)
    resources = listed(statement["Resource"])
    if "*" in resources and current.resource != "*":
        elsewhere: dict[str, Any] | None = {"NotResource": [resource]}
    elif resource in resources and not any(is_pattern(each) for each in resources):
        left = [each for each in resources if each != resource]
        elsewhere = {"Resource": left} if left else None
    elif resource == "*" and resources == ["*"]:
        elsewhere = None
    else:
        return None
    actions = listed(statement["Action"])
    lower = current.action.lower()
    plain = {key: value for key, value in statement.items() if key not in ("Action", "Resource", "Sid")}
    parts: list[dict[str, Any]] = []
    if "*" in actions:
        parts.append({**plain, "NotAction": [current.action], "Resource": statement["Resource"]})
    elif any(is_pattern(each) for each in actions):
        return None
    else:
        left = [each for each in actions if each.lower() != lower]
        if left:
            parts.append({**plain, "Action": left, "Resource": statement["Resource"]})
    if elsewhere is not None:
        parts.append({**plain, "Action": [current.action], **elsewhere})
    if exempt_arn:
        parts.append(_exempting({**plain, "Action": [current.action], "Resource": [resource]}, exempt_arn))
    if statement.get("Sid") and parts:
        parts[0] = {"Sid": statement["Sid"], **parts[0]}
    return parts


def _exempting(statement: dict[str, Any], arn: str) -> dict[str, Any]:
    """The statement with a condition that leaves one principal out."""
    return _on_principal(statement, "ArnNotEquals", arn)


def _only_for(statement: dict[str, Any], arn: str) -> dict[str, Any]:
    """The statement for one principal alone. Where it has such a condition for others already, for these as well."""
    return _on_principal(statement, "ArnEquals", arn)


def _on_principal(statement: dict[str, Any], operator: str, arn: str) -> dict[str, Any]:
    conditions = {each: dict(block) for each, block in statement.get("Condition", {}).items()}
    block = conditions.setdefault(operator, {})
    key = next((key for key in block if key.lower() == "aws:principalarn"), "aws:PrincipalArn")
    block[key] = [*listed(block.get(key, [])), literal(arn)]
    return {**statement, "Condition": conditions}


def _without_action(statement: dict[str, Any], action: str) -> dict[str, Any] | None:
    actions = listed(statement.get("Action", []))
    left = [each for each in actions if each.lower() != action.lower()]
    return {**statement, "Action": left} if left and len(left) < len(actions) else None


def _without_resource(statement: dict[str, Any], resource: str) -> dict[str, Any] | None:
    if "*" not in listed(statement.get("Resource", [])) or resource == "*":
        return None
    return {key: value for key, value in statement.items() if key != "Resource"} | {"NotResource": [literal(resource)]}

"""Policy documents: JSON text to a typed, compiled `Policy`. Refuses whatever it cannot understand.

Unknown elements, operators and versions, wrong effects, elements that the type of policy must or must not have,
duplicate JSON keys and Sids, actions and resources that are no actions and resources: all raise MalformedPolicy with
AWS's text where AWS has one. A policy that was parsed can be evaluated without further checks.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from freehold.authorization import conditions, match, principal_element
from freehold.authorization.conditions import Condition, Effect
from freehold.authorization.principal_element import PrincipalElement
from freehold.authorization.statement import Policy, PolicyType, Statement

MOST_CHARACTERS: Final = 131_072
"""No service takes a longer policy (AWS's own limits are smaller and each service checks its own)."""
DEEPEST: Final = 12
VERSIONS: Final = ("2008-10-17", "2012-10-17")


class MalformedPolicy(ValueError):
    """A document that is no policy of its type. Services answer with their own code and this `message`."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class _Rules:
    """What a type of policy must (True), may (None) or must not (False) have."""

    principal: bool | None
    resource: bool | None
    not_principal: bool = False


RULES: Final[dict[str, _Rules]] = {
    "identity": _Rules(principal=False, resource=True),
    "boundary": _Rules(principal=False, resource=True),
    "session": _Rules(principal=False, resource=True),
    "scp": _Rules(principal=False, resource=True),
    "resource": _Rules(principal=True, resource=True, not_principal=True),
    "key": _Rules(principal=True, resource=True, not_principal=True),
    "endpoint": _Rules(principal=True, resource=True, not_principal=True),
    "trust": _Rules(principal=True, resource=False),
    "rcp": _Rules(principal=True, resource=True),
}

_STATEMENT_ELEMENTS = frozenset(
    ("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition")
)
_SID = re.compile(r"[0-9A-Za-z]*", re.ASCII)
_ACTION = re.compile(r"([^:]*):([^:]*)", re.DOTALL)
_VENDOR = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
_ACTION_NAME = re.compile(r"[A-Za-z0-9*?_-]{1,512}", re.ASCII)
_CONDITION_KEY = re.compile(r"[^:\s]+:[^\x00-\x1f]+", re.DOTALL)
_PARTITION = re.compile(r"[a-z*?-]{1,32}", re.ASCII)


# --- JSON -------------------------------------------------------------------------------------------------------------


def load_json(text: str | bytes) -> Any:
    """JSON with the strictness a policy needs: no duplicate keys, no NaN, bounded size and depth."""
    if len(text) > MOST_CHARACTERS:
        raise MalformedPolicy("The policy is larger than any service allows.")
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        _check_depth(text)
        found = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant, parse_float=str)
        if "\\u" in text:
            # An escaped half of a surrogate pair is no text: nothing could store or print it.
            json.dumps(found, ensure_ascii=False).encode("utf-8")
        return found
    except MalformedPolicy:
        raise
    except (ValueError, RecursionError) as error:
        raise MalformedPolicy("This policy contains invalid Json") from error


_JSON_MARKS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{\]}]', re.DOTALL).finditer
"""Texts and brackets. What has been read isn't read again: a text that nothing closes goes on to the end."""


def _check_depth(text: str) -> None:
    depth = 0
    for opener in _JSON_MARKS(text):
        sign = opener[0]
        if sign in "[{":
            depth += 1
            if depth > DEEPEST:
                raise MalformedPolicy("Syntax errors in policy.")
        elif sign in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise MalformedPolicy(f"Syntax errors in policy. (duplicate element {name[:100]!r})")
            seen.add(name)
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)


# --- the document -----------------------------------------------------------------------------------------------------


def parse(
    document: str | bytes | Mapping[str, Any],
    type: PolicyType = "identity",
    *,
    origin: str = "",
    newest_version_only: bool = False,
    resource_optional: bool = False,
) -> Policy:
    """Compile a policy document (its text, or parsed JSON). Raises MalformedPolicy.

    `origin`: ARN or name, for explanations. `newest_version_only`: refuse what IAM refuses to store (a missing or
    old Version). `resource_optional`: for services whose resource policies may leave Resource out (SNS, SQS).
    """
    raw = load_json(document) if isinstance(document, str | bytes) else document
    if not isinstance(raw, Mapping):
        raise MalformedPolicy("Syntax errors in policy.")
    for element in raw:
        if element not in ("Version", "Id", "Statement"):
            raise MalformedPolicy(f"Unknown field {str(element)[:100]}")
    version = raw.get("Version", VERSIONS[0])
    if version not in VERSIONS:
        raise MalformedPolicy("Syntax errors in policy. (Version is 2012-10-17 or 2008-10-17)")
    if newest_version_only and version != VERSIONS[1]:
        raise MalformedPolicy("Policy document must be version 2012-10-17 or greater.")
    id_ = raw.get("Id", "")
    if not isinstance(id_, str):
        raise MalformedPolicy("Syntax errors in policy. (Id is a string)")
    if "Statement" not in raw:
        raise MalformedPolicy("Syntax errors in policy. (Missing required field Statement)")
    listed = raw["Statement"]
    if isinstance(listed, Mapping):
        listed = [listed]
    if not isinstance(listed, list) or not listed:
        raise MalformedPolicy("Syntax errors in policy. (Statement is a statement or a list of them)")
    variables = version == VERSIONS[1]
    rules = RULES[type]
    statements = tuple(
        _statement(index, one, type, rules, variables, resource_optional) for index, one in enumerate(listed)
    )
    sids = [statement.sid for statement in statements if statement.sid]
    if len(set(sids)) != len(sids):
        raise MalformedPolicy("Statement IDs (SID) in a single policy must be unique.")
    return Policy(type, origin, version, id_, statements, document)


def _statement(
    index: int, raw: Any, type: PolicyType, rules: _Rules, variables: bool, resource_optional: bool
) -> Statement:
    if not isinstance(raw, Mapping):
        raise MalformedPolicy("Syntax errors in policy. (a statement is an object)")
    for element in raw:
        if element not in _STATEMENT_ELEMENTS:
            raise MalformedPolicy(f"Unknown field {str(element)[:100]}")
    sid = raw.get("Sid", "")
    if not isinstance(sid, str) or (rules.principal is False and not _SID.fullmatch(sid)) or len(sid) > 2048:
        raise MalformedPolicy(
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression "
            "[0-9A-Za-z]*"
        )
    if "Effect" not in raw:
        raise MalformedPolicy("Missing required field Effect")
    effect: Effect = raw["Effect"]
    if effect not in ("Allow", "Deny"):
        raise MalformedPolicy(f"Invalid effect: {str(effect)[:100]}")
    principal = _principal(raw, type, rules, effect)
    actions, not_actions = _one_of(raw, "Action", "Policy statement must contain actions.")
    for action in actions:
        _check_action(action, type)
    resources: tuple[str, ...] = ("*",)
    not_resources = False
    if rules.resource is False:
        for element in ("Resource", "NotResource"):
            if element in raw:
                raise MalformedPolicy(f"Has prohibited field {element}")
    elif not resource_optional or "Resource" in raw or "NotResource" in raw:
        resources, not_resources = _one_of(raw, "Resource", "Policy statement must contain resources.")
        for resource in resources:
            _check_resource(resource, variables)
    compiled = _conditions(raw.get("Condition", {}), variables, effect)
    return Statement(index, sid, effect, principal, actions, not_actions, resources, not_resources, compiled, variables)


def _principal(raw: Mapping[str, Any], type: PolicyType, rules: _Rules, effect: Effect) -> PrincipalElement | None:
    for element in ("Principal", "NotPrincipal"):
        if element in raw and (rules.principal is False or (element == "NotPrincipal" and not rules.not_principal)):
            if type in ("identity", "session", "boundary"):
                raise MalformedPolicy("Policy document should not specify a principal.")
            raise MalformedPolicy(f"Has prohibited field {element}")
    if rules.principal is False:
        return None
    if "Principal" in raw and "NotPrincipal" in raw:
        raise MalformedPolicy("Syntax errors in policy. (both Principal and NotPrincipal)")
    inverted = "NotPrincipal" in raw
    if not inverted and "Principal" not in raw:
        raise MalformedPolicy("Missing required field Principal")
    if inverted and effect == "Allow":
        raise MalformedPolicy("Allow with NotPrincipal is not supported: NotPrincipal must be used with Deny.")
    try:
        found = principal_element.parse(raw["NotPrincipal" if inverted else "Principal"], inverted=inverted)
    except principal_element.BadPrincipal as error:
        raise MalformedPolicy(str(error)) from error
    if type == "rcp" and not found.everyone:
        raise MalformedPolicy('The Principal of a resource control policy must be "*".')
    return found


def _one_of(raw: Mapping[str, Any], element: str, missing: str) -> tuple[tuple[str, ...], bool]:
    """The values of `element` or its Not… form, and whether it was that."""
    inverted = f"Not{element}" in raw
    if inverted and element in raw:
        raise MalformedPolicy(f"Syntax errors in policy. (both {element} and Not{element})")
    value = raw.get(f"Not{element}" if inverted else element)
    if value is None and not inverted and element not in raw:
        raise MalformedPolicy(missing)
    values = value if isinstance(value, list) else [value]
    if not values:
        raise MalformedPolicy(missing)
    if not all(isinstance(text, str) and text for text in values):
        raise MalformedPolicy(f"Syntax errors in policy. ({element} is a string or a list of strings)")
    return tuple(values), inverted


def _check_action(action: str, type: PolicyType) -> None:
    if action == "*":
        return
    if action.count(":") > 1:
        raise MalformedPolicy("Actions/Condition can contain only one colon.")
    found = _ACTION.fullmatch(action)
    if found is None:
        raise MalformedPolicy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
    vendor, name = found[1], found[2]
    if not _VENDOR.fullmatch(vendor):
        raise MalformedPolicy(f"Vendor {vendor[:100]} is not valid")
    if not _ACTION_NAME.fullmatch(name):
        raise MalformedPolicy(f"Syntax errors in policy. (the action {action[:100]!r} is not valid)")
    if type == "trust" and vendor.lower() != "sts":
        raise MalformedPolicy("AssumeRole policy may only specify STS AssumeRole actions.")


def _check_resource(resource: str, variables: bool) -> None:
    if resource == "*":
        return
    if not resource.startswith("arn:") or "\x00" in resource:
        raise MalformedPolicy(f'Resource {resource[:200]} must be in ARN format or "*".')
    partition = resource.split(":", 2)[1]
    if not _PARTITION.fullmatch(partition):
        raise MalformedPolicy(f'Partition "{partition[:100]}" is not valid for resource "{resource[:200]}".')
    try:
        match.parse(resource, variables=variables)
    except match.BadPattern as error:
        raise MalformedPolicy(str(error)) from error


def _conditions(raw: Any, variables: bool, effect: Effect) -> tuple[Condition, ...]:
    if not isinstance(raw, Mapping):
        raise MalformedPolicy("Syntax errors in policy. (Condition is an object)")
    found = []
    for operator, tests in raw.items():
        if not isinstance(operator, str) or not isinstance(tests, Mapping):
            raise MalformedPolicy("Syntax errors in policy. (a condition is {operator: {key: value}})")
        for key, value in tests.items():
            if not isinstance(key, str) or len(key) > 2048 or not _CONDITION_KEY.fullmatch(key):
                raise MalformedPolicy("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
            values = value if isinstance(value, list) else [value]
            if not values:
                raise MalformedPolicy(f"Syntax errors in policy. (the condition on {key[:100]} has no value)")
            wanted = tuple(_condition_value(one, key) for one in values)
            try:
                found.append(conditions.compile_condition(operator, key, wanted, variables=variables, effect=effect))
            except conditions.BadCondition as error:
                raise MalformedPolicy(str(error)) from error
    return tuple(found)


def _condition_value(value: Any, key: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise MalformedPolicy(f"Syntax errors in policy. (the value of the condition on {key[:100]} is not text)")


__all__ = ["MOST_CHARACTERS", "VERSIONS", "MalformedPolicy", "Policy", "PolicyType", "Statement", "parse"]

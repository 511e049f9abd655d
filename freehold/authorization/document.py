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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from freehold.authorization import conditions, match, principal_element
from freehold.authorization.conditions import Condition, Effect
from freehold.authorization.match import STAR, Template, Test
from freehold.authorization.principal_element import PrincipalElement

PolicyType: TypeAlias = Literal["identity", "boundary", "session", "scp", "resource", "key", "trust", "rcp", "endpoint"]
Applies: TypeAlias = Callable[[str, Mapping[str, Any]], bool]

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


class Statement:
    """One compiled statement."""

    __slots__ = (
        "action_test",
        "actions",
        "conditions",
        "conditions_hold",
        "effect",
        "index",
        "keys",
        "not_actions",
        "not_resources",
        "policy",
        "principal",
        "resource_test",
        "resources",
        "sid",
        "vendors",
    )

    policy: Policy

    def __init__(
        self,
        index: int,
        sid: str,
        effect: Effect,
        principal: PrincipalElement | None,
        actions: tuple[str, ...],
        not_actions: bool,
        resources: tuple[str, ...],
        not_resources: bool,
        conditions_: tuple[Condition, ...],
        variables: bool,
    ) -> None:
        self.index = index
        self.sid = sid
        self.effect: Effect = effect
        self.principal = principal
        self.actions = actions
        self.not_actions = not_actions
        self.resources = resources
        self.not_resources = not_resources
        self.conditions = conditions_
        self.action_test, self.vendors = _action_test(actions, not_actions)
        self.resource_test, resource_keys = _resource_test(resources, not_resources, variables, effect)
        self.keys: frozenset[str] = resource_keys.union(*(condition.keys for condition in conditions_))
        """The context keys that the statement looks at."""
        self.conditions_hold = _all_of(tuple(condition.holds for condition in conditions_))

    def applies(self, resource: str, context: Mapping[str, Any]) -> bool:
        """Whether resource and conditions match; the action and the principal are for the caller to look at."""
        test = self.resource_test
        return (test is None or test(resource, context)) and self.conditions_hold(context)

    @property
    def label(self) -> str:
        """How explanations call it: its Sid, or its place."""
        return f'statement "{self.sid}"' if self.sid else f"statement {self.index + 1}"

    def __repr__(self) -> str:
        return f"Statement({self.effect}, {self.label})"


class Policy:
    """A compiled policy. `origin` is its ARN, or the name of an inline policy, or what it is attached to."""

    __slots__ = ("_alone", "id", "origin", "statements", "type", "version")

    def __init__(
        self, type_: PolicyType, origin: str, version: str, id_: str, statements: tuple[Statement, ...]
    ) -> None:
        self.type: PolicyType = type_
        self.origin = origin
        self.version = version
        self.id = id_
        self.statements = statements
        self._alone: Any = None
        for statement in statements:
            statement.policy = self

    def __repr__(self) -> str:
        return f"Policy({self.type}, {self.origin!r}, {len(self.statements)} statements)"


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


def _check_depth(text: str) -> None:
    depth = 0
    for opener in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text, re.DOTALL):
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
    return Policy(type, origin, version, id_, statements)


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


# --- compiled parts ---------------------------------------------------------------------------------------------------


def _action_test(actions: tuple[str, ...], inverted: bool) -> tuple[Test, frozenset[str] | None]:
    """A test of lower-case actions, and the only vendors it can hold for (None: any)."""
    if "*" in actions:
        return (lambda action: False) if inverted else (lambda action: True), frozenset() if inverted else None
    lower = [action.lower() for action in actions]
    exact = frozenset(action for action in lower if "*" not in action and "?" not in action)
    patterns = [
        match.text_test(match.parse(action, variables=False)) for action in lower if "*" in action or "?" in action
    ]
    if inverted:
        return (lambda action: action not in exact and not any(test(action) for test in patterns)), None
    vendors = frozenset(action.partition(":")[0] for action in lower)
    if not patterns:
        return exact.__contains__, vendors
    if len(patterns) == 1 and not exact:
        return patterns[0], vendors
    return (lambda action: action in exact or any(test(action) for test in patterns)), vendors


def _resource_test(
    resources: tuple[str, ...], inverted: bool, variables: bool, effect: Effect
) -> tuple[Applies | None, frozenset[str]]:
    """A test of (resource, context), None when every resource will do; and the context keys it looks at."""
    exact: set[str] = set()
    prefixes: list[str] = []
    tests: list[Test] = []
    dynamic: list[Template] = []
    for text in resources:
        template = match.complete_arn(match.parse(text, variables=variables))
        if match.variable_keys(template):
            parts = match.arn_parts(template)
            # Variables stand in the last part only; one before the fifth colon is never replaced, so nothing matches.
            if parts is not None and not any(map(match.variable_keys, parts[:5])):
                dynamic.append(template)
            continue
        whole, start = match.literal(template), match.prefix(template)
        if whole is not None:
            exact.add(whole)
        elif start == "":
            return ((lambda resource, context: False) if inverted else None), frozenset()
        elif start is not None:
            prefixes.append(start)
        else:
            tests.append(match.arn_test(template))
    keys: frozenset[str] = frozenset().union(*map(match.variable_keys, dynamic))
    static = _static_resource_test(exact, tuple(prefixes), tests)
    if not dynamic:
        if inverted:
            return (lambda resource, context: not static(resource)), keys
        return (lambda resource, context: static(resource)), keys
    unresolved_is_other = effect == "Deny"

    def test(resource: str, context: Mapping[str, Any]) -> bool:
        if static(resource):
            return not inverted
        for template in dynamic:
            resolved = match.resolve(template, context)
            if resolved is None:
                if inverted and not unresolved_is_other:
                    return False
            elif match.arn_test(resolved)(resource):
                return not inverted
        return inverted

    return test, keys


def _static_resource_test(exact: set[str], prefixes: tuple[str, ...], tests: list[Test]) -> Test:
    if not exact and not tests:
        return lambda resource: resource.startswith(prefixes)
    if not prefixes and not tests:
        among = frozenset(exact)
        return among.__contains__
    if not exact and not prefixes and len(tests) == 1:
        return tests[0]

    def test(resource: str) -> bool:
        if resource in exact or resource.startswith(prefixes):
            return True
        for one in tests:  # noqa: SIM110 - a generator would cost more than the tests
            if one(resource):
                return True
        return False

    return test


def _all_of(holds: tuple[conditions.Holds, ...]) -> conditions.Holds:
    """One closure for all conditions of a statement; the usual numbers of them without a loop."""
    if not holds:
        return lambda context: True
    if len(holds) == 1:
        return holds[0]
    if len(holds) == 2:
        first, second = holds
        return lambda context: first(context) and second(context)
    return lambda context: all(hold(context) for hold in holds)


__all__ = ["MOST_CHARACTERS", "STAR", "VERSIONS", "MalformedPolicy", "Policy", "PolicyType", "Statement", "parse"]

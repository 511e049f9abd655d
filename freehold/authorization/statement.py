"""Compiled policies: statements whose elements have become tests, and what they are tests of.

Made by `document` alone, which has checked everything by then: nothing here refuses.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from freehold.authorization import match
from freehold.authorization.conditions import Condition, Effect, Holds
from freehold.authorization.match import Template, Test
from freehold.authorization.principal_element import PrincipalElement

PolicyType: TypeAlias = Literal["identity", "boundary", "session", "scp", "resource", "key", "trust", "rcp", "endpoint"]
Applies: TypeAlias = Callable[[str, Mapping[str, Any]], bool]


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

    __slots__ = ("_alone", "_digest", "id", "origin", "source", "statements", "type", "version")

    def __init__(
        self,
        type_: PolicyType,
        origin: str,
        version: str,
        id_: str,
        statements: tuple[Statement, ...],
        source: str | bytes | Mapping[str, Any] = "",
    ) -> None:
        self.type: PolicyType = type_
        self.origin = origin
        self.version = version
        self.id = id_
        self.statements = statements
        self.source = source
        """What it was compiled from: its text, or parsed JSON."""
        self._alone: Any = None
        self._digest = b""
        for statement in statements:
            statement.policy = self

    def __repr__(self) -> str:
        return f"Policy({self.type}, {self.origin!r}, {len(self.statements)} statements)"


# --- the elements as tests --------------------------------------------------------------------------------------------


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


def _all_of(holds: tuple[Holds, ...]) -> Holds:
    """One closure for all conditions of a statement; the usual numbers of them without a loop."""
    if not holds:
        return lambda context: True
    if len(holds) == 1:
        return holds[0]
    if len(holds) == 2:
        first, second = holds
        return lambda context: first(context) and second(context)
    return lambda context: all(hold(context) for hold in holds)

"""How management policies merge into one effective policy: pure functions over parsed documents.

A setting holds operators: `@@assign` (any value), `@@append` and `@@remove` (lists). Policies come by level, from the
root down, those of one level in the order of attaching. `@@operators_allowed_for_child_policies` says what the levels
below may use there: on one level the intersection counts, and no lower level takes a limit back. On an object it says
whether levels below may add elements. Of two policies of one level that assign the same setting, the first counts.

https://docs.aws.amazon.com/organizations/latest/userguide/policy-operators.html
https://docs.aws.amazon.com/organizations/latest/userguide/inheritance-examples.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

ASSIGN, APPEND, REMOVE = "@@assign", "@@append", "@@remove"
CHILDREN: Final = "@@operators_allowed_for_child_policies"
_VALUE_SETTING: Final = frozenset((ASSIGN, APPEND, REMOVE))
_OPERATORS: Final = _VALUE_SETTING | {CHILDREN}

Document = dict[str, Any]


class BadOperator(ValueError):
    """An operator that isn't one, or whose value can't be."""


def check(policy: Any) -> None:
    """Raises BadOperator."""
    if isinstance(policy, list):
        for element in policy:
            check(element)
        return
    if not isinstance(policy, dict):
        return
    for key, value in policy.items():
        if not key.startswith("@@"):
            check(value)
        elif key not in _OPERATORS:
            raise BadOperator(f"Unknown inheritance operator {key[:100]}")
        elif key == CHILDREN:
            _allowed(value)
        elif key in (APPEND, REMOVE) and not isinstance(value, list):
            raise BadOperator(f"{key} is for settings with several values.")
        elif isinstance(value, dict):
            raise BadOperator(f"The value of {key} is a value or a list of values.")


def _allowed(value: Any) -> frozenset[str]:
    """The value-setting operators that a child control operator leaves."""
    listed = value if isinstance(value, list) else [value]
    if listed == ["@@all"]:
        return _VALUE_SETTING
    if listed == ["@@none"]:
        return frozenset()
    if not listed or not all(isinstance(one, str) and one in _VALUE_SETTING for one in listed):
        raise BadOperator(f"{CHILDREN} lists @@all, @@none, or some of {', '.join(sorted(_VALUE_SETTING))}.")
    return frozenset(listed)


@dataclass(slots=True)
class _Node:
    """A place in the effective policy, as far as the levels were merged."""

    elements: dict[str, _Node] = field(default_factory=dict)
    value: Any = None
    allowed: frozenset[str] = _VALUE_SETTING
    """What the levels below may use here."""


def effective(levels: Sequence[Sequence[Document]]) -> Document:
    """The merged policy, without operators and without what came out empty."""
    root = _Node()
    for policies in levels:
        _merge(root, list(policies))
    shown = _shown(root)
    return shown if isinstance(shown, dict) else {}


def _merge(node: _Node, policies: list[Any]) -> None:
    """Merge what one level says of one place."""
    allowed = node.allowed
    objects = [policy for policy in policies if isinstance(policy, dict) and _VALUE_SETTING.isdisjoint(policy)]
    _set_value(node, [policy for policy in policies if policy not in objects], allowed)
    names = dict.fromkeys(name for policy in objects for name in policy if name != CHILDREN)
    for name in names:
        element = node.elements.get(name)
        if element is None:
            if not allowed & {ASSIGN, APPEND}:
                continue
            element = node.elements[name] = _Node()
        _merge(element, [policy[name] for policy in objects if name in policy])
    for policy in policies:
        if isinstance(policy, dict) and CHILDREN in policy:
            node.allowed &= _allowed(policy[CHILDREN])


def _set_value(node: _Node, policies: list[Any], allowed: frozenset[str]) -> None:
    """Assign, append and remove, in this order. A value without an operator is assigned."""
    settings = [policy if isinstance(policy, dict) else {ASSIGN: policy} for policy in policies]
    assigned = [setting[ASSIGN] for setting in settings if ASSIGN in setting]
    if assigned and ASSIGN in allowed:
        node.value = assigned[0]
    for setting in settings:
        if APPEND in setting and APPEND in allowed:
            present = _listed(node.value)
            node.value = present + [one for one in setting[APPEND] if one not in present]
    for setting in settings:
        if REMOVE in setting and REMOVE in allowed:
            node.value = [one for one in _listed(node.value) if one not in setting[REMOVE]]


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _shown(node: _Node) -> Any:
    if node.value is not None:
        return node.value
    elements = {name: _shown(element) for name, element in node.elements.items()}
    return {name: value for name, value in elements.items() if value not in (None, [], {})}

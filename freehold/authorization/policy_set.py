"""Several policies of one type as one: what a principal's identity-based policies are to a decision.

Statements are found by action: those of its vendor (`kms`) first, then those that match, remembered per action.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from freehold.authorization.document import Policy, Statement

_MOST_ACTIONS_REMEMBERED: Final = 4096


class Candidates(NamedTuple):
    """The statements whose action matches, in their order."""

    denies: tuple[Statement, ...]
    allows: tuple[Statement, ...]


class PolicySet:
    """The union of some policies; immutable."""

    __slots__ = ("_by_action", "_by_vendor", "policies", "statements")

    def __init__(self, policies: Iterable[Policy]) -> None:
        self.policies = tuple(policies)
        self.statements = tuple(statement for policy in self.policies for statement in policy.statements)
        self._by_vendor: dict[str, tuple[Statement, ...]] = {}
        self._by_action: dict[str, Candidates] = {}

    def candidates(self, action: str) -> Candidates:
        """The statements that say something about `action` (`vendor:name`, in any case)."""
        found = self._by_action.get(action)
        return found if found is not None else self._find(action)

    def _find(self, action: str) -> Candidates:
        lower = action.lower()
        vendor = lower.partition(":")[0]
        of_vendor = self._by_vendor.get(vendor)
        if of_vendor is None:
            of_vendor = tuple(one for one in self.statements if one.vendors is None or vendor in one.vendors)
            if len(self._by_vendor) < _MOST_ACTIONS_REMEMBERED:
                self._by_vendor[vendor] = of_vendor
        matching = [one for one in of_vendor if one.action_test(lower)]
        found = Candidates(
            tuple(one for one in matching if one.effect == "Deny"),
            tuple(one for one in matching if one.effect == "Allow"),
        )
        if len(self._by_action) >= _MOST_ACTIONS_REMEMBERED:
            self._by_action.clear()
        self._by_action[action] = found
        return found

    def denying(self, action: str, resource: str, context: Mapping[str, Any]) -> Statement | None:
        """The first `Deny` statement that applies. For policies without a Principal element."""
        for statement in (self._by_action.get(action) or self._find(action)).denies:
            if statement.applies(resource, context):
                return statement
        return None

    def allowing(self, action: str, resource: str, context: Mapping[str, Any]) -> Statement | None:
        """The first `Allow` statement that applies. For policies without a Principal element."""
        for statement in (self._by_action.get(action) or self._find(action)).allows:
            if statement.applies(resource, context):
                return statement
        return None

    def __repr__(self) -> str:
        return f"PolicySet({len(self.policies)} policies, {len(self.statements)} statements)"


def alone(policy: Policy) -> PolicySet:
    """The set of one policy, made once per policy."""
    found: PolicySet | None = policy._alone
    if found is None:
        found = policy._alone = PolicySet((policy,))
    return found

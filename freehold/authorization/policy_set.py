"""Several policies of one type as one: what a principal's identity-based policies are to a decision.

Statements are found by action: those of its vendor (`kms`) first, then those that match, remembered per action. What
those statements say depends on the resource and on the context keys that they look at and on nothing else, so their
verdict is remembered by exactly these. The memory is bounded for the whole process.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

from freehold.authorization.conditions import Holds
from freehold.authorization.document import Policy, Statement

Verdict: TypeAlias = tuple[Statement | None, Statement | None]
"""The first `Deny` that applies, and the first `Allow` (not looked for when there is a `Deny`)."""

_MOST_ACTIONS_REMEMBERED: Final = 4096
_MOST_VERDICTS_REMEMBERED: Final = 40_000
_MOST_SETS_REMEMBERING: Final = 8_000
_MOST_CHARACTERS_REMEMBERED: Final = 2_048
_NOTHING: Final[Verdict] = (None, None)


_OF_GROUP: Final = " of the group "
"""No policy and no group has a name with spaces."""


def of_group(policy: str, group: str) -> str:
    """What an explanation calls a group's inline policy (`reading of the group staff`): it is others' too."""
    return f"{policy}{_OF_GROUP}{group}"


def is_of_group(origin: str) -> bool:
    return _OF_GROUP in origin


class _Memory:
    """All remembered verdicts of the process, forgotten together when there are too many."""

    def __init__(self) -> None:
        self._kept: list[dict[Any, Any]] = []
        self._size = 0

    def keep(self, memo: dict[Any, Any], key: Any, value: Any) -> None:
        if not memo:
            self._kept.append(memo)
        self._size += 1
        if self._size > _MOST_VERDICTS_REMEMBERED or len(self._kept) > _MOST_SETS_REMEMBERING:
            kept, self._kept, self._size = self._kept, [memo], 1
            for one in kept:
                one.clear()
        memo[key] = value


_memory = _Memory()


def _is_long(values: tuple[Any, ...]) -> bool:
    """Whether values that a client may choose, such as a user agent, are too long to be remembered by the thousand."""
    size = 0
    for value in values:
        if value is not None:
            size += len(value) if type(value) is str else sum(map(len, value))
    return size > _MOST_CHARACTERS_REMEMBERED


class Candidates:
    """The statements of a set whose action matches, in their order."""

    __slots__ = ("_allows", "_denies", "_holding", "_on_everything", "_verdicts", "allows", "denies", "keys")

    def __init__(self, denies: tuple[Statement, ...], allows: tuple[Statement, ...]) -> None:
        self.denies = denies
        self.allows = allows
        self._denies = _Sifted(denies)
        self._allows = _Sifted(allows)
        self._on_everything = all(one.resource_test is None for one in (*denies, *allows))
        self.keys = tuple(sorted({key for one in (*denies, *allows) for key in one.keys}))
        self._verdicts: dict[Any, Verdict] = {}
        self._holding: dict[Any, tuple[tuple[Statement, ...], tuple[Statement, ...]]] = {}

    def verdict(self, resource: str, context: Mapping[str, Any]) -> Verdict:
        if self._on_everything:
            # As most service control policies are: the verdict is one for all resources, so it's remembered once.
            resource = ""
        values = tuple([context[key] for key in self.keys])
        remembered = self._verdicts.get((resource, values))
        if remembered is not None:
            return remembered
        holding = self._holding.get(values)
        if holding is None:
            # Objects differ from call to call more than the context does: the conditions are remembered on their own.
            known: dict[Holds, bool] = {}
            holding = self._denies.holding(context, known), self._allows.holding(context, known)
            if not _is_long(values):
                _memory.keep(self._holding, values, holding)
        verdict = _NOTHING
        for one in holding[0]:
            if one.resource_test is None or one.resource_test(resource, context):
                verdict = (one, None)
                break
        else:
            for one in holding[1]:
                if one.resource_test is None or one.resource_test(resource, context):
                    verdict = (None, one)
                    break
        if len(resource) <= _MOST_CHARACTERS_REMEMBERED and not _is_long(values):
            _memory.keep(self._verdicts, (resource, values), verdict)
        return verdict


_FEW: Final = 4


class _Sifted:
    """Statements, sorted by what a plain comparison in them wants: of many that ask for one key, few are looked at."""

    __slots__ = ("_by_value", "_rest", "_statements")

    def __init__(self, statements: tuple[Statement, ...]) -> None:
        self._statements = statements
        self._by_value: dict[str, dict[str, list[int]]] = {}
        self._rest: list[int] = []
        for place, one in enumerate(statements):
            plain = next((condition for condition in one.conditions if condition.equals is not None), None)
            if plain is None or len(statements) <= _FEW:
                self._rest.append(place)
                continue
            of_key = self._by_value.setdefault(plain.key.lower(), {})
            for value in plain.equals or ():
                of_key.setdefault(value, []).append(place)

    def holding(self, context: Mapping[str, Any], known: dict[Holds, bool]) -> tuple[Statement, ...]:
        """The statements whose conditions hold, in their order. Equal conditions are one object: evaluated once."""
        places: Iterable[int] = self._rest
        if self._by_value:
            chosen = set(self._rest)
            for key, of_key in self._by_value.items():
                actual = context[key]
                for value in actual if type(actual) is tuple else (actual,):
                    chosen.update(of_key.get(value, ()))
            places = sorted(chosen)
        statements = self._statements
        return tuple([statements[place] for place in places if _all_hold(statements[place], context, known)])


def _all_hold(statement: Statement, context: Mapping[str, Any], known: dict[Holds, bool]) -> bool:
    for condition in statement.conditions:
        holds = condition.holds
        answer = known.get(holds)
        if answer is None:
            answer = known[holds] = holds(context)
        if not answer:
            return False
    return True


def _is_full_access(statements: tuple[Statement, ...]) -> bool:
    everything = False
    for one in statements:
        if one.effect == "Deny":
            return False
        everything = everything or (
            one.actions == ("*",)
            and one.resources == ("*",)
            and not one.not_actions
            and not one.not_resources
            and not one.conditions
            and (one.principal is None or one.principal.everyone)
        )
    return everything


class PolicySet:
    """The union of some policies; immutable."""

    __slots__ = ("_by_action", "_by_vendor", "is_full_access", "policies", "statements")

    def __init__(self, policies: Iterable[Policy]) -> None:
        self.policies = tuple(policies)
        self.statements = tuple(statement for policy in self.policies for statement in policy.statements)
        self.is_full_access = _is_full_access(self.statements)
        """Whether it allows every action on every resource to everyone, and denies nothing (FullAWSAccess)."""
        self._by_vendor: dict[str, tuple[Statement, ...]] = {}
        self._by_action: dict[str, Candidates] = {}

    def candidates(self, action: str) -> Candidates:
        """The statements that say something about `action` (`vendor:name`, in any case)."""
        found = self._by_action.get(action)
        return found if found is not None else self._find(action)

    def verdict(self, action: str, resource: str, context: Mapping[str, Any]) -> Verdict:
        """What the set says. For policies without a Principal element; `context` gives None for absent keys."""
        found = self._by_action.get(action)
        if found is None:
            found = self._find(action)
        if not found.denies and not found.allows:
            return _NOTHING
        return found.verdict(resource, context)

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

    def __repr__(self) -> str:
        return f"PolicySet({len(self.policies)} policies, {len(self.statements)} statements)"


def alone(policy: Policy) -> PolicySet:
    """The set of one policy, made once per policy."""
    found: PolicySet | None = policy._alone
    if found is None:
        found = policy._alone = PolicySet((policy,))
    return found

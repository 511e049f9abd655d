"""The smallest change that would have allowed a denied request: proposed, applied, and decided again.

For each thing that stands in the way, candidates are tried from the smallest on, and the first that moves it out of
the way is taken, until the request is allowed: so each change is needed, and all together are enough. Small is what
opens little: first what the caller could have asked for differently, then an allow for exactly this action on this
resource, then an exception from a deny, last a deny that goes. Candidates themselves are in `allowing.py`,
`narrowing.py` and `asking.py`. Pure.

It answers what would have allowed, not whether that is wise: `warning` says what else a change opens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from freehold.authorization import allowing, asking, checks, decide, narrowing
from freehold.authorization.changes import Change
from freehold.authorization.decide import Decision
from freehold.authorization.document import MalformedPolicy
from freehold.authorization.situation import Situation
from freehold.authorization.statement import Statement

MOST_CHANGES: Final = 24

RULES: Final = "credentials of this kind may never do this, whatever policies say: use other credentials"


@dataclass(frozen=True, slots=True)
class Remedy:
    """All `changes` together allow the request if `enough`; otherwise `obstacle` says what no change here mends."""

    changes: tuple[Change, ...] = ()
    enough: bool = False
    obstacle: str = ""
    instead: tuple[Change, ...] = field(default=())
    """Single changes that would also have been enough: of the request, or of one condition."""

    def as_json(self) -> dict[str, Any]:
        return {
            "enough": self.enough,
            "changes": [change.as_json() for change in self.changes],
            "instead": [change.as_json() for change in self.instead],
            "obstacle": self.obstacle,
        }


def remedy(situation: Situation) -> Remedy:
    """The changes that a denied request needs; none for one that is allowed. Raises MalformedPolicy."""
    changes: list[Change] = []
    current = situation
    decision = current.decision()
    while not decision.allowed:
        if len(changes) == MOST_CHANGES:
            return Remedy(tuple(changes), obstacle="too many policies stand in the way")
        obstacle = _insurmountable(decision)
        if obstacle:
            return Remedy(tuple(changes), obstacle=obstacle)
        step = _next(current, decision)
        if step is None:
            return Remedy(tuple(changes), obstacle="no single change of a policy was found that helps")
        change, current, decision = step
        changes.append(change)
    return Remedy(tuple(changes), True, instead=tuple(_alone(situation, changes)))


def _next(current: Situation, decision: Decision) -> tuple[Change, Situation, Decision] | None:
    """The first candidate that takes something out of the way."""
    before = _in_the_way(decision)
    for change, changed in _candidates(current, decision):
        try:
            after = changed.decision()
        except MalformedPolicy:
            continue
        if after.allowed or _in_the_way(after) < before:
            return change, changed, after
    return None


def _candidates(current: Situation, decision: Decision) -> Iterator[tuple[Change, Situation]]:
    if decision.result == "explicitDeny" and decision.statement is not None:
        yield from narrowing.around_a_deny(current, decision.statement)
    else:
        yield from allowing.for_a_missing_allow(current, decision)


def _alone(situation: Situation, taken: list[Change]) -> Iterator[Change]:
    """What else would have been enough by itself, where the changes that were taken are policies'."""
    decision = situation.decision()
    for change, changed in asking.of_the_request(situation, decision, every_key=True):
        if change not in taken:
            try:
                if changed.decision().allowed:
                    yield change
            except MalformedPolicy:
                continue


def _insurmountable(decision: Decision) -> str:
    request = decision.request
    if decision.decided_by == "rule":
        if decision.policies.resource_account_closed:
            return "the account that has the resource was closed"
        return RULES
    if request.kind == "key" and decide._stays_in_account(request):
        return f"KMS never offers {request.action} on another account's keys"
    return ""


def _in_the_way(decision: Decision) -> int:
    """How much stands in the way: a deny counts more than the allow that may be missing behind it."""
    if decision.allowed:
        return 0
    missing: int = sum(check["evaluatedEffect"] == "IMPLICIT_DENY" for check in checks.checks(decision))
    return 2 * len(denying(decision)) + missing


def denying(decision: Decision) -> list[Statement]:
    """Every `Deny` statement that applies."""
    request, policies = decision.request, decision.policies
    has_boundary = policies.boundary is not None
    plain = [policies.identity, policies.boundary, policies.session]
    if decide._scps_apply(request, policies):
        plain += policies.scps
    named = [policies.endpoint]
    if not decide._root_keeps(request, request.who):
        named.append(request.resource_policy)
    if decide._rcps_apply(request, policies):
        named += policies.rcps
    found = []
    for one in plain:
        if one is not None:
            denies = one.candidates(request.action).denies
            found += [each for each in denies if each.applies(request.resource, request.context)]
    for one in named:
        if one is not None:
            found += checks._with_principal(one, request, "Deny", has_boundary)
    return found

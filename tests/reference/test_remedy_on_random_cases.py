"""Remedies on random cases: what is proposed, applied, allows the request, and opens nothing that it doesn't say."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import random_cases

from freehold.authorization import cases, run_cases
from freehold.authorization.changes import Change
from freehold.authorization.remedy import remedy
from freehold.authorization.situation import Document, Situation

CASES = 900


def applied(found: Situation, change: Change) -> Situation:
    """The situation with one change made by hand, from what the change says alone."""
    if change.edit == "ask-differently":
        context = dict(found.context)
        for key, value in (change.context or {}).items():
            if value is None:
                context.pop(key.lower(), None)
            else:
                context[key.lower()] = value
        return replace(found, context=context)
    kind: Any = change.policy_type
    new = None if change.document is None else Document(kind, change.policy, "").with_json(change.document)
    field = {"identity": "identity", "session": "session", "scp": "scps", "rcp": "rcps"}.get(kind)
    if field is None:
        return replace(found, **{kind if kind in ("boundary", "endpoint") else "resource_policy": new})
    held = getattr(found, field) or ()
    if field in ("scps", "rcps"):
        if change.edit == "new-policy":
            assert new is not None
            level = int(change.words.rpartition("level ")[2].partition(" ")[0]) - 1
            return replace(found, **{field: (*held[:level], (*held[level], new), *held[level + 1 :])})
        levels = tuple(tuple(new if d.origin == change.policy else d for d in level) for level in held)
        return replace(found, **{field: tuple(tuple(d for d in level if d is not None) for level in levels)})
    if change.edit == "new-policy":
        return replace(found, **{field: (*held, new)})
    changed = (new if d.origin == change.policy else d for d in held)
    return replace(found, **{field: tuple(d for d in changed if d is not None)})


def test_a_situation_decides_as_its_case() -> None:
    rng = random.Random(4)
    for _ in range(600):
        case = random_cases.case(rng)
        [result] = run_cases([case])
        if not result.malformed:
            assert cases.situation(case).decision().result == result.got, case


def test_what_is_proposed_is_enough_each_is_needed_and_unrelated_denials_stay() -> None:
    rng = random.Random(20261124)
    seen: Counter[str] = Counter()
    for number in range(CASES):
        case = random_cases.case(rng)
        found = cases.situation(case)
        decision = found.decision()
        answer = remedy(found)
        if decision.allowed:
            assert answer.enough
            assert not answer.changes
            continue
        if not answer.enough:
            seen[answer.obstacle] += 1
            assert decision.decided_by == "rule" or answer.obstacle, case
            continue
        made = found
        for change in answer.changes:
            assert not made.decision().allowed, (case, answer.changes)
            made = applied(made, change)
            seen[change.edit] += 1
        assert made.decision().allowed, (case, answer.changes)
        for change in answer.instead:
            assert applied(found, change).decision().allowed, (case, change)
        if any(change.warning or change.edit == "ask-differently" for change in answer.changes):
            continue
        # Without a warning, nothing but this action on this resource by this caller is opened.
        for action, resource in random_cases.REQUESTS:
            if (action, resource) == (found.action, found.resource):
                continue
            kind = "key" if action.startswith("kms:") else "trust" if action.startswith("sts:") else "resource"
            if kind != found.kind or ("sts" in action) != ("sts" in found.action):
                continue
            before = _asking(found, action, resource).decision()
            after = _asking(made, action, resource).decision()
            assert before.allowed or not after.allowed, (number, case, answer.changes, action, resource)
            seen["stayed"] += not before.allowed
    assert seen["stayed"] > 300
    assert {"new-policy", "add-statement", "extend-resource", "narrow-deny", "exempt-principal"} <= set(seen)


def _asking(found: Situation, action: str, resource: str) -> Situation:
    return replace(found, action=action, resource=resource)

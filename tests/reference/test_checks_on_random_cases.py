"""Authorization checks on random cases: what AWS's API promises of them holds, and they agree with the decision."""

from __future__ import annotations

import random
from collections import Counter
from types import SimpleNamespace
from typing import Any

import random_cases

from freehold.authorization import cases, checks, denial
from freehold.authorization.decide import Decision

ORDER = [
    *("RESOURCE_CONTROL_POLICY", "SERVICE_CONTROL_POLICY", "VPC_ENDPOINT", "RESOURCE"),
    *("PRINCIPAL", "PERMISSIONS_BOUNDARY", "SESSION"),
]


def test_the_checks_of_a_decision_are_as_the_api_promises() -> None:
    rng = random.Random(20261125)
    seen: Counter[str] = Counter()
    for _ in range(2500):
        case = random_cases.case(rng)
        decision = cases.situation(case).decision()
        evaluation = checks.evaluation(decision)
        effects = [check["evaluatedEffect"] for check in evaluation["checks"]]
        types = [ORDER.index(check["checkType"]) for check in evaluation["checks"]]
        assert types == sorted(types)
        if decision.result == "explicitDeny":
            assert "EXPLICIT_DENY" in effects, case
        elif decision.result == "implicitDeny":
            assert "IMPLICIT_DENY" in effects, case
            assert "EXPLICIT_DENY" not in effects, case
        else:
            assert set(effects) <= {"ALLOW", "NO_IMPACT"}, (case, evaluation)
        for check in evaluation["checks"]:
            seen[f"{check['checkType']} {check['evaluatedEffect']}"] += 1
            for matched in check["matchedPolicies"]:
                assert matched["matchedStatements"]
    for check_type in ORDER:
        assert seen[f"{check_type} ALLOW"] > 5, seen
        assert seen[f"{check_type} EXPLICIT_DENY"] or check_type == "RESOURCE", seen


def test_what_is_kept_of_a_decision_decides_the_same_a_day_later() -> None:
    rng = random.Random(8)
    for _ in range(600):
        decision = cases.situation(random_cases.case(rng)).decision()
        found, policies = denial.of_call(_call(decision), 1_767_225_600.0)
        texts = {denial.digest(policy): denial.text_of(policy) for policy in policies}
        [situation] = denial.situations(denial.decode(denial.encode(found)), texts)
        again = situation.decision()
        assert (again.result, again.decided_by) == (decision.result, decision.decided_by)
        assert checks.evaluation(again) == checks.evaluation(decision)


def _call(decision: Decision) -> Any:
    return SimpleNamespace(
        decisions=[decision],
        principal=decision.request.who.principal,
        region="us-east-1",
        request_id="r",
        operation=SimpleNamespace(service="s3", name="GetObject"),
    )

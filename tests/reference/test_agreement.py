"""The compiled engine and the naive evaluator agree on random cases; `FREEHOLD_REFERENCE_CASES` asks for more."""

from __future__ import annotations

import json
import os
import random
from collections import Counter

import naive_evaluator
import pytest
import random_cases

from freehold.authorization import run_cases

CASES = int(os.environ.get("FREEHOLD_REFERENCE_CASES", "6000"))
SEED = int(os.environ.get("FREEHOLD_REFERENCE_SEED", "20260"))
PARTS = 6


@pytest.mark.parametrize("part", range(PARTS))
def test_the_engine_agrees_with_the_naive_evaluator(part: int) -> None:
    rng = random.Random(SEED + part)
    results: Counter[str] = Counter()
    for _ in range(CASES // PARTS):
        case = random_cases.case(rng)
        expected = naive_evaluator.evaluate(case)
        [result] = run_cases([case])
        assert result.got == expected, f"{result.why}\n{json.dumps(case | {'expect': expected})}"
        results[expected] += 1
    # The generated world says something about the engine only while it produces all three outcomes.
    assert min(results["allow"], results["implicitDeny"], results["explicitDeny"]) > CASES // PARTS // 20

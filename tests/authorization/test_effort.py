"""One decision takes only so long, whatever policy and request are multiplied; beyond that it denies."""

from __future__ import annotations

import json
import string
import time
from typing import Any

import pytest

from freehold.authorization import conditions, document, effort, keeping, match
from freehold.authorization.conditions import Effect
from freehold.authorization.gather import Authorizer, IdentityPolicies
from freehold.authorization.permission import Permission
from freehold.authorization.principal import Principal

ACCOUNT = "111122223333"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/k"
ROOT = Principal("root", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, "root")
SIGNS = string.ascii_letters + string.digits
NAMES = tuple(a + b for a in SIGNS for b in SIGNS)[:3800]


class Nothing:
    def identity(self, principal: Principal) -> IdentityPolicies:
        return IdentityPolicies()


def decided(context: dict[str, Any], *conditions: dict[str, Any], effect: Effect = "Deny") -> str:
    """The result for the account's root user under a policy that allows everything, and says these."""
    root = {"Principal": {"AWS": ROOT.arn}, "Action": "kms:*", "Resource": "*"}
    statements: list[dict[str, Any]] = [{"Effect": effect, **root, "Condition": one} for one in conditions]
    if effect == "Deny":
        statements.append({"Effect": "Allow", **root})
    policy = document.parse(json.dumps({"Version": "2012-10-17", "Statement": statements}), "key")
    permission = Permission("kms:Encrypt", KEY, ACCOUNT, context, resource_policy=policy, kind="key")
    return Authorizer(Nothing()).decide_for(ROOT, {}, permission).result


KEYS = "kms:EncryptionContextKeys"
VALUE = "kms:EncryptionContext:a"
TOO_MUCH: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("many values, many patterns", {"ForAnyValue:StringLike": {KEYS: [f"*{n}.*" for n in range(1500)]}}, {}),
    ("negated", {"ForAllValues:StringNotLike": {KEYS: [f"*{n}.*" for n in range(1500)]}}, {}),
    ("without a set operator", {"StringLike": {KEYS: [f"*{n}.*" for n in range(1500)]}}, {}),
    ("ARNs", {"ForAnyValue:ArnLike": {KEYS: [f"arn:aws:*:*:*:{n}*" for n in range(800)]}}, {}),
    ("numbers", {"ForAnyValue:NumericLessThan": {KEYS: [str(n) for n in range(1500)]}}, {}),
    ("variables", {"ForAnyValue:StringLike": {KEYS: [f"${{aws:userid}}*{n}" for n in range(800)]}}, {}),
    ("long text, many patterns", {"StringLike": {VALUE: [f"*?b{n}" for n in range(800)]}}, {"a": "a" * 8000}),
]


@pytest.mark.parametrize("effect", ["Allow", "Deny"])
@pytest.mark.parametrize(("what", "condition", "more"), TOO_MUCH, ids=[case[0] for case in TOO_MUCH])
def test_what_would_take_seconds_is_denied_at_once(
    what: str, condition: dict[str, Any], more: dict[str, str], effect: Effect
) -> None:
    context = {KEYS.lower(): NAMES, **{f"kms:encryptioncontext:{key}": value for key, value in more.items()}}
    began = time.process_time()
    assert decided(context, condition, effect=effect) == "implicitDeny"
    assert time.process_time() - began < 1  # most of it compiles the policy


def test_the_effort_of_all_statements_counts_together() -> None:
    apart = [{"ForAnyValue:StringLike": {KEYS: [f"*{n}.*"]}} for n in range(20)]
    assert decided({KEYS.lower(): NAMES}, *apart[:5]) == "allow"
    assert decided({KEYS.lower(): NAMES}, *apart) == "implicitDeny"


def test_what_is_looked_up_in_one_step_is_not_limited() -> None:
    many = [f"{n}." for n in range(1500)]
    for operator in ("ForAnyValue:StringEquals", "ForAnyValue:StringEqualsIgnoreCase"):
        assert decided({KEYS.lower(): NAMES}, {operator: {KEYS: many}}) == "allow"
        assert decided({KEYS.lower(): NAMES}, {operator: {KEYS: [*many, "aa"]}}) == "explicitDeny"
    assert (
        decided({VALUE.lower(): "a" * 8000}, {"StringEqualsIgnoreCase": {VALUE: [*many, "A" * 8000]}}) == "explicitDeny"
    )
    assert decided({VALUE.lower(): "a" * 8000}, {"StringLike": {VALUE: ["*?b", "*a?a"]}}) == "explicitDeny"


def test_fifty_tags_and_hundreds_of_patterns_are_compared() -> None:
    tags = tuple(f"tag-{n}" for n in range(50))
    patterns = [f"other-{n}*" for n in range(400)]
    condition = {"ForAnyValue:StringLike": {"aws:TagKeys": [*patterns, "tag-4?"]}}
    assert decided({"aws:tagkeys": tags}, condition) == "explicitDeny"
    assert decided({"aws:tagkeys": tags[:40]}, condition) == "allow"


def test_one_decision_leaves_the_next_its_own_effort() -> None:
    with pytest.raises(effort.TooMuchToCompare), effort.limited():
        effort.spend(effort.MOST_STEPS + 1)
    with effort.limited():
        effort.spend(effort.MOST_STEPS)
    effort.spend(10**12)  # outside of decisions nothing is limited


def test_what_is_large_is_not_kept_by_the_thousand() -> None:
    short, long = match.parse("a*b?", variables=False), match.parse("a?" * 100, variables=False)
    assert match.text_test(short) is match.text_test(short)
    assert match.text_test(long) is not match.text_test(long)

    def compiled(*wanted: str) -> conditions.Condition:
        return conditions.compile_condition("StringLike", "aws:username", wanted, variables=True, effect="Deny")

    assert compiled("a*") is compiled("a*")
    for large in (("a*" + "b" * keeping.MOST_CHARACTERS,), tuple(f"{n}*" for n in range(keeping.MOST_PARTS + 1))):
        assert compiled(*large) is not compiled(*large)

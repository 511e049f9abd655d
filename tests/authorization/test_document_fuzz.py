"""Whatever is given as a policy: only MalformedPolicy escapes, and what is accepted can be evaluated."""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.authorization import MalformedPolicy, parse
from freehold.authorization.context_keys import Context
from freehold.authorization.document import RULES
from freehold.authorization.policy_set import alone

WORDS = [
    "Version", "2012-10-17", "2008-10-17", "Statement", "Sid", "Effect", "Allow", "Deny", "Principal", "NotPrincipal",
    "AWS", "Service", "Action", "NotAction", "Resource", "NotResource", "Condition", "StringLike", "StringEquals",
    "ForAllValues:StringLike", "NumericEquals", "DateLessThan", "IpAddress", "Bool", "Null", "ArnLike", "BinaryEquals",
    "*", "s3:*", "s3:GetObject", "arn:aws:s3:::b/*", "${aws:username}", "${", "aws:username", "aws:SourceIp", "10",
    "true", "10.0.0.0/8", "2026-01-01", "111122223333", "sts:AssumeRole", "?", "", "arn:",
    "arn:aws:iam::111122223333:root",
]  # fmt: skip
WORD = st.sampled_from(WORDS) | st.text(max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORD, inner, max_size=4),
    max_leaves=12,
)
KINDS: list[Any] = sorted(RULES)


def attempt(document: Any, kind: Any) -> None:
    try:
        policy = parse(document, kind)
    except MalformedPolicy:
        return
    alone(policy).verdict("s3:GetObject", "arn:aws:s3:::b/k", Context({"aws:username": "x", "aws:sourceip": "x"}))


@settings(max_examples=600, deadline=None)
@given(JSON, st.sampled_from(KINDS))
def test_any_json(document: Any, kind: Any) -> None:
    attempt(document if isinstance(document, dict) else json.dumps(document), kind)
    attempt({"Version": "2012-10-17", "Statement": document}, kind)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=60) | st.binary(max_size=60), st.sampled_from(KINDS))
def test_any_text(text: str | bytes, kind: Any) -> None:
    attempt(text, kind)


GOOD = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "A", "Effect": "Allow", "Principal": {"AWS": ["111122223333", "*"]},
            "Action": ["s3:*", "kms:De?rypt"], "Resource": ["arn:aws:s3:::b/${aws:username}/*", "*"],
            "Condition": {"StringLike": {"aws:username": ["a*"]}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}},
        }
    ],
}  # fmt: skip


def mutate(rng: random.Random, value: Any) -> Any:
    if rng.random() < 0.06:
        return rng.choice([None, 1, 1.5, True, [], {}, [[]], "\x00", *WORDS])
    if isinstance(value, dict):
        return {rng.choice(WORDS) if rng.random() < 0.05 else key: mutate(rng, one) for key, one in value.items()}
    if isinstance(value, list):
        return [mutate(rng, one) for one in value]
    return value


def test_altered_policies() -> None:
    rng = random.Random(11)
    for _ in range(4000):
        attempt(mutate(rng, GOOD), rng.choice(KINDS))


def test_damaged_text() -> None:
    rng = random.Random(12)
    text = json.dumps(GOOD)
    for _ in range(3000):
        at = rng.randrange(len(text))
        put = rng.choice(["", '"', "{", "}", ",", "\\", "\x00", "é", text[at:][:7]])
        attempt(text[:at] + put + text[at + 1 :], "key")

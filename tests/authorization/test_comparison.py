"""Two versions of a policy on the same requests: what opens, what closes, and what is generated to find out."""

from __future__ import annotations

import random
from typing import Any

import pytest

from freehold.authorization import comparison
from freehold.authorization.comparison import MalformedCases, MalformedPolicy

A = "111122223333"
ALICE = f"arn:aws:iam::{A}:user/alice"
READ = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
WRITE = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::b/*"}
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def case(action: str, name: str = "", **policies: Any) -> dict[str, Any]:
    request = {"principal": ALICE, "action": action, "resource": "arn:aws:s3:::b/k"}
    return {"name": name, "request": request, "policies": policies}


def compared(before: Any, after: Any, requests: Any, field: str = "identity") -> list[tuple[str, str]]:
    type_ = comparison.FIELDS[field]
    versions = comparison.documents(before, type_, "A"), comparison.documents(after, type_, "B")
    found = comparison.compare(*versions, comparison.of_cases(requests), field)
    return [(one.action, one.change) for one in found]


def test_what_a_change_opens_and_closes() -> None:
    requests = [case("s3:GetObject"), case("s3:PutObject"), case("s3:DeleteObject")]
    assert compared(policy(READ), policy(WRITE), requests) == [
        ("s3:GetObject", "closes"),
        ("s3:PutObject", "opens"),
        ("s3:DeleteObject", "same"),
    ]


def test_the_other_policies_of_a_case_stay() -> None:
    requests = [case("s3:PutObject", boundary=policy(READ), identity=[policy(EVERYTHING)])]
    assert compared(policy(READ), policy(WRITE), requests) == [("s3:PutObject", "same")]


@pytest.mark.parametrize("field", ["boundary", "session", "scp", "rcp", "endpoint"])
def test_what_limits_is_compared_where_something_is_allowed(field: str) -> None:
    named = {"Principal": "*"} if field in ("rcp", "endpoint") else {}
    deny = {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*", **named}
    requests = [case("s3:PutObject", identity=[policy(EVERYTHING)])]
    everything = EVERYTHING | named
    assert compared(policy(everything), policy(everything, deny), requests, field) == [("s3:PutObject", "closes")]


def test_a_key_policy_and_a_trust_policy_are_compared_as_resource_policies() -> None:
    key = {"request": {"principal": ALICE, "action": "kms:Decrypt", "resource": f"arn:aws:kms:us-east-1:{A}:key/k"}}
    trusting = {"Effect": "Allow", "Principal": {"AWS": ALICE}, "Action": "kms:Decrypt", "Resource": "*"}
    nobody = trusting | {"Principal": {"AWS": f"arn:aws:iam::{A}:user/bob"}}
    assert compared(policy(nobody), policy(trusting), [key], "resource") == [("kms:Decrypt", "opens")]


def test_generated_requests_meet_what_either_version_names() -> None:
    before = comparison.documents(policy(READ), "identity", "A")
    after = comparison.documents(policy(READ | {"Action": "s3:Get*"}, WRITE), "identity", "B")
    found = comparison.compare(before, after, comparison.generated(before, after))
    changes = {one.action: one.change for one in found}
    assert changes["s3:GetObject"] == "same"
    assert changes["s3:PutObject"] == changes["s3:GetObjectAcl"] == changes["s3:GetObjectVersionTagging"] == "opens"
    # What no object has isn't asked for on one: the policy opens nothing there.
    assert not changes.keys() & {"s3:GetBucketAcl", "s3:GetAccountPublicAccessBlock", "s3:GetAccessPoint"}


def test_a_pattern_of_actions_is_asked_for_as_the_actions_that_can_have_the_resource() -> None:
    wide = {"Effect": "Allow", "Action": ["kms:*crypt", "new-service:Do*"], "Resource": "*"}
    found = comparison.generated(comparison.documents(policy(wide), "identity", "A"))
    assert {one.action for _, one in found} == {"kms:Decrypt", "kms:Encrypt", "new-service:Dosample"}
    bucket = {"Effect": "Allow", "Action": "s3:*Acl", "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/a/*"]}
    found = comparison.generated(comparison.documents(policy(bucket), "identity", "A"))
    asked = {(one.action, one.resource) for _, one in found}
    assert ("s3:GetBucketAcl", "arn:aws:s3:::b") in asked
    assert ("s3:GetObjectAcl", "arn:aws:s3:::b/a/sample") in asked
    assert not asked & {("s3:GetBucketAcl", "arn:aws:s3:::b/a/sample"), ("s3:GetObjectAcl", "arn:aws:s3:::b")}


def test_where_all_actions_of_a_pattern_are_too_many_each_pattern_has_one() -> None:
    buckets = [f"arn:aws:s3:::b{number}/*" for number in range(300)]
    wide = {"Effect": "Allow", "Action": ["s3:*", "s3:Put*"], "Resource": buckets}
    found = comparison.generated(comparison.documents(policy(wide), "identity", "A"))
    assert len({one.action for _, one in found}) == 2
    assert {one.resource for _, one in found} == {bucket.replace("*", "sample") for bucket in buckets}


def test_a_version_compared_with_itself_differs_in_nothing_and_swapped_versions_swap_what_changes() -> None:
    swapped = {"opens": "closes", "closes": "opens", "same": "same"}
    rng = random.Random(7)
    actions = ["s3:GetObject", "s3:*", "s3:PutObject", "*", "kms:Decrypt"]
    for _ in range(60):
        one, other = (
            comparison.documents(
                policy(*({**READ, "Effect": rng.choice(["Allow", "Allow", "Deny"]), "Action": rng.choice(actions)}
                         for _ in range(2))),
                "identity", name,
            )
            for name in "AB"
        )  # fmt: skip
        requests = comparison.generated(one, other)
        assert {each.change for each in comparison.compare(one, one, requests)} == {"same"}
        there = [each.change for each in comparison.compare(one, other, requests)]
        back = [each.change for each in comparison.compare(other, one, requests)]
        assert back == [swapped[change] for change in there]


def test_a_hostile_policy_generates_a_bounded_number_of_requests() -> None:
    many = {
        "Effect": "Allow",
        "Action": [f"s3:A{i}" for i in range(900)],
        "Resource": [f"arn:aws:s3:::b{i}/*" for i in range(900)],
    }
    versions = comparison.documents(policy(many), "identity", "A")
    assert len(comparison.generated(versions)) == comparison.MOST_GENERATED
    wide = many | {"Action": [f"s3:*{'?' * (i % 9)}*{i % 7}*" for i in range(200)] + ["s3:*"] * 200}
    assert len(comparison.generated(comparison.documents(policy(wide), "identity", "A"))) <= comparison.MOST_GENERATED


def test_what_is_no_policy_and_no_case_is_refused() -> None:
    with pytest.raises(MalformedPolicy):
        comparison.documents({"Statement": [{"Effect": "Maybe"}]}, "identity", "A")
    with pytest.raises(MalformedCases):
        comparison.documents("x", "identity", "A")
    with pytest.raises(MalformedCases):
        comparison.of_cases([{"request": {"principal": ALICE}}])

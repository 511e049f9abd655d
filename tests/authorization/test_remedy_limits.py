"""What a remedy counts as being in the way, what would have been enough instead, and where it gives up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from freehold.authorization import cases, document
from freehold.authorization import remedy as remedies
from freehold.authorization.changes import Change
from freehold.authorization.decide import Decision
from freehold.authorization.remedy import MOST_CHANGES, RULES, Remedy, denying, remedy
from freehold.authorization.situation import Situation

A, B = "111122223333", "444455556666"
ALICE, BOB = f"arn:aws:iam::{A}:user/alice", f"arn:aws:iam::{B}:user/bob"
OBJECT, KEY = "arn:aws:s3:::reports/q1", f"arn:aws:kms:us-east-1:{A}:key/k"
GET = "s3:GetObject"


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = GET, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def situation(policies: dict[str, Any], **request: Any) -> Situation:
    asked = {"principal": ALICE, "action": GET, "resource": OBJECT, **request}
    return cases.situation({"request": asked, "policies": policies, "account_of_resource": A})


ALL, NO = policy(allow()), policy(allow(), deny())
NO_ONE = policy(allow(Principal="*"), deny(Principal="*"))
EVERYWHERE: dict[str, Any] = {
    "identity": [NO], "boundary": NO, "session": [NO], "scps": [[ALL], [NO]], "endpoint": NO_ONE, "resource": NO_ONE,
    "rcps": [[policy(deny(Principal="*"))]],
}  # fmt: skip
DENYING: list[tuple[str, dict[str, Any], dict[str, Any], list[str]]] = [
    ("every type of policy", EVERYWHERE, {}, ["identity", "boundary", "session", "scp", "endpoint", "resource", "rcp"]),
    ("not the SCPs of a management account, nor RCPs there", EVERYWHERE, {"management_account": True},
     ["identity", "boundary", "session", "endpoint", "resource"]),
    ("no RCP on what they are not for", {"identity": [ALL], "rcps": [[policy(deny("*", Principal="*"))]]},
     {"action": "ec2:RunInstances", "resource": "*"}, []),
    ("nothing that is about another resource", {"identity": [policy(deny(GET, "arn:aws:s3:::other/*"), deny())]}, {},
     ["identity"]),
    ("nothing about another principal", {"identity": [ALL], "resource": policy(deny(Principal={"AWS": BOB}))}, {}, []),
    ("NotPrincipal, where there is a boundary", {"identity": [ALL], "boundary": ALL, "resource": policy(
        deny(NotPrincipal={"AWS": [ALICE, A]}))}, {}, ["resource"]),
    ("NotPrincipal, where there is none", {"identity": [ALL], "resource": policy(
        deny(NotPrincipal={"AWS": [ALICE, A]}))}, {}, []),
    ("a bucket's own policy, which its root user keeps", {"resource": policy(deny("s3:*", Principal="*"))},
     {"principal": f"arn:aws:iam::{A}:root", "action": "s3:DeleteBucketPolicy", "resource": "arn:aws:s3:::reports"},
         []),
    ("but not for others", {"identity": [ALL], "resource": policy(deny("s3:*", Principal="*"))},
     {"action": "s3:DeleteBucketPolicy", "resource": "arn:aws:s3:::reports"}, ["resource"]),
]  # fmt: skip


@pytest.mark.parametrize(("what", "policies", "request_", "types"), DENYING, ids=[row[0] for row in DENYING])
def test_every_deny_that_applies_is_in_the_way(what: str, policies: Any, request_: Any, types: list[str]) -> None:
    decision = situation(policies, **request_).decision()
    assert sorted(one.policy.type for one in denying(decision)) == sorted(types)


def test_each_change_takes_one_thing_out_of_the_way() -> None:
    found = remedy(situation(EVERYWHERE))
    assert found.enough
    assert [change.policy_type for change in found.changes] == [
        "scp", "rcp", "endpoint", "resource", "identity", "boundary", "session",
    ]  # fmt: skip


def test_how_much_is_in_the_way() -> None:
    def counted(**policies: Any) -> int:
        return remedies._in_the_way(situation(policies).decision())

    assert counted(identity=[ALL]) == 0
    assert counted() == 1
    assert counted(boundary=policy(allow("ec2:*"))) == 2
    assert counted(identity=[NO]) == 2
    assert counted(identity=[NO, NO]) == 4


TAG = {"StringEquals": {"aws:PrincipalTag/team": "red"}}
NETWORK = {"IpAddress": {"aws:SourceIp": "203.0.113.7"}}
INSTEAD: list[tuple[str, dict[str, Any], list[dict[str, Any]]]] = [
    ("a tag that a statement wants", {"identity": [policy(allow("s3:*", Condition=TAG))]},
     [{"aws:PrincipalTag/team": "red"}]),
    ("either of two statements'", {"identity": [policy(allow("s3:*", Condition=TAG), allow(GET, Condition={
        "StringEquals": {"aws:PrincipalTag/role": "reader"}}))]},
     [{"aws:PrincipalTag/team": "red"}, {"aws:PrincipalTag/role": "reader"}]),
    ("one that is not enough by itself", {"identity": [policy(allow("s3:*", Condition=TAG))],
                                          "boundary": policy(allow("ec2:*"))}, []),
    ("an exception from a deny", {"identity": [policy(allow(), deny("s3:*", Condition={
        "StringNotEquals": {"aws:PrincipalTag/team": "red"}}))]}, [{"aws:PrincipalTag/team": "red"}]),
    ("not what was taken already", {"identity": [policy(allow("s3:*", Condition={
        "Bool": {"aws:MultiFactorAuthPresent": "true"}}))]}, []),
    ("nothing", {"identity": [policy(allow("ec2:*"))]}, []),
]  # fmt: skip


@pytest.mark.parametrize(("what", "policies", "contexts"), INSTEAD, ids=[row[0] for row in INSTEAD])
def test_what_would_have_been_enough_instead(what: str, policies: Any, contexts: list[dict[str, Any]]) -> None:
    found = remedy(situation(policies))
    assert found.enough
    assert [change.context for change in found.instead] == contexts
    assert all(change.edit == "ask-differently" and change not in found.changes for change in found.instead)


OBSTACLES: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("another account's key is not managed", {"identity": [ALL], "resource": policy(allow(Principal="*"))},
     {"principal": BOB, "action": "kms:ScheduleKeyDeletion", "resource": KEY},
     "KMS never offers kms:ScheduleKeyDeletion on another account's keys"),
    ("what these credentials never do", {"identity": [ALL]},
     {"principal": f"arn:aws:iam::{A}:root", "action": "sts:AssumeRole", "resource": f"arn:aws:iam::{A}:role/r"},
         RULES),
    ("a resource that no policy could name", {}, {"resource": "reports"},
     "no single change of a policy was found that helps"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "policies", "request_", "obstacle"), OBSTACLES, ids=[row[0] for row in OBSTACLES])
def test_what_no_change_mends(what: str, policies: Any, request_: Any, obstacle: str) -> None:
    found = remedy(situation(policies, **request_))
    assert found == Remedy(obstacle=obstacle)
    assert found.as_json() == {"enough": False, "changes": [], "instead": [], "obstacle": obstacle}
    assert RULES == "credentials of this kind may never do this, whatever policies say: use other credentials"


def test_one_s_own_key_is_managed_by_a_change() -> None:
    found = remedy(situation({"resource": policy(allow(Principal={"AWS": A}))}, action="kms:ScheduleKeyDeletion",
                             resource=KEY))  # fmt: skip
    assert (found.enough, found.obstacle) == (True, "")


def test_a_closed_account_is_the_obstacle() -> None:
    decision = situation({}, action="sts:GetSessionToken", resource="*",
                         principal=f"arn:aws:sts::{A}:assumed-role/r/s").decision()  # fmt: skip
    assert decision.decided_by == "rule"
    assert remedies._insurmountable(decision) == RULES
    policies = replace(decision.policies, resource_account_closed=True)
    closed = Decision(decision.result, "rule", None, decision.request, policies)
    assert remedies._insurmountable(closed) == "the account that has the resource was closed"


def test_it_gives_up_where_too_many_policies_stand_in_the_way() -> None:
    def blocked(levels: int) -> Remedy:
        return remedy(situation({"identity": [ALL], "scps": [[policy(allow("ec2:*"))]] * levels}))

    most, more = blocked(MOST_CHANGES), blocked(MOST_CHANGES + 1)
    assert MOST_CHANGES == 24
    assert (most.enough, len(most.changes), most.obstacle) == (True, 24, "")
    assert (more.enough, len(more.changes)) == (False, 24)
    assert more.obstacle == "too many policies stand in the way"


def test_a_request_that_is_allowed_needs_nothing() -> None:
    assert remedy(situation({"identity": [ALL]})) == Remedy(enough=True)


def test_a_remedy_as_json() -> None:
    found = remedy(situation({"identity": [policy(allow("s3:*", Condition=TAG))]}))
    assert found.as_json() == {
        "enough": True,
        "changes": [change.as_json() for change in found.changes],
        "instead": [change.as_json() for change in found.instead],
        "obstacle": "",
    }
    assert len(found.as_json()["changes"]) == len(found.as_json()["instead"]) == 1


def test_a_change_that_would_make_a_policy_too_long_is_passed_over() -> None:
    many = [f"arn:aws:s3:::x/{number:0>1000}" for number in range(100)]
    held = policy(allow(GET, many, Condition={"Bool": {"aws:SecureTransport": "true"}}))
    found = remedy(situation({"identity": [held]}, context={"aws:SecureTransport": "true"}))
    assert [change.edit for change in found.changes] == ["extend-resource"]
    held["Statement"][0]["Resource"].append("arn:aws:s3:::" + "y" * (document.MOST_CHARACTERS - _length(held) - 16))
    assert document.MOST_CHARACTERS - _length(held) < len(OBJECT)
    found = remedy(situation({"identity": [held]}, context={"aws:SecureTransport": "true"}))
    assert [change.edit for change in found.changes] == ["new-policy"]


def _length(held: dict[str, Any]) -> int:
    return len(json.dumps(held, separators=(",", ":")))


def test_a_candidate_that_does_not_help_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    useless = Change("identity", "", "new-policy", "Nothing.", ())
    real = remedies.allowing.for_a_missing_allow

    def also_useless(current: Situation, decision: Decision) -> Iterator[Any]:
        yield useless, current
        yield useless, replace(current, boundary=situation({"boundary": NO}).boundary)
        yield from real(current, decision)

    monkeypatch.setattr(remedies.allowing, "for_a_missing_allow", also_useless)
    found = remedy(situation({}))
    assert found.enough
    assert useless not in found.changes
    monkeypatch.setattr(remedies.allowing, "for_a_missing_allow", lambda current, decision: iter([(useless, current)]))
    assert remedy(situation({})) == Remedy(obstacle="no single change of a policy was found that helps")

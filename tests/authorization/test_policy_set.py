"""Several policies as one: which set allows everything, which statements an action finds, and what is remembered."""

from __future__ import annotations

from typing import Any

import pytest

from freehold.authorization import document, policy_set
from freehold.authorization.policy_set import PolicySet, Verdict

ALL = {"Effect": "Allow", "Action": "*", "Resource": "*"}
DENY = ALL | {"Effect": "Deny", "Action": "s3:*"}
OBJECT = "arn:aws:s3:::b/k"


def held(*statements: dict[str, Any], type_: Any = "identity") -> PolicySet:
    return PolicySet((document.parse({"Version": "2012-10-17", "Statement": list(statements)}, type_),))


def without(statement: dict[str, Any], name: str, **more: Any) -> dict[str, Any]:
    return {key: value for key, value in statement.items() if key != name} | more


FULL = [  # statements, type, whether they allow everything to everyone
    ([ALL], "scp", True),
    ([ALL | {"Action": "s3:*"}, ALL], "scp", True),
    ([ALL, ALL | {"Action": "s3:*"}], "scp", True),
    ([ALL, DENY], "scp", False),
    ([DENY, ALL], "scp", False),
    ([DENY], "scp", False),
    ([ALL | {"Action": "s3:*"}], "scp", False),
    ([ALL | {"Action": ["*", "s3:*"]}], "scp", False),
    ([ALL | {"Resource": "arn:aws:s3:::b"}], "scp", False),
    ([without(ALL, "Action", NotAction="*")], "scp", False),
    ([without(ALL, "Resource", NotResource="*")], "scp", False),
    ([ALL | {"Condition": {"Bool": {"aws:SecureTransport": "true"}}}], "scp", False),
    ([ALL | {"Principal": "*"}], "rcp", True),
    ([ALL | {"Principal": {"AWS": "111122223333"}}], "endpoint", False),
]


@pytest.mark.parametrize(("statements", "type_", "full"), FULL)
def test_full_access_is_everything_to_everyone(statements: list[dict[str, Any]], type_: str, full: bool) -> None:
    assert held(*statements, type_=type_).is_full_access is full


def test_nothing_is_not_full_access() -> None:
    assert not PolicySet(()).is_full_access


def effect(verdict: Verdict) -> str:
    return "".join(one.effect for one in verdict if one is not None)


@pytest.mark.parametrize("action", ["s3:GetObject", "S3:getobject"])
def test_an_action_is_found_in_any_case(action: str) -> None:
    several = held(ALL | {"Action": "S3:Get*"}, ALL | {"Action": "kms:*", "Effect": "Deny"})
    for _ in range(2):
        assert effect(several.verdict(action, OBJECT, {})) == "Allow"
        assert effect(several.verdict("kms:Decrypt", OBJECT, {})) == "Deny"
        assert effect(several.verdict("sts:AssumeRole", OBJECT, {})) == ""


def test_actions_are_remembered_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_set, "_MOST_ACTIONS_REMEMBERED", 3)
    one = held(ALL)
    sizes = []
    for number in range(5):
        for _ in range(2):
            assert effect(one.verdict(f"s{number}:GetObject", OBJECT, {})) == "Allow"
        sizes.append((len(one._by_action), len(one._by_vendor)))
    assert sizes == [(1, 1), (2, 2), (3, 3), (1, 3), (2, 3)]


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> policy_set._Memory:
    monkeypatch.setattr(policy_set, "_MOST_VERDICTS_REMEMBERED", 5)
    monkeypatch.setattr(policy_set, "_MOST_SETS_REMEMBERING", 3)
    return policy_set._Memory()


def test_no_more_verdicts_are_remembered_than_there_is_room_for(memory: policy_set._Memory) -> None:
    one: dict[Any, Any] = {}
    other: dict[Any, Any] = {}
    for number in range(3):
        memory.keep(one, number, number)
    for number in range(2):
        memory.keep(other, number, number)
    assert (one, other) == ({0: 0, 1: 1, 2: 2}, {0: 0, 1: 1})
    memory.keep(one, "next", "next")
    assert (one, other) == ({"next": "next"}, {})
    for number in range(4):
        memory.keep(one, number, number)
    assert len(one) == 5
    memory.keep(other, "last", "last")
    assert (one, other) == ({}, {"last": "last"})


def test_no_more_sets_remember_than_there_is_room_for(memory: policy_set._Memory) -> None:
    sets: list[dict[Any, Any]] = [{} for _ in range(4)]
    for one in sets[:3]:
        memory.keep(one, 1, 1)
    memory.keep(sets[0], 2, 2)
    assert [len(one) for one in sets] == [2, 1, 1, 0]
    memory.keep(sets[3], 1, 1)
    assert [len(one) for one in sets] == [0, 0, 0, 1]


LENGTHS = [  # values, whether they are too long to be remembered
    ((), False),
    ((None, None), False),
    (("a" * 2048,), False),
    (("a" * 2049,), True),
    (("a" * 1024, None, "b" * 1024), False),
    (("a" * 1024, None, "b" * 1025), True),
    ((("a" * 1000, "b" * 1000), "c" * 48), False),
    ((("a" * 1000, "b" * 1000), "c" * 49), True),
    ((("a",) * 3000,), True),
]


@pytest.mark.parametrize(("values", "long"), LENGTHS, ids=range(len(LENGTHS)))
def test_what_a_client_may_make_long(values: tuple[Any, ...], long: bool) -> None:
    assert policy_set._is_long(values) is long


@pytest.mark.parametrize(("length", "kept"), [(2048, 1), (2049, 0)])
def test_long_names_of_resources_are_not_remembered(length: int, kept: int) -> None:
    found = held(ALL | {"Resource": "arn:aws:s3:::b/*"}).candidates("s3:GetObject")
    resource = "arn:aws:s3:::b/".ljust(length, "k")
    for _ in range(2):
        assert effect(found.verdict(resource, {})) == "Allow"
    assert len(found._verdicts) == kept


def test_a_verdict_on_every_resource_is_remembered_once() -> None:
    found = held(ALL).candidates("s3:GetObject")
    for number in range(3):
        assert effect(found.verdict(f"arn:aws:s3:::b/{number}", {})) == "Allow"
    assert len(found._verdicts) == 1


def test_a_statement_about_some_resources_beside_it_is_heard() -> None:
    found = held(ALL, {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::b/1"}).candidates("s3:GetObject")
    told = [effect(found.verdict(f"arn:aws:s3:::b/{number}", {})) for number in range(3)]
    assert told == ["Allow", "Deny", "Allow"]


@pytest.mark.parametrize(("length", "kept"), [(2048, 1), (2049, 0)])
def test_long_values_are_not_remembered(length: int, kept: int) -> None:
    found = held(ALL | {"Condition": {"StringLike": {"aws:UserAgent": "k*"}}}).candidates("s3:GetObject")
    for _ in range(2):
        assert effect(found.verdict(OBJECT, {"aws:useragent": "k" * length})) == "Allow"
    assert (len(found._holding), len(found._verdicts)) == (kept, kept)


def test_a_deny_comes_before_any_allow_and_the_first_of_each_is_told() -> None:
    several = held(ALL, ALL | {"Sid": "B"}, DENY | {"Sid": "C"}, DENY | {"Sid": "D"})
    assert several.verdict("s3:GetObject", OBJECT, {}) == (several.statements[2], None)
    assert several.verdict("kms:Decrypt", OBJECT, {}) == (None, several.statements[0])

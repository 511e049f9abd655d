"""The format of `freehold policy test`: what is taken, what is refused, and what is said about failures."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from typing import Any

import pytest

import freehold.authorization
from freehold.authorization import MalformedCases, MalformedPolicy, evaluate, is_allowed, run_cases

ALICE = "arn:aws:iam::111122223333:user/alice"
ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
REQUEST = {"principal": ALICE, "action": "s3:GetObject", "resource": "arn:aws:s3:::b/k"}
CASE = {"name": "one", "request": REQUEST, "policies": {"identity": [ALLOW]}, "expect": "allow"}


def test_the_package_documents_itself_truly() -> None:
    assert doctest.testmod(freehold.authorization).failed == 0
    assert doctest.testmod(freehold.authorization).attempted > 0


def test_importing_the_package_loads_nothing_of_the_engine() -> None:
    code = "import sys, freehold.authorization; print([m for m in sys.modules if m.startswith('freehold.auth')])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "['freehold.authorization']"


def test_what_is_not_there_is_not_invented() -> None:
    with pytest.raises(AttributeError):
        freehold.authorization.nothing  # noqa: B018


def test_cases_come_in_a_list_or_under_cases() -> None:
    assert [result.passed for result in run_cases([CASE, CASE])] == [True, True]
    assert [result.passed for result in run_cases({"cases": [CASE], "about": "other fields are ignored"})] == [True]


def test_every_field_but_request_and_expect_may_be_left_out() -> None:
    [result] = run_cases([{"request": REQUEST, "expect": "implicitDeny"}])
    assert result.passed
    assert result.name == "case 1"


def test_fields_may_be_null_or_empty() -> None:
    policies = {"identity": [ALLOW], "resource": None, "boundary": None, "session": [], "scps": [], "rcps": [],
                "kms_grants": []}  # fmt: skip
    [result] = run_cases([CASE | {"policies": policies, "account_of_resource": None, "comment": "ignored"}])
    assert result.passed


def test_a_failure_says_why() -> None:
    wanted = {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}
    policy = {
        "Version": "2012-10-17",
        "Statement": {
            "Sid": "InEurope", "Effect": "Allow", "Action": "s3:*", "Resource": "*", "Condition": wanted,
        },
    }  # fmt: skip
    request = REQUEST | {"context": {"aws:RequestedRegion": "us-east-1"}}
    [result] = run_cases([CASE | {"request": request, "policies": {"identity": [policy]}}])
    assert result.as_json() == {
        "name": "one",
        "expect": "allow",
        "got": "implicitDeny",
        "why": f'User: {ALICE} is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::b/k" because no '
        'identity-based policy allows the s3:GetObject action; identity-based policy 1, statement "InEurope": its '
        "condition StringEquals on aws:RequestedRegion wants 'eu-west-1', the request has 'us-east-1'",
    }


def test_where_a_policy_cannot_be_understood_nothing_is_allowed() -> None:
    broken = CASE | {"name": "broken", "policies": {"identity": [{"Statement": {"Effect": "Maybe"}}]}}
    results = run_cases([broken, CASE])
    assert [result.got for result in results] == ["implicitDeny", "allow"]
    assert "Invalid effect: Maybe" in results[0].why
    assert [result.malformed for result in results] == [True, False]


MALFORMED = [  # cases, words
    ({}, "list"),
    ("x", "list"),
    (["x"], "case 1 is not an object"),
    ([CASE | {"name": 1}], "name is not text"),
    ([CASE | {"expect": "deny"}], "one: expect is one of allow, implicitDeny, explicitDeny"),
    ([CASE | {"request": None}], "one: request is missing"),
    ([CASE | {"request": REQUEST | {"action": None}}], "request.action is missing"),
    ([CASE | {"request": REQUEST | {"action": "GetObject"}}], "service:Name"),
    ([CASE | {"request": REQUEST | {"action": "s3:*"}}], "service:Name"),
    ([CASE | {"request": REQUEST | {"principal": "alice"}}], "'alice' is no ARN"),
    ([CASE | {"request": REQUEST | {"principal": "service:"}}], "names no service"),
    ([CASE | {"request": REQUEST | {"principal": "arn:aws:iam::111122223333:group/g"}}], "is no user, role"),
    ([CASE | {"request": REQUEST | {"principal": "arn:aws:iam::1:user/x"}}], "has no account"),
    ([CASE | {"request": REQUEST | {"principal": "arn:aws:sts::111122223333:assumed-role/x"}}], "is no user, role"),
    ([CASE | {"request": REQUEST | {"context": []}}], "context is missing or not an object"),
    ([CASE | {"request": REQUEST | {"context": {"aws:x": None}}}], "'aws:x' is not text"),
    ([CASE | {"request": REQUEST | {"management_account": "yes"}}], "management_account is true or false"),
    ([CASE | {"policies": []}], "policies is missing or not an object"),
    ([CASE | {"policies": {"identity": "x"}}], "policies.identity is not a list"),
    ([CASE | {"policies": {"scps": [ALLOW]}}], "policies.scps is a list of levels"),
    ([CASE | {"policies": {"kms_grants": [{}]}}], "a KMS grant is an object"),
    ([CASE | {"policies": {"kms_grants": [{"grantee": "x", "operations": "Decrypt"}]}}], "list of texts"),
    ([CASE | {"account_of_resource": "1"}], "12 digits"),
]


@pytest.mark.parametrize(("cases", "words"), MALFORMED)
def test_a_malformed_case_is_refused_in_words(cases: Any, words: str) -> None:
    with pytest.raises(MalformedCases) as refused:
        run_cases(cases)
    assert words in str(refused.value)


def test_documents_may_be_text() -> None:
    assert is_allowed(ALICE, "s3:GetObject", "arn:aws:s3:::b/k", identity=[json.dumps(ALLOW)])


def test_evaluate_refuses_what_is_no_policy() -> None:
    with pytest.raises(MalformedPolicy):
        evaluate(ALICE, "s3:GetObject", "*", identity=["{}"])


def test_an_evaluation_has_every_policys_verdict() -> None:
    found = evaluate(ALICE, "s3:GetObject", "arn:aws:s3:::b/k", identity=[ALLOW], boundary=ALLOW, scps=[[ALLOW], []])
    details = found.details()
    assert details["decidedBy"] == "scp"
    assert [(one["policy_type"], one["verdict"]) for one in details["policies"]] == [
        ("service control policies", "allow"),
        ("service control policies", "implicitDeny"),
        ("identity-based policies", "allow"),
        ("permissions boundary", "allow"),
    ]
    assert json.loads(json.dumps(details)) == details

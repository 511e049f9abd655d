"""What a simulation takes and refuses, its pages, and the context keys that policies name."""

from __future__ import annotations

import time
from typing import Any

import pytest
from desk import Desk, Key, allow, deny, policy, refused

from freehold.services.iam import simulated, simulation_results

BUCKET = "arn:aws:s3:::reports"
OBJECT = "arn:aws:s3:::reports/2026.csv"
AFTER = policy(allow("dynamodb:*", Condition={"DateGreaterThan": {"aws:CurrentTime": "2018-08-16T12:00:00Z"}}))


def simulate(key: Key, name: str = "SimulateCustomPolicy", **params: Any) -> dict[str, Any]:
    return key(name, **params)


def one(key: Key, text: str, action: str = "s3:GetObject", **params: Any) -> dict[str, Any]:
    (result,) = simulate(key, PolicyInputList=[text], ActionNames=[action], **params)["EvaluationResults"]
    return result


def _entry(name: str, *values: str, type_: str = "string") -> dict[str, Any]:
    return {"ContextKeyName": name, "ContextKeyValues": list(values), "ContextKeyType": type_}


@pytest.fixture
def ada(desk: Desk, root: Key) -> str:
    """The ARN of a user without policies."""
    desk.user(root, "ada")
    return f"arn:aws:iam::{root.account}:user/ada"


BAD: list[dict[str, Any]] = [
    {"ActionNames": []},
    {"ActionNames": ["s3:*"]},
    {"ActionNames": ["GetObject"]},
    {"ActionNames": [f"s3:Action{n}" for n in range(1001)]},
    {"ResourceArns": ["reports"]},
    {"ResourceArns": [f"arn:aws:s3:::b{n}" for n in range(1001)]},
    {"PolicyInputList": ["{"]},
    {"PolicyInputList": [policy({"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"})]},
    {"PolicyInputList": [policy(allow("s3:*"))] * 101},
    {"CallerArn": "arn:aws:iam::111122223333:root"},
    {"CallerArn": "arn:aws:sts::111122223333:assumed-role/a/b"},
    {"ResourceOwner": "111122223333"},
    {"ResourcePolicy": policy(allow("s3:*")), "CallerArn": "arn:aws:iam::111122223333:user/a"},
    {"ContextEntries": [{"ContextKeyName": "aws:x"}]},
    {"ContextEntries": [_entry("x", "1")]},
    {"ContextEntries": [_entry("aws:x", "1", "2")]},
    {"ContextEntries": [_entry("aws:x", "1"), _entry("AWS:X", "1")]},
    {"ContextEntries": [_entry("aws:x", "one", type_="numeric")]},
    {"ContextEntries": [_entry("aws:x", "yes", type_="boolean")]},
    {"ContextEntries": [_entry("aws:x", "10.0.0.0/8", type_="ip")]},
    {"ContextEntries": [_entry("aws:x", "tomorrow", type_="date")]},
    {"ContextEntries": [_entry("aws:x", "%%%", type_="binary")]},
    {"ResourceHandlingOption": "EC2-Nonsense"},
    {"ResourceHandlingOption": "EC2-VPC-EBS", "ResourceArns": ["arn:aws:ec2:us-east-1:1:instance/i"]},
    {"OrderedOrganizationPolicyInputList": [{"ServiceControlPolicyInputList": ["{}"]}]},
]


@pytest.mark.parametrize("wrong", BAD, ids=lambda wrong: f"{next(reversed(wrong))}-{str(wrong)[:40]}")
def test_what_cannot_be_simulated_is_invalid_input(root: Key, wrong: dict[str, Any]) -> None:
    given = {"PolicyInputList": [policy(allow("s3:*"))], "ActionNames": ["s3:GetObject"]} | wrong
    with refused("InvalidInput"):
        simulate(root, **given)


HOSTILE = [
    "[" * 50_000,
    '{"Version":"2012-10-17","Statement":' + "[" * 40 + "]" * 40 + "}",
    '{"Statement":[],"Statement":[]}',
    policy({"Effect": "Allow", "Action": "s3:" + "*a" * 300, "Resource": "*"}),
    policy({"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::${" + "a" * 10_000}),
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_policies_are_refused(root: Key, text: str) -> None:
    with refused("InvalidInput"):
        one(root, text)
    with refused("InvalidInput"):
        root("GetContextKeysForCustomPolicy", PolicyInputList=[text])


def test_a_policy_that_the_engine_cannot_evaluate_is_told(root: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("a secret of the policy")

    monkeypatch.setattr(simulated.Situation, "simulate", fail)
    with refused("PolicyEvaluation", "s3:GetObject could not be evaluated") as caught:
        one(root, policy(allow("s3:*")))
    assert "secret" not in caught.value.message


def test_ten_thousand_wildcards_take_no_time(root: Key) -> None:
    text = policy(allow("s3:" + "*a" * 200, resource="arn:aws:s3:::" + "*a" * 10_000 + "b"))
    began = time.process_time()
    result = one(root, text, "s3:" + "a" * 120, ResourceArns=["arn:aws:s3:::" + "a" * 2000])
    assert time.process_time() - began < 2
    assert result["EvalDecision"] == "implicitDeny"


def test_an_ec2_scenario_with_all_its_resources_is_simulated(root: Key) -> None:
    types = ("instance", "image", "security-group", "network-interface", "volume")
    arns = [f"arn:aws:ec2:us-east-1:{root.account}:{each}/x" for each in types]
    result = one(
        root, policy(allow("ec2:*")), "ec2:RunInstances", ResourceArns=arns, ResourceHandlingOption="EC2-VPC-EBS"
    )
    assert (result["EvalDecision"], len(result["ResourceSpecificResults"])) == ("allowed", 5)


def test_results_come_in_pages_that_are_bounded(root: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    actions = [f"s3:Action{n}" for n in range(25)]
    given: dict[str, Any] = {"PolicyInputList": [policy(allow("s3:*"))], "ActionNames": actions, "MaxItems": 10}
    found, sizes = [], []
    while True:
        page = simulate(root, **given)
        sizes.append(len(page["EvaluationResults"]))
        found += [result["EvalActionName"] for result in page["EvaluationResults"]]
        if not page["IsTruncated"]:
            break
        given["Marker"] = page["Marker"]
    assert (found, sizes) == (actions, [10, 10, 5])
    monkeypatch.setattr(simulation_results, "MOST_AT_ONCE", 6)
    del given["Marker"]
    page = simulate(root, **given, ResourceArns=[BUCKET, OBJECT])
    assert (len(page["EvaluationResults"]), page["IsTruncated"]) == (3, True)


# Context keys


def test_context_keys_are_listed_as_they_are_written(root: Key, ada: str) -> None:
    text = policy(
        allow("s3:*", resource="arn:aws:s3:::${aws:username}/${*}", Condition={"Null": {"aws:TokenIssueTime": "true"}}),
        deny("s3:*", Condition={"StringLike": {"s3:Prefix": ["${aws:PrincipalTag/team, 'x'}/*", "${AWS:UserName}"]}}),
    )
    keys = ["aws:username", "aws:TokenIssueTime", "s3:Prefix", "aws:PrincipalTag/team"]
    assert root("GetContextKeysForCustomPolicy", PolicyInputList=[text])["ContextKeyNames"] == keys
    root("PutUserPolicy", UserName="ada", PolicyName="more", PolicyDocument=text)
    found = root("GetContextKeysForPrincipalPolicy", PolicySourceArn=ada, PolicyInputList=[AFTER])
    assert found["ContextKeyNames"] == [*keys, "aws:CurrentTime"]
    old = text.replace("2012-10-17", "2008-10-17")
    assert root("GetContextKeysForCustomPolicy", PolicyInputList=[old])["ContextKeyNames"] == keys[1:3]
    with refused("InvalidInput"):
        root("GetContextKeysForCustomPolicy", PolicyInputList=["{"])

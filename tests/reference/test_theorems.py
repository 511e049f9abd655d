"""What holds of every decision, whatever the policies say."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
import random_cases

from freehold.authorization import run_cases

CASES = 700
UNIVERSAL_DENY = {"Effect": "Deny", "Action": "*", "Resource": "*"}


def outcome(case: dict[str, Any]) -> str:
    return run_cases([case])[0].got


def documents(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Every policy document of a case, by reference."""
    policies = case["policies"]
    found = [*policies["identity"], *policies.get("session", [])]
    found += [one for name in ("resource", "boundary", "endpoint") if (one := policies.get(name))]
    return found + [one for name in ("scps", "rcps") for level in policies.get(name, []) for one in level]


def cases(seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [random_cases.case(rng) for _ in range(CASES)]


def no_rule_decides(case: dict[str, Any]) -> bool:
    """Leaves out what is allowed or refused whatever policies say."""
    return case["request"]["action"] not in ("sts:GetCallerIdentity", "sts:GetSessionToken")


def test_without_policies_nothing_is_allowed() -> None:
    for case in cases(1):
        root_at_home = case["request"]["principal"].endswith(":root")
        if no_rule_decides(case) and not root_at_home:
            assert outcome(case | {"policies": {"identity": []}}) == "implicitDeny"


@pytest.mark.parametrize("where", ["identity", "boundary", "resource", "endpoint"])
def test_an_explicit_deny_always_wins(where: str) -> None:
    for case in cases(2):
        principal, action = case["request"]["principal"], case["request"]["action"]
        has_policies = principal.startswith("arn:")
        if not no_rule_decides(case) or (not has_policies and where not in ("resource", "endpoint")):
            continue
        if ":federated-user/" in principal or (principal.endswith(":root") and action == "sts:AssumeRole"):
            continue
        if principal.endswith(":root") and action == "s3:PutBucketPolicy" and where == "resource":
            continue
        denied = copy.deepcopy(case)
        statement = dict(UNIVERSAL_DENY)
        if where in ("resource", "endpoint"):
            statement["Principal"] = "*"
            if where == "resource" and action.startswith("sts:"):
                statement |= {"Action": "sts:*"}
                del statement["Resource"]
        document = {"Version": "2012-10-17", "Statement": [statement]}
        if where == "identity":
            denied["policies"]["identity"].append(document)
        elif (held := denied["policies"].get(where)) is not None:
            held["Statement"].append(statement)
        else:
            denied["policies"][where] = document
        assert outcome(denied) == "explicitDeny", json.dumps(denied)


def test_order_and_duplicates_do_not_matter() -> None:
    rng = random.Random(3)
    for case in cases(3):
        changed = copy.deepcopy(case)
        for document in documents(changed):
            document["Statement"] += copy.deepcopy(rng.sample(document["Statement"], 1))
            rng.shuffle(document["Statement"])
        for name in ("identity", "session"):
            if changed["policies"].get(name):
                changed["policies"][name] *= 2
                rng.shuffle(changed["policies"][name])
        for name in ("scps", "rcps"):
            rng.shuffle(changed["policies"].get(name, []))
        assert outcome(changed) == outcome(case), json.dumps(case)


def test_adding_a_deny_never_allows_more() -> None:
    rng = random.Random(4)
    for case in cases(4):
        if not (held := documents(case)):
            continue
        before = outcome(case)
        changed = copy.deepcopy(case)
        number = rng.randrange(len(held))
        kind = next(
            kind
            for kind in ("trust", "rcp", "key", "resource", "endpoint", "identity")
            if _is(kind, held[number], case)
        )
        deny = random_cases.statement(rng, kind)
        deny["Effect"] = "Deny"
        documents(changed)[number]["Statement"].append(deny)
        after = outcome(changed)
        assert before == "allow" or after != "allow", json.dumps(changed)
        assert not (before == "explicitDeny" and after != "explicitDeny"), json.dumps(changed)


def _is(kind: str, document: dict[str, Any], case: dict[str, Any]) -> bool:
    policies = case["policies"]
    if document is policies.get("resource"):
        action = case["request"]["action"]
        return kind == ("key" if action.startswith("kms:") else "trust" if action.startswith("sts:") else "resource")
    if document is policies.get("endpoint"):
        return kind == "endpoint"
    if any(document is one for level in policies.get("rcps", []) for one in level):
        return kind == "rcp"
    return kind == "identity"


def test_removing_an_allow_never_allows_more() -> None:
    rng = random.Random(5)
    for case in cases(5):
        changed = copy.deepcopy(case)
        choices = [
            (document, index)
            for document in documents(changed)
            for index, statement in enumerate(document["Statement"])
            if statement["Effect"] == "Allow" and len(document["Statement"]) > 1
        ]
        if not choices:
            continue
        document, index = rng.choice(choices)
        del document["Statement"][index]
        if outcome(changed) == "allow":
            assert outcome(case) == "allow", json.dumps(case)


def test_a_grant_never_denies() -> None:
    for case in cases(6):
        if case["policies"].pop("kms_grants", None) is None:
            continue
        without = outcome(case)
        granted = copy.deepcopy(case)
        granted["policies"]["kms_grants"] = [{"grantee": case["request"]["principal"], "operations": ["Decrypt"]}]
        assert not (without == "allow" and outcome(granted) != "allow")
        assert (without == "explicitDeny") == (outcome(granted) == "explicitDeny")


def test_a_boundary_and_a_session_policy_never_allow_more() -> None:
    rng = random.Random(7)
    for case in cases(7):
        for name in ("boundary", "session"):
            if case["policies"].get(name) or ":federated-user/" in case["request"]["principal"]:
                continue
            limited = copy.deepcopy(case)
            document = random_cases.document(rng, name)
            limited["policies"][name] = document if name == "boundary" else [document]
            assert outcome(case) == "allow" or outcome(limited) != "allow", json.dumps(limited)


def test_an_endpoint_policy_never_allows_more() -> None:
    rng = random.Random(8)
    for case in cases(8):
        if case["policies"].get("endpoint"):
            continue
        limited = copy.deepcopy(case)
        limited["policies"]["endpoint"] = random_cases.document(rng, "endpoint")
        assert outcome(case) == "allow" or outcome(limited) != "allow", json.dumps(limited)


def test_an_organization_never_allows_more() -> None:
    rng = random.Random(9)
    for case in cases(9):
        limited = copy.deepcopy(case)
        for name, kind in (("scps", "scp"), ("rcps", "rcp")):
            limited["policies"].setdefault(name, []).append([random_cases.document(rng, kind)])
        assert outcome(case) == "allow" or outcome(limited) != "allow", json.dumps(limited)

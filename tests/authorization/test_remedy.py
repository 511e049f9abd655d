"""Remedies told apart: which change is taken for which denial, in words."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from freehold.authorization import cases
from freehold.authorization.principal import Principal
from freehold.authorization.remedy import remedy
from freehold.authorization.situation import Document, Situation

A = "111122223333"
B = "444455556666"
ALICE = f"arn:aws:iam::{A}:user/alice"
BUCKET = "arn:aws:s3:::reports"


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


EVERYTHING = policy(allow())

CASES: list[tuple[str, dict[str, Any], dict[str, Any], list[tuple[str, str]], list[Any]]] = [
    # what, request, policies, [(policy type, edit)], the statements of the last change
    (
        "nothing allows it",
        {},
        {},
        [("identity", "new-policy")],
        [allow("s3:GetObject", f"{BUCKET}/q1")],
    ),
    (
        "a statement for exactly this action lacks the resource",
        {"context": {"aws:x": "true"}},
        {"identity": [policy(allow("s3:GetObject", f"{BUCKET}/q2", Condition={"Bool": {"aws:x": "true"}}))]},
        [("identity", "extend-resource")],
        [allow("s3:GetObject", [f"{BUCKET}/q2", f"{BUCKET}/q1"], Condition={"Bool": {"aws:x": "true"}})],
    ),
    (
        "a statement for more actions is left alone",
        {},
        {"identity": [policy(allow(["s3:GetObject", "s3:PutObject"], f"{BUCKET}/q2"))]},
        [("identity", "new-policy")],
        [allow("s3:GetObject", f"{BUCKET}/q1")],
    ),
    (
        "MFA is asked for",
        {},
        {"identity": [policy(allow("s3:*", Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}))]},
        [("request", "ask-differently")],
        [],
    ),
    (
        "a deny without MFA",
        {},
        {
            "identity": [
                EVERYTHING,
                policy(deny("*", Condition={"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}})),
            ]
        },
        [("request", "ask-differently")],
        [],
    ),
    (
        "an address that the caller can't choose",
        {"context": {"aws:SourceIp": "198.51.100.7"}},
        {"identity": [policy(allow("s3:*", Condition={"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}))]},
        [("identity", "new-policy")],
        [allow("s3:GetObject", f"{BUCKET}/q1")],
    ),
    (
        "a boundary, and the identity's side too",
        {},
        {"boundary": policy(allow("ec2:*"))},
        [("identity", "new-policy"), ("boundary", "add-statement")],
        [allow("s3:GetObject", f"{BUCKET}/q1")],
    ),
    (
        "every level of the organization",
        {},
        {"identity": [EVERYTHING], "scps": [[policy(allow("ec2:*"))], [EVERYTHING], [policy(allow("kms:*"))]]},
        [("scp", "add-statement"), ("scp", "add-statement")],
        [allow("s3:GetObject", f"{BUCKET}/q1")],
    ),
    (
        "a deny of two actions on everything",
        {},
        {"identity": [EVERYTHING, policy(deny(["s3:GetObject", "s3:PutObject"], Sid="No"))]},
        [("identity", "narrow-deny")],
        [
            deny(["s3:PutObject"], Sid="No"),
            {"Effect": "Deny", "Action": ["s3:GetObject"], "NotResource": [f"{BUCKET}/q1"]},
        ],
    ),
    (
        "an organization's deny goes on for everyone else",
        {},
        {"identity": [EVERYTHING], "scps": [[EVERYTHING, policy(deny("s3:GetObject"))]]},
        [("scp", "narrow-deny")],
        [
            {"Effect": "Deny", "Action": ["s3:GetObject"], "NotResource": [f"{BUCKET}/q1"]},
            {
                "Effect": "Deny",
                "Action": ["s3:GetObject"],
                "Resource": [f"{BUCKET}/q1"],
                "Condition": {"ArnNotEquals": {"aws:PrincipalArn": [ALICE]}},
            },
        ],
    ),
    (
        "across accounts both sides are missing",
        {"principal": f"arn:aws:iam::{B}:user/mallory"},
        {},
        [("resource", "new-policy"), ("identity", "new-policy")],
        [allow("s3:GetObject", f"{BUCKET}/q1")],
    ),
    (
        "a key policy that delegates to nobody",
        {"action": "kms:Decrypt", "resource": f"arn:aws:kms:us-east-1:{A}:key/k"},
        {
            "identity": [EVERYTHING],
            "resource": policy({**allow("kms:*"), "Principal": {"AWS": f"arn:aws:iam::{A}:user/bob"}}),
        },
        [("key", "add-statement")],
        [{"Effect": "Allow", "Principal": {"AWS": ALICE}, "Action": "kms:Decrypt", "Resource": "*"}],
    ),
    (
        "a role that trusts another",
        {"action": "sts:AssumeRole", "resource": f"arn:aws:iam::{B}:role/r", "context": {"sts:ExternalId": "x"}},
        {"identity": [EVERYTHING]},
        [("trust", "new-policy")],
        [{"Effect": "Allow", "Principal": {"AWS": ALICE}, "Action": "sts:AssumeRole"}],
    ),
    (
        "a name with signs that patterns have",
        {"resource": f"{BUCKET}/a*b?${{x}}"},
        {},
        [("identity", "new-policy")],
        [allow("s3:GetObject", f"{BUCKET}/a${{*}}b${{?}}${{$}}{{x}}")],
    ),
]


@pytest.mark.parametrize(("what", "request_", "policies", "taken", "statements"), CASES, ids=[c[0] for c in CASES])
def test_the_smallest_change(
    what: str, request_: Any, policies: Any, taken: list[tuple[str, str]], statements: list[Any]
) -> None:
    asked = {"principal": ALICE, "action": "s3:GetObject", "resource": f"{BUCKET}/q1", **request_}
    case = {"request": asked, "policies": policies, "account_of_resource": B if "role/r" in asked["resource"] else A}
    found = remedy(cases.situation(case))
    assert found.enough
    assert [(change.policy_type, change.edit) for change in found.changes] == taken
    assert [dict(one) for one in found.changes[-1].statements] == statements
    assert all(change.words.endswith(".") for change in found.changes)


def test_an_action_on_all_of_a_service_is_allowed_there_and_says_so() -> None:
    case = {"request": {"principal": ALICE, "action": "s3:ListAllMyBuckets", "resource": "arn:aws:s3:::*"}}
    [change] = remedy(cases.situation(case)).changes
    assert change.statements[0]["Resource"] == "arn:aws:s3:::*"
    assert "allowed on all" in change.warning


def test_an_organization_s_deny_of_everything_is_narrowed_to_the_resource_for_one_principal() -> None:
    case = {
        "request": {"principal": ALICE, "action": "s3:GetObject", "resource": f"{BUCKET}/q1"},
        "policies": {"identity": [EVERYTHING], "scps": [[EVERYTHING, policy(deny("s3:*", Sid="NoS3"))]]},
    }
    [change] = remedy(cases.situation(case)).changes
    everyone_else = {"ArnNotEquals": {"aws:PrincipalArn": [ALICE]}}
    elsewhere = {"ArnEquals": {"aws:PrincipalArn": [ALICE]}}
    assert [dict(one) for one in change.statements] == [
        deny("s3:*", Sid="NoS3", Condition=everyone_else),
        {"Effect": "Deny", "Action": "s3:*", "NotResource": [f"{BUCKET}/q1"], "Condition": elsewhere},
    ]
    assert "no other action on it" in change.warning


def test_a_change_that_opens_more_says_so() -> None:
    case = {
        "request": {"principal": ALICE, "action": "s3:GetObject", "resource": f"{BUCKET}/q1"},
        "policies": {"identity": [EVERYTHING, policy(deny("s3:Get*", f"{BUCKET}/*"))]},
    }
    [change] = remedy(cases.situation(case)).changes
    assert change.edit == "remove-statement"
    assert "everything else" in change.warning


def test_an_external_id_is_asked_for_before_a_trust_policy_is_changed() -> None:
    trust = policy(
        {
            "Effect": "Allow",
            "Principal": {"AWS": A},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": "4711"}},
        }
    )
    role = f"arn:aws:iam::{A}:role/r"
    case = {
        "request": {"principal": ALICE, "action": "sts:AssumeRole", "resource": role},
        "policies": {"identity": [EVERYTHING], "resource": trust},
    }
    [change] = remedy(cases.situation(case)).changes
    assert change.context == {"sts:ExternalId": "4711"}


def test_what_no_policy_can_allow_has_no_change() -> None:
    case = {
        "request": {"principal": f"arn:aws:iam::{A}:root", "action": "sts:AssumeRole", "resource": "arn:aws:iam::1"}
    }
    found = remedy(cases.situation(case | {"account_of_resource": A}))
    assert not found.enough
    assert "may never do this" in found.obstacle


ROLE = f"arn:aws:iam::{A}:role/app"
OF_AWS = "arn:aws:iam::aws:policy/"


def denied(**more: Any) -> Situation:
    """Alice's s3:GetObject, with documents as they are kept: with the ARNs of managed policies."""
    case = {"request": {"principal": ALICE, "action": "s3:GetObject", "resource": f"{BUCKET}/q1"}}
    return replace(cases.situation(case | {"account_of_resource": A}), **more)


def kept(type_: Any, origin: str, raw: dict[str, Any]) -> Document:
    return Document(type_, origin, json.dumps(raw))


IDENTITY = kept("identity", f"{OF_AWS}AdministratorAccess", EVERYTHING)
OTHERS: list[tuple[str, dict[str, Any], list[tuple[str, str]]]] = [
    # what, the documents, [(policy type, edit)]
    (
        "an allow for this action elsewhere, in AWS's policy",
        {"identity": (kept("identity", f"{OF_AWS}Reports", policy(allow("s3:GetObject", f"{BUCKET}/q2"))),)},
        [("identity", "new-policy")],
    ),
    (
        "a boundary of AWS's",
        {
            "identity": (IDENTITY,),
            "boundary": kept("boundary", f"{OF_AWS}job-function/Billing", policy(allow("aws:*"))),
        },
        [("boundary", "replace-policy")],
    ),
    (
        "a session policy of AWS's",
        {"identity": (IDENTITY,), "session": (kept("session", f"{OF_AWS}Reports", policy(allow("ec2:*"))),)},
        [("session", "new-policy")],
    ),
    (
        "a deny of AWS's",
        {"identity": (IDENTITY, kept("identity", f"{OF_AWS}AWSDenyAll", policy(deny())))},
        [("identity", "detach-policy")],
    ),
    (
        "a deny beside others in AWS's policy",
        {"identity": (IDENTITY, kept("identity", f"{OF_AWS}Mixed", policy(allow("ec2:*"), deny("s3:*"))))},
        [("identity", "replace-policy")],
    ),
    (
        "a level of the organization that has AWS's policies alone",
        {
            "identity": (IDENTITY,),
            "scps": ((kept("scp", "arn:aws:organizations::aws:policy/x/p-Own", policy(allow("ec2:*"))),),),
        },
        [("scp", "new-policy")],
    ),
]


@pytest.mark.parametrize(("what", "documents", "taken"), OTHERS, ids=[one[0] for one in OTHERS])
def test_no_change_edits_a_policy_of_awss(what: str, documents: dict[str, Any], taken: list[tuple[str, str]]) -> None:
    found = remedy(denied(**documents))
    assert found.enough
    assert [(change.policy_type, change.edit) for change in found.changes] == taken
    for change in (*found.changes, *found.instead):
        assert not is_of_aws(change.policy) or change.edit in ("replace-policy", "detach-policy")


def is_of_aws(origin: str) -> bool:
    return "::aws:policy" in origin


def test_no_change_edits_the_policies_of_a_service_linked_role() -> None:
    linked = f"arn:aws:iam::{A}:role/aws-service-role/rds.amazonaws.com/AWSServiceRoleForRDS"
    session = Principal("role", A, f"arn:aws:sts::{A}:assumed-role/AWSServiceRoleForRDS/s", issuer_arn=linked)
    found = remedy(denied(principal=session))
    assert (found.enough, found.changes) == (False, ())
    trusting = kept("trust", linked, policy({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}))
    asked = denied(action="sts:AssumeRole", resource=linked, kind="trust", identity=(IDENTITY,))
    for trust in (trusting, None):
        found = remedy(replace(asked, resource_policy=trust))
        assert (found.enough, found.changes) == (False, ())


def test_no_change_edits_the_policy_of_an_aws_managed_key() -> None:
    key = f"arn:aws:kms:us-east-1:{A}:key/1"
    for statement in (allow("kms:DescribeKey", Principal={"AWS": A}), deny(Principal="*")):
        own = kept("key", key, {**policy(statement), "Id": "auto-s3-2"})
        asked = denied(action="kms:Decrypt", resource=key, kind="key", identity=(IDENTITY,), resource_policy=own)
        found = remedy(asked)
        assert not [change for change in found.changes if change.policy_type == "key"]
        mine = replace(own, text=own.text.replace("auto-s3-2", "mine"))
        assert {change.policy_type for change in remedy(replace(asked, resource_policy=mine)).changes} == {"key"}

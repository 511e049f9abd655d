"""A decision in words: what each type of policy says on its own, what failed in a statement, who is told what."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from freehold.authorization import cases, explain
from freehold.authorization.decide import Decision
from freehold.authorization.principal import Principal
from freehold.authorization.situation import Document, Situation

A, B = "111122223333", "444455556666"
ALICE, BOB = f"arn:aws:iam::{A}:user/alice", f"arn:aws:iam::{B}:user/bob"
ROLE, SESSION = f"arn:aws:iam::{A}:role/app", f"arn:aws:sts::{A}:assumed-role/app/one"
OBJECT = "arn:aws:s3:::reports/q1"
KEY = f"arn:aws:kms:us-east-1:{A}:key/k"


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def st(effect: str = "Allow", action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


ALL, NOTHING, NO = policy(st()), policy(st(action="none:none")), policy(st(), st("Deny", "s3:*", Sid="No"))
EVERYONE, NOBODY = policy(st(Principal="*")), policy(st(Principal={"AWS": BOB}))


def situation(
    principal: str = ALICE,
    action: str = "s3:GetObject",
    on: str = OBJECT,
    *,
    account: str = A,
    context: dict[str, Any] | None = None,
    management_account: bool = False,
    **policies: Any,
) -> Situation:
    request: dict[str, Any] = {"principal": principal, "action": action, "resource": on, "context": context or {}}
    request["management_account"] = management_account
    return cases.situation({"request": request, "policies": policies, "account_of_resource": account})


def decided(*asked: Any, **more: Any) -> Decision:
    return situation(*asked, **more).decision()


def said(decision: Decision) -> list[tuple[str, str]]:
    return [(one.policy_type, one.verdict) for one in explain.verdicts(decision)]


IDENTITY, BOUNDARY, SESSIONS = "identity-based policies", "permissions boundary", "session policies"
RESOURCE, KEY_POLICY, TRUST = "resource-based policy", "key policy", "role trust policy"
SCP, RCP, ENDPOINT = "service control policies", "resource control policies", "VPC endpoint policy"
ASIDE = "does not apply to this caller or resource"
LINKED = f"arn:aws:iam::{A}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"

VERDICTS: list[tuple[str, Decision, list[tuple[str, str]]]] = [
    ("nothing at all", decided(), [(IDENTITY, "implicitDeny")]),
    (
        "each type of policy on its own, in the order of the flow chart",
        decided(SESSION, identity=[ALL], boundary=NOTHING, session=[ALL], scps=[[ALL], [NO]],
                rcps=[[policy(st("Deny", Principal="*"))]], endpoint=EVERYONE, resource=NOBODY),
        [(SCP, "allow"), (SCP, "explicitDeny"), (RCP, "explicitDeny"), (ENDPOINT, "allow"), (RESOURCE, "implicitDeny"),
         (IDENTITY, "allow"), (BOUNDARY, "implicitDeny"), (SESSIONS, "allow")],
    ),
    (
        "an allow beside a deny that does not apply",
        decided(identity=[policy(st(), st("Deny", "s3:*", "arn:aws:s3:::other/*"))]),
        [(IDENTITY, "allow")],
    ),
    ("a deny that applies beside an allow", decided(identity=[NO]), [(IDENTITY, "explicitDeny")]),
    ("a statement for another action", decided(identity=[policy(st(action="s3:PutObject"))]),
     [(IDENTITY, "implicitDeny")]),
    ("a key without a policy", decided(ALICE, "kms:Decrypt", KEY), [(KEY_POLICY, "none"), (IDENTITY, "implicitDeny")]),
    ("a role without a trust policy", decided(ALICE, "sts:AssumeRole", ROLE), [(TRUST, "none"),
     (IDENTITY, "implicitDeny")]),
    ("a key policy", decided(ALICE, "kms:Decrypt", KEY, resource=EVERYONE), [(KEY_POLICY, "allow"),
     (IDENTITY, "implicitDeny")]),
    ("a service has no policies of its own", decided("service:s3.amazonaws.com", resource=EVERYONE),
     [(RESOURCE, "allow")]),
    (
        "the management account's SCPs",
        decided(identity=[ALL], scps=[[NO]], management_account=True),
        [(SCP, ASIDE), (IDENTITY, "allow")],
    ),
    (
        "resource control policies on what they are not for",
        decided(ALICE, "ec2:RunInstances", "*", identity=[ALL], rcps=[[EVERYONE]]),
        [(RCP, ASIDE), (IDENTITY, "allow")],
    ),
    (
        "a boundary means that NotPrincipal denies",
        decided(identity=[ALL], boundary=ALL, resource=policy(st("Deny", NotPrincipal={"AWS": [ALICE, A]}))),
        [(RESOURCE, "explicitDeny"), (IDENTITY, "allow"), (BOUNDARY, "allow")],
    ),
    (
        "in an endpoint's policy too",
        decided(identity=[ALL], boundary=ALL, endpoint=policy(st(Principal="*"), st("Deny", NotPrincipal={
            "AWS": [ALICE, A]}))),
        [(ENDPOINT, "explicitDeny"), (IDENTITY, "allow"), (BOUNDARY, "allow")],
    ),
    (
        "without one it excepts",
        decided(identity=[ALL], resource=policy(st("Deny", NotPrincipal={"AWS": [ALICE, A]}))),
        [(RESOURCE, "implicitDeny"), (IDENTITY, "allow")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("what", "decision", "verdicts"), VERDICTS, ids=[row[0] for row in VERDICTS])
def test_what_each_type_of_policy_says(what: str, decision: Decision, verdicts: list[tuple[str, str]]) -> None:
    assert said(decision) == verdicts


def test_the_operator_has_policies_of_its_own() -> None:
    operator = Principal("operator", "operator", "arn:aws:freehold::operator:operator", "x", "operator")
    asked = replace(situation(action="freehold:CreateAccount", on="*"), principal=operator, context={})
    assert said(asked.decision()) == [(IDENTITY, "implicitDeny")]


def reason(decision: Decision) -> tuple[bool, str]:
    """Whether the one statement of the one policy applies, and why."""
    [finding] = next(one for one in explain.verdicts(decision) if one.findings).findings
    return finding.applies, finding.why


def wants(operator: str, key: str, value: Any) -> dict[str, Any]:
    return st(Condition={operator: {key: value}})


REASONS = [
    (st(), {}, True, "applies"),
    (st(resource="arn:aws:s3:::reports/q2"), {}, False, f"its Resource does not match {OBJECT}"),
    ({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::reports/*"}, {}, False,
     f"its NotResource does not match {OBJECT}"),
    (wants("StringEquals", "aws:Team", "red"), {}, False,
     "its condition StringEquals on aws:Team wants 'red', the request has no such key"),
    (wants("StringEquals", "aws:Team", "red"), {"aws:Team": "blue"}, False,
     "its condition StringEquals on aws:Team wants 'red', the request has 'blue'"),
    (wants("StringEquals", "aws:Team", ["red", "green"]), {"aws:team": "blue"}, False,
     "its condition StringEquals on aws:Team wants ['red', 'green'], the request has 'blue'"),
    (wants("ForAnyValue:StringEquals", "aws:TagKeys", "a"), {"aws:TagKeys": ["b", "c"]}, False,
     "its condition ForAnyValue:StringEquals on aws:TagKeys wants 'a', the request has ['b', 'c']"),
    (wants("StringEquals", "aws:Team", "r" * 300), {"aws:Team": "b" * 301}, False,
     f"its condition StringEquals on aws:Team wants {'r' * 300!r}, the request has {'b' * 300 + '…'!r}"),
    (wants("StringEquals", "aws:Team", "red"), {"aws:Team": "red"}, True, "applies"),
    (st(Condition={"StringEquals": {"aws:Team": "red"}, "Bool": {"aws:Late": "true"}}),
     {"aws:Team": "red", "aws:Late": "false"}, False,
     "its condition Bool on aws:Late wants 'true', the request has 'false'"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "context", "applies", "why"), REASONS)
def test_why_a_statement_applies_or_does_not(statement: Any, context: Any, applies: bool, why: str) -> None:
    assert reason(decided(identity=[policy(statement)], context=context)) == (applies, why)


NAMED = [
    ("Allow", {"AWS": ALICE}, True, "applies"),
    ("Allow", {"AWS": BOB}, False, "its Principal does not name the caller"),
    ("Deny", {"AWS": ALICE}, True, "applies"),
    ("Deny", {"AWS": BOB}, False, "its Principal does not mean the caller"),
]


@pytest.mark.parametrize(("effect", "principal", "applies", "why"), NAMED)
def test_whom_a_statement_means(effect: str, principal: Any, applies: bool, why: str) -> None:
    assert reason(decided(resource=policy(st(effect, Principal=principal)))) == (applies, why)


def test_at_most_fifty_values_are_told() -> None:
    statement = wants("ForAnyValue:StringEquals", "aws:TagKeys", "x")
    _, why = reason(decided(identity=[policy(statement)], context={"aws:TagKeys": ["k"] * 60}))
    assert why.count("'k'") == 50


def test_a_finding_names_its_policy_and_its_statement() -> None:
    asked = situation(identity=[policy(st(Sid="Read"), st("Deny", "s3:Get*", "arn:aws:s3:::other/*"))])
    [verdict] = explain.verdicts(asked.decision())
    assert [(one.policy, one.statement, one.effect, one.policy_type) for one in verdict.findings] == [
        ("identity-based policy 1", 'statement "Read"', "Allow", IDENTITY),
        ("identity-based policy 1", "statement 2", "Deny", IDENTITY),
    ]
    [nameless] = explain.verdicts(decided("service:s3.amazonaws.com", resource=EVERYONE))
    assert [one.policy for one in nameless.findings] == [RESOURCE]


DENIED = f'User: {ALICE} is not authorized to perform: s3:GetObject on resource: "{OBJECT}"'
ELSEWHERE = f"its Resource does not match {OBJECT}"
PLACE = 'statement "No" of identity-based policy 1'
NEVER = "credentials of this kind (role) may never do this"
NO_ALLOW = f"{DENIED} because no {{}} allows the s3:GetObject action; {{}}, statement 1: {{}}"
LINES: list[tuple[Decision, str]] = [
    (decided(identity=[ALL]), "allowed by statement 1 of identity-based policy 1"),
    (decided(resource=EVERYONE), "allowed by statement 1 of the resource-based policy"),
    (decided(ALICE, "kms:Decrypt", KEY, resource=EVERYONE), "allowed by statement 1 of the key policy"),
    (decided(f"arn:aws:iam::{A}:root"), "allowed: the account's root user"),
    (decided(ALICE, "kms:Decrypt", KEY, kms_grants=[{"grantee": ALICE, "operations": ["Decrypt"]}]),
     "allowed by a KMS grant"),
    (decided(ALICE, "sts:GetCallerIdentity", "*"), "allowed: no permission is needed"),
    (replace(situation(ALICE, "kms:Decrypt", KEY), default_allow=True).decision(), "allowed by the key's own service"),
    (decided(identity=[NO]),
     f'{DENIED} with an explicit deny in an identity-based policy; {PLACE} denies it'),
    (decided(SESSION, "sts:GetSessionToken", "*"),
     f"User: {SESSION} is not authorized to perform: sts:GetSessionToken; {NEVER}"),
    (decided(), f"{DENIED} because no identity-based policy allows the s3:GetObject action"),
    (decided(identity=[policy(st(resource="arn:aws:s3:::x"), st("Deny", "s3:*", "arn:aws:s3:::y"))], boundary=NOTHING),
     NO_ALLOW.format("identity-based policy", "identity-based policy 1", ELSEWHERE)),
    (decided(identity=[ALL], boundary=policy(st(resource="arn:aws:s3:::x"))),
     NO_ALLOW.format("permissions boundary", "permissions boundary", ELSEWHERE)),
]  # fmt: skip


@pytest.mark.parametrize(("decision", "why"), LINES, ids=[str(number) for number in range(len(LINES))])
def test_the_decision_in_a_paragraph(decision: Decision, why: str) -> None:
    assert explain.why(decision) == why


HIDDEN = (
    f"User: {BOB} is not authorized to perform: kms:Decrypt on this resource because the resource does not exist in "
    "this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access"
)
FOREIGN: list[tuple[str, Decision, bool]] = [
    ("another account's key says nothing of the caller", decided(BOB, "kms:Decrypt", KEY, identity=[ALL]), True),
    ("it denies the caller", decided(BOB, "kms:Decrypt", KEY, identity=[ALL], resource=policy(
        st(Principal="*"), st("Deny", Principal={"AWS": BOB}))), True),
    ("the caller's own policy denies, and the key does not let him in",
     decided(BOB, "kms:Decrypt", KEY, identity=[policy(st("Deny"))]), True),
    ("it lets the caller in, whose own policy does not", decided(BOB, "kms:Decrypt", KEY, resource=EVERYONE), False),
    ("the caller's own account's key", decided(ALICE, "kms:Decrypt", KEY, identity=[ALL]), False),
    ("what is no key", decided(BOB, identity=[ALL]), False),
]  # fmt: skip


@pytest.mark.parametrize(("what", "decision", "hidden"), FOREIGN, ids=[row[0] for row in FOREIGN])
def test_another_account_s_key_is_told_as_one_that_is_not_there(what: str, decision: Decision, hidden: bool) -> None:
    assert not decision.allowed
    assert explain.is_hidden(decision) is hidden
    told = explain.message_to_caller(decision)
    assert told == (HIDDEN if hidden else explain.message(decision))


def test_who_comes_with_a_token_learns_nothing_of_the_role() -> None:
    decision = decided("federated:accounts.google.com", "sts:AssumeRoleWithWebIdentity", ROLE, resource=None)
    assert explain.message_to_caller(decision) == "Not authorized to perform sts:AssumeRoleWithWebIdentity"


def test_a_caller_without_an_arn_is_named_by_what_is_known() -> None:
    assert explain.message(decided("service:s3.amazonaws.com")).startswith("User: s3.amazonaws.com is not")
    assert explain.message(decided("anonymous")).startswith("User: anonymous is not")
    nameless = replace(situation("anonymous"), principal=Principal(kind="anonymous"))
    assert explain.message(nameless.decision()).startswith("User: anonymous is not")


def test_the_summary_is_all_of_it_as_json() -> None:
    looked_at = {"StringLike": {"aws:Team": "*", "aws:PrincipalArn": "*"}, "Null": {"aws:Late": "true"}}
    held = policy(st(resource="arn:aws:s3:::x", Sid="X"), st("Deny", "s3:*", Condition=looked_at))
    decision = decided(identity=[held], context={"aws:Team": "r" * 301})
    findings = [
        {
            "policy_type": IDENTITY,
            "policy": "identity-based policy 1",
            "statement": statement,
            "effect": effect,
            "applies": effect == "Deny",
            "why": why,
        }
        for statement, effect, why in (
            ('statement "X"', "Allow", f"its Resource does not match {OBJECT}"),
            ("statement 2", "Deny", "applies"),
        )
    ]
    denied = explain.summary(decision)
    assert denied == {
        "result": "explicitDeny",
        "decidedBy": "identity",
        "principal": ALICE,
        "principalType": "user",
        "action": "s3:GetObject",
        "resource": OBJECT,
        "resourceAccount": A,
        "message": f"{DENIED} with an explicit deny in an identity-based policy",
        "why": explain.why(decision),
        "policies": [{"policy_type": IDENTITY, "verdict": "explicitDeny", "findings": findings}],
        "context": {"aws:principalarn": ALICE, "aws:team": "r" * 300 + "…"},
    }
    assert list(denied["context"]) == ["aws:principalarn", "aws:team"]
    allowed = explain.summary(decided(identity=[ALL]))
    assert (allowed["message"], allowed["result"]) == ("", "allow")


def test_a_grant_and_a_key_that_deny_are_told_as_the_resource_s() -> None:
    managed = f"arn:aws:iam::{A}:policy/No"
    found = replace(situation(), identity=(Document("identity", managed, situation(identity=[NO]).identity[0].text),))
    assert explain.message(found.decision()).endswith(f"in an identity-based policy: {managed}")
    assert explain.message(decided(ALICE, "kms:Decrypt", KEY, resource=policy(st("Deny", Principal="*")))).endswith(
        "with an explicit deny in a resource-based policy"
    )
    assert explain.message(decided(ALICE, "kms:Decrypt", KEY, identity=[ALL])).endswith(
        f"on resource: {KEY} because no resource-based policy allows the kms:Decrypt action"
    )


def test_a_trust_policy_that_denies_is_named() -> None:
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": A}}
    decision = decided(
        ALICE, "sts:AssumeRole", ROLE, identity=[ALL], resource=policy(trust, {**trust, "Effect": "Deny"})
    )
    assert explain.message(decision) == (
        f"User: {ALICE} is not authorized to perform: sts:AssumeRole on resource: {ROLE} "
        "with an explicit deny in the role trust policy"
    )

"""The message of each kind of denial, in the words of AWS's page on them.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from freehold.authorization import cases, explain
from freehold.authorization.situation import Document

A, B = "777788889999", "111122223333"
JOHN = f"arn:aws:iam::{A}:user/JohnDoe"
LIST = "codecommit:ListRepositories"
START = f"User: {JOHN} is not authorized to perform: "


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def statement(effect: str, action: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": "*", **more}


ALL = policy(statement("Allow"))
NONE = policy(statement("Allow", "none:none"))
NO = policy(statement("Allow"), statement("Deny", LIST))
EVERYONE = policy(statement("Allow", Principal="*"))
NO_ONE = policy(statement("Allow", "none:none", Principal="*"))
DENY_EVERYONE = policy(statement("Deny", Principal="*"))
SECRET = f"arn:aws:secretsmanager:us-east-1:{B}:secret:s"
ROLE = f"arn:aws:iam::{B}:role/r"

GET = "secretsmanager:GetSecretValue"


def missing(policy_type: str, asked: str = LIST, action: str = LIST) -> str:
    return f"{asked} because no {policy_type} allows the {action} action"


def denying(policy_type: str, asked: str = LIST) -> str:
    return f"{asked} with an explicit deny in {policy_type}"


MESSAGES = [  # action, resource, policies, the rest of the message
    (LIST, "*", {"identity": [ALL], "scps": [[NONE]]}, missing("service control policy")),
    (LIST, "*", {"identity": [ALL], "scps": [[NO]]}, denying("a service control policy")),
    (LIST, "*", {"identity": [ALL], "endpoint": NO_ONE}, missing("VPC endpoint policy")),
    (LIST, "*", {"identity": [ALL], "endpoint": DENY_EVERYONE}, denying("a VPC endpoint policy")),
    (LIST, "*", {"identity": [ALL], "boundary": NONE}, missing("permissions boundary")),
    (LIST, "*", {"identity": [ALL], "boundary": NO}, denying("a permissions boundary")),
    (LIST, "*", {"identity": [ALL], "session": [NONE]}, missing("session policy")),
    (LIST, "*", {"identity": [ALL], "session": [NO]}, denying("a session policy")),
    (LIST, "*", {}, missing("identity-based policy")),
    (LIST, "*", {"identity": [NO]}, denying("an identity-based policy")),
    (GET, SECRET, {"identity": [ALL]},
     missing("resource-based policy", f"{GET} on resource: {SECRET}", GET)),
    (GET, SECRET, {"identity": [ALL], "resource": DENY_EVERYONE},
     denying("a resource-based policy", f"{GET} on resource: {SECRET}")),
    (GET, SECRET, {"identity": [ALL], "resource": EVERYONE, "rcps": [[DENY_EVERYONE]]},
     denying("a resource control policy", f"{GET} on resource: {SECRET}")),
    ("sts:AssumeRole", ROLE, {"identity": [ALL]},
     f"sts:AssumeRole on resource: {ROLE} because no role trust policy allows the sts:AssumeRole action"),
    ("s3:GetObject", "arn:aws:s3:::b/k", {},
     's3:GetObject on resource: "arn:aws:s3:::b/k" because no identity-based policy allows the s3:GetObject action'),
]  # fmt: skip


@pytest.mark.parametrize(("action", "resource", "policies", "message"), MESSAGES)
def test_the_message_names_the_type_of_policy(action: str, resource: str, policies: Any, message: str) -> None:
    case = {"request": {"principal": JOHN, "action": action, "resource": resource}, "policies": policies}
    assert explain.message(cases.situation(case).decision()) == START + message


MANAGED = f"arn:aws:iam::{A}:policy/ExampleDenyPolicy"
ORGANIZATION = f"arn:aws:organizations::{A}:policy/o-exampleorg/service_control_policy/p-example"


def test_an_explicit_deny_ends_with_the_arn_of_its_policy_where_it_has_one() -> None:
    case = {"request": {"principal": JOHN, "action": LIST, "resource": "*"}, "policies": {"identity": [NO]}}
    found = cases.situation(case)
    text = found.identity[0].text
    ends = {
        MANAGED: replace(found, identity=(Document("identity", MANAGED, text),)),
        ORGANIZATION: replace(found, scps=((Document("scp", ORGANIZATION, text),),)),
    }
    for arn, one in ends.items():
        assert explain.message(one.decision()).endswith(f"policy: {arn}")
    inline = replace(found, identity=(Document("identity", "its-name", text),))
    assert explain.message(inline.decision()).endswith("in an identity-based policy")


def test_a_resource_s_own_policy_has_no_arn() -> None:
    case = {
        "request": {"principal": JOHN, "action": "s3:GetObject", "resource": "arn:aws:s3:::b/k"},
        "policies": {"identity": [ALL], "resource": DENY_EVERYONE},
    }
    found = cases.situation(case)
    assert found.resource_policy is not None
    bucket = replace(found, resource_policy=replace(found.resource_policy, origin="arn:aws:s3:::b"))
    assert explain.message(bucket.decision()).endswith("with an explicit deny in a resource-based policy")

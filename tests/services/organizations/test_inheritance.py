"""AWS's examples of management policies that merge: the effective policy of an account.

https://docs.aws.amazon.com/organizations/latest/userguide/inheritance-examples.html
"""

from __future__ import annotations

from typing import Any

import pytest

from freehold.services.organizations.inheritance import BadOperator, check, effective


def tag(name: str, **settings: Any) -> dict[str, Any]:
    return {"tags": {name: settings}}


A = tag("costcenter", tag_key={"@@assign": "CostCenter"}, tag_value={"@@assign": ["Development", "Support"]})
B = tag("costcenter", tag_value={"@@assign": ["Sandbox"]}, enforced_for={"@@assign": ["dynamodb:table"]})
C = tag("costcenter", tag_value={"@@append": ["Marketing"]}, enforced_for={"@@append": ["dynamodb:table"]})
D = tag(
    "costcenter",
    tag_value={"@@remove": ["Development", "Marketing"]},
    enforced_for={"@@remove": ["dynamodb:table"]},
)
CONTROL = "@@operators_allowed_for_child_policies"
E = tag(
    "project",
    tag_key={CONTROL: ["@@none"], "@@assign": "Project"},
    tag_value={CONTROL: ["@@append"], "@@assign": ["Maintenance"]},
)
F = tag("project", tag_key={"@@assign": "PROJECT"}, tag_value={"@@append": ["Research"], "@@remove": ["Maintenance"]})
G = tag("project", tag_value={CONTROL: ["@@append"], "@@assign": ["Maintenance"]})
H = tag("project", tag_value={CONTROL: ["@@append", "@@remove"]})
J = tag("project", tag_key={"@@assign": "PROJECT"}, tag_value={"@@append": ["Maintenance"]})
K = tag("project", tag_key={"@@assign": "project"})

CASES = {
    "a child overwrites": (
        [[A], [B]],
        tag("costcenter", tag_key="CostCenter", tag_value=["Sandbox"], enforced_for=["dynamodb:table"]),
    ),
    "a child appends": (
        [[A], [C]],
        tag(
            "costcenter",
            tag_key="CostCenter",
            tag_value=["Development", "Support", "Marketing"],
            enforced_for=["dynamodb:table"],
        ),
    ),
    "a child removes": ([[A], [C], [D]], tag("costcenter", tag_key="CostCenter", tag_value=["Support"])),
    "a parent restricts its children": (
        [[E], [F]],
        tag("project", tag_key="Project", tag_value=["Maintenance", "Research"]),
    ),
    "two limits of one level leave what both allow": (
        [[G, H], [tag("project", tag_value={"@@remove": ["Maintenance"], "@@append": ["Escalations"]})]],
        tag("project", tag_value=["Maintenance", "Escalations"]),
    ),
    "of one level the first attached counts": (
        [[J, K]],
        tag("project", tag_key="PROJECT", tag_value=["Maintenance"]),
    ),
    "a limit is not taken back below": (
        [[E], [tag("project", tag_key={CONTROL: ["@@all"]})], [tag("project", tag_key={"@@assign": "x"})]],
        tag("project", tag_key="Project", tag_value=["Maintenance"]),
    ),
}


@pytest.mark.parametrize(("levels", "wanted"), CASES.values(), ids=CASES.keys())
def test_policies_merge_as_aws_says(levels: Any, wanted: Any) -> None:
    assert effective(levels) == wanted


@pytest.mark.parametrize(
    "setting", [{"@@set": "x"}, {"@@append": "x"}, {CONTROL: ["@@some"]}, {"@@assign": {"a": "b"}}]
)
def test_an_operator_that_is_none_is_refused(setting: Any) -> None:
    with pytest.raises(BadOperator):
        check(tag("project", tag_value=setting))

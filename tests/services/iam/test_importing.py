"""Authorization details that AWS wouldn't print: each member of an odd kind is left out or refused, never a defect."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from freehold.services.iam import importing

ACCOUNT = "arn:aws:iam::111122223333"
TRUST: dict[str, Any] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"}],
}
SOUND: dict[str, dict[str, Any]] = {
    "UserDetailList": {"Arn": f"{ACCOUNT}:user/a", "UserName": "a", "UserId": "AIDAABCDEFGHIJKLMNOP"},
    "GroupDetailList": {"Arn": f"{ACCOUNT}:group/a", "GroupName": "a", "GroupId": "AGPAABCDEFGHIJKLMNOP"},
    "RoleDetailList": {
        "Arn": f"{ACCOUNT}:role/a",
        "RoleName": "a",
        "RoleId": "AROAABCDEFGHIJKLMNOP",
        "AssumeRolePolicyDocument": TRUST,
    },
    "Policies": {
        "Arn": f"{ACCOUNT}:policy/a",
        "PolicyName": "a",
        "PolicyId": "ANPAABCDEFGHIJKLMNOP",
        "DefaultVersionId": "v1",
        "PolicyVersionList": [{"VersionId": "v1", "Document": {"Statement": []}}],
    },
}
FURTHER = (
    *("CreateDate", "UpdateDate", "Description", "GroupList", "UserPolicyList", "GroupPolicyList", "RolePolicyList"),
    *("AttachedManagedPolicies", "InstanceProfileList", "PermissionsBoundary", "Tags"),
)
_ODD_PRINCIPALS: tuple[Any, ...] = ([5], {})
ODD: tuple[Any, ...] = (
    *(5, -1, 1.5, 2**39, 2**70, True, None, "x", "\ud800", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
    *([], [5], [None], ["x"], [[1]], [{}], [{"PolicyName": 5, "PolicyDocument": 5}], [{"PolicyArn": [1]}]),
    *([{"Key": 5, "Value": 6}], [{"VersionId": 1}], {}, {"PermissionsBoundaryArn": [1]}),
    *(
        {"Version": "2012-10-17", "Statement": [{**TRUST["Statement"][0], "Principal": {"AWS": odd}}]}
        for odd in _ODD_PRINCIPALS
    ),
)


@pytest.mark.parametrize("section", SOUND)
@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_a_member_of_an_odd_kind_is_no_defect(section: str, odd: Any) -> None:
    for member in (*SOUND[section], *FURTHER):
        details = {section: [SOUND[section] | {member: odd}]}
        try:
            plan = importing.plan(details, now=1, is_taken=lambda unique_id: False, bound_elsewhere=lambda arn: None)
        except importing.CannotImport:
            continue
        kept: tuple[Any, ...] = (*plan.users, *plan.groups, *plan.roles, *(policy for policy, _ in plan.policies))
        for one in kept:
            assert datetime.fromtimestamp(one.created_at, UTC), member  # or no listing could be written any more


def test_what_is_sound_is_kept() -> None:
    details = {section: [one] for section, one in SOUND.items()}
    plan = importing.plan(details, now=1, is_taken=lambda unique_id: False, bound_elsewhere=lambda arn: None)
    assert (len(plan.users), len(plan.groups), len(plan.roles)) == (1, 1, 1)

"""Authorization details that AWS wouldn't print: each member of an odd kind is left out or refused, never a defect."""

from __future__ import annotations

import json
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
            plan = importing.plan(
                details,
                now=1,
                is_taken=lambda unique_id: False,
                bound_elsewhere=lambda arn: None,
                has_account=lambda id_: False,
            )
        except importing.CannotImport:
            continue
        kept: tuple[Any, ...] = (*plan.users, *plan.groups, *plan.roles, *(policy for policy, _ in plan.policies))
        for one in kept:
            assert datetime.fromtimestamp(one.created_at, UTC), member  # or no listing could be written any more


def test_what_is_sound_is_kept() -> None:
    details = {section: [one] for section, one in SOUND.items()}
    plan = importing.plan(
        details,
        now=1,
        is_taken=lambda unique_id: False,
        bound_elsewhere=lambda arn: None,
        has_account=lambda id_: False,
    )
    assert (len(plan.users), len(plan.groups), len(plan.roles)) == (1, 1, 1)


TRUSTED = [  # kind, principal, what the note says of it (None: no note)
    ("AWS", "111122223333", None),
    ("AWS", "arn:aws:iam::111122223333:root", None),
    ("AWS", "arn:aws:iam::444455556666:root", None),
    ("AWS", "999999999999", "an account that this deployment doesn't have"),
    ("AWS", "arn:aws:iam::999999999999:root", "an account that this deployment doesn't have"),
    ("AWS", "arn:aws:iam::999999999999:role/vendor", "who isn't in the file"),
    ("AWS", "*", None),
    ("Service", "ec2.amazonaws.com", None),
    ("Service", "brand-new.amazonaws.com", "a service that isn't known here"),
    ("Federated", "cognito-identity.amazonaws.com", None),
    ("Federated", "arn:aws:iam::111122223333:saml-provider/corp", "an identity provider that has to be made here"),
]


@pytest.mark.parametrize(("kind", "principal", "noted"), TRUSTED)
def test_who_is_outside_of_this_deployment_is_kept_and_noted(kind: str, principal: str, noted: str | None) -> None:
    trust = {"Version": "2012-10-17", "Statement": [{**TRUST["Statement"][0], "Principal": {kind: principal}}]}
    made = importing.plan(
        {"RoleDetailList": [SOUND["RoleDetailList"] | {"AssumeRolePolicyDocument": trust}]},
        now=1,
        is_taken=lambda unique_id: False,
        bound_elsewhere=lambda arn: None,
        has_account=lambda account_id: account_id == "444455556666",
    )
    (role,) = made.roles
    assert json.loads(role.trust_policy)["Statement"][0]["Principal"] == {kind: principal}
    messages = [note.message for note in made.notes if note.subject == "role a"]
    assert messages == ([] if noted is None else messages[:1])
    assert noted is None or messages[0].startswith(f"it trusts {principal}, {noted}")

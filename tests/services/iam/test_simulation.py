"""The policy simulator: AWS's answers, from the engine that decides real requests."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from desk import Desk, Key, allow, deny, policy, refused
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.authorization.document import parse
from freehold.authorization.gather import Authorizer, IdentityPolicies, OrganizationPolicies
from freehold.authorization.permission import Permission
from freehold.authorization.policy_set import PolicySet
from freehold.authorization.principal import ANONYMOUS, Principal
from freehold.errors import AwsError
from freehold.message import Request
from freehold.services.call import Call
from freehold.services.iam import simulation
from freehold.services.operation import REGISTRY

BUCKET = "arn:aws:s3:::reports"
OBJECT = "arn:aws:s3:::reports/2026.csv"


def simulate(key: Key, name: str = "SimulateCustomPolicy", **params: Any) -> dict[str, Any]:
    return key(name, **params)


def one(key: Key, text: str, action: str = "s3:GetObject", **params: Any) -> dict[str, Any]:
    (result,) = simulate(key, PolicyInputList=[text], ActionNames=[action], **params)["EvaluationResults"]
    return result


def _entry(name: str, *values: str, type_: str = "string") -> dict[str, Any]:
    return {"ContextKeyName": name, "ContextKeyValues": list(values), "ContextKeyType": type_}


# What AWS prints: https://docs.aws.amazon.com/cli/latest/reference/iam/simulate-custom-policy.html

AFTER = (
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":'
    '{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}'
)


def test_awss_first_example(root: Key) -> None:
    entry = _entry("aws:CurrentTime", "2019-04-25T11:00:00Z", type_="date")
    assert one(root, AFTER, "dynamodb:CreateBackup", ContextEntries=[entry]) == {
        "EvalActionName": "dynamodb:CreateBackup",
        "EvalResourceName": "*",
        "EvalDecision": "allowed",
        "MatchedStatements": [
            {
                "SourcePolicyId": "PolicyInputList.1",
                "SourcePolicyType": "IAM Policy",
                "StartPosition": {"Line": 1, "Column": 38},
                "EndPosition": {"Line": 1, "Column": 167},
            }
        ],
        "MissingContextValues": [],
    }


def test_awss_second_example(root: Key) -> None:
    entry = _entry("aws:CurrentTime", "2014-04-25T11:00:00Z", type_="date")
    result = one(root, AFTER, "dynamodb:CreateBackup", ContextEntries=[entry])
    assert (result["EvalDecision"], result["MatchedStatements"]) == ("implicitDeny", [])


# Decisions and their statements


def test_the_statement_that_denies_is_the_only_one_told(root: Key) -> None:
    text = json.dumps(json.loads(policy(allow("s3:*"), deny("s3:GetObject"))), indent=2)
    result = one(root, text)
    assert result["EvalDecision"] == "explicitDeny"
    (matched,) = result["MatchedStatements"]
    lines = text.splitlines()[matched["StartPosition"]["Line"] - 1 : matched["EndPosition"]["Line"]]
    assert '"Effect": "Deny"' in "\n".join(lines)
    assert '"s3:*"' not in "\n".join(lines)


def test_each_resource_has_its_own_result(root: Key) -> None:
    text = policy(allow("s3:GetObject", resource=OBJECT), deny("s3:GetObject", resource="arn:aws:s3:::secret/*"))
    arns = [OBJECT, "arn:aws:s3:::other/x", "arn:aws:s3:::secret/x"]
    result = one(root, text, ResourceArns=arns)
    found = {each["EvalResourceName"]: each["EvalResourceDecision"] for each in result["ResourceSpecificResults"]}
    assert found == dict(zip(arns, ("allowed", "implicitDeny", "explicitDeny"), strict=True))
    assert result["EvalDecision"] == "explicitDeny"
    assert [len(each["MatchedStatements"]) for each in result["ResourceSpecificResults"]] == [1, 0, 1]
    assert result["MatchedStatements"] == result["ResourceSpecificResults"][2]["MatchedStatements"]
    assert result["EvalDecisionDetails"] == {}
    assert one(root, text, ResourceArns=arns[:1])["EvalDecision"] == "allowed"


@pytest.mark.parametrize(
    ("action", "arn", "template"),
    [
        ("s3:GetObject", OBJECT, "arn:${Partition}:s3:::${BucketName}/${ObjectName}"),
        ("s3:ListBucket", BUCKET, "arn:${Partition}:s3:::${BucketName}"),
        (
            "kms:Decrypt",
            "arn:aws:kms:us-east-1:111122223333:key/1",
            "arn:${Partition}:kms:${Region}:${Account}:key/${KeyId}",
        ),
        (
            "iam:SimulatePrincipalPolicy",
            "arn:aws:iam::1:role/x",
            "arn:${Partition}:iam::${Account}:role/${RoleNameWithPath}",
        ),
        ("s3:ListAllMyBuckets", BUCKET, "*"),
        ("new:Thing", "arn:aws:new:::x", "*"),
    ],
)
def test_the_resources_type_is_told_as_its_arns_template(root: Key, action: str, arn: str, template: str) -> None:
    assert one(root, policy(allow("*")), action, ResourceArns=[arn])["EvalResourceName"] == template


def test_missing_keys_are_told_where_resources_are_not_named_and_with_each_that_is(root: Key) -> None:
    text = policy(
        allow("s3:GetObject", Condition={"StringLike": {"aws:PrincipalTag/Team": "x"}}),
        allow("s3:PutObject", resource="arn:aws:s3:::home/${aws:username}/*"),
        allow("s3:PutObject", Condition={"Bool": {"aws:SecureTransport": "true"}}),
    )
    entry = _entry("AWS:securetransport", "true", type_="boolean")
    missing = ["aws:PrincipalTag/Team", "aws:username"]
    assert one(root, text, ContextEntries=[entry])["MissingContextValues"] == missing
    named = one(root, text, ContextEntries=[entry], ResourceArns=[OBJECT])
    assert named["MissingContextValues"] == []
    assert named["ResourceSpecificResults"][0]["MissingContextValues"] == missing
    # What follows from the caller isn't missing.
    ada = f"arn:aws:iam::{root.account}:user/ada"
    assert one(root, text, ContextEntries=[entry], CallerArn=ada)["MissingContextValues"] == missing[:1]


TYPES = [
    ("string", ["x"], {"StringEquals": {"a:key": "x"}}),
    ("stringList", ["y", "x"], {"ForAnyValue:StringEquals": {"a:key": "x"}}),
    ("numeric", ["5"], {"NumericLessThan": {"a:key": "10"}}),
    ("numericList", ["5", "9"], {"ForAllValues:NumericLessThan": {"a:key": "10"}}),
    ("boolean", ["true"], {"Bool": {"a:key": "true"}}),
    ("booleanList", ["true"], {"ForAllValues:Bool": {"a:key": "true"}}),
    ("ip", ["10.1.2.3"], {"IpAddress": {"a:key": "10.0.0.0/8"}}),
    ("ipList", ["10.1.2.3"], {"ForAnyValue:IpAddress": {"a:key": "10.0.0.0/8"}}),
    ("binary", ["QmluYXJ5"], {"BinaryEquals": {"a:key": "QmluYXJ5"}}),
    ("binaryList", ["QmluYXJ5"], {"ForAnyValue:BinaryEquals": {"a:key": "QmluYXJ5"}}),
    ("date", ["2026-01-02T00:00:00Z"], {"DateGreaterThan": {"a:key": "2026-01-01T00:00:00Z"}}),
    ("dateList", ["2026-01-02T00:00:00Z"], {"ForAllValues:DateGreaterThan": {"a:key": "2026-01-01T00:00:00Z"}}),
]


@pytest.mark.parametrize(("type_", "values", "condition"), TYPES, ids=[row[0] for row in TYPES])
def test_context_values_of_every_type(root: Key, type_: str, values: list[str], condition: dict[str, Any]) -> None:
    text = policy(allow("s3:GetObject", Condition=condition))
    entry = {"ContextKeyName": "a:key", "ContextKeyValues": values, "ContextKeyType": type_}
    assert one(root, text, ContextEntries=[entry])["EvalDecision"] == "allowed"


# Boundaries, organizations, resources' policies


def test_a_boundary_limits_and_says_so(root: Key) -> None:
    text, boundary = policy(allow("s3:*", "iam:*")), policy(allow("s3:*"), deny("s3:DeleteBucket"))
    for action, decision, within in (
        ("s3:GetObject", "allowed", True),
        ("iam:ListUsers", "implicitDeny", False),
        ("s3:DeleteBucket", "explicitDeny", False),
    ):
        result = one(root, text, action, PermissionsBoundaryPolicyInputList=[boundary])
        assert result["EvalDecision"] == decision
        assert result["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": within}
        # Nothing determines an implicit deny: the identity policy's allow is not told, as AWS doesn't.
        assert bool(result["MatchedStatements"]) is (decision != "implicitDeny")
    (matched,) = result["MatchedStatements"]
    assert matched["SourcePolicyId"] == "PermissionsBoundaryPolicyInputList.1"
    with refused("InvalidInput", "only one"):
        one(root, text, PermissionsBoundaryPolicyInputList=[boundary, boundary])


def test_levels_of_an_organization_must_each_allow(root: Key) -> None:
    def level(*texts: str) -> dict[str, Any]:
        return {"ServiceControlPolicyInputList": list(texts)}

    everything, no_s3 = policy(allow("*")), policy(allow("*"), deny("s3:*"))
    text = policy(allow("s3:*"))
    for levels, decision in (
        ([level(everything), level(everything)], "allowed"),
        ([level(everything), level(policy(allow("kms:*")))], "implicitDeny"),
        ([level(everything), level()], "implicitDeny"),
        ([level(everything), level(no_s3)], "explicitDeny"),
    ):
        result = one(root, text, OrderedOrganizationPolicyInputList=levels)
        assert result["EvalDecision"] == decision
        assert result["OrganizationsDecisionDetail"] == {"AllowedByOrganizations": decision == "allowed"}
    assert result["MatchedStatements"][0]["SourcePolicyId"] == (
        "OrderedOrganizationPolicyInputList.2.ServiceControlPolicyInputList.1"
    )
    assert "OrganizationsDecisionDetail" not in one(root, text)


def test_a_resource_policy_counts_for_who_it_names(root: Key) -> None:
    ada = f"arn:aws:iam::{root.account}:user/ada"
    attached = policy({"Effect": "Allow", "Principal": {"AWS": ada}, "Action": "s3:GetObject", "Resource": OBJECT})
    nothing = policy(allow("kms:ListKeys"))
    given = {"ResourcePolicy": attached, "ResourceArns": [OBJECT]}
    result = one(root, nothing, CallerArn=ada, **given)
    assert result["EvalDecision"] == "allowed"
    (matched,) = result["MatchedStatements"]
    assert (matched["SourcePolicyId"], matched["SourcePolicyType"]) == ("ResourcePolicy", "Resource Policy")
    assert one(root, nothing, CallerArn=ada.replace("ada", "bob"), **given)["EvalDecision"] == "implicitDeny"
    with refused("InvalidInput", "CallerArn is needed"):
        one(root, nothing, **given)


def test_statements_for_others_are_not_told(root: Key) -> None:
    ada, bob = (f"arn:aws:iam::{root.account}:user/{name}" for name in ("ada", "bob"))
    attached = policy(
        *(
            {"Effect": effect, "Principal": {"AWS": bob}, "Action": "s3:*", "Resource": OBJECT}
            for effect in ("Allow", "Deny")
        )
    )
    given = {"ResourcePolicy": attached, "ResourceArns": [OBJECT]}
    for caller, text, decision, source in (
        (ada, policy(allow("s3:GetObject")), "allowed", "PolicyInputList.1"),
        (bob, policy(allow("s3:GetObject")), "explicitDeny", "ResourcePolicy"),
        (ada, policy(deny("s3:GetObject")), "explicitDeny", "PolicyInputList.1"),
    ):
        result = one(root, text, CallerArn=caller, **given)
        assert result["EvalDecision"] == decision
        assert [matched["SourcePolicyId"] for matched in result["MatchedStatements"]] == [source]


def test_across_accounts_both_sides_are_needed_and_told(root: Key) -> None:
    ada, owner = f"arn:aws:iam::{root.account}:user/ada", "arn:aws:iam::999988887777:root"
    attached = policy({"Effect": "Allow", "Principal": {"AWS": ada}, "Action": "s3:GetObject", "Resource": OBJECT})
    given = {"ResourcePolicy": attached, "ResourceArns": [OBJECT], "ResourceOwner": owner, "CallerArn": ada}
    for text, decision, identity in (
        (policy(allow("s3:GetObject")), "allowed", "allowed"),
        (policy(allow("kms:ListKeys")), "implicitDeny", "implicitDeny"),
        (policy(deny("s3:*")), "explicitDeny", "explicitDeny"),
    ):
        result = one(root, text, **given)
        assert result["EvalDecision"] == decision
        assert result["EvalDecisionDetails"] == {"IAM Policy": identity, "Resource Policy": "allowed"}
        assert result["ResourceSpecificResults"][0]["EvalDecisionDetails"] == result["EvalDecisionDetails"]
    del given["ResourcePolicy"]
    alone = one(root, policy(allow("s3:GetObject")), **given)
    assert alone["EvalDecision"] == "implicitDeny"
    assert alone["EvalDecisionDetails"] == {"IAM Policy": "allowed", "Resource Policy": "implicitDeny"}


def test_a_trust_policy_decides_about_assuming_a_role(root: Key) -> None:
    """AWS's own simulator ignores it for these actions; a real request doesn't."""
    ada, role = f"arn:aws:iam::{root.account}:user/ada", f"arn:aws:iam::{root.account}:role/worker"
    mfa = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}
    trust = policy({"Effect": "Allow", "Principal": {"AWS": ada}, "Action": "sts:AssumeRole", "Condition": mfa})
    given = {"ResourcePolicy": trust, "ResourceArns": [role], "CallerArn": ada}
    text = policy(allow("sts:AssumeRole"))
    assert one(root, text, "sts:AssumeRole", **given)["EvalDecision"] == "implicitDeny"
    entry = _entry("aws:MultiFactorAuthPresent", "true", type_="boolean")
    assert one(root, text, "sts:AssumeRole", ContextEntries=[entry], **given)["EvalDecision"] == "allowed"


# Principals


@pytest.fixture
def ada(desk: Desk, root: Key) -> str:
    """The ARN of a user with an inline policy, a group with another, and a managed one."""
    desk.user(root, "ada", allow("s3:GetObject"), Tags=[{"Key": "team", "Value": "blue"}])
    root("CreateGroup", GroupName="team")
    root("AddUserToGroup", GroupName="team", UserName="ada")
    root("PutGroupPolicy", GroupName="team", PolicyName="put", PolicyDocument=policy(allow("s3:PutObject")))
    made = root("CreatePolicy", PolicyName="keys", PolicyDocument=policy(allow("kms:ListKeys")))
    root("AttachUserPolicy", UserName="ada", PolicyArn=made["Policy"]["Arn"])
    root("AttachGroupPolicy", GroupName="team", PolicyArn="arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess")
    return f"arn:aws:iam::{root.account}:user/ada"


def of_principal(key: Key, arn: str, *actions: str, **params: Any) -> dict[str, tuple[str, list[str]]]:
    found = simulate(key, "SimulatePrincipalPolicy", PolicySourceArn=arn, ActionNames=list(actions), **params)
    return {
        result["EvalActionName"]: (
            result["EvalDecision"],
            [matched["SourcePolicyId"] for matched in result["MatchedStatements"]],
        )
        for result in found["EvaluationResults"]
    }


ACTIONS = ("s3:GetObject", "s3:PutObject", "kms:ListKeys", "ec2:DescribeImages", "iam:ListUsers")


def test_a_users_policies_and_its_groups_are_simulated_by_name(root: Key, ada: str) -> None:
    assert of_principal(root, ada, *ACTIONS) == {
        "s3:GetObject": ("allowed", ["user_ada_inline"]),
        "s3:PutObject": ("allowed", ["group_team_put"]),
        "kms:ListKeys": ("allowed", ["keys"]),
        "ec2:DescribeImages": ("allowed", ["AmazonEC2ReadOnlyAccess"]),
        "iam:ListUsers": ("implicitDeny", []),
    }
    more = of_principal(root, ada, "iam:ListUsers", PolicyInputList=[policy(allow("iam:*"))])
    assert more["iam:ListUsers"] == ("allowed", ["PolicyInputList.1"])
    group = ada.replace("user/ada", "group/team")
    assert of_principal(root, group, "s3:GetObject", "s3:PutObject") == {
        "s3:GetObject": ("implicitDeny", []),
        "s3:PutObject": ("allowed", ["group_team_put"]),
    }


def test_a_users_own_boundary_counts_unless_another_is_given(root: Key, ada: str) -> None:
    arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    root("PutUserPermissionsBoundary", UserName="ada", PermissionsBoundary=arn)
    assert of_principal(root, ada, "s3:GetObject", "s3:PutObject") == {
        "s3:GetObject": ("allowed", ["user_ada_inline"]),
        "s3:PutObject": ("implicitDeny", []),
    }
    other = [policy(allow("s3:Put*"))]
    replaced = of_principal(root, ada, "s3:GetObject", "s3:PutObject", PermissionsBoundaryPolicyInputList=other)
    assert [decision for decision, _ in replaced.values()] == ["implicitDeny", "allowed"]


EXCLUSIONS: list[tuple[dict[str, Any], set[str]]] = [
    ({"PolicyType": "inline"}, {"s3:GetObject", "s3:PutObject"}),
    ({"PolicyType": "aws-managed"}, {"ec2:DescribeImages"}),
    ({"PolicyType": "user-managed"}, {"kms:ListKeys"}),
    ({"PolicyType": "rcp"}, set()),
    ({"PolicyArn": "arn:aws:iam::aws:policy/AmazonEC2*"}, {"ec2:DescribeImages"}),
    ({"PolicyArn": "arn:aws:iam::aws:policy/Nothing"}, set()),
    (
        {"InlinePolicyIdentifier": {"PolicyName": "put", "AttachmentType": "group", "AttachmentName": "team"}},
        {"s3:PutObject"},
    ),
    ({"InlinePolicyIdentifier": {"PolicyName": "put", "AttachmentType": "user", "AttachmentName": "team"}}, set()),
]


@pytest.mark.parametrize(("identifier", "lost"), EXCLUSIONS)
def test_policies_can_be_left_out(root: Key, ada: str, identifier: dict[str, Any], lost: set[str]) -> None:
    found = of_principal(root, ada, *ACTIONS[:4], PolicyExclusionList=[identifier])
    assert {action for action, (decision, _) in found.items() if decision != "allowed"} == lost


def test_wrong_exclusions_are_refused(root: Key, ada: str) -> None:
    for wrong in ({}, {"PolicyArn": "arn:aws:iam::aws:role/x*"}, {"PolicyArn": "arn:aws:iam::aws:policy/**a*"}):
        with refused("InvalidInput"):
            of_principal(root, ada, "s3:GetObject", PolicyExclusionList=[wrong])


def test_the_organization_of_a_real_account_counts(root: Key, ada: str, monkeypatch: pytest.MonkeyPatch) -> None:
    levels = tuple(
        PolicySet((parse(text, "scp"),)) for text in (policy(allow("*")), policy(allow("*"), deny("s3:Get*")))
    )
    held = OrganizationPolicies(scps=levels)
    source = SimpleNamespace(of_account=lambda account_id: held if account_id == root.account else None)
    monkeypatch.setattr(root.worker, "organizations", source, raising=False)
    found = simulate(root, "SimulatePrincipalPolicy", PolicySourceArn=ada, ActionNames=["s3:GetObject", "kms:ListKeys"])
    told = [(one["EvalDecision"], one["OrganizationsDecisionDetail"]) for one in found["EvaluationResults"]]
    assert told == [
        ("explicitDeny", {"AllowedByOrganizations": False}),
        ("allowed", {"AllowedByOrganizations": True}),
    ]
    # The organization's policies are not the account's to read.
    assert found["EvaluationResults"][0]["MatchedStatements"] == []


def test_only_ones_own_accounts_principals_can_be_simulated(desk: Desk, root: Key, ada: str) -> None:
    other = desk.account("other")
    with pytest.raises(AwsError) as caught:
        of_principal(other, ada, "s3:GetObject")
    assert caught.value.code in ("AccessDenied", "NoSuchEntity")
    with refused("NoSuchEntity"):
        of_principal(root, ada.replace("ada", "nobody"), "s3:GetObject")
    with refused("NoSuchEntity"):
        of_principal(root, ada.replace("user/", "user/elsewhere/"), "s3:GetObject")
    bob = desk.user(root, "bob", allow("iam:SimulateCustomPolicy"))
    with refused("AccessDenied", "iam:SimulatePrincipalPolicy"):
        of_principal(bob, ada, "s3:GetObject")
    assert one(bob, policy(allow("s3:*")))["EvalDecision"] == "allowed"


# The simulator and the authorizer


_ACTIONS = ("s3:GetObject", "s3:PutObject", "kms:Decrypt", "sts:AssumeRole")
_RESOURCES = (OBJECT, BUCKET, "arn:aws:kms:us-east-1:111122223333:key/1", "arn:aws:iam::999988887777:role/r")
_KEYS = ("aws:sourceip", "s3:prefix", "aws:principaltag/team")
_conditions = st.dictionaries(
    st.sampled_from(("StringEquals", "StringNotEquals", "StringLikeIfExists")),
    st.dictionaries(st.sampled_from(_KEYS), st.sampled_from(("a", "b", "${aws:username}")), min_size=1, max_size=2),
    max_size=1,
)
_elements = {
    "Effect": st.sampled_from(("Allow", "Allow", "Deny")),
    "Action": st.sampled_from((*_ACTIONS, "s3:*", "*")),
    "Resource": st.sampled_from((*_RESOURCES, "*", "arn:aws:s3:::reports/*")),
    "Condition": _conditions,
}
_identity = st.lists(st.fixed_dictionaries(_elements), min_size=1, max_size=4).map(lambda some: policy(*some))
_principals = st.sampled_from(
    (
        "*",
        {"AWS": "111122223333"},
        {"AWS": "arn:aws:iam::111122223333:user/ada"},
        {"AWS": "arn:aws:iam::111122223333:user/bob"},
    )
)
_attached = st.lists(st.fixed_dictionaries({**_elements, "Principal": _principals}), min_size=1, max_size=3).map(
    lambda some: policy(*some)
)


class _Given:
    def __init__(self, identity: list[str], boundary: str | None) -> None:
        compiled = None if boundary is None else parse(boundary, "boundary")
        self.policies = IdentityPolicies(tuple(parse(text) for text in identity), compiled)

    def identity(self, principal: Principal) -> IdentityPolicies:
        return self.policies


@settings(max_examples=150, deadline=None)
@given(
    st.lists(_identity, min_size=1, max_size=3),
    st.none() | _identity,
    st.none() | _attached,
    st.sampled_from(("s3:GetObject", "s3:PutObject")),
    st.sampled_from((OBJECT, BUCKET)),
    st.sampled_from(("111122223333", "999988887777")),
    st.dictionaries(st.sampled_from(_KEYS), st.sampled_from(("a", "b", "ada")), max_size=3),
    st.sampled_from(("user", "role")),
)
def test_the_simulator_and_the_authorizer_agree(
    identity: list[str],
    boundary: str | None,
    attached: str | None,
    action: str,
    resource: str,
    owner: str,
    keys: dict[str, str],
    kind: str,
) -> None:
    arn = f"arn:aws:iam::111122223333:{kind}/ada"
    who = Principal(kind, "111122223333", arn=arn, name="ada", issuer_arn=arn if kind == "role" else "")  # type: ignore[arg-type]
    permission = Permission(
        action,
        resource,
        owner,
        keys,
        None if attached is None else parse(attached, "resource"),  # type: ignore[arg-type]
    )
    decision = Authorizer(_Given(identity, boundary)).decide_for(who, {}, permission)
    app: Any = SimpleNamespace(records=SimpleNamespace(reader=lambda: _Nothing()))
    call = Call(
        app, Request("POST", "/", "", {}), REGISTRY["iam.SimulateCustomPolicy"], ANONYMOUS, "us-east-1", "r", {}
    )
    call.account_id = "111122223333"
    params: dict[str, Any] = {
        "PolicyInputList": identity,
        "ActionNames": [action],
        "ResourceArns": [resource],
        "ResourceOwner": f"arn:aws:iam::{owner}:root",
        "CallerArn": arn,
        "ContextEntries": [_entry(name, value) for name, value in keys.items()],
    }
    if boundary is not None:
        params["PermissionsBoundaryPolicyInputList"] = [boundary]
    if attached is not None:
        params["ResourcePolicy"] = attached
    (result,) = simulation._simulate_custom(call, params)["EvaluationResults"]
    assert result["EvalDecision"] == {"allow": "allowed"}.get(decision.result, decision.result)
    assert bool(result["MatchedStatements"]) == (decision.result != "implicitDeny")


class _Nothing:
    def get(self, table: str, key: Any) -> None:
        return None


# Over the wire


def test_boto3_simulates_over_pages_and_is_in_the_trail(aws: Any) -> None:
    text = policy(allow("s3:*", resource=OBJECT), deny("s3:DeleteObject"))
    user = aws.new_user("ada", json.loads(text))
    pages = aws.iam.get_paginator("simulate_principal_policy").paginate(
        PolicySourceArn=user.sts.get_caller_identity()["Arn"],
        ActionNames=["s3:GetObject", "s3:DeleteObject", "kms:Decrypt"],
        ResourceArns=[OBJECT],
        PaginationConfig={"PageSize": 1},
    )
    found = [result for page in pages for result in page["EvaluationResults"]]
    assert [each["EvalDecision"] for each in found] == ["allowed", "explicitDeny", "implicitDeny"]
    assert found[0]["EvalDecisionDetails"] == {}
    assert found[1]["MatchedStatements"][0]["SourcePolicyId"] == "user_ada_policy-0"
    keys = aws.iam.get_context_keys_for_custom_policy(PolicyInputList=[AFTER])["ContextKeyNames"]
    assert keys == ["aws:CurrentTime"]
    with pytest.raises(user.iam.exceptions.ClientError, match="iam:SimulateCustomPolicy"):
        user.iam.simulate_custom_policy(PolicyInputList=[text], ActionNames=["s3:GetObject"])
    events = aws.cloudtrail.lookup_events(LookupAttributes=[{"AttributeKey": "Username", "AttributeValue": "ada"}])
    assert "SimulateCustomPolicy" in {event["EventName"] for event in events["Events"]}

"""Every operation asks for what AWS's Service Authorization Reference lists, with the condition keys listed there.

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import condition_keys_page as tables
import pytest
from driven_operations import SERVICES, VARIANTS, Asked, everything_asked

from freehold.authorization import context_keys
from freehold.authorization.context_keys import Context
from freehold.authorization.principal import Principal, Session
from freehold.authorization.principal_element import caller
from freehold.authorization.vpc_endpoint import VpcEndpoint
from freehold.errors import AwsError
from freehold.message import Request
from freehold.services.operation import REGISTRY
from freehold.services.s3 import policy_check

DOCS = Path(__file__).parent.parent.parent / "docs"

ON_OTHER_RESOURCES = {
    # action: the resource that AWS's denials name, where the reference lists none, or not this one
    "iam:ListUsers": r"arn:aws:iam::\d{12}:user/.*",
    "iam:ListRoles": r"arn:aws:iam::\d{12}:role/.*",
    "iam:ListGroups": r"arn:aws:iam::\d{12}:group/.*",
    "iam:ListPolicies": r"arn:aws:iam::\d{12}:policy/.*",
    "iam:ListInstanceProfiles": r"arn:aws:iam::\d{12}:instance-profile/.*",
    "iam:ListVirtualMFADevices": r"arn:aws:iam::\d{12}:mfa/.*",
    "iam:ListServerCertificates": r"arn:aws:iam::\d{12}:server-certificate/.*",
    "kms:ListRetirableGrants": r"arn:aws:iam::\d{12}:role/.*",
    "kms:TagResource": r"\*",
    "s3:ListAllMyBuckets": r"arn:aws:s3:::\*",
    "sts:GetWebIdentityToken": r"arn:aws:sts::\d{12}:self",
    "sts:TagGetWebIdentityToken": r"arn:aws:sts::\d{12}:self",
    "cognito-identity:TagResource": r"\*",
    "cognito-identity:SetIdentityPoolRoles": r"arn:aws:cognito-identity:.*:identitypool/.*",
    "cognito-identity:SetPrincipalTagAttributeMap": r"arn:aws:cognito-identity:.*:identitypool/.*",
    "organizations:AcceptHandshake": r"\*",
    "organizations:CancelHandshake": r"\*",
    "organizations:DeclineHandshake": r"\*",
    "organizations:DescribeHandshake": r"\*",
    "organizations:TagResource": r"arn:aws:organizations::\d{12}:(ou|policy|resourcepolicy)/o-\w+/\*",
    "organizations:PutResourcePolicy": r"arn:aws:organizations::\d{12}:resourcepolicy/.*",
    "organizations:DeleteResourcePolicy": r"arn:aws:organizations::\d{12}:resourcepolicy/.*",
    "organizations:DescribeResourcePolicy": r"arn:aws:organizations::\d{12}:resourcepolicy/.*",
    "organizations:DeleteOrganization": r"arn:aws:organizations::\d{12}:organization/.*",
    "organizations:EnableAllFeatures": r"arn:aws:organizations::\d{12}:organization/.*",
    "sts:TagSession": r"arn:aws:sts::\d{12}:federated-user/.*",
}
ON_BEHALF = {"iam.GenerateOrganizationsAccessReport"}
"""Operations that ask whether another service's operations may be called on anything (`*`)."""
NEWER_ACTIONS: set[str] = set()
"""Actions that are served and not in the reference yet."""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    return everything_asked(tmp_path_factory.mktemp("world"))


def _types(action: str, resource: str) -> list[str]:
    """The resource types of the reference for the action that a resource is of."""
    service, _, name = action.partition(":")
    reference = tables.REFERENCE[service]
    return [
        kind
        for kind in reference["actions"][name]["resources"]
        if re.fullmatch(re.sub(r"\\\$\\\{\w+\\\}", ".+", re.escape(reference["resources"][kind]["arn"])), resource)
    ]


def _is_listed(action: str) -> bool:
    service, _, name = action.partition(":")
    return name in tables.REFERENCE.get(service, {"actions": {}})["actions"]


def test_every_operation_is_driven(asked: Asked) -> None:
    asking = {name for name, _, _ in asked.rows}
    silent = {
        name
        for name, operation in REGISTRY.items()
        if operation.service in SERVICES and name not in asking and name not in VARIANTS and name in asked.failed
    }
    assert not silent, {name: asked.failed[name] for name in silent}


def test_every_permission_names_an_action_of_the_list(asked: Asked) -> None:
    assert not {row for row in asked.rows if not _is_listed(row[1]) and row[1] not in NEWER_ACTIONS}


def test_every_permission_is_on_a_resource_of_a_type_that_its_action_has(asked: Asked) -> None:
    wrong = []
    for name, action, resource in asked.rows:
        if not _is_listed(action) or _types(action, resource) or name in ON_BEHALF:
            continue
        service, _, short = action.partition(":")
        if resource == "*" and not tables.REFERENCE[service]["actions"][short]["resources"]:
            continue
        if not re.fullmatch(ON_OTHER_RESOURCES.get(action, "-"), resource):
            wrong.append((name, action, resource))
    assert not wrong


def test_every_listed_key_is_given_or_there_is_a_reason(asked: Asked) -> None:
    lacking = []
    for (name, action, resource), given in asked.rows.items():
        service, _, short = action.partition(":")
        if not _is_listed(action) or name in ON_BEHALF:
            continue
        for key in sorted(
            tables.wanted(service, tables.REFERENCE[service]["actions"][short], _types(action, resource))
        ):
            bare = tables.without_placeholder(key)
            if not tables.is_among(key, given) and tables.why_not_here(action, bare) is None:
                lacking.append(f"{key} of {action} in {name}")
    assert not lacking, "\n".join(lacking)


def test_no_reason_is_stale(asked: Asked) -> None:
    given = asked.given
    assert not [key for key in tables.NOT_GIVEN if tables.is_among(key, given)]


def test_the_page_is_what_the_operations_do(asked: Asked) -> None:
    """Else: python tests/authorization/condition_keys_page.py > docs/condition-keys.md"""
    text = tables.page(asked.given, asked.actions)
    assert "| not given |" not in text
    assert (DOCS / "condition-keys.md").read_text() == text


# --- global keys ------------------------------------------------------------------------------------------------------

ACCOUNT = "111122223333"
ARN = f"arn:aws:iam::{ACCOUNT}:role/app"
WITHIN_OTHER_LAYERS = {
    # global keys that services and the organization give, by what makes them: a test of each is there
    "aws:RequestTag/", "aws:TagKeys", "aws:ResourceTag/", "aws:AssumedRoot", "aws:SourceArn", "aws:SourceAccount",
    "aws:Ec2InstanceSourceVpc", "aws:Ec2InstanceSourcePrivateIPv4", "ec2:RoleDelivery", "ec2:SourceInstanceArn",
}  # fmt: skip


def _contexts() -> list[Context]:
    """What a service's call, a user, a role's session through an endpoint, and a call on a session's behalf give."""
    request = Request("GET", "/", "", {"user-agent": "x", "referer": "y"}, source_ip="203.0.113.7")
    session = Session(1, 2, name="s", tags=(("team", "red"),), mfa_at=1, source_identity="me")
    role = Principal("role", ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/app/s", "AROA:s", "app", ARN,
                     session=session, tags=session.tags)  # fmt: skip
    user = Principal("user", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/u", "AIDA", "u")
    federated = Principal("federated", name="accounts.google.com")
    service = Principal("service", name="s3.amazonaws.com", extra_context={"aws:SourceAccount": ACCOUNT})
    endpoint = VpcEndpoint("vpce-1", "vpc-1", ACCOUNT, "kms", "us-east-1", lambda address: True)

    class Organization:
        organization_id, path = "o-1", "o-1/r-1/"

    made = []
    for principal, options in (
        (user, {}), (role, {"endpoint": endpoint}), (role, {"via": ("dynamodb",)}), (federated, {}), (service, {}),
    ):  # fmt: skip
        made.append(
            Context(
                context_keys.of_request(request, region="us-east-1", now_seconds=1.0, **options),  # type: ignore[arg-type]
                context_keys.of_principal(caller(principal)),
                resource_account=ACCOUNT,
                mfa_at=None if principal.session is None else principal.session.mfa_at,
                organization_of=lambda account: Organization(),  # type: ignore[arg-type, return-value]
            )
        )
    return made


@pytest.mark.parametrize("key", sorted(tables.GLOBAL.keys() - WITHIN_OTHER_LAYERS))
def test_a_global_key_is_given(key: str) -> None:
    wanted = key.lower() + ("team" if key.endswith("/") else "")
    assert any(context[wanted] is not None for context in _contexts())


@pytest.mark.parametrize("key", sorted(tables.GLOBAL_NOT))
def test_a_global_key_that_nothing_is_known_of_is_absent(key: str) -> None:
    assert all(context[key.lower()] is None for context in _contexts())


def test_every_key_of_the_decision_stands_on_the_page() -> None:
    listed = {key.lower() for key in tables.GLOBAL}
    for context in _contexts():
        for layer in context._layers:
            for key in layer:
                prefix = key.partition("/")[0] + "/" if "/" in key else key
                assert prefix in listed or key.startswith("kms:"), key


def test_every_action_that_is_served_on_a_bucket_is_accepted_in_a_buckets_policy(asked: Asked) -> None:
    """The shipped list of actions may be older than what is served: such an action must not be refused."""
    checked = set()
    for operation, action, resource in asked.rows:
        if action.startswith("s3:") and action != "s3:ListAllMyBuckets" and resource.startswith("arn:aws:s3:::"):
            bucket = resource.removeprefix("arn:aws:s3:::").partition("/")[0]
            statement = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": resource}
            try:
                policy_check.check(json.dumps({"Version": "2012-10-17", "Statement": [statement]}), bucket)
            except AwsError as error:
                pytest.fail(f"{operation}: {action} on {resource}: {error.message}")
            checked.add(action)
    assert len(checked) > 30, checked

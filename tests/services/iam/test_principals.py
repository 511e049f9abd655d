"""Principals in policies: bound to unique ids when written, shown as ARNs, refused when they don't exist."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest
from desk import Desk, Key, policy, refused, trust

from freehold.authorization import document as document_
from freehold.services.iam import records
from freehold.services.iam.principals import InvalidPrincipal, to_arns, to_unique_ids


def document(*principals: Any, element: str = "Principal", kind: str = "AWS") -> str:
    named = principals[0] if len(principals) == 1 else list(principals)
    statement = {"Effect": "Deny", element: {kind: named}, "Action": "*", "Resource": "*"}
    return policy(statement)


def stored(text: str, element: str = "Principal", kind: str = "AWS") -> Any:
    return json.loads(text)["Statement"][0][element][kind]


@pytest.fixture
def ids(root: Key) -> dict[str, str]:
    """Unique ids of a user and a role, by kind."""
    user = root("CreateUser", UserName="alice", Path="/staff/")["User"]
    role = root("CreateRole", RoleName="app", AssumeRolePolicyDocument=trust(root.account))["Role"]
    return {"user": user["UserId"], "role": role["RoleId"], "user_arn": user["Arn"], "role_arn": role["Arn"]}


@pytest.mark.parametrize("element", ["Principal", "NotPrincipal"])
def test_users_and_roles_are_kept_by_unique_id_and_shown_by_arn(
    desk: Desk, root: Key, ids: dict[str, str], element: str
) -> None:
    reader = desk.worker.records.reader()
    written = document(ids["user_arn"], ids["role_arn"], root.account, "*", element=element)
    kept = to_unique_ids(reader, written)
    root_arn = f"arn:aws:iam::{root.account}:root"
    assert stored(kept, element) == [ids["user"], ids["role"], root_arn, "*"]
    assert stored(to_arns(reader, kept), element) == [ids["user_arn"], ids["role_arn"], root_arn, "*"]


def test_a_policy_that_binds_nothing_is_kept_as_it_was_written(desk: Desk) -> None:
    text = '{ "Version":"2012-10-17",\n\n "Statement":[{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}'
    assert to_unique_ids(desk.worker.records.reader(), text) == text


def test_an_arn_outside_the_principal_is_left_alone(desk: Desk, ids: dict[str, str]) -> None:
    statement = {"Effect": "Deny", "Principal": {"AWS": ids["user_arn"]}, "Action": "*", "Resource": ids["user_arn"]}
    kept = json.loads(to_unique_ids(desk.worker.records.reader(), policy(statement)))["Statement"][0]
    assert (kept["Principal"]["AWS"], kept["Resource"]) == (ids["user"], ids["user_arn"])


def test_binding_changes_no_value_of_a_condition(desk: Desk, ids: dict[str, str]) -> None:
    statement = f'''{{"Effect":"Deny","Principal":{{"AWS":"{ids["user_arn"]}"}},"Action":"*","Resource":"*",
        "Condition":{{"StringEquals":{{"aws:RequestTag/v":[1.10, 1e2, 7, true, "ä"]}}}}}}'''
    text = f'{{"Version":"2012-10-17","Statement":[{statement}]}}'
    kept = to_unique_ids(desk.worker.records.reader(), text)
    assert ids["user"] in kept
    for version in (text, kept):
        (condition,) = document_.parse(version, "resource").statements[0].conditions
        assert condition.wanted == ("1.10", "1e2", "7", "true", "ä")


def test_the_id_of_what_is_gone_is_shown_and_cannot_be_written_again(
    desk: Desk, root: Key, ids: dict[str, str]
) -> None:
    reader = desk.worker.records.reader()
    kept = to_unique_ids(reader, document(ids["user_arn"]))
    root("DeleteUser", UserName="alice")
    root("CreateUser", UserName="alice", Path="/staff/")
    shown = to_arns(reader, kept)
    assert stored(shown) == ids["user"]
    with pytest.raises(InvalidPrincipal, match=f'Invalid principal in policy: "AWS":"{ids["user"]}"'):
        to_unique_ids(reader, shown)


@pytest.mark.parametrize(
    "principal",
    [
        "arn:aws:iam::{account}:user/nobody",
        "arn:aws:iam::{account}:user/alice",  # without its path
        "arn:aws:iam::{account}:user/staff/Alice",
        "arn:aws:iam::{account}:user/staff//alice",
        "arn:aws:iam::{account}:user/staff/*",
        "arn:aws:iam::{account}:user/staff/alice/",
        "arn:aws:iam::{account}:role/nothing",
        "arn:aws:iam::{account}:group/staff",
        "arn:aws:iam::{account}:policy/p",
        "arn:aws:iam::{account}:user/../root",
        "arn:aws:iam::999999999999:user/staff/alice",
        "arn:aws:iam:us-east-1:{account}:role/app",
        "arn:aws:iam::12345:root",
        "arn:aws:iam::{account}:root/",
        "arn:aws:sts::{account}:assumed-role/nothing/one",
        "arn:aws:sts::{account}:assumed-role/app/*",
        "arn:aws:sts::{account}:assumed-role/app",
        "arn:aws:sts::{account}:federated-user/*",
        "arn:aws:s3:::bucket",
        "12345678901",
        "１２３４５６７８９０１２",
        "AIDAAAAAAAAAAAAAAAAAA",
        "alice",
        "",
    ],
)
def test_principals_that_do_not_exist_are_refused(desk: Desk, root: Key, ids: dict[str, str], principal: str) -> None:
    named = principal.replace("{account}", root.account)
    with pytest.raises(InvalidPrincipal) as caught:
        to_unique_ids(desk.worker.records.reader(), document(named))
    assert str(caught.value) == f'Invalid principal in policy: "AWS":"{named}"'


@pytest.mark.parametrize(
    ("kind", "principal", "accepted"),
    [
        ("AWS", "arn:aws:iam::123456789012:root", True),
        ("AWS", "arn:aws:sts::123456789012:federated-user/fred", True),
        ("Service", "ec2.amazonaws.com", True),
        ("Service", "s3.us-east-1.amazonaws.com", True),
        ("Service", "example.com", False),
        ("Service", "amazonaws.com.example.com", False),
        ("Federated", "accounts.google.com", True),
        ("CanonicalUser", "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be", True),
    ],
)
def test_principals_that_are_bound_to_nothing(desk: Desk, kind: str, principal: str, accepted: bool) -> None:
    reader, text = desk.worker.records.reader(), document(principal, kind=kind)
    if accepted:
        assert stored(to_unique_ids(reader, text), kind=kind) == principal
    else:
        with pytest.raises(InvalidPrincipal):
            to_unique_ids(reader, text)


def test_a_trust_policy_with_an_unknown_principal_is_refused(root: Key) -> None:
    nobody = f"arn:aws:iam::{root.account}:user/nobody"
    with refused("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{nobody}"'):
        root("CreateRole", RoleName="app", AssumeRolePolicyDocument=trust(nobody))


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("accounts.google.com", True),
        ("cognito-identity.amazonaws.com", True),
        ("arn:aws:iam::123456789012:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/AB12", True),
        ("arn:aws:iam::123456789012:saml-provider/my.corp_1-a", True),
        ("localhost", False),
        ("https://idp.example.com", False),
        ("oidc-provider/idp.example.com", False),
        ("arn:aws:iam::1234:oidc-provider/idp.example.com", False),
        ("arn:aws:iam::123456789012:oidc-provider/", False),
        ("arn:aws:iam::123456789012:user/alice", False),
        ("arn:aws:iam::123456789012:saml-provider/a/b", False),
    ],
)
def test_a_trust_policys_identity_provider_is_a_domain_or_a_providers_arn(root: Key, name: str, accepted: bool) -> None:
    text = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Principal": {"Federated": name},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {"cognito-identity.amazonaws.com:aud": "pool"}},
            },
        }
    )
    if accepted:
        root("CreateRole", RoleName="trusting", AssumeRolePolicyDocument=text)
    else:
        with refused(
            "MalformedPolicyDocument", "Federated principals must be valid domain names or SAML metadata ARNs"
        ):
            root("CreateRole", RoleName="trusting", AssumeRolePolicyDocument=text)


def test_a_role_may_trust_itself_once_it_exists(desk: Desk, root: Key, ids: dict[str, str]) -> None:
    root("UpdateAssumeRolePolicy", RoleName="app", PolicyDocument=trust(ids["role_arn"]))
    shown = root("GetRole", RoleName="app")["Role"]["AssumeRolePolicyDocument"]
    assert stored(unquote(shown)) == [ids["role_arn"]]
    role = records.role_named(desk.worker.records.reader(), root.account, "app")
    assert role is not None
    assert stored(role.trust_policy) == [ids["role"]]

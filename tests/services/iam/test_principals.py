"""Principals in policies: bound to unique ids when written, shown as ARNs, refused when they don't exist."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote

import pytest
from desk import Desk, Key, policy, refused, trust

from freehold.authorization import document as document_
from freehold.authorization.principal_element import canonical_id
from freehold.services.iam import accounts, aws_managed, principals, records, service_linked, service_principals
from freehold.services.iam.principals import InvalidPrincipal, to_arns, to_unique_ids


def document(*principals: Any, element: str = "Principal", kind: str = "AWS") -> str:
    named = principals[0] if len(principals) == 1 else list(principals)
    statement = {"Effect": "Deny", element: {kind: named}, "Action": "*", "Resource": "*"}
    return policy(statement)


def trusting(principal: dict[str, str], action: str = "sts:AssumeRole") -> str:
    return policy({"Effect": "Allow", "Principal": principal, "Action": action})


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
        "arn:aws:iam::999999999999:root",
        "arn:aws:sts::999999999999:federated-user/fred",
        "999999999999",
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
        ("AWS", "arn:aws:iam::{account}:root", True),
        ("AWS", "arn:aws:sts::{account}:federated-user/fred", True),
        ("Service", "ec2.amazonaws.com", True),
        ("Service", "s3.us-east-1.amazonaws.com", True),
        ("Service", "*", True),
        ("Service", "nope.amazonaws.com", False),
        ("Service", "nope.us-east-1.amazonaws.com", False),
        ("Service", "amazonaws.com", False),
        ("Service", "example.com", False),
        ("Service", "amazonaws.com.example.com", False),
        ("Federated", "accounts.google.com", True),
        ("CanonicalUser", "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be", False),
        ("CanonicalUser", "{canonical}", True),
    ],
)
def test_principals_that_are_bound_to_nothing(desk: Desk, root: Key, kind: str, principal: str, accepted: bool) -> None:
    principal = principal.replace("{account}", root.account).replace("{canonical}", canonical_id(root.account))
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
        ("arn:aws:iam::{account}:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/AB12", True),
        ("arn:aws:iam::{account}:saml-provider/my.corp_1-a", True),
        ("localhost", False),
        ("https://idp.example.com", False),
        ("oidc-provider/idp.example.com", False),
        ("arn:aws:iam::1234:oidc-provider/idp.example.com", False),
        ("arn:aws:iam::{account}:oidc-provider/", False),
        ("arn:aws:iam::{account}:user/alice", False),
        ("arn:aws:iam::{account}:saml-provider/a/b", False),
    ],
)
def test_a_trust_policys_identity_provider_is_a_domain_or_a_providers_arn(root: Key, name: str, accepted: bool) -> None:
    text = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": {
                "Effect": "Allow",
                "Principal": {"Federated": name.replace("{account}", root.account)},
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


def test_a_role_trusts_no_identity_provider_of_another_account(root: Key) -> None:
    """AWS refuses the provider's ARN when its account isn't the role's."""
    for kind in ("oidc-provider/idp.example.com", "saml-provider/corp"):
        provider = f"arn:aws:iam::999999999999:{kind}"
        text = trusting({"Federated": provider}, "sts:AssumeRoleWithWebIdentity")
        with refused("MalformedPolicyDocument", f'Invalid principal in policy: "FEDERATED":"{provider}"'):
            root("CreateRole", RoleName="app", AssumeRolePolicyDocument=text)


def test_an_unknown_service_is_refused_in_awss_words(root: Key) -> None:
    text = trusting({"Service": "tagging2.amazonaws.com"})
    with refused("MalformedPolicyDocument", 'Invalid principal in policy: "SERVICE":"tagging2.amazonaws.com"'):
        root("CreateRole", RoleName="app", AssumeRolePolicyDocument=text)


def test_an_account_that_was_made_can_be_trusted_and_one_that_was_not_cannot(desk: Desk, root: Key) -> None:
    other = desk.account("other")
    root("CreateRole", RoleName="app", AssumeRolePolicyDocument=trust(other.account))
    with refused("MalformedPolicyDocument", 'Invalid principal in policy: "AWS":"123412341234"'):
        root("UpdateAssumeRolePolicy", RoleName="app", PolicyDocument=trust("123412341234"))


NAMES = [  # name, whether a service could have it
    ("lambda.amazonaws.com", True),
    ("edgelambda.amazonaws.com", True),
    ("delivery.logs.amazonaws.com", True),
    ("vpc-flow-logs.amazonaws.com", True),
    ("logs.us-east-1.amazonaws.com", True),
    ("logs.us-gov-west-1.amazonaws.com", True),
    ("s3.ap-southeast-5.amazonaws.com", True),
    ("replicator.lambda.amazonaws.com", True),
    ("a-new-part.lambda.amazonaws.com", True),
    ("ec2.amazonaws.com.cn", True),
    ("member.org.stacksets.cloudformation.amazonaws.com", True),
    ("alexa-appkit.amazon.com", True),
    ("lambda", False),
    ("Lambda.amazonaws.com", False),
    ("lambda.amazon.com", False),
    ("lambda.amazonaws.com.evil.example", False),
    ("lambda.nowhere.amazonaws.com", False),
    (".amazonaws.com", False),
    ("us-east-1.amazonaws.com", False),
    ("a." * 40 + "amazonaws.com", False),
    ("lambda.amazonaws.com\n", False),
]


@pytest.mark.parametrize(("name", "there"), NAMES)
def test_what_can_be_a_service(name: str, there: bool) -> None:
    assert service_principals.exists(name) is there


def test_every_service_with_a_service_linked_role_can_be_trusted() -> None:
    assert [name for name in service_linked.kinds() if not service_principals.exists(name)] == []


def test_every_service_that_a_managed_policy_of_aws_names_exists() -> None:
    named = {
        value
        for policy_ in aws_managed.every().values()
        for value in re.findall(r'"((?:[a-z0-9-]+\.)+amazonaws\.com)"', aws_managed.document(policy_))
    }
    assert len(named) > 100
    assert [name for name in sorted(named) if not service_principals.exists(name)] == []


def test_the_accounts_that_awss_load_balancers_write_logs_as_exist_and_are_nobodys(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = desk.worker.records.reader()
    assert len(service_principals.ACCOUNTS) == 22
    for account_id in service_principals.ACCOUNTS:
        kept = to_unique_ids(reader, document(f"arn:aws:iam::{account_id}:root"))
        assert stored(kept) == f"arn:aws:iam::{account_id}:root"
    with pytest.raises(InvalidPrincipal):
        to_unique_ids(reader, document("arn:aws:iam::127311923021:user/x"))
    drawn = iter([127311923021 - 10**11, 5])
    monkeypatch.setattr(accounts.secrets, "randbelow", lambda below: next(drawn))
    assert accounts._random_account_id() == "100000000005"


def test_canonical_users_are_looked_for_once_in_a_policy(
    desk: Desk, root: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All accounts are read for it: naming one a thousand times costs no more."""
    scans: list[Any] = []

    class Counting:
        def scan(self, *given: Any, **options: Any) -> Any:
            scans.append(given)
            return records.ACCOUNTS.scan(*given, **options)

    monkeypatch.setattr(principals, "ACCOUNTS", Counting())
    text = document(*[canonical_id(root.account)] * 200, kind="CanonicalUser")
    assert to_unique_ids(desk.worker.records.reader(), text) == text
    assert len(scans) == 1

"""Principal and NotPrincipal: what they parse to, by which names a caller is known, and who is meant.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from freehold.authorization.principal import ANONYMOUS, Principal, Session
from freehold.authorization.principal_element import (
    BadPrincipal,
    Named,
    PrincipalElement,
    caller,
    canonical_id,
    parse,
)

A, B = "111122223333", "444455556666"
USER = Principal("user", A, f"arn:aws:iam::{A}:user/u", "AIDAUSERUSERUSERU", "u")
ROOT = Principal("root", A, f"arn:aws:iam::{A}:root", A)
ROLE_ARN = f"arn:aws:iam::{A}:role/team/app"
SESSION = Principal("role", A, f"arn:aws:sts::{A}:assumed-role/app/one", "AROAROLEROLEROLER:one", "app", ROLE_ARN,
                    session=Session(1, 2, "one", issuer_unique_id="AROAROLEROLEROLER"))  # fmt: skip
ROLE = Principal("role", A, ROLE_ARN, "AROAROLEROLEROLER", "app", ROLE_ARN)
FEDERATED = Principal("federated-user", A, f"arn:aws:sts::{A}:federated-user/f", f"{A}:f", "f", USER.arn,
                      session=Session(1, 2, "f", issuer_unique_id=USER.unique_id, kind="federation-token"))  # fmt: skip
ROOT_BEHIND = replace(FEDERATED, issuer_arn=ROOT.arn, session=Session(1, 2, "f", issuer_unique_id=A))
SERVICE = Principal("service", name="s3.amazonaws.com", account_id=B)
PROVIDER = Principal("federated", name="accounts.google.com")
OPERATOR = Principal("operator", "000000000000", "arn:aws:freehold::000000000000:operator", "OP", "operator")
LINKED = replace(SESSION, issuer_arn=f"arn:aws:iam::{A}:role/aws-service-role/x.amazonaws.com/app")

KNOWN = [  # principal, account, direct names, limited names, root, service-linked, root behind
    (USER, A, {USER.arn, USER.unique_id}, set(), False, False, False),
    (replace(USER, unique_id=""), A, {USER.arn}, set(), False, False, False),
    (ROOT, A, set(), set(), True, False, False),
    (SESSION, A, {SESSION.arn, SESSION.unique_id}, {ROLE_ARN, "AROAROLEROLEROLER"}, False, False, False),
    (ROLE, A, set(), {ROLE_ARN, "AROAROLEROLEROLER"}, False, False, False),
    (LINKED, A, {SESSION.arn, SESSION.unique_id}, {LINKED.issuer_arn, "AROAROLEROLEROLER"}, False, True, False),
    (replace(SESSION, issuer_arn=f"arn:aws:iam::{A}:role/x/aws-service-role/app"), A,
     {SESSION.arn, SESSION.unique_id}, {f"arn:aws:iam::{A}:role/x/aws-service-role/app", "AROAROLEROLEROLER"},
     False, False, False),
    (replace(ROLE, issuer_arn=f"arn:aws:iam::{A}:role/x:role/aws-service-role/app"), A, set(),
     {f"arn:aws:iam::{A}:role/x:role/aws-service-role/app", "AROAROLEROLEROLER"}, False, False, False),
    (FEDERATED, A, {FEDERATED.arn, f"{A}:f"}, {USER.arn, USER.unique_id}, False, False, False),
    (ROOT_BEHIND, A, {FEDERATED.arn, f"{A}:f"}, {ROOT.arn, A}, False, False, True),
    (replace(ROOT_BEHIND, session=None), A, {FEDERATED.arn, f"{A}:f"}, {ROOT.arn}, False, False, True),
    (replace(ROOT_BEHIND, issuer_arn=""), A, {FEDERATED.arn, f"{A}:f"}, {A}, False, False, True),
    (replace(ROOT_BEHIND, issuer_arn="", session=None), A, {FEDERATED.arn, f"{A}:f"}, set(), False, False, False),
    (replace(SESSION, issuer_arn=ROOT.arn), A, {SESSION.arn, SESSION.unique_id}, {ROOT.arn, "AROAROLEROLEROLER"},
     False, False, False),
    (SERVICE, "", {"s3.amazonaws.com"}, set(), False, False, False),
    (PROVIDER, "", {"accounts.google.com"}, set(), False, False, False),
    (ANONYMOUS, "", set(), set(), False, False, False),
    (OPERATOR, "", set(), set(), False, False, False),
]  # fmt: skip


@pytest.mark.parametrize(("principal", "account", "direct", "limited", "root", "linked", "behind"), KNOWN)
def test_the_names_of_a_caller(
    principal: Principal, account: str, direct: set[str], limited: set[str], root: bool, linked: bool, behind: bool
) -> None:
    who = caller(principal)
    assert (who.kind, who.account_id) == (principal.kind, account)
    assert (who.direct, who.limited) == (direct, limited)
    assert (who.is_root, who.service_linked, who.root_behind) == (root, linked, behind)


def test_a_canonical_id_is_the_accounts_alone() -> None:
    assert canonical_id(A) != canonical_id(B)
    assert len(canonical_id(A)) == 64


def test_nothing_is_said_by_an_empty_element() -> None:
    empty = PrincipalElement()
    assert not empty.everyone
    assert not empty.every_aws
    assert not empty.inverted
    assert all(empty.names_for_allow(caller(one)) is Named.NOT for one in (USER, ROOT, SERVICE, ANONYMOUS))


CANONICAL = canonical_id(A)
PARSED: list[tuple[Any, dict[str, Any]]] = [
    ("*", {"everyone": True}),
    ({"AWS": "*"}, {"every_aws": True}),
    ({"AWS": ["*", A]}, {"every_aws": True, "accounts": {A}}),
    ({"AWS": f"arn:aws:iam::{A}:root"}, {"accounts": {A}}),
    ({"AWS": [USER.arn, ROLE_ARN]}, {"names": {USER.arn, ROLE_ARN}}),
    ({"AWS": [SESSION.arn, FEDERATED.arn]}, {"names": {SESSION.arn, FEDERATED.arn}}),
    ({"AWS": ["AIDAUSERUSERUSERU", "AROAROLEROLEROLER:one"]}, {"names": {"AIDAUSERUSERUSERU",
       "AROAROLEROLEROLER:one"}}),
    ({"AWS": A, "Service": "s3.amazonaws.com"}, {"accounts": {A}, "services": {"s3.amazonaws.com"}}),
    ({"Service": ["s3.amazonaws.com", "*"]}, {"services": {"s3.amazonaws.com", "*"}}),
    ({"Federated": "accounts.google.com"}, {"federated": {"accounts.google.com"}}),
    ({"Federated": "*"}, {"federated": {"*"}}),
    ({"Federated": "Accounts.Google.com"}, {"federated": {"Accounts.Google.com"}}),
    ({"CanonicalUser": CANONICAL.upper()}, {"canonical": {CANONICAL}}),
    ({"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"},
     {"names": {"arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"}}),
]  # fmt: skip


@pytest.mark.parametrize(("element", "wanted"), PARSED, ids=[str(row[0]) for row in PARSED])
def test_what_an_element_parses_to(element: Any, wanted: dict[str, Any]) -> None:
    assert parse(element) == PrincipalElement(**wanted)
    assert parse(element, inverted=True) == PrincipalElement(**wanted, inverted=True)


REFUSED: list[Any] = [
    None, "", "x", [], {}, ["*"], A, {"AWS": []}, {"AWS": [1]}, {"AWS": [A, 1]}, {"AWS": [A, None]}, {"AWS": None},
       {"AWS": {}}, {"AWS": ""}, {"AWS": "x"},
    {"AWS": f"arn:aws:iam::{A}:user/*"}, {"AWS": f"arn:aws:iam::{A}:role/app?"}, {"AWS": f"arn:aws:iam::{A}:group/g"},
    {"AWS": "arn:aws:iam::*:root"}, {"AWS": f"arn:aws:iam::{A}:root/x"}, {"AWS": f"arn:aws:iam::{A}:user/${{x}}"},
    {"AWS": f"arn:aws:sts::{A}:assumed-role/app"}, {"AWS": f"arn:aws:sts::{A}:assumed-role/app/*"},
    {"AWS": f"arn:aws:sts::{A}:assumed-role/app/a/b"}, {"AWS": "1234567890123"}, {"AWS": "11112222333٣"},
    {"AWS": f"arn:aws:iam:us-east-1:{A}:user/u"}, {"AWS": f"arn:aws:iam::{A}:user/"}, {"AWS": f"arn:aws:s3:::{A}"},
    {"Service": "s3"}, {"Service": "s3.amazonaws.com/x"}, {"Service": "*.amazonaws.com"}, {"Service": ""},
    {"Federated": ""}, {"Federated": "a b"}, {"Federated": "accounts.*"}, {"CanonicalUser": "*"},
    {"CanonicalUser": "ab"}, {"CanonicalUser": "g" * 64}, {"User": A}, {"aws": A}, {"AWS": A, "Group": "x"},
]  # fmt: skip


@pytest.mark.parametrize("element", REFUSED, ids=str)
def test_nobody_who_could_not_exist(element: Any) -> None:
    with pytest.raises(BadPrincipal):
        parse(element)


N, ACCOUNT, LIMITED, DIRECT = Named.NOT, Named.ACCOUNT, Named.LIMITED, Named.DIRECT
NAMED = [  # element, caller, how it is named
    ("*", USER, DIRECT), ("*", ANONYMOUS, DIRECT), ("*", SERVICE, DIRECT), ("*", PROVIDER, DIRECT),
    ({"AWS": "*"}, USER, DIRECT), ({"AWS": "*"}, ANONYMOUS, DIRECT), ({"AWS": "*"}, SERVICE, N),
    ({"AWS": "*"}, PROVIDER, N), ({"AWS": A}, USER, ACCOUNT), ({"AWS": A}, ROOT, DIRECT), ({"AWS": B}, ROOT, N),
    ({"AWS": A}, SESSION, ACCOUNT), ({"AWS": A}, FEDERATED, ACCOUNT), ({"AWS": B}, SERVICE, N),
    ({"AWS": A}, ANONYMOUS, N), ({"AWS": "000000000000"}, OPERATOR, N),
    ({"AWS": USER.arn}, USER, DIRECT), ({"AWS": USER.unique_id}, USER, DIRECT), ({"AWS": USER.arn}, FEDERATED, LIMITED),
    ({"AWS": USER.unique_id}, FEDERATED, LIMITED), ({"AWS": ROLE_ARN}, SESSION, LIMITED),
    ({"AWS": "AROAROLEROLEROLER"}, SESSION, LIMITED), ({"AWS": SESSION.unique_id}, SESSION, DIRECT),
    ({"AWS": SESSION.arn}, SESSION, DIRECT), ({"AWS": [ROLE_ARN, SESSION.arn]}, SESSION, DIRECT),
    ({"AWS": [ROLE_ARN, A]}, SESSION, LIMITED), ({"AWS": [USER.arn, A]}, USER, DIRECT),
    ({"Service": "s3.amazonaws.com"}, SERVICE, DIRECT), ({"Service": "*"}, SERVICE, DIRECT),
    ({"Service": "s3.amazonaws.com"}, USER, N), ({"Service": "*"}, USER, N), ({"Service": "*"}, PROVIDER, N),
    ({"Federated": "accounts.google.com"}, PROVIDER, DIRECT), ({"Federated": "*"}, PROVIDER, DIRECT),
    ({"Federated": "*"}, SERVICE, N), ({"Federated": "graph.facebook.com"}, PROVIDER, N),
    ({"CanonicalUser": CANONICAL}, USER, ACCOUNT), ({"CanonicalUser": CANONICAL}, ROOT, DIRECT),
    ({"CanonicalUser": canonical_id(B)}, USER, N), ({"CanonicalUser": CANONICAL}, ANONYMOUS, N),
    ({"CanonicalUser": canonical_id("")}, SERVICE, N),
]  # fmt: skip


@pytest.mark.parametrize(("element", "who", "wanted"), NAMED, ids=lambda one: getattr(one, "kind", str(one)))
def test_how_an_allow_means_a_caller(element: Any, who: Principal, wanted: Named) -> None:
    assert parse(element).names_for_allow(caller(who)) is wanted
    denied = wanted is not N or element in ({"AWS": "*"}, {"AWS": ["*"]})
    assert parse(element).denies(caller(who), has_boundary=False) is denied
    assert parse(element).denies(caller(who), has_boundary=True) is denied


TWO = f"arn:aws:sts::{A}:assumed-role/app/two"
EXCEPTED = [  # NotPrincipal, caller, whether a Deny leaves it out
    ("*", USER, True), ("*", SERVICE, True), ("*", ANONYMOUS, True), ({"AWS": "*"}, USER, True),
    ({"AWS": "*"}, ANONYMOUS, True), ({"AWS": "*"}, SERVICE, False), ({"AWS": "*"}, PROVIDER, False),
    ({"AWS": A}, USER, True), ({"AWS": A}, ROOT, True), ({"AWS": A}, SESSION, True), ({"AWS": B}, USER, False),
    ({"AWS": A}, ANONYMOUS, False), ({"AWS": A}, SERVICE, False), ({"Service": "s3.amazonaws.com"}, SERVICE, True),
    ({"Service": "s3.amazonaws.com"}, USER, False), ({"Federated": "accounts.google.com"}, PROVIDER, True),
    ({"AWS": USER.arn}, USER, False), ({"AWS": [USER.arn, A]}, USER, True), ({"AWS": [USER.arn, A]}, ROOT, True),
    ({"AWS": [USER.unique_id, A]}, USER, True), ({"AWS": ["AIDASOMEBODYELSE1", A]}, USER, False),
    ({"AWS": [f"arn:aws:iam::{A}:user/v", A]}, USER, False),
    # Names of other accounts don't say that the account as a whole isn't meant.
    ({"AWS": [f"arn:aws:iam::{B}:user/v", A]}, USER, True), ({"AWS": [f"arn:aws:iam::{B}:user/v", B]}, USER, False),
    ({"AWS": [ROLE_ARN, A]}, SESSION, True), ({"AWS": [SESSION.arn, A]}, SESSION, False),
    ({"AWS": [SESSION.arn, ROLE_ARN, A]}, SESSION, True), ({"AWS": [TWO, ROLE_ARN, A]}, SESSION, False),
    ({"AWS": [SESSION.arn, ROLE_ARN]}, SESSION, False), ({"AWS": ["AROAROLEROLEROLER", A]}, SESSION, True),
    ({"AWS": ["AROAROLEROLEROLER:two", "AROAROLEROLEROLER", A]}, SESSION, False),
    ({"AWS": ["AROAROLEROLEROLER:one", "AROAROLEROLEROLER", A]}, SESSION, True),
    ({"AWS": ["AROAROLEROLEROLER:one", A]}, SESSION, False),
    ({"AWS": [f"arn:aws:sts::{A}:assumed-role/other/two", ROLE_ARN, A]}, SESSION, True),
    ({"AWS": [f"arn:aws:sts::{A}:assumed-role/app2/two", ROLE_ARN, A]}, SESSION, True),
    ({"AWS": ["AROAOTHEROTHEROTH:two", ROLE_ARN, A]}, SESSION, True),
    ({"AWS": [FEDERATED.arn, A]}, FEDERATED, True), ({"AWS": [USER.arn, A]}, FEDERATED, True),
    ({"AWS": [ROLE_ARN, A]}, ROLE, True), ({"AWS": [TWO, ROLE_ARN, A]}, replace(ROLE, name=""), False),
    ({"AWS": [f"arn:aws:sts::{A}:assumed-role/team/two", ROLE_ARN, A]}, replace(ROLE, name=""), True),
    ({"CanonicalUser": CANONICAL}, USER, True), ({"CanonicalUser": canonical_id(B)}, USER, False),
    # A path may have colons: another role's ARN that goes on with one is no session of this role.
    ({"AWS": [f"{ROLE_ARN}:x/y", ROLE_ARN, A]}, SESSION, True),
]  # fmt: skip


@pytest.mark.parametrize(("element", "who", "excepted"), EXCEPTED, ids=lambda one: getattr(one, "kind", str(one)))
def test_whom_a_deny_by_notprincipal_leaves_out(element: Any, who: Principal, excepted: bool) -> None:
    parsed = parse(element, inverted=True)
    assert parsed.denies(caller(who), has_boundary=False) is not excepted
    assert parsed.denies(caller(who), has_boundary=True) is True

"""The authorizer: what it gathers, what it raises, and that what it remembers never changes an answer."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest

from freehold.authorization import document, explain, gather, policy_set
from freehold.authorization.context_keys import Context, RequestKeys, of_principal, of_request
from freehold.authorization.gather import Authorizer, IdentityPolicies, OrganizationPolicies
from freehold.authorization.permission import Grant, Permission
from freehold.authorization.policy_set import PolicySet
from freehold.authorization.principal import ANONYMOUS, Principal, Session
from freehold.authorization.principal_element import caller, canonical_id
from freehold.errors import AwsError
from freehold.message import Request

ACCOUNT = "111122223333"
ALICE = Principal(
    "user", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/alice", "AIDAALICE1234567890", "alice", tags=(("Team", "red"),)
)
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/k"


def policy(*statements: dict[str, Any], type_: Any = "identity", origin: str = "") -> document.Policy:
    return document.parse({"Version": "2012-10-17", "Statement": list(statements)}, type_, origin=origin)


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


class Source:
    def __init__(self, *identity: document.Policy, boundary: document.Policy | None = None) -> None:
        self.policies = IdentityPolicies(identity, boundary)

    def identity(self, principal: Principal) -> IdentityPolicies:
        return self.policies


def call(principal: Principal = ALICE, service: str = "s3", **context: Any) -> Any:
    keys = RequestKeys(1_767_225_600.0)
    keys.update(context)
    return SimpleNamespace(
        principal=principal, context=keys, operation=SimpleNamespace(service=service), decisions=[], region="us-east-1",
        endpoint=None,
    )  # fmt: skip


def get(action: str = "s3:GetObject", resource: str = "arn:aws:s3:::b/k", **more: Any) -> Permission:
    return Permission(action, resource, ACCOUNT, **more)


def test_an_allowed_call_passes_and_is_noted() -> None:
    one = call()
    Authorizer(Source(policy(allow("s3:GetObject")))).require(one, get())
    assert [decision.result for decision in one.decisions] == ["allow"]


REFUSALS = [("s3", "AccessDenied", 403), ("iam", "AccessDenied", 403), ("sts", "AccessDenied", 403),
            ("kms", "AccessDeniedException", 400), ("cloudtrail", "AccessDeniedException", 400),
            ("organizations", "AccessDeniedException", 400), ("cognito-identity", "AccessDeniedException", 400),
            ("freehold", "AccessDeniedException", 400), ("iam-toolbox", "AccessDeniedException", 403)]  # fmt: skip


@pytest.mark.parametrize(("service", "code", "status"), REFUSALS)
def test_each_service_refuses_in_its_own_way(service: str, code: str, status: int) -> None:
    with pytest.raises(AwsError) as refused:
        Authorizer(Source()).require(call(service=service), get())
    assert (refused.value.code, refused.value.status) == (code, status)
    assert refused.value.message == (
        f'User: {ALICE.arn} is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::b/k" because no '
        "identity-based policy allows the s3:GetObject action"
    )


ORIGIN = f"arn:aws:iam::{ACCOUNT}:policy/p"
MESSAGES = [  # identity, boundary, permission's policy and kind, end of the message
    ([], None, None, "resource", "because no identity-based policy allows the s3:GetObject action"),
    ([deny()], None, None, "resource", f"with an explicit deny in an identity-based policy: {ORIGIN}"),
    ([allow()], [allow("ec2:*")], None, "resource", "because no permissions boundary allows the s3:GetObject action"),
    ([allow()], [deny()], None, "resource", "with an explicit deny in a permissions boundary"),
    ([allow()], None, [deny(Principal="*")], "resource", "with an explicit deny in a resource-based policy"),
    ([allow()], None, [allow(Principal={"AWS": "444455556666"})], "key",
     "because no resource-based policy allows the s3:GetObject action"),
    ([allow()], None, None, "trust", "because no role trust policy allows the s3:GetObject action"),
]  # fmt: skip


@pytest.mark.parametrize(("identity", "boundary", "attached", "kind", "end"), MESSAGES)
def test_the_message_says_which_policy(identity: Any, boundary: Any, attached: Any, kind: Any, end: str) -> None:
    source = Source(
        *([policy(*identity, origin=ORIGIN)] if identity else []),
        boundary=None if boundary is None else policy(*boundary, type_="boundary"),
    )
    resource_policy = None if attached is None else policy(*attached, type_="resource")
    decision = Authorizer(source).decide(call(), get(resource_policy=resource_policy, kind=kind))
    assert explain.message(decision).endswith(end)
    assert explain.summary(decision)["message"].endswith(end)


def test_session_policies_limit_and_broken_ones_allow_nothing() -> None:
    source = Source(policy(allow()))
    role = f"arn:aws:iam::{ACCOUNT}:role/app"

    def decide(policies: tuple[str, ...] | None) -> str:
        principal = Principal(
            "role", ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/app/s", "AROAROLE:s", "app", role,
            session=Session(issued_at=1, expires_at=2, policies=policies, issuer_unique_id="AROAROLE"),
        )  # fmt: skip
        return Authorizer(source).decide(call(principal), get()).result

    everything = '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}'
    assert decide(None) == "allow"
    assert decide((everything,)) == "allow"
    assert decide((everything.replace('"*", "R', '"ec2:*", "R'),)) == "implicitDeny"
    assert decide((everything.replace("Allow", "Deny"),)) == "explicitDeny"
    assert decide(()) == "implicitDeny"
    assert decide((everything, "{")) == "implicitDeny"


CONDITIONS = [  # condition, holds
    ({"StringEquals": {"aws:PrincipalTag/team": "red"}}, True),
    ({"StringEquals": {"aws:userid": "AIDAALICE1234567890"}}, True),
    ({"StringEquals": {"aws:username": "alice"}}, True),
    ({"StringEquals": {"aws:ResourceAccount": ACCOUNT}}, True),
    ({"StringEquals": {"kms:CallerAccount": ACCOUNT}}, True),
    ({"DateEquals": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}, True),
    ({"DateGreaterThan": {"aws:EpochTime": "2025-01-01"}}, True),
    ({"Bool": {"aws:PrincipalIsAWSService": "false"}}, True),
    ({"Null": {"aws:MultiFactorAuthPresent": "true"}}, True),
    ({"Null": {"aws:MultiFactorAuthAge": "true"}}, True),
    ({"Null": {"aws:TokenIssueTime": "false"}}, False),
    ({"StringEquals": {"s3:x": "from the permission"}}, True),
    ({"StringEquals": {"aws:x": "from the request"}}, True),
]


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS)
def test_the_context_has_the_callers_the_requests_and_the_permissions_keys(
    condition: dict[str, Any], expected: bool
) -> None:
    authorizer = Authorizer(Source(policy(allow(Condition=condition))))
    one = call(**{"aws:x": "from the request"})
    assert authorizer.decide(one, get(context={"s3:x": "from the permission"})).allowed is expected


def test_the_permissions_keys_come_before_the_requests() -> None:
    context = Context({"a:b": "permission"}, {"a:b": "request", "a:c": "request"})
    assert (context["a:b"], context["a:c"], context["a:d"]) == ("permission", "request", None)


def test_the_age_of_mfa_is_measured_at_the_request() -> None:
    session = Session(issued_at=1, expires_at=2, mfa_at=1_767_225_600 - 90, kind="session-token")
    principal = Principal("user", ACCOUNT, ALICE.arn, ALICE.unique_id, "alice", session=session)
    young = policy(allow(Condition={"NumericLessThan": {"aws:MultiFactorAuthAge": "91"}}))
    old = policy(allow(Condition={"NumericLessThan": {"aws:MultiFactorAuthAge": "90"}}))
    assert Authorizer(Source(young)).decide(call(principal), get()).allowed
    assert not Authorizer(Source(old)).decide(call(principal), get()).allowed


SESSION_TOKEN = [  # action, mfa, allowed
    ("iam:GetUser", False, False),
    ("iam:GetUser", True, True),
    ("s3:GetObject", False, True),
    ("sts:AssumeRole", False, True),
    ("sts:GetCallerIdentity", False, True),
    ("sts:GetFederationToken", True, False),
    ("sts:GetSessionToken", True, False),
]


@pytest.mark.parametrize(("action", "mfa", "allowed"), SESSION_TOKEN)
def test_what_session_tokens_are_good_for(action: str, mfa: bool, allowed: bool) -> None:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html"""
    session = Session(issued_at=1, expires_at=2, mfa_at=1 if mfa else None, kind="session-token")
    principal = Principal("user", ACCOUNT, ALICE.arn, ALICE.unique_id, "alice", session=session)
    assert Authorizer(Source(policy(allow()))).decide(call(principal), get(action)).allowed is allowed


def test_the_operator_operates_and_reads_nothing() -> None:
    operator = Principal("operator", "operator", "arn:aws:freehold::operator:operator", "x", "operator")
    authorizer = Authorizer(Source(policy(allow())))
    public = policy(allow(Principal="*"), type_="resource")
    wanted = Permission("freehold:CreateAccount", "arn:aws:freehold::operator:deployment", "operator")
    assert authorizer.decide(call(operator), wanted).allowed
    assert not authorizer.decide(call(operator), get(resource_policy=public)).allowed
    assert not Authorizer(Source()).decide(call(operator), wanted).allowed


def test_customers_do_not_operate() -> None:
    root = Principal("root", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)
    wanted = Permission("freehold:CreateAccount", "arn:aws:freehold::operator:deployment", "operator")
    for principal in (root, ALICE, ANONYMOUS):
        assert not Authorizer(Source(policy(allow()))).decide(call(principal), wanted).allowed


def test_unique_ids_name_users_roles_and_sessions() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/app"
    session = Principal(
        "role", ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/app/s", "AROAROLE123456789:s", "app", role
    )
    for principal, named in ((ALICE, "AIDAALICE1234567890"), (session, "AROAROLE123456789")):
        attached = policy(allow(Principal={"AWS": named}), type_="resource")
        assert Authorizer(Source()).decide(call(principal), get(resource_policy=attached)).allowed
        # The ARN of something recreated under the same name is another principal: only the id is compared.
        other = policy(allow(Principal={"AWS": "AIDAOTHER1234567890"}), type_="resource")
        assert not Authorizer(Source()).decide(call(principal), get(resource_policy=other)).allowed


def test_an_excepted_session_by_unique_id_excepts_no_other_session_of_its_role() -> None:
    excepted = {"AWS": ["AROAROLE123456789:one", "AROAROLE123456789", ACCOUNT]}
    statement = {"Effect": "Deny", "NotPrincipal": excepted, "Action": "*", "Resource": "*"}
    attached = policy(statement, type_="resource")
    for name, result in (("one", "allow"), ("two", "explicitDeny")):
        session = Principal(
            "role",
            ACCOUNT,
            f"arn:aws:sts::{ACCOUNT}:assumed-role/app/{name}",
            f"AROAROLE123456789:{name}",
            "app",
            f"arn:aws:iam::{ACCOUNT}:role/app",
        )
        decision = Authorizer(Source(policy(allow()))).decide(call(session), get(resource_policy=attached))
        assert decision.result == result


def test_a_canonical_user_is_an_account() -> None:
    attached = policy(allow(Principal={"CanonicalUser": canonical_id(ACCOUNT)}), type_="resource")
    elsewhere = Permission("s3:GetObject", "arn:aws:s3:::b/k", "444455556666", resource_policy=attached)
    assert Authorizer(Source(policy(allow()))).decide(call(), elsewhere).allowed
    assert not Authorizer(Source()).decide(call(), elsewhere).allowed


def test_a_key_of_a_service_lets_its_account_through() -> None:
    wanted = Permission("kms:Decrypt", KEY, ACCOUNT, kind="key", default_allow=True)
    assert Authorizer(Source()).decide(call(), wanted).allowed
    assert Authorizer(Source(policy(deny("kms:*")))).decide(call(), wanted).result == "explicitDeny"
    stranger = Principal("user", "444455556666", "arn:aws:iam::444455556666:user/m", "AIDAM", "m")
    assert not Authorizer(Source(policy(allow()))).decide(call(stranger), wanted).allowed


def test_a_grant_is_found_by_the_grantees_id() -> None:
    grant = Grant("arn:aws:iam::111122223333:user/renamed", ("Decrypt",), grantee_unique_id=ALICE.unique_id)
    delegating = policy(allow("kms:*", Principal={"AWS": ACCOUNT}), type_="key")
    wanted = Permission("kms:Decrypt", KEY, ACCOUNT, resource_policy=delegating, kind="key", grants=(grant,))
    assert Authorizer(Source()).decide(call(), wanted).decided_by == "grant"


def test_an_unknown_constraint_of_a_grant_never_holds() -> None:
    grant = Grant(ALICE.arn, ("Decrypt",), {"Moon": {"phase": "full"}})
    wanted = Permission("kms:Decrypt", KEY, ACCOUNT, kind="key", grants=(grant,))
    assert not Authorizer(Source()).decide(call(), wanted).allowed


class Organization:
    def __init__(self, **accounts: OrganizationPolicies) -> None:
        self.accounts = accounts

    def of_account(self, account_id: str) -> OrganizationPolicies | None:
        return self.accounts.get(f"a{account_id}")


def test_an_organizations_policies_are_gathered_for_caller_and_resource() -> None:
    full = PolicySet((policy(allow(), type_="scp"),))
    no_s3 = PolicySet((policy(deny("s3:*"), type_="scp"),))
    closed = PolicySet((policy(deny("s3:*", Principal="*"), type_="rcp"),))
    source = Source(policy(allow()))
    for scps, rcps, expected in (((full,), (), "allow"), ((full, no_s3), (), "scp"), ((full,), (closed,), "rcp")):
        organization = Organization(**{f"a{ACCOUNT}": OrganizationPolicies(scps, rcps)})
        decision = Authorizer(source, organization_source=organization).decide(call(), get())
        assert (decision.decided_by if not decision.allowed else "allow") == expected
    management = Organization(**{f"a{ACCOUNT}": OrganizationPolicies((no_s3,), (closed,), is_management_account=True)})
    assert Authorizer(source, organization_source=management).decide(call(), get()).allowed


def test_a_change_of_policies_holds_at_the_next_call() -> None:
    source = Source(policy(allow()))
    authorizer = Authorizer(source)
    assert authorizer.decide(call(), get()).allowed
    source.policies = IdentityPolicies((policy(allow(), deny("s3:*")),))
    assert authorizer.decide(call(), get()).result == "explicitDeny"


def test_another_principal_at_the_same_place_in_memory_is_another_principal() -> None:
    authorizer = Authorizer(Source(policy(allow(resource="arn:aws:s3:::b/${aws:username}"))))
    for number in range(200):
        principal = Principal("user", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/u{number}", f"AIDA{number}", f"u{number}")
        assert authorizer.decide(call(principal), get(resource=f"arn:aws:s3:::b/u{number}")).allowed
        assert not authorizer.decide(call(principal), get(resource="arn:aws:s3:::b/other")).allowed


def test_remembering_never_changes_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_set, "_MOST_VERDICTS_REMEMBERED", 50)
    rng = random.Random(7)
    statements = [
        {
            "Effect": rng.choice(["Allow", "Allow", "Deny"]),
            "Action": rng.choice(["s3:*", "s3:Get*", "s3:GetObject"]),
            "Resource": rng.choice(["*", "arn:aws:s3:::b/*", "arn:aws:s3:::b/${aws:x}", "arn:aws:s3:::b/1"]),
            "Condition": {
                rng.choice(["StringEquals", "StringNotEquals"]): {f"aws:{rng.choice('xyz')}": rng.choice("123")}
            },
        }
        for _ in range(12)
    ]  # fmt: skip
    held = PolicySet((policy(*statements),))
    for _ in range(2000):
        context = {f"aws:{name}": rng.choice(["1", "2", "3", ("1", "2"), None]) for name in "xyz"}
        resource = f"arn:aws:s3:::b/{rng.randint(1, 5)}"
        fresh = PolicySet((policy(*statements),)).verdict("s3:GetObject", resource, Context(context))
        seen = held.verdict("s3:GetObject", resource, Context(context))
        assert [one and one.index for one in seen] == [one and one.index for one in fresh]
        assert policy_set._memory._size <= 50


def test_the_keys_of_a_request() -> None:
    request = Request(
        "GET", "/", "", {"user-agent": "tests", "referer": "https://x"}, source_ip="10.0.0.1", secure=True
    )
    keys = of_request(request, region="eu-west-1", now_seconds=0.0)
    assert dict(keys) == {
        "aws:securetransport": "true", "aws:requestedregion": "eu-west-1", "aws:useragent": "tests",
        "aws:referer": "https://x", "aws:sourceip": "10.0.0.1", "aws:viaawsservice": "false",
    }  # fmt: skip
    assert Context(keys)["aws:currenttime"] == "1970-01-01T00:00:00Z"
    assert Context(keys)["aws:epochtime"] == "0"


def test_the_keys_of_a_request_through_a_service() -> None:
    request = Request("GET", "/", "", {}, source_ip="10.0.0.1")
    keys = of_request(request, region="eu-west-1", now_seconds=0.0, via=("s3",))
    assert keys["aws:viaawsservice"] == "true"
    assert keys["kms:viaservice"] == "s3.eu-west-1.amazonaws.com"
    assert "aws:sourceip" not in keys
    assert "aws:calledvia" not in keys
    chained = of_request(request, region="eu-west-1", now_seconds=0.0, via=("cloudformation", "dynamodb"))
    assert chained["aws:calledvia"] == ("cloudformation.amazonaws.com", "dynamodb.amazonaws.com")
    assert chained["aws:calledviafirst"] == "cloudformation.amazonaws.com"
    assert chained["aws:calledvialast"] == "dynamodb.amazonaws.com"


PRINCIPALS = [  # principal, the keys that follow
    (ALICE, {"aws:principaltype": "User", "aws:principalarn": ALICE.arn, "aws:username": "alice"}),
    (Principal("root", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT),
     {"aws:principaltype": "Account", "aws:userid": ACCOUNT, "aws:principalarn": f"arn:aws:iam::{ACCOUNT}:root"}),
    (Principal("federated-user", ACCOUNT, f"arn:aws:sts::{ACCOUNT}:federated-user/c", f"{ACCOUNT}:c", "c"),
     {"aws:principaltype": "FederatedUser", "aws:userid": f"{ACCOUNT}:c"}),
    (Principal("service", name="s3.amazonaws.com"),
     {"aws:principalisawsservice": "true", "aws:principalservicenameslist": ("s3.amazonaws.com",)}),
    (Principal("federated", name="accounts.google.com", extra_context={"Accounts.Google.com:aud": "x"}),
     {"aws:federatedprovider": "accounts.google.com", "accounts.google.com:aud": "x"}),
    (ANONYMOUS, {"aws:principaltype": "Anonymous", "aws:principalaccount": "anonymous", "aws:userid": "anonymous"}),
]  # fmt: skip


@pytest.mark.parametrize(("principal", "expected"), PRINCIPALS, ids=lambda one: getattr(one, "kind", ""))
def test_the_keys_of_a_principal(principal: Principal, expected: dict[str, Any]) -> None:
    keys = of_principal(caller(principal))
    assert expected.items() <= keys.items()
    if principal.kind not in ("user",):
        assert "aws:username" not in keys


def test_the_endpoint_that_a_call_came_through_takes_part() -> None:
    authorizer = Authorizer(Source(policy(allow())))
    through = call()
    through.endpoint = PolicySet((policy(allow("s3:List*", Principal="*"), type_="endpoint"),))
    decision = authorizer.decide(through, get())
    assert (decision.result, decision.decided_by) == ("implicitDeny", "endpoint")
    assert authorizer.decide(through, get("s3:ListBucket")).allowed
    # What the caller's policies are is remembered; the endpoint's isn't among them.
    assert authorizer.decide(call(), get()).allowed


def test_of_many_statements_those_that_apply_are_found() -> None:
    """Statements that ask for one key's value are found by it: as if each had been looked at."""
    rng = random.Random(11)
    wanted: list[Any] = ["1", "2", ["1", "2"], ["1", "${*}"], ["${*}"], "", ["3", "1"]]
    operators = ["StringEquals"] * 4 + ["StringEqualsIfExists", "StringNotEquals", "ForAnyValue:StringEquals",
                                        "ForAllValues:StringEquals", "StringLike",
                                           "StringEqualsIgnoreCase"]  # fmt: skip
    for _ in range(150):
        statements = [
            {
                "Effect": rng.choice(["Allow", "Allow", "Deny"]), "Action": "s3:*",
                "Resource": rng.choice(["*", "arn:aws:s3:::b/1"]),
                "Condition": {rng.choice(operators): {rng.choice(["aws:x", "AWS:Y"]): rng.choice(wanted)}
                              for _ in range(rng.choice((0, 1, 1, 2)))},
            }
            for _ in range(rng.choice((3, 6, 12)))
        ]  # fmt: skip
        held = PolicySet((policy(*statements),))
        for _ in range(12):
            values = {f"aws:{name}": rng.choice([None, "1", "2", "*", "", ("1", "2"), ("*",), ()]) for name in "xy"}
            resource = rng.choice(["arn:aws:s3:::b/1", "arn:aws:s3:::b/2"])
            applying = [one for one in held.statements if one.applies(resource, Context(values))]
            denies = [one for one in applying if one.effect == "Deny"]
            allows = [one for one in applying if one.effect == "Allow"]
            expected = (denies[0], None) if denies else (None, allows[0] if allows else None)
            assert held.verdict("s3:GetObject", resource, Context(values)) == expected


OTHER = "444455556666"


def of_organization(*, scp: str = "", rcp: str = "", id_: str = "o-one", **more: Any) -> OrganizationPolicies:
    """What denies one action to the account's principals, and one on the account's resources."""
    scps = PolicySet((policy(allow(), *([deny(scp)] if scp else []), type_="scp"),))
    rcps = PolicySet((policy(deny(rcp, Principal="*"), type_="rcp"),) if rcp else ())
    return OrganizationPolicies((scps,), (rcps,), organization_id=id_, path=f"{id_}/r-1/", **more)


ACROSS = [  # organization of the caller, of the resource, the reason
    (None, None, "allow"),
    (of_organization(), None, "allow"),
    (of_organization(scp="s3:*"), None, "scp"),
    (of_organization(rcp="s3:*"), None, "allow"),
    (None, of_organization(scp="s3:*"), "allow"),
    (None, of_organization(rcp="s3:*"), "rcp"),
    (of_organization(scp="s3:*"), of_organization(), "scp"),
    (of_organization(), of_organization(rcp="s3:*"), "rcp"),
    (of_organization(rcp="s3:*"), of_organization(scp="s3:*"), "allow"),
    (of_organization(scp="s3:*", is_management_account=True), of_organization(), "allow"),
    (of_organization(scp="s3:*"), of_organization(is_management_account=True), "scp"),
    (of_organization(), of_organization(rcp="s3:*", is_management_account=True), "allow"),
    (of_organization(is_management_account=True), of_organization(rcp="s3:*"), "rcp"),
    (of_organization(), of_organization(is_closed=True), "rule"),
    (of_organization(is_closed=True), of_organization(), "allow"),
]


@pytest.mark.parametrize(("of_caller", "of_resource", "expected"), ACROSS)
def test_the_callers_scps_and_the_resources_rcps(
    of_caller: OrganizationPolicies | None, of_resource: OrganizationPolicies | None, expected: str
) -> None:
    known = {f"a{ACCOUNT}": of_caller, f"a{OTHER}": of_resource}
    organization = Organization(**{name: one for name, one in known.items() if one is not None})
    authorizer = Authorizer(Source(policy(allow())), organization_source=organization)
    attached = policy(allow(Principal="*"), type_="resource")
    wanted = Permission("s3:GetObject", "arn:aws:s3:::b/k", OTHER, resource_policy=attached)
    for _ in range(2):
        decision = authorizer.decide(call(), wanted)
        assert (decision.decided_by if not decision.allowed else "allow") == expected


def test_what_an_organization_changes_holds_at_the_next_call() -> None:
    """What was put together for a caller is used as long as each of the three is what it was."""
    organization = Organization(**{f"a{ACCOUNT}": of_organization(), f"a{OTHER}": of_organization()})
    source = Source(policy(allow()))
    authorizer = Authorizer(source, organization_source=organization)
    attached = policy(allow(Principal="*"), type_="resource")
    wanted = Permission("s3:GetObject", "arn:aws:s3:::b/k", OTHER, resource_policy=attached)
    assert authorizer.decide(call(), wanted).allowed
    organization.accounts[f"a{ACCOUNT}"] = of_organization(scp="s3:*")
    assert authorizer.decide(call(), wanted).decided_by == "scp"
    organization.accounts[f"a{ACCOUNT}"] = of_organization()
    assert authorizer.decide(call(), wanted).allowed
    organization.accounts[f"a{OTHER}"] = of_organization(rcp="s3:*")
    assert authorizer.decide(call(), wanted).decided_by == "rcp"
    organization.accounts[f"a{OTHER}"] = of_organization()
    assert authorizer.decide(call(), wanted).allowed
    organization.accounts[f"a{OTHER}"] = of_organization(scp="s3:*")
    assert authorizer.decide(call(), wanted).allowed
    organization.accounts[f"a{ACCOUNT}"] = organization.accounts[f"a{OTHER}"]
    assert authorizer.decide(call(), wanted).decided_by == "scp"
    organization.accounts[f"a{ACCOUNT}"] = of_organization()
    assert authorizer.decide(call(), wanted).allowed
    source.policies = IdentityPolicies((policy(deny()),))
    assert authorizer.decide(call(), wanted).result == "explicitDeny"


def test_one_callers_resources_are_each_in_their_own_organization() -> None:
    organization = Organization(**{f"a{ACCOUNT}": of_organization(), f"a{OTHER}": of_organization(rcp="s3:*")})
    authorizer = Authorizer(Source(policy(allow())), organization_source=organization)
    attached = policy(allow(Principal="*"), type_="resource")
    results = [
        authorizer.decide(call(), Permission("s3:GetObject", "arn:aws:s3:::b/k", account, resource_policy=attached))
        for account in (ACCOUNT, OTHER, ACCOUNT, "777788889999", OTHER)
    ]
    assert [one.decided_by if not one.allowed else "allow" for one in results] == [
        "allow", "rcp", "allow", "allow", "rcp",
    ]  # fmt: skip


def test_callers_of_no_account_are_in_no_organization() -> None:
    """An organization's source is asked of accounts alone, and what limits a resource limits everyone."""

    class Strict(Organization):
        def of_account(self, account_id: str) -> OrganizationPolicies | None:
            assert account_id
            return super().of_account(account_id)

    attached = policy(allow(Principal="*"), type_="resource")
    for rcp, expected in (("", True), ("s3:*", False)):
        organization = Strict(**{f"a{ACCOUNT}": of_organization(scp="s3:*", rcp=rcp)})
        authorizer = Authorizer(Source(), organization_source=organization)
        assert authorizer.decide(call(ANONYMOUS), get(resource_policy=attached)).allowed is expected
    nowhere = Permission("s3:GetObject", "arn:aws:s3:::b/k", "", resource_policy=attached)
    assert authorizer.decide(call(ANONYMOUS), nowhere).allowed
    assert not authorizer.decide(call(), nowhere).allowed


ORGANIZATION_KEYS = [  # condition, holds
    ({"StringEquals": {"aws:PrincipalOrgID": "o-one"}}, True),
    ({"StringEquals": {"aws:PrincipalOrgID": "o-two"}}, False),
    ({"StringEquals": {"aws:ResourceOrgID": "o-two"}}, True),
    ({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-one/r-*"}}, True),
]


@pytest.mark.parametrize(("condition", "expected"), ORGANIZATION_KEYS)
def test_the_organization_is_among_the_condition_keys(condition: dict[str, Any], expected: bool) -> None:
    organization = Organization(**{f"a{ACCOUNT}": of_organization(), f"a{OTHER}": of_organization(id_="o-two")})
    attached = policy(allow(Principal="*", Condition=condition), type_="resource")
    wanted = Permission("s3:GetObject", "arn:aws:s3:::b/k", OTHER, resource_policy=attached)
    authorizer = Authorizer(Source(policy(allow())), organization_source=organization)
    assert authorizer.decide(call(), wanted).allowed is expected
    assert not Authorizer(Source(policy(allow()))).decide(call(), wanted).allowed


@pytest.mark.parametrize("principal", [ANONYMOUS, Principal("service", name="s3.amazonaws.com")], ids=lambda p: p.kind)
def test_callers_of_no_account_have_no_identity_policies(principal: Principal) -> None:
    """What a source would answer for them isn't asked for: neither its allows nor its denies are theirs."""
    attached = policy(allow(Principal="*"), type_="resource")
    assert not Authorizer(Source(policy(allow()))).decide(call(principal), get()).allowed
    assert Authorizer(Source(policy(deny()))).decide(call(principal), get(resource_policy=attached)).allowed


def test_what_is_kept_of_denials_is_told_where_the_resource_isnt_hidden() -> None:
    class Kept:
        def told(self, call: Any, decision: Any) -> str:
            return " Encoded: x"

    with pytest.raises(AwsError) as refused:
        Authorizer(Source(), denials=Kept()).require(call(), get())
    assert refused.value.message.endswith("allows the s3:GetObject action Encoded: x")
    hidden = Permission("kms:Decrypt", KEY.replace(ACCOUNT, OTHER), OTHER, kind="key")
    with pytest.raises(AwsError) as refused:
        Authorizer(Source(policy(allow())), denials=Kept()).require(call(service="kms"), hidden)
    assert "Encoded" not in refused.value.message
    with pytest.raises(AwsError) as refused:
        Authorizer(Source()).require(call(), get())
    assert "Encoded" not in refused.value.message


def test_a_decision_is_refused_as_its_call_would_be() -> None:
    decision = Authorizer(Source()).decide(call(), get())
    refused = gather.refusal(decision, "kms")
    assert (refused.code, refused.status) == ("AccessDeniedException", 400)
    assert refused.message == explain.message_to_caller(decision)


def test_no_more_callers_are_known_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "_MOST_CALLERS", 3)
    authorizer = Authorizer(Source(policy(allow())))
    callers = [Principal("user", ACCOUNT, f"{ALICE.arn}{number}", f"AIDA{number}") for number in range(4)]
    known = []
    for principal in callers:
        for _ in range(2):
            assert authorizer.decide(call(principal), get()).allowed
        known.append(len(authorizer._callers))
    assert known == [1, 2, 3, 1]


def test_an_organization_that_has_no_name_gives_none() -> None:
    unnamed = OrganizationPolicies()
    assert (unnamed.organization_id, unnamed.path, unnamed.is_management_account, unnamed.is_closed) == (
        "", "", False, False,
    )  # fmt: skip

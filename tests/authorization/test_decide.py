"""The decision itself: which policy made it, by which statement, and the rules that no policy changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from freehold.authorization import decide as deciding
from freehold.authorization import document
from freehold.authorization.context_keys import Context, of_principal
from freehold.authorization.decide import Decision, Policies, Request, decide
from freehold.authorization.permission import Grant
from freehold.authorization.policy_set import PolicySet, alone
from freehold.authorization.principal import ANONYMOUS, Principal, Session
from freehold.authorization.principal_element import caller

A, B = "111122223333", "444455556666"
USER = Principal("user", A, f"arn:aws:iam::{A}:user/u", "AIDAU", "u")
ROOT = Principal("root", A, f"arn:aws:iam::{A}:root", A)
ROLE = f"arn:aws:iam::{A}:role/app"
SESSION = Principal("role", A, f"arn:aws:sts::{A}:assumed-role/app/one", "AROAR:one", "app", ROLE,
                    session=Session(1, 2, "one", issuer_unique_id="AROAR"))  # fmt: skip
SERVICE = Principal("service", name="s3.amazonaws.com")
OPERATOR = Principal("operator", "000000000000", "arn:aws:freehold::000000000000:operator", "OP", "operator")
LINKED = replace(SESSION, issuer_arn=f"arn:aws:iam::{A}:role/aws-service-role/s3.amazonaws.com/app")
OTHER = Principal("user", B, f"arn:aws:iam::{B}:user/o", "AIDAO", "o")
KEY = f"arn:aws:kms:us-east-1:{A}:key/k"


def policy(kind: Any, *statements: dict[str, Any], **more: Any) -> PolicySet:
    found = []
    for index, one in enumerate(statements):
        full = {"Sid": f"{kind}{index}", "Effect": "Allow", "Action": "*", "Resource": "*", **one}
        if kind in ("resource", "key", "endpoint", "rcp", "trust") and "NotPrincipal" not in one:
            full.setdefault("Principal", "*")
        if kind == "trust":
            del full["Resource"]
            full["Action"] = one.get("Action", "sts:*")
        found.append(full)
    return alone(document.parse({"Version": "2012-10-17", "Statement": found, **more}, kind))


def ask(
    principal: Principal = USER,
    action: str = "s3:GetObject",
    resource: str = "arn:aws:s3:::b/k",
    account: str = A,
    *,
    kind: Any = "resource",
    on: PolicySet | None = None,
    grants: tuple[Grant, ...] = (),
    encryption_context: dict[str, str] | None = None,
    default_allow: bool = False,
    **policies: Any,
) -> Decision:
    who = caller(principal)
    request = Request(
        who, action, resource, account, Context(of_principal(who), resource_account=account), kind, on, grants,
        encryption_context, default_allow,
    )  # fmt: skip
    return decide(request, Policies(policies.pop("identity", deciding.NO_POLICIES), **policies))


DENY, NOTHING = {"Effect": "Deny"}, {"Action": "ec2:*"}
FULL = policy("identity", {})
NAMED = {"Principal": {"AWS": USER.arn}}
ROLE_NAMED = {"Principal": {"AWS": ROLE}}
DECIDED: list[tuple[str, Decision, tuple[str, str, str | None]]] = [
    ("nothing", ask(), ("implicitDeny", "identity", None)),
    ("identity", ask(identity=policy("identity", NOTHING, {})), ("allow", "identity", "identity1")),
    ("identity, the first", ask(identity=policy("identity", {}, {})), ("allow", "identity", "identity0")),
    ("identity denies", ask(identity=policy("identity", {}, DENY)), ("explicitDeny", "identity", "identity1")),
    ("boundary", ask(identity=FULL, boundary=policy("boundary", NOTHING)), ("implicitDeny", "boundary", None)),
    ("boundary denies", ask(identity=FULL, boundary=policy("boundary", {}, DENY)),
     ("explicitDeny", "boundary", "boundary1")),
    ("session", ask(SESSION, identity=FULL, session=policy("session", NOTHING)), ("implicitDeny", "session", None)),
    ("session denies", ask(SESSION, identity=FULL, session=policy("session", {}, DENY)),
     ("explicitDeny", "session", "session1")),
    ("scp", ask(identity=FULL, scps=(FULL, policy("scp", NOTHING))), ("implicitDeny", "scp", None)),
    ("scp denies", ask(identity=FULL, scps=(policy("scp", {}), policy("scp", {}, DENY))),
     ("explicitDeny", "scp", "scp1")),
    ("rcp denies", ask(identity=FULL, rcps=(policy("rcp", DENY),)), ("explicitDeny", "rcp", "rcp0")),
    ("endpoint", ask(identity=FULL, endpoint=policy("endpoint", NOTHING)), ("implicitDeny", "endpoint", None)),
    ("endpoint denies", ask(identity=FULL, endpoint=policy("endpoint", {}, DENY)),
     ("explicitDeny", "endpoint", "endpoint1")),
    ("resource", ask(on=policy("resource", NAMED)), ("allow", "resource", "resource0")),
    ("resource, the first that names as directly", ask(on=policy("resource", {"Principal": {"AWS": A}}, NAMED, NAMED)),
     ("allow", "resource", "resource1")),
    ("resource denies", ask(identity=FULL, on=policy("resource", {}, DENY)), ("explicitDeny", "resource", "resource1")),
    ("the role is named", ask(SESSION, on=policy("resource", ROLE_NAMED)), ("allow", "resource", "resource0")),
    ("the role is named twice", ask(SESSION, on=policy("resource", ROLE_NAMED, ROLE_NAMED)),
     ("allow", "resource", "resource0")),
    ("the account is named", ask(identity=FULL, on=policy("resource", {"Principal": {"AWS": A}})),
     ("allow", "identity", "identity0")),
    ("the account alone is named", ask(on=policy("resource", {"Principal": {"AWS": A}})),
     ("implicitDeny", "identity", None)),
    ("root", ask(ROOT), ("allow", "root", None)),
    ("root of another account", ask(ROOT, account=B, on=policy("resource", {})), ("allow", "root", None)),
    ("service", ask(SERVICE, on=policy("resource", {"Principal": {"Service": "s3.amazonaws.com"}})),
     ("allow", "resource", "resource0")),
    ("service, not named", ask(SERVICE, on=policy("resource", NAMED)), ("implicitDeny", "resource", None)),
    ("another account's resource", ask(OTHER, identity=FULL), ("implicitDeny", "resource", None)),
    ("another account's caller", ask(OTHER, on=policy("resource", {})), ("implicitDeny", "identity", None)),
    ("across accounts", ask(OTHER, identity=FULL, on=policy("resource", {})), ("allow", "identity", "identity0")),
    ("key", ask(identity=FULL, kind="key", action="kms:Decrypt"), ("implicitDeny", "key", None)),
    ("key allows", ask(kind="key", action="kms:Decrypt", on=policy("key", NAMED)), ("allow", "key", "key0")),
    ("key denies", ask(kind="key", action="kms:Decrypt", on=policy("key", DENY)), ("explicitDeny", "key", "key0")),
    ("trust", ask(identity=FULL, kind="trust", action="sts:AssumeRole"), ("implicitDeny", "trust", None)),
    ("trust denies", ask(kind="trust", action="sts:AssumeRole", on=policy("trust", DENY)),
     ("explicitDeny", "trust", "trust0")),
    ("grant", ask(kind="key", action="kms:Decrypt", grants=(Grant(USER.arn, ("Decrypt",)),)), ("allow", "grant", None)),
    ("a federated user without a session policy",
     ask(Principal("federated-user", A, f"arn:aws:sts::{A}:federated-user/f", f"{A}:f", "f"), identity=FULL),
     ("implicitDeny", "session", None)),
    ("a rule", ask(ROOT, "sts:AssumeRole"), ("implicitDeny", "rule", None)),
    ("a rule that allows", ask(action="sts:GetCallerIdentity", identity=policy("identity", DENY)),
     ("allow", "rule", None)),
    ("a closed account", ask(identity=FULL, resource_account_closed=True), ("implicitDeny", "rule", None)),
]  # fmt: skip


@pytest.mark.parametrize(("what", "decision", "wanted"), DECIDED, ids=[row[0] for row in DECIDED])
def test_the_decision_names_the_policy_and_the_statement(
    what: str, decision: Decision, wanted: tuple[str, str, str | None]
) -> None:
    statement = None if decision.statement is None else decision.statement.sid
    assert (decision.result, decision.decided_by, statement) == wanted
    assert decision.allowed is (wanted[0] == "allow")


def test_what_is_not_said_limits_nothing() -> None:
    assert Policies(FULL) == Policies(FULL, None, None, (), (), None, False, False, False)
    who = caller(USER)
    request = Request(who, "s3:GetObject", "arn:aws:s3:::b/k", A, Context({}))
    assert decide(request, Policies(FULL)).result == "allow"
    assert decide(request, Policies(deciding.NO_POLICIES)).decided_by == "identity"


def test_the_services_that_support_resource_control_policies() -> None:
    """https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html"""
    supporting = ["aoss", "cognito-identity", "cognito-idp", "dynamodb", "ecr", "kms", "logs", "s3", "secretsmanager",
                  "sqs", "sts"]  # fmt: skip
    denying = (policy("rcp", DENY),)
    for service in [*supporting, "ec2", "iam", "sns", "lambda", "organizations", "cloudtrail"]:
        found = ask(action=f"{service.upper()}:DoIt", resource="*", identity=FULL, rcps=denying)
        assert (found.decided_by == "rcp") is (service in supporting), service


def test_the_operations_that_kms_offers_across_accounts() -> None:
    """https://docs.aws.amazon.com/kms/latest/developerguide/kms-api-permissions-reference.html"""
    across = [
        "Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
        "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext", "Sign", "Verify", "GenerateMac", "VerifyMac",
        "DeriveSharedSecret", "DescribeKey", "GetPublicKey", "GetKeyRotationStatus", "CreateGrant", "ListGrants",
        "RetireGrant", "RevokeGrant",
    ]  # fmt: skip
    within = ["CancelKeyDeletion", "DisableKey", "EnableKey", "GetKeyPolicy", "ListKeyPolicies", "ListResourceTags",
              "PutKeyPolicy", "ScheduleKeyDeletion", "TagResource", "UntagResource", "UpdateAlias"]  # fmt: skip
    for name in across + within:
        found = ask(OTHER, f"kms:{name}", KEY, kind="key", identity=FULL, on=policy("key", {}))
        assert (found.result == "allow") is (name in across), name
        assert ask(USER, f"kms:{name}", KEY, kind="key", on=policy("key", {})).allowed
        assert ask(SERVICE, f"kms:{name}", KEY, kind="key", on=policy("key", {})).allowed


# --- callers ----------------------------------------------------------------------------------------------------------

_HELD = Session(1, 2, issuer_unique_id="AIDAU", kind="session-token")
TOKEN = replace(USER, session=_HELD)
TOKEN_WITH_MFA = replace(USER, session=replace(_HELD, mfa_at=1))
FEDERATED = Principal("federated-user", A, f"arn:aws:sts::{A}:federated-user/f", f"{A}:f", "f", USER.arn,
                      session=replace(_HELD, kind="federation-token", policies=("",)))  # fmt: skip
ALLOWED, REFUSED = "allow", "implicitDeny"
RULES = [  # who, action, outcome where every policy allows
    (TOKEN, "iam:GetUser", REFUSED), (TOKEN, "IAM:GetUser", REFUSED), (TOKEN_WITH_MFA, "iam:GetUser", ALLOWED),
    (TOKEN, "s3:GetObject", ALLOWED), (SESSION, "iam:GetUser", ALLOWED), (FEDERATED, "iam:GetUser", REFUSED),
    (TOKEN, "sts:AssumeRole", ALLOWED), (TOKEN, "sts:TagSession", ALLOWED), (TOKEN, "sts:SetSourceIdentity", ALLOWED),
    (TOKEN, "STS:assumeROLE", ALLOWED), (TOKEN, "sts:GetFederationToken", REFUSED),
    (TOKEN_WITH_MFA, "sts:GetFederationToken", REFUSED), (TOKEN, "sts:GetSessionToken", REFUSED),
    (TOKEN, "sts:DecodeAuthorizationMessage", REFUSED), (TOKEN, "sts:GetCallerIdentity", ALLOWED),
    (SESSION, "sts:DecodeAuthorizationMessage", ALLOWED), (SESSION, "sts:GetSessionToken", REFUSED),
    (SESSION, "sts:GetFederationToken", REFUSED), (SESSION, "sts:AssumeRole", ALLOWED),
    (USER, "sts:GetSessionToken", ALLOWED), (ROOT, "sts:GetSessionToken", ALLOWED),
    (USER, "sts:GetFederationToken", ALLOWED), (ROOT, "sts:GetFederationToken", ALLOWED),
    (ROOT, "sts:AssumeRole", REFUSED), (FEDERATED, "sts:AssumeRole", REFUSED),
    (FEDERATED, "sts:GetCallerIdentity", ALLOWED), (FEDERATED, "s3:GetObject", ALLOWED),
    (OPERATOR, "s3:GetObject", REFUSED), (OPERATOR, "freehold:CreateAccount", ALLOWED),
    (OPERATOR, "sts:GetCallerIdentity", REFUSED), (SERVICE, "freehold:CreateAccount", REFUSED),
    (ANONYMOUS, "freehold:CreateAccount", REFUSED), (ANONYMOUS, "s3:GetObject", ALLOWED),
    (ANONYMOUS, "sts:GetCallerIdentity", ALLOWED), (SERVICE, "sts:AssumeRole", ALLOWED),
    (SERVICE, "sts:GetSessionToken", REFUSED),
]  # fmt: skip


@pytest.mark.parametrize(("who", "action", "wanted"), RULES, ids=lambda one: getattr(one, "kind", one))
def test_what_some_credentials_never_can(who: Principal, action: str, wanted: str) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_sts-comparison.html"""
    session = policy("session", {}) if who.kind == "federated-user" else None
    account = "000000000000" if who.kind == "operator" else A
    found = ask(who, action, "*", account, identity=FULL, session=session, on=policy("resource", {}))
    assert found.result == wanted


@pytest.mark.parametrize("principal", [LINKED, USER, ROOT, SERVICE, ANONYMOUS], ids=lambda one: one.kind)
def test_whom_an_organizations_policies_reach(principal: Principal) -> None:
    denying = {"scps": (policy("scp", DENY),), "identity": FULL, "on": policy("resource", {})}
    reached = principal in (USER, ROOT)
    assert (ask(principal, **denying).decided_by == "scp") is reached
    assert ask(principal, management_account=True, **denying).allowed
    guarded = {"rcps": (policy("rcp", DENY),), "identity": FULL, "on": policy("resource", {})}
    assert (ask(principal, **guarded).decided_by == "rcp") is (principal is not LINKED)
    assert ask(principal, resource_in_management_account=True, **guarded).allowed


def test_only_the_accounts_own_root_user_keeps_its_bucket_policy() -> None:
    locked = policy("resource", DENY)
    for action in ("GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy", "PutBUCKETPolicy"):
        assert ask(ROOT, f"s3:{action}", "arn:aws:s3:::b", on=locked).allowed
        assert ask(ROOT, f"s3:{action}", "arn:aws:s3:::b", B, on=locked).result == "explicitDeny"
        assert ask(USER, f"s3:{action}", "arn:aws:s3:::b", identity=FULL, on=locked).result == "explicitDeny"
    assert ask(ROOT, "s3:GetObject", on=locked).result == "explicitDeny"


def test_a_notprincipal_always_denies_whoever_has_a_boundary() -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html"""
    excepting = policy("resource", {"Effect": "Deny", "NotPrincipal": {"AWS": [USER.arn, A]}})
    assert ask(identity=FULL, on=excepting).allowed
    assert ask(identity=FULL, boundary=policy("boundary", {}), on=excepting).result == "explicitDeny"
    in_endpoint = policy("endpoint", {}, {"Effect": "Deny", "NotPrincipal": {"AWS": [USER.arn, A]}})
    assert ask(identity=FULL, endpoint=in_endpoint).allowed
    assert ask(identity=FULL, boundary=policy("boundary", {}), endpoint=in_endpoint).decided_by == "endpoint"


def test_a_federated_session_of_root_is_limited_by_its_session_policy_alone() -> None:
    root_behind = replace(FEDERATED, issuer_arn=ROOT.arn, session=replace(_HELD, kind="federation-token",
                                                                          issuer_unique_id=A))  # fmt: skip
    assert ask(root_behind, session=policy("session", {})).allowed
    assert ask(root_behind, session=policy("session", NOTHING)).decided_by == "session"
    assert ask(FEDERATED, session=policy("session", {})).decided_by == "identity"


# --- what a service's own key policy lets through ---------------------------------------------------------------------


def test_a_default_allow_is_for_the_account_alone() -> None:
    asked: dict[str, Any] = {"action": "kms:Decrypt", "resource": KEY, "kind": "key", "default_allow": True}
    assert ask(**asked).allowed
    assert ask(OTHER, identity=FULL, **asked).result == "implicitDeny"
    assert ask(rcps=(policy("rcp", DENY),), **asked).allowed
    assert ask(identity=policy("identity", DENY), **asked).result == "explicitDeny"
    named = ask(on=policy("key", NAMED), **asked)
    assert named.statement is not None


# --- grants -----------------------------------------------------------------------------------------------------------


def granted(*grants: Grant, who: Principal = USER, action: str = "kms:Decrypt", **more: Any) -> Decision:
    return ask(who, action, KEY, kind="key", grants=grants, **more)


SUBSET = {"EncryptionContextSubset": {"a": "1", "b": "2"}}
EQUALS = {"EncryptionContextEquals": {"a": "1"}}
CONSTRAINED = [  # constraints, encryption context, holds
    ({}, None, True), ({}, {"a": "1"}, True), (SUBSET, {"a": "1", "b": "2"}, True),
    (SUBSET, {"a": "1", "b": "2", "c": "3"}, True), (SUBSET, {"a": "1"}, False), (SUBSET, {"a": "1", "b": "3"}, False),
    (SUBSET, {"a": "2", "b": "3"}, False), (SUBSET, None, False), (EQUALS, {"a": "1"}, True),
    (EQUALS, {"a": "1", "b": "2"}, False), (EQUALS, {}, False), (EQUALS | SUBSET, {"a": "1", "b": "2"}, False),
    ({"EncryptionContextEquals": {}}, {}, True), ({"EncryptionContextEquals": {}}, {"a": "1"}, False),
    (SUBSET, {"A": "1", "b": "2"}, True), (SUBSET, {"A": "1", "B": "3"}, False), (EQUALS, {"A": "1"}, True),
    (EQUALS, {"a": "1", "A": "1"}, False), ({"EncryptionContextEquals": {"a": "x"}}, {"a": "X"}, False),
    ({"SourceArn": {"a": "1"}}, {"a": "1"}, False), ({"Unknown": {}}, {}, False),
]  # fmt: skip


@pytest.mark.parametrize(("constraints", "context", "holds"), CONSTRAINED, ids=str)
def test_a_grants_constraints(constraints: Any, context: Any, holds: bool) -> None:
    """https://docs.aws.amazon.com/kms/latest/APIReference/API_GrantConstraints.html"""
    grant = Grant(USER.arn, ("Decrypt", "DescribeKey", "CreateGrant", "RetireGrant", "GetPublicKey"), constraints)
    assert granted(grant, encryption_context=context).allowed is holds
    for action in ("DescribeKey", "CreateGrant", "RetireGrant", "GetPublicKey"):
        assert granted(grant, action=f"kms:{action}", encryption_context=context).allowed


def test_a_grant_is_for_its_operations_in_their_own_spelling() -> None:
    assert not granted(Grant(USER.arn, ("Encrypt",))).allowed
    assert not granted(Grant(USER.arn, ())).allowed
    assert not granted(Grant(USER.arn, ("decrypt",))).allowed


def test_a_grantee_is_who_it_was() -> None:
    assert granted(Grant("arn:gone", ("Decrypt",), grantee_unique_id="AIDAU")).allowed
    assert not granted(Grant("arn:gone", ("Decrypt",), grantee_unique_id="AIDAX")).allowed
    assert not granted(Grant("", ("Decrypt",))).allowed
    assert granted(Grant("s3.amazonaws.com", ("Decrypt",)), who=SERVICE).allowed
    assert granted(Grant(SESSION.arn, ("Decrypt",)), who=SESSION).allowed


def test_a_grant_to_a_role_is_limited_and_one_to_a_session_is_not() -> None:
    to_role, to_session = Grant(ROLE, ("Decrypt",)), Grant(SESSION.arn, ("Decrypt",))
    limited = {"who": SESSION, "boundary": policy("boundary", NOTHING)}
    assert granted(to_role, who=SESSION).allowed
    assert granted(to_role, **limited).decided_by == "boundary"
    assert granted(to_session, **limited).allowed
    for grants in ((to_role, to_session), (to_session, to_role)):
        assert granted(*grants, **limited).allowed
    unrelated = Grant("arn:other", ("Decrypt",))
    for grants in ((to_role, unrelated), (unrelated, to_role)):
        assert granted(*grants, who=SESSION).allowed


def test_a_grant_to_an_account_delegates_to_it() -> None:
    to_account = Grant(f"arn:aws:iam::{A}:root", ("Decrypt",))
    assert granted(to_account, who=ROOT).decided_by == "grant"
    assert granted(to_account).decided_by == "identity"
    assert granted(to_account, identity=FULL).allowed
    to_other = Grant(f"arn:aws:iam::{B}:root", ("Decrypt",))
    assert not granted(to_other, identity=FULL).allowed
    assert granted(to_other, who=OTHER, identity=FULL).allowed
    assert not granted(to_other, who=OTHER).allowed
    assert not granted(to_account, who=SERVICE).allowed


def test_across_accounts_a_grant_needs_no_policy_but_is_limited_by_those_that_limit() -> None:
    grant = Grant(OTHER.arn, ("Decrypt",))
    key_too = policy("key", {"Principal": {"AWS": OTHER.arn}})
    for on in (None, key_too):
        assert granted(grant, who=OTHER, on=on).decided_by == "grant"
        assert granted(grant, who=OTHER, on=on, scps=(policy("scp", NOTHING),)).decided_by == "scp"
    session = Principal("role", B, f"arn:aws:sts::{B}:assumed-role/x/s", "AROAX:s", "x", f"arn:aws:iam::{B}:role/x")
    to_role = Grant(f"arn:aws:iam::{B}:role/x", ("Decrypt",))
    assert granted(to_role, who=session, on=policy("key", {})).decided_by == "grant"
    assert granted(to_role, who=session, session=policy("session", NOTHING)).decided_by == "session"
    assert granted(to_role, who=session, session=policy("session", {})).allowed


def test_where_the_key_policy_is_enough_no_grant_is_named() -> None:
    found = granted(Grant(USER.arn, ("Decrypt",)), on=policy("key", NAMED))
    assert (found.decided_by, found.statement is not None) == ("key", True)
    by_role = granted(Grant(ROLE, ("Decrypt",)), who=SESSION, on=policy("key", ROLE_NAMED))
    assert (by_role.decided_by, by_role.statement is not None) == ("key", True)


def test_the_operator_s_own_policies_are_enough_wherever_a_resource_is() -> None:
    granted = policy("identity", {"Action": "freehold:*"})
    for who in (OPERATOR, replace(OPERATOR, account_id="")):
        for account in (A, "000000000000"):
            assert ask(who, "freehold:CreateAccount", account=account, identity=granted).allowed
            assert not ask(who, "freehold:CreateAccount", account=account).allowed


def test_a_federated_user_manages_iam_at_the_console_alone() -> None:
    """https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html"""
    for kind, allowed in (("console", True), ("federation-token", False)):
        session: Any = Session(1, 2, "f", kind=kind, issuer_unique_id="AIDAU")
        who = Principal(
            "federated-user", A, f"arn:aws:sts::{A}:federated-user/f", f"{A}:f", "f", USER.arn, session=session
        )
        assert ask(who, "iam:ListUsers", identity=FULL, session=FULL).allowed is allowed

"""The decision: pure, over compiled policies and a request context. It reads like AWS's flow chart.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html

    1  an explicit deny in any policy that applies
    2  service control policies: each level must allow (not for service-linked roles and the management account);
       resource control policies need no allow of their own, since RCPFullAWSAccess can't be detached
    3  the resource's side: its policy, or a KMS grant
    4  the caller's side: identity-based policies, limited by the permissions boundary and the session policies
    5  within one account either side is enough, across accounts both are needed; a key policy and a role's trust
       policy must always allow, directly or by delegating to the caller's account

Nothing here reads a clock, a store or a raw document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from freehold.authorization import effort
from freehold.authorization.context_keys import Context
from freehold.authorization.document import Statement
from freehold.authorization.permission import Grant
from freehold.authorization.policy_set import PolicySet
from freehold.authorization.principal_element import Caller, Named

Result: TypeAlias = Literal["allow", "implicitDeny", "explicitDeny"]
DecidedBy: TypeAlias = Literal[
    "identity", "resource", "key", "trust", "grant", "boundary", "session", "scp", "rcp", "endpoint", "root", "rule"
]
Kind: TypeAlias = Literal["resource", "key", "trust"]


@dataclass(slots=True)
class Request:
    """What is asked: `action` on `resource` of `account_id` by `who`."""

    who: Caller
    action: str
    resource: str
    account_id: str
    context: Context
    kind: Kind = "resource"
    resource_policy: PolicySet | None = None
    grants: tuple[Grant, ...] = ()
    encryption_context: Mapping[str, str] | None = None
    default_allow: bool = False


@dataclass(slots=True)
class Policies:
    """What applies to the caller and to the resource's account, apart from the resource's own policy.

    `boundary`, `session` and `endpoint` are None where there is none. Each level of `scps` and `rcps` (root,
    organizational units, account) is a set of its own; none at all outside an organization.
    """

    identity: PolicySet
    boundary: PolicySet | None = None
    session: PolicySet | None = None
    scps: tuple[PolicySet, ...] = ()
    rcps: tuple[PolicySet, ...] = ()
    endpoint: PolicySet | None = None
    management_account: bool = False
    """Whether the caller's account is its organization's management account."""
    resource_in_management_account: bool = False
    resource_account_closed: bool = False
    """Whether the resource's account was closed: nothing in it can be reached."""


NO_POLICIES: Final = PolicySet(())


class Decision:
    """The outcome, by which type of policy, and the statement where one decided. `explain` puts it into words."""

    __slots__ = ("decided_by", "policies", "request", "result", "statement")

    def __init__(
        self, result: Result, decided_by: DecidedBy, statement: Statement | None, request: Request, policies: Policies
    ) -> None:
        self.result: Result = result
        self.decided_by: DecidedBy = decided_by
        self.statement = statement
        self.request = request
        self.policies = policies

    @property
    def allowed(self) -> bool:
        return self.result == "allow"

    def __repr__(self) -> str:
        return f"Decision({self.result}, by {self.decided_by}, {self.request.action})"


SERVICES_WITH_RCPS: Final = frozenset(
    ("aoss", "cognito-identity", "cognito-idp", "dynamodb", "ecr", "kms", "logs", "s3", "secretsmanager", "sqs", "sts")
)
"""https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html"""

KMS_ACROSS_ACCOUNTS: Final = frozenset(
    f"kms:{name}"
    for name in (
        *("encrypt", "decrypt", "reencryptfrom", "reencryptto", "generatedatakey", "generatedatakeywithoutplaintext"),
        *("generatedatakeypair", "generatedatakeypairwithoutplaintext", "sign", "verify", "generatemac", "verifymac"),
        *("derivesharedsecret", "encapsulate", "decapsulate", "describekey", "getpublickey", "getkeyrotationstatus"),
        *("creategrant", "listgrants", "retiregrant", "revokegrant"),
    )
)
"""https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html"""

_GRANT_WITHOUT_CONTEXT: Final = frozenset(("DescribeKey", "RetireGrant", "CreateGrant", "GetPublicKey"))

_ROOT_KEEPS: Final = frozenset(("s3:getbucketpolicy", "s3:putbucketpolicy", "s3:deletebucketpolicy"))
"""A bucket policy cannot lock its account's root user out of itself:
https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html"""


def decide(request: Request, policies: Policies) -> Decision:
    """Whether the request is allowed, and which policy made it so. What takes too long to compare is denied."""
    effort.begin()
    try:
        return _decided(request, policies)
    except effort.TooMuchToCompare:
        return Decision("implicitDeny", "rule", None, request, policies)
    finally:
        effort.end()


def _decided(request: Request, policies: Policies) -> Decision:
    who, action, resource, context = request.who, request.action, request.resource, request.context
    rule = _rules_of_the_caller(request, who)
    if rule is not None:
        return Decision(rule, "rule", None, request, policies)
    if policies.resource_account_closed:
        return Decision("implicitDeny", "rule", None, request, policies)

    # 1. An explicit deny, wherever it is.
    every_level_allows = True
    if policies.scps and _scps_apply(request, policies):
        for level in policies.scps:
            if level.is_full_access:
                continue
            denied, allowed = level.verdict(action, resource, context)
            if denied is not None:
                return Decision("explicitDeny", "scp", denied, request, policies)
            every_level_allows = every_level_allows and allowed is not None
    boundary, session = policies.boundary, policies.session
    has_boundary = boundary is not None
    if policies.rcps and _rcps_apply(request, policies):
        for level in policies.rcps:
            if level.is_full_access:
                continue
            denied = _denying(level, request, who, has_boundary)
            if denied is not None:
                return Decision("explicitDeny", "rcp", denied, request, policies)
    if policies.endpoint is not None:
        denied = _denying(policies.endpoint, request, who, has_boundary)
        if denied is not None:
            return Decision("explicitDeny", "endpoint", denied, request, policies)
    if request.resource_policy is not None and not _root_keeps(request, who):
        denied = _denying(request.resource_policy, request, who, has_boundary)
        if denied is not None:
            return Decision("explicitDeny", request.kind, denied, request, policies)
    denied, by_identity = policies.identity.verdict(action, resource, context)
    if denied is not None:
        return Decision("explicitDeny", "identity", denied, request, policies)
    by_boundary = by_session = None
    if boundary is not None:
        denied, by_boundary = boundary.verdict(action, resource, context)
        if denied is not None:
            return Decision("explicitDeny", "boundary", denied, request, policies)
    if session is not None:
        denied, by_session = session.verdict(action, resource, context)
        if denied is not None:
            return Decision("explicitDeny", "session", denied, request, policies)

    # 2. What limits everyone in the account, or on the way.
    if not every_level_allows:
        return Decision("implicitDeny", "scp", None, request, policies)
    if policies.endpoint is not None and _named_by(policies.endpoint, request)[0] is Named.NOT:
        return Decision("implicitDeny", "endpoint", None, request, policies)

    # 3. The resource's side.
    kind = request.kind
    named, by, statement = _resource_side(request)
    # A grant is enough across accounts too: key trust asks for an IAM policy or a grant.
    # https://docs.aws.amazon.com/kms/latest/developerguide/policy-evaluation.html
    same_account = who.account_id == request.account_id or by == "grant"
    if not who.account_id and who.kind != "operator":
        # Services, identity providers and anonymous callers have no policies of their own.
        if named is Named.DIRECT:
            return Decision("allow", by, statement, request, policies)
        return Decision("implicitDeny", kind, None, request, policies)
    if same_account and named is Named.DIRECT:
        return Decision("allow", by, statement, request, policies)
    if named is Named.NOT and (kind != "resource" or not same_account) and who.kind != "operator":
        return Decision("implicitDeny", kind, None, request, policies)

    # 4. The caller's side.
    is_root = who.is_root or who.root_behind
    if not (same_account and named is Named.LIMITED):
        by, statement = ("root", None) if is_root else ("identity", by_identity)
        if statement is None and not is_root:
            return Decision("implicitDeny", "identity", None, request, policies)
    if has_boundary and by_boundary is None and not is_root:
        return Decision("implicitDeny", "boundary", None, request, policies)
    # Without a session policy, GetFederationToken gives credentials that no identity-based policy reaches:
    # https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html
    if by_session is None and (session is not None or who.kind == "federated-user"):
        return Decision("implicitDeny", "session", None, request, policies)
    return Decision("allow", by, statement, request, policies)


def _denying(policy: PolicySet, request: Request, who: Caller, has_boundary: bool) -> Statement | None:
    """The first `Deny` statement of a policy with principals that means the caller and applies."""
    for statement in policy.candidates(request.action).denies:
        principal = statement.principal
        if (principal is None or principal.denies(who, has_boundary=has_boundary)) and statement.applies(
            request.resource, request.context
        ):
            return statement
    return None


def _named_by(policy: PolicySet, request: Request) -> tuple[Named, Statement | None]:
    """How directly the policy's applying `Allow` statements name the caller, and the statement that does so most."""
    strongest, by = Named.NOT, None
    for statement in policy.candidates(request.action).allows:
        principal = statement.principal
        named = Named.DIRECT if principal is None else principal.names_for_allow(request.who)
        if named > strongest and statement.applies(request.resource, request.context):
            strongest, by = named, statement
            if named is Named.DIRECT:
                break
    return strongest, by


def _resource_side(request: Request) -> tuple[Named, DecidedBy, Statement | None]:
    """What the resource's policy and grants say for the caller."""
    named, by, statement = Named.NOT, request.kind, None
    if request.kind == "key" and _stays_in_account(request):
        return named, by, None
    if request.resource_policy is not None:
        named, statement = _named_by(request.resource_policy, request)
    if named is not Named.DIRECT and request.default_allow and request.who.account_id == request.account_id:
        return Named.DIRECT, by, None
    across = request.who.account_id != request.account_id
    if request.grants and (across or named is not Named.DIRECT):
        granted = max(grant_names(grant, request) for grant in request.grants)
        if granted > named or (across and granted >= Named.LIMITED):
            return granted, "grant", None
    return named, by, statement


def _stays_in_account(request: Request) -> bool:
    """Whether this is a caller of another account and an operation that KMS never offers across accounts."""
    who = request.who
    return (
        bool(who.account_id)
        and who.account_id != request.account_id
        and request.action.lower() not in KMS_ACROSS_ACCOUNTS
    )


def grant_names(grant: Grant, request: Request) -> Named:
    """How a KMS grant names the caller: NOT unless it covers this operation under its constraints.

    https://docs.aws.amazon.com/kms/latest/developerguide/grants.html
    """
    operation = request.action.partition(":")[2]
    if operation not in grant.operations:
        return Named.NOT
    who = request.who
    names = {grant.grantee, grant.grantee_unique_id} - {""}
    if not names.isdisjoint(who.direct):
        named = Named.DIRECT
    elif not names.isdisjoint(who.limited):
        named = Named.LIMITED
    elif who.account_id and f":iam::{who.account_id}:root" in grant.grantee:
        named = Named.DIRECT if who.is_root else Named.ACCOUNT
    else:
        return Named.NOT
    if operation not in _GRANT_WITHOUT_CONTEXT and not _constraints_hold(grant, request.encryption_context or {}):
        return Named.NOT
    return named


def _constraints_hold(grant: Grant, context: Mapping[str, str]) -> bool:
    """Keys of a constraint don't distinguish case, as condition keys don't; values do.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_GrantConstraints.html
    """
    for name, wanted in grant.constraints.items():
        if name == "EncryptionContextEquals":
            if dict(wanted) != dict(context) and sorted(_folded(wanted)) != sorted(_folded(context)):
                return False
        elif name == "EncryptionContextSubset":
            if wanted.items() <= context.items():
                continue
            if not set(_folded(wanted)) <= set(_folded(context)):
                return False
        else:
            return False
    return True


def _folded(pairs: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(key.lower(), value) for key, value in pairs.items()]


def _scps_apply(request: Request, policies: Policies) -> bool:
    """https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html"""
    who = request.who
    return bool(who.account_id) and not policies.management_account and not who.service_linked


def _rcps_apply(request: Request, policies: Policies) -> bool:
    """https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps.html"""
    action = request.action.lower()
    return (
        not policies.resource_in_management_account
        and not request.who.service_linked
        and not request.default_allow
        and action != "kms:retiregrant"
        and action.partition(":")[0] in SERVICES_WITH_RCPS
    )


def _root_keeps(request: Request, who: Caller) -> bool:
    return who.is_root and who.account_id == request.account_id and request.action.lower() in _ROOT_KEEPS


_FOR_EVERYONE: Final = frozenset(("sts:getcalleridentity",))
_STS_WITH_SESSION_TOKEN: Final = frozenset(("sts:assumerole", "sts:tagsession", "sts:setsourceidentity"))


def _rules_of_the_caller(request: Request, who: Caller) -> Result | None:
    """What no policy can change: what some credentials can never do, and what everyone may.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_sts-comparison.html
    """
    kind = who.kind
    action = request.action
    if kind == "operator":
        return None if action.startswith("freehold:") else "implicitDeny"
    if action.startswith("freehold:") and not who.account_id:
        return "implicitDeny"
    session = who.principal.session
    if action[:4].lower() != "sts:":
        if action[:4].lower() == "iam:":
            if kind == "federated-user" and (session is None or session.kind != "console"):
                return "implicitDeny"
            if session is not None and session.kind == "session-token" and session.mfa_at is None:
                return "implicitDeny"
        return None
    lower = action.lower()
    if lower in _FOR_EVERYONE:
        return "allow" if who.account_id else None
    if kind == "federated-user":
        return "implicitDeny"
    if session is not None and session.kind == "session-token" and lower not in _STS_WITH_SESSION_TOKEN:
        return "implicitDeny"
    if lower == "sts:getsessiontoken":
        return "allow" if kind in ("user", "root") else "implicitDeny"
    if (who.is_root and lower == "sts:assumerole") or (kind == "role" and lower == "sts:getfederationtoken"):
        return "implicitDeny"
    return None

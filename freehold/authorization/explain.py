"""A decision in words: AWS's one-line message, and each policy's verdict with the condition that failed.

Nothing here runs for an allowed call. The decision keeps its compiled policies and its context, so explaining is
evaluating again and writing down what happens.

https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

from freehold.authorization import decide
from freehold.authorization.document import Statement
from freehold.authorization.permission import ContextValue
from freehold.authorization.policy_set import PolicySet
from freehold.authorization.principal_element import Caller, Named

_TYPES: Final = {
    "identity": ("an identity-based policy", "no identity-based policy allows"),
    "resource": ("a resource-based policy", "no resource-based policy allows"),
    "key": ("a resource-based policy", "no resource-based policy allows"),
    "grant": ("a resource-based policy", "no resource-based policy allows"),
    "trust": ("the role trust policy", "no role trust policy allows"),
    "boundary": ("a permissions boundary", "no permissions boundary allows"),
    "session": ("a session policy", "no session policy allows"),
    "scp": ("a service control policy", "no service control policy allows"),
    "rcp": ("a resource control policy", "no resource control policy allows"),
    "endpoint": ("a VPC endpoint policy", "no VPC endpoint policy allows"),
}

_NAMES: Final = {
    "identity": "identity-based policies",
    "resource": "resource-based policy",
    "key": "key policy",
    "trust": "role trust policy",
    "boundary": "permissions boundary",
    "session": "session policies",
    "scp": "service control policies",
    "rcp": "resource control policies",
    "endpoint": "VPC endpoint policy",
}

_LONGEST_VALUE: Final = 300


@dataclass(frozen=True, slots=True)
class Finding:
    """What one statement said, and why."""

    policy_type: str
    policy: str
    """The policy's ARN or name."""
    statement: str
    effect: str
    applies: bool
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one type of policy (one level of it) said: allow, explicitDeny, implicitDeny, or that there is none."""

    policy_type: str
    verdict: str
    findings: tuple[Finding, ...] = ()


def message(decision: decide.Decision) -> str:
    """AWS's line: `User: ARN is not authorized to perform: ACTION on resource: ARN because …`.

    S3 puts the resource into quotation marks. The ARN of a managed policy that denies explicitly is named; a
    resource's own policy has none.
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/troubleshoot-403-errors.html
    """
    request = decision.request
    line = f"User: {_who(request.who)} is not authorized to perform: {request.action}"
    if request.resource and request.resource != "*":
        quoted = request.action.startswith("s3:")
        line += f' on resource: "{request.resource}"' if quoted else f" on resource: {request.resource}"
    words = _TYPES.get(decision.decided_by)
    if words is None:
        return line
    with_deny, no_allow = words
    if decision.result == "implicitDeny":
        return f"{line} because {no_allow} the {request.action} action"
    origin = decision.statement.policy.origin if decision.statement is not None else ""
    return f"{line} with an explicit deny in {with_deny}" + (f": {origin}" if ":policy/" in origin else "")


def message_to_caller(decision: decide.Decision) -> str:
    """As `message`; but of another account's key that doesn't let the caller in, what is said of one that isn't there.

    Otherwise keys and the aliases of other accounts could be tried until one exists.
    """
    request = decision.request
    who = request.who
    if who.kind == "federated":
        # Who comes with a token or an assertion learns nothing of the role. AWS's words.
        return f"Not authorized to perform {request.action}"
    if not is_hidden(decision):
        return message(decision)
    return (
        f"User: {_who(who)} is not authorized to perform: {request.action} on this resource because the resource does "
        "not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly "
        "denies access"
    )


def is_hidden(decision: decide.Decision) -> bool:
    """Whether a denial is told as that of a resource that isn't there: of another account's key."""
    request = decision.request
    if request.kind != "key" or request.who.account_id == request.account_id:
        return False
    return decision.decided_by == "key" or decide._resource_side(request)[0] is Named.NOT


def why(decision: decide.Decision) -> str:
    """The decision in a paragraph: the message's reason, the deciding statement, and what failed to apply."""
    request = decision.request
    if decision.result == "allow":
        if decision.statement is not None:
            return f"allowed by {_place(decision.statement)}"
        return {
            "root": "allowed: the account's root user",
            "grant": "allowed by a KMS grant",
            "rule": "allowed: no permission is needed",
        }.get(decision.decided_by, "allowed by the key's own service")
    if decision.result == "explicitDeny" and decision.statement is not None:
        return f"{message(decision)}; {_place(decision.statement)} denies it"
    if decision.decided_by == "rule":
        return f"{message(decision)}; credentials of this kind ({request.who.kind}) may never do this"
    parts = [message(decision)]
    for verdict in verdicts(decision):
        if verdict.policy_type != _NAMES.get(decision.decided_by):
            continue
        parts += [f"{f.policy}, {f.statement}: {f.why}" for f in verdict.findings if f.effect == "Allow"]
    return "; ".join(parts)


def verdicts(decision: decide.Decision) -> list[Verdict]:
    """What each type of policy that applies says on its own, in the flow chart's order."""
    request, policies = decision.request, decision.policies
    has_boundary = policies.boundary is not None
    found = []
    for level in policies.scps:
        found.append(_verdict("scp", level, request, applies=decide._scps_apply(request, policies)))
    for level in policies.rcps:
        found.append(_verdict("rcp", level, request, applies=decide._rcps_apply(request, policies)))
    if policies.endpoint is not None:
        found.append(_verdict("endpoint", policies.endpoint, request, has_boundary=has_boundary))
    if request.resource_policy is not None:
        found.append(_verdict(request.kind, request.resource_policy, request, has_boundary=has_boundary))
    elif request.kind != "resource":
        found.append(Verdict(_NAMES[request.kind], "none"))
    if request.who.account_id or request.who.kind == "operator":
        found.append(_verdict("identity", policies.identity, request))
    if policies.boundary is not None:
        found.append(_verdict("boundary", policies.boundary, request))
    if policies.session is not None:
        found.append(_verdict("session", policies.session, request))
    return found


def summary(decision: decide.Decision) -> dict[str, Any]:
    """Everything about a decision as JSON: to be stored with the audit event and looked up by request id."""
    request = decision.request
    return {
        "result": decision.result,
        "decidedBy": decision.decided_by,
        "principal": _who(request.who),
        "principalType": request.who.kind,
        "action": request.action,
        "resource": request.resource,
        "resourceAccount": request.account_id,
        "message": message(decision) if not decision.allowed else "",
        "why": why(decision),
        "policies": [
            asdict(verdict) | {"findings": [asdict(finding) for finding in verdict.findings]}
            for verdict in verdicts(decision)
        ],
        "context": {key: _short(value) for key, value in sorted(request.context.items()) if value is not None},
    }


def _who(who: Caller) -> str:
    principal = who.principal
    return principal.arn or principal.name or who.kind


def _place(statement: Statement) -> str:
    policy = statement.policy
    return f"{statement.label} of {policy.origin or 'the ' + _NAMES[policy.type]}"


def _verdict(
    type_: str, policies: PolicySet, request: decide.Request, *, applies: bool = True, has_boundary: bool = False
) -> Verdict:
    name = _NAMES[type_]
    if not applies:
        return Verdict(name, "does not apply to this caller or resource")
    findings = tuple(
        _finding(type_, statement, request, has_boundary)
        for statement in policies.statements
        if statement.action_test(request.action.lower())
    )
    if any(finding.applies and finding.effect == "Deny" for finding in findings):
        return Verdict(name, "explicitDeny", findings)
    allows = any(finding.applies and finding.effect == "Allow" for finding in findings)
    return Verdict(name, "allow" if allows else "implicitDeny", findings)


def _finding(type_: str, statement: Statement, request: decide.Request, has_boundary: bool) -> Finding:
    failed = _first_failure(statement, request, has_boundary)
    origin = statement.policy.origin or _NAMES[type_]
    return Finding(_NAMES[type_], origin, statement.label, statement.effect, not failed, failed or "applies")


def _first_failure(statement: Statement, request: decide.Request, has_boundary: bool) -> str:
    """Why a statement whose action matches does not apply; empty when it does."""
    who, context = request.who, request.context
    principal = statement.principal
    if principal is not None:
        if statement.effect == "Allow":
            if principal.names_for_allow(who) is Named.NOT:
                return "its Principal does not name the caller"
        elif not principal.denies(who, has_boundary=has_boundary):
            return "its Principal does not mean the caller"
    if statement.resource_test is not None and not statement.resource_test(request.resource, context):
        element = "NotResource" if statement.not_resources else "Resource"
        return f"its {element} does not match {request.resource}"
    for condition in statement.conditions:
        if not condition.holds(context):
            wanted = _short(condition.wanted if len(condition.wanted) > 1 else condition.wanted[0])
            actual = context[condition.key.lower()]
            is_now = "the request has no such key" if actual is None else f"the request has {_short(actual)!r}"
            return f"its condition {condition.operator} on {condition.key} wants {wanted!r}, {is_now}"
    return ""


def _short(value: ContextValue) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "…"
    return [_short(one) for one in value[:50]]

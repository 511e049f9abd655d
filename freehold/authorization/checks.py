"""A decision as authorization checks: one for each requirement, with its own effect and the statements that matched.

The shapes are those of AWS's GetRequestAuthorizationDetails; every policy is named by a URI. Refuses to name or quote
what the reader may not see: policies of another account's resource count, and stay out of sight. Pure.
https://docs.aws.amazon.com/iam-toolbox/latest/APIReference/API_GetRequestAuthorizationDetails.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from freehold.authorization import decide, denial
from freehold.authorization.decide import Decision, Request
from freehold.authorization.policy_set import PolicySet
from freehold.authorization.principal_element import Named
from freehold.authorization.statement import Policy, Statement

TYPES: Final = {
    "identity": "IDENTITY_BASED_POLICY",
    "boundary": "PERMISSIONS_BOUNDARY",
    "session": "SESSION_POLICY",
    "scp": "SERVICE_CONTROL_POLICY",
    "rcp": "RESOURCE_CONTROL_POLICY",
    "endpoint": "VPC_ENDPOINT_POLICY",
    "resource": "RESOURCE_BASED_POLICY",
    "key": "RESOURCE_BASED_POLICY",
    "trust": "RESOURCE_BASED_POLICY",
}
_EFFECTS: Final = {"allow": "ALLOW", "implicitDeny": "IMPLICIT_DENY", "explicitDeny": "EXPLICIT_DENY"}
_SOURCES: Final = {"key": ("KMS_KEY_POLICY", "KMS key policy"), "trust": ("ROLE_TRUST_POLICY", "Role trust policy")}
_OF_THE_OWNER: Final = frozenset(("resource", "key", "trust", "rcp"))
_KEYS_OF_THE_OWNER: Final = (
    *("aws:resourcetag/", "iam:resourcetag/", "s3:buckettag/", "s3:existingobjecttag/"),
    *("aws:resourceorgid", "aws:resourceorgpaths"),
)
"""How the condition keys begin that hold what the owner of a resource made of it."""

Check = dict[str, Any]


def uri(policy: Policy) -> str:
    """The ARN of a managed policy, and `inline:TYPE:DIGEST:NAME` for any other."""
    if is_managed(policy):
        return policy.origin
    return f"inline:{policy.type}:{denial.digest(policy).hex()[:16]}:{policy.origin}"


def is_managed(policy: Policy) -> bool:
    return policy.type not in ("resource", "key", "trust") and ":policy/" in policy.origin[:200]


def is_visible(policy: Policy, request: Request) -> bool:
    """Whether the caller's account may see it: what the owner of the resource decides is the owner's affair."""
    return policy.type not in _OF_THE_OWNER or request.account_id == request.who.principal.account_id


def is_visible_key(key: str, request: Request) -> bool:
    """Whether the caller's account may see a condition key's value: the tags of a resource are its owner's affair."""
    return request.account_id == request.who.principal.account_id or not key.startswith(_KEYS_OF_THE_OWNER)


def evaluation(decision: Decision) -> dict[str, Any]:
    """One evaluation, with its checks in AWS's order."""
    request = decision.request
    found = checks(decision)
    matched: dict[str, Any] = {}
    for check in found:
        for one in check["matchedPolicies"]:
            matched.setdefault(one["uri"], one)
    return {
        "action": request.action,
        "resource": request.resource,
        "evaluatedEffect": _EFFECTS[decision.result],
        "matchedPolicies": list(matched.values()),
        "checks": found,
    }


def checks(decision: Decision) -> list[Check]:
    """Every requirement that the request had to meet. A denial has a check that denies it, explicitly or not."""
    request, policies, who = decision.request, decision.policies, decision.request.who
    if decision.decided_by == "rule":
        return [_check("SESSION", _EFFECTS[decision.result], (), request)]
    found: list[Check] = []
    has_boundary = policies.boundary is not None
    if policies.rcps and decide._rcps_apply(request, policies):
        for number, level in enumerate(policies.rcps):
            denies = _with_principal(level, request, "Deny", has_boundary)
            effect = "EXPLICIT_DENY" if denies else "ALLOW"
            target = _target(policies.rcps, number, request, "aws:resourceorgpaths", request.account_id)
            found.append(_check("RESOURCE_CONTROL_POLICY", effect, denies, request, ("rcp",), target))
    if policies.scps and decide._scps_apply(request, policies):
        for number, level in enumerate(policies.scps):
            effect, statements = _of_set(level, request)
            target = _target(policies.scps, number, request, "aws:principalorgpaths", who.account_id)
            found.append(_check("SERVICE_CONTROL_POLICY", effect, statements, request, ("scp",), target))
    if policies.endpoint is not None:
        effect, statements = _of_policy_with_principals(policies.endpoint, request, has_boundary)
        found.append(_check("VPC_ENDPOINT", effect, statements, request, ("endpoint",)))
    named, by, _ = decide._resource_side(request)
    same_account = who.account_id == request.account_id
    nobody = not who.account_id and who.kind != "operator"
    apart = request.kind != "resource" or not same_account or nobody
    of_resource: list[Statement] = []
    resource_denies = False
    if request.resource_policy is not None:
        effect, of_resource = _of_policy_with_principals(request.resource_policy, request, has_boundary)
        resource_denies = effect == "EXPLICIT_DENY" and not decide._root_keeps(request, who)
    if apart:
        effect = "EXPLICIT_DENY" if resource_denies else "IMPLICIT_DENY" if named is Named.NOT else "ALLOW"
        found.append(_check("RESOURCE", effect, of_resource, request, (request.kind,)))
    # A grant is enough across accounts too.
    within = named if same_account or by == "grant" else Named.NOT
    own = _of_the_caller(decision, within, None if apart else of_resource, resource_denies and not apart)
    if nobody:
        # Services, identity providers and anonymous callers need no allow of their own.
        own = [check for check in own if check["evaluatedEffect"] == "EXPLICIT_DENY"]
    return [*found, *own]


def _of_the_caller(
    decision: Decision, named: Named, of_resource: list[Statement] | None, resource_denies: bool
) -> list[Check]:
    """The checks of the caller's side. `named`: how what is enough by itself names the caller. `of_resource`: the
    statements of the resource's policy where they are part of the principal's check, as within an account."""
    request, policies, who = decision.request, decision.policies, decision.request.who
    found: list[Check] = []
    direct = named is Named.DIRECT
    exempt = direct or who.is_root or who.root_behind
    effect, statements = _of_set(policies.identity, request)
    if of_resource is not None:
        statements = [*statements, *of_resource]
        if resource_denies:
            effect = "EXPLICIT_DENY"
    if effect == "IMPLICIT_DENY":
        if of_resource is not None and named >= Named.LIMITED:
            effect = "ALLOW"
        elif exempt or named is Named.LIMITED:
            effect = "NO_IMPACT"
    kinds = ("identity", "resource") if of_resource else ("identity",)
    found.append(_check("PRINCIPAL", effect, statements, request, kinds))
    if policies.boundary is not None:
        effect, statements = _of_set(policies.boundary, request)
        found.append(_check("PERMISSIONS_BOUNDARY", _unless(effect, exempt), statements, request, ("boundary",)))
    if policies.session is not None:
        effect, statements = _of_set(policies.session, request)
        found.append(_check("SESSION", _unless(effect, direct), statements, request, ("session",)))
    elif who.kind == "federated-user":
        found.append(_check("SESSION", _unless("IMPLICIT_DENY", direct), (), request, ("session",)))
    return found


def _unless(effect: str, exempt: bool) -> str:
    return "NO_IMPACT" if exempt and effect == "IMPLICIT_DENY" else effect


def _of_set(policies: PolicySet, request: Request) -> tuple[str, list[Statement]]:
    """The effect of policies without principals on their own, and the statements that make it."""
    candidates = policies.candidates(request.action)
    denies = [one for one in candidates.denies if one.applies(request.resource, request.context)]
    allows = [one for one in candidates.allows if one.applies(request.resource, request.context)]
    return "EXPLICIT_DENY" if denies else "ALLOW" if allows else "IMPLICIT_DENY", [*denies, *allows]


def _of_policy_with_principals(
    policies: PolicySet, request: Request, has_boundary: bool
) -> tuple[str, list[Statement]]:
    denies = _with_principal(policies, request, "Deny", has_boundary)
    allows = _with_principal(policies, request, "Allow", has_boundary)
    return "EXPLICIT_DENY" if denies else "ALLOW" if allows else "IMPLICIT_DENY", [*denies, *allows]


def _with_principal(policies: PolicySet, request: Request, effect: str, has_boundary: bool) -> list[Statement]:
    candidates = policies.candidates(request.action)
    found = []
    for one in candidates.denies if effect == "Deny" else candidates.allows:
        principal = one.principal
        if principal is not None:
            meant = (
                principal.denies(request.who, has_boundary=has_boundary)
                if effect == "Deny"
                else principal.names_for_allow(request.who) is not Named.NOT
            )
            if not meant:
                continue
        if one.applies(request.resource, request.context):
            found.append(one)
    return found


def _check(
    check_type: str,
    effect: str,
    statements: Iterable[Statement],
    request: Request,
    kinds: tuple[str, ...] = (),
    target: str = "",
) -> Check:
    matched: dict[str, dict[str, Any]] = {}
    for statement in statements:
        policy = statement.policy
        if not is_visible(policy, request):
            continue
        entry = matched.setdefault(uri(policy), {"uri": uri(policy), "matchedStatements": []})
        entry["matchedStatements"].append(
            {"sid": statement.sid or f"Statement{statement.index + 1}", "evaluatedEffect": statement.effect.upper()}
        )
    found: Check = {"checkType": check_type, "evaluatedEffect": effect, "matchedPolicies": list(matched.values())}
    if kinds:
        found["relevantPolicyTypes"] = list(dict.fromkeys(TYPES[kind] for kind in kinds))
    if target:
        found["targetArn"] = target
    return found


def _target(levels: tuple[PolicySet, ...], number: int, request: Request, key: str, account_id: str) -> str:
    """The ARN of the root, unit or account that a level's policies are attached to; empty where it isn't known."""
    paths = request.context[key]
    owners = (policy.origin.split(":")[4:5] for level in levels for policy in level.policies)
    owner = next((one[0] for one in owners if one and len(one[0]) == 12 and one[0].isdigit()), None)
    foreign = key == "aws:resourceorgpaths" and request.account_id != request.who.principal.account_id
    if not isinstance(paths, tuple) or owner is None or foreign:
        return ""
    organization_id, *units = paths[0].strip("/").split("/")
    if len(levels) != len(units) + 1:
        return ""
    start = f"arn:aws:organizations::{owner}"
    if number == len(units):
        return f"{start}:account/{organization_id}/{account_id}"
    return f"{start}:{'root' if number == 0 else 'ou'}/{organization_id}/{units[number]}"


def targets(decision: Decision) -> dict[str, list[str]]:
    """What each policy of the organization is attached to, by its URI, as far as it is known."""
    request, policies = decision.request, decision.policies
    found: dict[str, list[str]] = {}
    for levels, key, account_id in (
        (policies.rcps, "aws:resourceorgpaths", request.account_id),
        (policies.scps, "aws:principalorgpaths", request.who.account_id),
    ):
        for number, level in enumerate(levels):
            target = _target(levels, number, request, key, account_id)
            for policy in level.policies if target else ():
                found.setdefault(uri(policy), []).append(target)
    return found


def policy_info(policy: Policy, attached_to: Iterable[str]) -> dict[str, Any]:
    """A policy of the list of those that were evaluated."""
    found: dict[str, Any] = {"type": TYPES[policy.type], "inline": not is_managed(policy), "uri": uri(policy)}
    attached = [{"arn": arn} for arn in attached_to]
    if attached:
        found["attachedTo"] = attached
    source = _SOURCES.get(policy.type)
    if source is not None:
        found["policySource"] = {"type": source[0], "typeName": source[1]}
    return found


def grant_info(grant_id: str, key_arn: str) -> dict[str, Any]:
    """A KMS grant, which has no document."""
    return {
        "type": "RESOURCE_BASED_POLICY",
        "inline": True,
        "uri": f"grant-{grant_id}",
        "attachedTo": [{"arn": key_arn}],
        "policySource": {"type": "KMS_GRANT", "typeName": "KMS grant", "grantId": grant_id},
    }

"""SimulateCustomPolicy and SimulatePrincipalPolicy: would this be allowed, and by which statement.

Answered by the engine that decides real requests. What a real request has and a simulation isn't told (policies of
resources, session policies, resource control policies) plays no part; keys that neither ContextEntries nor the caller
give are absent, and are told as missing.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from freehold.authorization import match, service_reference
from freehold.authorization.document import MalformedPolicy, Policy, Statement, parse
from freehold.authorization.gather import OrganizationPolicies
from freehold.authorization.permission import Permission
from freehold.authorization.policy_set import PolicySet
from freehold.authorization.principal import Principal
from freehold.authorization.testing import kind_of_request
from freehold.services.call import Call
from freehold.services.iam import (
    context_keys_named,
    entities,
    pages,
    policies_of,
    records,
    simulated,
    simulation_exclusions,
    simulation_input,
)
from freehold.services.iam.authorized import refuse_session_without_mfa
from freehold.services.iam.errors import InvalidInput, NoSuchEntity, PolicyEvaluation
from freehold.services.iam.records import Group, Role, User
from freehold.services.iam.simulated import BOUNDARY, IDENTITY, ORGANIZATION, RESOURCE, Simulated, Situation, Source
from freehold.services.operation import Params, Permissions, Prepare, Result, operation
from freehold.storage.records import Reader

MOST_AT_ONCE = 5_000
"""Decisions that one page makes at most. A page that ends there has fewer results than asked for."""

_VARIABLE = re.compile(r"\$\{[^}]*\}")

Named = User | Group | Role


# Who may


def on_source(action: str) -> Permissions:
    """The action on the user, group or role that PolicySourceArn (or Arn) names."""

    def permissions(call: Call, params: Params) -> list[Permission]:
        refuse_session_without_mfa(call)
        arn = params["PolicySourceArn"] if "PolicySourceArn" in params else params["Arn"]
        account_id, _, _ = simulation_input.caller(arn)
        found = entity_at(call.reader, arn)
        context = {} if found is None or account_id != call.account_id else entities.resource_tags(found)
        return [Permission(f"iam:{action}", arn, account_id, context)]

    return permissions


def entity_at(reader: Reader, arn: str) -> Named | None:
    """The user, group or role with this ARN (path included)."""
    account_id, kind, _ = simulation_input.caller(arn)
    name = arn.rpartition("/")[2]
    found: Named | None = {
        "user": records.user_named,
        "group": records.group_named,
        "role": records.role_named,
    }[kind](reader, account_id, name)
    return found if found is not None and found.arn == arn else None


def require_at(reader: Reader, account_id: str, arn: str) -> Named:
    """The account's own user, group or role with this ARN. Raises NoSuchEntity."""
    found = entity_at(reader, arn)
    if found is None or found.account_id != account_id:
        raise NoSuchEntity(f"{arn} cannot be found.")
    return found


def _may_simulate_custom(call: Call, params: Params) -> list[Permission]:
    refuse_session_without_mfa(call)
    return [Permission("iam:SimulateCustomPolicy", "*", call.account_id)]


def in_thread(work: Callable[[Call, Params], Any]) -> Prepare:
    """Do the work beside the event loop; what it returns is in `call.prepared`."""

    async def prepare(call: Call, params: Params) -> None:
        call.prepared = await asyncio.get_running_loop().run_in_executor(call.app.pool, work, call, params)

    return prepare


# The two simulations


def _simulate_custom(call: Call, params: Params) -> Result:
    texts = params["PolicyInputList"]
    who, account_id = _caller(call, params.get("CallerArn"))
    if "ResourcePolicy" in params and who is None:
        raise InvalidInput("CallerArn is needed with a ResourcePolicy, so that its Principal element means someone.")
    situation = _situation(call, params, who, account_id, simulation_input.policies(texts, "PolicyInputList", IDENTITY))
    levels = params.get("OrderedOrganizationPolicyInputList") or []
    if len(levels) > simulation_input.MOST_LEVELS:
        raise InvalidInput(f"OrderedOrganizationPolicyInputList has at most {simulation_input.MOST_LEVELS} levels.")
    for number, level in enumerate(levels, 1):
        member = f"OrderedOrganizationPolicyInputList.{number}.ServiceControlPolicyInputList"
        given = level.get("ServiceControlPolicyInputList") or []
        sources = simulation_input.policies(given, member, ORGANIZATION, "scp")
        situation.scp_sources += sources
        situation.levels += (PolicySet(source.policy for source in sources),)
    situation.in_organization = bool(levels)
    return _results(params, situation)


@operation("iam.SimulateCustomPolicy", permissions=_may_simulate_custom, prepare=in_thread(_simulate_custom))
def simulate_custom_policy(call: Call, params: Params) -> Result:
    """Policies given as text, for a caller who needn't exist, on resources that needn't exist.

    At most 1,000 actions, 1,000 resources and 100 policies; one result per action, with one in it per resource.
    """
    result: Result = call.prepared
    return result


def _simulate_principal(call: Call, params: Params) -> Result:
    reader = call.reader
    entity = require_at(reader, call.account_id, params["PolicySourceArn"])
    who, account_id = _caller(call, params.get("CallerArn") or params["PolicySourceArn"])
    if "ResourcePolicy" in params and who is None:
        raise InvalidInput("CallerArn is needed with a ResourcePolicy, so that its Principal element means someone.")
    excluded = simulation_exclusions.parse(params)
    identity = [source for source in principal_sources(reader, entity) if not excluded.identity(source)]
    identity += simulation_input.policies(params.get("PolicyInputList") or [], "PolicyInputList", IDENTITY)
    situation = _situation(call, params, who, account_id, identity)
    if situation.boundary is None and not isinstance(entity, Group) and entity.boundary and not excluded.boundaries:
        situation.boundary = _boundary_source(reader, entity.boundary)
    organization = _organization(call, account_id)
    if organization is not None and not excluded.scps:
        situation.in_organization = True
        situation.levels = tuple(excluded.without_scps(level) for level in organization.scps)
        situation.management_account = organization.is_management_account
    return _results(params, situation)


@operation(
    "iam.SimulatePrincipalPolicy",
    permissions=on_source("SimulatePrincipalPolicy"),
    prepare=in_thread(_simulate_principal),
)
def simulate_principal_policy(call: Call, params: Params) -> Result:
    """What a user's, group's or role's own policies allow, with the SCPs of its account.

    A CallerArn stands for who would make the call with these policies. Limits as in SimulateCustomPolicy.
    """
    result: Result = call.prepared
    return result


def _organization(call: Call, account_id: str) -> OrganizationPolicies | None:
    source = getattr(call.app, "organizations", None)
    return None if source is None else source.of_account(account_id)


def _caller(call: Call, arn: str | None) -> tuple[Principal | None, str]:
    """The simulated caller and its account; nobody in particular without an ARN, or for a group."""
    if arn is None:
        return None, call.account_id
    account_id, kind, _ = simulation_input.caller(arn)
    if kind == "group":
        return None, account_id
    name = arn.rpartition("/")[2]
    found = entity_at(call.reader, arn) if account_id == call.account_id else None
    tags = () if found is None or isinstance(found, Group) else tuple(found.tags.items())
    unique_id = "" if found is None else found.unique_id
    if kind == "user":
        return Principal("user", account_id, arn=arn, unique_id=unique_id, name=name, tags=tags), account_id
    return Principal("role", account_id, arn=arn, unique_id="", name=name, issuer_arn=arn, tags=tags), account_id


def _situation(call: Call, params: Params, who: Principal | None, account_id: str, identity: list[Source]) -> Situation:
    arns, names = simulation_input.resources(params), simulation_input.actions(params)
    simulation_input.check_scenario(params, arns)
    kinds = (
        kind_of_request(name.partition(":")[0].lower(), name.lower(), arn) for name in names for arn in ("*", ":alias/")
    )
    return Situation(
        who,
        account_id,
        identity,
        boundary=simulation_input.boundary(params, BOUNDARY),
        resource_policies=simulation_input.resource_policies(params.get("ResourcePolicy"), kinds, RESOURCE),
        owner_account_id=simulation_input.owner(params),
        entries=simulation_input.entries(params),
    )


# Where a principal's policies come from


def principal_sources(reader: Reader, entity: Named) -> list[Source]:
    """All identity-based policies of a user (with its groups), group or role."""
    owners: list[Named] = [entity]
    if isinstance(entity, User):
        owners.extend(policies_of.groups_of(reader, entity))
    return [source for owner in owners for source in own_sources(reader, owner)]


def own_sources(reader: Reader, owner: Named) -> Iterator[Source]:
    """The policies that are attached to or in one user, group or role."""
    for name, text in owner.inline.items():
        compiled = policies_of.compiled(name, text)
        yield Source(compiled, f"{owner.kind}_{owner.name}_{name}", IDENTITY, text)
    for arn in owner.attached:
        text = policies_of.managed_document(reader, arn) or policies_of.NOTHING
        yield Source(policies_of.compiled(arn, text), arn.rpartition("/")[2], IDENTITY, text)


def _boundary_source(reader: Reader, arn: str) -> Source:
    text = policies_of.managed_document(reader, arn) or policies_of.NOTHING
    return Source(policies_of.compiled(arn, text, "boundary"), arn.rpartition("/")[2], BOUNDARY, text)


# Results


def _results(params: Params, situation: Situation) -> Result:
    names, arns = simulation_input.actions(params), simulation_input.resources(params)
    start = pages.after(params)
    if start is not None and not start.isdigit():
        raise InvalidInput("Invalid Marker.")
    begin = 0 if start is None else int(start) + 1
    most = min(params.get("MaxItems") or pages.DEFAULT_ITEMS, max(1, MOST_AT_ONCE // len(arns)))
    missing = [
        key
        for key in context_keys_named.named(source.text for source in situation.sources())
        if not situation.known(key)
    ]
    positions = _Positions()
    numbered = list(enumerate(names))[begin:]
    return pages.page(
        {**params, "MaxItems": most},
        "EvaluationResults",
        numbered,
        lambda item: str(item[0]),
        lambda item: _evaluated(situation, item[1], arns, missing, positions),
    )


def _evaluated(
    situation: Situation, action: str, arns: list[str], missing: list[str], positions: _Positions
) -> dict[str, Any]:
    """The result of one action: over all resources, and on each that was named."""
    service, name = action.partition(":")[0].lower(), action.lower()
    try:
        found = [(arn, situation.simulate(action, arn, kind_of_request(service, name, arn))) for arn in arns]
    except (ValueError, KeyError, RecursionError) as error:
        raise PolicyEvaluation(f"{action} could not be evaluated: {type(error).__name__}.") from None
    decision = simulated.strictest(one.result for _, one in found)
    deciding = [one for _, one in found if one.result == decision]
    matched = list(dict.fromkeys(pair for one in deciding for pair in one.matched()))
    named = arns != ["*"]
    result: dict[str, Any] = {
        "EvalActionName": action,
        "EvalResourceName": _template(action, arns[0]) if named else "*",
        "EvalDecision": decision,
        "MatchedStatements": [positions.shown(source, statement) for source, statement in matched],
        "MissingContextValues": [] if named else missing,
    }
    _add_limits(result, (one for _, one in found))
    if not named:
        return result
    details = [told for _, one in found if (told := one.details()) is not None]
    if details:
        kinds = dict.fromkeys(kind for told in details for kind in told)
        result["EvalDecisionDetails"] = {
            kind: simulated.strictest(told[kind] for told in details if kind in told) for kind in kinds
        }
    result["ResourceSpecificResults"] = [_on_resource(arn, one, missing, positions) for arn, one in found]
    return result


def _on_resource(arn: str, one: Simulated, missing: list[str], positions: _Positions) -> dict[str, Any]:
    result: dict[str, Any] = {
        "EvalResourceName": arn,
        "EvalResourceDecision": one.result,
        "MatchedStatements": [positions.shown(source, statement) for source, statement in one.matched()],
        "MissingContextValues": missing,
    }
    details = one.details()
    if details is not None:
        result["EvalDecisionDetails"] = details
    allowed = one.allowed_by_boundary()
    if allowed is not None:
        result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": allowed}
    return result


def _add_limits(result: dict[str, Any], found: Iterable[Simulated]) -> None:
    """Whether organization and boundary allow the action on every resource; nothing where there is none."""
    decided = list(found)
    by_organization = [one.allowed_by_organization() for one in decided]
    if None not in by_organization:
        result["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": all(by_organization)}
    by_boundary = [one.allowed_by_boundary() for one in decided]
    if None not in by_boundary:
        result["PermissionsBoundaryDecisionDetail"] = {"AllowedByPermissionsBoundary": all(by_boundary)}


def _template(action: str, arn: str) -> str:
    """The ARN of the action's resource type with variables; of several types, the one of this ARN's form."""
    known = service_reference.action(action)
    if known is None:
        return "*"
    service, described = known
    templates = [service.resource_arns[kind] for kind, _ in described.resource_types if kind in service.resource_arns]
    alike = [template for template in templates if _form(template)(arn)]
    return max(alike, key=len) if alike else (templates or ["*"])[0]


@lru_cache(maxsize=2048)
def _form(template: str) -> Callable[[str], bool]:
    """A test of ARNs: whether one could be made from the template."""
    return match.arn_test(match.parse(_VARIABLE.sub("*", template), variables=False))


class _Positions:
    """Statements as results show them; each text is scanned once."""

    def __init__(self) -> None:
        self._known: dict[int, list[Any]] = {}

    def shown(self, source: Source, statement: Statement) -> dict[str, Any]:
        places = self._known.get(id(source))
        if places is None:
            places = self._known[id(source)] = source.positions()
        start, end = places[statement.index]
        return {
            "SourcePolicyId": source.source_id,
            "SourcePolicyType": source.source_type,
            "StartPosition": {"Line": start.line, "Column": start.column},
            "EndPosition": {"Line": end.line, "Column": end.column},
        }


# Context keys


def _may_list_custom(call: Call, params: Params) -> list[Permission]:
    refuse_session_without_mfa(call)
    return [Permission("iam:GetContextKeysForCustomPolicy", "*", call.account_id)]


def _list_custom(call: Call, params: Params) -> Result:
    return {"ContextKeyNames": context_keys_named.named(_checked(params["PolicyInputList"]))}


@operation("iam.GetContextKeysForCustomPolicy", permissions=_may_list_custom, prepare=in_thread(_list_custom))
def get_context_keys_for_custom_policy(call: Call, params: Params) -> Result:
    """The context keys that policies given as text name, each once, as first written."""
    result: Result = call.prepared
    return result


def _list_principal(call: Call, params: Params) -> Result:
    entity = require_at(call.reader, call.account_id, params["PolicySourceArn"])
    own = [source.text for source in principal_sources(call.reader, entity)]
    return {"ContextKeyNames": context_keys_named.named([*own, *_checked(params.get("PolicyInputList") or [])])}


@operation(
    "iam.GetContextKeysForPrincipalPolicy",
    permissions=on_source("GetContextKeysForPrincipalPolicy"),
    prepare=in_thread(_list_principal),
)
def get_context_keys_for_principal_policy(call: Call, params: Params) -> Result:
    """As GetContextKeysForCustomPolicy, with the policies of a user (and its groups), group or role first."""
    result: Result = call.prepared
    return result


def _checked(texts: list[str]) -> list[str]:
    """Identity-based or resource-based policies, as they are. Raises InvalidInput."""
    for number, text in enumerate(texts, 1):
        try:
            _parsed(text)
        except MalformedPolicy as error:
            raise InvalidInput(f"PolicyInputList.{number}: {error.message}") from None
    return texts


def _parsed(text: str) -> Policy:
    try:
        return parse(text)
    except MalformedPolicy as error:
        try:
            return parse(text, "resource", resource_optional=True)
        except MalformedPolicy:
            raise error from None

"""SimulateCustomPolicy and SimulatePrincipalPolicy: would this be allowed, and by which statement.

Answered by the engine that decides real requests. What a real request has and a simulation isn't told (policies of
resources, session policies, resource control policies) plays no part; keys that neither ContextEntries nor the caller
give are absent, and are told as missing.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

from freehold.authorization.gather import OrganizationPolicies
from freehold.authorization.permission import Permission
from freehold.authorization.policy_set import PolicySet
from freehold.authorization.principal import Principal
from freehold.authorization.testing import kind_of_request
from freehold.services.call import Call
from freehold.services.iam import simulation_exclusions, simulation_input, simulation_results
from freehold.services.iam.authorized import refuse_session_without_mfa
from freehold.services.iam.errors import InvalidInput
from freehold.services.iam.policy_sources import (
    boundary_source,
    entity_at,
    in_thread,
    on_source,
    principal_sources,
    require_at,
)
from freehold.services.iam.records import Group
from freehold.services.iam.simulated import BOUNDARY, IDENTITY, ORGANIZATION, RESOURCE, Situation, Source
from freehold.services.operation import Params, Result, operation


def _may_simulate_custom(call: Call, params: Params) -> list[Permission]:
    refuse_session_without_mfa(call)
    return [Permission("iam:SimulateCustomPolicy", "*", call.account_id)]


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
    return simulation_results.page(params, situation)


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
        situation.boundary = boundary_source(reader, entity.boundary)
    organization = _organization(call, account_id)
    if organization is not None and not excluded.scps:
        situation.in_organization = True
        situation.levels = tuple(excluded.without_scps(level) for level in organization.scps)
        situation.management_account = organization.is_management_account
    return simulation_results.page(params, situation)


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

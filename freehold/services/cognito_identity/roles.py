"""The roles of a pool: of its authenticated and its unauthenticated identities, and mappings of claims to others.

Whoever sets a role here lends its permissions to the pool's users, so iam:PassRole is needed for each.
https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_SetIdentityPoolRoles.html
"""

from __future__ import annotations

from typing import Any

from freehold.authorization.permission import Permission
from freehold.errors import AccessDeniedException
from freehold.services.call import Call
from freehold.services.cognito_identity import providers
from freehold.services.cognito_identity.errors import InvalidParameter
from freehold.services.cognito_identity.permissions import on_pool, pool_permission, require_pool
from freehold.services.cognito_identity.records import POOLS, Pool, RoleMapping, Rule, pool_arn
from freehold.services.iam.pass_role import CrossAccountPassRole, pass_role
from freehold.services.operation import Params, Result, operation
from freehold.services.sts import role_sessions
from freehold.services.sts.errors import ValidationError


def _given_roles(params: Params) -> list[str]:
    """Every role that a request names, once."""
    roles = list(params["Roles"].values())
    for mapping in (params.get("RoleMappings") or {}).values():
        roles += [rule["RoleARN"] for rule in (mapping.get("RulesConfiguration") or {}).get("Rules", ())]
    return list(dict.fromkeys(roles))


def _may_set(call: Call, params: Params) -> list[Permission]:
    """cognito-identity:SetIdentityPoolRoles, and iam:PassRole for each role.

    https://docs.aws.amazon.com/cognito/latest/developerguide/role-based-access-control.html
    """
    pool_id = params["IdentityPoolId"]
    arn = pool_arn(call.region, call.account_id, pool_id)
    roles = _given_roles(params)
    for role in roles:
        _check_role(role)
    try:
        passed = [pass_role(call, role, providers.OWN, associated_resource_arn=arn) for role in roles]
    except CrossAccountPassRole as refused:
        raise AccessDeniedException(refused.message) from None
    return [pool_permission(call, "SetIdentityPoolRoles", pool_id), *passed]


def _check_role(role_arn: str) -> None:
    try:
        role_sessions.account_of_role(role_arn)
    except ValidationError:
        raise InvalidParameter(f"{role_arn} is not a valid role ARN or doesn't exist.") from None


@operation("cognito-identity.SetIdentityPoolRoles", permissions=_may_set, writes=True)
def set_identity_pool_roles(call: Call, params: Params) -> None:
    """All roles and role mappings anew: those that are not given are removed. At most 10 mappings of 400 rules."""
    pool = require_pool(call, params["IdentityPoolId"])
    pool.roles = dict(params["Roles"])
    pool.role_mappings = {
        provider: _mapping(pool, provider, given) for provider, given in (params.get("RoleMappings") or {}).items()
    }
    POOLS.put(call.tx, (pool.pool_id,), pool)


def _mapping(pool: Pool, provider: str, given: dict[str, Any]) -> RoleMapping:
    if provider not in names_of_providers(pool):
        raise InvalidParameter(f"{provider} is not a provider of this identity pool.")
    rules = (given.get("RulesConfiguration") or {}).get("Rules", [])
    if "AmbiguousRoleResolution" not in given:
        raise InvalidParameter("AmbiguousRoleResolution is required for a role mapping of type Token or Rules.")
    if (given["Type"] == "Rules") != bool(rules):
        raise InvalidParameter("RulesConfiguration is required for a role mapping of type Rules, and for no other.")
    return RoleMapping(
        type=given["Type"],
        ambiguous=given["AmbiguousRoleResolution"],
        rules=[
            Rule(claim=rule["Claim"], match_type=rule["MatchType"], value=rule["Value"], role_arn=rule["RoleARN"])
            for rule in rules
        ],
    )


def names_of_providers(pool: Pool) -> set[str]:
    """What role mappings and attribute maps may call the pool's providers: a user pool, or an application of it."""
    user_pools = {f"{one.provider_name}:{one.client_id}" for one in pool.cognito_providers}
    user_pools |= {one.provider_name for one in pool.cognito_providers}
    openid = {arn.partition("oidc-provider/")[2] for arn in pool.oidc_arns}
    return {*pool.login_providers, *user_pools, *openid, *pool.oidc_arns, *pool.saml_arns}


@operation("cognito-identity.GetIdentityPoolRoles", permissions=on_pool("GetIdentityPoolRoles"))
def get_identity_pool_roles(call: Call, params: Params) -> Result:
    """A pool's roles and role mappings."""
    pool = require_pool(call, params["IdentityPoolId"])
    shown: Result = {"IdentityPoolId": pool.pool_id, "Roles": pool.roles}
    if pool.role_mappings:
        shown["RoleMappings"] = {provider: _shown(mapping) for provider, mapping in pool.role_mappings.items()}
    return shown


def _shown(mapping: RoleMapping) -> dict[str, Any]:
    shown: dict[str, Any] = {"Type": mapping.type, "AmbiguousRoleResolution": mapping.ambiguous}
    if mapping.rules:
        rules = [
            {"Claim": rule.claim, "MatchType": rule.match_type, "Value": rule.value, "RoleARN": rule.role_arn}
            for rule in mapping.rules
        ]
        shown["RulesConfiguration"] = {"Rules": rules}
    return shown

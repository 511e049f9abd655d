"""Identity pools: 1,000 an account and Region, each with the providers whose users it knows.

https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_CreateIdentityPool.html
"""

from __future__ import annotations

import uuid
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.cognito_identity import pages, providers
from freehold.services.cognito_identity.errors import LimitExceeded
from freehold.services.cognito_identity.permissions import (
    PREFIX,
    on_account,
    on_pool,
    pool_permission,
    request_tags,
    require_pool,
)
from freehold.services.cognito_identity.pool_tags import checked
from freehold.services.cognito_identity.records import (
    IDENTITIES,
    LEFTOVERS,
    POOLS,
    POOLS_OF,
    Pool,
    remove_identity,
)
from freehold.services.iam.records import Mark
from freehold.services.operation import Params, Result, due_work, operation
from freehold.storage.records import Transaction

if TYPE_CHECKING:
    from freehold.app import App

MOST_POOLS: Final = 1_000
_AT_ONCE: Final = 1_000
"""How many identities of deleted pools are removed in one go of the due work."""


def shown(pool: Pool) -> dict[str, Any]:
    """The `IdentityPool` structure."""
    made: dict[str, Any] = {
        "IdentityPoolId": pool.pool_id,
        "IdentityPoolName": pool.name,
        "AllowUnauthenticatedIdentities": pool.allow_unauthenticated,
        "IdentityPoolTags": pool.tags,
    }
    if pool.allow_classic is not None:
        made["AllowClassicFlow"] = pool.allow_classic
    if pool.login_providers:
        made["SupportedLoginProviders"] = pool.login_providers
    if pool.developer_provider:
        made["DeveloperProviderName"] = pool.developer_provider
    if pool.oidc_arns:
        made["OpenIdConnectProviderARNs"] = pool.oidc_arns
    if pool.cognito_providers:
        made["CognitoIdentityProviders"] = [
            {"ProviderName": one.provider_name, "ClientId": one.client_id, "ServerSideTokenCheck": False}
            for one in pool.cognito_providers
        ]
    if pool.saml_arns:
        made["SamlProviderARNs"] = pool.saml_arns
    return made


def _configure(pool: Pool, params: Params, call: Call) -> None:
    pool.name = params["IdentityPoolName"]
    pool.allow_unauthenticated = params["AllowUnauthenticatedIdentities"]
    pool.allow_classic = params.get("AllowClassicFlow")
    providers.configure(pool, params, call.tx)


def _may_create(call: Call, params: Params) -> list[Permission]:
    """With tags, cognito-identity:TagResource as well."""
    tags = params.get("IdentityPoolTags") or {}
    actions = ("CreateIdentityPool", "TagResource") if tags else ("CreateIdentityPool",)
    return [Permission(f"{PREFIX}:{action}", "*", call.account_id, request_tags(tags)) for action in actions]


@operation("cognito-identity.CreateIdentityPool", permissions=_may_create, writes=True)
def create_identity_pool(call: Call, params: Params) -> Result:
    """A pool with a name of 1-128 characters, which others may have as well; roles come with SetIdentityPoolRoles."""
    tx = call.tx
    count = sum(1 for _ in islice(POOLS_OF.scan(tx, (call.account_id, call.region)), MOST_POOLS))
    if count >= MOST_POOLS:
        raise LimitExceeded(f"Limit for identity pools in the account exceeded: {MOST_POOLS}.")
    pool = Pool(
        account_id=call.account_id,
        region=call.region,
        pool_id=f"{call.region}:{uuid.uuid4()}",
        name="",
        created_at=int(call.app.clock.now_seconds()),
        tags=checked({}, params.get("IdentityPoolTags") or {}),
    )
    _configure(pool, params, call)
    POOLS.put(tx, (pool.pool_id,), pool)
    POOLS_OF.put(tx, (pool.account_id, pool.region, pool.pool_id), Mark())
    call.resources.append(("AWS::Cognito::IdentityPool", pool.arn))
    return shown(pool)


@operation("cognito-identity.DescribeIdentityPool", permissions=on_pool("DescribeIdentityPool"))
def describe_identity_pool(call: Call, params: Params) -> Result:
    """A pool's configuration, without its roles."""
    return shown(require_pool(call, params["IdentityPoolId"]))


def _may_update(call: Call, params: Params) -> list[Permission]:
    tags = params.get("IdentityPoolTags") or {}
    actions = ("UpdateIdentityPool", "TagResource") if tags else ("UpdateIdentityPool",)
    return [pool_permission(call, action, params["IdentityPoolId"], request_tags(tags)) for action in actions]


@operation("cognito-identity.UpdateIdentityPool", permissions=_may_update, writes=True)
def update_identity_pool(call: Call, params: Params) -> Result:
    """The whole configuration anew: providers that are not given are removed. Tags, where given, are added.

    https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_UpdateIdentityPool.html
    """
    pool = require_pool(call, params["IdentityPoolId"])
    _configure(pool, params, call)
    pool.tags = checked(pool.tags, params.get("IdentityPoolTags") or {})
    POOLS.put(call.tx, (pool.pool_id,), pool)
    return shown(pool)


@operation("cognito-identity.DeleteIdentityPool", permissions=on_pool("DeleteIdentityPool"), writes=True)
def delete_identity_pool(call: Call, params: Params) -> None:
    """From now on nobody signs in with the pool. Credentials that were given out last as long as they do."""
    pool = require_pool(call, params["IdentityPoolId"])
    POOLS.delete(call.tx, (pool.pool_id,))
    POOLS_OF.delete(call.tx, (pool.account_id, pool.region, pool.pool_id))
    LEFTOVERS.put(call.tx, (pool.pool_id,), Mark())


@due_work
def remove_leftovers(app: App, tx: Transaction) -> None:
    """The identities of deleted pools, some at a time. Without their pool they were nobody's already."""
    for (pool_id,), _ in list(LEFTOVERS.scan(tx, limit=1)):
        identities = list(IDENTITIES.scan(tx, (pool_id,), limit=_AT_ONCE))
        for _, identity in identities:
            remove_identity(tx, identity)
        if len(identities) < _AT_ONCE:
            LEFTOVERS.delete(tx, (pool_id,))


@operation("cognito-identity.ListIdentityPools", permissions=on_account("ListIdentityPools"))
def list_identity_pools(call: Call, params: Params) -> Result:
    """The caller's pools in this Region, by id: 1-60 a page."""
    reader, prefix, begin = call.reader, (call.account_id, call.region), pages.after(params)
    rows = POOLS_OF.scan(reader, prefix, after=None if begin is None else (*prefix, begin))

    def short(pool_id: str) -> dict[str, Any]:
        pool = POOLS.get(reader, (pool_id,))
        return {"IdentityPoolId": pool_id, "IdentityPoolName": pool.name if pool is not None else ""}

    return pages.page(params, "IdentityPools", (str(key[2]) for key, _ in rows), str, short)

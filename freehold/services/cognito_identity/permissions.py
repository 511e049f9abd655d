"""What a call of Cognito needs: the pool's ARN and tags, and whose pool it is.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncognitoidentity.html
"""

from __future__ import annotations

from typing import Any

from freehold.authorization.permission import ContextValue, Permission
from freehold.services.call import Call
from freehold.services.cognito_identity.errors import ResourceNotFound
from freehold.services.cognito_identity.records import POOLS, Pool, pool_arn
from freehold.services.operation import Params, Permissions
from freehold.storage.records import Reader

PREFIX = "cognito-identity"


def of_caller(reader: Reader, call: Call, pool_id: str) -> Pool | None:
    """The pool, if it is the caller's own and of the Region that was called."""
    pool = POOLS.get(reader, (pool_id,))
    return pool if pool is not None and (pool.account_id, pool.region) == (call.account_id, call.region) else None


def require_pool(call: Call, pool_id: str) -> Pool:
    pool = of_caller(call.reader, call, pool_id)
    if pool is None:
        raise no_pool(pool_id)
    call.resources.append(("AWS::Cognito::IdentityPool", pool.arn))
    return pool


def no_pool(pool_id: str) -> ResourceNotFound:  # type: ignore[valid-type]
    return ResourceNotFound(f"IdentityPool '{pool_id}' not found.")


def no_identity(identity_id: str) -> ResourceNotFound:  # type: ignore[valid-type]
    return ResourceNotFound(f"Identity '{identity_id}' not found.")


def pool_permission(
    call: Call, action: str, pool_id: str, context: dict[str, ContextValue] | None = None
) -> Permission:
    """`cognito-identity:ACTION` on a pool, with its tags as condition keys."""
    pool = of_caller(call.reader, call, pool_id)
    keys: dict[str, ContextValue] = {} if pool is None else resource_tags(pool)
    keys |= context or {}
    return Permission(f"{PREFIX}:{action}", pool_arn(call.region, call.account_id, pool_id), call.account_id, keys)


def on_pool(action: str) -> Permissions:
    """For an operation on the pool that `IdentityPoolId` names."""

    def needed(call: Call, params: Params) -> list[Permission]:
        return [pool_permission(call, action, params["IdentityPoolId"])]

    return needed


def on_account(action: str) -> Permissions:
    """For an operation that AWS knows no resource for."""

    def needed(call: Call, params: Params) -> list[Permission]:
        return [Permission(f"{PREFIX}:{action}", "*", call.account_id)]

    return needed


def resource_tags(pool: Pool) -> dict[str, ContextValue]:
    return {f"aws:resourcetag/{key.lower()}": value for key, value in pool.tags.items()}


def request_tags(tags: dict[str, Any]) -> dict[str, ContextValue]:
    """`aws:RequestTag/…` and `aws:TagKeys`."""
    keys: dict[str, ContextValue] = {f"aws:requesttag/{key.lower()}": value for key, value in tags.items()}
    if tags:
        keys["aws:tagkeys"] = tuple(tags)
    return keys

"""Tags on identity pools: at most 50; they are condition keys (`aws:ResourceTag/…`) from the next request on.

https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_TagResource.html
"""

from __future__ import annotations

from typing import Final

from freehold import arn
from freehold.authorization.permission import ContextValue, Permission
from freehold.services.call import Call
from freehold.services.cognito_identity.errors import InvalidParameter, ResourceNotFound
from freehold.services.cognito_identity.permissions import PREFIX, of_caller, request_tags, resource_tags
from freehold.services.cognito_identity.records import POOLS, Pool
from freehold.services.operation import Params, Permissions, Result, operation

MOST_TAGS: Final = 50


def checked(present: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    """The tags with the new ones. Raises InvalidParameterException."""
    for key in new:
        if key.lower().startswith("aws:"):
            raise InvalidParameter(f"The tag key {key} is reserved: keys cannot begin with aws:.")
    tags = present | new
    if len(tags) > MOST_TAGS:
        raise InvalidParameter(f"An identity pool has at most {MOST_TAGS} tags.")
    return tags


def _pool_at(call: Call, resource_arn: str) -> Pool | None:
    try:
        parsed = arn.parse(resource_arn)
    except ValueError:
        raise InvalidParameter(f"Invalid resource ARN: {resource_arn}") from None
    kind, _, pool_id = parsed.resource.partition("/")
    if parsed.service != PREFIX or kind != "identitypool" or not pool_id:
        raise InvalidParameter(f"Invalid resource ARN: {resource_arn}")
    pool = of_caller(call.reader, call, pool_id)
    return pool if pool is not None and pool.arn == resource_arn else None


def _require(call: Call, params: Params) -> Pool:
    pool = _pool_at(call, params["ResourceArn"])
    if pool is None:
        raise ResourceNotFound(f"Resource {params['ResourceArn']} not found.")
    call.resources.append(("AWS::Cognito::IdentityPool", pool.arn))
    return pool


def _on_resource(action: str) -> Permissions:
    def needed(call: Call, params: Params) -> list[Permission]:
        pool = _pool_at(call, params["ResourceArn"])
        context: dict[str, ContextValue] = {} if pool is None else resource_tags(pool)
        context |= request_tags(params.get("Tags") or {})
        if "TagKeys" in params:
            context["aws:tagkeys"] = tuple(params["TagKeys"])
        return [Permission(f"{PREFIX}:{action}", params["ResourceArn"], call.account_id, context)]

    return needed


@operation("cognito-identity.TagResource", permissions=_on_resource("TagResource"), writes=True)
def tag_resource(call: Call, params: Params) -> Result:
    """Add tags to a pool or replace their values."""
    pool = _require(call, params)
    pool.tags = checked(pool.tags, params["Tags"])
    POOLS.put(call.tx, (pool.pool_id,), pool)
    return {}


@operation("cognito-identity.UntagResource", permissions=_on_resource("UntagResource"), writes=True)
def untag_resource(call: Call, params: Params) -> Result:
    """Take tags away; keys that aren't there are passed over."""
    pool = _require(call, params)
    pool.tags = {key: value for key, value in pool.tags.items() if key not in params["TagKeys"]}
    POOLS.put(call.tx, (pool.pool_id,), pool)
    return {}


@operation("cognito-identity.ListTagsForResource", permissions=_on_resource("ListTagsForResource"))
def list_tags_for_resource(call: Call, params: Params) -> Result:
    """A pool's tags."""
    return {"Tags": _require(call, params).tags}

"""Identities: a person's, or a guest's, id within a pool, found by their logins. GetId and UnlinkIdentity are public.

https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetId.html
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Final

from freehold.authorization.permission import ContextValue, Permission
from freehold.services.call import Call
from freehold.services.cognito_identity import asking, linking, logins, pages
from freehold.services.cognito_identity.asking import Asked
from freehold.services.cognito_identity.errors import (
    LOGINS_DONT_MATCH,
    InvalidParameter,
    NotAuthorized,
    TooManyRequests,
)
from freehold.services.cognito_identity.permissions import PREFIX, no_identity, no_pool, on_pool, require_pool
from freehold.services.cognito_identity.records import (
    IDENTITIES,
    Identity,
    identity_by_id,
    remove_identity,
    remove_link,
    save_identity,
)
from freehold.services.operation import Params, Permissions, Result, no_permission, operation

MOST_GUESTS_A_SECOND: Final = 100
"""How many guests a pool takes in a second and worker: anyone can be one."""

_guests: dict[str, tuple[int, int]] = {}
_MOST_POOLS_COUNTED: Final = 10_000

public = no_permission("AWS answers everyone, signed or not: the logins say who may.")


async def _find(call: Call, params: Params) -> None:
    pool = asking.pool_asked(call, params["IdentityPoolId"])
    if params.get("AccountId") not in (None, pool.account_id):
        raise no_pool(pool.pool_id)
    given = params.get("Logins") or {}
    if not given and pool.allow_unauthenticated:
        _slow_down(pool.pool_id)
    known = await logins.verified(call, pool, given)
    plan = linking.to_find(call.reader, pool, [login.link for login in known], linking.new_id(pool))
    call.prepared = Asked(pool, plan, known)


def _slow_down(pool_id: str) -> None:
    second = int(time.monotonic())
    counted, number = _guests.get(pool_id, (second, 0))
    if counted != second:
        number = 0
    if number >= MOST_GUESTS_A_SECOND:
        raise TooManyRequests()
    if len(_guests) >= _MOST_POOLS_COUNTED:
        _guests.clear()
    _guests[pool_id] = (second, number + 1)


@operation("cognito-identity.GetId", permissions=public, identify=_find, writes=True, anonymous=True)
def get_id(call: Call, params: Params) -> Result:
    """The id of whom the logins belong to, a new one at their first sight; without logins, a new guest's.

    Logins of two identities are ResourceConflictException; new ones are linked to the identity of the others.
    """
    asked: Asked = call.prepared
    links = [login.link for login in asked.logins]
    fresh = linking.new_id(asked.pool)
    plan = asking.again(
        call, asked, lambda reader, pool: linking.to_find(reader, pool, links, fresh), any_identity=True
    )
    linking.carry_out(call.tx, asked.pool, plan, call.app.clock.now_seconds())
    return {"IdentityId": plan.identity_id}


async def _unlinker(call: Call, params: Params) -> None:
    pool, identity = asking.identity_asked(call, params["IdentityId"])
    asked = await asking.by_logins(call, pool, identity, params["Logins"])
    if not identity.authenticated or not asked.authenticated:
        raise NotAuthorized(LOGINS_DONT_MATCH)
    call.prepared = asked


@operation("cognito-identity.UnlinkIdentity", permissions=public, identify=_unlinker, writes=True, anonymous=True)
def unlink_identity(call: Call, params: Params) -> None:
    """Take logins from an identity, for whoever has one of its logins. They are new ones when they are seen again;
    an identity without any is nobody's from then on.

    https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_UnlinkIdentity.html
    """
    asked: Asked = call.prepared
    asking.use(call, asked)
    identity = IDENTITIES.get(call.tx, (asked.pool.pool_id, asked.plan.identity_id))
    if identity is None:
        raise no_identity(asked.plan.identity_id)
    for provider in params["LoginsToRemove"]:
        if provider == asked.pool.developer_provider:
            raise InvalidParameter("A developer's user is unlinked with UnlinkDeveloperIdentity.")
        links = [link for link in identity.links if link.provider == provider]
        if not links:
            raise InvalidParameter(f"The identity has no login of {provider}.")
        for link in links:
            remove_link(call.tx, identity, link)
    save_identity(call.tx, identity, call.app.clock.now_seconds())


def shown(identity: Identity) -> dict[str, Any]:
    """The `IdentityDescription` structure."""
    return {
        "IdentityId": identity.identity_id,
        "Logins": list(dict.fromkeys(link.provider for link in identity.links)),
        "CreationDate": datetime.fromtimestamp(identity.created_at, UTC),
        "LastModifiedDate": datetime.fromtimestamp(identity.modified_at, UTC),
    }


def own_identity(call: Call, identity_id: str, pool_id: str | None = None) -> Identity | None:
    """An identity in one of the caller's pools in this Region, or in this very pool."""
    found = identity_by_id(call.reader, identity_id)
    if found is None or (found[0].account_id, found[0].region) != (call.account_id, call.region):
        return None
    return found[1] if pool_id is None or found[0].pool_id == pool_id else None


def _on_identities(action: str, member: str) -> Permissions:
    """The action on no resource that AWS knows, with the identities' pools as a condition key: once for each pool."""

    def needed(call: Call, params: Params) -> list[Permission]:
        named = params[member]
        pools = set()
        for identity_id in named if isinstance(named, list) else [named]:
            found = identity_by_id(call.reader, identity_id)
            if found is not None and (found[0].account_id, found[0].region) == (call.account_id, call.region):
                pools.add(found[0].arn)
        contexts: list[dict[str, ContextValue]] = [{"cognito-identity:identitypoolarn": arn} for arn in sorted(pools)]
        return [Permission(f"{PREFIX}:{action}", "*", call.account_id, context) for context in contexts or [{}]]

    return needed


@operation("cognito-identity.DescribeIdentity", permissions=_on_identities("DescribeIdentity", "IdentityId"))
def describe_identity(call: Call, params: Params) -> Result:
    """When an identity was made and changed, and by which providers it is known."""
    identity = own_identity(call, params["IdentityId"])
    if identity is None:
        raise no_identity(params["IdentityId"])
    return shown(identity)


@operation(
    "cognito-identity.DeleteIdentities",
    permissions=_on_identities("DeleteIdentities", "IdentityIdsToDelete"),
    writes=True,
)
def delete_identities(call: Call, params: Params) -> Result:
    """Delete 1-60 identities. Those that aren't the caller's, or aren't at all, are listed as unprocessed.

    https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_DeleteIdentities.html
    """
    refused = []
    for identity_id in dict.fromkeys(params["IdentityIdsToDelete"]):
        identity = own_identity(call, identity_id)
        if identity is None:
            refused.append({"IdentityId": identity_id, "ErrorCode": "AccessDenied"})
        else:
            remove_identity(call.tx, identity)
    return {"UnprocessedIdentityIds": refused}


@operation("cognito-identity.ListIdentities", permissions=on_pool("ListIdentities"))
def list_identities(call: Call, params: Params) -> Result:
    """A pool's identities, by id: 1-60 a page. `HideDisabled` leaves out those that were merged into others."""
    pool = require_pool(call, params["IdentityPoolId"])
    begin, hide = pages.after(params), params.get("HideDisabled")
    rows = IDENTITIES.scan(call.reader, (pool.pool_id,), after=None if begin is None else (pool.pool_id, begin))
    entries = (identity for _, identity in rows if not (hide and identity.disabled))
    page = pages.page(params, "Identities", entries, lambda identity: identity.identity_id, shown)
    return {"IdentityPoolId": pool.pool_id, **page}

"""Identities for which the developer's own backend vouches, under the pool's developer provider name.

https://docs.aws.amazon.com/cognito/latest/developerguide/developer-authenticated-identities.html
https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetOpenIdTokenForDeveloperIdentity.html
"""

from __future__ import annotations

from dataclasses import dataclass

from freehold.services.call import Call
from freehold.services.cognito_identity import asking, linking, logins, pages, principal_tags, tokens
from freehold.services.cognito_identity.asking import Asked
from freehold.services.cognito_identity.errors import (
    InvalidParameter,
    LimitExceeded,
    ResourceConflict,
    ResourceNotFound,
)
from freehold.services.cognito_identity.identities import own_identity
from freehold.services.cognito_identity.permissions import no_identity, on_pool, require_pool
from freehold.services.cognito_identity.records import (
    IDENTITIES,
    LINKS,
    MOST_LINKS,
    Identity,
    Link,
    Pool,
    Whereabouts,
    owner_of,
    remove_link,
    save_identity,
)
from freehold.services.operation import Params, Result, operation
from freehold.storage.records import Reader


@dataclass(frozen=True, slots=True)
class _Wanted:
    asked: Asked
    user: Link
    token: str


def _identity_of_pool(call: Call, pool: Pool, identity_id: str) -> Identity:
    identity = own_identity(call, identity_id, pool.pool_id)
    if identity is None:
        raise no_identity(identity_id)
    return identity


def _plan(
    call: Call, reader: Reader, pool: Pool, params: Params, user: Link, links: list[Link], fresh: str
) -> linking.Plan:
    identity_id = params.get("IdentityId")
    identity = None if identity_id is None else _identity_of_pool(call, pool, identity_id)
    return linking.for_developer(reader, pool, identity, user, links, fresh)


async def _prepare_token(call: Call, params: Params) -> None:
    pool = require_pool(call, params["IdentityPoolId"])
    given = dict(params["Logins"])
    name = given.pop(pool.developer_provider, None) if pool.developer_provider else None
    if name is None:
        raise InvalidParameter("Please provide a valid developer provider: the one of the identity pool.")
    user = _user(pool, name)
    tags = principal_tags.given(params.get("PrincipalTags") or {})
    known = await logins.verified(call, pool, given)
    links = [login.link for login in known]
    plan = _plan(call, call.reader, pool, params, user, links, linking.new_id(pool))
    asked = Asked(pool, plan, known)
    amr = ("authenticated", *tokens.developer_amr(pool, user), *(part for login in known for part in login.amr))
    seconds = params.get("TokenDuration") or tokens.DEVELOPER_SECONDS
    token = await tokens.signed(call.app, pool.pool_id, plan.identity_id, amr, tags, seconds, developer=True)
    call.prepared = _Wanted(asked, user, token)


def _user(pool: Pool, name: str) -> Link:
    if not 1 <= len(name) <= 1024:
        raise InvalidParameter("A developer user identifier has 1 to 1,024 characters.")
    return Link(provider=pool.developer_provider, subject=name)


@operation(
    "cognito-identity.GetOpenIdTokenForDeveloperIdentity",
    permissions=on_pool("GetOpenIdTokenForDeveloperIdentity"),
    prepare=_prepare_token,
    writes=True,
)
def get_open_id_token_for_developer_identity(call: Call, params: Params) -> Result:
    """A token (15 minutes, 24 hours at most) for the backend's user, whose identity is made at first sight. With
    `IdentityId` the user is linked to that identity.

    The user hands it in as the login `cognito-identity.amazonaws.com`.
    """
    wanted: _Wanted = call.prepared
    asked = wanted.asked
    links = [login.link for login in asked.logins]
    fresh = asked.plan.identity_id if asked.plan.create else ""
    plan = asking.again(call, asked, lambda reader, pool: _plan(call, reader, pool, params, wanted.user, links, fresh))
    linking.carry_out(call.tx, asked.pool, plan, call.app.clock.now_seconds())
    return {"IdentityId": plan.identity_id, "Token": wanted.token}


@operation("cognito-identity.LookupDeveloperIdentity", permissions=on_pool("LookupDeveloperIdentity"))
def lookup_developer_identity(call: Call, params: Params) -> Result:
    """The identity of the backend's user, or the users of an identity (1-60 a page); with both, whether they match.

    https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_LookupDeveloperIdentity.html
    """
    pool = require_pool(call, params["IdentityPoolId"])
    identity_id, name = params.get("IdentityId"), params.get("DeveloperUserIdentifier")
    if identity_id is None and name is None:
        raise InvalidParameter("Either IdentityId or DeveloperUserIdentifier must be given.")
    if name is not None:
        owner = owner_of(call.reader, pool.pool_id, _user(pool, name))
        if identity_id is None and owner is None:
            raise ResourceNotFound("Developer user identifier not found.")
        if identity_id is not None and owner != identity_id:
            raise ResourceConflict("The developer user identifier does not belong to the identity.")
        return {"IdentityId": owner, "DeveloperUserIdentifierList": [name]}
    assert identity_id is not None
    identity = _identity_of_pool(call, pool, identity_id)
    begin = pages.after(params)
    names = sorted(link.subject for link in identity.links if link.provider == pool.developer_provider)
    rest = [name for name in names if begin is None or name > begin]
    page = pages.page(params, "DeveloperUserIdentifierList", rest, str, str)
    return {"IdentityId": identity_id, **page}


def _check_provider(pool: Pool, name: str) -> None:
    if not pool.developer_provider or name != pool.developer_provider:
        raise InvalidParameter("Please provide a valid developer provider: the one of the identity pool.")


@operation("cognito-identity.MergeDeveloperIdentities", permissions=on_pool("MergeDeveloperIdentities"), writes=True)
def merge_developer_identities(call: Call, params: Params) -> Result:
    """Two of the backend's users become one: the source's logins go over to the destination's identity, and the
    source's identity is no more. Two users of one public provider are never made one.

    https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_MergeDeveloperIdentities.html
    """
    pool = require_pool(call, params["IdentityPoolId"])
    _check_provider(pool, params["DeveloperProviderName"])
    source, destination = (
        _identity_of_user(call, pool, params[member])
        for member in ("SourceUserIdentifier", "DestinationUserIdentifier")
    )
    if source.identity_id == destination.identity_id:
        return {"IdentityId": destination.identity_id}
    theirs = {link.provider for link in destination.links if link.provider != pool.developer_provider}
    if any(link.provider in theirs for link in source.links):
        raise ResourceConflict("Both identities have a login of the same public provider.")
    if len(source.links) + len(destination.links) > MOST_LINKS:
        raise LimitExceeded(f"An identity has at most {MOST_LINKS} linked logins.")
    now = call.app.clock.now_seconds()
    moved, source.links, source.disabled = source.links, [], True
    destination.links += moved
    save_identity(call.tx, source, now)
    save_identity(call.tx, destination, now)
    for link in moved:
        LINKS.put(call.tx, (pool.pool_id, link.provider, link.subject), Whereabouts(id=destination.identity_id))
    return {"IdentityId": destination.identity_id}


def _identity_of_user(call: Call, pool: Pool, name: str) -> Identity:
    owner = owner_of(call.tx, pool.pool_id, _user(pool, name))
    identity = None if owner is None else IDENTITIES.get(call.tx, (pool.pool_id, owner))
    if identity is None:
        raise ResourceNotFound(f"Developer user identifier '{name}' not found.")
    return identity


@operation("cognito-identity.UnlinkDeveloperIdentity", permissions=on_pool("UnlinkDeveloperIdentity"), writes=True)
def unlink_developer_identity(call: Call, params: Params) -> None:
    """Take a user of the backend from an identity. The tokens that were given out for the user are void.

    https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_UnlinkDeveloperIdentity.html
    """
    pool = require_pool(call, params["IdentityPoolId"])
    _check_provider(pool, params["DeveloperProviderName"])
    identity = _identity_of_pool(call, pool, params["IdentityId"])
    user = _user(pool, params["DeveloperUserIdentifier"])
    if user not in identity.links:
        raise ResourceConflict("The developer user identifier does not belong to the identity.")
    remove_link(call.tx, identity, user)
    save_identity(call.tx, identity, call.app.clock.now_seconds())

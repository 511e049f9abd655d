"""How the operations that need no signature learn who asks: the pool, the identity, and the logins, verified.

What they find is of the moment before the transaction; in it they look again, and do nothing where another identity
or pool is found than was decided on. Their events belong in the trail of the pool's account.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from freehold.authorization.principal import Kind, Principal
from freehold.services.call import Call
from freehold.services.cognito_identity import linking, logins, providers, tokens
from freehold.services.cognito_identity.errors import InvalidParameter, ResourceConflict
from freehold.services.cognito_identity.linking import Plan
from freehold.services.cognito_identity.logins import Login
from freehold.services.cognito_identity.permissions import no_identity, no_pool
from freehold.services.cognito_identity.principal_tags import Tags
from freehold.services.cognito_identity.records import POOLS, Identity, Pool, identity_by_id
from freehold.storage.records import Reader

_GUEST = ("unauthenticated",)
_CHANGED = "The identity or its pool was changed at the same moment. Try again."


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks: an identity of a pool, by `logins`, or (`own`) by the token that a developer's backend got for it."""

    pool: Pool
    plan: Plan
    logins: tuple[Login, ...] = ()
    own: tokens.Verified | None = None

    @property
    def authenticated(self) -> bool:
        return bool(self.logins) or self.own is not None

    @property
    def amr(self) -> tuple[str, ...]:
        if self.own is not None:
            return self.own.amr
        if not self.logins:
            return _GUEST
        return ("authenticated", *(part for login in self.logins for part in login.amr))

    @property
    def tags(self) -> Tags:
        return self.own.tags if self.own is not None else logins.tags(self.pool, self.logins)


@lru_cache(maxsize=1_000)
def _someone(kind: Kind, account_id: str) -> Principal:
    return Principal(kind, account_id, name="anonymous" if kind == "anonymous" else providers.OWN)


def pool_asked(call: Call, pool_id: str) -> Pool:
    """The pool that anyone may ask, by its id; its account's trail tells of it."""
    pool = POOLS.get(call.reader, (pool_id,))
    if pool is None or not _is_of_region(call, pool):
        raise no_pool(pool_id)
    _admit(call, pool)
    return pool


def identity_asked(call: Call, identity_id: str) -> tuple[Pool, Identity]:
    """The identity that anyone may ask for, by its id, and its pool."""
    found = identity_by_id(call.reader, identity_id)
    if found is None or not _is_of_region(call, found[0]):
        raise no_identity(identity_id)
    _admit(call, found[0])
    return found


def _is_of_region(call: Call, pool: Pool) -> bool:
    """Without a signature no Region is named, but by the id itself."""
    return call.principal.kind == "anonymous" or call.region == pool.region


def _admit(call: Call, pool: Pool) -> None:
    """A signature counts for nothing here; that of another account would hide the call from the pool's own trail."""
    call.region = pool.region
    kind = call.principal.kind
    if call.principal.account_id != pool.account_id:
        call.principal = _someone("anonymous" if kind == "anonymous" else "federated", pool.account_id)
        call.account_id = pool.account_id
    call.resources.append(("AWS::Cognito::IdentityPool", pool.arn))


async def by_logins(call: Call, pool: Pool, identity: Identity, given: Mapping[str, str]) -> Asked:
    """Who asks with these logins for an identity. A developer's token stands alone."""
    if providers.OWN in given:
        if len(given) > 1:
            raise InvalidParameter(f"The login {providers.OWN} cannot be given together with others.")
        verified = logins.own(call, pool, identity.identity_id, given[providers.OWN])
        return Asked(pool, Plan(identity.identity_id), own=verified)
    known = await logins.verified(call, pool, given)
    return Asked(pool, linking.to_use(call.reader, pool, identity, [login.link for login in known]), known)


def again(call: Call, asked: Asked, plan: Callable[[Reader, Pool], Plan], *, any_identity: bool = False) -> Plan:
    """The plan, made anew in the transaction: others may have linked the same logins meanwhile. What was decided on
    must be as it was, the pool and (but for `any_identity`) whose identity it is, or ResourceConflictException."""
    pool = POOLS.get(call.tx, (asked.pool.pool_id,))
    if pool is None or pool != asked.pool:
        raise ResourceConflict(_CHANGED)
    made = plan(call.tx, pool)
    if made.identity_id != asked.plan.identity_id and not any_identity:
        raise ResourceConflict(_CHANGED)
    return made


def use(call: Call, asked: Asked) -> None:
    """Link what the plan says to the identity that was asked for, which is as it was."""
    identity_id = asked.plan.merged or asked.plan.identity_id

    def plan(reader: Reader, pool: Pool) -> Plan:
        found = identity_by_id(reader, identity_id)
        if found is None:
            raise no_identity(identity_id)
        if asked.own is not None:
            if found[1].links != asked.own.identity.links:
                raise ResourceConflict(_CHANGED)
            return Plan(identity_id)
        return linking.to_use(reader, pool, found[1], [login.link for login in asked.logins])

    linking.carry_out(call.tx, asked.pool, again(call, asked, plan), call.app.clock.now_seconds())

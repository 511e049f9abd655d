"""Which identity logins mean, and what is linked to it: planned from what is stored, then carried out in a transaction.

    plan = linking.to_use(reader, pool, identity, links)        # before anything is decided on it
    linking.carry_out(tx, pool, plan, now)                      # one that was made again from `tx`

A guest that signs in with a new login becomes that login's identity; with one that has an identity already, the guest
is merged into it. An identity that has logins is opened only by one of them, and no login is ever taken from another.
https://docs.aws.amazon.com/cognito/latest/developerguide/switching-identities.html
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from freehold.services.cognito_identity.errors import (
    LINKED_ELSEWHERE,
    LOGINS_DONT_MATCH,
    NO_GUESTS,
    DeveloperUserAlreadyRegistered,
    LimitExceeded,
    NotAuthorized,
    ResourceConflict,
)
from freehold.services.cognito_identity.permissions import no_identity
from freehold.services.cognito_identity.records import (
    IDENTITIES,
    MOST_LINKS,
    Identity,
    Link,
    Pool,
    add_identity,
    owner_of,
    save_identity,
)
from freehold.storage.records import Reader, Transaction


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: `add` to the identity (a new one with `create`), after merging the guest `merged` into it."""

    identity_id: str
    add: tuple[Link, ...] = ()
    create: bool = False
    merged: str = ""

    @property
    def writes(self) -> bool:
        return self.create or bool(self.add) or bool(self.merged)


def new_id(pool: Pool) -> str:
    """An identity's id: random, since whoever knows a guest's id can be the guest."""
    return f"{pool.region}:{uuid.uuid4()}"


def to_find(reader: Reader, pool: Pool, links: Sequence[Link], fresh_id: str) -> Plan:
    """The identity of these logins; a new one for none that is known, and for a guest."""
    if not links:
        if not pool.allow_unauthenticated:
            raise NotAuthorized(NO_GUESTS)
        return Plan(fresh_id, create=True)
    owners, free = _owners(reader, pool, links)
    if len(owners) > 1:
        raise ResourceConflict(LINKED_ELSEWHERE)
    if not owners:
        return Plan(fresh_id, _limited(free, 0), create=True)
    return _adding(reader, pool, owners[0], free)


def to_use(reader: Reader, pool: Pool, identity: Identity, links: Sequence[Link]) -> Plan:
    """The identity that is meant, for whom these logins are given."""
    if not links:
        if not pool.allow_unauthenticated:
            raise NotAuthorized(NO_GUESTS)
        if identity.authenticated:
            raise NotAuthorized(f"Access to Identity '{identity.identity_id}' is forbidden.")
        return Plan(identity.identity_id)
    owners, free = _owners(reader, pool, links)
    if identity.authenticated:
        if identity.identity_id not in owners:
            raise NotAuthorized(LOGINS_DONT_MATCH)
        if len(owners) > 1:
            raise ResourceConflict(LINKED_ELSEWHERE)
        return _adding(reader, pool, identity.identity_id, free)
    if len(owners) > 1:
        raise ResourceConflict(LINKED_ELSEWHERE)
    if owners:
        return _adding(reader, pool, owners[0], free, merged=identity.identity_id)
    return Plan(identity.identity_id, _limited(free, 0))


def for_developer(
    reader: Reader, pool: Pool, identity: Identity | None, user: Link, links: Sequence[Link], fresh_id: str
) -> Plan:
    """The identity of a developer's `user`, who may have further logins; `identity` is the one to link them to.

    The developer's backend is believed: it links its user to whatever identity of the pool it names.
    """
    owner = owner_of(reader, pool.pool_id, user)
    owners, free = _owners(reader, pool, links)
    target = identity.identity_id if identity is not None else owner or (owners[0] if owners else "")
    if owner is not None and owner != target:
        raise DeveloperUserAlreadyRegistered()
    if any(one != target for one in owners):
        raise ResourceConflict(LINKED_ELSEWHERE)
    add = free if owner is not None else (user, *free)
    return _adding(reader, pool, target, add) if target else Plan(fresh_id, _limited(add, 0), create=True)


def _owners(reader: Reader, pool: Pool, links: Sequence[Link]) -> tuple[list[str], tuple[Link, ...]]:
    """The identities that some of the logins belong to, and the logins that belong to none."""
    found = {link: owner_of(reader, pool.pool_id, link) for link in links}
    owners = list(dict.fromkeys(owner for owner in found.values() if owner is not None))
    return owners, tuple(link for link, owner in found.items() if owner is None)


def _adding(reader: Reader, pool: Pool, identity_id: str, add: tuple[Link, ...], *, merged: str = "") -> Plan:
    identity = IDENTITIES.get(reader, (pool.pool_id, identity_id))
    if identity is None:
        raise no_identity(identity_id)
    theirs = {link.provider for link in identity.links if link.provider != pool.developer_provider}
    if any(link.provider in theirs for link in add):
        raise ResourceConflict("The identity already has another login of the same provider.")
    return Plan(identity_id, _limited(add, len(identity.links)), merged=merged)


def _limited(add: tuple[Link, ...], present: int) -> tuple[Link, ...]:
    if present + len(add) > MOST_LINKS:
        raise LimitExceeded(f"An identity has at most {MOST_LINKS} linked logins.")
    return add


def carry_out(tx: Transaction, pool: Pool, plan: Plan, now_seconds: float) -> None:
    now = int(now_seconds)
    if plan.create:
        made = Identity(identity_id=plan.identity_id, pool_id=pool.pool_id, created_at=now, modified_at=now)
        made.links, made.authenticated = list(plan.add), bool(plan.add)
        add_identity(tx, made)
        return
    if plan.merged:
        guest = IDENTITIES.get(tx, (pool.pool_id, plan.merged))
        if guest is not None:
            guest.disabled = True
            save_identity(tx, guest, now)
    if plan.add:
        identity = IDENTITIES.get(tx, (pool.pool_id, plan.identity_id))
        if identity is None:
            raise no_identity(plan.identity_id)
        identity.links += plan.add
        identity.authenticated = True
        save_identity(tx, identity, now)

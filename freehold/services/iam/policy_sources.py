"""Users, groups and roles by ARN, and all policies that are theirs, for operations that look at policies only.

Their work may be long, so it is done beside the event loop (`in_thread`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.iam import entities, policies_of, records, simulation_input
from freehold.services.iam.authorized import refuse_session_without_mfa
from freehold.services.iam.errors import NoSuchEntity
from freehold.services.iam.records import Group, Role, User
from freehold.services.iam.simulated import BOUNDARY, IDENTITY, Source
from freehold.services.operation import Params, Permissions, Prepare
from freehold.storage.records import Reader

Named = User | Group | Role


def in_thread(work: Callable[[Call, Params], Any]) -> Prepare:
    """Do the work beside the event loop; what it returns is in `call.prepared`."""

    async def prepare(call: Call, params: Params) -> None:
        call.prepared = await asyncio.get_running_loop().run_in_executor(call.app.pool, work, call, params)

    return prepare


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


def boundary_source(reader: Reader, arn: str) -> Source:
    text = policies_of.managed_document(reader, arn) or policies_of.NOTHING
    return Source(policies_of.compiled(arn, text, "boundary"), arn.rpartition("/")[2], BOUNDARY, text)

"""Permissions boundaries: a managed policy that limits what a user or role may be given.

https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
"""

from __future__ import annotations

from freehold.services.call import Call
from freehold.services.iam import attachments, entities, records
from freehold.services.iam.authorized import iam, on_entity, present_boundary, requested_boundary
from freehold.services.iam.entities import KINDS, Kind
from freehold.services.iam.errors import NoSuchEntity
from freehold.services.iam.protected import refuse_protected
from freehold.services.iam.records import Group, Role, User
from freehold.services.operation import Params
from freehold.storage.records import Transaction


def set_boundary(tx: Transaction, entity: User | Role, arn: str) -> None:
    """Make `arn` the boundary (none when empty) and keep its use counted; the caller saves the entity."""
    if arn == entity.boundary:
        return
    if arn:
        attachments.require_attachable(tx, entity.account_id, arn)
        attachments.note_use(tx, entity, arn, "boundary", 1)
    if entity.boundary:
        attachments.note_use(tx, entity, entity.boundary, "boundary", -1)
    entity.boundary = arn


def _declare(kind: Kind) -> None:
    put, delete = f"Put{kind.noun}PermissionsBoundary", f"Delete{kind.noun}PermissionsBoundary"

    def target(call: Call, params: Params) -> User | Role:
        entity = entities.require(call.tx, kind.kind, call.account_id, params[kind.member])
        assert not isinstance(entity, Group)
        refuse_protected(entity)
        call.resources.append((kind.cloudformation_type, entity.arn))
        return entity

    @iam(put, on_entity(put, kind.kind, requested_boundary), writes=True)
    def put_boundary(call: Call, params: Params) -> None:
        """Set the boundary, in place of any other."""
        entity = target(call, params)
        set_boundary(call.tx, entity, params["PermissionsBoundary"])
        records.save(call.tx, entity)

    @iam(delete, on_entity(delete, kind.kind, present_boundary), writes=True)
    def delete_boundary(call: Call, params: Params) -> None:
        """Take the boundary away: the entity's policies then count in full."""
        entity = target(call, params)
        if not entity.boundary:
            raise NoSuchEntity(f"The {kind.kind} with name {entity.name} has no permissions boundary.")
        set_boundary(call.tx, entity, "")
        records.save(call.tx, entity)


_declare(KINDS["user"])
_declare(KINDS["role"])

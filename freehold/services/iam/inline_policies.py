"""Inline policies of users, groups and roles: documents that belong to one of them alone.

The limit is on all inline policies of one user (2,048 characters without whitespace), group (5,120) or role (10,240).
https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutUserPolicy.html
"""

from __future__ import annotations

from freehold.services.call import Call
from freehold.services.iam import documents, entities, pages, records, shapes
from freehold.services.iam.authorized import iam, on_entity, present_boundary
from freehold.services.iam.entities import KINDS, Kind
from freehold.services.iam.errors import NoSuchEntity
from freehold.services.iam.protected import refuse_protected
from freehold.services.operation import Params, Result


def _declare(kind: Kind) -> None:
    put, get, delete = f"Put{kind.noun}Policy", f"Get{kind.noun}Policy", f"Delete{kind.noun}Policy"
    list_ = f"List{kind.noun}Policies"

    @iam(put, on_entity(put, kind.kind, present_boundary), writes=True)
    def put_policy(call: Call, params: Params) -> None:
        """Write a policy, in place of one of the same name."""
        entity = entities.require(call.tx, kind.kind, call.account_id, params[kind.member])
        refuse_protected(entity)
        name, text = params["PolicyName"], params["PolicyDocument"]
        documents.check_inline(text, kind, entity, name)
        entity.inline = {**entity.inline, name: text}
        records.save(call.tx, entity)
        call.resources.append((kind.cloudformation_type, entity.arn))

    @iam(get, on_entity(get, kind.kind))
    def get_policy(call: Call, params: Params) -> Result:
        """One policy; its document is URL-encoded."""
        entity = entities.require(call.reader, kind.kind, call.account_id, params[kind.member])
        name = params["PolicyName"]
        if name not in entity.inline:
            raise NoSuchEntity(f"The {kind.kind} policy with name {name} cannot be found.")
        return {
            kind.member: entity.name,
            "PolicyName": name,
            "PolicyDocument": shapes.encoded(entity.inline[name]),
        }

    @iam(list_, on_entity(list_, kind.kind))
    def list_policies(call: Call, params: Params) -> Result:
        """The names of the inline policies."""
        entity = entities.require(call.reader, kind.kind, call.account_id, params[kind.member])
        return pages.page_of_texts(params, "PolicyNames", entity.inline)

    @iam(delete, on_entity(delete, kind.kind, present_boundary), writes=True)
    def delete_policy(call: Call, params: Params) -> None:
        """Delete a policy for good; there are no versions of inline policies."""
        entity = entities.require(call.tx, kind.kind, call.account_id, params[kind.member])
        refuse_protected(entity)
        name = params["PolicyName"]
        if name not in entity.inline:
            raise NoSuchEntity(f"The {kind.kind} policy with name {name} cannot be found.")
        entity.inline = {held: text for held, text in entity.inline.items() if held != name}
        records.save(call.tx, entity)
        call.resources.append((kind.cloudformation_type, entity.arn))


for _kind in KINDS.values():
    _declare(_kind)

"""How IAM's operations are declared: what each needs to be allowed, on which ARN, with which condition keys.

Two rules hold for all of them. Credentials from GetSessionToken without MFA, and from GetFederationToken, cannot call
IAM; those of a console session can. And what was authorized is what is changed: inside the transaction the permissions
are worked out again, and a call whose target became another one in between (renamed, moved to another path, recreated,
retagged) is refused.
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.iam import entities, records
from freehold.services.iam.entities import KINDS, EntityKind, Named
from freehold.services.iam.errors import ConcurrentModification, InvalidClientTokenId, ValidationError
from freehold.services.iam.records import Group
from freehold.services.operation import Handler, Params, Permissions, Result, operation

Keys = Callable[[Params, "Named | None"], dict[str, Any]]
"""Condition keys that follow from the parameters and the entity."""


def iam(
    name: str,
    permissions: Permissions,
    *,
    writes: bool = False,
    prepare: Callable[[Call, Params], Awaitable[Any]] | None = None,
    refuses: tuple[str, ...] = (),
    large: bool = False,
) -> Callable[[Handler], Handler]:
    """`operation` with IAM's two rules. What `prepare` returns is in `call.prepared` when the handler runs."""

    def gated(call: Call, params: Params) -> list[Permission]:
        refuse_session_without_mfa(call)
        needed = permissions(call, params)
        call.prepared = needed
        return needed

    async def prepared(call: Call, params: Params) -> None:
        assert prepare is not None
        call.prepared = call.prepared, await prepare(call, params)

    def declare(handler: Handler) -> Handler:
        def unchanged(call: Call, params: Params) -> Result | None:
            needed = call.prepared
            if prepare is not None:
                needed, call.prepared = needed
            if permissions(call, params) != needed:
                raise ConcurrentModification
            return handler(call, params)

        unchanged.__doc__ = handler.__doc__
        unchanged.__module__ = handler.__module__
        operation(
            f"iam.{name}",
            permissions=gated,
            writes=writes,
            prepare=None if prepare is None else prepared,
            refuses=refuses,
            large=large,
        )(unchanged if writes else handler)
        return handler

    return declare


def refuse_session_without_mfa(call: Call) -> None:
    session = call.principal.session
    if session is None or session.kind in ("assume-role", "console", "assume-root"):
        return
    if session.kind == "federation-token" or session.mfa_at is None:
        raise InvalidClientTokenId


def on_account(action: str) -> Permissions:
    """A permission that has no resource of its own."""

    def permissions(call: Call, params: Params) -> list[Permission]:
        return [Permission(f"iam:{action}", "*", call.account_id)]

    return permissions


def on_list(action: str, kind: str) -> Permissions:
    """Listing entities: on the ARN of the path prefix (`…:user/dev/*`'s own form `…:user/dev/`)."""

    def permissions(call: Call, params: Params) -> list[Permission]:
        prefix = params.get("PathPrefix") or "/"
        return [Permission(f"iam:{action}", f"arn:aws:iam::{call.account_id}:{kind}{prefix}", call.account_id)]

    return permissions


def on_entity(action: str, kind: EntityKind, *keys: Keys) -> Permissions:
    """The action on one user, group or role. Without a name, on the calling user (see `own_name`)."""

    member = KINDS[kind].member

    def permissions(call: Call, params: Params) -> list[Permission]:
        name = params.get(member)
        if name is None:
            if call.principal.kind == "root":
                return [Permission(f"iam:{action}", call.principal.arn, call.account_id)]
            name = own_name(call)
        found = entities.find(call.reader, kind, call.account_id, name)
        arn = f"arn:aws:iam::{call.account_id}:{kind}/{name}" if found is None else found.arn
        context = {} if found is None else entities.resource_tags(found)
        for more in keys:
            context |= more(params, found)
        return [Permission(f"iam:{action}", arn, call.account_id, context)]

    return permissions


def on_new(action: str, kind: str, member: str, *keys: Keys) -> Permissions:
    """The action on what will exist under the path and name given."""

    def permissions(call: Call, params: Params) -> list[Permission]:
        arn = f"arn:aws:iam::{call.account_id}:{kind}{params.get('Path') or '/'}{params[member]}"
        context: dict[str, Any] = {}
        for more in keys:
            context |= more(params, None)
        needed = [Permission(f"iam:{action}", arn, call.account_id, context)]
        if params.get("Tags"):
            # Tags decide about access: who may not add them later may not give them at birth either.
            # https://github.com/openshift/installer/issues/1073 shows AWS's refusal.
            noun = action.removeprefix("Create")
            needed.append(Permission(f"iam:Tag{noun}", arn, call.account_id, context))
        return needed

    return permissions


def on_renamed(action: str, kind: EntityKind) -> Permissions:
    """A rename or move needs the permission on the old and on the new ARN."""
    member = KINDS[kind].member
    on_old = on_entity(action, kind)

    def permissions(call: Call, params: Params) -> list[Permission]:
        needed = on_old(call, params)
        new_name, new_path = params.get(f"New{member}"), params.get("NewPath")
        if new_name is not None or new_path is not None:
            found = entities.find(call.reader, kind, call.account_id, params[member])
            name = new_name or params[member]
            path = new_path or ("/" if found is None else found.path)
            arn = f"arn:aws:iam::{call.account_id}:{kind}{path}{name}"
            needed.append(Permission(f"iam:{action}", arn, call.account_id, needed[0].context))
        return needed

    return permissions


def on_policy(action: str, *keys: Keys) -> Permissions:
    """The action on the managed policy that `PolicyArn` names; its account is the ARN's (AWS's own policies: ours)."""

    def permissions(call: Call, params: Params) -> list[Permission]:
        arn = params["PolicyArn"]
        parts = arn.split(":", 5)
        if len(parts) != 6 or parts[:4] != ["arn", "aws", "iam", ""] or not parts[5].startswith("policy/"):
            raise ValidationError(f"ARN {arn} is not valid.")
        owner = call.account_id if parts[4] == "aws" else parts[4]
        found = records.policy_at(call.reader, arn) if owner == call.account_id else None
        context = {} if found is None else entities.resource_tags(found)
        for more in keys:
            context |= more(params, None)
        return [Permission(f"iam:{action}", arn, owner, context)]

    return permissions


def own_name(call: Call) -> str:
    """The calling user's name, where AWS lets UserName be left out."""
    if call.principal.kind != "user":
        raise ValidationError("Must specify userName when calling with non-User credentials")
    return call.principal.name


# Condition keys


def request_tags(params: Params, entity: Named | None) -> dict[str, Any]:
    tags = params.get("Tags") or []
    if not tags:
        return {}
    context: dict[str, Any] = {f"aws:requesttag/{tag['Key'].lower()}": tag["Value"] for tag in tags}
    context["aws:tagkeys"] = tuple(tag["Key"] for tag in tags)
    return context


def untagged_keys(params: Params, entity: Named | None) -> dict[str, Any]:
    return {"aws:tagkeys": tuple(params["TagKeys"])} if params["TagKeys"] else {}


def requested_boundary(params: Params, entity: Named | None) -> dict[str, Any]:
    boundary = params.get("PermissionsBoundary")
    return {"iam:permissionsboundary": boundary} if boundary else {}


def present_boundary(params: Params, entity: Named | None) -> dict[str, Any]:
    if entity is None or isinstance(entity, Group) or not entity.boundary:
        return {}
    return {"iam:permissionsboundary": entity.boundary}


def policy_arn(params: Params, entity: Named | None) -> dict[str, Any]:
    return {"iam:policyarn": params["PolicyArn"]}

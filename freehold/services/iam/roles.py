"""Roles: identities without keys of their own, which whoever the trust policy names may assume.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
"""

from __future__ import annotations

from freehold.authentication.key_ids import new_unique_id
from freehold.services.call import Call
from freehold.services.iam import boundaries, documents, entities, instance_profiles, pages, records, shapes
from freehold.services.iam.authorized import (
    iam,
    on_entity,
    on_list,
    on_new,
    present_boundary,
    request_tags,
    requested_boundary,
)
from freehold.services.iam.credential_records import LAST_USES
from freehold.services.iam.errors import DeleteConflict, InvalidInput
from freehold.services.iam.protected import refuse_protected
from freehold.services.iam.records import ROLES, Role
from freehold.services.iam.tags import checked_tags
from freehold.services.operation import Params, Result

_RESERVED = ("aws-service-role/", "aws-reserved/")


def _refuse_reserved(path: str) -> None:
    """Service-linked roles are known by their path, and exempt from service control policies: nobody else gets one.

    Refused anywhere in a path, since a path may hold a colon and so look like an ARN of its own.
    """
    if any(reserved in path for reserved in _RESERVED):
        raise InvalidInput(f"The path {path} is reserved for roles that services create.")


@iam("CreateRole", on_new("CreateRole", "role", "RoleName", request_tags, requested_boundary), writes=True)
def create_role(call: Call, params: Params) -> Result:
    """At most 1,000 per account. Sessions last 1 to 12 hours at most (MaxSessionDuration, seconds; 3,600 unless told).

    Users and roles that the trust policy names must exist and are kept by their unique ids.
    """
    name = params["RoleName"]
    _refuse_reserved(params.get("Path") or "/")
    entities.refuse_taken_name(call.tx, "role", call.account_id, name)
    entities.count(call.tx, call.account_id, "role", 1)
    role = Role(
        account_id=call.account_id,
        name=name,
        path=params.get("Path") or "/",
        unique_id=new_unique_id("AROA"),
        created_at=int(call.app.clock.now_seconds()),
        trust_policy=documents.bound_trust_policy(call.tx, call.account_id, params["AssumeRolePolicyDocument"]),
        description=params.get("Description") or "",
        max_session_seconds=params.get("MaxSessionDuration") or 3600,
        tags=checked_tags({}, params.get("Tags") or []),
    )
    boundaries.set_boundary(call.tx, role, params.get("PermissionsBoundary") or "")
    records.save(call.tx, role)
    call.resources.append(("AWS::IAM::Role", role.arn))
    return {"Role": shapes.whole_role(call.tx, role, call.app.clock.now_seconds())}


@iam("GetRole", on_entity("GetRole", "role", present_boundary))
def get_role(call: Call, params: Params) -> Result:
    """A role with its trust policy, whose deleted principals show as `AIDA…` or `AROA…`."""
    role = entities.require_role(call.reader, call.account_id, params["RoleName"])
    return {"Role": shapes.whole_role(call.reader, role, call.app.clock.now_seconds())}


@iam("ListRoles", on_list("ListRoles", "role"))
def list_roles(call: Call, params: Params) -> Result:
    """Roles by name, without tags and boundaries, as AWS lists them."""
    prefix, start = params.get("PathPrefix") or "/", pages.after(params)
    reader = call.reader
    rows = ROLES.scan(reader, (call.account_id,), after=None if start is None else (call.account_id, start))
    roles = (role for _, role in rows if role.path.startswith(prefix))
    return pages.page(params, "Roles", roles, lambda role: role.name.lower(), lambda role: shapes.role(reader, role))


@iam("UpdateRole", on_entity("UpdateRole", "role", present_boundary), writes=True)
def update_role(call: Call, params: Params) -> Result:
    """A MaxSessionDuration that is left out becomes one hour, as AWS documents it; a description stays.

    Of a service-linked role the description alone can be changed.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateRole.html
    """
    role = entities.require_role(call.tx, call.account_id, params["RoleName"])
    role.description = params.get("Description", role.description)
    seconds = params.get("MaxSessionDuration") or 3600
    if seconds != role.max_session_seconds:
        refuse_protected(role)
    role.max_session_seconds = seconds
    records.save(call.tx, role)
    call.resources.append(("AWS::IAM::Role", role.arn))
    return {}


@iam("UpdateRoleDescription", on_entity("UpdateRoleDescription", "role", present_boundary), writes=True)
def update_role_description(call: Call, params: Params) -> Result:
    """Only the description."""
    role = entities.require_role(call.tx, call.account_id, params["RoleName"])
    role.description = params["Description"]
    records.save(call.tx, role)
    call.resources.append(("AWS::IAM::Role", role.arn))
    return {"Role": shapes.whole_role(call.tx, role, call.app.clock.now_seconds())}


@iam("UpdateAssumeRolePolicy", on_entity("UpdateAssumeRolePolicy", "role", present_boundary), writes=True)
def update_assume_role_policy(call: Call, params: Params) -> None:
    """Another trust policy, at most 2,048 characters without whitespace. Sessions already given are not ended."""
    role = entities.require_role(call.tx, call.account_id, params["RoleName"])
    refuse_protected(role)
    role.trust_policy = documents.bound_trust_policy(call.tx, call.account_id, params["PolicyDocument"])
    records.save(call.tx, role)
    call.resources.append(("AWS::IAM::Role", role.arn))


@iam("DeleteRole", on_entity("DeleteRole", "role", present_boundary), writes=True)
def delete_role(call: Call, params: Params) -> None:
    """Refused while the role has policies or is in an instance profile. Its sessions end at once."""
    role = entities.require_role(call.tx, call.account_id, params["RoleName"])
    refuse_protected(role)
    for held, conflict in (
        (instance_profiles.of_role(call.tx, role), "must remove roles from instance profile first."),
        (role.attached, "must detach all policies first."),
        (role.inline, "must delete policies first."),
    ):
        if held:
            raise DeleteConflict(f"Cannot delete entity, {conflict}")
    boundaries.set_boundary(call.tx, role, "")
    LAST_USES.delete(call.tx, (role.unique_id,))
    records.remove(call.tx, role)
    entities.count(call.tx, call.account_id, "role", -1)
    call.resources.append(("AWS::IAM::Role", role.arn))

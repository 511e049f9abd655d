"""Instance profiles: the container in which an instance gets one role.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateInstanceProfile.html
"""

from __future__ import annotations

from typing import Any

from freehold.authentication.key_ids import new_unique_id
from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.iam import entities, pages, records, shapes
from freehold.services.iam.authorized import Keys, iam, on_entity, on_list, on_new, request_tags, untagged_keys
from freehold.services.iam.errors import DeleteConflict, EntityAlreadyExists, NoSuchEntity, quota
from freehold.services.iam.pass_role import pass_role
from freehold.services.iam.protected import refuse_protected
from freehold.services.iam.records import INSTANCE_PROFILES, ROLE_PROFILES, InstanceProfile, Mark, Role
from freehold.services.iam.tags import checked_tags, page, without
from freehold.services.operation import Params, Permissions, Result
from freehold.storage.records import Reader, Transaction

_TYPE = "AWS::IAM::InstanceProfile"


def find(reader: Reader, account_id: str, name: str) -> InstanceProfile | None:
    profile = INSTANCE_PROFILES.get(reader, (account_id, name.lower()))
    return profile if profile is not None and profile.name == name else None


def require(reader: Reader, account_id: str, name: str) -> InstanceProfile:
    profile = find(reader, account_id, name)
    if profile is None:
        raise NoSuchEntity(f"Instance Profile {name} cannot be found.")
    return profile


def of_role(reader: Reader, role: Role) -> list[InstanceProfile]:
    """The profiles that hold a role."""
    names = [str(key[1]) for key, _ in ROLE_PROFILES.scan(reader, (role.unique_id,))]
    found = (INSTANCE_PROFILES.get(reader, (role.account_id, name)) for name in names)
    return [profile for profile in found if profile is not None]


def shown(reader: Reader, profile: InstanceProfile) -> dict[str, Any]:
    role = records.by_unique_id(reader, profile.role_id) if profile.role_id else None
    return shapes.instance_profile(reader, profile, role if isinstance(role, Role) else None)


def _save(tx: Transaction, profile: InstanceProfile) -> None:
    INSTANCE_PROFILES.put(tx, (profile.account_id, profile.name.lower()), profile)


def _on(action: str, *keys: Keys, passes_role: bool = False) -> Permissions:
    """The action on one profile; with `passes_role`, iam:PassRole on the role to EC2 as well.

    Which instance will use the profile isn't known yet: AWS then compares iam:AssociatedResourceArn with
    `arn:aws:ec2:*:ACCOUNT:instance/*`.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_AddRoleToInstanceProfile.html
    """

    def permissions(call: Call, params: Params) -> list[Permission]:
        name = params["InstanceProfileName"]
        profile = find(call.reader, call.account_id, name)
        arn = f"arn:aws:iam::{call.account_id}:instance-profile/{name}" if profile is None else profile.arn
        tags = {} if profile is None else profile.tags
        context: dict[str, Any] = {f"aws:resourcetag/{key.lower()}": value for key, value in tags.items()}
        for more in keys:
            context |= more(params, None)
        needed = [Permission(f"iam:{action}", arn, call.account_id, context)]
        if passes_role:
            role = records.role_named(call.reader, call.account_id, params["RoleName"])
            role_arn = f"arn:aws:iam::{call.account_id}:role/{params['RoleName']}" if role is None else role.arn
            any_instance = f"arn:aws:ec2:*:{call.account_id}:instance/*"
            needed.append(pass_role(call, role_arn, "ec2.amazonaws.com", associated_resource_arn=any_instance))
        return needed

    return permissions


@iam(
    "CreateInstanceProfile",
    on_new("CreateInstanceProfile", "instance-profile", "InstanceProfileName", request_tags),
    writes=True,
)
def create_instance_profile(call: Call, params: Params) -> Result:
    """A profile without a role. At most 1,000 per account."""
    name = params["InstanceProfileName"]
    if INSTANCE_PROFILES.get(call.tx, (call.account_id, name.lower())) is not None:
        raise EntityAlreadyExists(f"Instance Profile {name} already exists.")
    entities.count(call.tx, call.account_id, "instance-profile", 1)
    profile = InstanceProfile(
        account_id=call.account_id,
        name=name,
        path=params.get("Path") or "/",
        unique_id=new_unique_id("AIPA"),
        created_at=int(call.app.clock.now_seconds()),
        tags=checked_tags({}, params.get("Tags") or []),
    )
    _save(call.tx, profile)
    call.resources.append((_TYPE, profile.arn))
    return {"InstanceProfile": shown(call.tx, profile)}


@iam("GetInstanceProfile", _on("GetInstanceProfile"))
def get_instance_profile(call: Call, params: Params) -> Result:
    """A profile with its role."""
    reader = call.reader
    return {"InstanceProfile": shown(reader, require(reader, call.account_id, params["InstanceProfileName"]))}


@iam("ListInstanceProfiles", on_list("ListInstanceProfiles", "instance-profile"))
def list_instance_profiles(call: Call, params: Params) -> Result:
    """Profiles by name, without tags."""
    prefix, start, reader = params.get("PathPrefix") or "/", pages.after(params), call.reader
    after = None if start is None else (call.account_id, start)
    rows = INSTANCE_PROFILES.scan(reader, (call.account_id,), after=after)
    profiles = (profile for _, profile in rows if profile.path.startswith(prefix))

    def show(profile: InstanceProfile) -> dict[str, Any]:
        return {member: value for member, value in shown(reader, profile).items() if member != "Tags"}

    return pages.page(params, "InstanceProfiles", profiles, lambda profile: profile.name.lower(), show)


@iam("ListInstanceProfilesForRole", on_entity("ListInstanceProfilesForRole", "role"))
def list_instance_profiles_for_role(call: Call, params: Params) -> Result:
    """The profiles that hold a role."""
    reader = call.reader
    role = entities.require_role(reader, call.account_id, params["RoleName"])
    profiles = {profile.name: profile for profile in of_role(reader, role)}
    return pages.page_of_texts(params, "InstanceProfiles", profiles, lambda name: shown(reader, profiles[name]))


@iam("AddRoleToInstanceProfile", _on("AddRoleToInstanceProfile", passes_role=True), writes=True)
def add_role_to_instance_profile(call: Call, params: Params) -> None:
    """A profile holds one role. The caller needs iam:PassRole on it."""
    profile = require(call.tx, call.account_id, params["InstanceProfileName"])
    role = entities.require_role(call.tx, call.account_id, params["RoleName"])
    refuse_protected(role)
    if profile.role_id:
        raise quota("InstanceSessionsPerInstanceProfile", 1)
    profile.role_id = role.unique_id
    _save(call.tx, profile)
    ROLE_PROFILES.put(call.tx, (role.unique_id, profile.name.lower()), Mark())
    call.resources.extend(((_TYPE, profile.arn), ("AWS::IAM::Role", role.arn)))


@iam("RemoveRoleFromInstanceProfile", _on("RemoveRoleFromInstanceProfile"), writes=True)
def remove_role_from_instance_profile(call: Call, params: Params) -> None:
    """Leave the profile empty."""
    profile = require(call.tx, call.account_id, params["InstanceProfileName"])
    role = entities.require_role(call.tx, call.account_id, params["RoleName"])
    refuse_protected(role)
    if profile.role_id != role.unique_id:
        raise NoSuchEntity(f"Role {role.name} in Instance Profile {profile.name} cannot be found.")
    profile.role_id = ""
    _save(call.tx, profile)
    ROLE_PROFILES.delete(call.tx, (role.unique_id, profile.name.lower()))
    call.resources.extend(((_TYPE, profile.arn), ("AWS::IAM::Role", role.arn)))


@iam("DeleteInstanceProfile", _on("DeleteInstanceProfile"), writes=True)
def delete_instance_profile(call: Call, params: Params) -> None:
    """Refused while a role is in it."""
    profile = require(call.tx, call.account_id, params["InstanceProfileName"])
    if profile.role_id:
        raise DeleteConflict("Cannot delete entity, must remove roles from instance profile first.")
    INSTANCE_PROFILES.delete(call.tx, (call.account_id, profile.name.lower()))
    entities.count(call.tx, call.account_id, "instance-profile", -1)
    call.resources.append((_TYPE, profile.arn))


@iam("TagInstanceProfile", _on("TagInstanceProfile", request_tags), writes=True)
def tag_instance_profile(call: Call, params: Params) -> None:
    """Add tags."""
    profile = require(call.tx, call.account_id, params["InstanceProfileName"])
    profile.tags = checked_tags(profile.tags, params["Tags"])
    _save(call.tx, profile)


@iam("UntagInstanceProfile", _on("UntagInstanceProfile", untagged_keys), writes=True)
def untag_instance_profile(call: Call, params: Params) -> None:
    """Take tags away."""
    profile = require(call.tx, call.account_id, params["InstanceProfileName"])
    profile.tags = without(profile.tags, params["TagKeys"])
    _save(call.tx, profile)


@iam("ListInstanceProfileTags", _on("ListInstanceProfileTags"))
def list_instance_profile_tags(call: Call, params: Params) -> Result:
    """The tags, by key."""
    return page(params, require(call.reader, call.account_id, params["InstanceProfileName"]).tags)

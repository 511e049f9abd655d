"""Users, groups, roles and instance profiles of an import."""

from __future__ import annotations

from collections.abc import Mapping

from freehold.services.iam.importing.parts import Parts, objects
from freehold.services.iam.importing.plan import Raw
from freehold.services.iam.records import Group, InstanceProfile, Role, User


def group(parts: Parts, raw: Raw) -> Group | None:
    named = parts.named("group", raw, raw.get("GroupName"), raw.get("GroupId"))
    if named is None:
        return None
    name, path, unique_id = named
    group = Group(
        account_id=parts.plan.account_id,
        name=name,
        path=path,
        unique_id=unique_id,
        created_at=parts.date(raw.get("CreateDate")),
        inline=parts.inline(raw, "GroupPolicyList", f"group {name}"),
        attached=parts.attached(raw, f"group {name}"),
    )
    parts.plan.groups.append(group)
    return group


def user(parts: Parts, raw: Raw, groups: Mapping[str, Group]) -> None:
    named = parts.named("user", raw, raw.get("UserName"), raw.get("UserId"))
    if named is None:
        return
    name, path, unique_id = named
    subject = f"user {name}"
    group_ids = []
    given = raw.get("GroupList")
    for group_name in given if isinstance(given, list) else ():
        group = groups.get(group_name) if isinstance(group_name, str) else None
        if group is None:
            parts.plan.note(subject, f"not a member of the group {str(group_name)[:128]}, which isn't given")
        elif group.unique_id not in group_ids:
            group_ids.append(group.unique_id)
            parts.plan.members.append((group.unique_id, unique_id))
    parts.plan.users.append(
        User(
            account_id=parts.plan.account_id,
            name=name,
            path=path,
            unique_id=unique_id,
            created_at=parts.date(raw.get("CreateDate")),
            inline=parts.inline(raw, "UserPolicyList", subject),
            attached=parts.attached(raw, subject),
            tags=parts.tags(raw, subject),
            group_ids=group_ids,
            boundary=parts.boundary(raw, subject),
        )
    )


def role(parts: Parts, raw: Raw) -> Role | None:
    subject = f"role {str(raw.get('RoleName', ''))[:128]}"
    trust = parts.document(raw.get("AssumeRolePolicyDocument"), "trust", f"{subject}, its trust policy")
    if trust is None:
        parts.plan.note(subject, "left out: who may assume it isn't given or can't be understood")
        return None
    named = parts.named("role", raw, raw.get("RoleName"), raw.get("RoleId"))
    if named is None:
        return None
    name, path, unique_id = named
    role = Role(
        account_id=parts.plan.account_id,
        name=name,
        path=path,
        unique_id=unique_id,
        created_at=parts.date(raw.get("CreateDate")),
        inline=parts.inline(raw, "RolePolicyList", subject),
        attached=parts.attached(raw, subject),
        trust_policy=trust,
        tags=parts.tags(raw, subject),
        boundary=parts.boundary(raw, subject),
    )
    parts.plan.roles.append(role)
    return role


def profiles(parts: Parts, role: Role, raw: Raw) -> None:
    for profile in objects(raw.get("InstanceProfileList")):
        name = profile.get("InstanceProfileName")
        named = parts.named("instance-profile", profile, name, profile.get("InstanceProfileId"))
        if named is not None:
            parts.plan.profiles.append(
                InstanceProfile(
                    account_id=parts.plan.account_id,
                    name=named[0],
                    path=named[1],
                    unique_id=named[2],
                    created_at=parts.date(profile.get("CreateDate")),
                    role_id=role.unique_id,
                    tags=parts.tags(profile, f"instance profile {named[0]}"),
                )
            )

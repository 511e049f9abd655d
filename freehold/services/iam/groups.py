"""Groups and who is in them. A group is a bundle of policies; it is no principal.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateGroup.html
"""

from __future__ import annotations

from collections.abc import Iterator

from freehold.authentication.key_ids import new_unique_id
from freehold.services.call import Call
from freehold.services.iam import entities, pages, policies_of, records, shapes
from freehold.services.iam.authorized import iam, on_entity, on_list, on_new, on_renamed
from freehold.services.iam.errors import DeleteConflict, NoSuchEntity, quota
from freehold.services.iam.records import GROUPS, MEMBERS, Group, Mark, User
from freehold.services.operation import Params, Result
from freehold.storage.records import Reader

MOST_GROUPS_PER_USER = 10


@iam("CreateGroup", on_new("CreateGroup", "group", "GroupName"), writes=True)
def create_group(call: Call, params: Params) -> Result:
    """A group without policies and members. At most 300 per account."""
    name = params["GroupName"]
    entities.refuse_taken_name(call.tx, "group", call.account_id, name)
    entities.count(call.tx, call.account_id, "group", 1)
    group = Group(
        account_id=call.account_id,
        name=name,
        path=params.get("Path") or "/",
        unique_id=new_unique_id("AGPA"),
        created_at=int(call.app.clock.now_seconds()),
    )
    records.save(call.tx, group)
    call.resources.append(("AWS::IAM::Group", group.arn))
    return {"Group": shapes.group(group)}


@iam("GetGroup", on_entity("GetGroup", "group"))
def get_group(call: Call, params: Params) -> Result:
    """A group and a page of its members."""
    reader = call.reader
    group = entities.require_group(reader, call.account_id, params["GroupName"])
    members = _members(reader, group, pages.after(params))
    shown = pages.page(params, "Users", members, lambda user: user.unique_id, shapes.user)
    return {"Group": shapes.group(group), **shown}


def _members(reader: Reader, group: Group, start: str | None) -> Iterator[User]:
    rows = MEMBERS.scan(reader, (group.unique_id,), after=None if start is None else (group.unique_id, start))
    for key, _ in rows:
        user = records.by_unique_id(reader, str(key[1]))
        if isinstance(user, User):
            yield user


@iam("ListGroups", on_list("ListGroups", "group"))
def list_groups(call: Call, params: Params) -> Result:
    """Groups by name."""
    prefix, start = params.get("PathPrefix") or "/", pages.after(params)
    rows = GROUPS.scan(call.reader, (call.account_id,), after=None if start is None else (call.account_id, start))
    groups = (group for _, group in rows if group.path.startswith(prefix))
    return pages.page(params, "Groups", groups, lambda group: group.name.lower(), shapes.group)


@iam("UpdateGroup", on_renamed("UpdateGroup", "group"), writes=True)
def update_group(call: Call, params: Params) -> None:
    """Another name or path; members and policies stay."""
    group = entities.require_group(call.tx, call.account_id, params["GroupName"])
    new_name = params.get("NewGroupName") or group.name
    if new_name.lower() != group.name.lower():
        entities.refuse_taken_name(call.tx, "group", call.account_id, new_name)
        records.remove(call.tx, group)
    group.name, group.path = new_name, params.get("NewPath") or group.path
    records.save(call.tx, group)
    call.resources.append(("AWS::IAM::Group", group.arn))


@iam("DeleteGroup", on_entity("DeleteGroup", "group"), writes=True)
def delete_group(call: Call, params: Params) -> None:
    """Refused while the group has members or policies."""
    group = entities.require_group(call.tx, call.account_id, params["GroupName"])
    for held, conflict in (
        (next(MEMBERS.scan(call.tx, (group.unique_id,), limit=1), None), "must remove users from group first."),
        (group.inline, "must delete policies first."),
        (group.attached, "must detach all policies first."),
    ):
        if held:
            raise DeleteConflict(f"Cannot delete entity, {conflict}")
    records.remove(call.tx, group)
    entities.count(call.tx, call.account_id, "group", -1)
    call.resources.append(("AWS::IAM::Group", group.arn))


@iam("AddUserToGroup", on_entity("AddUserToGroup", "group"), writes=True)
def add_user_to_group(call: Call, params: Params) -> None:
    """A user is in 10 groups at most. Adding a member again changes nothing."""
    group = entities.require_group(call.tx, call.account_id, params["GroupName"])
    user = entities.require_user(call.tx, call.account_id, params["UserName"])
    call.resources.extend((("AWS::IAM::Group", group.arn), ("AWS::IAM::User", user.arn)))
    if group.unique_id in user.group_ids:
        return
    if len(user.group_ids) >= MOST_GROUPS_PER_USER:
        raise quota("GroupsPerUser", MOST_GROUPS_PER_USER)
    user.group_ids = [*user.group_ids, group.unique_id]
    records.save(call.tx, user)
    MEMBERS.put(call.tx, (group.unique_id, user.unique_id), Mark())


@iam("RemoveUserFromGroup", on_entity("RemoveUserFromGroup", "group"), writes=True)
def remove_user_from_group(call: Call, params: Params) -> None:
    """Take a member out of a group."""
    group = entities.require_group(call.tx, call.account_id, params["GroupName"])
    user = entities.require_user(call.tx, call.account_id, params["UserName"])
    if group.unique_id not in user.group_ids:
        raise NoSuchEntity(f"User {user.name} is not in group {group.name}.")
    user.group_ids = [held for held in user.group_ids if held != group.unique_id]
    records.save(call.tx, user)
    MEMBERS.delete(call.tx, (group.unique_id, user.unique_id))
    call.resources.extend((("AWS::IAM::Group", group.arn), ("AWS::IAM::User", user.arn)))


@iam("ListGroupsForUser", on_entity("ListGroupsForUser", "user"))
def list_groups_for_user(call: Call, params: Params) -> Result:
    """The groups that a user is in, by name."""
    reader = call.reader
    user = entities.require_user(reader, call.account_id, params["UserName"])
    groups = {group.name: group for group in policies_of.groups_of(reader, user)}
    return pages.page_of_texts(params, "Groups", groups, lambda name: shapes.group(groups[name]))

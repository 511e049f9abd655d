"""Users: create, read, list, rename and delete.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateUser.html
"""

from __future__ import annotations

from freehold.authentication.key_ids import new_unique_id
from freehold.services.call import Call
from freehold.services.iam import (
    boundaries,
    entities,
    mfa,
    pages,
    records,
    service_credentials,
    shapes,
    signing_certificates,
    ssh_keys,
)
from freehold.services.iam.authorized import (
    iam,
    on_entity,
    on_list,
    on_new,
    on_renamed,
    own_name,
    request_tags,
    requested_boundary,
)
from freehold.services.iam.credential_records import LOGIN_PROFILES, SIGNED_IN
from freehold.services.iam.errors import DeleteConflict
from freehold.services.iam.records import ACCOUNTS, USERS, User
from freehold.services.iam.tags import checked_tags
from freehold.services.operation import Params, Result


@iam("CreateUser", on_new("CreateUser", "user", "UserName", request_tags, requested_boundary), writes=True)
def create_user(call: Call, params: Params) -> Result:
    """A user without any permission. At most 5,000 per account; names are unique without regard to case."""
    name = params["UserName"]
    entities.refuse_taken_name(call.tx, "user", call.account_id, name)
    entities.count(call.tx, call.account_id, "user", 1)
    user = User(
        account_id=call.account_id,
        name=name,
        path=params.get("Path") or "/",
        unique_id=new_unique_id("AIDA"),
        created_at=int(call.app.clock.now_seconds()),
        tags=checked_tags({}, params.get("Tags") or []),
    )
    boundaries.set_boundary(call.tx, user, params.get("PermissionsBoundary") or "")
    records.save(call.tx, user)
    call.resources.append(("AWS::IAM::User", user.arn))
    return {"User": shapes.user(user, whole=True)}


@iam("GetUser", on_entity("GetUser", "user"))
def get_user(call: Call, params: Params) -> Result:
    """A user, or without UserName the caller; the account's root user has an id and an ARN only."""
    name = params.get("UserName")
    if name is None and call.principal.kind == "root":
        account = ACCOUNTS.get(call.reader, (call.account_id,))
        created_at = 0 if account is None else account.created_at
        shown = {"UserId": call.account_id, "Arn": call.principal.arn, "CreateDate": shapes.date(created_at)}
        return {"User": shown | shapes.signed_in(call.reader, call.account_id)}
    user = entities.require_user(call.reader, call.account_id, own_name(call) if name is None else name)
    return {"User": shapes.user(user, whole=True) | shapes.signed_in(call.reader, user.unique_id)}


@iam("ListUsers", on_list("ListUsers", "user"))
def list_users(call: Call, params: Params) -> Result:
    """Users by name, without tags and boundaries, as AWS lists them."""
    prefix, start = params.get("PathPrefix") or "/", pages.after(params)
    reader = call.reader
    rows = USERS.scan(reader, (call.account_id,), after=None if start is None else (call.account_id, start))
    users = (user for _, user in rows if user.path.startswith(prefix))

    def show(user: User) -> Result:
        return shapes.user(user) | shapes.signed_in(reader, user.unique_id)

    return pages.page(params, "Users", users, lambda user: user.name.lower(), show)


@iam("UpdateUser", on_renamed("UpdateUser", "user"), writes=True)
def update_user(call: Call, params: Params) -> None:
    """Another name or path. The unique id stays: groups, policies and trust follow; policies by ARN text do not."""
    user = entities.require_user(call.tx, call.account_id, params["UserName"])
    new_name = params.get("NewUserName") or user.name
    if new_name.lower() != user.name.lower():
        entities.refuse_taken_name(call.tx, "user", call.account_id, new_name)
        records.remove(call.tx, user)
    user.name, user.path = new_name, params.get("NewPath") or user.path
    records.save(call.tx, user)
    call.resources.append(("AWS::IAM::User", user.arn))


@iam("DeleteUser", on_entity("DeleteUser", "user"), writes=True)
def delete_user(call: Call, params: Params) -> None:
    """Refused while the user has policies, keys, a password, MFA devices or groups. A boundary goes with the user."""
    user = entities.require_user(call.tx, call.account_id, params["UserName"])
    for held, conflict in (
        (user.inline, "must delete policies first."),
        (user.attached, "must detach all policies first."),
        (user.access_key_ids, "must delete access keys first."),
        (LOGIN_PROFILES.get(call.tx, (user.unique_id,)), "must delete login profile first."),
        (mfa.has_device(call.tx, user.unique_id), "must delete MFA device first."),
        (signing_certificates.of(call.tx, user.unique_id), "must delete signing certificates first."),
        (ssh_keys.of(call.tx, user.unique_id), "must delete SSH public keys first."),
        (
            service_credentials.of(call.tx, user.account_id, user.unique_id),
            "must delete service specific credentials first.",
        ),
        (user.group_ids, "must remove users from group first."),
    ):
        if held:
            raise DeleteConflict(f"Cannot delete entity, {conflict}")
    boundaries.set_boundary(call.tx, user, "")
    SIGNED_IN.delete(call.tx, (user.unique_id,))
    records.remove(call.tx, user)
    entities.count(call.tx, call.account_id, "user", -1)
    call.resources.append(("AWS::IAM::User", user.arn))

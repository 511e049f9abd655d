"""Passwords of IAM users and of the account's root user: made, changed, deleted. Kept only as hashes, also former ones.

A password is checked and hashed before the transaction, on a thread of its own, and set in it if the profile still is
as it was. The root user, whose password AWS sets when an account is opened and recovers by e-mail, sets and deletes its
own by leaving UserName out; through AssumeRoot a profile without a password can be made: that one may be set.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateLoginProfile.html
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from freehold.authorization.permission import Permission
from freehold.crypto import passwords
from freehold.services.call import Call
from freehold.services.iam import attempts, entities, password_policy, records, shapes
from freehold.services.iam.attempts import Counted, Limit, TooManyAttempts
from freehold.services.iam.authorized import iam, on_entity, own_name
from freehold.services.iam.credential_records import LOGIN_PROFILES, SIGNED_IN, LoginProfile
from freehold.services.iam.errors import (
    AccessDenied,
    ConcurrentModification,
    EntityAlreadyExists,
    InvalidUserType,
    NoSuchEntity,
    PasswordPolicyViolation,
    Throttling,
    ValidationError,
)
from freehold.services.operation import Params, Result
from freehold.storage.records import Reader, Transaction

_OLD_PASSWORD = Limit(free=5, most_seconds=30)
_REUSED = "Policy constraint violation with password reuse prevention during password change"


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose password: `owner_id` is what records go by, `shown` the UserName in replies."""

    account_id: str
    owner_id: str
    shown: str
    root: bool


def owner_of(reader: Reader, call: Call, params: Params) -> Owner:
    """The named user; without a name, the caller. Raises NoSuchEntity."""
    name = params.get("UserName")
    if name is None and call.principal.kind == "root":
        return Owner(call.account_id, call.account_id, call.account_id, root=True)
    user = entities.require_user(reader, call.account_id, own_name(call) if name is None else name)
    return Owner(call.account_id, user.unique_id, user.name, root=False)


def profile_of(reader: Reader, owner: Owner) -> LoginProfile:
    profile = LOGIN_PROFILES.get(reader, (owner.owner_id,))
    if profile is None:
        raise NoSuchEntity(f"Login Profile for User {owner.shown} cannot be found.")
    return profile


def has_password(reader: Reader, owner_id: str) -> bool:
    profile = LOGIN_PROFILES.get(reader, (owner_id,))
    return profile is not None and bool(profile.password)


# Setting a password


@dataclass(frozen=True, slots=True)
class NewPassword:
    """A hash that was made for a profile as it was then (None: for one to be made)."""

    hash: str
    instead_of: str | None


def made(reader: Reader, owner: Owner, password: str, profile: LoginProfile | None) -> NewPassword:
    """The password's hash, once the account's policy takes it. For the password thread: it takes its time."""
    password_policy.check(reader, owner.account_id, password, root=owner.root)
    held = "" if profile is None else profile.password
    if profile is not None and held:
        prevented = _prevented(reader, owner)
        if prevented and passwords.matches(password, [held, *profile.former][:prevented]):
            raise PasswordPolicyViolation(_REUSED)
    return NewPassword(passwords.hashed(password, like=held), None if profile is None else held)


def put(tx: Transaction, owner: Owner, new: NewPassword, now: int, password: str, **more: Any) -> None:
    """Set what `made` made, if the profile and the policy still are as they were."""
    profile = LOGIN_PROFILES.get(tx, (owner.owner_id,))
    if (None if profile is None else profile.password) != new.instead_of:
        raise ConcurrentModification
    password_policy.check(tx, owner.account_id, password, root=owner.root)
    if profile is None:
        profile = LoginProfile(created_at=now, changed_at=now)
    elif profile.password:
        profile.former = [profile.password, *profile.former][: password_policy.MOST_FORMER]
    profile.password, profile.changed_at = new.hash, now
    for field, value in more.items():
        setattr(profile, field, value)
    LOGIN_PROFILES.put(tx, (owner.owner_id,), profile)


def _prevented(reader: Reader, owner: Owner) -> int:
    policy = None if owner.root else password_policy.of_account(reader, owner.account_id)
    return 0 if policy is None else policy.reuse_prevention


async def _made(call: Call, owner: Owner, password: str, profile: LoginProfile | None) -> NewPassword:
    app = call.app
    password_policy.check(call.reader, owner.account_id, password, root=owner.root)  # before any work
    return await app.passwords.run(owner.account_id, lambda: made(app.records.reader(), owner, password, profile))


# The operations


def _shown(owner: Owner, profile: LoginProfile) -> Result:
    return {
        "LoginProfile": {
            "UserName": owner.shown,
            "CreateDate": shapes.date(profile.created_at),
            "PasswordResetRequired": profile.reset_required,
        }
    }


def _refuse_present(owner: Owner, profile: LoginProfile | None) -> None:
    if profile is not None and profile.password:
        raise EntityAlreadyExists(f"Login Profile for user {owner.shown} already exists.")


async def _prepare_creation(call: Call, params: Params) -> NewPassword | None:
    owner = owner_of(call.reader, call, params)
    profile = LOGIN_PROFILES.get(call.reader, (owner.owner_id,))
    _refuse_present(owner, profile)
    password, session = params.get("Password"), call.principal.session
    if owner.root and session is not None and session.kind == "assume-root":
        if password is not None:
            # It would make of 15 minutes for one task a root user to sign in as.
            raise ValidationError("Password must be omitted with an AssumeRoot session.")
        return None
    if password is None:
        raise ValidationError("Password is required.")
    return await _made(call, owner, password, profile)


@iam("CreateLoginProfile", on_entity("CreateLoginProfile", "user"), writes=True, prepare=_prepare_creation)
def create_login_profile(call: Call, params: Params) -> Result:
    """A password of 1 to 128 characters, within the account's password policy, for a user who has none.

    The root user leaves UserName out. A session of AssumeRoot must leave Password out: nobody can sign in until the
    root user has set one by the same operation.
    """
    owner = owner_of(call.tx, call, params)
    profile = LOGIN_PROFILES.get(call.tx, (owner.owner_id,))
    _refuse_present(owner, profile)
    now = int(call.app.clock.now_seconds())
    reset_required = params.get("PasswordResetRequired", False)
    if call.prepared is None:
        if profile is not None:
            raise EntityAlreadyExists(f"Login Profile for user {owner.shown} already exists.")
        LOGIN_PROFILES.put(
            call.tx, (owner.owner_id,), LoginProfile(created_at=now, changed_at=now, reset_required=reset_required)
        )
    else:
        put(call.tx, owner, call.prepared, now, params["Password"], reset_required=reset_required)
    return _shown(owner, profile_of(call.tx, owner))


@iam("GetLoginProfile", on_entity("GetLoginProfile", "user"))
def get_login_profile(call: Call, params: Params) -> Result:
    """When the user's first password was made, and whether it has to be changed. Nothing of the password."""
    owner = owner_of(call.reader, call, params)
    return _shown(owner, profile_of(call.reader, owner))


async def _prepare_update(call: Call, params: Params) -> NewPassword | None:
    owner = owner_of(call.reader, call, params)
    profile = profile_of(call.reader, owner)
    password = params.get("Password")
    return None if password is None else await _made(call, owner, password, profile)


@iam("UpdateLoginProfile", on_entity("UpdateLoginProfile", "user"), writes=True, prepare=_prepare_update)
def update_login_profile(call: Call, params: Params) -> None:
    """Another password for a user, or only whether it has to be changed at the next sign-in. Sessions go on."""
    owner = owner_of(call.tx, call, params)
    profile = profile_of(call.tx, owner)
    reset_required = params.get("PasswordResetRequired", profile.reset_required)
    if call.prepared is not None:
        now = int(call.app.clock.now_seconds())
        put(call.tx, owner, call.prepared, now, params["Password"], reset_required=reset_required)
    else:
        profile.reset_required = reset_required
        LOGIN_PROFILES.put(call.tx, (owner.owner_id,), profile)


@iam("DeleteLoginProfile", on_entity("DeleteLoginProfile", "user"), writes=True)
def delete_login_profile(call: Call, params: Params) -> None:
    """No more sign-in with a password, nor the former ones' hashes. Access keys and sessions go on."""
    owner = owner_of(call.tx, call, params)
    profile_of(call.tx, owner)
    LOGIN_PROFILES.delete(call.tx, (owner.owner_id,))
    SIGNED_IN.delete(call.tx, (owner.owner_id,))


def change_permission(reader: Reader, account_id: str, user_arn: str) -> Permission:
    """Changing one's own password; the account's password policy can give it to all of its users.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_passwords_enable-user-change.html
    """
    policy = password_policy.of_account(reader, account_id)
    granted = policy is not None and policy.users_may_change
    user = records.entity_at(reader, user_arn)
    context = {} if user is None else entities.resource_tags(user)
    return Permission("iam:ChangePassword", user_arn, account_id, context, default_allow=granted)


def _may_change(call: Call, params: Params) -> list[Permission]:
    principal = call.principal
    if principal.kind != "user":
        raise InvalidUserType("Only IAM Users can change their own password.")
    return [change_permission(call.reader, call.account_id, principal.arn)]


def _guesses(owner: Owner) -> list[Counted]:
    return [Counted(("old password", owner.owner_id), _OLD_PASSWORD)]


async def _prepare_change(call: Call, params: Params) -> NewPassword:
    app, records = call.app, call.app.records
    owner = owner_of(call.reader, call, {})
    profile = profile_of(call.reader, owner)
    old, new = params["OldPassword"], params["NewPassword"]
    password_policy.check(call.reader, owner.account_id, new)
    try:
        await records.submit_async(lambda tx: attempts.charge(tx, app.clock.now_seconds(), _guesses(owner)))
    except TooManyAttempts as error:
        raise Throttling(f"Too many wrong passwords. Try again in {error.seconds} seconds.") from None

    def work() -> NewPassword:
        if not passwords.matches(old, [profile.password or passwords.NOBODYS]):
            raise AccessDenied("The old password was incorrect.")
        return made(records.reader(), owner, new, profile)

    return await app.passwords.run(owner.account_id, work)


@iam("ChangePassword", _may_change, writes=True, prepare=_prepare_change)
def change_password(call: Call, params: Params) -> None:
    """The calling user's own password. Also one that has expired, by an access key: as on AWS even with HardExpiry.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_ChangePassword.html
    """
    owner = owner_of(call.tx, call, {})
    attempts.forget(call.tx, _guesses(owner))
    now = int(call.app.clock.now_seconds())
    put(call.tx, owner, call.prepared, now, params["NewPassword"], reset_required=False)

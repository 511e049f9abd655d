"""Signing in to the console with a password: an IAM user, or the account's root user.

What can be learnt without the password is nothing: an account, a user, a password that isn't there are refused in the
same words after the same work as a wrong password. Only who has the password hears that a code is needed, that the
password has to be changed, or that it has expired. Guessing is slowed per user and address, per user, and per address
(`services/iam/attempts.py`); who signed in before, with the device token that came of it, waits for their own failures
alone, so that nobody else's guessing keeps them out. Passwords, codes and tokens are in no event and no error.
https://docs.aws.amazon.com/signin/latest/userguide/how-to-sign-in.html
"""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from freehold.audit import identity
from freehold.audit import sign_in as events
from freehold.audit.event import new_event_id
from freehold.audit.sign_in import SignIn
from freehold.authorization import explain
from freehold.authorization.principal import Principal, Session
from freehold.crypto import passwords
from freehold.crypto.aead import IntegrityError
from freehold.crypto.one_time_codes import WrongCode
from freehold.errors import AccessDeniedException
from freehold.services.call import Call
from freehold.services.freehold import console_sessions
from freehold.services.freehold.errors import (
    PasswordExpiredException,
    PasswordPolicyViolationException,
    SignInFailedException,
    TooManyRequestsException,
    ValidationException,
)
from freehold.services.iam import attempts, errors, login_profiles, mfa, password_policy, records
from freehold.services.iam.attempts import Counted, Limit, TooManyAttempts
from freehold.services.iam.credential_records import LOGIN_PROFILES, SIGNED_IN, LoginProfile, Moment
from freehold.services.iam.login_profiles import NewPassword, Owner
from freehold.services.iam.records import ACCOUNTS, ALIASES, Account, User
from freehold.services.operation import Params, Result, no_permission, operation
from freehold.storage.records import Reader, Transaction

if TYPE_CHECKING:
    from freehold.app import App

ONE_AT_AN_ADDRESS: Final = Limit(free=5, most_seconds=30)
"""Guesses of one user's password from one address, or with one device token."""
ONE: Final = Limit(free=20, most_seconds=10)
"""Of one user's password from everywhere, without a device token."""
ADDRESS: Final = Limit(free=50, most_seconds=5)
"""Of all users' passwords from one address, without a device token."""

_DEVICE_SECONDS: Final = 180 * 86_400
_DEVICE: Final = b"sign-in device"
_HIDDEN: Final = "HIDDEN_DUE_TO_SECURITY_REASONS"
_FAILED: Final = "Failed authentication"
_NO_SUCH_USER: Final = "No username found in supplied account"
_MUST_CHANGE: Final = "Password must be changed"


@dataclass(slots=True)
class _Attempt:
    """Whom an attempt means, as far as they exist, and what it counts against."""

    account_id: str
    user: User | None
    owner: Owner | None
    profile: LoginProfile | None
    device: str
    """The part of a device token that tells devices apart, empty without one."""
    counted: list[Counted] = field(default_factory=list)
    codes: list[Counted] = field(default_factory=list)
    new: NewPassword | None = None

    @property
    def known_as(self) -> tuple[str, ...]:
        """Whose failures are whose: the address is only looked at where no device token was brought."""
        return self.counted[0].key[2:]


# Who is meant


def _account(reader: Reader, named: str) -> Account | None:
    """The open account with this id or alias."""
    alias = None if named.isdigit() and len(named) == 12 else ALIASES.get(reader, (named.lower(),))
    account = ACCOUNTS.get(reader, (named if alias is None else alias.account_id,))
    return None if account is None or account.closed_at else account


def _meant(call: Call, params: Params) -> _Attempt:
    reader, name = call.reader, params.get("UserName")
    account = _account(reader, params["Account"])
    if account is None:
        return _Attempt("", None, None, None, "")
    account_id = account.account_id
    if name is None:
        owner, user = Owner(account_id, account_id, account_id, root=True), None
    else:
        user = records.user_named(reader, account_id, name)
        if user is None:
            return _Attempt(account_id, None, None, None, "")
        owner = Owner(account_id, user.unique_id, user.name, root=False)
    profile = LOGIN_PROFILES.get(reader, (owner.owner_id,))
    device = _device_of(call.app, params.get("DeviceToken"), owner.owner_id)
    return _Attempt(account_id, user, owner, profile, device)


def _told(attempt: _Attempt) -> SignIn:
    """The event of this attempt, as long as it has not succeeded."""
    account_id = attempt.account_id
    told = SignIn(account_id=account_id, failure=_FAILED)
    if attempt.user is not None:
        told.identity = {
            "type": "IAMUser",
            "principalId": attempt.user.unique_id,
            "arn": attempt.user.arn,
            "accountId": account_id,
            "userName": attempt.user.name,
        }
    elif attempt.owner is not None:
        arn = f"arn:aws:iam::{account_id}:root"
        told.identity = {"type": "Root", "principalId": account_id, "arn": arn, "accountId": account_id}
    else:
        told.identity = {"type": "IAMUser", "accountId": account_id, "accessKeyId": "", "userName": _HIDDEN}
        told.failure = _NO_SUCH_USER
    return told


def _counted(attempt: _Attempt, params: Params, address: str) -> list[Counted]:
    account = attempt.account_id or params["Account"].lower()
    name = params.get("UserName")
    who = attempts.digest(account, "" if name is None else f"user {name}")
    if attempt.owner is not None:
        who = attempt.owner.owner_id
    if attempt.device:
        return [Counted(("password", who, "device", attempt.device), ONE_AT_AN_ADDRESS)]
    return [
        Counted(("password", who, "address", address), ONE_AT_AN_ADDRESS),
        Counted(("password", who), ONE),
        Counted(("passwords from", address), ADDRESS),
    ]


# Device tokens


def _device_of(app: App, token: str | None, owner_id: str) -> str:
    """What tells the device apart that a genuine token of this owner was given to; empty for any other text."""
    if not token:
        return ""
    try:
        opened = app.sign_in_devices.open(base64.urlsafe_b64decode(token), _DEVICE)
        whose, device, until = opened.decode().split("/")
    except (IntegrityError, binascii.Error, ValueError):
        return ""
    return device if whose == owner_id and int(until) > app.clock.now_seconds() else ""


def _device_token(app: App, owner_id: str, device: str) -> str:
    until = int(app.clock.now_seconds()) + _DEVICE_SECONDS
    sealed = app.sign_in_devices.seal(f"{owner_id}/{device or secrets.token_hex(8)}/{until}".encode(), _DEVICE)
    return base64.urlsafe_b64encode(sealed).decode()


# Before the transaction: count, then look at the password


async def _prepare(call: Call, params: Params) -> None:
    attempt = call.prepared = _meant(call, params)
    call.sign_in = _told(attempt)
    address = attempts.network(call.request.source_ip)
    attempt.counted = _counted(attempt, params, address)
    await _charge(call, attempt.counted)
    profile, owner = attempt.profile, attempt.owner
    held = profile.password if profile is not None else ""
    password = params["Password"]

    def is_right() -> bool:
        # Without a password to compare with, the work is the same and never comes out right.
        return passwords.matches(password, [held or passwords.NOBODYS]) and bool(held)

    right = await _on_thread(call, address, is_right)
    if not right or owner is None:
        raise SignInFailedException
    if params.get("MfaCode") and mfa.has_device(call.reader, owner.owner_id):
        attempt.codes = [Counted(("mfa", owner.owner_id, "password", *attempt.known_as), mfa.CODES)]
        if not attempt.device:
            attempt.codes.append(Counted(("mfa", owner.owner_id, "password"), mfa.CODES))
        await _charge(call, attempt.codes)
    new = params.get("NewPassword")
    if new is not None:
        app = call.app

        def make() -> NewPassword:
            return login_profiles.made(app.records.reader(), owner, new, profile)

        attempt.new = await _on_thread(call, address, make)


async def _charge(call: Call, counted: list[Counted]) -> None:
    now = call.app.clock.now_seconds()
    try:
        await call.app.records.submit_async(lambda tx: attempts.charge(tx, now, counted))
    except TooManyAttempts as error:
        assert call.sign_in is not None
        call.sign_in.failure = "Too many attempts"
        raise TooManyRequestsException(
            f"Too many attempts. Try again in {error.seconds} seconds.", RetryAfterSeconds=error.seconds
        ) from None


async def _on_thread(call: Call, address: str, work: Any) -> Any:
    try:
        return await call.app.passwords.run(address, work)
    except errors.Throttling as error:
        raise TooManyRequestsException(error.message, RetryAfterSeconds=1) from None
    except errors.PasswordPolicyViolation as error:
        raise PasswordPolicyViolationException(error.message) from None


# In the transaction


@operation(
    "freehold.SignIn",
    permissions=no_permission("The password, and the code where there is an MFA device, are what is asked for."),
    prepare=_prepare,
    writes=True,
    anonymous=True,
)
def sign_in(call: Call, params: Params) -> Result:
    """A console session of 12 hours for the right password. `Account` is an id or an alias; without `UserName`, root.

    `Challenge` instead of credentials says what has to come with the next attempt: MFA_REQUIRED a code (any of the
    user's devices', unless MfaSerialNumber names one), NEW_PASSWORD_REQUIRED a NewPassword, for which the user needs
    iam:ChangePassword as for changing it otherwise. A code counts once, and only for an attempt that succeeds.
    """
    attempt, tx, told = call.prepared, call.tx, call.sign_in
    assert isinstance(attempt, _Attempt)
    assert attempt.owner is not None
    assert told is not None
    owner, profile = attempt.owner, _unchanged(tx, attempt)
    attempts.take_back(tx, attempt.counted[1:])
    attempts.forget(tx, attempt.counted[:1])
    now = int(call.app.clock.now_seconds())
    code = _check_code(call, params, attempt, told)
    devices = any(True for _ in mfa.devices_of(tx, owner.account_id, owner.owner_id))
    if devices and code is None:
        told.name, told.failure = "CheckMfa", ""
        return {"Challenge": "MFA_REQUIRED"}
    principal = _principal(attempt, now, with_mfa=code is not None)
    if _must_change(tx, owner, profile, now):
        if attempt.new is None:
            told.failure = _MUST_CHANGE
            return {"Challenge": "NEW_PASSWORD_REQUIRED"}
        _change(call, attempt, attempt.new, principal, params["NewPassword"])
    elif attempt.new is not None:
        raise ValidationException("NewPassword is only for a password that has to be changed.")
    if code is not None:
        mfa.used(tx, *code)
        attempts.forget(tx, attempt.codes[:1])
        attempts.take_back(tx, attempt.codes[1:])
        told.mfa_used, told.mfa_serial = True, code[0].serial
    _note_sign_in(tx, owner.owner_id, now)
    told.failure = ""
    return {
        "Credentials": console_sessions.begin(call, principal),
        "AccountId": owner.account_id,
        "Arn": principal.arn,
        "DeviceToken": _device_token(call.app, owner.owner_id, attempt.device),
    }


def _unchanged(tx: Transaction, attempt: _Attempt) -> LoginProfile:
    """The profile whose password was right, if nothing happened to it, its user or its account meanwhile."""
    assert attempt.owner is not None
    assert attempt.profile is not None
    profile = LOGIN_PROFILES.get(tx, (attempt.owner.owner_id,))
    account = ACCOUNTS.get(tx, (attempt.account_id,))
    if profile is None or profile.password != attempt.profile.password or account is None or account.closed_at:
        raise SignInFailedException
    if attempt.user is not None and records.by_unique_id(tx, attempt.user.unique_id) is None:
        raise SignInFailedException
    return profile


def _check_code(call: Call, params: Params, attempt: _Attempt, told: SignIn) -> tuple[Any, int] | None:
    """The device and the step of the code that was given; None without one. Raises SignInFailed for a wrong one."""
    assert attempt.owner is not None
    code, serial = params.get("MfaCode"), params.get("MfaSerialNumber")
    if not code:
        if serial:
            raise ValidationException("MfaSerialNumber goes with an MfaCode.")
        return None
    devices = list(mfa.devices_of(call.tx, attempt.account_id, attempt.owner.owner_id))
    if not devices:
        raise ValidationException("There is no MFA device to which MfaCode could belong.")
    told.mfa_used = True
    named = [device for device in devices if serial is None or device.serial == serial]
    try:
        if not attempt.codes:  # a device that was enabled only now: the attempt isn't counted
            raise WrongCode
        return mfa.match(named, code, call.app.clock.now_seconds())
    except WrongCode:
        raise SignInFailedException from None


def _principal(attempt: _Attempt, now: int, *, with_mfa: bool) -> Principal:
    session = Session(
        issued_at=now,
        expires_at=now + console_sessions.SECONDS,
        mfa_at=now if with_mfa else None,
        kind="console",
        issuer_unique_id=attempt.account_id,
    )
    user, account_id = attempt.user, attempt.account_id
    if user is None:
        arn = f"arn:aws:iam::{account_id}:root"
        return Principal("root", account_id, arn=arn, unique_id=account_id, issuer_arn=arn, session=session)
    return Principal(
        "user",
        account_id,
        arn=user.arn,
        unique_id=user.unique_id,
        name=user.name,
        issuer_arn=user.arn,
        session=replace(session, issuer_unique_id=user.unique_id),
    )


def _must_change(tx: Transaction, owner: Owner, profile: LoginProfile, now: int) -> bool:
    """Whether the password has to be changed first. Raises PasswordExpired where its user can't do that."""
    policy = None if owner.root else password_policy.of_account(tx, owner.account_id)
    expires_at = password_policy.expires_at(policy, profile)
    if expires_at is None or now < expires_at:
        return profile.reset_required
    if policy is not None and policy.hard_expiry:
        raise PasswordExpiredException
    return True


def _change(call: Call, attempt: _Attempt, new: NewPassword, principal: Principal, password: str) -> None:
    owner = attempt.owner
    assert owner is not None
    if not owner.root:
        permission = login_profiles.change_permission(call.tx, owner.account_id, principal.arn)
        decision = call.app.authorizer.decide_for(principal, call.context, permission)
        if decision.result != "allow":
            raise AccessDeniedException(explain.message_to_caller(decision))
    try:
        now = int(call.app.clock.now_seconds())
        login_profiles.put(call.tx, owner, new, now, password, reset_required=False)
    except errors.PasswordPolicyViolation as error:
        raise PasswordPolicyViolationException(error.message) from None
    except errors.ConcurrentModification:
        raise SignInFailedException from None
    told = SignIn("PasswordUpdated", owner.account_id, identity.of(replace(principal, session=None)))
    call.events.append(orjson.dumps(events.event(call, told, None, new_event_id())))


def _note_sign_in(tx: Transaction, owner_id: str, now: int) -> None:
    """Of several sign-ins within five minutes AWS shows the first.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html
    """
    known = SIGNED_IN.get(tx, (owner_id,))
    if known is None or now - known.at >= 300:
        SIGNED_IN.put(tx, (owner_id,), Moment(at=now))

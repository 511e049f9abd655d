"""MFA devices: virtual ones made, enabled, synchronized, deactivated, deleted and listed; the seed is shown once.

FIDO security keys are registered in a web browser, for which AWS's API has no operation: none exist here, so what reads
or deactivates one by its ARN answers that there is none. `UserName` is a user's; for the account's root user it is the
account id, which only the root user may give, or left out where the operation allows it.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateVirtualMFADevice.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_mfa_enable_fido.html
"""

from __future__ import annotations

import asyncio
import base64
import io
from dataclasses import dataclass
from typing import Any

from freehold.authorization.permission import Permission
from freehold.crypto import one_time_codes
from freehold.crypto.one_time_codes import WrongCode
from freehold.services.call import Call
from freehold.services.iam import attempts, entities, mfa, pages, records, shapes
from freehold.services.iam.attempts import Counted, Limit, TooManyAttempts
from freehold.services.iam.authorized import iam, on_entity, on_list, own_name, request_tags, untagged_keys
from freehold.services.iam.credential_records import MFA_DEVICES, MfaDevice
from freehold.services.iam.errors import (
    DeleteConflict,
    EntityAlreadyExists,
    InvalidAuthenticationCode,
    NoSuchEntity,
    Throttling,
    ValidationError,
    quota,
)
from freehold.services.iam.records import ACCOUNTS, User
from freehold.services.iam.tags import checked_tags, page, without
from freehold.services.operation import Params, Permissions, Result
from freehold.storage.records import Reader

_TWO_CODES = Limit(free=5, most_seconds=60)
_TYPE = "AWS::IAM::VirtualMFADevice"


# Who and what is meant


@dataclass(frozen=True, slots=True)
class _Owner:
    """A user, or the root user (`user` is None)."""

    owner_id: str
    shown: str
    user: User | None


def _means_root(call: Call, name: str | None) -> bool:
    return call.principal.kind == "root" and (name is None or name == call.account_id)


def _owner(reader: Reader, call: Call, params: Params) -> _Owner:
    name = params.get("UserName")
    if _means_root(call, name):
        return _Owner(call.account_id, call.account_id, None)
    user = entities.require_user(reader, call.account_id, own_name(call) if name is None else name)
    return _Owner(user.unique_id, user.name, user)


def _on_owner(action: str) -> Permissions:
    """The action on the user whose device it is, or on the root user."""
    of_user = on_entity(action, "user")

    def permissions(call: Call, params: Params) -> list[Permission]:
        if _means_root(call, params.get("UserName")):
            return [Permission(f"iam:{action}", f"arn:aws:iam::{call.account_id}:root", call.account_id)]
        return of_user(call, params)

    return permissions


def _on_device(action: str, *keys: Any) -> Permissions:
    """The action on the virtual device that the serial number names."""

    def permissions(call: Call, params: Params) -> list[Permission]:
        serial = params["SerialNumber"]
        if not serial.startswith(f"arn:aws:iam::{call.account_id}:mfa/"):
            raise ValidationError(f"{serial} is not the serial number of a virtual MFA device of this account.")
        device = mfa.device_at(call.reader, call.account_id, serial)
        context = {} if device is None else _resource_tags(device)
        for more in keys:
            context |= more(params, None)
        resource = serial
        if device is not None and _is_credential_of_root(call, device):
            resource = f"arn:aws:iam::{call.account_id}:root"
        return [Permission(f"iam:{action}", resource, call.account_id, context)]

    return permissions


def _is_credential_of_root(call: Call, device: MfaDevice) -> bool:
    """Whether to an AssumeRoot session the device is the root user's own credential, on which alone it may act.

    https://docs.aws.amazon.com/aws-managed-policy/latest/reference/IAMDeleteRootUserCredentials.html
    """
    session = call.principal.session
    if session is None or session.kind != "assume-root":
        return False
    return device.was_roots or device.owner_id == call.account_id


def _may_create(call: Call, params: Params) -> list[Permission]:
    arn = f"arn:aws:iam::{call.account_id}:mfa{params.get('Path') or '/'}{params['VirtualMFADeviceName']}"
    context = request_tags(params, None)
    actions = ("CreateVirtualMFADevice", "TagMFADevice") if params.get("Tags") else ("CreateVirtualMFADevice",)
    return [Permission(f"iam:{action}", arn, call.account_id, context) for action in actions]


def _resource_tags(device: MfaDevice) -> dict[str, Any]:
    context: dict[str, Any] = {}
    for key, value in device.tags.items():
        context[f"aws:resourcetag/{key.lower()}"] = context[f"iam:resourcetag/{key.lower()}"] = value
    return context


def _device(reader: Reader, call: Call, serial: str) -> MfaDevice:
    device = mfa.device_at(reader, call.account_id, serial)
    if device is None:
        raise NoSuchEntity(f"VirtualMFADevice with serial number {serial} doesn't exist.")
    return device


def _device_of(reader: Reader, call: Call, owner: _Owner, serial: str) -> MfaDevice:
    device = mfa.device_at(reader, call.account_id, serial)
    if device is None or device.owner_id != owner.owner_id:
        raise NoSuchEntity("MFA Device invalid for user.")
    return device


# Virtual devices


async def _draw(call: Call, params: Params) -> tuple[bytes, bytes]:
    """A seed, and the QR code that shows it to an authenticator app, drawn on the pool."""
    seed = one_time_codes.new_seed()
    account = ACCOUNTS.get(call.reader, (call.account_id,))
    account_name = (account.alias if account is not None else "") or call.account_id
    text = f"otpauth://totp/{params['VirtualMFADeviceName']}@{account_name}?secret={base64.b32encode(seed).decode()}"
    return seed, await asyncio.get_running_loop().run_in_executor(call.app.pool, _qr_code, text)


def _qr_code(text: str) -> bytes:
    import segno

    image = io.BytesIO()
    segno.make(text, error="m", micro=False).save(image, kind="png", scale=5)
    return image.getvalue()


@iam("CreateVirtualMFADevice", _may_create, writes=True, prepare=_draw)
def create_virtual_mfa_device(call: Call, params: Params) -> Result:
    """A device that nobody has yet. Its seed, as base32 text and as a QR code, is in this answer and nowhere else.

    At most as many in an account as users, unique by path and name.
    """
    seed, image = call.prepared
    device = MfaDevice(
        account_id=call.account_id,
        path=params.get("Path") or "/",
        name=params["VirtualMFADeviceName"],
        created_at=int(call.app.clock.now_seconds()),
        seed=seed,
        tags=checked_tags({}, params.get("Tags") or []),
    )
    if MFA_DEVICES.get(call.tx, (call.account_id, mfa.place(device))) is not None:
        raise EntityAlreadyExists("MFADevice entity at the same path and name already exists.")
    if len(device.serial) > 256:
        raise ValidationError("The path and name of a virtual MFA device are too long for its serial number.")
    entities.count(call.tx, call.account_id, "mfa-device", 1)
    mfa.save(call.tx, device)
    call.resources.append((_TYPE, device.serial))
    shown: dict[str, Any] = {
        "SerialNumber": device.serial,
        "Base32StringSeed": base64.b32encode(seed),
        "QRCodePNG": image,
    }
    if device.tags:
        shown["Tags"] = shapes.tag_list(device.tags)
    return {"VirtualMFADevice": shown}


@iam("DeleteVirtualMFADevice", _on_device("DeleteVirtualMFADevice"), writes=True)
def delete_virtual_mfa_device(call: Call, params: Params) -> None:
    """Its seed is gone. A device that is enabled has to be deactivated before."""
    device = _device(call.tx, call, params["SerialNumber"])
    if device.owner_id:
        raise DeleteConflict("MFA VirtualDevice in use. Must deactivate first.")
    MFA_DEVICES.delete(call.tx, (call.account_id, mfa.place(device)))
    entities.count(call.tx, call.account_id, "mfa-device", -1)
    call.resources.append((_TYPE, device.serial))


@iam("ListVirtualMFADevices", on_list("ListVirtualMFADevices", "mfa"))
def list_virtual_mfa_devices(call: Call, params: Params) -> Result:
    """The account's virtual devices by path and name, with their users; no seeds, no tags."""
    reader, start = call.reader, pages.after(params)
    assigned = {"Assigned": True, "Unassigned": False}.get(params.get("AssignmentStatus", "Any"))
    rows = MFA_DEVICES.scan(reader, (call.account_id,), after=None if start is None else (call.account_id, start))
    devices = (device for _, device in rows if assigned is None or bool(device.owner_id) is assigned)

    def show(device: MfaDevice) -> dict[str, Any]:
        shown: dict[str, Any] = {"SerialNumber": device.serial}
        if device.owner_id:
            shown["EnableDate"] = shapes.date(device.enabled_at)
            shown["User"] = _shown_owner(reader, device)
        return shown

    return pages.page(params, "VirtualMFADevices", devices, mfa.place, show)


def _shown_owner(reader: Reader, device: MfaDevice) -> dict[str, Any]:
    owner = records.by_unique_id(reader, device.owner_id)
    if isinstance(owner, User):
        return shapes.user(owner) | shapes.signed_in(reader, owner.unique_id)
    account = ACCOUNTS.get(reader, (device.account_id,))
    created_at = 0 if account is None else account.created_at
    shown = {"UserId": device.account_id, "Arn": f"arn:aws:iam::{device.account_id}:root"}
    return shown | {"CreateDate": shapes.date(created_at)} | shapes.signed_in(reader, device.account_id)


# Devices of a user


async def _count_attempt(call: Call, params: Params) -> None:
    """Two codes are guessed even less than one; all the same, wrong ones make their caller wait."""
    now = call.app.clock.now_seconds()
    try:
        await call.app.records.submit_async(lambda tx: attempts.charge(tx, now, _counted(call, params)))
    except TooManyAttempts as error:
        raise Throttling(f"Too many wrong authentication codes. Try again in {error.seconds} seconds.") from None


def _counted(call: Call, params: Params) -> list[Counted]:
    return [Counted(("two codes", call.principal.unique_id, attempts.digest(params["SerialNumber"])), _TWO_CODES)]


def _synchronize(call: Call, params: Params, device: MfaDevice) -> None:
    now = call.app.clock.now_seconds()
    try:
        mfa.synchronize(call.tx, device, params["AuthenticationCode1"], params["AuthenticationCode2"], now)
    except WrongCode:
        raise InvalidAuthenticationCode("Authentication code for device is not valid.") from None
    attempts.forget(call.tx, _counted(call, params))


@iam("EnableMFADevice", _on_owner("EnableMFADevice"), writes=True, prepare=_count_attempt)
def enable_mfa_device(call: Call, params: Params) -> None:
    """Give a virtual device to a user, who shows with two codes in a row that it is set up. At most 8 each.

    The device may be up to an hour off: how far is kept. Both codes are used up.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_EnableMFADevice.html
    """
    owner = _owner(call.tx, call, params)
    device = _device(call.tx, call, params["SerialNumber"])
    if device.owner_id:
        raise EntityAlreadyExists("MFA Device is already in use.")
    if sum(1 for _ in mfa.devices_of(call.tx, call.account_id, owner.owner_id)) >= mfa.MOST_DEVICES:
        raise quota("MFADevicesPerUser", mfa.MOST_DEVICES)
    _synchronize(call, params, device)
    mfa.give(call.tx, device, owner.owner_id, int(call.app.clock.now_seconds()))
    entities.count(call.tx, call.account_id, "mfa-device-in-use", 1)
    call.resources.append((_TYPE, device.serial))


@iam("ResyncMFADevice", _on_owner("ResyncMFADevice"), writes=True, prepare=_count_attempt)
def resync_mfa_device(call: Call, params: Params) -> None:
    """Learn anew how far a device's clock is off, from two codes in a row, up to an hour."""
    owner = _owner(call.tx, call, params)
    device = _device_of(call.tx, call, owner, params["SerialNumber"])
    _synchronize(call, params, device)
    call.resources.append((_TYPE, device.serial))


@iam("DeactivateMFADevice", _on_owner("DeactivateMFADevice"), writes=True)
def deactivate_mfa_device(call: Call, params: Params) -> None:
    """Take a device from its user. It stays in the account, for anyone who has its seed to enable."""
    owner = _owner(call.tx, call, params)
    device = _device_of(call.tx, call, owner, params["SerialNumber"])
    mfa.take_away(call.tx, device)
    entities.count(call.tx, call.account_id, "mfa-device-in-use", -1)
    call.resources.append((_TYPE, device.serial))


@iam("ListMFADevices", _on_owner("ListMFADevices"))
def list_mfa_devices(call: Call, params: Params) -> Result:
    """A user's devices; without UserName the caller's own."""
    reader, start = call.reader, pages.after(params)
    owner = _owner(reader, call, params)
    found = mfa.devices_of(reader, call.account_id, owner.owner_id)
    devices = (device for device in found if start is None or mfa.place(device) > start)

    def show(device: MfaDevice) -> dict[str, Any]:
        date = shapes.date(device.enabled_at)
        return {"UserName": owner.shown, "SerialNumber": device.serial, "EnableDate": date}

    return pages.page(params, "MFADevices", devices, mfa.place, show)


@iam("GetMFADevice", _on_owner("GetMFADevice"))
def get_mfa_device(call: Call, params: Params) -> Result:
    """AWS answers this for FIDO security keys alone, of which there are none: NoSuchEntity.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetMFADevice.html
    """
    _owner(call.reader, call, params)
    raise NoSuchEntity(f"The user has no FIDO security key with serial number {params['SerialNumber']}.")


# Tags


@iam("TagMFADevice", _on_device("TagMFADevice", request_tags), writes=True)
def tag_mfa_device(call: Call, params: Params) -> None:
    """Add tags to a virtual device, or other values for keys that are there."""
    device = _device(call.tx, call, params["SerialNumber"])
    device.tags = checked_tags(device.tags, params["Tags"])
    mfa.save(call.tx, device)
    call.resources.append((_TYPE, device.serial))


@iam("UntagMFADevice", _on_device("UntagMFADevice", untagged_keys), writes=True)
def untag_mfa_device(call: Call, params: Params) -> None:
    """Take tags away from a virtual device; keys that aren't there are passed over."""
    device = _device(call.tx, call, params["SerialNumber"])
    device.tags = without(device.tags, params["TagKeys"])
    mfa.save(call.tx, device)
    call.resources.append((_TYPE, device.serial))


@iam("ListMFADeviceTags", _on_device("ListMFADeviceTags"))
def list_mfa_device_tags(call: Call, params: Params) -> Result:
    """The tags of a virtual device, by key."""
    return page(params, _device(call.reader, call, params["SerialNumber"]).tags)

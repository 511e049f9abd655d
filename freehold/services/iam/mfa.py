"""What an owner's MFA devices are worth: which there are, and whether a code is one of theirs, for once.

Who gives a code has shown something else before (an access key, a password, a permission): wrong codes make that very
key, or that address with that password, wait, so that nobody else is kept from signing in. An attempt is counted in a
transaction of its own (`charge`) before the one in which the code is accepted.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from freehold.crypto import one_time_codes
from freehold.crypto.one_time_codes import WrongCode
from freehold.services.iam import attempts
from freehold.services.iam.attempts import Counted, Limit
from freehold.services.iam.credential_records import MFA_DEVICES, MFA_DEVICES_OF, MfaDevice
from freehold.services.iam.records import Mark
from freehold.storage.records import Reader, Transaction

if TYPE_CHECKING:
    from freehold.app import App

MOST_DEVICES: Final = 8
"""For a user, and for the root user. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
CODES: Final = Limit(free=5, most_seconds=300)


def place(device: MfaDevice) -> str:
    """Where in its account a device is kept. Names that differ in case only can't both exist."""
    return f"{device.path}{device.name}".lower()


def device_at(reader: Reader, account_id: str, serial: str) -> MfaDevice | None:
    """The account's device with exactly this serial number."""
    prefix = f"arn:aws:iam::{account_id}:mfa/"
    if not serial.startswith(prefix):
        return None
    device = MFA_DEVICES.get(reader, (account_id, serial[len(prefix) - 1 :].lower()))
    return device if device is not None and device.serial == serial else None


def devices_of(reader: Reader, account_id: str, owner_id: str) -> Iterator[MfaDevice]:
    """The devices that are enabled for a user or the root user, by path and name."""
    for key, _ in MFA_DEVICES_OF.scan(reader, (owner_id,)):
        device = MFA_DEVICES.get(reader, (account_id, key[1]))
        if device is not None:
            yield device


def has_device(reader: Reader, owner_id: str) -> bool:
    return next(MFA_DEVICES_OF.scan(reader, (owner_id,), limit=1), None) is not None


def save(tx: Transaction, device: MfaDevice) -> None:
    MFA_DEVICES.put(tx, (device.account_id, place(device)), device)


def give(tx: Transaction, device: MfaDevice, owner_id: str, now: int) -> None:
    """Make the device this owner's."""
    device.owner_id, device.enabled_at, device.was_roots = owner_id, now, False
    MFA_DEVICES_OF.put(tx, (owner_id, place(device)), Mark())
    save(tx, device)


def take_away(tx: Transaction, device: MfaDevice) -> None:
    """Make the device nobody's. Codes that were used stay used."""
    MFA_DEVICES_OF.delete(tx, (device.owner_id, place(device)))
    device.was_roots = device.owner_id == device.account_id
    device.owner_id, device.enabled_at = "", 0
    save(tx, device)


def synchronize(tx: Transaction, device: MfaDevice, first: str, second: str, now: float) -> None:
    """Learn how far the device's clock is off from two codes in a row, which are used up. Raises WrongCode."""
    today = one_time_codes.step_at(now)
    step = one_time_codes.step_of_two(device.seed, first, second, around=today, after=device.last_step)
    device.drift_steps, device.last_step = step - today, step
    save(tx, device)


def used(tx: Transaction, device: MfaDevice, step: int) -> None:
    """From now on neither the code of this step nor an earlier one is accepted."""
    device.last_step = step
    save(tx, device)


def match(devices: list[MfaDevice], code: str, now: float) -> tuple[MfaDevice, int]:
    """The device that shows this code, and the code's step. Raises WrongCode, also for one that was used.

    Outside of the transaction in which it is then `used`, the answer is worth nothing.
    """
    today = one_time_codes.step_at(now)
    found = None
    for device in devices:
        around = today + device.drift_steps
        try:
            step = one_time_codes.step_of(device.seed, code, around=around, after=device.last_step)
        except WrongCode:
            continue
        found = device, step
    if found is None:
        raise WrongCode
    return found


async def accept(app: App, account_id: str, owner_id: str, serial: str, code: str, *, by: str) -> None:
    """Use up a code of the owner's device, once. `by`: the access key that asks, which wrong codes make wait.

    Raises KeyError when the owner has no such device, WrongCode, or TooManyAttempts.
    """
    counted = [Counted(("mfa", owner_id, by), CODES)]

    def use(tx: Transaction) -> None:
        device = device_at(tx, account_id, serial)
        if device is None or device.owner_id != owner_id:
            raise KeyError(serial)
        used(tx, *match([device], code, app.clock.now_seconds()))
        attempts.forget(tx, counted)

    await app.records.submit_async(lambda tx: attempts.charge(tx, app.clock.now_seconds(), counted))
    await app.records.submit_async(use)

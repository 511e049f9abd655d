"""Rotation: a new version of a key's material encrypts, all earlier ones still decrypt.

On demand at most 25 times per key, which leaves the schedule alone; by schedule every 90 to 2,560 days, done by the
sweeper (`rotate_due`) when the deployment's clock says so. A disabled key or one that is pending deletion isn't
rotated; what fell due meanwhile is done once it's enabled again.
https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from freehold.authorization.permission import Permission
from freehold.services.kms import loaded, material, multi_region, paging, records, service_events, states
from freehold.services.kms.errors import LimitExceeded
from freehold.services.kms.permissions import find, managing, on_key, request_context
from freehold.services.kms.records import MATERIALS, Key, Material
from freehold.services.operation import Params, Result, due_work, operation

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.services.call import Call
    from freehold.storage.records import Transaction

MOST_ON_DEMAND: Final = 25
DEFAULT_PERIOD_DAYS: Final = 365
_DAY_SECONDS: Final = 86_400
_AT_MOST_PER_SWEEP: Final = 100


def schedule(tx: Transaction, key: Key, period_days: int, now: float) -> None:
    """Rotate `key` every `period_days` from now on. The caller saves `key`."""
    pause(tx, key)
    key.rotation_period_days = period_days
    key.next_rotation_at = float(int(now) + period_days * _DAY_SECONDS)
    resume(tx, key)


def pause(tx: Transaction, key: Key) -> None:
    """Take a key that is not to be rotated for now off the sweeper's list; its schedule stands."""
    if key.rotation_period_days:
        records.unplan(tx, key.next_rotation_at, "rotate", key)


def resume(tx: Transaction, key: Key) -> None:
    """Put a key back on the sweeper's list; a replica's rotation is its primary's."""
    if key.rotation_period_days and not key.is_replica:
        records.plan(tx, key.next_rotation_at, "rotate", key)


@due_work
def rotate_due(app: App, tx: Transaction) -> None:
    """Rotate the keys whose time has come, at most 100 a call."""
    now = app.clock.now_seconds()
    for key in records.due(tx, now, "rotate", _AT_MOST_PER_SWEEP):
        if key.state != states.ENABLED or key.is_replica or not 0 < key.next_rotation_at <= now:
            continue
        # However long nobody looked, one rotation is enough; the next is on the schedule's own days.
        period = key.rotation_period_days * _DAY_SECONDS
        material.add(app, tx, key, round(now, 3), "AUTOMATIC")
        key.next_rotation_at += (int((now - key.next_rotation_at) // period) + 1) * period
        resume(tx, key)
        multi_region.synchronize(app, tx, key)
        records.save(tx, key)
        service_events.tell(app, tx, "RotateKey", key)


@operation("kms.RotateKeyOnDemand", permissions=on_key("kms:RotateKeyOnDemand"), writes=True)
def rotate_key_on_demand(call: Call, params: Params) -> Result:
    """Encrypt with new material from now on: 25 times per key at most.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_RotateKeyOnDemand.html
    """
    key = loaded.changeable(call, params["KeyId"], "RotateKeyOnDemand")
    multi_region.require_primary(key)
    if key.on_demand_rotations >= MOST_ON_DEMAND:
        raise LimitExceeded(f"{key.arn} has been rotated on demand {MOST_ON_DEMAND} times, which is the limit.")
    key.on_demand_rotations += 1
    material.add(call.app, call.tx, key, round(call.app.clock.now_seconds(), 3), "ON_DEMAND")
    multi_region.synchronize(call.app, call.tx, key)
    records.save(call.tx, key)
    return {"KeyId": key.arn}


def _may_enable(call: Call, params: Params) -> list[Permission]:
    key, _ = find(call, params["KeyId"], "kms:EnableKeyRotation", aliases=False, foreign=False)
    context = request_context(key)
    context["kms:rotationperiodindays"] = str(params.get("RotationPeriodInDays", DEFAULT_PERIOD_DAYS))
    return [managing(call, key, "kms:EnableKeyRotation", context)]


@operation("kms.EnableKeyRotation", permissions=_may_enable, writes=True)
def enable_key_rotation(call: Call, params: Params) -> None:
    """Rotate every `RotationPeriodInDays` (90-2,560, 365 by default) from today.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_EnableKeyRotation.html
    """
    key = loaded.changeable(call, params["KeyId"], "EnableKeyRotation")
    multi_region.require_primary(key)
    period = params.get("RotationPeriodInDays", DEFAULT_PERIOD_DAYS)
    schedule(call.tx, key, period, call.app.clock.now_seconds())
    multi_region.synchronize(call.app, call.tx, key)
    records.save(call.tx, key)


@operation("kms.DisableKeyRotation", permissions=on_key("kms:DisableKeyRotation"), writes=True)
def disable_key_rotation(call: Call, params: Params) -> None:
    """End a key's schedule. Material made so far stays.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_DisableKeyRotation.html
    """
    key = loaded.changeable(call, params["KeyId"], "DisableKeyRotation")
    multi_region.require_primary(key)
    pause(call.tx, key)
    key.rotation_period_days, key.next_rotation_at = 0, 0.0
    multi_region.synchronize(call.app, call.tx, key)
    records.save(call.tx, key)


@operation("kms.GetKeyRotationStatus", permissions=on_key("kms:GetKeyRotationStatus", foreign=True))
def get_key_rotation_status(call: Call, params: Params) -> Result:
    """Whether and when a key rotates. While it is pending deletion the answer is no; cancelling restores the schedule.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyRotationStatus.html
    """
    key = loaded.record_for(call, params["KeyId"], "kms:GetKeyRotationStatus", foreign=True)
    states.admit("GetKeyRotationStatus", key)
    if not key.rotation_period_days or key.state in states.TO_BE_DELETED:
        return {"KeyRotationEnabled": False, "KeyId": key.arn}
    return {
        "KeyRotationEnabled": True,
        "KeyId": key.arn,
        "RotationPeriodInDays": key.rotation_period_days,
        "NextRotationDate": datetime.fromtimestamp(key.next_rotation_at, UTC),
    }


@operation("kms.ListKeyRotations", permissions=on_key("kms:ListKeyRotations"))
def list_key_rotations(call: Call, params: Params) -> Result:
    """The key's rotations, oldest first; with ALL_KEY_MATERIAL also its first material. 1-1,000 a page.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_ListKeyRotations.html
    """
    key = loaded.record_for(call, params["KeyId"], "kms:ListKeyRotations")
    everything = params.get("IncludeKeyMaterial") == "ALL_KEY_MATERIAL"
    seen = paging.last_seen(params, 1)
    first = 0
    if seen is not None:
        first = paging.number(seen[0])

    def versions() -> Iterator[tuple[int, Material]]:
        prefix = (key.region, key.key_id)
        for row, version in MATERIALS.scan(call.reader, prefix, after=(*prefix, first)):
            if version.rotation or everything:
                yield int(row[2]), version

    def show(entry: tuple[int, Material]) -> dict[str, Any]:
        number, version = entry
        shown: dict[str, Any] = {
            "KeyId": key.key_id,
            "KeyMaterialId": version.material_id,
            "KeyMaterialState": "CURRENT" if number == key.material else "NON_CURRENT",
        }
        if version.rotation:
            shown["RotationDate"] = datetime.fromtimestamp(version.created_at, UTC)
            shown["RotationType"] = version.rotation
        return shown

    return paging.page("Rotations", versions(), params, show, lambda entry: paging.marker(str(entry[0])))

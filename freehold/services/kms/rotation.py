"""Rotation: a new version of a key's material encrypts, all earlier ones still decrypt.

On demand at most 25 times per key, which leaves the schedule alone; by schedule every 90 to 2,560 days, done by the
sweeper (`rotate_due`) when the deployment's clock says so. A disabled key or one that is pending deletion isn't
rotated; what fell due meanwhile is done once it's enabled again. Keys with imported material rotate on demand only, to
material that was imported for that. Refuses keys other than symmetric encryption keys, and replicas, which rotate with
their primary key. What was rotated when is listed by `rotations.py`.
https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from freehold.authorization.permission import Permission
from freehold.services.kms import imported, loaded, material, multi_region, records, service_events, specs, states
from freehold.services.kms.errors import Conflict, LimitExceeded, UnsupportedOperation
from freehold.services.kms.permissions import find, managing, on_key, request_context
from freehold.services.kms.records import Key
from freehold.services.operation import Params, Result, due_work, operation

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.services.call import Call
    from freehold.storage.records import Transaction

MOST_ON_DEMAND: Final = 25
DEFAULT_PERIOD_DAYS: Final = 365
_DAY_SECONDS: Final = 86_400
_AT_MOST_PER_SWEEP: Final = 100
_NO_ROTATION_BEFORE_SCHEDULED_SECONDS: Final = 20 * 60


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
        before = key.material_id
        material.add(app, tx, key, round(now, 3), "AUTOMATIC")
        key.next_rotation_at += (int((now - key.next_rotation_at) // period) + 1) * period
        resume(tx, key)
        multi_region.synchronize(app, tx, key)
        records.save(tx, key)
        _tell(app, tx, key, before, "AUTOMATIC")


def _tell(app: App, tx: Transaction, key: Key, before: str, kind: str) -> None:
    """The event of a rotation that is done.

    https://docs.aws.amazon.com/kms/latest/developerguide/ct-rotatekey.html
    """
    details = {
        "rotationType": kind,
        "keyOrigin": key.origin,
        "previousKeyMaterialId": before,
        "currentKeyMaterialId": key.material_id,
    }
    service_events.tell(app, tx, "RotateKey", key, details=details)


def _rotatable(call: Call, params: Params, operation_name: str) -> Key:
    """A key whose rotation may be changed on it: symmetric, and no replica."""
    key = loaded.changeable(call, params["KeyId"], operation_name)
    require_symmetric(key)
    multi_region.require_primary(key)
    return key


def require_symmetric(key: Key) -> None:
    """Raise UnsupportedOperationException for keys that have one material for good."""
    if key.spec != specs.SYMMETRIC:
        raise UnsupportedOperation(f"{key.arn} key spec is {key.spec} which is not valid for this operation.")


@operation("kms.RotateKeyOnDemand", permissions=on_key("kms:RotateKeyOnDemand"), writes=True)
def rotate_key_on_demand(call: Call, params: Params) -> Result:
    """Encrypt with new material from now on: 25 times per key at most, and not within 20 minutes before the schedule.

    It is done when this returns. Of a key with imported material, new material must have been imported for it; of a
    multi-Region key into every Region.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_RotateKeyOnDemand.html
    """
    key = _rotatable(call, params, "RotateKeyOnDemand")
    now = call.app.clock.now_seconds()
    if key.on_demand_rotations >= MOST_ON_DEMAND:
        raise LimitExceeded(f"{key.arn} has been rotated on demand {MOST_ON_DEMAND} times, which is the limit.")
    if key.rotation_period_days and key.next_rotation_at - now < _NO_ROTATION_BEFORE_SCHEDULED_SECONDS:
        raise Conflict(f"An automatic rotation of {key.arn} is in progress or about to begin; try again after it.")
    key.on_demand_rotations += 1
    before = key.material_id
    if key.origin == imported.EXTERNAL:
        imported.rotate(call.app, call.tx, key, list(multi_region.related(call.tx, key)), now)
    else:
        material.add(call.app, call.tx, key, round(now, 3), "ON_DEMAND")
    multi_region.synchronize(call.app, call.tx, key)
    records.save(call.tx, key)
    _tell(call.app, call.tx, key, before, "ON_DEMAND")
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
    key = _rotatable(call, params, "EnableKeyRotation")
    period = params.get("RotationPeriodInDays", DEFAULT_PERIOD_DAYS)
    schedule(call.tx, key, period, call.app.clock.now_seconds())
    multi_region.synchronize(call.app, call.tx, key)
    records.save(call.tx, key)


@operation("kms.DisableKeyRotation", permissions=on_key("kms:DisableKeyRotation"), writes=True)
def disable_key_rotation(call: Call, params: Params) -> None:
    """End a key's schedule. Material made so far stays.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_DisableKeyRotation.html
    """
    key = _rotatable(call, params, "DisableKeyRotation")
    pause(call.tx, key)
    key.rotation_period_days, key.next_rotation_at = 0, 0.0
    multi_region.synchronize(call.app, call.tx, key)
    records.save(call.tx, key)


@operation("kms.GetKeyRotationStatus", permissions=on_key("kms:GetKeyRotationStatus", foreign=True))
def get_key_rotation_status(call: Call, params: Params) -> Result:
    """Whether and when a key rotates by schedule. Of a key that cannot, or is pending deletion, the answer is no.

    Cancelling a deletion restores the schedule. A rotation on demand is never under way: it is done with its call.
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

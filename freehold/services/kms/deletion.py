"""Deleting keys: scheduled 7 to 30 days ahead, to be cancelled until then, and then for good.

When the window has run out by the deployment's clock the key is gone for every request at once (`loaded.py`), and the
sweeper (`destroy_due`) erases its material from the store and its journal, so that the root key and the whole data
directory cannot decrypt what it protected. What stays is a tombstone: nobody gets the key's id again.
https://docs.aws.amazon.com/kms/latest/developerguide/deleting-keys.html
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from freehold.authorization.permission import Permission
from freehold.services.kms import (
    grants,
    imported,
    key_store_connections,
    loaded,
    material,
    multi_region,
    records,
    rotation,
    service_events,
    states,
)
from freehold.services.kms.errors import ValidationException
from freehold.services.kms.permissions import find, managing, on_key, request_context
from freehold.services.kms.records import (
    ALIASES,
    ALIASES_OF_KEY,
    COUNTS,
    KEYS,
    KEYS_OF_ACCOUNT,
    LAST_USES,
    TOMBSTONES,
    Tombstone,
)
from freehold.services.operation import Params, Result, due_work, operation
from freehold.storage.records import CorruptRecord

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.services.call import Call
    from freehold.services.kms.records import Key
    from freehold.storage.records import Transaction

log = logging.getLogger("freehold")

LEAST_DAYS: Final = 7
MOST_DAYS: Final = 30
_DAY_SECONDS: Final = 86_400
_AT_MOST_PER_SWEEP: Final = 100


def _may_schedule(call: Call, params: Params) -> list[Permission]:
    key, _ = find(call, params["KeyId"], "kms:ScheduleKeyDeletion", aliases=False, foreign=False)
    context = request_context(key)
    context["kms:schedulekeydeletionpendingwindowindays"] = str(params.get("PendingWindowInDays", MOST_DAYS))
    return [managing(call, key, "kms:ScheduleKeyDeletion", context)]


@operation("kms.ScheduleKeyDeletion", permissions=_may_schedule, writes=True)
def schedule_key_deletion(call: Call, params: Params) -> Result:
    """Destroy a key when `PendingWindowInDays` (7-30, 30 by default) have passed; it is unusable from now on.

    For a multi-Region primary key with replicas they count from the destruction of the last of these.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html
    """
    days = params.get("PendingWindowInDays", MOST_DAYS)
    if not LEAST_DAYS <= days <= MOST_DAYS:
        bound = f"greater than or equal to {LEAST_DAYS}" if days < LEAST_DAYS else f"less than or equal to {MOST_DAYS}"
        raise ValidationException(
            f"1 validation error detected: Value '{days}' at 'pendingWindowInDays' failed to satisfy constraint: "
            f"Member must have value {bound}"
        )
    key = loaded.changeable(call, params["KeyId"], "ScheduleKeyDeletion")
    rotation.pause(call.tx, key)
    key.pending_window_days = days
    if key.replica_regions and not key.is_replica:
        key.state = states.PENDING_REPLICA_DELETION
        records.save(call.tx, key)
        return {"KeyId": key.arn, "KeyState": key.state, "PendingWindowInDays": days}
    key.state = states.PENDING_DELETION
    key.deletion_at = float(int(call.app.clock.now_seconds()) + days * _DAY_SECONDS)
    records.plan(call.tx, key.deletion_at, "delete", key)
    records.save(call.tx, key)
    return {
        "KeyId": key.arn,
        "DeletionDate": datetime.fromtimestamp(key.deletion_at, UTC),
        "KeyState": key.state,
        "PendingWindowInDays": days,
    }


@operation("kms.CancelKeyDeletion", permissions=on_key("kms:CancelKeyDeletion"), writes=True)
def cancel_key_deletion(call: Call, params: Params) -> Result:
    """Keep a key that is pending deletion. It is then Disabled: enable it to use it.

    One whose imported material was deleted or has expired meanwhile is pending import.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_CancelKeyDeletion.html
    """
    key = loaded.changeable(call, params["KeyId"], "CancelKeyDeletion")
    records.unplan(call.tx, key.deletion_at, "delete", key)
    key.state = states.DISABLED
    key.deletion_at, key.pending_window_days = 0.0, 0
    if key.origin == imported.EXTERNAL:
        imported.settle(call.tx, key, call.app.clock.now_seconds())
    records.save(call.tx, key)
    return {"KeyId": key.arn}


@due_work
def destroy_due(app: App, tx: Transaction) -> None:
    """Destroy the keys whose window has run out, at most 100 a call.

    Their material is in no file any more once the transaction is durable.
    """
    now = app.clock.now_seconds()
    for key in records.due(tx, now, "delete", _AT_MOST_PER_SWEEP):
        if key.state == states.PENDING_DELETION and key.deletion_at <= now:
            if key.custom_key_store_id:
                key_store_connections.leave(app, tx, key, now)
            try:
                destroy(tx, key, now)
            except CorruptRecord as error:
                # Its material is gone, and nobody finds the key; the rest is tried again, and keeps no other key.
                log.error("a key that is deleted leaves something behind: %s", error)
                records.plan(tx, key.deletion_at, "delete", key)
                continue
            service_events.tell(app, tx, "DeleteKey", key)


def destroy(tx: Transaction, key: Key, now: float) -> None:
    """Delete a key with all that belongs to it, for good; what is left is its tombstone."""
    material.destroy(tx, key)
    for grant in list(records.grants_of(tx, key.region, key.key_id)):
        grants.remove(tx, grant)
    for alias in records.alias_names(tx, key.region, key.key_id):
        ALIASES.delete(tx, (key.account_id, key.region, alias))
        ALIASES_OF_KEY.delete(tx, (key.region, key.key_id, alias))
    multi_region.leave(tx, key, now)
    if key.manager == "CUSTOMER":
        records.count_keys(tx, key.account_id, key.region, -1)
    LAST_USES.delete(tx, (key.region, key.key_id))
    COUNTS.delete(tx, (key.region, key.key_id))
    KEYS.delete(tx, (key.region, key.key_id))
    KEYS_OF_ACCOUNT.delete(tx, (key.account_id, key.region, key.key_id))
    TOMBSTONES.put(tx, (key.region, key.key_id), Tombstone(account_id=key.account_id, deleted_at=round(now, 3)))

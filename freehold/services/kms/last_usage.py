"""GetKeyLastUsage: when a key was last used, for what, and which event tells of it. `key_uses.py` keeps it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from freehold.services.kms import loaded, states
from freehold.services.kms.permissions import on_key
from freehold.services.kms.records import LAST_USES, USES_KEPT_SINCE, Since
from freehold.services.operation import Params, Result, due_work, operation
from freehold.storage.records import Transaction

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.services.call import Call

_SINCE = (0,)


@operation("kms.GetKeyLastUsage", permissions=on_key("kms:GetKeyLastUsage"))
def get_key_last_usage(call: Call, params: Params) -> Result:
    """A key's last successful cryptographic operation; empty where there was none since tracking began.

    Of uses on other workers it knows after a few seconds. By key id or key ARN; of the account's own keys.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyLastUsage.html
    """
    key = loaded.record_for(call, params["KeyId"], "kms:GetKeyLastUsage")
    states.admit("GetKeyLastUsage", key)
    written = LAST_USES.get(call.reader, (key.region, key.key_id))
    noted = call.app.key_uses.noted(key.arn)
    # An id may be in use again: a replica's, in a Region where it was deleted before.
    uses = [use for use in (written, noted) if use is not None and use.at >= key.created_at]
    shown: dict[str, Any] = {}
    if uses:
        last = max(uses, key=lambda use: use.at)
        shown = {
            "Operation": last.operation,
            "Timestamp": datetime.fromtimestamp(last.at, UTC),
            "CloudTrailEventId": last.event_id,
            "KmsRequestId": last.request_id,
        }
    since = USES_KEPT_SINCE.get(call.reader, _SINCE)
    began = call.app.started_at.timestamp() if since is None else since.at
    return {
        "KeyId": key.key_id,
        "KeyLastUsage": shown,
        "TrackingStartDate": datetime.fromtimestamp(max(began, key.created_at), UTC),
        "KeyCreationDate": datetime.fromtimestamp(key.created_at, UTC),
    }


@due_work
def note_beginning(app: App, tx: Transaction) -> None:
    """Keep when this deployment began to keep uses: at the start of the first server that does."""
    if USES_KEPT_SINCE.get(tx, _SINCE) is None:
        USES_KEPT_SINCE.put(tx, _SINCE, Since(at=app.started_at.timestamp()))

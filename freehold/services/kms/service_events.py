"""What KMS does by itself, as audit events: a key's deletion when its window ran out, a rotation, expired imported
material, an AWS managed key.

They are in the trail of the key's account, in the transaction of what they tell of.
https://docs.aws.amazon.com/kms/latest/developerguide/ct-delete-key.html
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import orjson

from freehold.audit.event import EVENT_VERSION, new_event_id

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.services.kms.records import Key
    from freehold.storage.records import Transaction

_ITSELF: Final = "AWS Internal"


def tell(app: App, tx: Transaction, name: str, key: Key, *, details: Mapping[str, str] | None = None) -> None:
    """Write the event `name` about `key`: `DeleteKey`, `RotateKey`, `DeleteExpiredKeyMaterial` or `CreateKey`.

    `details` are further `serviceEventDetails`.
    """
    app.audit.append_in(tx, [event(name, key, app.clock.now_seconds(), details)])


def event(name: str, key: Key, now: float, details: Mapping[str, str] | None = None) -> bytes:
    """As `tell` writes it."""
    made = {
        "eventVersion": EVENT_VERSION,
        "userIdentity": {"accountId": key.account_id, "invokedBy": _ITSELF},
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        "eventSource": "kms.amazonaws.com",
        "eventName": name,
        "awsRegion": key.region,
        "sourceIPAddress": _ITSELF,
        "userAgent": _ITSELF,
        "requestParameters": None,
        "responseElements": None,
        "requestID": new_event_id(),
        "eventID": new_event_id(),
        "readOnly": False,
        "resources": [{"accountId": key.account_id, "type": "AWS::KMS::Key", "ARN": key.arn}],
        "eventType": "AwsServiceEvent",
        "serviceEventDetails": {"keyId": key.key_id, **(details or {})},
        "managementEvent": True,
        "recipientAccountId": key.account_id,
        "eventCategory": "Management",
    }
    return orjson.dumps(made)

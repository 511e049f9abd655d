"""What happened to the root key while the audit could not be written, as events, told once it can be.

Who made an attempt at unsealing is not known: shares and passphrases have no names.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

import orjson

from freehold.audit.event import EVENT_VERSION, new_event_id
from freehold.audit.operations import OWN_SOURCE

if TYPE_CHECKING:
    from freehold.sealed import Attempt

OPERATOR_ACCOUNT: Final = "000000000000"


def events(attempts: Iterable[Attempt], region: str) -> list[bytes]:
    """One event an attempt, in the operator's account. Times are the attempts', by the machine's clock."""
    return [
        _event(
            "Unseal",
            attempt.at,
            region,
            sourceIPAddress=attempt.source_ip,
            userAgent=attempt.user_agent,
            requestID=attempt.request_id,
            **({"errorCode": attempt.outcome} if attempt.outcome else {}),
        )
        for attempt in attempts
    ]


def another_root_key(fingerprint: str, number: int, at: float, region: str) -> bytes:
    """That a server started with a root key that the trail doesn't know: changed offline, or just before a crash."""
    told = {"rootKey": "found at the start", "fingerprint": fingerprint, "number": number}
    return _event("RotateRootKey", at, region, additionalEventData=told)


def resealed(materials: int, secrets: int, at: float, region: str) -> bytes:
    """That key material was sealed anew, by whoever had the root key and the directory."""
    return _event("ResealKeyMaterial", at, region, additionalEventData={"materials": materials, "secrets": secrets})


def restored(backup_id: str, materials: int, destroyed: int, at: float, region: str) -> bytes:
    """That a backup of key material was restored, by whoever had the root key and the directory."""
    told = {"backupId": backup_id, "restored": materials, "destroyed": destroyed}
    return _event("RestoreKeyMaterial", at, region, additionalEventData=told)


def _event(name: str, at: float, region: str, **more: Any) -> bytes:
    return orjson.dumps(
        {
            "eventVersion": EVENT_VERSION,
            "userIdentity": {"type": "Unknown", "principalId": "", "accountId": OPERATOR_ACCOUNT},
            "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
            "eventSource": OWN_SOURCE,
            "eventName": name,
            "awsRegion": region,
            "sourceIPAddress": "",
            "userAgent": "",
            "requestParameters": None,
            "responseElements": None,
            "requestID": "",
            "eventID": new_event_id(),
            "readOnly": False,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": OPERATOR_ACCOUNT,
            "eventCategory": "Management",
            **more,
        }
    )

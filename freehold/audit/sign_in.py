"""Signing in to the console as CloudTrail tells of it: `ConsoleLogin` and its relatives, from signin.amazonaws.com.

The event goes to the account that was signed in to, also when it failed. Holds no password, code or token; a name that
no user has is hidden, since people type passwords where their names belong.
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-aws-console-sign-in-events.html
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from freehold.errors import AwsError, InternalFailure

if TYPE_CHECKING:
    from freehold.services.call import Call

EVENT_VERSION: Final = "1.11"
_MOST_TEXT: Final = 1024


@dataclass(slots=True)
class SignIn:
    """What is to be told. `identity` is CloudTrail's `userIdentity`; `account_id` is empty when there's no such one.

    `failure`: CloudTrail's words for why it failed; empty for a success, and where the caller was told as much.
    """

    name: str = "ConsoleLogin"
    account_id: str = ""
    identity: dict[str, Any] = field(default_factory=dict)
    mfa_used: bool = False
    mfa_serial: str = ""
    failure: str = ""


def event(call: Call, told: SignIn, error: Exception | None, event_id: str) -> dict[str, Any]:
    """The event of a sign-in that succeeded, or failed with `error`."""
    request, app = call.request, call.app
    host = request.headers.get("host", "")[:_MOST_TEXT]
    additional = {
        "LoginTo": f"{'https' if request.secure else 'http'}://{host}/",
        "MobileVersion": "No",
        "MFAUsed": "Yes" if told.mfa_used else "No",
    }
    if told.mfa_serial:
        additional["MFAIdentifier"] = told.mfa_serial
    made: dict[str, Any] = {
        "eventVersion": EVENT_VERSION,
        "userIdentity": told.identity,
        "eventTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(app.clock.now_seconds())),
        "eventSource": "signin.amazonaws.com",
        "eventName": told.name,
        "awsRegion": call.region,
        "sourceIPAddress": request.source_ip,
        "userAgent": request.headers.get("user-agent", "")[:_MOST_TEXT],
        "requestParameters": None,
        "responseElements": {told.name: "Failure" if error is not None or told.failure else "Success"},
        "additionalEventData": additional,
        "requestID": call.request_id,
        "eventID": event_id,
        "readOnly": False,
        "eventType": "AwsConsoleSignIn",
        "managementEvent": True,
        "recipientAccountId": told.account_id,
        "eventCategory": "Management",
    }
    if told.failure:
        made["errorMessage"] = told.failure
    elif error is not None:
        shown = error if isinstance(error, AwsError) else InternalFailure()
        made["errorMessage"] = shown.message[:_MOST_TEXT]
    if request.secure:
        made["tlsDetails"] = {"clientProvidedHostHeader": host}
    return made

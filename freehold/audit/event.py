"""One call as a CloudTrail event (version 1.11): made once its outcome is known, a copy per account that gets it.

The caller's account gets every event; the accounts whose resources were used get one of a call that succeeded, which
shows of the caller only the account and the id. Refuses to hold secrets and contents (`redact.py`).
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import orjson

from freehold.audit import identity as identities
from freehold.audit import sign_in
from freehold.audit.operations import Described, described
from freehold.authentication.key_ids import account_of_access_key_id
from freehold.errors import AwsError, InternalFailure

if TYPE_CHECKING:
    from freehold.message import Request
    from freehold.services.call import Call

EVENT_VERSION: Final = "1.11"
MOST_PART_BYTES: Final = 100 * 1024
"""The most that `requestParameters` and `responseElements` may take each, as in CloudTrail."""
_MOST_TEXT: Final = 1024
_MOST_RESOURCES: Final = 50
_CLAIMED_KEY: Final = re.compile(r"(?:Credential|AWSAccessKeyId)=([A-Za-z0-9]{16,128})(?:/|%2F|&|$)")

_S3_TYPES: Final = ("AWS::S3::Bucket", "AWS::S3::Object")

_shown_second = (-1, "")

_EVENT_IDS_AT_ONCE: Final = 64
_event_ids: list[str] = []
# A child must not give out what its parent gives out as well.
os.register_at_fork(after_in_child=_event_ids.clear)


def build(call: Call, result: Mapping[str, Any] | None, error: Exception | None) -> list[bytes]:
    """The events of one call, the caller's account's first: `result` of a success, `error` otherwise."""
    if call.sign_in is not None:
        return [_encode(sign_in.event(call, call.sign_in, error, new_event_id()))]
    operation = call.operation
    about = described(operation.service, operation.name)
    principal = call.principal
    via = call.via
    invoked_by = f"{via[-1]}.amazonaws.com" if via else ""
    identity = identities.identity(principal, invoked_by)
    request = call.request
    headers = request.headers
    event: dict[str, Any] = {
        "eventVersion": EVENT_VERSION,
        "userIdentity": identity.whole,
        "eventTime": _time_text(call.app.clock.now_seconds()),
        "eventSource": about.source,
        "eventName": about.name,
        "awsRegion": call.region,
        "sourceIPAddress": invoked_by or request.source_ip,
        "userAgent": invoked_by or headers.get("user-agent", "")[:_MOST_TEXT],
    }
    if error is not None:
        if not isinstance(error, AwsError):
            error = InternalFailure()
        event["errorCode"] = error.code
        event["errorMessage"] = error.message[:_MOST_TEXT]
    requested = about.request(call.params) if call.params else None
    if call.noted is not None:
        requested = {**(requested or {}), **call.noted}
    event["requestParameters"] = requested or None
    event["responseElements"] = (about.response(result) if result and about.answers else None) or None
    if result is not None and "KeyMaterialId" in result:
        event["additionalEventData"] = {"keyMaterialId": result["KeyMaterialId"]}
    event["requestID"] = call.request_id
    event["eventID"] = event_id = new_event_id()
    event["readOnly"] = about.read_only
    account_id = principal.account_id
    if call.resources or call.decisions:
        resources = _resources(call, about)
        if resources:
            event["resources"] = resources
    event["eventType"] = "AwsApiCall"
    event["managementEvent"] = not about.data
    if error is not None and principal.kind == "anonymous":
        claimed = claimed_access_key_id(request)
        if claimed:
            event["userIdentity"] = identities.unknown(claimed)
            account_id = _named_account(claimed)
    event["recipientAccountId"] = account_id
    call.event_ids = {account_id: event_id}
    event["eventCategory"] = "Data" if about.data else "Management"
    if principal.session is not None and principal.session.kind == "console":
        event["sessionCredentialFromConsole"] = "true"
    if request.secure and not via:
        event["tlsDetails"] = {"clientProvidedHostHeader": headers.get("host", "")[:_MOST_TEXT]}
    if error is None:
        for decision in call.decisions:
            if decision.request.account_id != account_id:
                return _copies(event, identity, call)
    return [_encode(event)]


def claimed_access_key_id(request: Request) -> str:
    """The access key id that a request names, genuine or not; empty without one."""
    found = _CLAIMED_KEY.search(request.headers.get("authorization", "")) or _CLAIMED_KEY.search(
        request.query_string.replace("X-Amz-Credential", "Credential")
    )
    return found[1] if found else ""


def new_event_id() -> str:
    """A random UUID of version 4."""
    try:
        return _event_ids.pop()
    except IndexError:
        _event_ids.extend(_random_ids(_EVENT_IDS_AT_ONCE))
        return _random_ids(1)[0]


def _random_ids(count: int) -> list[str]:
    text = os.urandom(16 * count).hex()
    return [
        f"{text[at : at + 8]}-{text[at + 8 : at + 12]}-4{text[at + 13 : at + 16]}"
        f"-{'89ab'[int(text[at + 16], 16) & 3]}{text[at + 17 : at + 20]}-{text[at + 20 : at + 32]}"
        for at in range(0, 32 * count, 32)
    ]


def _copies(event: dict[str, Any], identity: identities.Identity, call: Call) -> list[bytes]:
    """The caller's event, and one for each other account whose permission was needed, under one shared id."""
    caller = event["recipientAccountId"]
    others = dict.fromkeys(decision.request.account_id for decision in call.decisions if decision.result == "allow")
    others.pop(caller, None)
    others.pop("", None)
    if not others:
        return [_encode(event)]
    if not caller:
        # An anonymous caller has no trail: the first owner's is the event itself.
        event["recipientAccountId"] = next(iter(others))
        others.pop(event["recipientAccountId"])
        if not others:
            return [_encode(event)]
    event["sharedEventID"] = new_event_id()
    copies = [_encode(event)]
    event["userIdentity"] = identity.from_outside
    for account_id in others:
        event["recipientAccountId"] = account_id
        event["eventID"] = call.event_ids[account_id] = new_event_id()
        copies.append(_encode(event))
    return copies


def _resources(call: Call, about: Described) -> list[orjson.Fragment]:
    """What was used: as the service noted it, or for S3 what permission was asked for."""
    noted: Iterable[tuple[str, str]] = call.resources
    if about.service != "s3":
        if len(call.resources) > 1:
            noted = islice(dict.fromkeys(noted), _MOST_RESOURCES)
        return [_resource(resource_type, arn, "") for resource_type, arn in noted]
    # ARNs of buckets and objects name no account.
    owners = {decision.request.resource: decision.request.account_id for decision in call.decisions}
    if not call.resources:
        noted = [(_S3_TYPES["/" in arn], arn) for arn in owners if arn.startswith("arn:aws:s3:")]
    owner = next(iter(owners.values()), "")
    return [
        _resource(resource_type, arn, owners.get(arn, owner))
        for resource_type, arn in islice(dict.fromkeys(noted), _MOST_RESOURCES)
    ]


@lru_cache(maxsize=10_000)
def _resource(resource_type: str, arn: str, owner: str) -> orjson.Fragment:
    parts = arn.split(":", 5)
    account_id = parts[4] if len(parts) == 6 and parts[4] else owner
    return orjson.Fragment(orjson.dumps(_plain({"accountId": account_id, "type": resource_type, "ARN": arn})))


def _time_text(seconds: float) -> str:
    global _shown_second
    whole = int(seconds)
    shown = _shown_second
    if shown[0] != whole:
        shown = _shown_second = (whole, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(whole)))
    return shown[1]


def _named_account(access_key_id: str) -> str:
    try:
        return account_of_access_key_id(access_key_id)
    except ValueError:
        return ""


def _encode(event: dict[str, Any]) -> bytes:
    try:
        encoded = orjson.dumps(event)
    except TypeError:
        encoded = orjson.dumps(_plain(event), default=str)
    if len(encoded) > MOST_PART_BYTES:
        event = dict(event)
        for part in ("requestParameters", "responseElements"):
            size = len(orjson.dumps(_plain(event[part]), default=str))
            if size > MOST_PART_BYTES:
                event[part] = {"omitted": True, "originalSize": size, "reason": f"{part} too large"}
        encoded = orjson.dumps(_plain(event), default=str)
    return encoded


def _plain(value: Any) -> Any:
    """The same, with text that no UTF-8 has replaced, and numbers beyond 64 bits as text."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_plain(str(key)): _plain(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(element) for element in value]
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return str(value)
    return value

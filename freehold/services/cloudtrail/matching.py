"""Whether an event is wanted by a lookup, and how it is shown. Pure functions over one event.

`Resources` and `Username` are worked out from the event, as CloudTrail does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

Event = dict[str, Any]

_BY_NAME: Final = frozenset(("iam", "s3"))
"""Services whose resources are shown by name, the others' by ARN."""


def username(event: Event) -> str:
    """The user's name; of a role session the session's name; `root`."""
    who = event["userIdentity"]
    # What a service does by itself, such as rotating a key, has an identity without a type.
    kind = who.get("type")
    if kind == "Root":
        return "root"
    if "userName" in who:
        return str(who["userName"])
    if kind in ("AssumedRole", "FederatedUser"):
        return str(who["principalId"]).rpartition(":")[2]
    return str(who.get("invokedBy", ""))


def resource_name(arn: str) -> str:
    parts = arn.split(":", 5)
    if len(parts) == 6 and parts[2] in _BY_NAME:
        return parts[5] if parts[2] == "s3" else parts[5].rpartition("/")[2]
    return arn


def _resource_names(event: Event) -> list[str]:
    """What a resource may be looked up by: its ARN, and its name or id alone."""
    names: list[str] = []
    for resource in event.get("resources", ()):
        arn = resource["ARN"]
        names += (arn, resource_name(arn), arn.rpartition("/")[2], arn.rpartition(":")[2])
    return names


ATTRIBUTES: Final[dict[str, Callable[[Event, str], bool]]] = {
    "AccessKeyId": lambda event, value: event["userIdentity"].get("accessKeyId") == value,
    "EventId": lambda event, value: event["eventID"] == value,
    "EventName": lambda event, value: event["eventName"] == value,
    "EventSource": lambda event, value: event["eventSource"] == value,
    "ReadOnly": lambda event, value: event["readOnly"] == (value == "true"),
    "ResourceName": lambda event, value: value in _resource_names(event),
    "ResourceType": lambda event, value: any(value == one["type"] for one in event.get("resources", ())),
    "Username": lambda event, value: username(event) == value,
}

_IN_THE_TEXT: Final = frozenset(ATTRIBUTES) - {"ReadOnly", "Username"}
"""Attributes whose value, as JSON writes it, is somewhere in the text of every event that has it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A lookup's conditions. Times are CloudTrail's texts, which compare as the times do; both ends are included."""

    account_id: str
    region: str
    start: str
    end: str
    attribute: str = ""
    value: str = ""

    def test(self) -> Callable[[bytes], Event | None]:
        """A function that parses an event if it is wanted, and gives None otherwise."""
        needles = [_member("recipientAccountId", self.account_id), _member("awsRegion", self.region)]
        if self.attribute in _IN_THE_TEXT:
            needles.append(orjson.dumps(self.value)[1:-1])
        first, second, *more = needles
        matches = ATTRIBUTES.get(self.attribute)

        def wanted(encoded: bytes) -> Event | None:
            # Most of a shared trail is other accounts', and never parsed.
            if first not in encoded or second not in encoded or any(needle not in encoded for needle in more):
                return None
            event: Event = orjson.loads(encoded)
            if event["recipientAccountId"] != self.account_id or event["awsRegion"] != self.region:
                return None
            if not self.start <= event["eventTime"] <= self.end:
                return None
            return event if matches is None or matches(event, self.value) else None

        return wanted


def _member(name: str, value: str) -> bytes:
    return b'"' + name.encode() + b'":' + orjson.dumps(value)


def shown(event: Event, encoded: bytes) -> dict[str, Any]:
    """The event as LookupEvents answers it."""
    answer: dict[str, Any] = {
        "EventId": event["eventID"],
        "EventName": event["eventName"],
        "ReadOnly": "true" if event["readOnly"] else "false",
        "EventTime": datetime.strptime(event["eventTime"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC),
        "EventSource": event["eventSource"],
        "Resources": [
            {"ResourceType": resource["type"], "ResourceName": resource_name(resource["ARN"])}
            for resource in event.get("resources", ())
        ],
        "CloudTrailEvent": encoded.decode(),
    }
    if event["userIdentity"].get("accessKeyId"):
        answer["AccessKeyId"] = event["userIdentity"]["accessKeyId"]
    name = username(event)
    if name:
        answer["Username"] = name
    return answer

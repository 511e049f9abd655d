"""LookupEvents: the caller's account's events of one Region, newest first."""

from __future__ import annotations

import asyncio
import base64
import binascii
import weakref
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from freehold.audit.history import Place
from freehold.authorization.permission import Permission
from freehold.crypto.aead import IntegrityError, Sealer
from freehold.services.cloudtrail.errors import (
    InvalidLookupAttributes,
    InvalidMaxResults,
    InvalidNextToken,
    InvalidTimeRange,
)
from freehold.services.cloudtrail.matching import ATTRIBUTES, Wanted, shown
from freehold.services.operation import Params, Result, operation

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.services.call import Call

DAYS: Final = 90
MOST_RESULTS: Final = 50
MOST_READ_BYTES: Final = 32 * 1024 * 1024
"""How much of the trail one call reads at most. A page that ends there may hold fewer events, even none."""
_WRITTEN_WITHIN: Final = timedelta(minutes=15)
"""An event is written after its `eventTime`, at most so much later."""
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"

_sealers: weakref.WeakKeyDictionary[App, Sealer] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class _Lookup:
    wanted: Wanted
    oldest_us: int
    newest_us: int
    before: Place | None
    most: int
    bound_to: bytes
    """What a page's token belongs to."""


def _may_look_up(call: Call, params: Params) -> list[Permission]:
    return [Permission("cloudtrail:LookupEvents", "*", call.account_id)]


async def _search(call: Call, params: Params) -> None:
    """Read the trail on a thread of the pool: it may take a while."""
    lookup = _parse(call, params)
    call.prepared = await asyncio.get_running_loop().run_in_executor(call.app.pool, _find, call.app, lookup)


@operation("cloudtrail.LookupEvents", permissions=_may_look_up, prepare=_search, refuses=("EventCategory",))
def lookup_events(call: Call, params: Params) -> Result:
    """Events of the last 90 days, 1-50 a page, filtered by at most one attribute and a time range.

    Surprises: data events (S3 objects) are found as well, since every call is in the trail; AWS answers management
    events only. A page may hold fewer events than asked for and still have a `NextToken`.
    https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html
    """
    result: Result = call.prepared
    return result


def _parse(call: Call, params: Params) -> _Lookup:
    attributes = params.get("LookupAttributes") or [{"AttributeKey": "", "AttributeValue": ""}]
    if len(attributes) > 1:
        raise InvalidLookupAttributes
    attribute, value = attributes[0]["AttributeKey"], attributes[0]["AttributeValue"]
    if attribute and attribute not in ATTRIBUTES:
        raise InvalidLookupAttributes(f"{attribute} is not an attribute that events are looked up by.")
    if attribute == "ReadOnly" and value not in ("true", "false"):
        raise InvalidLookupAttributes("The value of ReadOnly must be true or false.")
    most = params.get("MaxResults", MOST_RESULTS)
    if not 1 <= most <= MOST_RESULTS:
        raise InvalidMaxResults
    start, end = params.get("StartTime"), params.get("EndTime")
    if start is not None and end is not None and start > end:
        raise InvalidTimeRange
    bound_to = "\0".join((call.account_id, call.region, attribute, str(start), str(end), value)).encode()
    now = call.now
    oldest = now - timedelta(days=DAYS)
    start = oldest if start is None else max(start, oldest)
    end = now if end is None else min(end, now)
    # Events' times are whole seconds, of which the first that isn't before the start is wanted.
    first = start if start.microsecond == 0 else start + timedelta(seconds=1)
    return _Lookup(
        Wanted(call.account_id, call.region, first.strftime(_TIME), end.strftime(_TIME), attribute, value),
        int(start.timestamp() * 1_000_000),
        int((end + _WRITTEN_WITHIN).timestamp() * 1_000_000),
        _place(call.app, params.get("NextToken"), bound_to),
        most,
        bound_to,
    )


def _find(app: App, lookup: _Lookup) -> Result:
    wanted = lookup.wanted.test()
    found: list[Result] = []
    read = 0
    for place, encoded in app.audit.history.newest_first(lookup.before, lookup.newest_us, lookup.oldest_us):
        event = wanted(encoded)
        if event is not None:
            found.append(shown(event, encoded))
        read += len(encoded)
        if len(found) == lookup.most or read >= MOST_READ_BYTES:
            return {"Events": found, "NextToken": _token(app, place, lookup.bound_to)}
    return {"Events": found}


def _token(app: App, place: Place, bound_to: bytes) -> str:
    """Where the next page goes on, sealed: it names files, and belongs to one account and lookup."""
    return base64.urlsafe_b64encode(_sealer(app).seal(msgspec.msgpack.encode(place), bound_to)).decode()


def _place(app: App, token: str | None, bound_to: bytes) -> Place | None:
    if token is None:
        return None
    try:
        opened = _sealer(app).open(base64.b64decode(token, altchars=b"-_", validate=True), bound_to)
        return msgspec.msgpack.decode(opened, type=Place)
    except (binascii.Error, ValueError, IntegrityError):
        raise InvalidNextToken from None


def _sealer(app: App) -> Sealer:
    held = _sealers.get(app)
    if held is None:
        held = _sealers[app] = Sealer(app.root_key.sealing_key("cloudtrail"))
    return held

"""The running server: its status, and its clock where that may be moved."""

from __future__ import annotations

from freehold import __version__
from freehold.services.call import Call
from freehold.services.freehold.accounts import operator_only
from freehold.services.freehold.errors import ValidationException
from freehold.services.iam.records import ACCOUNTS
from freehold.services.operation import Params, Result, operation


@operation("freehold.GetServerStatus", permissions=operator_only("freehold:GetServerStatus"))
def get_server_status(call: Call, params: Params) -> Result:
    """What runs, since when, and what time it takes it to be."""
    app = call.app
    return {
        "Version": __version__,
        "Regions": list(app.settings.regions),
        "Workers": app.settings.workers,
        "StartedAt": app.started_at,
        "Now": call.now,
        "ClockOffsetSeconds": round(app.clock.now_seconds() - app.clock.wall_seconds()),
        "ClockMovable": app.clock.movable,
        "Accounts": sum(1 for _ in ACCOUNTS.scan(call.reader)),
    }


@operation("freehold.AdvanceClock", permissions=operator_only("freehold:AdvanceClock"), writes=True)
def advance_clock(call: Call, params: Params) -> Result:
    """Move the deployment's clock forward by `Seconds` (0 to ten years), then do what has become due.

    Signature dates and presigned expiry follow the machine's clock all the same, since clients sign by theirs.
    Refused unless the server was started with a movable clock; the offset ends with the server.
    """
    app = call.app
    try:
        app.clock.advance(params["Seconds"])
    except ValueError as error:
        raise ValidationException(str(error)) from None
    app.do_due_work(call.tx)
    offset = round(app.clock.now_seconds() - app.clock.wall_seconds())
    return {"Now": call.now, "ClockOffsetSeconds": offset}

"""`freehold advance-clock`: the time of a server that was started for tests."""

from __future__ import annotations

from typing import Annotated

import typer

from freehold.cli.account import CaBundle, Endpoint, Json, Profile
from freehold.cli.output import print_json, say

_DAY_SECONDS = 86_400


def advance_clock(
    days: Annotated[
        float, typer.Argument(help="How far, in days; a fraction is fine.", min=0, max=3650, metavar="DAYS")
    ],
    endpoint: Endpoint,
    profile: Profile = None,
    ca_bundle: CaBundle = None,
    as_json: Json = False,
) -> None:
    """Move the clock of a server with --movable-clock forward, and have it do what is due then (operator).

    Scheduled deletions, rotations, expiry of sessions and imported material follow it; signature dates don't. The
    server's next start is at the machine's time again.

    Example: freehold advance-clock 8 --endpoint http://127.0.0.1:4600 --profile freehold-operator
    """
    from freehold.cli.operator_client import called, operator_client

    client = operator_client(endpoint, profile=profile, verify=ca_bundle)
    moved = called(client.advance_clock, Seconds=round(days * _DAY_SECONDS))
    now = moved["Now"].isoformat(timespec="seconds")
    if as_json:
        print_json({"now": now, "ahead_seconds": moved["ClockOffsetSeconds"]})
    else:
        say(f"It is {now} there, {moved['ClockOffsetSeconds'] / _DAY_SECONDS:g} days ahead of the machine")

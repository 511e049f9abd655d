"""The `freehold` command. Each command imports what it needs when it runs, so that `--help` and start-up stay quick."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; errors that a person can mend are one line and exit status 1."""
    from freehold.cli.commands import app
    from freehold.cli.output import Problem

    try:
        app(prog_name="freehold")
    except Problem as problem:
        print(f"freehold: {problem}", file=sys.stderr)  # noqa: T201
        raise SystemExit(1) from None

"""`freehold audit`: the audit log of a data directory."""

from __future__ import annotations

import typer

from freehold.cli.deployment import Data, Json, RootKeyFile

app = typer.Typer(help="The audit log.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The audit log."""


@app.command("verify")
def verify(data: Data = None, root_key: RootKeyFile = None, as_json: Json = False) -> None:
    """TODO"""

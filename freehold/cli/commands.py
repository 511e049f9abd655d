"""All commands and groups, with their options."""

from __future__ import annotations

from typing import Annotated

import typer

from freehold import __version__
from freehold.cli import (
    account,
    audit,
    clock,
    deployment,
    import_iam,
    instance_metadata,
    key_material,
    operations,
    policy,
    root_key,
    seal,
    tour,
    verify,
    why,
)

app = typer.Typer(
    name="freehold",
    help="An AWS-compatible security core that you run yourself: IAM, STS, KMS, S3, Organizations and more.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"freehold {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    pass


app.command("init")(deployment.init)
app.command("serve")(deployment.serve)
app.command("status")(deployment.status)
app.command("unseal")(seal.unseal)
app.command("seal")(seal.seal)
app.command("demo")(tour.demo)
app.command("instance-metadata")(instance_metadata.instance_metadata)
app.command("advance-clock")(clock.advance_clock)
app.command("verify")(verify.verify)
app.command("operations")(operations.operations)
app.command("why")(why.why)
app.command("import-iam")(import_iam.import_iam)
app.add_typer(account.app, name="account")
app.add_typer(policy.app, name="policy")
app.add_typer(audit.app, name="audit")
app.add_typer(root_key.app, name="root-key")
app.add_typer(key_material.app, name="key-material")

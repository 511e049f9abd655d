"""`freehold operations`: what is implemented, from the registry."""

from __future__ import annotations

from typing import Annotated

import typer

from freehold.cli.output import print_json


def operations(
    service: Annotated[str | None, typer.Option(help="Only this service, e.g. kms.", metavar="NAME")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help='Print [{"service", "operation", "implemented", "why"}].')
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print docs/operations.md.")] = False,
) -> None:
    """Every operation of the served services, whether it is implemented, and if not, why.

    \b
    Examples:
      freehold operations --service kms
      freehold operations --json
    """
    from freehold.services.catalogue import as_markdown, catalogue

    rows = [row for row in catalogue() if service is None or row.service == service]
    if markdown:
        import sys

        sys.stdout.write(as_markdown(rows))
        return
    if as_json:
        print_json([row._asdict() for row in rows])
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("Service", "Operation", "Implemented", "Why not")
    for row in rows:
        table.add_row(row.service, row.operation, "[green]yes[/green]" if row.implemented else "no", row.why)
    Console().print(table)
    done = sum(row.implemented for row in rows)
    Console().print(f"{done} of {len(rows)} operations are implemented; the others answer NotImplemented (501).")

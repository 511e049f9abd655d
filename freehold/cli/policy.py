"""`freehold policy`: policies tried out without a server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freehold.cli.output import Problem, print_json

if TYPE_CHECKING:
    from freehold.authorization.testing import CaseResult

app = typer.Typer(help="Try policies out, without a server.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Try policies out, without a server."""


@app.command("test")
def run_tests(
    cases: Annotated[Path, typer.Argument(help="JSON file with cases; - reads standard input.", metavar="CASES.json")],
    as_json: Annotated[
        bool, typer.Option("--json", help='Print [{"name", "expect", "got", "why"}] of every case.')
    ] = False,
) -> None:
    """Run unit tests of policies: each case is a request, the policies that apply, and the decision expected.

    Prints the cases that fail, with the reason of the decision. Exit status 1 when one fails, 2 for a file that can't
    be read. The format is in docs/testing.md.

    Example: freehold policy test permissions.json
    """
    import orjson

    from freehold.authorization.testing import MalformedCases, run_cases

    try:
        text = sys.stdin.buffer.read() if str(cases) == "-" else cases.read_bytes()
        results = run_cases(orjson.loads(text))
    except OSError as error:
        raise Problem(f"{cases} cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise Problem(f"{cases} is not JSON: {error}") from None
    except MalformedCases as error:
        raise Problem(f"{cases}: {error}") from None
    failures = [result for result in results if not result.passed]
    if as_json:
        print_json([result.as_json() for result in results])
    else:
        _show(results, failures)
    raise typer.Exit(1 if failures else 0)


def _show(results: list[CaseResult], failures: list[CaseResult]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if failures:
        table = Table("Case", "Expected", "Got", "Why", show_lines=True)
        for result in failures:
            table.add_row(result.name, result.expect, f"[red]{result.got}[/red]", result.why)
        console.print(table)
    for result in results:
        if result.malformed and result.passed:
            console.print(f"[yellow]{result.name}[/yellow]: {result.why}")
    console.print(f"{len(results) - len(failures)} of {len(results)} cases passed.")

"""`freehold policy`: policies tried out without a server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from freehold.cli.output import Problem, print_json, printable

if TYPE_CHECKING:
    from freehold.authorization.comparison import Difference
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


@app.command("diff")
def diff(
    before: Annotated[Path, typer.Argument(help="JSON file with a policy, or a list of them.", metavar="A")],
    after: Annotated[Path, typer.Argument(help="The same, as it would be.", metavar="B")],
    requests: Annotated[
        Path | None,
        typer.Option(
            help="JSON file with cases, as for `policy test` [default: made from what A and B name].", metavar="FILE"
        ),
    ] = None,
    type_: Annotated[
        str,
        typer.Option(
            "--type", help="What the policies are: identity, boundary, session, scp, rcp, resource or endpoint."
        ),
    ] = "identity",
    every: Annotated[bool, typer.Option("--all", help="Show the requests too that are decided as before.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tell what a change of policies opens and closes.

    Each request is decided with A and with B in the place of its policies of that type; the others of its case stay.
    Exit status 0 when every request is decided as before, 1 when one is not, 2 for files that can't be read.

    \b
    Examples:
      freehold policy diff today.json proposed.json --requests permissions.json
      freehold policy diff bucket.json bucket-new.json --type resource --json
    """
    try:
        found, generated = _differences(before, after, requests, type_)
    except Problem as problem:
        print(f"freehold: {problem}", file=sys.stderr)  # noqa: T201
        raise typer.Exit(2) from None
    opens = [one for one in found if one.change == "opens"]
    closes = [one for one in found if one.change == "closes"]
    if as_json:
        shown = found if every else [*opens, *closes]
        print_json(
            {
                "requests": len(found),
                "generated": generated,
                "opens": len(opens),
                "closes": len(closes),
                "differences": [one.as_json() for one in shown],
            }
        )
    else:
        _show_differences(found if every else [*opens, *closes])
        made = " made from what the policies name" if generated else ""
        told = f"{len(opens)} opened, {len(closes)} closed" if opens or closes else "decided as before"
        _say(f"{len(found)} requests{made}: {told}.")
    raise typer.Exit(1 if opens or closes else 0)


def _differences(before: Path, after: Path, requests: Path | None, type_: str) -> tuple[list[Difference], bool]:
    from freehold.authorization import comparison
    from freehold.authorization.document import MalformedPolicy

    policy_type = comparison.FIELDS.get(type_)
    if policy_type is None:
        raise Problem(f"--type is one of {', '.join(comparison.FIELDS)}")
    try:
        first = comparison.documents(_read(before), policy_type, str(before))
        second = comparison.documents(_read(after), policy_type, str(after))
        if requests is None:
            asked = comparison.generated(first, second, field=type_)
        else:
            asked = comparison.of_cases(_read(requests))
        return comparison.compare(first, second, asked, type_), requests is None
    except comparison.MalformedCases as error:
        raise Problem(str(error)) from None
    except MalformedPolicy as error:
        raise Problem(f"a policy can't be understood: {error.message}") from None


def _read(path: Path) -> Any:
    import orjson

    try:
        return orjson.loads(sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes())
    except OSError as error:
        raise Problem(f"{path} cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise Problem(f"{path} is not JSON: {error}") from None


def _show_differences(found: list[Difference]) -> None:
    """Each request, with what became of it and why below. Lines aren't wrapped, so that they can be searched."""
    from rich.console import Console
    from rich.text import Text

    styles = {"opens": "red", "closes": "yellow", "same": "dim"}
    console = Console(highlight=False)
    for one in found:
        decided = one.before if one.before == one.after else f"{one.before} → {one.after}"
        request = f"{one.action} on {one.resource} by {one.principal} ({one.name})"
        console.print(Text.assemble((f"{one.change:7}", styles[one.change]), printable(request)), soft_wrap=True)
        console.print(Text(f"       {decided}: {printable(one.why)}", "dim"), soft_wrap=True)
    if found:
        console.print()


def _say(text: str) -> None:
    from rich.console import Console

    Console(highlight=False).print(text)

"""`freehold demo`: a guided tour of a real server through real boto3 clients; fails when an outcome is another one.

Owns the telling. What is told is in `story.py`, which the end-to-end test plays too.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freehold.cli.output import print_json

if TYPE_CHECKING:
    from freehold.cli.story import Step

_MARKS = {"allowed": ("✔", "green"), "refused": ("✘", "yellow"), "seen": ("•", "cyan")}


def demo(
    keep: Annotated[
        Path | None, typer.Option(help="Leave the data directory and root key in this new directory.", metavar="DIR")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the steps as one JSON list at the end.")] = False,
) -> None:
    """Start a server in a temporary directory and see identity, keys and encrypted storage work together.

    Every call, its outcome and the reason are printed. Exit status 1 if a single outcome isn't the one expected.

    Example: freehold demo --keep ./demo
    """
    import tempfile

    from freehold.cli.story import play

    teller = _Teller(quiet=as_json)
    with tempfile.TemporaryDirectory(prefix="freehold-demo-") as temporary:
        if keep is not None:
            keep.mkdir(parents=True)
        steps = play(keep or Path(temporary), teller.tell, teller.chapter)
    if as_json:
        print_json([step.as_json() for step in steps])
    else:
        teller.conclude(steps)
    raise typer.Exit(0 if all(step.as_expected for step in steps) else 1)


class _Teller:
    def __init__(self, *, quiet: bool) -> None:
        from rich.console import Console

        self._console = Console(highlight=False, quiet=quiet)

    def chapter(self, title: str) -> None:
        self._console.print()
        self._console.rule(f"[bold]{title}[/bold]", align="left", style="dim")

    def tell(self, step: Step) -> None:
        from rich.padding import Padding
        from rich.text import Text

        mark, style = _MARKS[step.outcome] if step.as_expected else ("!", "bold red")
        self._console.print(Text.assemble((f" {mark} ", style), (f"{step.who:<14}", "bold"), step.what))
        if step.why:
            # An encoded denial is twenty lines of Base64 that nobody reads.
            why = re.sub(r"(\S{40})\S{80,}", r"\1…", step.why)
            self._console.print(Padding(Text(why, style="dim" if step.as_expected else "red"), (0, 0, 0, 17)))

    def conclude(self, steps: list[Step]) -> None:
        wrong = sum(not step.as_expected for step in steps)
        self._console.print()
        if wrong:
            self._console.print(f"[bold red]{wrong} of {len(steps)} steps did not go as they should.[/bold red]")
        else:
            self._console.print(f"[bold green]All {len(steps)} steps went as they should.[/bold green]")

"""`freehold verify`: whether everything in a stopped deployment is what was written."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING, Annotated

import typer

from freehold.cli import custody as cli_custody
from freehold.cli.custody import SecretFd, SecretFile
from freehold.cli.deployment import Data, Json, RootKeyFile, settings_of
from freehold.cli.output import Problem, print_json, printable, say

if TYPE_CHECKING:
    from freehold.verification.report import Progress, Report

_MOST_SHOWN = 100

Deep = Annotated[bool, typer.Option("--deep", help="Read every byte of every object, not only the beginnings.")]


def verify(
    data: Data = None,
    root_key: RootKeyFile = None,
    secret_file: SecretFile = None,
    secret_fd: SecretFd = None,
    deep: Deep = False,
    as_json: Json = False,
) -> None:
    """Look at every record, key, object and audit event of a stopped deployment, and tell what is damaged or missing.

    Names what it finds and shows nothing of it. Changes nothing. Exit status 1 when something is found.

    \b
    Examples:
      freehold verify --data ./data
      freehold verify --data ./copy --root-key ./data.root-key --deep --json
    """
    from freehold.deployment import DeploymentError, opened
    from freehold.storage.database import CannotOpen
    from freehold.storage.locks import DirectoryHeld, hold_directory
    from freehold.storage.records import CorruptRecord
    from freehold.verification.run import verify as run

    settings = settings_of(data, root_key, secret_file)
    try:
        found = opened(settings, cli_custody.access(settings, secret_fd))
        with hold_directory(settings.data), _Bar(shown=not as_json and sys.stderr.isatty()) as bar:
            report = run(settings, found.keyring, deep=deep, progress=bar.progress)
    except DirectoryHeld:
        raise Problem(f"a server is using {settings.data}: stop it, or verify a copy of the directory") from None
    except (DeploymentError, CannotOpen, CorruptRecord) as error:
        raise Problem(str(error)) from None
    report.counts["root key"] = found.head.number
    _tell(report, as_json=as_json)
    raise typer.Exit(0 if report.ok else 1)


def _tell(report: Report, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "ok": report.ok,
                "problems": [{"place": finding.place, "problem": finding.problem} for finding in report.findings],
                "notes": report.notes,
                "counts": dict(report.counts),
            }
        )
        return
    from rich.console import Console
    from rich.table import Table

    if report.findings:
        table = Table("Where", "What is wrong")
        for finding in report.findings[:_MOST_SHOWN]:
            table.add_row(_plain(finding.place), _plain(finding.problem))
        Console(highlight=False).print(table)
        if len(report.findings) > _MOST_SHOWN:
            say(f"… and {len(report.findings) - _MOST_SHOWN} more: --json tells all")
    for note in report.notes:
        say(f"[dim]{_plain(note)}[/dim]")
    say(", ".join(f"{number} {what}" for what, number in report.counts.items() if what != "root key"))
    say(f"{len(report.findings)} problems found" if report.findings else "everything is what was written")


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(printable(text))


class _Bar:
    """A line on the terminal that tells how far it is."""

    def __init__(self, *, shown: bool) -> None:
        from rich.console import Console
        from rich.progress import Progress as Line

        from freehold.verification.report import Progress

        self._line = line = Line(console=Console(stderr=True), transient=True, disable=not shown)
        task = line.add_task("", total=None)

        class OnTheLine(Progress):
            def stage(self, name: str, steps: int | None) -> None:
                line.reset(task, description=name, total=steps)

            def step(self) -> None:
                line.advance(task)

        self.progress: Progress = OnTheLine() if shown else Progress()

    def __enter__(self) -> _Bar:
        self._line.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._line.stop()

"""`freehold audit`: the audit log of a data directory."""

from __future__ import annotations

import typer

from freehold.cli import custody as cli_custody
from freehold.cli.custody import SecretFd, SecretFile
from freehold.cli.deployment import Data, Json, RootKeyFile, settings_of
from freehold.cli.output import Problem, print_json, say

app = typer.Typer(help="The audit log.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """The audit log."""


@app.command("verify")
def verify(
    data: Data = None,
    root_key: RootKeyFile = None,
    secret_file: SecretFile = None,
    secret_fd: SecretFd = None,
    as_json: Json = False,
) -> None:
    """Read the whole audit log and tell whether it is what was written.

    Finds an altered event, a removed one, a cut tail, a removed worker's file, and records that were put back to an
    older state. Reads only; a server may run. Exit status 1 when something is found.

    Example: freehold audit verify --data ./data
    """
    from freehold.audit.verify import verify as check
    from freehold.crypto.aead import Sealer
    from freehold.deployment import DeploymentError, root_key_of
    from freehold.storage.database import CannotOpen
    from freehold.storage.inspection import Inspection
    from freehold.storage.records import CorruptRecord

    settings = settings_of(data, root_key, secret_file)
    try:
        key = root_key_of(settings, cli_custody.access(settings, secret_fd))
        records = Inspection(settings.data, key.sealing_key("pages"), Sealer(key.sealing_key("records")))
    except (DeploymentError, CannotOpen, CorruptRecord) as error:
        raise Problem(str(error)) from None
    problems: list[str] = []
    try:
        report = check(settings.audit, records.reader, key)
        problems.extend(str(finding) for finding in report.findings)
        records.check_pages()
    except CorruptRecord as error:
        problems.append(str(error))
        report = None
    finally:
        records.close()
    if as_json:
        print_json(
            {
                "ok": not problems,
                "problems": problems,
                "notes": [] if report is None else report.notes,
                "events": 0 if report is None else report.events,
                "segments": 0 if report is None else report.segments,
                "checkpoints": 0 if report is None else report.checkpoints,
            }
        )
    else:
        for problem in problems:
            say(f"[red]✘[/red] {problem}")
        if report is not None:
            for note in report.notes:
                say(f"[dim]{note}[/dim]")
            read = f"{report.events} events in {report.segments} segments and {report.rows} records"
            verdict = f"{len(problems)} problems found" if problems else "the audit log is whole"
            say(f"{read}, {report.checkpoints} signed checkpoints: {verdict}")
    raise typer.Exit(1 if problems else 0)

"""`freehold key-material`: backups of key material (operator), and restoring them into a stopped deployment."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from freehold.cli import custody as cli_custody
from freehold.cli.account import CaBundle, Endpoint, Json, Profile
from freehold.cli.custody import SecretFd, SecretFile
from freehold.cli.deployment import Data, RootKeyFile, settings_of
from freehold.cli.output import Problem, counted, print_json, say

if TYPE_CHECKING:
    from freehold.config import Settings
    from freehold.crypto.aead import Sealer
    from freehold.custody.opening import Opened
    from freehold.services.kms.backups import Backup
    from freehold.services.kms.restoring import Restored

app = typer.Typer(help="Backups of key material.", no_args_is_help=True)

_MOST_BYTES = 1 << 30


@app.command("backup")
def backup(
    file: Annotated[Path, typer.Argument(help="The file to make; it must not exist.", metavar="FILE")],
    endpoint: Endpoint,
    retention_days: Annotated[
        int, typer.Option(help="After so many days it is refused, and should be destroyed.", min=1, max=365)
    ] = 30,
    profile: Profile = None,
    ca_bundle: CaBundle = None,
    as_json: Json = False,
) -> None:
    """Have a running server put all KMS key material into one sealed file (operator).

    It opens with this deployment's custody file and root key. Destroy it, and all copies of it, when its time is over.

    Example: freehold key-material backup keys-monday --endpoint http://127.0.0.1:4600 --profile freehold-operator
    """
    from freehold.cli.operator_client import called, operator_client

    if file.exists():
        raise Problem(f"{file} exists already and is not overwritten")
    client = operator_client(endpoint, profile=profile, verify=ca_bundle)
    made = called(client.backup_key_material, RetentionDays=retention_days)
    _write(file, made["File"])
    facts = {
        "file": str(file),
        "backup_id": made["BackupId"],
        "created_at": made["CreatedAt"].isoformat(),
        "destroy_by": made["DestroyBy"].isoformat(),
        "keys": made["Keys"],
        "materials": made["Materials"],
        "tombstones": made["Tombstones"],
        "damaged": made["Damaged"],
    }
    if as_json:
        print_json(facts)
    else:
        content = f"{counted(made['Materials'], 'version')} of {counted(made['Keys'], 'key')}"
        say(f"{content} in {file}; destroy it by {facts['destroy_by']}")
        for arn in made["Damaged"]:
            say(f"[red]✘[/red] {arn}: some of its material does not open, and is not in the backup")
    raise typer.Exit(1 if made["Damaged"] else 0)


@app.command("list")
def listed(endpoint: Endpoint, profile: Profile = None, ca_bundle: CaBundle = None, as_json: Json = False) -> None:
    """List the backups that were made, and by when each must be destroyed (operator).

    Example: freehold key-material list --endpoint http://127.0.0.1:4600 --profile freehold-operator
    """
    from freehold.cli.operator_client import called, operator_client

    client = operator_client(endpoint, profile=profile, verify=ca_bundle)
    found = called(client.list_key_material_backups)["Backups"]
    if as_json:
        shown = [{**each, "CreatedAt": _iso(each["CreatedAt"]), "DestroyBy": _iso(each["DestroyBy"])} for each in found]
        print_json(shown)
        return
    for each in found:
        say(f"{each['BackupId']}  made {_iso(each['CreatedAt'])}  destroy by {_iso(each['DestroyBy'])}")


@app.command("restore")
def restore(
    file: Annotated[Path, typer.Argument(help="A backup.", metavar="FILE")],
    data: Data = None,
    root_key: RootKeyFile = None,
    secret_file: SecretFile = None,
    secret_fd: SecretFd = None,
    rebuild: Annotated[
        bool,
        typer.Option("--rebuild", help="First copy what can be read of a database with damaged pages to a new one."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Bring back damaged and lost key material of a stopped deployment, and do again the deletions the backup knows.

    Never brings back what was deleted or has expired. Run freehold verify before and after, on a copy of the directory
    first. Exit status 1 when some material of the backup is left out.

    Example: freehold key-material restore keys-monday --data ./data
    """
    from freehold.crypto.aead import IntegrityError
    from freehold.deployment import DeploymentError, opened
    from freehold.services.kms.restoring import Refused
    from freehold.storage.database import CannotOpen
    from freehold.storage.locks import DirectoryHeld, hold_directory
    from freehold.storage.records import CorruptRecord, StorageFull

    settings = settings_of(data, root_key, secret_file)
    try:
        content = file.read_bytes() if file.stat().st_size <= _MOST_BYTES else b""
        with hold_directory(settings.data):
            found = opened(settings, cli_custody.access(settings, secret_fd))
            backup = _admitted(found, content)
            lost = _rebuilt(settings, found) if rebuild else []
            done = _restored(settings, found, backup)
    except OSError as error:
        raise Problem(f"{error.filename or file} cannot be read: {error.strerror}") from None
    except CorruptRecord as error:
        raise Problem(f"{error}; nothing was restored (--rebuild goes around damaged pages)") from None
    except IntegrityError as error:
        raise Problem(f"{file}: {error}") from None
    except (DeploymentError, CannotOpen, DirectoryHeld, Refused, StorageFull) as error:
        raise Problem(str(error)) from None
    if as_json:
        print_json(
            {
                "restored": done.restored,
                "whole": done.whole,
                "destroyed": done.destroyed,
                "left_out": done.left_out,
                "lost": lost,
            }
        )
    else:
        for name in lost:
            say(f"[red]✘[/red] {name}: lost, at least in part")
        for name in done.restored:
            say(f"[green]✔[/green] {name} is back")
        for name in done.destroyed:
            say(f"[red]✘[/red] {name} was deleted before, and is again")
        for name, why in done.left_out.items():
            say(f"[dim]{name}: {why}[/dim]")
        say(f"{len(done.restored)} restored, {done.whole} were whole, {len(done.left_out)} left out")
    raise typer.Exit(1 if done.left_out or lost else 0)


def _admitted(found: Opened, content: bytes) -> Backup:
    from freehold.services.kms import backups, restoring

    backup = backups.read(_sealer(found), content)
    restoring.admit(backup.head, found.head.deployment, time.time())
    return backup


def _sealer(found: Opened) -> Sealer:
    from freehold.crypto.aead import Sealer

    return Sealer(found.keyring.sealing_key("kms"), found.keyring.former_keys("kms"))


def _restored(settings: Settings, found: Opened, backup: Backup) -> Restored:
    from freehold.audit import chain, unsealing
    from freehold.config import DEFAULT_REGION
    from freehold.crypto.aead import Sealer
    from freehold.services.kms import restoring
    from freehold.storage.counters import SharedCounters
    from freehold.storage.records import Transaction
    from freehold.storage.sqlite import SqliteRecords

    keyring, kms, now = found.keyring, _sealer(found), time.time()
    records = SqliteRecords(
        settings.data, keyring.sealing_key("pages"), Sealer(keyring.sealing_key("records")), SharedCounters()
    )

    def work(tx: Transaction) -> Restored:
        done = restoring.restore(tx, backup, kms, now)
        told = unsealing.restored(backup.head.backup_id, len(done.restored), len(done.destroyed), now, DEFAULT_REGION)
        chain.append(tx, [*done.events, told], int(now * 1_000_000))
        return done

    try:
        return records.submit(work).result()
    finally:
        records.close()


def _rebuilt(settings: Settings, found: Opened) -> list[str]:
    from freehold.storage.rebuilding import rebuild

    return rebuild(settings.data, found.keyring.sealing_key("pages"))


def _write(path: Path, content: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise Problem(f"{path} cannot be written: {error.strerror}") from None


def _iso(at: Any) -> str:
    moment: datetime = at
    return moment.astimezone(UTC).isoformat()

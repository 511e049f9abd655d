"""`freehold root-key`: where the root key comes from, and another one in its place (operator)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from freehold.cli import custody as cli_custody
from freehold.cli.account import CaBundle, Endpoint, Json, Profile
from freehold.cli.custody import SecretFd, SecretFile, SharesTo, With
from freehold.cli.deployment import Data, RootKeyFile, settings_of
from freehold.cli.output import Problem, print_json, say

app = typer.Typer(help="The root key (operator).", no_args_is_help=True)

Confirm = Annotated[
    bool,
    typer.Option("--confirm/--no-confirm", help="Take new shares into use now, or tell how to do so later."),
]


@app.command("status")
def status(endpoint: Endpoint, profile: Profile = None, ca_bundle: CaBundle = None, as_json: Json = False) -> None:
    """Tell where a running server's root key comes from, since when, and how its memory is protected.

    Example: freehold root-key status --endpoint http://127.0.0.1:4600 --profile freehold-operator
    """
    from freehold.cli.operator_client import called, operator_client

    found = called(operator_client(endpoint, profile=profile, verify=ca_bundle).get_root_key_status)
    facts = {
        "custody": found["Custody"],
        "fingerprint": found["Fingerprint"],
        "number": found["Number"],
        "changed_at": found["ChangedAt"].isoformat(),
        "sealable": found["Sealable"],
        "pending": found["Pending"],
        "memory_locked": found["MemoryLocked"],
        "memory_remark": found["MemoryRemark"],
    }
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        say(f"{name.replace('_', ' '):13}  {value}")


@app.command("rotate")
def rotate(
    endpoint: Endpoint,
    choices: With = None,
    secret_file: SecretFile = None,
    secret_fd: SecretFd = None,
    shares_to: SharesTo = None,
    confirm: Confirm = True,
    profile: Profile = None,
    ca_bundle: CaBundle = None,
    as_json: Json = False,
) -> None:
    """Put a running server's data under a new root key of the same custody; nothing is interrupted or sealed anew.

    A passphrase is replaced by the one that is asked for, or read. New shares take effect once enough of them are given
    back. Backups made until now still need the root key of their time.

    \b
    Examples:
      freehold root-key rotate --endpoint http://127.0.0.1:4600 --profile freehold-operator
      freehold root-key rotate --endpoint http://127.0.0.1:4600 --with shares=7 --with threshold=4
    """
    _rotate(endpoint, None, choices, secret_file, secret_fd, shares_to, confirm, profile, ca_bundle, as_json=as_json)


@app.command("move")
def move(
    to: Annotated[str, typer.Option("--to", help="file, passphrase, pkcs11, kms or shamir.", metavar="KIND")],
    endpoint: Endpoint,
    choices: With = None,
    secret_file: SecretFile = None,
    secret_fd: SecretFd = None,
    shares_to: SharesTo = None,
    confirm: Confirm = True,
    profile: Profile = None,
    ca_bundle: CaBundle = None,
    as_json: Json = False,
) -> None:
    """Put a running server's data under a new root key of another custody. The former root key opens nothing any more
    but backups made until now.

    \b
    Examples:
      freehold root-key move --to passphrase --endpoint http://127.0.0.1:4600 --profile freehold-operator
      freehold root-key move --to shamir --with shares=5 --with threshold=3 --endpoint http://127.0.0.1:4600
    """
    _rotate(endpoint, to, choices, secret_file, secret_fd, shares_to, confirm, profile, ca_bundle, as_json=as_json)


@app.command("confirm")
def confirm_shares(
    confirmation_id: str,
    endpoint: Endpoint,
    profile: Profile = None,
    ca_bundle: CaBundle = None,
    as_json: Json = False,
) -> None:
    """Take shares into use that `rotate --no-confirm` or `move --no-confirm` gave: reads them, one a line.

    Example: freehold root-key confirm 0123456789abcdef0123456789abcdef --endpoint http://127.0.0.1:4600
    """
    from freehold.cli.operator_client import called, operator_client

    client = operator_client(endpoint, profile=profile, verify=ca_bundle)
    shares = _shares_given_back(None)
    done = called(client.confirm_root_key_shares, ConfirmationId=confirmation_id, Shares=shares)
    _tell(done, as_json=as_json)


@app.command("reseal")
def reseal(
    data: Data = None,
    root_key: RootKeyFile = None,
    secret_file: SecretFile = None,
    secret_fd: SecretFd = None,
    as_json: Json = False,
) -> None:
    """Seal all KMS key material of a stopped deployment anew, under another sealing key of its keyring.

    Whoever knew the former keyring doesn't open the key material of later copies. Needs the root key, as a start does.

    Example: freehold root-key reseal --data ./data
    """
    import time

    from freehold.audit import chain, unsealing
    from freehold.config import DEFAULT_REGION
    from freehold.crypto.aead import IntegrityError, Sealer
    from freehold.custody.errors import CustodyError
    from freehold.custody.mark import record_of
    from freehold.custody.opening import replace_keyring
    from freehold.services.kms import resealing
    from freehold.storage.counters import SharedCounters
    from freehold.storage.database import CannotOpen
    from freehold.storage.locks import DirectoryHeld, hold_directory
    from freehold.storage.records import CorruptRecord, StorageFull, Transaction
    from freehold.storage.sqlite import SqliteRecords

    settings = settings_of(data, root_key, secret_file)
    purpose = resealing.PURPOSE
    try:
        record = record_of(settings.data)
        if record is None:
            raise Problem("this deployment has no keyring yet; run first: freehold root-key rotate")
        with hold_directory(settings.data):
            access = cli_custody.access(settings, secret_fd)
            keyring = replace_keyring(settings.data, record, access, lambda present: present.with_new_key(purpose))
            pages, sealer = keyring.sealing_key("pages"), Sealer(keyring.sealing_key("records"))
            records = SqliteRecords(settings.data, pages, sealer, SharedCounters())
            try:
                kms = Sealer(keyring.sealing_key(purpose), keyring.former_keys(purpose))

                def work(tx: Transaction) -> resealing.Resealed:
                    done, now = resealing.reseal(tx, kms), time.time()
                    event = unsealing.resealed(done.materials, done.secrets, now, DEFAULT_REGION)
                    chain.append(tx, [event], int(now * 1_000_000))
                    return done

                done = records.submit(work).result()
                # No copy under the former key is left in the log.
                records.purge()
            finally:
                records.close()
    except (CustodyError, CannotOpen, CorruptRecord, StorageFull, DirectoryHeld, OSError) as error:
        raise Problem(str(error)) from None
    except IntegrityError:
        raise Problem("some key material is damaged; nothing was sealed anew (freehold verify)") from None
    if as_json:
        print_json({"materials": done.materials, "secrets": done.secrets})
    else:
        say(f"Sealed anew: {done.materials} versions of KMS keys, {done.secrets} secrets of key stores.")


def _rotate(
    endpoint: str,
    kind: str | None,
    choices: list[str] | None,
    secret_file: Path | None,
    secret_fd: int | None,
    shares_to: Path | None,
    confirm: bool,
    profile: str | None,
    ca_bundle: str | None,
    *,
    as_json: bool,
) -> None:
    from freehold.cli.operator_client import called, operator_client

    options = cli_custody.words(choices)
    client = operator_client(endpoint, profile=profile, verify=ca_bundle)
    present = called(client.get_root_key_status)["Custody"]
    request: dict[str, Any] = {"Options": options} if options else {}
    if kind is not None:
        request["Custody"] = kind
    wanted = kind or present
    if wanted == "passphrase":
        request["Secret"] = cli_custody.secret("the new passphrase", secret_file, secret_fd, new=True)
    elif wanted == "pkcs11" and not (secret_file is None and secret_fd is None):
        # Otherwise the PIN is where the server has it.
        request["Secret"] = cli_custody.secret("the token's PIN", secret_file, secret_fd)
    done = called(client.rotate_root_key, **request)
    shares = tuple(done.get("Shares", ()))
    if shares:
        kept = cli_custody.keep_shares(shares, shares_to) if shares_to is not None else None
        if not confirm:
            _tell_pending(done, kept, as_json=as_json)
            return
        if kept is None:
            cli_custody.show_shares(shares, needed=done["Threshold"])
            sys.stdout.write("\nThey take effect once enough of them are given back.\n")
            given = _shares_given_back(done["Threshold"])
        else:
            # Read back from what was written, so that they are there.
            given = [Path(path).read_text().strip() for path in kept[: done["Threshold"]]]
        done = called(client.confirm_root_key_shares, ConfirmationId=done["ConfirmationId"], Shares=given)
    _tell(done, as_json=as_json)


def _shares_given_back(needed: int | None) -> list[str]:
    if not sys.stdin.isatty():
        return [line.strip() for line in sys.stdin.read(65_536).splitlines() if line.strip()]
    from getpass import getpass

    given: list[str] = []
    while needed is None or len(given) < needed:
        share = getpass(f"Share {len(given) + 1}: ").strip()
        if not share and needed is None:
            break
        given.append(share)
    return given


def _tell_pending(done: dict[str, Any], kept: list[str] | None, *, as_json: bool) -> None:
    if as_json:
        shares = kept or done["Shares"]
        print_json({"confirmation_id": done["ConfirmationId"], "threshold": done["Threshold"], "shares": shares})
        return
    if kept is None:
        cli_custody.show_shares(tuple(done["Shares"]), needed=done["Threshold"])
    say(f"\nWithin an hour: freehold root-key confirm {done['ConfirmationId']} --endpoint …")


def _tell(done: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json({"custody": done["Custody"], "fingerprint": done["Fingerprint"], "number": done["Number"]})
        return
    say(f"Root key {done['Number']}, custody {done['Custody']}, fingerprint {done['Fingerprint']}.")
    say("[dim]Backups made until now still need the former one.[/dim]")

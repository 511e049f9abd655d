"""A data directory's beginning: the root key, the keyring under it, the mark, the first principals.

`init` and offline commands come here; they open a directory only while no server holds it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from freehold.config import Settings
from freehold.crypto.root_key import RootKey, RootKeyError, sync_directory
from freehold.custody.access import Access
from freehold.custody.errors import CustodyError, Locked, WrongSecret
from freehold.custody.keyring import Keyring
from freehold.custody.opening import Opened, establish, open_record, put_under
from freehold.custody.record import Head, Record

FORMAT: Final = "freehold-data-2"
FIRST_FORMAT: Final = "freehold-data-1"
"""Without a keyring: the sealing keys are the root key's own, until the root key is rotated."""


class DeploymentError(Exception):
    """A data directory that can't be made or opened, and what to do about it."""


class NeedsPeople(DeploymentError):
    """The data is whole, and opens once people give a passphrase or shares."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewDeployment:
    account_id: str
    root: KeyPair
    operator: KeyPair
    shares: tuple[str, ...] = field(default=(), repr=False)
    """Of the root key, where that is in people's hands."""


def create(
    settings: Settings,
    account_name: str,
    custody: str = "file",
    options: Mapping[str, Any] | None = None,
    access: Access | None = None,
) -> NewDeployment:
    """Make the root key, the data directory, the operator and a first customer account.

    `custody` is the root key's provider, with its `options`. Raises DeploymentError when something is in the way; then
    nothing that was there is changed.
    """
    from freehold.crypto.aead import Sealer
    from freehold.services.iam import accounts
    from freehold.storage.counters import SharedCounters
    from freehold.storage.records import Transaction
    from freehold.storage.sqlite import SqliteRecords

    data = settings.data
    access = access or access_of(settings)
    if data.exists() and any(data.iterdir()):
        raise DeploymentError(f"{data} is not empty; choose another directory with --data")
    if custody == "file":
        if settings.root_key.is_relative_to(data):
            raise DeploymentError(
                "the root key must not lie in the data directory; choose another place with --root-key"
            )
        if settings.root_key.exists():
            raise DeploymentError(f"{settings.root_key} exists already and is not overwritten")
    deployment, keyring = secrets.token_hex(16), Keyring.new()
    try:
        new = establish(custody, options or {}, access, deployment)
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(data, 0o700)
        put_under(data, new, keyring, access=access, deployment=deployment, number=1, now_seconds=time.time())
    except CustodyError as error:
        raise DeploymentError(str(error)) from None
    except OSError as error:
        raise DeploymentError(f"{data} cannot be made: {error.strerror}") from None
    records = SqliteRecords(
        data, keyring.sealing_key("pages"), Sealer(keyring.sealing_key("records")), SharedCounters()
    )

    def first(tx: Transaction) -> tuple[accounts.NewAccount, accounts.NewOperator]:
        return accounts.create_account(tx, account_name), accounts.create_operator(tx)

    try:
        account, operator = records.submit(first).result()
    finally:
        records.close()
    write_mark(settings.deployment, deployment)
    return NewDeployment(
        account.account_id,
        KeyPair(account.access_key_id, account.secret_access_key),
        KeyPair(operator.access_key_id, operator.secret_access_key),
        new.shares,
    )


def access_of(settings: Settings) -> Access:
    """What the settings say about where secrets are."""
    return Access(settings.root_key, settings.secret_file)


def root_key_of(settings: Settings, access: Access | None = None) -> Keyring:
    """The keyring of this directory, opened by its root key: what gives the sealing keys.

    Raises NeedsPeople when a passphrase or shares are lacking, DeploymentError when there is no deployment, or when it
    can't be opened.
    """
    return opened(settings, access).keyring


def opened(settings: Settings, access: Access | None = None) -> Opened:
    """As `root_key_of`, with the head of the custody file."""
    access = access or access_of(settings)
    try:
        record = record_of(settings)
        return _of_first_format(settings, access) if record is None else open_record(record, access)
    except Locked as error:
        raise NeedsPeople(f"the root key of {settings.data} is locked: {error}") from None
    except WrongSecret as error:
        raise DeploymentError(f"{settings.data} stays closed: {error}") from None
    except CustodyError as error:
        raise DeploymentError(str(error)) from None


def record_of(settings: Settings) -> Record | None:
    """The custody file of a deployment, None where there's none yet (format 1). Raises DeploymentError."""
    form, name = _mark(settings)
    if form not in (FORMAT, FIRST_FORMAT):
        raise DeploymentError(f"{settings.data} was written by another version of Freehold ({form})")
    record = Record.read(settings.data)
    if form == FORMAT and record is None:
        raise DeploymentError(f"{settings.data} has no custody file: the keyring in it opens all the data")
    if form == FORMAT and record is not None and record.head.deployment != name:
        raise DeploymentError(f"the custody file in {settings.data} is another deployment's")
    # With the first format's mark, a rotation was cut off between the custody file and the new mark: the file counts.
    return record


def _of_first_format(settings: Settings, access: Access) -> Opened:
    """The root key in a file, whose fingerprint is in the mark."""
    _, fingerprint = _mark(settings)
    path = access.root_key
    if not path.exists():
        raise DeploymentError(f"there is no root key at {path}; name it with --root-key")
    try:
        root_key = RootKey.load(path)
    except RootKeyError as error:
        raise DeploymentError(str(error)) from None
    if root_key.fingerprint() != fingerprint:
        raise DeploymentError(f"the root key at {path} is not the one that {settings.data} was put under")
    head = Head("", 1, fingerprint, int(settings.deployment.stat().st_mtime), "file", {})
    return Opened(head, Keyring.of_first_format(root_key))


def _mark(settings: Settings) -> tuple[str, str]:
    """(format, the deployment's name; in the first format the root key's fingerprint)."""
    try:
        mark = settings.deployment.read_bytes()
    except FileNotFoundError:
        raise DeploymentError(f"{settings.data} holds no deployment; make one with: freehold init") from None
    except OSError as error:
        raise DeploymentError(f"{settings.deployment} cannot be read: {error.strerror}") from None
    try:
        line, check = mark.decode("ascii").splitlines()
        form, name = line.split(" ")
    except ValueError:
        raise DeploymentError(f"{settings.deployment} is damaged") from None
    if check != _check(line):
        raise DeploymentError(f"{settings.deployment} is damaged")
    return form, name


def write_mark(path: Path, deployment: str) -> None:
    """Written last: a directory without it isn't a deployment."""
    line = f"{FORMAT} {deployment}"
    draft = path.with_name(f"{path.name}.draft")
    with open(draft, "w") as file:
        file.write(f"{line}\n{_check(line)}\n")
        file.flush()
        os.fsync(file.fileno())
    os.rename(draft, path)
    sync_directory(path.parent)


def _check(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()

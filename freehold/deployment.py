"""A data directory's beginning: the root key's file, the mark of which root key it belongs to, the first principals.

`init` and offline commands come here; they open a directory only while no server holds it.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from freehold.config import Settings
from freehold.crypto.root_key import RootKey, RootKeyError

FORMAT = "freehold-data-1"


class DeploymentError(Exception):
    """A data directory that can't be made or opened, and what to do about it."""


@dataclass(frozen=True, slots=True)
class KeyPair:
    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewDeployment:
    account_id: str
    root: KeyPair
    operator: KeyPair


def create(settings: Settings, account_name: str) -> NewDeployment:
    """Make the root key, the data directory, the operator and a first customer account.

    Raises DeploymentError when something is in the way; then nothing that was there is changed.
    """
    from freehold.crypto.aead import Sealer
    from freehold.services.iam import accounts
    from freehold.storage.counters import SharedCounters
    from freehold.storage.records import Transaction
    from freehold.storage.sqlite import SqliteRecords

    data = settings.data
    if data.exists() and any(data.iterdir()):
        raise DeploymentError(f"{data} is not empty; choose another directory with --data")
    if settings.root_key.is_relative_to(data):
        raise DeploymentError("the root key must not lie in the data directory; choose another place with --root-key")
    try:
        settings.root_key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(data, 0o700)
        root_key = RootKey.create(settings.root_key)
    except RootKeyError as error:
        raise DeploymentError(str(error)) from None
    except OSError as error:
        raise DeploymentError(f"{data} cannot be made: {error.strerror}") from None
    records = SqliteRecords(
        data, root_key.sealing_key("pages"), Sealer(root_key.sealing_key("records")), SharedCounters()
    )

    def first(tx: Transaction) -> tuple[accounts.NewAccount, accounts.NewOperator]:
        return accounts.create_account(tx, account_name), accounts.create_operator(tx)

    try:
        account, operator = records.submit(first).result()
    finally:
        records.close()
    _write_mark(settings.deployment, root_key)
    return NewDeployment(
        account.account_id,
        KeyPair(account.access_key_id, account.secret_access_key),
        KeyPair(operator.access_key_id, operator.secret_access_key),
    )


def root_key_of(settings: Settings) -> RootKey:
    """The root key of this directory. Raises DeploymentError when there is no deployment, or with another key."""
    try:
        mark = settings.deployment.read_bytes()
    except FileNotFoundError:
        raise DeploymentError(f"{settings.data} holds no deployment; make one with: freehold init") from None
    except OSError as error:
        raise DeploymentError(f"{settings.deployment} cannot be read: {error.strerror}") from None
    try:
        line, check = mark.decode("ascii").splitlines()
        form, fingerprint = line.split(" ")
    except ValueError:
        raise DeploymentError(f"{settings.deployment} is damaged") from None
    if check != _check(line):
        raise DeploymentError(f"{settings.deployment} is damaged")
    if form != FORMAT:
        raise DeploymentError(f"{settings.data} was written by another version of Freehold ({form})")
    if not settings.root_key.exists():
        raise DeploymentError(f"there is no root key at {settings.root_key}; name it with --root-key")
    try:
        root_key = RootKey.load(settings.root_key)
    except RootKeyError as error:
        raise DeploymentError(str(error)) from None
    if root_key.fingerprint() != fingerprint:
        raise DeploymentError(f"the root key at {settings.root_key} is not the one that {settings.data} was made with")
    return root_key


def _write_mark(path: Path, root_key: RootKey) -> None:
    """Written last: a directory without it isn't a deployment."""
    line = f"{FORMAT} {root_key.fingerprint()}"
    with open(path, "x") as file:
        file.write(f"{line}\n{_check(line)}\n")
        file.flush()
        os.fsync(file.fileno())
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _check(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()

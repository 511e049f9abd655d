"""A data directory's beginning: the root key, the keyring under it, the mark, the first principals.

`init` and offline commands come here; they open a directory only while no server holds it.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from freehold.config import Settings
from freehold.crypto.root_key import RootKeyError
from freehold.custody.access import Access, terminal
from freehold.custody.errors import CustodyError, Locked, WrongSecret
from freehold.custody.keyring import Keyring
from freehold.custody.mark import open_directory, write_mark
from freehold.custody.opening import Opened, establish, put_under


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
    if custody == "file" and settings.root_key.is_relative_to(data):
        raise DeploymentError("the root key must not lie in the data directory; choose another place with --root-key")
    deployment, keyring = secrets.token_hex(16), Keyring.new()
    try:
        new = establish(custody, options or {}, access, deployment)
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chmod(data, 0o700)
        # Where the trail is to be is there from the start, so that its absence always means that somebody removed it.
        settings.audit.mkdir(mode=0o700)
        if custody == "file":
            # A key that somebody else puts there at this very moment is not overwritten either.
            settings.root_key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.root_key.save(settings.root_key)
        put_under(data, new, keyring, access=access, deployment=deployment, number=1, now_seconds=time.time())
    except (CustodyError, RootKeyError) as error:
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
    write_mark(data, deployment)
    return NewDeployment(
        account.account_id,
        KeyPair(account.access_key_id, account.secret_access_key),
        KeyPair(operator.access_key_id, operator.secret_access_key),
        new.shares,
    )


def access_of(settings: Settings) -> Access:
    """What the settings say about where secrets are, for a process that nobody sits at."""
    return Access(settings.root_key, settings.secret_file)


def root_key_of(settings: Settings, access: Access | None = None) -> Keyring:
    """The keyring of this directory, opened by its root key: what gives the sealing keys.

    Without `access`, what isn't in the settings is asked for at the terminal, if there is one. Raises NeedsPeople when
    a passphrase or shares are lacking, DeploymentError when there is no deployment, or when it can't be opened.
    """
    return opened(settings, access or replace(access_of(settings), ask=terminal())).keyring


def opened(settings: Settings, access: Access | None = None) -> Opened:
    """As `root_key_of`, with the head of the custody file; nobody is asked."""
    try:
        return open_directory(settings.data, access or access_of(settings))
    except Locked as error:
        raise NeedsPeople(f"the root key of {settings.data} is locked: {error}") from None
    except WrongSecret as error:
        raise DeploymentError(f"{settings.data} stays closed: {error}") from None
    except CustodyError as error:
        raise DeploymentError(str(error)) from None

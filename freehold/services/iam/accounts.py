"""Accounts, their root user's first key, and the operator: what exists before anyone can call anything.

Used by `freehold init` and by the operator's own operation; no client of an account can reach this.
"""

from __future__ import annotations

import secrets
import time
from typing import NamedTuple

from freehold.authentication.key_ids import new_access_key_id, new_secret, new_unique_id
from freehold.services.iam import service_principals
from freehold.services.iam.records import (
    ACCESS_KEYS,
    ACCOUNTS,
    OPERATOR_ACCOUNT,
    OPERATORS,
    AccessKey,
    Account,
    Operator,
)
from freehold.storage.records import Reader, Transaction


class NewAccount(NamedTuple):
    account_id: str
    access_key_id: str
    secret_access_key: str


class NewOperator(NamedTuple):
    access_key_id: str
    secret_access_key: str


def create_account(tx: Transaction, name: str, *, now_seconds: float | None = None) -> NewAccount:
    """A new customer account with a root access key. The secret is given here and never again.

    `now_seconds`: the deployment's time (the machine's when None). Raises ValueError for an empty or over-long name.
    """
    if not 1 <= len(name) <= 50:
        raise ValueError("an account's name has 1 to 50 characters")
    account_id = _random_account_id()
    while ACCOUNTS.get(tx, (account_id,)) is not None:
        account_id = _random_account_id()
    created_at = int(time.time() if now_seconds is None else now_seconds)
    key = new_access_key(tx, account_id, "root", account_id, created_at)
    ACCOUNTS.put(
        tx,
        (account_id,),
        Account(account_id=account_id, name=name, created_at=created_at, root_access_key_ids=[key.access_key_id]),
    )
    return NewAccount(account_id, key.access_key_id, key.secret)


def create_member_account(tx: Transaction, name: str, email: str, *, now_seconds: float) -> str:
    """The id of a new account whose root user has an address and no credentials: its organization's way in is a role.

    Names are the organization's to check.
    """
    account_id = _random_account_id()
    while ACCOUNTS.get(tx, (account_id,)) is not None:
        account_id = _random_account_id()
    record = Account(account_id=account_id, name=name, created_at=int(now_seconds), email=email)
    ACCOUNTS.put(tx, (account_id,), record)
    return account_id


def create_operator(tx: Transaction, name: str = "operator", *, now_seconds: float | None = None) -> NewOperator:
    """The provider's own principal, which belongs to no customer account, with a key pair."""
    created_at = int(time.time() if now_seconds is None else now_seconds)
    operator_id = new_unique_id("FHOP")
    key = new_access_key(tx, OPERATOR_ACCOUNT, "operator", operator_id, created_at)
    OPERATORS.put(
        tx,
        (operator_id,),
        Operator(unique_id=operator_id, name=name, created_at=created_at, access_key_ids=[key.access_key_id]),
    )
    return NewOperator(key.access_key_id, key.secret)


def new_access_key(tx: Transaction, account_id: str, owner: str, owner_id: str, created_at: int) -> AccessKey:
    """Make and store an access key; the owner's record must then name it."""
    key_id = new_access_key_id("AKIA", account_id)
    while ACCESS_KEYS.get(tx, (key_id,)) is not None:
        key_id = new_access_key_id("AKIA", account_id)
    key = AccessKey(
        access_key_id=key_id,
        secret=new_secret(),
        account_id=account_id,
        owner=owner,  # type: ignore[arg-type]
        owner_id=owner_id,
        created_at=created_at,
    )
    ACCESS_KEYS.put(tx, (key_id,), key)
    return key


def account(reader: Reader, account_id: str) -> Account | None:
    return ACCOUNTS.get(reader, (account_id,))


def every_account(reader: Reader) -> list[Account]:
    """All customer accounts, by id."""
    return [record for _, record in ACCOUNTS.scan(reader)]


def _random_account_id() -> str:
    """12 random digits, the first not 0, since some tools read account ids as numbers. Never one of AWS's own."""
    account_id = str(10**11 + secrets.randbelow(9 * 10**11))
    return _random_account_id() if account_id in service_principals.ACCOUNTS else account_id

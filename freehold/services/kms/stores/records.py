"""What KMS keeps of custom key stores. The stores themselves are of the whole cache domain `kms`: one that is
disconnected makes all of its keys unavailable for the next request. Nothing is cached of the other tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from freehold.services.kms.records import Mark, Record, by
from freehold.storage.records import Reader, Table, Transaction

if TYPE_CHECKING:
    from freehold.services.kms.records import Key

CLOUDHSM: Final = "AWS_CLOUDHSM"
EXTERNAL: Final = "EXTERNAL_KEY_STORE"
ORIGINS: Final = (CLOUDHSM, EXTERNAL)
"""A store's type is the origin of its keys."""

CONNECTED: Final = "CONNECTED"
CONNECTING: Final = "CONNECTING"
FAILED: Final = "FAILED"
DISCONNECTED: Final = "DISCONNECTED"
DISCONNECTING: Final = "DISCONNECTING"


class CustomKeyStore(Record, kw_only=True):
    store_id: str
    account_id: str
    region: str
    name: str
    kind: str
    created_at: float
    state: str = DISCONNECTED
    error: str = ""
    """AWS's ConnectionErrorCode, while the state is FAILED."""
    attempt: int = 0
    """Counts connections and changes of what they need: what was opened for another number isn't used any more."""
    changed_at: float = 0.0
    """When the state became what it is, seconds since the epoch."""
    sealed_secret: bytes = b""
    """The token's PIN or the proxy's secret access key, sealed beside the records' own sealing (`secret.py`)."""
    cluster_id: str = ""
    trust_anchor: str = ""
    token_serial: str = ""
    """Of the token at the first connection: another token under the same name is not taken for it."""
    endpoint: str = ""
    path: str = ""
    access_key_id: str = ""
    connectivity: str = ""

    def __repr__(self) -> str:
        return f"CustomKeyStore({self.store_id})"

    @property
    def connected(self) -> bool:
        return self.state == CONNECTED


class Taken(Record, kw_only=True):
    """A name that only one may have, and the id of the store or key that has it."""

    by: str


class TokenKey(Record, kw_only=True):
    """A key object in a token that is to be destroyed there."""

    key_id: str
    account_id: str
    deleted_at: float


STORES: Final = Table("kms.custom_key_stores", CustomKeyStore, domain="kms")  # (region, store id)
STORES_OF_ACCOUNT: Final = Table("kms.custom_key_stores_of_account", Mark)
"""(account, region, store id)"""
STORE_NAMES: Final = Table("kms.custom_key_store_names", Taken)  # (account, region, name)
CLUSTERS: Final = Table("kms.custom_key_store_clusters", Taken)
"""(cluster id): a token belongs to one store of the whole deployment."""
PROXIES: Final = Table("kms.external_key_store_proxies", Taken)  # (account, region, endpoint and path)
KEYS_OF_STORE: Final = Table("kms.keys_of_custom_key_store", Mark, domain=by(2))  # (region, store id, key id)
EXTERNAL_KEYS: Final = Table("kms.external_keys", Taken)  # (region, store id, external key id)
TO_DESTROY: Final = Table("kms.token_keys_to_destroy", TokenKey)  # (region, store id, key id)


def store_at(reader: Reader, region: str, store_id: str) -> CustomKeyStore | None:
    return STORES.get(reader, (region, store_id))


def save(tx: Transaction, store: CustomKeyStore) -> None:
    STORES.put(tx, (store.region, store.store_id), store)


def stores_of(reader: Reader, account_id: str, region: str, after: str = "") -> Iterator[CustomKeyStore]:
    """The account's stores in a Region, by id, those after `after`."""
    prefix = (account_id, region)
    options = {"after": (*prefix, after)} if after else {}
    for row, _ in STORES_OF_ACCOUNT.scan(reader, prefix, **options):
        store = store_at(reader, region, str(row[2]))
        if store is not None:
            yield store


def has_keys(reader: Reader, store: CustomKeyStore) -> bool:
    """Whether there are keys in the store, those that are pending deletion included."""
    return next(iter(KEYS_OF_STORE.scan(reader, (store.region, store.store_id), limit=1)), None) is not None


def leave(tx: Transaction, key: Key, now: float) -> None:
    """A key that is deleted leaves its store; what it has in a token is to be destroyed there (`upkeep.py`)."""
    place = (key.region, key.custom_key_store_id)
    KEYS_OF_STORE.delete(tx, (*place, key.key_id))
    if key.xks_key_id:
        EXTERNAL_KEYS.delete(tx, (*place, key.xks_key_id))
    if key.origin == CLOUDHSM:
        TO_DESTROY.put(tx, (*place, key.key_id), TokenKey(key_id=key.key_id, account_id=key.account_id, deleted_at=now))

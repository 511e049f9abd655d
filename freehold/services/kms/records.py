"""What KMS keeps: keys, the versions of their material, aliases, grants, and what is due when.

A key is found by (region, key id), since key ids are unique and a multi-Region key has the same one everywhere.
Key material is in a table of its own, sealed under the root key's `kms` sealing key besides the records' own sealing,
so that destroying a key's material touches nothing else and no record shows it. Holds no rules: those are the
operations'.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from freehold.arn import build
from freehold.storage.records import CorruptRecord, Reader, Table, Transaction, part
from freehold.storage.records import Key as StoreKey

log = logging.getLogger("freehold")


class Record(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Stored as a MessagePack map without defaults, so that a field with a default may be added later."""


class Key(Record, kw_only=True):
    key_id: str
    account_id: str
    region: str
    created_at: float
    """Seconds since the epoch, as all `…_at` here."""
    policy: str
    """The key policy's text with principals as unique ids (`iam/principals.py`)."""
    description: str = ""
    state: str = "Enabled"
    manager: str = "CUSTOMER"
    spec: str = "SYMMETRIC_DEFAULT"
    usage: str = "ENCRYPT_DECRYPT"
    origin: str = "AWS_KMS"
    tags: dict[str, str] = {}
    material: int = 0
    """Number of the material that encrypts; all lower numbers still decrypt."""
    material_id: str = ""
    on_demand_rotations: int = 0
    rotation_period_days: int = 0
    """0: no automatic rotation."""
    next_rotation_at: float = 0.0
    deletion_at: float = 0.0
    pending_window_days: int = 0
    custom_key_store_id: str = ""
    """The store that the key is in, "" for one whose material is kept here."""
    xks_key_id: str = ""
    """Of the external key that takes part in every use."""
    expires_at: float = 0.0
    """When the first of the imported materials that the key can't do without expires; 0: none does."""
    import_secret: bytes = b""
    """Keys the names of imported material (`imported.py`); the same in every Region of a multi-Region key."""

    primary_region: str = ""
    """Of a multi-Region key: where its primary key is. Empty for a single-Region key."""
    replica_regions: list[str] = []
    """Of a multi-Region key: where its replica keys are; the same in every related key."""

    @property
    def arn(self) -> str:
        return build("kms", self.region, self.account_id, f"key/{self.key_id}")

    @property
    def is_replica(self) -> bool:
        return self.primary_region not in ("", self.region)

    @property
    def multi_region_type(self) -> str:
        """PRIMARY, REPLICA, or nothing for a single-Region key."""
        if not self.primary_region:
            return ""
        return "REPLICA" if self.is_replica else "PRIMARY"

    def __repr__(self) -> str:
        return f"Key({self.key_id})"


class Material(Record, kw_only=True):
    """One version of a key's material: 32 bytes, sealed. `rotation` is "", "AUTOMATIC" or "ON_DEMAND"."""

    material_id: str
    sealed: bytes
    created_at: float
    rotation: str = ""

    def __repr__(self) -> str:
        return f"Material({self.material_id})"


class Imported(Record, kw_only=True):
    """Imported material that a key has, or had and may have again; the material itself is in MATERIALS."""

    material_id: str
    present: bool = False
    """Whether MATERIALS has it. What has expired is gone for everybody, even before the sweeper took it away."""
    expires_at: float = 0.0
    """0: never."""
    description: str = ""
    rotation: str = ""
    rotated_at: float = 0.0


class ImportEpoch(Record, kw_only=True):
    """What seals the import tokens of one day, until the last of them is invalid."""

    secret: bytes

    def __repr__(self) -> str:
        return "ImportEpoch(…)"


class LastUse(Record, kw_only=True):
    """A key's last successful cryptographic operation."""

    operation: str
    at: float
    event_id: str
    request_id: str


class Since(Record, kw_only=True):
    at: float


class Tombstone(Record, kw_only=True):
    """What is left of a key whose deletion window ran out."""

    account_id: str
    deleted_at: float


class Alias(Record, kw_only=True):
    target_key_id: str
    created_at: float
    updated_at: float


class Grant(Record, kw_only=True):
    """Principals are kept as unique ids where they are users or roles, service principals by name."""

    grant_id: str
    key_id: str
    account_id: str
    """The key's owner."""
    region: str
    created_at: float
    issuing_account: str
    operations: list[str]
    grantee: str = ""
    retiring: str = ""
    grantee_service: str = ""
    retiring_service: str = ""
    name: str = ""
    context_subset: dict[str, str] | None = None
    context_equals: dict[str, str] | None = None
    source_arn: str = ""

    @property
    def key_arn(self) -> str:
        return build("kms", self.region, self.account_id, f"key/{self.key_id}")


class Counts(Record, kw_only=True):
    """How many of what a key has, for the quotas."""

    aliases: int = 0
    grants: int = 0


class KeyCount(Record, kw_only=True):
    keys: int = 0


class Reference(Record, kw_only=True):
    key_id: str = ""
    grant_id: str = ""


class Mark(Record, kw_only=True):
    """A row whose key says everything."""


def part_of(name: str) -> str:
    """The part of the cache domain that a key or an alias is in, by whatever names it: an id, a name, an ARN.

    Rows are in the part of the key that they are about (an alias's name in its own), so that a change of one key drops
    nothing of most others.
    """
    return part("kms", name.rpartition("/")[2])


def by(place: int) -> Callable[[StoreKey], str]:
    """The part of the row whose key has the key id, or the alias, at `place`."""
    return lambda row: part_of(str(row[place]))


KEYS: Final = Table("kms.keys", Key, domain=by(1))  # (region, key id)
KEYS_OF_ACCOUNT: Final = Table("kms.keys_of_account", Mark, domain=by(2))  # (account, region, key id)
KEY_COUNTS: Final = Table("kms.key_counts", KeyCount)  # (account, region)
MATERIALS: Final = Table("kms.materials", Material, domain=by(1))  # (region, key id, number)
IMPORTED: Final = Table("kms.imported", Imported, domain=by(1))  # (region, key id, number)
IMPORT_EPOCHS: Final = Table("kms.import_epochs", ImportEpoch)  # (days since the epoch)
LAST_USES: Final = Table("kms.last_uses", LastUse)  # (region, key id)
USES_KEPT_SINCE: Final = Table("kms.uses_kept_since", Since)  # (0)
TOMBSTONES: Final = Table("kms.tombstones", Tombstone, domain=by(1))  # (region, key id)
ALIASES: Final = Table("kms.aliases", Alias, domain=by(2))  # (account, region, alias name)
ALIASES_OF_KEY: Final = Table("kms.aliases_of_key", Mark, domain=by(1))  # (region, key id, alias name)
GRANTS: Final = Table("kms.grants", Grant, domain=by(1))  # (region, key id, grant id)
GRANTS_OF_GRANTEE: Final = Table("kms.grants_of_grantee", Mark, domain=by(1))
"""(region, key id, grantee, grant id)"""
GRANTS_TO_RETIRE: Final = Table("kms.grants_to_retire", Mark, domain=by(2))
"""(retiring principal, region, key id, grant id)"""
NAMED_GRANTS: Final = Table("kms.named_grants", Reference, domain=by(1))  # (region, key id, digest)
COUNTS: Final = Table("kms.counts", Counts, domain=by(1))  # (region, key id)
DUE: Final = Table("kms.due", Mark, domain=by(3))
"""(seconds since the epoch; "delete", "rotate" or "expire"; region; key id)"""


def key_at(reader: Reader, region: str, key_id: str) -> Key | None:
    return KEYS.get(reader, (region, key_id))


def save(tx: Transaction, key: Key) -> None:
    KEYS.put(tx, (key.region, key.key_id), key)


def alias_names(reader: Reader, region: str, key_id: str) -> list[str]:
    """The key's aliases (`alias/…`), in order."""
    return [str(row[2]) for row, _ in ALIASES_OF_KEY.scan(reader, (region, key_id))]


def grants_to(reader: Reader, region: str, key_id: str, grantee: str) -> list[Grant]:
    """The grants on a key whose grantee is kept under this name."""
    rows = [row for row, _ in GRANTS_OF_GRANTEE.scan(reader, (region, key_id, grantee))]
    found = (GRANTS.get(reader, (region, key_id, row[3])) for row in rows)
    return [grant for grant in found if grant is not None]


def grants_of(reader: Reader, region: str, key_id: str) -> Iterator[Grant]:
    for _, grant in GRANTS.scan(reader, (region, key_id)):
        yield grant


def plan(tx: Transaction, at: float, what: str, key: Key) -> None:
    """Have the sweeper look at `key` from `at` on."""
    DUE.put(tx, (int(at), what, key.region, key.key_id), Mark())


def unplan(tx: Transaction, at: float, what: str, key: Key) -> None:
    DUE.delete(tx, (int(at), what, key.region, key.key_id))


def recount(tx: Transaction, key: Key, *, aliases: int = 0, grants: int = 0) -> None:
    """Add to the key's counts (or take away)."""
    counts = COUNTS.get(tx, (key.region, key.key_id)) or Counts()
    counts.aliases += aliases
    counts.grants += grants
    COUNTS.put(tx, (key.region, key.key_id), counts)


def count_keys(tx: Transaction, account_id: str, region: str, change: int) -> int:
    """How many customer managed keys an account has in a Region, after adding `change`."""
    place = (account_id, region)
    counted = KEY_COUNTS.get(tx, place)
    if counted is None:
        # Keys that were made before they were counted.
        ids = [str(row[2]) for row, _ in KEYS_OF_ACCOUNT.scan(tx, place)]
        found = (key_at(tx, region, key_id) for key_id in ids)
        counted = KeyCount(keys=sum(key is not None and key.manager == "CUSTOMER" for key in found))
    counted.keys += change
    KEY_COUNTS.put(tx, place, counted)
    return counted.keys


def due(tx: Transaction, now: float, what: str, most: int) -> list[Key]:
    """The keys that the sweeper should look at by now, the longest overdue first; each is off the list then."""
    rows: list[StoreKey] = []
    for row, _ in DUE.scan(tx):
        if int(row[0]) > now or len(rows) >= most:
            break
        if row[1] == what:
            rows.append(row)
    found = []
    for row in rows:
        try:
            key = key_at(tx, str(row[2]), str(row[3]))
        except CorruptRecord as error:
            # It stays on the list, and keeps no other key from its time.
            log.error("a key that is due is left: %s", error)
            continue
        DUE.delete(tx, row)
        if key is not None:
            found.append(key)
    return found

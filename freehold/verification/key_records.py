"""What KMS keeps beside keys and their material: each row that points at another finds it, and the other way round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from freehold.services.kms import records as kms
from freehold.services.kms import states
from freehold.services.kms.records import Key
from freehold.services.kms.stores import records as stores
from freehold.storage.records import Key as StoreKey
from freehold.storage.records import Table
from freehold.verification.contents import Contents, Unreadable
from freehold.verification.materials import keys_of
from freehold.verification.report import row


class KeyRecords:
    """The cross references of KMS's tables."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self.report = contents.report
        self._customer_keys: Counter[StoreKey] = Counter()
        self._counted: dict[StoreKey, list[int]] = {}

    def check(self) -> None:
        self.contents.progress.stage("references", None)
        for key in keys_of(self.contents):
            self.contents.progress.step()
            self._guarded(self._check_key, key)
        for table, check in self._tables():
            for at, record in self.contents.rows(table):
                self._guarded(check, at, record)
        self._check_counts()

    def _guarded(self, check: Callable[..., object], *given: Any) -> None:
        try:
            check(*given)
        except Unreadable:
            return  # told before

    def _tables(self) -> list[tuple[Table[Any], Callable[[StoreKey, Any], object]]]:
        return [
            (kms.KEYS_OF_ACCOUNT, self._check_listed),
            (kms.ALIASES, self._check_alias),
            (kms.ALIASES_OF_KEY, self._check_alias_of_key),
            (kms.GRANTS, self._check_grant),
            (kms.GRANTS_OF_GRANTEE, lambda at, _: self._points_at(kms.GRANTS_OF_GRANTEE, at, (*at[:2], at[3]))),
            (kms.GRANTS_TO_RETIRE, lambda at, _: self._points_at(kms.GRANTS_TO_RETIRE, at, at[1:])),
            (kms.NAMED_GRANTS, lambda at, named: self._points_at(kms.NAMED_GRANTS, at, (*at[:2], named.grant_id))),
            (kms.TOMBSTONES, self._check_tombstone),
            (kms.LAST_USES, lambda at, _: self._of_key(kms.LAST_USES, at)),
            (stores.STORES, self._check_store),
            (stores.KEYS_OF_STORE, self._check_in_store),
        ]

    # --- keys ------------------------------------------------------------------------------------------------

    def _check_key(self, key: Key) -> None:
        place = (key.region, key.key_id)
        name = row(kms.KEYS.name, place)
        if key.manager == "CUSTOMER":
            self._customer_keys[key.account_id, key.region] += 1
        if self.contents.get(kms.KEYS_OF_ACCOUNT, (key.account_id, *place)) is None:
            self.report.found(name, "its account's list lacks it")
        if key.state == states.PENDING_DELETION:
            self._planned(name, (int(key.deletion_at), "delete", *place), "its deletion")
        if key.state == states.ENABLED and key.rotation_period_days and not key.is_replica:
            self._planned(name, (int(key.next_rotation_at), "rotate", *place), "its rotation")
        for at, imported in self.contents.rows(kms.IMPORTED, place):
            if imported.present and imported.expires_at:
                self._planned(name, (int(imported.expires_at), "expire", *place), f"the expiry of material {at[2]}")
        if (
            key.custom_key_store_id
            and self.contents.get(stores.KEYS_OF_STORE, (key.region, key.custom_key_store_id, key.key_id)) is None
        ):
            self.report.found(name, f"its custom key store {key.custom_key_store_id} doesn't know it")
        if key.primary_region:
            self._check_related(name, key)

    def _planned(self, name: str, at: StoreKey, what: str) -> None:
        if self.contents.get(kms.DUE, at) is None:
            self.report.found(name, f"{what} is not on the list of what is due")

    def _check_related(self, name: str, key: Key) -> None:
        regions = (key.primary_region, *key.replica_regions)
        if key.region not in regions:
            self.report.found(name, "it is not one of its related keys")
        for region in regions:
            if region == key.region:
                continue
            other = self.contents.get(kms.KEYS, (region, key.key_id))
            if other is None:
                self.report.found(name, f"its related key in {region} is missing")
            elif (other.primary_region, other.replica_regions) != (key.primary_region, key.replica_regions):
                self.report.found(name, f"it and its related key in {region} name different related keys")
            elif (other.account_id, other.spec, other.usage, other.origin, other.material_id) != (
                key.account_id,
                key.spec,
                key.usage,
                key.origin,
                key.material_id,
            ):
                self.report.found(name, f"it differs from its related key in {region} in what they share")

    def _check_listed(self, at: StoreKey, _: object) -> None:
        key = self.contents.get(kms.KEYS, at[1:])
        if key is None or key.account_id != at[0]:
            self.report.found(row(kms.KEYS_OF_ACCOUNT.name, at), "there is no such key in this account")

    def _check_tombstone(self, at: StoreKey, _: object) -> None:
        if self.contents.get(kms.KEYS, at) is not None:
            self.report.found(row(kms.TOMBSTONES.name, at), "the key was deleted, and is there again")

    # --- aliases and grants ----------------------------------------------------------------------------------

    def _check_alias(self, at: StoreKey, alias: kms.Alias) -> None:
        name = row(kms.ALIASES.name, at)
        key = self.contents.get(kms.KEYS, (at[1], alias.target_key_id))
        if key is None or key.account_id != at[0]:
            self.report.found(name, "its key is missing")
        elif self.contents.get(kms.ALIASES_OF_KEY, (at[1], alias.target_key_id, at[2])) is None:
            self.report.found(name, "its key doesn't list it")

    def _check_alias_of_key(self, at: StoreKey, _: object) -> None:
        name = row(kms.ALIASES_OF_KEY.name, at)
        if not str(at[2]).startswith("alias/aws/"):
            self._count(at, 0)
        key = self._of_key(kms.ALIASES_OF_KEY, at)
        if key is None:
            return
        alias = self.contents.get(kms.ALIASES, (key.account_id, at[0], at[2]))
        if alias is None or alias.target_key_id != at[1]:
            self.report.found(name, "the alias is missing, or another key's")

    def _check_grant(self, at: StoreKey, grant: kms.Grant) -> None:
        name = row(kms.GRANTS.name, at)
        self._count(at, 1)
        if at != (grant.region, grant.key_id, grant.grant_id):
            self.report.found(name, "it is another grant's record")
            return
        self._of_key(kms.GRANTS, at)
        grantee = grant.grantee or grant.grantee_service
        if self.contents.get(kms.GRANTS_OF_GRANTEE, (*at[:2], grantee, at[2])) is None:
            self.report.found(name, "its grantee's list lacks it")
        retiring = grant.retiring or grant.retiring_service
        if retiring and self.contents.get(kms.GRANTS_TO_RETIRE, (retiring, *at)) is None:
            self.report.found(name, "the list of who may retire it lacks it")

    def _points_at(self, table: Table[Any], at: StoreKey, grant: StoreKey) -> None:
        if self.contents.get(kms.GRANTS, grant) is None:
            self.report.found(row(table.name, at), "its grant is missing")

    def _of_key(self, table: Table[Any], at: StoreKey) -> Key | None:
        key = self.contents.get(kms.KEYS, at[:2])
        if key is None:
            self.report.found(row(table.name, at), "its key is missing")
        return key

    def _count(self, at: StoreKey, what: int) -> None:
        self._counted.setdefault(at[:2], [0, 0])[what] += 1

    def _check_counts(self) -> None:
        for at, counts in self.contents.rows(kms.COUNTS):
            if [counts.aliases, counts.grants] != self._counted.pop(at, [0, 0]):
                self.report.found(row(kms.COUNTS.name, at), "it doesn't count what there is")
        for at in self._counted:
            if self._counted[at] != [0, 0]:
                self.report.found(row(kms.COUNTS.name, at), "it is missing")
        for at, counted in self.contents.rows(kms.KEY_COUNTS):
            if counted.keys != self._customer_keys[at]:
                self.report.found(row(kms.KEY_COUNTS.name, at), "it doesn't count the keys that there are")

    # --- custom key stores -----------------------------------------------------------------------------------

    def _check_store(self, at: StoreKey, store: stores.CustomKeyStore) -> None:
        name = row(stores.STORES.name, at)
        if at != (store.region, store.store_id):
            self.report.found(name, "it is another store's record")
        if self.contents.get(stores.STORES_OF_ACCOUNT, (store.account_id, *at)) is None:
            self.report.found(name, "its account's list lacks it")
        named = self.contents.get(stores.STORE_NAMES, (store.account_id, store.region, store.name))
        if named is None or named.by != store.store_id:
            self.report.found(name, "its name isn't its own")

    def _check_in_store(self, at: StoreKey, _: object) -> None:
        name = row(stores.KEYS_OF_STORE.name, at)
        if self.contents.get(stores.STORES, at[:2]) is None:
            self.report.found(name, "its store is missing")
        key = self.contents.get(kms.KEYS, (at[0], at[2]))
        if key is None or key.custom_key_store_id != at[1]:
            self.report.found(name, "the key is missing, or not in this store")

"""Key material: each key has what its record names, it opens in its place, and it is of the key's spec.

Material is opened in memory and shown nowhere. What is kept by someone else (an HSM's token) isn't looked at.
"""

from __future__ import annotations

from collections.abc import Iterator

from freehold.arn import build
from freehold.crypto.aead import IntegrityError, Sealer
from freehold.services.kms import imported, specs, states
from freehold.services.kms.errors import UnsupportedOperation
from freehold.services.kms.material import bound_to
from freehold.services.kms.records import IMPORTED, KEYS, MATERIALS, TOMBSTONES, Key
from freehold.services.kms.stores import secret
from freehold.services.kms.stores.records import CLOUDHSM, STORES, CustomKeyStore
from freehold.verification.contents import Contents, Unreadable
from freehold.verification.report import row

_IN_USE = (states.ENABLED, states.DISABLED)
_MOST_HELD = 4096


class Materials:
    """The deployment's key material, opened. Keeps some of it for the objects that are under it."""

    def __init__(self, contents: Contents, sealer: Sealer) -> None:
        self.contents = contents
        self.report = contents.report
        self.sealer = sealer
        self._held: dict[tuple[str, str, int], bytes] = {}

    def check(self) -> None:
        """Every key, every key store's secret, and every material of no key."""
        self.contents.progress.stage("key material", None)
        for at, key in self.contents.rows(KEYS):
            self.contents.progress.step()
            self.report.counts["keys"] += 1
            if at != (key.region, key.key_id):
                self.report.found(row(KEYS.name, at), "it is another key's record")
                continue
            self._check_key(key)
        for at, store in self.contents.rows(STORES):
            if store.sealed_secret:
                self._check_secret(row(STORES.name, at), store)
        for at, _ in self.contents.rows(MATERIALS):
            self._check_has_key(MATERIALS.name, at)
        for at, _ in self.contents.rows(IMPORTED):
            self._check_has_key(IMPORTED.name, at)

    def opened(self, region: str, key_id: str, number: int) -> bytes | None:
        """One version's material, None when there is none. Raises Unreadable for one that doesn't open."""
        at = (region, key_id, number)
        if at in self._held:
            return self._held[at]
        record = self.contents.get(MATERIALS, at)
        if record is None:
            return None
        try:
            raw = self.sealer.open(record.sealed, bound_to(region, key_id, number, record.material_id))
        except IntegrityError:
            raise Unreadable from None
        if len(self._held) >= _MOST_HELD:
            self._held.clear()
        self._held[at] = raw
        return raw

    def _check_key(self, key: Key) -> None:
        place = _named(key)
        numbers = {int(at[2]): record for at, record in self.contents.rows(MATERIALS, (key.region, key.key_id))}
        for number in numbers:
            self.report.counts["key materials"] += 1
            self._check_version(key, number)
        if key.origin == imported.EXTERNAL:
            self._check_imported(key, set(numbers))
            return
        wanted = set() if key.origin == CLOUDHSM else set(range(1, key.material + 1))
        for number in sorted(wanted - set(numbers)):
            self.report.found(place, f"its material {number} is missing")
        for number in sorted(set(numbers) - wanted):
            self.report.found(place, f"it has material {number}, which its record doesn't know: was it put back?")
        current = numbers.get(key.material)
        if current is not None and current.material_id != key.material_id:
            self.report.found(place, f"its material {key.material} is not the one that its record names")
        if not key.material:
            self.report.found(place, "its record names no material")

    def _check_version(self, key: Key, number: int) -> None:
        name = row(MATERIALS.name, (key.region, key.key_id, number))
        try:
            raw = self.opened(key.region, key.key_id, number)
            record = self.contents.get(MATERIALS, (key.region, key.key_id, number))
        except Unreadable:
            self.report.found(name, "the material does not open")
            return
        if raw is None or record is None:
            return
        try:
            fits = specs.of(key.spec).accept(raw) == raw
        except (specs.InvalidMaterial, UnsupportedOperation, KeyError):
            fits = False
        if not fits:
            self.report.found(name, f"the material is not one of a {key.spec} key")
        elif key.origin == imported.EXTERNAL and imported.material_id(key, raw) != record.material_id:
            self.report.found(name, "the material is not the one that its id names")
        if key.is_replica and key.origin == "AWS_KMS":
            try:
                same = self.opened(key.primary_region, key.key_id, number) == raw
            except Unreadable:
                return
            if not same:
                self.report.found(name, f"it is not the material of the primary key in {key.primary_region}")

    def _check_imported(self, key: Key, there: set[int]) -> None:
        place = _named(key)
        known = {int(at[2]): record for at, record in self.contents.rows(IMPORTED, (key.region, key.key_id))}
        for number, record in known.items():
            if record.present != (number in there):
                told = "is missing" if record.present else "is there, though it was deleted or has expired"
                self.report.found(place, f"its imported material {number} {told}")
        for number in sorted(there - set(known)):
            self.report.found(place, f"it has material {number}, of which no import is known")
        needed = [known.get(number) for number in range(1, key.material + 1)]
        if None in needed:
            self.report.found(place, "it doesn't know all the materials that belong to it")
            return
        complete = bool(needed) and all(record is not None and record.present for record in needed)
        if (complete and key.state == states.PENDING_IMPORT) or (not complete and key.state in _IN_USE):
            self.report.found(place, f"its state is {key.state}, which doesn't follow from its imported material")

    def _check_secret(self, name: str, store: CustomKeyStore) -> None:
        try:
            self.sealer.open(store.sealed_secret, secret.bound_to(store))
        except IntegrityError:
            self.report.found(name, "its secret does not open")

    def _check_has_key(self, table: str, at: tuple[str | int, ...]) -> None:
        region, key_id = str(at[0]), str(at[1])
        try:
            if self.contents.get(KEYS, (region, key_id)) is not None:
                return
            destroyed = self.contents.get(TOMBSTONES, (region, key_id)) is not None
        except Unreadable:
            return
        self.report.found(row(table, at), "its key was deleted, and this is left" if destroyed else "it has no key")


def _named(key: Key) -> str:
    return build("kms", key.region, key.account_id, f"key/{key.key_id}")


def keys_of(contents: Contents) -> Iterator[Key]:
    """The keys whose records can be read."""
    for _, key in contents.rows(KEYS):
        yield key

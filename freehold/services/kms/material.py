"""Key material: what the key's spec says (`specs.py`), per version of a key, kept sealed, opened only in memory.

Material is sealed under the root key's `kms` sealing key and bound to its key and version, above the records' own
sealing. Refuses to give out anything that isn't exactly what was sealed there.
"""

from __future__ import annotations

import contextlib
import logging
import weakref
from typing import TYPE_CHECKING

from freehold.crypto.aead import IntegrityError, Sealer
from freehold.services.kms import specs
from freehold.services.kms.errors import KmsInternal
from freehold.services.kms.identifiers import new_material_id
from freehold.services.kms.records import IMPORTED, MATERIALS, Key, Material, part_of
from freehold.storage.records import CorruptRecord, Reader, Transaction
from freehold.storage.records import Key as StoreKey

if TYPE_CHECKING:
    from freehold.app import App

log = logging.getLogger("freehold")
_sealers: weakref.WeakKeyDictionary[App, Sealer] = weakref.WeakKeyDictionary()


def sealer(app: App) -> Sealer:
    """What seals key material and grant tokens in this deployment."""
    held = _sealers.get(app)
    if held is None:
        held = _sealers[app] = Sealer(app.root_key.sealing_key("kms"), app.root_key.former_keys("kms"))
    return held


def bound_to(region: str, key_id: str, number: int, material_id: str) -> bytes:
    """What seals one version of a key: its associated data."""
    return f"freehold kms material v1\0{region}\0{key_id}\0{number}\0{material_id}".encode()


def add(
    app: App,
    tx: Transaction,
    key: Key,
    now: float,
    rotation: str = "",
    *,
    raw: bytes | None = None,
    material_id: str = "",
) -> None:
    """Make the key's next version and let it be what the key uses from now on. The caller saves `key`.

    `raw` is material that there is already (imported, another Region's, or made in a thread since that takes long),
    new material of the key's spec otherwise; `material_id` is its name, a new one otherwise.
    """
    number, material_id = key.material + 1, material_id or new_material_id()
    if raw is None:
        raw = specs.of(key.spec).make()
    put(app, tx, key, number, raw, material_id, now, rotation)
    key.material, key.material_id = number, material_id


def put(
    app: App, tx: Transaction, key: Key, number: int, raw: bytes, material_id: str, now: float, rotation: str = ""
) -> None:
    """Keep one version's material, sealed, without making it what the key uses."""
    sealed = sealer(app).seal(raw, bound_to(key.region, key.key_id, number, material_id))
    record = Material(material_id=material_id, sealed=sealed, created_at=now, rotation=rotation)
    MATERIALS.put(tx, (key.region, key.key_id, number), record)


def erase(tx: Transaction, key: Key, number: int) -> None:
    """Erase one version's material: no copy is left in the store or its journal once this is durable."""
    MATERIALS.erase(tx, (key.region, key.key_id, number))


def open_version(app: App, reader: Reader, region: str, key_id: str, number: int) -> tuple[bytes, str] | None:
    """One version's material and its id, None when there's none with this number."""
    try:
        record = MATERIALS.get(reader, (region, key_id, number))
    except CorruptRecord as error:
        log.error("stored key material is damaged: %s", error)
        raise KmsInternal from None
    if record is None:
        return None
    try:
        material = sealer(app).open(record.sealed, bound_to(region, key_id, number, record.material_id))
    except IntegrityError:
        raise KmsInternal from None
    return material, record.material_id


def destroy(tx: Transaction, key: Key) -> None:
    """Erase every version's material: no copy is left in the store or its journal once this is durable."""
    place = (key.region, key.key_id)
    rows: set[StoreKey] = {(*place, number) for number in range(1, key.material + 2)}
    # A damaged row is no reason to keep it, nor the others.
    with contextlib.suppress(CorruptRecord):
        rows.update(row for row, _ in tx.scan(MATERIALS.name, place))
    for row in rows:
        tx.erase(MATERIALS.name, row)
    for row, _ in list(tx.scan(IMPORTED.name, (key.region, key.key_id))):
        tx.delete(IMPORTED.name, row)
    tx.touch(part_of(key.key_id))

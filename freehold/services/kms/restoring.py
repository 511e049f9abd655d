"""Restoring a backup of key material into a stopped deployment: what was damaged comes back, what was deleted doesn't.

Only material comes back that its key's record counts, in a key that exists and whose window hasn't run out, where it is
missing or doesn't open. Where the data is older than the backup (a copy that was put back), the deletions that the
backup knows are done again first. Refuses backups past their time and those of other deployments.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from freehold.crypto.aead import IntegrityError, Sealer
from freehold.services.kms import deletion, imported, material, service_events
from freehold.services.kms.backups import (
    BACKUPS,
    Backup,
    Head,
    ImportedEntry,
    KeyEntry,
    Known,
    MaterialEntry,
    TombstoneEntry,
)
from freehold.services.kms.records import IMPORTED, MATERIALS, TOMBSTONES, Key, Material, Tombstone, key_at, save
from freehold.services.kms.stores import records as stores
from freehold.storage.records import CorruptRecord, Transaction


class Refused(Exception):
    """This backup isn't restored; the message says why."""


@dataclass(slots=True)
class Restored:
    """By ARN, what was done and what not."""

    restored: list[str] = field(default_factory=list)
    """Versions whose material is back."""
    whole: int = 0
    """Versions that were as they should be."""
    destroyed: list[str] = field(default_factory=list)
    """Keys that the backup knows to be deleted, and imported material; it was still in these older data."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Versions that don't come back, and why."""
    events: list[bytes] = field(default_factory=list)
    """For the trails of the accounts whose keys were destroyed."""


def admit(head: Head, deployment: str, now: float) -> None:
    """Raise Refused for a backup of another deployment, past its time, or from the future."""
    if head.deployment != deployment:
        raise Refused("this is a backup of another deployment")
    if now >= head.destroy_by:
        raise Refused("this backup is past its retention: it should have been destroyed")
    if head.created_at > now + 300:
        raise Refused("this backup is from the future: is the clock right?")


def restore(tx: Transaction, backup: Backup, sealer: Sealer, now: float) -> Restored:
    """Do all of it in this transaction. The caller has admitted the backup."""
    done = Restored()
    older = BACKUPS.get(tx, (backup.head.backup_id,)) is None
    if older:
        for entry in backup.entries:
            if isinstance(entry, TombstoneEntry):
                _bury(tx, entry, now, done)
        for entry in backup.entries:
            if isinstance(entry, ImportedEntry) and not entry.present:
                _take_away(tx, entry, backup.head, now, done)
        head = backup.head
        # These data know now what the backup does.
        known = Known(created_at=head.created_at, destroy_by=head.destroy_by, keys=head.keys, materials=head.materials)
        BACKUPS.put(tx, (head.backup_id,), known)
    overdue = {
        (entry.region, entry.key_id)
        for entry in backup.entries
        if older and isinstance(entry, KeyEntry) and 0 < entry.deletion_at <= now
    }
    for entry in backup.entries:
        if isinstance(entry, MaterialEntry):
            if (entry.region, entry.key_id) in overdue:
                done.left_out[_name(entry)] = "its key's deletion window has run out since the backup was made"
            else:
                _bring_back(tx, entry, sealer, now, done)
    tx.touch("kms")
    return done


def _bring_back(tx: Transaction, entry: MaterialEntry, sealer: Sealer, now: float, done: Restored) -> None:
    place = (entry.region, entry.key_id, entry.number)
    try:
        why_not = _reason_against(tx, entry, now)
    except (CorruptRecord, msgspec.MsgspecError):
        why_not = "its key's record is damaged"
    if why_not:
        done.left_out[_name(entry)] = why_not
        return
    bound = material.bound_to(*place, entry.material_id)
    try:
        record = MATERIALS.get(tx, place)
        if record is not None:
            if record.material_id != entry.material_id:
                done.left_out[_name(entry)] = "there is another material under its number"
                return
            if sealer.open(record.sealed, bound) == entry.raw:
                done.whole += 1
                return
    except (CorruptRecord, msgspec.MsgspecError, IntegrityError):
        record = None
    sealed = sealer.seal(entry.raw, bound)
    made = Material(material_id=entry.material_id, sealed=sealed, created_at=entry.created_at, rotation=entry.rotation)
    MATERIALS.put(tx, place, made)
    done.restored.append(_name(entry))


def _reason_against(tx: Transaction, entry: MaterialEntry, now: float) -> str:
    """Why this material stays away; nothing where it may come back."""
    place = (entry.region, entry.key_id)
    if TOMBSTONES.get(tx, place) is not None:
        return "its key was deleted"
    key = key_at(tx, *place)
    if key is None:
        return "its key is not there"
    if 0 < key.deletion_at <= now:
        return "its key's deletion window has run out"
    if key.origin != imported.EXTERNAL:
        return "" if entry.number <= key.material else "its key's record is older than it"
    record = IMPORTED.get(tx, (*place, entry.number))
    if record is None or record.material_id != entry.material_id:
        return "it is not one of the key's imported materials"
    return "" if imported.is_there(record, now) else "it was deleted, or has expired"


def _bury(tx: Transaction, entry: TombstoneEntry, now: float, done: Restored) -> None:
    """Delete a key that these older data still have, as it was deleted before."""
    place = (entry.region, entry.key_id)
    key = key_at(tx, *place)
    if key is not None:
        if key.custom_key_store_id:
            stores.leave(tx, key, now)
        deletion.destroy(tx, key, now)
        done.destroyed.append(key.arn)
        done.events.append(service_events.event("DeleteKey", key, now))
    TOMBSTONES.put(tx, place, Tombstone(account_id=entry.account_id, deleted_at=entry.deleted_at))


def _take_away(tx: Transaction, entry: ImportedEntry, head: Head, now: float, done: Restored) -> None:
    """Erase imported material that was deleted or had expired when the backup was made, unless it came again since."""
    place = (entry.region, entry.key_id, entry.number)
    key, record = key_at(tx, entry.region, entry.key_id), IMPORTED.get(tx, place)
    if key is None or record is None or not record.present or record.material_id != entry.material_id:
        return
    kept = MATERIALS.get(tx, place)
    if kept is not None and kept.created_at > head.created_at:
        return
    imported.remove(tx, key, entry.number, record)
    imported.settle(tx, key, now)
    save(tx, key)
    done.destroyed.append(_of(key, entry.number))
    details = {"keyMaterialId": entry.material_id}
    done.events.append(service_events.event("DeleteImportedKeyMaterial", key, now, details))


def _of(key: Key, number: int) -> str:
    return f"{key.arn}, material {number}"


def _name(entry: MaterialEntry) -> str:
    return f"{entry.region} {entry.key_id}, material {entry.number}"

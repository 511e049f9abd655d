"""Which imported materials belong to a key, which of them are there, and what that makes of the key's state.

The first material that is imported, and each that the key was rotated to, belongs to the key for good: when any of
them is deleted or expires the key is pending import, until that very material comes again. A symmetric key may have
one more, which waits for a rotation and belongs to nothing yet; it decrypts nothing and its loss changes nothing.
Materials are numbered like any key's, so that what was encrypted under one is opened by it whenever it's back.

A material's id is made of the key's id and the material, so that material that comes again is known, under a random
secret of the key, so that the id tells nobody which material it is, however guessable that may be.
https://docs.aws.amazon.com/kms/latest/developerguide/importing-keys-import-key-material.html
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import serialization

from freehold.services.kms import material, records, service_events, specs, states
from freehold.services.kms.errors import InvalidState
from freehold.services.kms.records import IMPORTED, Imported, Key
from freehold.storage.records import Reader, Transaction

if TYPE_CHECKING:
    from freehold.app import App

EXTERNAL: Final = "EXTERNAL"
EXPIRES: Final = "KEY_MATERIAL_EXPIRES"
DOES_NOT_EXPIRE: Final = "KEY_MATERIAL_DOES_NOT_EXPIRE"
DUE: Final = "expire"
"""What the sweeper has to do with a key whose material's time is up."""
_NAMED: Final = b"freehold kms imported material v1\0"


def begin(key: Key) -> None:
    """Make a new key one that takes imported material. The caller saves it."""
    key.origin, key.state, key.import_secret = EXTERNAL, states.PENDING_IMPORT, os.urandom(32)


def material_id(key: Key, raw: bytes) -> str:
    """The id that `raw` has in `key`: 64 hexadecimal digits. Of a key pair, its public half decides."""
    if specs.of(key.spec).asymmetric:
        raw = public_half(raw)
    return hmac.digest(key.import_secret, _NAMED + key.key_id.encode() + b"\0" + raw, "sha256").hex()


def public_half(private_key: bytes) -> bytes:
    """The SubjectPublicKeyInfo, in DER, of a private key that was made or checked here."""
    loaded = serialization.load_der_private_key(private_key, None, unsafe_skip_rsa_key_validation=True)
    return loaded.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def of(reader: Reader, key: Key) -> dict[int, Imported]:
    """The key's imported materials by number, in order."""
    return {int(row[2]): record for row, record in IMPORTED.scan(reader, (key.region, key.key_id))}


def is_there(record: Imported, now: float) -> bool:
    return record.present and not _is_over(record, now)


def _is_over(record: Imported, now: float) -> bool:
    return 0 < record.expires_at <= now


def put(app: App, tx: Transaction, key: Key, number: int, record: Imported, raw: bytes, now: float) -> None:
    """Import `raw` as the key's material `number`; the caller settles and saves `key`."""
    record.present = True
    material.put(app, tx, key, number, raw, record.material_id, round(now, 3), record.rotation)
    IMPORTED.put(tx, (key.region, key.key_id, number), record)
    if record.expires_at:
        records.plan(tx, record.expires_at, DUE, key)


def remove(tx: Transaction, key: Key, number: int, record: Imported) -> None:
    """Erase one material. One that only waits for a rotation is forgotten, unless the primary key says what a replica
    should have. The caller settles and saves `key`."""
    material.erase(tx, key, number)
    if number > key.material and not key.is_replica:
        IMPORTED.delete(tx, (key.region, key.key_id, number))
        return
    record.present, record.expires_at = False, 0.0
    IMPORTED.put(tx, (key.region, key.key_id, number), record)


def settle(tx: Transaction, key: Key, now: float) -> None:
    """Give the key the state and the deadline that follow from its materials. The caller saves it."""
    needed = [record for number, record in of(tx, key).items() if number <= key.material]
    complete = bool(needed) and all(is_there(record, now) for record in needed)
    key.expires_at = min((record.expires_at for record in needed if record.present and record.expires_at), default=0.0)
    if complete and key.state == states.PENDING_IMPORT:
        key.state = states.ENABLED
    elif not complete and key.state in (states.ENABLED, states.DISABLED):
        key.state = states.PENDING_IMPORT


def expire(app: App, tx: Transaction, key: Key, now: float) -> bool:
    """Erase what has expired of the key's material, and tell its account. Whether there was any: save `key` then."""
    expired = [(number, record) for number, record in of(tx, key).items() if record.present and _is_over(record, now)]
    for number, record in expired:
        remove(tx, key, number, record)
        service_events.tell(app, tx, "DeleteExpiredKeyMaterial", key, details={"keyMaterialId": record.material_id})
    if expired:
        settle(tx, key, now)
    return bool(expired)


def is_everywhere(reader: Reader, keys: Iterable[Key], number: int, now: float) -> bool:
    """Whether each of these related keys has the material with this number."""
    found = [IMPORTED.get(reader, (key.region, key.key_id, number)) for key in keys]
    return all(record is not None and is_there(record, now) for record in found)


def rotate(app: App, tx: Transaction, key: Key, replicas: Sequence[Key], now: float) -> None:
    """Have `key` use the material that waits for it. The caller saves `key`, and has its replicas follow (`relate`).

    Raises KMSInvalidStateException unless there is such material, in the Region of every replica too.
    """
    expire(app, tx, key, now)
    states.admit("RotateKeyOnDemand", key)
    waiting = [(number, record) for number, record in of(tx, key).items() if number > key.material]
    if not waiting or not is_everywhere(tx, [key, *replicas], waiting[0][0], now):
        raise InvalidState(f"{key.arn} has no key material that is pending rotation; import new key material first.")
    number, record = waiting[0]
    record.rotation, record.rotated_at = "ON_DEMAND", round(now, 3)
    IMPORTED.put(tx, (key.region, key.key_id, number), record)
    key.material, key.material_id = number, record.material_id
    settle(tx, key, now)


def relate(tx: Transaction, primary: Key, replica: Key, now: float) -> None:
    """Have `replica` know the materials of its primary key, to be imported in its own Region. The caller saves it.

    What the primary key doesn't know any more is erased from the replica.
    """
    replica.import_secret = primary.import_secret
    known, wanted = of(tx, replica), of(tx, primary)
    for number, record in known.items():
        if number not in wanted or wanted[number].material_id != record.material_id:
            material.erase(tx, replica, number)
            IMPORTED.delete(tx, (replica.region, replica.key_id, number))
    for number, record in wanted.items():
        mine = known.get(number)
        if mine is None or mine.material_id != record.material_id:
            mine = Imported(material_id=record.material_id, description=record.description)
        mine.rotation, mine.rotated_at = record.rotation, record.rotated_at
        IMPORTED.put(tx, (replica.region, replica.key_id, number), mine)
    replica.material, replica.material_id = primary.material, primary.material_id
    settle(tx, replica, now)

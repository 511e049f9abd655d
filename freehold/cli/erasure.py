"""Can the root key and the whole data directory still decrypt an object? Tries every key that is stored there.

For the tour and tests: it goes around authorization with the root key in hand, as a thief of both would, and tells
only whether it succeeded, never what it found.
"""

from __future__ import annotations

from typing import NamedTuple

from freehold.config import Settings
from freehold.crypto.aead import IntegrityError, Sealer
from freehold.crypto.envelope import open_message
from freehold.deployment import root_key_of
from freehold.services.kms.material import bound_to
from freehold.services.kms.records import MATERIALS
from freehold.services.s3.encryption import encryption_context
from freehold.services.s3.records import OBJECTS
from freehold.storage.counters import SharedCounters
from freehold.storage.locks import hold_directory
from freehold.storage.sqlite import SqliteRecords


class Attempt(NamedTuple):
    keys_tried: int
    recovered: bool


def attempt(settings: Settings, bucket: str, key: str) -> Attempt:
    """Try to open the data key of an SSE-KMS object with every backing key of a stopped deployment.

    Raises LookupError when there is no such object, DirectoryHeld while a server runs.
    """
    root_key = root_key_of(settings)
    with hold_directory(settings.data):
        records = SqliteRecords(
            settings.data, root_key.sealing_key("pages"), Sealer(root_key.sealing_key("records")), SharedCounters()
        )
        try:
            reader = records.reader()
            found = OBJECTS.get(reader, (bucket, key))
            if found is None:
                raise LookupError(f"there is no object {bucket}/{key}")
            kept = found.encryption
            context = encryption_context(bucket, key, kept.bucket_key, kept.context)
            sealer = Sealer(root_key.sealing_key("kms"), root_key.former_keys("kms"))
            tried, recovered = 0, False
            for (region, key_id, number), material in MATERIALS.scan(reader):
                tried += 1
                bound = bound_to(str(region), str(key_id), int(number), material.material_id)
                try:
                    open_message(sealer.open(material.sealed, bound), kept.wrapped, context)
                    recovered = True
                except (IntegrityError, ValueError):
                    # Another key's, or material that is no backing key: an HMAC key, a key pair.
                    continue
            return Attempt(tried, recovered)
        finally:
            records.close()

"""Another sealing key for what KMS seals itself: key material, and key stores' secrets; for a stopped deployment.

The keyring gets the new key first and keeps the former ones, so that whatever is cut off, everything still opens. Grant
tokens that are under way (minutes) open too.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from freehold.crypto.aead import Sealer
from freehold.services.kms.material import bound_to
from freehold.services.kms.records import MATERIALS
from freehold.services.kms.stores import secret
from freehold.services.kms.stores.records import STORES
from freehold.storage.records import Transaction

PURPOSE = "kms"


class Resealed(NamedTuple):
    materials: int
    secrets: int


def reseal(tx: Transaction, sealer: Sealer) -> Resealed:
    """Seal everything under the sealer's first key. Raises IntegrityError for what doesn't open: nothing is changed."""
    materials = secrets = 0
    for row, material in list(MATERIALS.scan(tx)):
        bound = bound_to(str(row[0]), str(row[1]), int(row[2]), material.material_id)
        sealed = sealer.seal(sealer.open(material.sealed, bound), bound)
        MATERIALS.put(tx, row, msgspec.structs.replace(material, sealed=sealed))
        materials += 1
    for row, store in list(STORES.scan(tx)):
        if store.sealed_secret:
            bound = secret.bound_to(store)
            sealed = sealer.seal(sealer.open(store.sealed_secret, bound), bound)
            STORES.put(tx, row, msgspec.structs.replace(store, sealed_secret=sealed))
            secrets += 1
    return Resealed(materials, secrets)

"""A key store's secret (a token's PIN, a proxy's secret access key): sealed for its store, beside the records' sealing.

It is given once, is in no answer, no event and no representation, and is opened only where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.crypto.aead import IntegrityError
from freehold.services.kms import material
from freehold.services.kms.errors import KmsInternal

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.services.kms.stores.records import CustomKeyStore


def sealed(app: App, store: CustomKeyStore, secret: str) -> bytes:
    return material.sealer(app).seal(secret.encode(), bound_to(store))


def opened(app: App, store: CustomKeyStore) -> str:
    """Raises KMSInternalException where it isn't what was sealed for this store."""
    try:
        return material.sealer(app).open(store.sealed_secret, bound_to(store)).decode()
    except IntegrityError:
        raise KmsInternal("The custom key store's secret cannot be read.") from None


def bound_to(store: CustomKeyStore) -> bytes:
    """What seals a store's secret: its associated data."""
    return f"freehold kms custom key store v1\0{store.region}\0{store.store_id}".encode()

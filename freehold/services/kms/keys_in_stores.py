"""CreateKey in a custom key store: material made in a token, or a KMS key for an external key.

What has to wait for the token or the proxy is done before the transaction. The transaction then looks again whether
the store is as it was; where it isn't, or anything else is refused, what was made in the token is destroyed. Such keys
are symmetric encryption keys of one Region.
https://docs.aws.amazon.com/kms/latest/developerguide/create-cmk-keystore.html
https://docs.aws.amazon.com/kms/latest/developerguide/create-xks-keys.html
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from freehold.services.kms import material, specs
from freehold.services.kms.errors import UnsupportedOperation, ValidationException
from freehold.services.kms.identifiers import new_key_id
from freehold.services.kms.records import Mark
from freehold.services.kms.stores import backends, checks, records
from freehold.services.kms.stores.errors import ExternalKeyInUse, StoreInvalidState, StoreProblem
from freehold.services.kms.stores.records import CLOUDHSM, EXTERNAL, EXTERNAL_KEYS, KEYS_OF_STORE, Taken

if TYPE_CHECKING:
    from freehold.errors import AwsError
    from freehold.services.call import Call
    from freehold.services.kms.records import Key
    from freehold.services.kms.stores.records import CustomKeyStore
    from freehold.services.operation import Params, Result

log = logging.getLogger("freehold")

_OWN_NAMES: Final = (".", "..")
"""They would be steps in the path of a proxy's URI."""


class InStore(NamedTuple):
    """A key to be, for the handler: what it needs is in its store."""

    key_id: str
    store: CustomKeyStore
    external_key: str = ""


async def prepared(call: Call, params: Params) -> InStore | None:
    """Make what a key in a store needs there; None for any other key. Raises AWS's errors."""
    origin = params.get("Origin", "AWS_KMS")
    if origin not in records.ORIGINS:
        for member in ("CustomKeyStoreId", "XksKeyId"):
            if member in params:
                raise ValidationException(f"{member} is not valid for a KMS key with the origin {origin}.")
        return None
    spec, _ = specs.chosen(params)
    if spec.name != specs.SYMMETRIC or params.get("MultiRegion"):
        raise UnsupportedOperation("Only symmetric encryption KMS keys in a single Region are in custom key stores.")
    if "CustomKeyStoreId" not in params:
        raise ValidationException(f"CustomKeyStoreId is required for a KMS key with the origin {origin}.")
    if (origin == EXTERNAL) != ("XksKeyId" in params):
        verb = "is required" if origin == EXTERNAL else "is not valid"
        raise ValidationException(f"XksKeyId {verb} for a KMS key with the origin {origin}.")
    store = records.store_at(call.reader, call.region, params["CustomKeyStoreId"])
    if store is None or store.account_id != call.account_id:
        raise checks.store_not_found(params["CustomKeyStoreId"])
    if store.kind != origin:
        raise UnsupportedOperation(f"{store.store_id} has the type {store.kind}: it has no keys of origin {origin}.")
    made = InStore(new_key_id(multi_region=False), store, params.get("XksKeyId", ""))
    _check_connected(store)
    _check_external_key(call, made)
    try:
        await backends.of(call.app).run(store, lambda: _make(call, made))
    except StoreProblem as problem:
        raise problem.creating() from None
    except BaseException:
        # Nobody waits for it any more, and it may still be made.
        if store.kind == CLOUDHSM:
            _abandon(call, made)
        raise
    return made


def enter(call: Call, key: Key, made: InStore) -> None:
    """Put a new key into its store, in the handler's transaction; the caller saves it. KMS's own part is made here."""
    store = records.store_at(call.tx, call.region, made.store.store_id)
    if store is None or store.attempt != made.store.attempt:
        raise StoreInvalidState(f"The custom key store {made.store.store_id} was changed meanwhile. Retry the request.")
    _check_connected(store)
    _check_external_key(call, made)
    key.origin, key.custom_key_store_id, key.xks_key_id = store.kind, store.store_id, made.external_key
    place = (store.region, store.store_id)
    KEYS_OF_STORE.put(call.tx, (*place, key.key_id), Mark())
    if store.kind == EXTERNAL:
        EXTERNAL_KEYS.put(call.tx, (*place, made.external_key), Taken(by=key.key_id))
        material.add(call.app, call.tx, key, key.created_at)
    else:
        key.material = 1


def or_abandoned(call: Call, made: InStore, create: Callable[[], Result]) -> Result:
    """What `create` returns; if it raises, what was made in the token is destroyed there."""
    try:
        return create()
    except BaseException:
        if made.store.kind == CLOUDHSM:
            _abandon(call, made)
        raise


def _make(call: Call, made: InStore) -> None:
    stores, store = backends.of(call.app), made.store
    if store.kind == CLOUDHSM:
        from freehold.services.kms.stores.pkcs11 import label

        name = label(call.account_id, made.key_id)
        try:
            stores.on_token(call.app, store, lambda token: token.make(made.key_id, name))
        except TimeoutError:
            # It may still be made, by and by.
            _abandon(call, made)
            raise
        return
    from freehold.services.kms.stores import xks

    xks.check_key(stores.client(call.app, store), made.external_key, xks.request_metadata(call, "CreateKey"))


def _abandon(call: Call, made: InStore) -> None:
    try:
        token = backends.of(call.app).token(call.app, made.store)
        token.library.threads.submit(lambda: token.destroy(made.key_id))
    except Exception as error:
        log.error("key material that isn't used was left in a token: %s", type(error).__name__)


def _check_connected(store: CustomKeyStore) -> None:
    if not store.connected:
        raise StoreInvalidState(
            f"The custom key store {store.store_id} is {store.state}. Connect it and try the request again."
        )


def _check_external_key(call: Call, made: InStore) -> None:
    if made.external_key in _OWN_NAMES:
        raise ValidationException(f"XksKeyId must not be {made.external_key}.")
    if not made.external_key:
        return
    reader = call.transaction or call.reader
    if EXTERNAL_KEYS.get(reader, (call.region, made.store.store_id, made.external_key)) is not None:
        raise _external_key_in_use(made)


def _external_key_in_use(made: InStore) -> AwsError:
    return ExternalKeyInUse(f"The external key {made.external_key} is associated with another KMS key in this store.")

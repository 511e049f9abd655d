"""What a store's owner says about it, tried out: is the token there, is it the one that is meant, does a proxy answer.

It happens before anything is kept, in threads, within the time that stores have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.services.kms.stores import backends
from freehold.services.kms.stores.configuration import HsmToken, certificate
from freehold.services.kms.stores.errors import (
    ClusterNotFound,
    ClusterNotRelated,
    DependencyTimeout,
    IncorrectTrustAnchor,
    StoreInvalidState,
    StoreNotFound,
    StoreProblem,
)
from freehold.services.kms.stores.records import CLOUDHSM, store_at
from freehold.services.kms.stores.threads import Busy

if TYPE_CHECKING:
    from freehold.errors import AwsError
    from freehold.services.call import Call, Elsewhere
    from freehold.services.kms.stores.records import CustomKeyStore


def store_not_found(name: str) -> AwsError:
    return StoreNotFound(f"The custom key store {name} was not found.")


def elsewhere(call: Call, store_id: str) -> Elsewhere | None:
    """Where what waits for one of the account's stores runs, None where there is no such store."""
    found = store_at(call.reader, call.region, store_id)
    if found is None or found.account_id != call.account_id:
        return None
    return backends.of(call.app).elsewhere(found)


def connected(call: Call, store_id: str) -> CustomKeyStore:
    """One of the account's stores that is connected. Raises AWS's errors otherwise."""
    found = store_at(call.reader, call.region, store_id)
    if found is None or found.account_id != call.account_id:
        raise store_not_found(store_id)
    if not found.connected:
        raise StoreInvalidState(f"The custom key store {store_id} is {found.state}. Connect it and retry the request.")
    return found


async def store(call: Call, store: CustomKeyStore, secret: str, trust_anchor: str | None, operation: str) -> None:
    """Raise AWS's error unless the store's token is there and its owner's, or its proxy is ready.

    `secret` is the proxy's; a token's PIN is not tried here, since wrong ones are counted.
    """
    if store.kind == CLOUDHSM:
        token = _token(call, store)
        if certificate(trust_anchor or "") != token.trust_anchor:
            raise IncorrectTrustAnchor(f"The certificate is not the trust anchor of the cluster {store.cluster_id}.")
        await _present(call, token)
        return

    def ask() -> None:
        from freehold.services.kms.stores import xks

        client = stores.new_client(store, secret)
        try:
            xks.check_health(client, operation, call.request_id)
        finally:
            client.close()

    stores = backends.of(call.app)
    await _tried(call, ask)


async def related(call: Call, store: CustomKeyStore, before: str) -> None:
    """Raise AWS's error unless the store's new cluster is there and has the trust anchor that it was made with."""
    token = _token(call, store)
    if certificate(store.trust_anchor) != token.trust_anchor:
        raise ClusterNotRelated(f"The cluster {store.cluster_id} has another trust anchor than {before}.")
    await _present(call, token)


def _token(call: Call, store: CustomKeyStore) -> HsmToken:
    token = backends.of(call.app).configured(store.cluster_id, call.account_id)
    if token is None:
        raise ClusterNotFound(f"The cluster {store.cluster_id} was not found.")
    return token


async def _present(call: Call, token: HsmToken) -> None:
    stores = backends.of(call.app)

    def look() -> None:
        from freehold.services.kms.stores.hsm import library

        used = library(token.uri.module)
        stores.in_library(used, lambda: used.find(token.uri, stores.hsm_seconds))

    await _tried(call, look)


async def _tried(call: Call, work: backends.Work) -> None:
    try:
        stores = backends.of(call.app)
        await stores.making.run(work, stores.call_seconds)
    except StoreProblem as problem:
        raise problem.managing() from None
    except (TimeoutError, Busy):
        raise DependencyTimeout("The system timed out while trying to fulfill the request.") from None

"""Connecting and disconnecting custom key stores, and what is to be done in them once they are connected.

A store that isn't CONNECTED makes its keys unavailable, in every worker, for the next request. Connecting goes on
after its request has been answered, in the store's own threads; each worker opens connections of its own when it needs
them. Key objects of deleted KMS keys are destroyed in their tokens as soon as those are connected.
https://docs.aws.amazon.com/kms/latest/developerguide/connect-keystore.html
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

from freehold.errors import AwsError
from freehold.services.kms.custom_key_stores import in_state, named
from freehold.services.kms.permissions import on_account
from freehold.services.kms.stores import backends, records
from freehold.services.kms.stores.errors import StoreProblem
from freehold.services.kms.stores.records import (
    CLOUDHSM,
    CONNECTED,
    CONNECTING,
    DISCONNECTED,
    DISCONNECTING,
    FAILED,
    STORES,
    TO_DESTROY,
    CustomKeyStore,
)
from freehold.services.kms.stores.threads import Busy
from freehold.services.operation import Params, Result, due_work, operation

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.services.call import Call
    from freehold.services.kms.records import Key
    from freehold.storage.records import Transaction

log = logging.getLogger("freehold")

MOST_CONNECTING_SECONDS: Final = 120
"""After that long whoever was connecting is gone."""
_TIMED_OUT: Final = {CLOUDHSM: "NETWORK_ERRORS", records.EXTERNAL: "XKS_PROXY_TIMED_OUT"}
_AT_MOST_PER_SWEEP: Final = 100


@operation("kms.ConnectCustomKeyStore", permissions=on_account("kms:ConnectCustomKeyStore"), writes=True)
def connect_custom_key_store(call: Call, params: Params) -> Result:
    """Begin to connect a store; DescribeCustomKeyStores tells how it went. One that FAILED is disconnected first.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_ConnectCustomKeyStore.html
    """
    store = named(call, params["CustomKeyStoreId"])
    if store.state in (DISCONNECTING, FAILED):
        raise in_state(store, "ConnectCustomKeyStore")
    if store.state == DISCONNECTED:
        _enter(call, store, CONNECTING)
        call.tx.after_commit(partial(_begin_to_connect, call.app, store, call.request_id))
    return {}


@operation("kms.DisconnectCustomKeyStore", permissions=on_account("kms:DisconnectCustomKeyStore"), writes=True)
def disconnect_custom_key_store(call: Call, params: Params) -> Result:
    """Disconnect a store: its keys are unavailable from now on, until it is connected again.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_DisconnectCustomKeyStore.html
    """
    store = named(call, params["CustomKeyStoreId"])
    if store.state in (DISCONNECTING, DISCONNECTED):
        raise in_state(store, "DisconnectCustomKeyStore")
    _enter(call, store, DISCONNECTING)
    call.tx.after_commit(partial(_disconnect, call.app, store))
    return {}


def _enter(call: Call, store: CustomKeyStore, state: str) -> None:
    store.state, store.error = state, ""
    store.attempt += 1
    store.changed_at = round(call.app.clock.now_seconds(), 3)
    records.save(call.tx, store)


def _begin_to_connect(app: App, store: CustomKeyStore, request_id: str) -> None:
    try:
        backends.of(app).threads(store).submit(partial(_connect, app, store, request_id))
    except Busy:
        _finish(app, store, "INTERNAL_ERROR", "")


def _connect(app: App, store: CustomKeyStore, request_id: str) -> None:
    """Reach the store, in one of its threads, and tell how that went."""
    stores = backends.of(app)
    error = serial = ""
    try:
        if store.kind == CLOUDHSM:
            stores.on_token(app, store, lambda token: token.open())
            serial = stores.token(app, store).serial
        else:
            from freehold.services.kms.stores import xks

            xks.check_health(stores.client(app, store), "ConnectCustomKeyStore", request_id)
    except StoreProblem as problem:
        error = problem.row.connection
    except (TimeoutError, Busy):
        error = _TIMED_OUT[store.kind]
    except Exception as defect:
        log.error("a custom key store could not be connected: %s", type(defect).__name__)
        error = "INTERNAL_ERROR"
    if error:
        stores.forget(store)
    _finish(app, store, error, serial)


def _finish(app: App, store: CustomKeyStore, error: str, serial: str) -> None:
    """Record how connecting went, unless the store was told something else meanwhile."""

    def work(tx: Transaction) -> None:
        current = _as_it_was(tx, store)
        if current is None:
            return
        current.state, current.error = (FAILED, error) if error else (CONNECTED, "")
        current.token_serial = current.token_serial or serial
        records.save(tx, current)
        if not error and current.kind == CLOUDHSM:
            tx.after_commit(partial(destroy_soon, app, current))

    app.records.submit(work)


def _disconnect(app: App, store: CustomKeyStore) -> None:
    backends.of(app).forget(store)

    def work(tx: Transaction) -> None:
        current = _as_it_was(tx, store)
        if current is not None:
            current.state = DISCONNECTED
            records.save(tx, current)

    app.records.submit(work)


def _as_it_was(tx: Transaction, store: CustomKeyStore) -> CustomKeyStore | None:
    current = records.store_at(tx, store.region, store.store_id)
    unchanged = current is not None and (current.attempt, current.state) == (store.attempt, store.state)
    return current if unchanged else None


@due_work
def settle_stores(app: App, tx: Transaction) -> None:
    """Finish what a worker that died had begun, and destroy in tokens what deleted keys left there."""
    now = app.clock.now_seconds()
    for _, store in STORES.scan(tx):
        if store.state == CONNECTING and now - store.changed_at > MOST_CONNECTING_SECONDS:
            store.state, store.error = FAILED, "INTERNAL_ERROR"
            records.save(tx, store)
        elif store.state == DISCONNECTING:
            store.state = DISCONNECTED
            records.save(tx, store)
        elif store.connected and next(iter(TO_DESTROY.scan(tx, (store.region, store.store_id), limit=1)), None):
            tx.after_commit(partial(destroy_soon, app, store))


def leave(app: App, tx: Transaction, key: Key, now: float) -> None:
    """A key is deleted: it leaves its store, and its object in a token is destroyed as soon as that can be."""
    records.leave(tx, key, round(now, 3))
    store = records.store_at(tx, key.region, key.custom_key_store_id)
    if store is not None and store.kind == CLOUDHSM and store.connected:
        tx.after_commit(partial(destroy_soon, app, store))


def destroy_soon(app: App, store: CustomKeyStore) -> None:
    """Destroy in the store's token what is to be destroyed there. Quick: it is done in the store's threads."""
    try:
        backends.of(app).threads(store).submit(partial(_destroy, app, store))
    except Busy:
        log.warning("a key store is busy; what is to be destroyed in it is destroyed later")


def _destroy(app: App, store: CustomKeyStore) -> None:
    place = (store.region, store.store_id)
    stores = backends.of(app)
    done: list[str] = []
    for row, _ in list(TO_DESTROY.scan(app.records.reader(), place, limit=_AT_MOST_PER_SWEEP)):
        key_id = str(row[2])
        try:
            stores.on_token(app, store, lambda token, key_id=key_id: token.destroy(key_id))  # type: ignore[misc]
        except (StoreProblem, AwsError, TimeoutError, Busy) as error:
            log.warning("key material could not be destroyed in its token yet: %s", type(error).__name__)
            break
        done.append(key_id)

    def work(tx: Transaction) -> None:
        for key_id in done:
            TO_DESTROY.delete(tx, (*place, key_id))

    if done:
        app.records.submit(work)

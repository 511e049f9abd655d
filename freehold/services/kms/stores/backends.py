"""The key stores as one worker uses them: connections, the threads that wait for them, and messages under their keys.

A connection belongs to one `attempt` of its store: what was opened before a disconnection, or with an earlier secret,
is closed and not used again. Nothing is opened before it is needed, and so never before the worker was forked.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from freehold.authentication.credentials import Secret
from freehold.crypto import store_envelope
from freehold.crypto.envelope import Header, InvalidBlob
from freehold.errors import AwsError
from freehold.services.kms.errors import InvalidCiphertext, InvalidState, KmsInternal, UnsupportedOperation
from freehold.services.kms.stores import records, secret
from freehold.services.kms.stores.configuration import BadConfiguration, HsmToken, hsm_token
from freehold.services.kms.stores.errors import NOT_CONNECTED, DependencyTimeout, StoreProblem
from freehold.services.kms.stores.records import CLOUDHSM, CustomKeyStore
from freehold.services.kms.stores.threads import Busy, Threads

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.services.call import Call, Elsewhere
    from freehold.services.kms.loaded import LoadedKey
    from freehold.services.kms.stores.hsm import Library, Token
    from freehold.services.kms.stores.xks_client import Client
    from freehold.storage.records import Transaction

log = logging.getLogger("freehold")

_MOST_START_SECONDS: Final = 12.0
_MORE_SECONDS: Final = 2.0
"""For the wait for a thread."""
_MOST_THREADS: Final = {CLOUDHSM: 4, records.EXTERNAL: 16}
_MOST_MAKING: Final = 8
_REFUSED_PIN: Final = ("pin wrong", "pin locked", "user missing")
"""Trying again would only lock the user out."""

Work = Callable[[], None]
T = TypeVar("T")
C = TypeVar("C", "Token", "Client")

_of_apps: weakref.WeakKeyDictionary[App, KeyStores] = weakref.WeakKeyDictionary()
_making_of_apps = threading.Lock()


def of(app: App) -> KeyStores:
    """The stores of this worker."""
    held = _of_apps.get(app)
    if held is None:
        with _making_of_apps:
            held = _of_apps.get(app)
            if held is None:
                held = _of_apps[app] = KeyStores(app)
    return held


def held_by(app: App) -> KeyStores | None:
    """The stores of this worker, None while none was used."""
    return _of_apps.get(app)


class KeyStores:
    def __init__(self, app: App) -> None:
        self._settings = app.settings
        self._records = app.records
        self.hsm_seconds = app.settings.hsm_timeout_milliseconds / 1000
        asked_twice = 2 * max(self.hsm_seconds, app.settings.xks_timeout_milliseconds / 1000)
        self.call_seconds = asked_twice + _MORE_SECONDS
        """How long a KMS call may take in a store: ReEncrypt uses two keys."""
        self._lock = threading.Lock()
        self._threads: dict[str, Threads] = {}
        self._threads_lock = threading.Lock()
        """The event loop takes this one, and so never waits for a connection that is being made."""
        self._connections: dict[tuple[str, str], tuple[int, Token | Client]] = {}
        self._configured: dict[str, HsmToken] = {}
        self.making = Threads("freehold-key-store-making", _MOST_MAKING)
        """Where stores that aren't there yet are looked at."""

    # --- where it waits --------------------------------------------------------------------------------------

    def elsewhere(self, store: CustomKeyStore) -> Elsewhere:
        """What runs a handler in the store's threads. It raises DependencyTimeoutException when that takes too long."""
        return partial(self.run, store)

    async def run(self, store: CustomKeyStore, work: Callable[[], T]) -> T:
        try:
            return await self.threads(store).run(work, self.call_seconds)
        except (TimeoutError, Busy):
            raise _timeout() from None

    def threads(self, store: CustomKeyStore) -> Threads:
        with self._threads_lock:
            held = self._threads.get(store.store_id)
            if held is None:
                held = self._threads[store.store_id] = Threads("freehold-key-store", _MOST_THREADS[store.kind])
            return held

    # --- connections -----------------------------------------------------------------------------------------

    def configured(self, cluster_id: str, account_id: str) -> HsmToken | None:
        """The token that the operator gave this cluster id, if the account may use it."""
        token = self._configured.get(cluster_id)
        if token is None:
            uri = dict(self._settings.hsm_tokens).get(cluster_id)
            if uri is None:
                return None
            try:
                token = self._configured[cluster_id] = hsm_token(cluster_id, uri)
            except BadConfiguration as error:
                log.error("%s", error)
                return None
        return token if token.account_id in ("", account_id) else None

    def token(self, app: App, store: CustomKeyStore) -> Token:
        """The store's token; it is opened at its first use. Raises StoreProblem."""
        from freehold.services.kms.stores.hsm import Token, library

        configured = self.configured(store.cluster_id, store.account_id)
        if configured is None:
            raise StoreProblem("token unconfigured")
        return self._connection(
            store,
            Token,
            lambda: Token(
                library(configured.uri.module),
                configured.uri,
                secret.opened(app, store),
                store.token_serial,
                self.hsm_seconds,
            ),
        )

    def on_token(self, app: App, store: CustomKeyStore, work: Callable[[Token], T]) -> T:
        """Do `work` with the store's token, in the thread of its library. Raises StoreProblem and TimeoutError."""
        token = self.token(app, store)
        return self.in_library(token.library, partial(work, token))

    def in_library(self, library: Library, work: Callable[[], T]) -> T:
        """Do `work` in the thread of a library. Raises TimeoutError and Busy."""
        return library.threads.wait(work, self.hsm_seconds + (0 if library.running else _MOST_START_SECONDS))

    def client(self, app: App, store: CustomKeyStore) -> Client:
        """The connections to the store's proxy. Raises StoreProblem."""
        from freehold.services.kms.stores.xks_client import Client

        return self._connection(store, Client, lambda: self.new_client(store, secret.opened(app, store)))

    def new_client(self, store: CustomKeyStore, secret_access_key: str) -> Client:
        """A client for what a store says, kept nowhere."""
        from freehold.services.kms.stores.xks_client import Client, Proxy

        settings = self._settings
        host = store.endpoint.removeprefix("https://").lower()
        places = {name: (address, port) for name, address, port in settings.xks_resolve}
        proxy = Proxy(host, store.path, store.region, store.access_key_id, Secret(secret_access_key), places.get(host))
        return Client(proxy, settings.xks_timeout_milliseconds / 1000, settings.xks_ca)

    def _connection(self, store: CustomKeyStore, kind: type[C], make: Callable[[], C]) -> C:
        place = (store.region, store.store_id)
        with self._lock:
            held = self._connections.get(place)
            if held is not None:
                attempt, connection = held
                if attempt > store.attempt:
                    raise StoreProblem("disconnected")
                if attempt == store.attempt and isinstance(connection, kind):
                    return connection
                connection.close()
            made = make()
            self._connections[place] = (store.attempt, made)
            return made

    def forget(self, store: CustomKeyStore) -> None:
        """Log out of the store's token, or close what is open to its proxy."""
        self._forget((store.region, store.store_id))

    def retire(self, store: CustomKeyStore) -> None:
        """Forget a store that is no more, and let its threads go."""
        self.forget(store)
        with self._threads_lock:
            threads = self._threads.pop(store.store_id, None)
        if threads is not None:
            threads.close()

    def _forget(self, place: tuple[str, str]) -> None:
        with self._lock:
            held = self._connections.pop(place, None)
        if held is not None:
            held[1].close()

    def forget_disconnected(self) -> None:
        """Forget the stores that aren't connected any more: another worker may have been told so."""
        if not self._connections:
            return
        reader = self._records.reader()
        with self._lock:
            held = {place: attempt for place, (attempt, _) in self._connections.items()}
        for place, attempt in held.items():
            store = records.store_at(reader, *place)
            if store is None or store.attempt != attempt or store.state not in (records.CONNECTED, records.CONNECTING):
                self._forget(place)

    def close(self) -> None:
        for place in list(self._connections):
            self._forget(place)
        for threads in (self.making, *self._threads.values()):
            threads.close()

    def fail(self, store: CustomKeyStore, problem: StoreProblem) -> None:
        """Mark a connected store as failed: what is wrong won't get better by trying."""

        def work(tx: Transaction) -> None:
            current = records.store_at(tx, store.region, store.store_id)
            if current is not None and current.attempt == store.attempt and current.connected:
                current.state, current.error = records.FAILED, problem.row.connection
                records.save(tx, current)

        self._records.submit(work)
        self.forget(store)


def seal(call: Call, key: LoadedKey, plaintext: bytes, context: dict[str, str]) -> bytes:
    """A ciphertext blob under a key in a store. Blocks: for the store's threads."""
    store = _usable(key)
    if store.kind == CLOUDHSM:
        return _asked(
            call, store, lambda: store_envelope.seal_in_token(_mac(call, key), key.header, context, plaintext)
        )
    encrypt = partial(_encrypt_outside, call, key)
    return _asked(
        call, store, lambda: store_envelope.seal_twice(encrypt, _own_part(call, key), key.header, context, plaintext)
    )


def unseal(call: Call, key: LoadedKey, blob: bytes, header: Header, context: dict[str, str]) -> bytes:
    """What was sealed. Raises InvalidCiphertextException. Blocks: for the store's threads."""
    store = _usable(key)
    if header != key.header:
        raise InvalidCiphertext
    try:
        if store.kind == CLOUDHSM:
            return _asked(call, store, lambda: store_envelope.open_in_token(_mac(call, key), blob, context))
        decrypt = partial(_decrypt_outside, call, key)
        own = _own_part(call, key)
        return _asked(call, store, lambda: store_envelope.open_twice(decrypt, own, blob, context))
    except InvalidBlob:
        raise InvalidCiphertext from None


def random(call: Call, store: CustomKeyStore, length_bytes: int) -> bytes:
    """Random bytes from the store's token."""
    if store.kind != CLOUDHSM:
        raise UnsupportedOperation("Random bytes are made in AWS CloudHSM key stores only.")
    stores = of(call.app)
    return _asked(call, store, lambda: stores.on_token(call.app, store, lambda token: token.random(length_bytes)))


def _usable(key: LoadedKey) -> CustomKeyStore:
    store = key.store
    if store is None or not store.connected:
        raise InvalidState(NOT_CONNECTED)
    return store


def _asked(call: Call, store: CustomKeyStore, work: Callable[[], bytes]) -> bytes:
    try:
        return work()
    except StoreProblem as problem:
        if problem.kind in _REFUSED_PIN:
            of(call.app).fail(store, problem)
        raise problem.using() from None
    except (TimeoutError, Busy):
        raise _timeout() from None


def _mac(call: Call, key: LoadedKey) -> store_envelope.Mac:
    assert key.store is not None
    stores, store = of(call.app), key.store
    return lambda message: stores.on_token(call.app, store, lambda token: token.mac(key.key_id, message))


def _own_part(call: Call, key: LoadedKey) -> bytes:
    """KMS's own part of double encryption."""
    opened = key.opened(call, key.header.backing_key_id)
    if opened is None:
        raise KmsInternal
    return opened[0]


def _encrypt_outside(call: Call, key: LoadedKey, plaintext: bytes, data: bytes) -> store_envelope.Outer:
    from freehold.services.kms.stores import xks

    assert key.store is not None
    client = of(call.app).client(call.app, key.store)
    metadata = xks.request_metadata(call, call.operation.name, key.arn)
    return xks.encrypt(client, key.record.xks_key_id, metadata, plaintext, data)


def _decrypt_outside(call: Call, key: LoadedKey, outer: store_envelope.Outer, data: bytes) -> bytes:
    from freehold.services.kms.stores import xks

    assert key.store is not None
    client = of(call.app).client(call.app, key.store)
    metadata = xks.request_metadata(call, call.operation.name, key.arn)
    return xks.decrypt(client, key.record.xks_key_id, metadata, outer, data)


def _timeout() -> AwsError:
    return DependencyTimeout("The system timed out while trying to fulfill the request. Retry the request.")

"""Custom key stores: made, described, changed, deleted. Connecting them is `key_store_connections.py`'s.

AWS_CLOUDHSM stores are tokens of HSMs that the operator configured under a cluster id; EXTERNAL_KEY_STORE stores are
reached through their owner's proxy, at a public endpoint. Refuses VPC endpoint services, which there are none of here.
What a store's owner says about it is tried out before it is kept: the token must be there, the proxy must answer.
https://docs.aws.amazon.com/kms/latest/developerguide/key-store-overview.html
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from freehold.errors import AwsError, NotImplementedByFreehold
from freehold.services.kms import paging
from freehold.services.kms.errors import LimitExceeded, ValidationException
from freehold.services.kms.permissions import on_account
from freehold.services.kms.records import Mark
from freehold.services.kms.stores import backends, checks, records, secret
from freehold.services.kms.stores.errors import ClusterInUse, HasKeys, NameInUse, ProxyUriInUse, StoreInvalidState
from freehold.services.kms.stores.records import (
    CLOUDHSM,
    CLUSTERS,
    CONNECTED,
    DISCONNECTED,
    EXTERNAL,
    PROXIES,
    STORE_NAMES,
    STORES,
    STORES_OF_ACCOUNT,
    TO_DESTROY,
    CustomKeyStore,
    Taken,
)
from freehold.services.operation import Params, Result, operation

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.storage.records import Table, Transaction

MOST_STORES: Final = 10
"""Of one account in one Region.

https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html
"""
PATH_ENDS: Final = "/kms/xks/v1"
_VPC_MEMBERS: Final = ("XksProxyVpcEndpointServiceName", "XksProxyVpcEndpointServiceOwner")
_PROXY_MEMBERS: Final = (
    "XksProxyConnectivity",
    "XksProxyAuthenticationCredential",
    "XksProxyUriEndpoint",
    "XksProxyUriPath",
)
_CLUSTER_MEMBERS: Final = ("CloudHsmClusterId", "TrustAnchorCertificate", "KeyStorePassword")
_MEMBERS_OF: Final = {CLOUDHSM: _CLUSTER_MEMBERS, EXTERNAL: _PROXY_MEMBERS}
_WHILE_CONNECTED: Final = {
    CLOUDHSM: ("NewCustomKeyStoreName",),
    EXTERNAL: ("NewCustomKeyStoreName", "XksProxyAuthenticationCredential", "XksProxyUriPath"),
}
"""What may be changed without disconnecting."""


def named(call: Call, store_id: str) -> CustomKeyStore:
    """One of the account's stores, fresh from the call's reader. Raises CustomKeyStoreNotFoundException."""
    store = records.store_at(call.reader, call.region, store_id)
    if store is None or store.account_id != call.account_id:
        raise checks.store_not_found(store_id)
    return store


def in_state(store: CustomKeyStore, operation_name: str) -> AwsError:
    return StoreInvalidState(
        f"{operation_name} is not possible while the custom key store {store.store_id} is {store.state}."
    )


async def _try_out(call: Call, params: Params) -> None:
    """Look at what a new store is to be, before anything is kept of it; leaves it for the handler."""
    kind = params.get("CustomKeyStoreType", CLOUDHSM)
    _check_members(kind, params, needed=_MEMBERS_OF[kind])
    store = CustomKeyStore(
        store_id=f"cks-{secrets.token_hex(9)[:17]}",
        account_id=call.account_id,
        region=call.region,
        name=params["CustomKeyStoreName"],
        kind=kind,
        created_at=round(call.app.clock.now_seconds(), 3),
    )
    if STORE_NAMES.get(call.reader, _name_key(store)) is not None:
        raise _name_in_use(store)
    given = _set(store, params)
    await checks.store(call, store, given, params.get("TrustAnchorCertificate"), "CreateCustomKeyStore")
    store.trust_anchor = params.get("TrustAnchorCertificate", "")
    store.sealed_secret = secret.sealed(call.app, store, given)
    call.prepared = store


@operation(
    "kms.CreateCustomKeyStore",
    permissions=on_account("kms:CreateCustomKeyStore"),
    writes=True,
    prepare=_try_out,
    refuses=_VPC_MEMBERS,
)
def create_custom_key_store(call: Call, params: Params) -> Result:
    """Make a store, DISCONNECTED: 10 per account and Region. Its token or proxy is looked at first.

    A token belongs to one store of the deployment, whosoever. The password is tried when the store is connected.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateCustomKeyStore.html
    """
    store: CustomKeyStore = call.prepared
    tx = call.tx
    if sum(1 for _ in records.stores_of(tx, store.account_id, store.region)) >= MOST_STORES:
        raise LimitExceeded(f"An account has at most {MOST_STORES} custom key stores in a Region.")
    _take_names(tx, store)
    records.save(tx, store)
    STORES_OF_ACCOUNT.put(tx, (store.account_id, store.region, store.store_id), Mark())
    return {"CustomKeyStoreId": store.store_id}


@operation("kms.DescribeCustomKeyStores", permissions=on_account("kms:DescribeCustomKeyStores"))
def describe_custom_key_stores(call: Call, params: Params) -> Result:
    """The account's stores in the Region, or the one with an id or a name: 1-1,000 a page. No secrets.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeCustomKeyStores.html
    """
    seen = paging.last_seen(params, 1)
    found: Iterator[CustomKeyStore]
    if "CustomKeyStoreId" in params and "CustomKeyStoreName" in params:
        raise ValidationException("Specify the CustomKeyStoreId or the CustomKeyStoreName, not both.")
    if "CustomKeyStoreId" in params:
        found = iter((named(call, params["CustomKeyStoreId"]),))
    elif "CustomKeyStoreName" in params:
        name = params["CustomKeyStoreName"]
        taken = STORE_NAMES.get(call.reader, (call.account_id, call.region, name))
        if taken is None:
            raise checks.store_not_found(name)
        found = iter((named(call, taken.by),))
    else:
        found = records.stores_of(call.reader, call.account_id, call.region, "" if seen is None else seen[0])
    return paging.page("CustomKeyStores", found, params, _shown, lambda store: paging.marker(store.store_id))


async def _try_out_changes(call: Call, params: Params) -> None:
    """Look at what a store is to become; leaves its record as it was before and as it is to be."""
    store = named(call, params["CustomKeyStoreId"])
    _check_members(store.kind, params)
    if not params.keys() - {"CustomKeyStoreId"}:
        raise ValidationException("Specify at least one property of the custom key store to change.")
    allowed = {"CustomKeyStoreId", *_WHILE_CONNECTED[store.kind]}
    if store.state != DISCONNECTED and (store.state != CONNECTED or not params.keys() <= allowed):
        raise in_state(store, "UpdateCustomKeyStore")
    attempt, before = store.attempt, store.cluster_id
    given = _set(store, params) or secret.opened(call.app, store)
    if params.keys() - {"CustomKeyStoreId", "NewCustomKeyStoreName"}:
        store.attempt += 1
        if store.kind == EXTERNAL:
            await checks.store(call, store, given, None, "UpdateCustomKeyStore")
        elif store.cluster_id != before:
            await checks.related(call, store, before)
        store.sealed_secret = secret.sealed(call.app, store, given)
    call.prepared = (attempt, store)


@operation(
    "kms.UpdateCustomKeyStore",
    permissions=on_account("kms:UpdateCustomKeyStore"),
    writes=True,
    prepare=_try_out_changes,
    refuses=_VPC_MEMBERS,
)
def update_custom_key_store(call: Call, params: Params) -> Result:
    """Change a store's name, secret, or where it is: most of it while it is DISCONNECTED only.

    Another cluster must have the same trust anchor; a proxy must answer at its new address with the new credential.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdateCustomKeyStore.html
    """
    attempt, changed = call.prepared
    tx = call.tx
    current = named(call, changed.store_id)
    if current.attempt != attempt:
        raise StoreInvalidState(f"The custom key store {changed.store_id} was changed meanwhile. Retry the request.")
    if changed.attempt == attempt:
        # Nothing but its name is new.
        current.name, changed = changed.name, current
        current = named(call, changed.store_id)
    changed.state, changed.error, changed.changed_at = current.state, current.error, current.changed_at
    if changed.cluster_id != current.cluster_id:
        changed.token_serial = ""
    _release_names(tx, current)
    _take_names(tx, changed)
    records.save(tx, changed)
    return {}


@operation("kms.DeleteCustomKeyStore", permissions=on_account("kms:DeleteCustomKeyStore"), writes=True)
def delete_custom_key_store(call: Call, params: Params) -> Result:
    """Delete a store that is DISCONNECTED and has no keys, nor key material in its token that is still to be destroyed.

    The token, the proxy and external keys stay as they are.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_DeleteCustomKeyStore.html
    """
    store = named(call, params["CustomKeyStoreId"])
    if store.state != DISCONNECTED:
        raise in_state(store, "DeleteCustomKeyStore")
    tx = call.tx
    if records.has_keys(tx, store):
        raise HasKeys(f"The custom key store {store.store_id} contains KMS keys.")
    if next(iter(TO_DESTROY.scan(tx, (store.region, store.store_id), limit=1)), None) is not None:
        raise HasKeys(
            f"The cluster of the custom key store {store.store_id} still has the material of deleted KMS keys. Connect "
            "the custom key store: it is destroyed then."
        )
    _release_names(tx, store)
    STORES.delete(tx, (store.region, store.store_id))
    STORES_OF_ACCOUNT.delete(tx, (store.account_id, store.region, store.store_id))
    stores = backends.of(call.app)
    tx.after_commit(lambda: stores.retire(store))
    return {}


def _check_members(kind: str, params: Params, *, needed: tuple[str, ...] = ()) -> None:
    """Raise for members that stores of the other kind have, and for those that are missing."""
    other = EXTERNAL if kind == CLOUDHSM else CLOUDHSM
    for member in _MEMBERS_OF[other]:
        if member in params:
            raise ValidationException(f"{member} is not valid for a custom key store of the type {kind}.")
    for member in needed:
        if member not in params:
            raise ValidationException(f"{member} is required for a custom key store of the type {kind}.")
    if params.get("XksProxyConnectivity", "PUBLIC_ENDPOINT") != "PUBLIC_ENDPOINT":
        raise NotImplementedByFreehold(
            "XksProxyConnectivity VPC_ENDPOINT_SERVICE is not implemented: there are no such services here. Use "
            "PUBLIC_ENDPOINT; a proxy inside one's own network is reached where the operator maps its host "
            "(--xks-resolve)."
        )


def _set(store: CustomKeyStore, params: Params) -> str:
    """Put what a request says into the store, but for its secret: that is returned, empty where there is none."""
    store.name = params.get("NewCustomKeyStoreName", store.name)
    store.cluster_id = params.get("CloudHsmClusterId", store.cluster_id)
    store.connectivity = params.get("XksProxyConnectivity", store.connectivity)
    store.endpoint = params.get("XksProxyUriEndpoint", store.endpoint)
    store.path = params.get("XksProxyUriPath", store.path)
    if store.kind == EXTERNAL:
        _check_uri(store)
    credential = params.get("XksProxyAuthenticationCredential")
    if credential is not None:
        store.access_key_id = credential["AccessKeyId"]
        return str(credential["RawSecretAccessKey"])
    return str(params.get("KeyStorePassword", ""))


def _check_uri(store: CustomKeyStore) -> None:
    if not store.path.endswith(PATH_ENDS) or "//" in store.path:
        raise ValidationException(f"XksProxyUriPath must end with {PATH_ENDS}.")
    host = store.endpoint.removeprefix("https://")
    try:
        ip_address(host)
    except ValueError:
        if all(0 < len(label) < 64 for label in host.split(".")) and "." in host:
            return
    raise ValidationException("XksProxyUriEndpoint must be https:// and a fully qualified domain name.")


def _names(store: CustomKeyStore) -> list[tuple[Table[Taken], tuple[str, ...], AwsError]]:
    """What no other store may have: its table, its key there, and what is answered otherwise."""
    place = (store.account_id, store.region)
    names: list[tuple[Table[Taken], tuple[str, ...], AwsError]] = [(STORE_NAMES, _name_key(store), _name_in_use(store))]
    if store.kind == CLOUDHSM:
        refusal: AwsError = ClusterInUse(f"The cluster {store.cluster_id} is associated with a custom key store.")
        names.append((CLUSTERS, (store.cluster_id,), refusal))
    else:
        uri = store.endpoint.lower() + store.path
        refusal = ProxyUriInUse("The XksProxyUriEndpoint and XksProxyUriPath belong to another external key store.")
        names.append((PROXIES, (*place, uri), refusal))
    return names


def _name_key(store: CustomKeyStore) -> tuple[str, str, str]:
    return (store.account_id, store.region, store.name)


def _name_in_use(store: CustomKeyStore) -> AwsError:
    return NameInUse(f"The name {store.name} is assigned to another custom key store.")


def _take_names(tx: Transaction, store: CustomKeyStore) -> None:
    for table, key, refusal in _names(store):
        if table.get(tx, key) is not None:
            raise refusal
        table.put(tx, key, Taken(by=store.store_id))


def _release_names(tx: Transaction, store: CustomKeyStore) -> None:
    for table, key, _ in _names(store):
        table.delete(tx, key)


def _shown(store: CustomKeyStore) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "CustomKeyStoreId": store.store_id,
        "CustomKeyStoreName": store.name,
        "CustomKeyStoreType": store.kind,
        "ConnectionState": store.state,
        "CreationDate": datetime.fromtimestamp(store.created_at, UTC),
    }
    if store.state == records.FAILED:
        shown["ConnectionErrorCode"] = store.error
    if store.kind == CLOUDHSM:
        shown["CloudHsmClusterId"] = store.cluster_id
        shown["TrustAnchorCertificate"] = store.trust_anchor
    else:
        shown["XksProxyConfiguration"] = {
            "Connectivity": store.connectivity,
            "AccessKeyId": store.access_key_id,
            "UriEndpoint": store.endpoint,
            "UriPath": store.path,
        }
    return shown

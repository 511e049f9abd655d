"""What tests do with custom key stores through boto3: make them, connect them, wait for their state."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from soft_hsm import PIN, SoftHsm, cluster_id

from freehold.testing import Principal

Refused = Callable[..., AbstractContextManager[None]]


def new_store(who: Principal, soft_hsm: SoftHsm, name: str = "vault", pin: str = PIN) -> tuple[str, int]:
    """A store on a token that nobody has used, and the token's number."""
    number = soft_hsm.free()
    made = who.kms.create_custom_key_store(
        CustomKeyStoreName=name,
        CloudHsmClusterId=cluster_id(number),
        TrustAnchorCertificate=soft_hsm.trust_anchor,
        KeyStorePassword=pin,
    )
    return made["CustomKeyStoreId"], number


def shown(who: Principal, store_id: str) -> dict[str, Any]:
    stores: list[dict[str, Any]] = who.kms.describe_custom_key_stores(CustomKeyStoreId=store_id)["CustomKeyStores"]
    return stores[0]


def until(who: Principal, store_id: str, state: str) -> dict[str, Any]:
    """The store once it is in this state; fails after ten seconds."""
    deadline = time.monotonic() + 10
    while (store := shown(who, store_id))["ConnectionState"] != state:
        assert time.monotonic() < deadline, store
        time.sleep(0.02)
    return store


def connected(who: Principal, store_id: str) -> str:
    who.kms.connect_custom_key_store(CustomKeyStoreId=store_id)
    until(who, store_id, "CONNECTED")
    return store_id


def disconnected(who: Principal, store_id: str) -> str:
    who.kms.disconnect_custom_key_store(CustomKeyStoreId=store_id)
    until(who, store_id, "DISCONNECTED")
    return store_id


def hsm_key(who: Principal, store_id: str, **options: Any) -> dict[str, Any]:
    made: dict[str, Any] = who.kms.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=store_id, **options)
    return dict(made["KeyMetadata"])

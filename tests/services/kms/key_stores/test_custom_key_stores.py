"""Custom key stores themselves: made, described, changed, connected, deleted, as AWS has it, by those who may."""

from __future__ import annotations

import json
from typing import Any

import pytest
from soft_hsm import PIN, SoftHsm, certificate, cluster_id
from stores_in_use import Refused, connected, disconnected, hsm_key, new_store, shown, until

from freehold.testing import Principal, Server

EXTERNAL = {
    "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
    "XksProxyConnectivity": "PUBLIC_ENDPOINT",
    "XksProxyUriEndpoint": "https://xks.example.com",
    "XksProxyUriPath": "/kms/xks/v1",
    "XksProxyAuthenticationCredential": {"AccessKeyId": "A" * 20, "RawSecretAccessKey": "s" * 43},
}


def test_a_store_is_described_without_its_password(owner: Principal, soft_hsm: SoftHsm) -> None:
    store_id, number = new_store(owner, soft_hsm)
    store = shown(owner, store_id)
    assert store.pop("CreationDate") is not None
    assert store == {
        "CustomKeyStoreId": store_id,
        "CustomKeyStoreName": "vault",
        "CustomKeyStoreType": "AWS_CLOUDHSM",
        "CloudHsmClusterId": cluster_id(number),
        "TrustAnchorCertificate": soft_hsm.trust_anchor,
        "ConnectionState": "DISCONNECTED",
    }
    by_name = owner.kms.describe_custom_key_stores(CustomKeyStoreName="vault")["CustomKeyStores"]
    assert [one["CustomKeyStoreId"] for one in by_name] == [store_id]


def test_stores_are_listed_in_pages(owner: Principal, soft_hsm: SoftHsm) -> None:
    made = {new_store(owner, soft_hsm, f"store-{number}")[0] for number in range(3)}
    pages = list(owner.kms.get_paginator("describe_custom_key_stores").paginate(PaginationConfig={"PageSize": 2}))
    sizes = [len(page["CustomKeyStores"]) for page in pages]
    assert sizes == [2, 1]
    assert {one["CustomKeyStoreId"] for page in pages for one in page["CustomKeyStores"]} == made


def test_what_a_store_needs_is_asked_for(owner: Principal, soft_hsm: SoftHsm, refused: Refused) -> None:
    whole: dict[str, Any] = {
        "CustomKeyStoreName": "vault",
        "CloudHsmClusterId": cluster_id(0),
        "TrustAnchorCertificate": soft_hsm.trust_anchor,
        "KeyStorePassword": PIN,
    }
    for member in ("CloudHsmClusterId", "TrustAnchorCertificate", "KeyStorePassword"):
        with refused("ValidationException", member):
            owner.kms.create_custom_key_store(**{name: whole[name] for name in whole if name != member})
    with refused("ValidationException", "XksProxyUriPath"):
        owner.kms.create_custom_key_store(**whole, XksProxyUriPath="/kms/xks/v1")
    for member in EXTERNAL.keys() - {"CustomKeyStoreType"}:
        given: dict[str, Any] = {name: EXTERNAL[name] for name in EXTERNAL if name != member}
        with refused("ValidationException", member):
            owner.kms.create_custom_key_store(CustomKeyStoreName="outside", **given)
    with refused("CloudHsmClusterNotFoundException"):
        owner.kms.create_custom_key_store(**{**whole, "CloudHsmClusterId": "cluster-unknownunknow"})
    for wrong in (certificate("another CA"), "no certificate", soft_hsm.trust_anchor * 2):
        with refused("IncorrectTrustAnchorException"):
            owner.kms.create_custom_key_store(**{**whole, "TrustAnchorCertificate": wrong})
    assert owner.kms.describe_custom_key_stores()["CustomKeyStores"] == []


def test_a_token_belongs_to_one_store_whoever_knows_its_password(
    owner: Principal, soft_hsm: SoftHsm, hsm_server: Server, refused: Refused
) -> None:
    store_id, number = new_store(owner, soft_hsm)
    for who in (owner, hsm_server.new_account()):
        with refused("CloudHsmClusterInUseException"):
            who.kms.create_custom_key_store(
                CustomKeyStoreName="another",
                CloudHsmClusterId=cluster_id(number),
                TrustAnchorCertificate=soft_hsm.trust_anchor,
                KeyStorePassword=PIN,
            )
    with refused("CustomKeyStoreNameInUseException"):
        new_store(owner, soft_hsm, "vault")
    owner.kms.delete_custom_key_store(CustomKeyStoreId=store_id)
    owner.kms.create_custom_key_store(
        CustomKeyStoreName="vault",
        CloudHsmClusterId=cluster_id(number),
        TrustAnchorCertificate=soft_hsm.trust_anchor,
        KeyStorePassword=PIN,
    )


STATES = [
    # operation, what it is refused with while the store is in the state before
    ("connect", {}, {"FAILED": "CustomKeyStoreInvalidStateException"}),
    ("disconnect", {}, {"DISCONNECTED": "CustomKeyStoreInvalidStateException"}),
    (
        "delete",
        {},
        {"CONNECTED": "CustomKeyStoreInvalidStateException", "FAILED": "CustomKeyStoreInvalidStateException"},
    ),
    ("update", {"NewCustomKeyStoreName": "renamed"}, {"FAILED": "CustomKeyStoreInvalidStateException"}),
    (
        "update",
        {"KeyStorePassword": PIN},
        {"CONNECTED": "CustomKeyStoreInvalidStateException", "FAILED": "CustomKeyStoreInvalidStateException"},
    ),
]


@pytest.mark.parametrize("state", ["CONNECTED", "FAILED", "DISCONNECTED"])
def test_each_operation_in_each_state(owner: Principal, soft_hsm: SoftHsm, refused: Refused, state: str) -> None:
    pin = PIN if state == "CONNECTED" else "a wrong pin"
    store_id, _ = new_store(owner, soft_hsm, pin=pin)

    def reach() -> None:
        current = shown(owner, store_id)["ConnectionState"]
        if current == state:
            return
        if current == "DISCONNECTING":
            current = until(owner, store_id, "DISCONNECTED")["ConnectionState"]
        if current != "DISCONNECTED":
            disconnected(owner, store_id)
        if state != "DISCONNECTED":
            owner.kms.connect_custom_key_store(CustomKeyStoreId=store_id)
            until(owner, store_id, state)

    for name, params, codes in STATES:
        reach()
        operation = getattr(owner.kms, f"{name}_custom_key_store")
        if state in codes:
            with refused(codes[state], state):
                operation(CustomKeyStoreId=store_id, **params)
        elif name != "delete":
            operation(CustomKeyStoreId=store_id, **params)


def test_a_wrong_password_fails_the_connection_until_it_is_put_right(
    owner: Principal, soft_hsm: SoftHsm, refused: Refused
) -> None:
    store_id, _ = new_store(owner, soft_hsm, pin="not-the-pin")
    owner.kms.connect_custom_key_store(CustomKeyStoreId=store_id)
    assert until(owner, store_id, "FAILED")["ConnectionErrorCode"] == "INVALID_CREDENTIALS"
    with refused("CustomKeyStoreInvalidStateException"):
        hsm_key(owner, store_id)
    disconnected(owner, store_id)
    assert "ConnectionErrorCode" not in shown(owner, store_id)
    owner.kms.update_custom_key_store(CustomKeyStoreId=store_id, KeyStorePassword=PIN)
    connected(owner, store_id)
    hsm_key(owner, store_id)


def test_a_password_is_looked_at_though_the_token_is_logged_in(owner: Principal, soft_hsm: SoftHsm) -> None:
    store_id, _ = new_store(owner, soft_hsm)
    connected(owner, store_id)
    disconnected(owner, store_id)
    owner.kms.update_custom_key_store(CustomKeyStoreId=store_id, KeyStorePassword="not-the-pin")
    owner.kms.connect_custom_key_store(CustomKeyStoreId=store_id)
    assert until(owner, store_id, "FAILED")["ConnectionErrorCode"] == "INVALID_CREDENTIALS"


def test_keys_of_a_disconnected_store_are_unavailable_and_managed(
    owner: Principal, store: str, refused: Refused
) -> None:
    kms = owner.kms
    key, to_go = hsm_key(owner, store)["KeyId"], hsm_key(owner, store)["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    kms.schedule_key_deletion(KeyId=to_go)
    disconnected(owner, store)

    def state(key_id: str) -> str:
        return str(kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"])

    assert (state(key), state(to_go)) == ("Unavailable", "PendingDeletion")
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["Enabled"] is False
    for operation, params in (
        (kms.encrypt, {"KeyId": key, "Plaintext": b"x"}),
        (kms.decrypt, {"CiphertextBlob": blob}),
        (kms.generate_data_key, {"KeyId": key, "KeySpec": "AES_256"}),
        (kms.generate_data_key_without_plaintext, {"KeyId": key, "KeySpec": "AES_256"}),
        (kms.re_encrypt, {"CiphertextBlob": blob, "DestinationKeyId": key}),
    ):
        with refused("KMSInvalidStateException", "is unavailable"):
            operation(**params)
    with refused("CustomKeyStoreInvalidStateException"):
        hsm_key(owner, store)
    with refused("CustomKeyStoreHasCMKsException"):
        kms.delete_custom_key_store(CustomKeyStoreId=store)
    kms.update_key_description(KeyId=key, Description="still managed")
    kms.tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": "b"}])
    kms.disable_key(KeyId=key)
    assert state(key) == "Unavailable"
    connected(owner, store)
    assert state(key) == "Disabled"
    kms.enable_key(KeyId=key)
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"secret"


def test_another_cluster_must_have_the_same_trust_anchor(owner: Principal, soft_hsm: SoftHsm, refused: Refused) -> None:
    store_id, _ = new_store(owner, soft_hsm)
    related = soft_hsm.free()
    owner.kms.update_custom_key_store(CustomKeyStoreId=store_id, CloudHsmClusterId=cluster_id(related))
    assert shown(owner, store_id)["CloudHsmClusterId"] == cluster_id(related)
    connected(owner, store_id)
    disconnected(owner, store_id)
    with refused("CloudHsmClusterNotRelatedException"):
        owner.kms.update_custom_key_store(CustomKeyStoreId=store_id, CloudHsmClusterId="cluster-unrelatedhsma")
    with refused("CloudHsmClusterNotFoundException"):
        owner.kms.update_custom_key_store(CustomKeyStoreId=store_id, CloudHsmClusterId="cluster-unknownunknow")
    with refused("ValidationException"):
        owner.kms.update_custom_key_store(CustomKeyStoreId=store_id, XksProxyUriPath="/kms/xks/v1")
    with refused("ValidationException"):
        owner.kms.update_custom_key_store(CustomKeyStoreId=store_id)


def test_tokens_of_other_accounts_are_not_found(owner: Principal, soft_hsm: SoftHsm, refused: Refused) -> None:
    with refused("CloudHsmClusterNotFoundException"):
        owner.kms.create_custom_key_store(
            CustomKeyStoreName="theirs",
            CloudHsmClusterId="cluster-anotheraccoun",
            TrustAnchorCertificate=soft_hsm.trust_anchor,
            KeyStorePassword=PIN,
        )


@pytest.mark.parametrize("name", ["Create", "Describe", "Update", "Delete", "Connect", "Disconnect"])
def test_each_operation_needs_its_permission(owner: Principal, soft_hsm: SoftHsm, refused: Refused, name: str) -> None:
    plural = "s" if name == "Describe" else ""
    action = f"kms:{name}CustomKeyStore{plural}"
    allow_others = {"Effect": "Allow", "NotAction": action, "Resource": "*"}
    user = owner.new_user("vaultkeeper", {"Version": "2012-10-17", "Statement": [allow_others]})
    params = {"CustomKeyStoreId": "cks-1234567890abcdef0"}
    if name == "Create":
        params = {"CustomKeyStoreName": "mine"}
    with refused("AccessDeniedException", action):
        getattr(user.kms, f"{name.lower()}_custom_key_store{plural}")(**params)


def test_the_trail_tells_of_stores_without_their_secrets(owner: Principal, soft_hsm: SoftHsm) -> None:
    store_id, _ = new_store(owner, soft_hsm)
    owner.kms.update_custom_key_store(CustomKeyStoreId=store_id, KeyStorePassword="another-secret-pin")
    with pytest.raises(Exception, match="Unreachable"):
        owner.kms.create_custom_key_store(CustomKeyStoreName="outside", **EXTERNAL)
    events = [json.loads(event["CloudTrailEvent"]) for event in owner.cloudtrail.lookup_events()["Events"]]
    text = json.dumps(events)
    told = {event["eventName"]: event for event in events if "CustomKeyStore" in event["eventName"]}
    assert told.keys() == {"CreateCustomKeyStore", "UpdateCustomKeyStore"}
    assert told["UpdateCustomKeyStore"]["requestParameters"]["customKeyStoreId"] == store_id
    for secret in (PIN, "another-secret-pin", "A" * 20, "s" * 43):
        assert secret not in text


def test_external_stores_are_public_endpoints_of_version_1(owner: Principal, refused: Refused) -> None:
    for change, code in (
        ({"XksProxyUriPath": "/kms/xks/v2"}, "ValidationException"),
        ({"XksProxyUriPath": "/a//kms/xks/v1"}, "ValidationException"),
        ({"XksProxyUriEndpoint": "https://10.0.0.1"}, "ValidationException"),
        ({"XksProxyUriEndpoint": "https://localhost"}, "ValidationException"),
        ({"XksProxyUriEndpoint": "https://a..example"}, "ValidationException"),
        ({"XksProxyConnectivity": "VPC_ENDPOINT_SERVICE"}, "NotImplemented"),
        ({"XksProxyUriEndpoint": "https://metadata.google.internal"}, "XksProxyUriUnreachableException"),
        ({"XksProxyUriEndpoint": "https://no-such-host.invalid"}, "XksProxyUriUnreachableException"),
    ):
        given: dict[str, Any] = {**EXTERNAL, **change}
        with refused(code):
            owner.kms.create_custom_key_store(CustomKeyStoreName="outside", **given)

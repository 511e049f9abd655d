"""An external key store of one Freehold whose proxy is another one: each is the other's client and server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from provider_authority import make_authority
from stores_in_use import Refused, connected, disconnected, shown, until

from freehold.testing import Principal, Server, server

HOST = "keys.example.com"
HOME, AWAY = "eu-central-1", "us-east-1"


@dataclass
class Both:
    """`home` holds the external keys of `holder`'s account, under `user`'s credential; `owner` uses them elsewhere."""

    home: Server
    holder: Principal
    credential: dict[str, str]
    owner: Principal


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    authority = make_authority(tmp_path_factory.mktemp("authority"), HOST, "localhost")
    secured = [f"--tls-cert={authority.certificate}", f"--tls-key={authority.key}"]
    with server(regions=(HOME,), options=secured, ca_bundle=str(authority.bundle)) as home:
        port = home.endpoint.rpartition(":")[2]
        reached = [f"--xks-resolve={HOST}=127.0.0.1:{port}", f"--xks-ca={authority.bundle}", "--xks-timeout-ms=2000"]
        with server(regions=(AWAY,), options=reached) as away:
            holder = home.new_account().in_region(HOME)
            everything = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}
            holder.new_user("aws-kms", {"Version": "2012-10-17", "Statement": [everything]})
            made = holder.iam.create_service_specific_credential(
                UserName="aws-kms", ServiceName="kms-xks-proxy.amazonaws.com"
            )["ServiceSpecificCredential"]
            credential = {"AccessKeyId": made["ServiceUserName"], "RawSecretAccessKey": made["ServicePassword"]}
            yield Both(home, holder, credential, away.new_account())


@pytest.fixture(scope="module")
def store(both: Both) -> str:
    made = both.owner.kms.create_custom_key_store(
        CustomKeyStoreName="at-home",
        CustomKeyStoreType="EXTERNAL_KEY_STORE",
        XksProxyConnectivity="PUBLIC_ENDPOINT",
        XksProxyUriEndpoint=f"https://{HOST}",
        XksProxyUriPath=f"/{HOME}/kms/xks/v1",
        XksProxyAuthenticationCredential=both.credential,
    )
    return connected(both.owner, made["CustomKeyStoreId"])


def pair(both: Both, store: str) -> tuple[str, str]:
    """An external key at home and the KMS key that is for it."""
    external = both.holder.kms.create_key()["KeyMetadata"]["KeyId"]
    made = both.owner.kms.create_key(Origin="EXTERNAL_KEY_STORE", CustomKeyStoreId=store, XksKeyId=external)
    return external, str(made["KeyMetadata"]["KeyId"])


def test_keys_held_at_home_encrypt_elsewhere(both: Both, store: str) -> None:
    kms = both.owner.kms
    _, key = pair(both, store)
    context = {"table": "invoices"}
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret", EncryptionContext=context)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"] == b"secret"
    large = kms.encrypt(KeyId=key, Plaintext=bytes(4096))["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=large)["Plaintext"] == bytes(4096)
    data_key = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    assert kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"])["Plaintext"] == data_key["Plaintext"]
    other = pair(both, store)[1]
    moved = kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=context, DestinationKeyId=other)
    assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"] == b"secret"


def test_objects_elsewhere_are_readable_while_the_key_at_home_is_enabled(
    both: Both, store: str, refused: Refused
) -> None:
    external, key = pair(both, store)
    s3: Any = both.owner.s3
    s3.create_bucket(Bucket="held-at-home")
    s3.put_object(Bucket="held-at-home", Key="a", Body=b"text", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    assert s3.get_object(Bucket="held-at-home", Key="a")["Body"].read() == b"text"
    both.holder.kms.disable_key(KeyId=external)
    with refused("KMS.KMSInvalidStateException", "not enabled"):
        s3.get_object(Bucket="held-at-home", Key="a")
    both.holder.kms.enable_key(KeyId=external)
    assert s3.get_object(Bucket="held-at-home", Key="a")["Body"].read() == b"text"


def test_home_decides_and_its_trail_tells_who_asked(both: Both, store: str, refused: Refused) -> None:
    external, key = pair(both, store)
    blob = both.owner.kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    both.holder.iam.put_user_policy(
        UserName="aws-kms",
        PolicyName="no-decrypt",
        PolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"}]}
        ),
    )
    try:
        with refused("KMSInvalidStateException", "denied access"):
            both.owner.kms.decrypt(CiphertextBlob=blob)
    finally:
        both.holder.iam.delete_user_policy(UserName="aws-kms", PolicyName="no-decrypt")
    assert both.owner.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    told = json.dumps(both.holder.cloudtrail.lookup_events(MaxResults=50)["Events"], default=str)
    assert key in told
    assert f"arn:aws:iam::{both.owner.account_id}:root" in told
    assert external in told


def test_home_is_rotated_under_what_is_elsewhere(both: Both, store: str) -> None:
    external, key = pair(both, store)
    blob = both.owner.kms.encrypt(KeyId=key, Plaintext=b"before")["CiphertextBlob"]
    both.holder.kms.rotate_key_on_demand(KeyId=external)
    after = both.owner.kms.encrypt(KeyId=key, Plaintext=b"after")["CiphertextBlob"]
    assert both.owner.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"before"
    assert both.owner.kms.decrypt(CiphertextBlob=after)["Plaintext"] == b"after"


def test_a_key_that_home_doesnt_have_or_that_isnt_fit_is_refused(both: Both, store: str, refused: Refused) -> None:
    signing = both.holder.kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    for external, code in (
        ("11111111-2222-3333-4444-555555555555", "XksKeyNotFoundException"),
        (signing, "XksKeyInvalidConfigurationException"),
    ):
        with refused(code):
            both.owner.kms.create_key(Origin="EXTERNAL_KEY_STORE", CustomKeyStoreId=store, XksKeyId=external)


def test_a_home_that_is_down_is_an_invalid_state_and_then_none(both: Both, store: str, refused: Refused) -> None:
    _, key = pair(both, store)
    blob = both.owner.kms.encrypt(KeyId=key, Plaintext=b"kept")["CiphertextBlob"]
    both.home.stop()
    try:
        for _ in range(2):
            with refused("KMSInvalidStateException", "cannot communicate"):
                both.owner.kms.decrypt(CiphertextBlob=blob)
        disconnected(both.owner, store)
        both.owner.kms.connect_custom_key_store(CustomKeyStoreId=store)
        assert until(both.owner, store, "FAILED")["ConnectionErrorCode"] == "XKS_PROXY_NOT_REACHABLE"
        disconnected(both.owner, store)
    finally:
        both.home.start()
    connected(both.owner, store)
    assert both.owner.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"kept"
    assert shown(both.owner, store)["ConnectionState"] == "CONNECTED"

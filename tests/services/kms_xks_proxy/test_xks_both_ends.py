"""One Freehold's keys held by another: KMS with an external key store here, its proxy there, TLS between them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from provider_authority import make_authority
from tampering_relay import Relay
from xks_client import USE_KEYS, new_client, new_credential

from freehold.testing import Principal, Server, server

HOST = "xks.example.com"
CONTEXT = {"table": "invoices"}
_numbers = count()


@dataclass
class Ends:
    """`cloud` is where the data is, `home` where the keys are."""

    cloud: Server
    home: Server
    relay: Relay

    def new(self) -> Pair:
        return Pair(self)


class Pair:
    """An account at either end, and a store that connects them."""

    def __init__(self, ends: Ends) -> None:
        self.cloud, self.home = ends.cloud.new_account(), ends.home.new_account()
        self.home.iam.create_user(UserName="aws-kms")
        self.home.iam.put_user_policy(UserName="aws-kms", PolicyName="use", PolicyDocument=json.dumps(USE_KEYS))
        self.credential = new_credential(self.home, "aws-kms")
        made = self.cloud.kms.create_custom_key_store(**settings(self.credential))
        self.store = made["CustomKeyStoreId"]
        self.cloud.kms.connect_custom_key_store(CustomKeyStoreId=self.store)
        deadline = time.monotonic() + 10
        while self.shown()["ConnectionState"] != "CONNECTED":
            assert time.monotonic() < deadline, self.shown()
            time.sleep(0.02)

    def shown(self) -> dict[str, Any]:
        shown = self.cloud.kms.describe_custom_key_stores(CustomKeyStoreId=self.store)
        return dict(shown["CustomKeyStores"][0])

    def new_key(self, **options: Any) -> tuple[str, str]:
        """(the key's id here, its external key's id there)"""
        external = self.home.kms.create_key(**options)["KeyMetadata"]["KeyId"]
        return self.key_for(external), external

    def key_for(self, external: str) -> str:
        made = self.cloud.kms.create_key(Origin="EXTERNAL_KEY_STORE", CustomKeyStoreId=self.store, XksKeyId=external)
        return str(made["KeyMetadata"]["KeyId"])

    def encrypt(self, key: str, plaintext: bytes = b"secret") -> bytes:
        answer = self.cloud.kms.encrypt(KeyId=key, Plaintext=plaintext, EncryptionContext=CONTEXT)
        return bytes(answer["CiphertextBlob"])

    def decrypt(self, blob: bytes) -> bytes:
        return bytes(self.cloud.kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)["Plaintext"])


def settings(credential: dict[str, Any], **change: Any) -> dict[str, Any]:
    return {
        "CustomKeyStoreName": f"at-home-{next(_numbers)}",
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyConnectivity": "PUBLIC_ENDPOINT",
        "XksProxyUriEndpoint": f"https://{HOST}",
        "XksProxyUriPath": f"/us-east-1/store-{next(_numbers)}/kms/xks/v1",
        "XksProxyAuthenticationCredential": signing(credential),
        **change,
    }


def signing(credential: dict[str, Any]) -> dict[str, str]:
    return {"AccessKeyId": credential["ServiceUserName"], "RawSecretAccessKey": credential["ServicePassword"]}


@contextmanager
def refused(code: str, *texts: str) -> Iterator[None]:
    with pytest.raises(ClientError) as error:
        yield
    answer = error.value.response["Error"]
    assert answer["Code"] == code, answer
    for text in texts:
        assert text in answer["Message"], answer


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    directory: Path = tmp_path_factory.mktemp("both-ends")
    authority = make_authority(directory, HOST, "localhost")
    words = [f"--tls-cert={authority.certificate}", f"--tls-key={authority.key}"]
    with server(options=words, ca_bundle=str(authority.bundle)) as home:
        port = int(home.endpoint.rpartition(":")[2])
        relay = Relay(authority.certificate, authority.key, authority.bundle, port)
        # A busy machine must not fail the tests: eight times the time that AWS gives a proxy.
        options = [f"--xks-resolve={HOST}=127.0.0.1:{relay.port}", f"--xks-ca={authority.bundle}"]
        with server(options=[*options, "--xks-timeout-ms=2000"]) as cloud:
            yield Ends(cloud, home, relay)
            assert cloud.log() == ""
        relay.close()


@pytest.fixture(scope="module")
def pair(ends: Ends) -> Pair:
    return ends.new()


def test_what_is_sealed_here_needs_the_key_there(pair: Pair) -> None:
    key, external = pair.new_key()
    blob = pair.encrypt(key, bytes(4096))
    assert pair.decrypt(blob) == bytes(4096)
    data_key = pair.cloud.kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=CONTEXT)
    assert pair.decrypt(data_key["CiphertextBlob"]) == data_key["Plaintext"]
    pair.home.kms.disable_key(KeyId=external)
    for use in (lambda: pair.decrypt(blob), lambda: pair.encrypt(key)):
        with refused("KMSInvalidStateException", "not enabled in the external key manager"):
            use()
    pair.home.kms.enable_key(KeyId=external)
    assert pair.decrypt(blob) == bytes(4096)


def test_objects_are_unreadable_while_the_key_at_home_is_disabled(pair: Pair) -> None:
    key, external = pair.new_key()
    s3 = pair.cloud.s3
    s3.create_bucket(Bucket="held-at-home")
    sse: dict[str, Any] = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    s3.put_object(Bucket="held-at-home", Key="large", Body=bytes(3 * 1024 * 1024), **sse)
    s3.put_object(Bucket="held-at-home", Key="small", Body=b"small", **sse)
    assert s3.get_object(Bucket="held-at-home", Key="small")["Body"].read() == b"small"
    pair.home.kms.disable_key(KeyId=external)
    for name in ("large", "small"):
        with refused("KMS.KMSInvalidStateException", "not enabled in the external key manager"):
            s3.get_object(Bucket="held-at-home", Key=name)
    pair.home.kms.enable_key(KeyId=external)
    assert len(s3.get_object(Bucket="held-at-home", Key="large")["Body"].read()) == 3 * 1024 * 1024


def test_a_key_deleted_at_home_takes_the_data_with_it(ends: Ends) -> None:
    pair = ends.new()
    key, external = pair.new_key()
    blob = pair.encrypt(key)
    pair.home.kms.schedule_key_deletion(KeyId=external, PendingWindowInDays=7)
    with refused("KMSInvalidStateException", "not enabled"):
        pair.decrypt(blob)
    ends.home.advance(days=7, seconds=1)
    for use in (lambda: pair.decrypt(blob), lambda: pair.encrypt(key)):
        with refused("KMSInvalidStateException", "was not found in its external key manager"):
            use()


def test_a_key_rotated_at_home_opens_what_was_sealed_before(pair: Pair) -> None:
    key, external = pair.new_key()
    before = pair.encrypt(key, b"before")
    pair.home.kms.rotate_key_on_demand(KeyId=external)
    deadline = time.monotonic() + 10
    while len(pair.home.kms.list_key_rotations(KeyId=external)["Rotations"]) != 1:
        assert time.monotonic() < deadline
    assert pair.decrypt(before) == b"before"
    assert pair.decrypt(pair.encrypt(key, b"after")) == b"after"


def test_the_policy_at_home_decides_for_whom_the_key_is_used(pair: Pair) -> None:
    key, external = pair.new_key()
    blob = pair.encrypt(key)
    user = pair.cloud.new_user(
        "bob", {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]}
    )
    assert user.kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)["Plaintext"] == b"secret"
    policy = json.loads(pair.home.kms.get_key_policy(KeyId=external)["Policy"])
    policy["Statement"].append(
        {
            "Effect": "Deny",
            "Principal": "*",
            "Action": ["kms:Encrypt", "kms:Decrypt"],
            "Resource": "*",
            "Condition": {
                "StringNotEquals": {
                    "freehold:XksAwsPrincipalArn": f"arn:aws:iam::{pair.cloud.account_id}:root",
                }
            },
        }
    )
    pair.home.kms.put_key_policy(KeyId=external, PolicyName="default", Policy=json.dumps(policy))
    with refused("KMSInvalidStateException", "denied access"):
        user.kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)
    assert pair.decrypt(blob) == b"secret"


def test_both_trails_name_the_same_request(pair: Pair) -> None:
    key, _ = pair.new_key()
    answer = pair.cloud.kms.encrypt(KeyId=key, Plaintext=b"x")
    request_id = answer["ResponseMetadata"]["RequestId"]
    arn = pair.cloud.kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"]
    found = [
        json.loads(event["CloudTrailEvent"])["requestParameters"]["requestMetadata"]
        for event in pair.home.cloudtrail.lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "Encrypt"}]
        )["Events"]
    ]
    [told] = [told for told in found if told["kmsRequestId"] == request_id]
    assert told == {
        "awsPrincipalArn": f"arn:aws:iam::{pair.cloud.account_id}:root",
        "kmsKeyArn": arn,
        "kmsOperation": "Encrypt",
        "kmsRequestId": request_id,
    }


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"}, "XksKeyInvalidConfigurationException"),
        ({"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}, "XksKeyInvalidConfigurationException"),
        ({"Origin": "EXTERNAL"}, "XksKeyInvalidConfigurationException"),
        (None, "XksKeyNotFoundException"),
    ],
)
def test_a_key_that_is_not_fit_is_refused(pair: Pair, options: dict[str, Any] | None, code: str) -> None:
    external = "no-such-key"
    if options is not None:
        external = pair.home.kms.create_key(**options)["KeyMetadata"]["KeyId"]
    with refused(code):
        pair.key_for(external)


@pytest.mark.parametrize(
    ("path", "secret", "code"),
    [
        ("/eu-central-1/kms/xks/v1", "", "XksProxyInvalidConfigurationException"),
        ("/us-east-1/a/b/c/kms/xks/v1", "", "XksProxyInvalidConfigurationException"),
        ("/us-east-1/wrong/kms/xks/v1", "w" * 43, "XksProxyIncorrectAuthenticationCredentialException"),
    ],
)
def test_a_store_that_is_set_up_wrongly_is_refused(pair: Pair, path: str, secret: str, code: str) -> None:
    credential = signing(pair.credential)
    credential["RawSecretAccessKey"] = secret or credential["RawSecretAccessKey"]
    with refused(code):
        pair.cloud.kms.create_custom_key_store(
            **settings(pair.credential, XksProxyUriPath=path, XksProxyAuthenticationCredential=credential)
        )


def test_a_credential_is_replaced_without_a_gap(ends: Ends) -> None:
    pair = ends.new()
    key, _ = pair.new_key()
    blob = pair.encrypt(key)
    new = new_credential(pair.home, "aws-kms")
    assert pair.decrypt(blob) == b"secret"
    pair.cloud.kms.update_custom_key_store(CustomKeyStoreId=pair.store, XksProxyAuthenticationCredential=signing(new))
    assert pair.decrypt(blob) == b"secret"
    pair.home.iam.delete_service_specific_credential(
        UserName="aws-kms", ServiceSpecificCredentialId=pair.credential["ServiceSpecificCredentialId"]
    )
    assert pair.decrypt(blob) == b"secret"
    pair.home.iam.update_service_specific_credential(
        UserName="aws-kms", ServiceSpecificCredentialId=new["ServiceSpecificCredentialId"], Status="Inactive"
    )
    with refused("KMSInvalidStateException", "could not authenticate"):
        pair.decrypt(blob)


def _flipped(member: str) -> Any:
    def change(answer: dict[str, Any]) -> dict[str, Any]:
        value = bytearray(base64.b64decode(answer[member]))
        value[0] ^= 1
        return answer | {member: base64.b64encode(bytes(value)).decode()}

    return change


@pytest.mark.parametrize(
    "member",
    [
        *("ciphertext", "ciphertextMetadata", "initializationVector", "authenticationTag"),
        "ciphertextDataIntegrityValue",
    ],
)
def test_a_ciphertext_that_was_changed_on_its_way_is_never_handed_out(ends: Ends, pair: Pair, member: str) -> None:
    key, _ = pair.new_key()
    with ends.relay.changing(_flipped(member)), refused("KMSInvalidStateException", "cannot interpret"):
        pair.encrypt(key)


def test_a_plaintext_that_was_changed_on_its_way_is_found_out(ends: Ends, pair: Pair) -> None:
    key, _ = pair.new_key()
    blob = pair.encrypt(key)
    with ends.relay.changing(_flipped("plaintext")), refused("InvalidCiphertextException"):
        pair.decrypt(blob)
    assert pair.decrypt(blob) == b"secret"


def test_a_blob_that_was_changed_is_refused_at_home(pair: Pair) -> None:
    key, _ = pair.new_key()
    blob = bytearray(pair.encrypt(key))
    blob[-1] ^= 1
    with refused("KMSInvalidStateException", "ciphertext or encryption context is corrupted"):
        pair.decrypt(bytes(blob))


def test_nothing_is_readable_while_home_is_down_and_all_is_afterwards(ends: Ends) -> None:
    pair = ends.new()
    key, _ = pair.new_key()
    blob = pair.encrypt(key)
    ends.home.kill()
    try:
        with refused("KMSInvalidStateException"):
            pair.decrypt(blob)
    finally:
        ends.home.start()
    assert pair.decrypt(blob) == b"secret"


def test_no_user_of_the_account_here_is_asked_for_at_home(pair: Pair) -> None:
    """The principal at home is the credential's alone: what is told of the caller gives no permission by itself."""
    key, _ = pair.new_key()
    assert isinstance(pair.home, Principal)
    twin = pair.cloud.new_user(
        "aws-kms",
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:ListKeys", "Resource": "*"}]},
    )
    with refused("AccessDeniedException", "kms:Encrypt"):
        twin.kms.encrypt(KeyId=key, Plaintext=b"x")


def test_a_key_that_is_held_outside_is_nobodys_external_key(pair: Pair) -> None:
    """Proxies that ask each other could go round in a circle."""
    key, _ = pair.new_key()
    client = new_client(pair.cloud, "another-kms")
    assert client.metadata(key).body["keySpec"] != "AES_256"
    assert client.encrypt(key).error == (501, "UnsupportedOperationException")

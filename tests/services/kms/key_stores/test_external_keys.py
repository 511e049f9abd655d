"""KMS keys in external key stores: double encryption with a proxy's part, its errors, its slowness and its lies."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from fake_xks_proxy import ACCESS_KEY_ID, HOST, OTHER_HOST, PREFIX, SECRET, FakeProxy, Misbehaviour
from stores_in_use import Refused, connected, disconnected, shown, until

from freehold.testing import Principal, Server, server

CONTEXT = {"table": "invoices"}
MIB = 1024 * 1024
_numbers = count()


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeProxy]:
    made = FakeProxy(tmp_path_factory.mktemp("xks-proxy"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def xks_server(proxy: FakeProxy) -> Iterator[Server]:
    # A busy machine must not fail the tests: four times the time that AWS gives a proxy.
    with server(options=[*proxy.options, "--xks-timeout-ms=1000"]) as running:
        yield running


@pytest.fixture(scope="module")
def owner(xks_server: Server) -> Principal:
    return xks_server.new_account()


def settings(**change: Any) -> dict[str, Any]:
    return {
        "CustomKeyStoreName": f"outside-{next(_numbers)}",
        "CustomKeyStoreType": "EXTERNAL_KEY_STORE",
        "XksProxyConnectivity": "PUBLIC_ENDPOINT",
        "XksProxyUriEndpoint": f"https://{HOST}",
        "XksProxyUriPath": PREFIX,
        "XksProxyAuthenticationCredential": {"AccessKeyId": ACCESS_KEY_ID, "RawSecretAccessKey": SECRET},
        **change,
    }


@pytest.fixture(scope="module")
def store(owner: Principal) -> str:
    return connected(owner, owner.kms.create_custom_key_store(**settings())["CustomKeyStoreId"])


def new_key(owner: Principal, store: str, proxy: FakeProxy, **options: Any) -> dict[str, Any]:
    made = owner.kms.create_key(
        Origin="EXTERNAL_KEY_STORE", CustomKeyStoreId=store, XksKeyId=proxy.new_key(), **options
    )
    return dict(made["KeyMetadata"])


@pytest.fixture(scope="module")
def key(owner: Principal, store: str, proxy: FakeProxy) -> dict[str, Any]:
    return new_key(owner, store, proxy)


def test_a_store_shows_its_proxy_without_the_secret(owner: Principal, store: str) -> None:
    assert shown(owner, store)["XksProxyConfiguration"] == {
        "Connectivity": "PUBLIC_ENDPOINT",
        "AccessKeyId": ACCESS_KEY_ID,
        "UriEndpoint": f"https://{HOST}",
        "UriPath": PREFIX,
    }
    assert SECRET not in json.dumps(owner.kms.describe_custom_key_stores(), default=str)


def test_a_key_names_its_external_key(owner: Principal, store: str, key: dict[str, Any], proxy: FakeProxy) -> None:
    assert owner.kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] == key
    assert (key["Origin"], key["CustomKeyStoreId"]) == ("EXTERNAL_KEY_STORE", store)
    assert key["XksKeyConfiguration"]["Id"] in proxy.keys
    assert "CloudHsmClusterId" not in key
    assert "CurrentKeyMaterialId" not in key


def test_what_is_sealed_needs_both_keepers(
    owner: Principal, store: str, key: dict[str, Any], proxy: FakeProxy, refused: Refused
) -> None:
    kms = owner.kms
    proxy.asked.clear()
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"secret", EncryptionContext=CONTEXT)["CiphertextBlob"]
    assert blob[0] == 3
    [(operation, asked)] = proxy.asked
    assert operation == "encrypt"
    assert b"secret" not in base64.b64decode(asked["plaintext"])
    assert len(base64.b64decode(asked["additionalAuthenticatedData"])) == 32
    assert "invoices" not in json.dumps(asked)
    opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == b"secret"
    assert "KeyMaterialId" not in opened
    with refused("KMSInvalidStateException", "encryption context"):
        kms.decrypt(CiphertextBlob=blob)
    other = new_key(owner, store, proxy)
    proxy.keys[other["XksKeyConfiguration"]["Id"]] = proxy.keys[key["XksKeyConfiguration"]["Id"]]
    renamed = blob.replace(key["KeyId"].encode(), other["KeyId"].encode())
    with refused("KMSInvalidStateException"):
        kms.decrypt(CiphertextBlob=renamed, EncryptionContext=CONTEXT)


def test_a_proxy_that_opens_another_message_is_found_out(
    owner: Principal, key: dict[str, Any], proxy: FakeProxy, refused: Refused
) -> None:
    """The inner layer is KMS's: whatever the outer one is opened to, it isn't taken for what was sealed."""
    blob = owner.kms.encrypt(KeyId=key["KeyId"], Plaintext=b"secret")["CiphertextBlob"]

    def lies(handler: Any, body: dict[str, Any]) -> bool:
        handler.send(200, {"plaintext": base64.b64encode(bytes(len(base64.b64decode(body["ciphertext"])))).decode()})
        return True

    with proxy.misbehaving(lies), refused("InvalidCiphertextException"):
        owner.kms.decrypt(CiphertextBlob=blob)


def test_the_proxy_hears_who_asks_for_what(
    owner: Principal, key: dict[str, Any], proxy: FakeProxy, xks_server: Server
) -> None:
    proxy.asked.clear()
    answer = owner.kms.generate_data_key(KeyId=key["KeyId"], KeySpec="AES_256")
    assert proxy.asked[0][1]["requestMetadata"] == {
        "awsPrincipalArn": f"arn:aws:iam::{owner.account_id}:root",
        "kmsKeyArn": key["Arn"],
        "kmsOperation": "GenerateDataKey",
        "kmsRequestId": answer["ResponseMetadata"]["RequestId"],
    }
    owner.s3.create_bucket(Bucket="held-outside")
    sse: dict[str, Any] = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key["Arn"]}
    owner.s3.put_object(Bucket="held-outside", Key="a", Body=b"small", **sse)
    assert owner.s3.get_object(Bucket="held-outside", Key="a")["Body"].read() == b"small"
    assert [body["requestMetadata"].get("kmsViaService") for _, body in proxy.asked] == [None, "s3", "s3"]


def test_the_largest_message_and_context_fit(owner: Principal, key: dict[str, Any]) -> None:
    context = {"k": "v" * 8191}
    blob = owner.kms.encrypt(KeyId=key["KeyId"], Plaintext=bytes(4096), EncryptionContext=context)["CiphertextBlob"]
    assert len(blob) < 6144
    assert owner.kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"] == bytes(4096)


def test_reencryption_out_of_the_store_and_back(owner: Principal, key: dict[str, Any]) -> None:
    kms, plain = owner.kms, owner.kms.create_key()["KeyMetadata"]["KeyId"]
    blob = kms.encrypt(KeyId=key["KeyId"], Plaintext=b"moved")["CiphertextBlob"]
    out = kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=plain)["CiphertextBlob"]
    back = kms.re_encrypt(CiphertextBlob=out, DestinationKeyId=key["KeyId"])["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=back)["Plaintext"] == b"moved"


def test_an_external_key_belongs_to_one_kms_key_of_the_store(
    owner: Principal, store: str, key: dict[str, Any], refused: Refused
) -> None:
    with refused("XksKeyAlreadyInUseException"):
        owner.kms.create_key(
            Origin="EXTERNAL_KEY_STORE", CustomKeyStoreId=store, XksKeyId=key["XksKeyConfiguration"]["Id"]
        )


@pytest.mark.parametrize(
    ("external", "change", "code"),
    [
        ("absent", {}, "XksKeyNotFoundException"),
        ("unfit-1", {"keySpec": "AES_128"}, "XksKeyInvalidConfigurationException"),
        ("unfit-2", {"keyUsage": ["ENCRYPT"]}, "XksKeyInvalidConfigurationException"),
        ("unfit-3", {"keyStatus": "DISABLED"}, "XksKeyInvalidConfigurationException"),
        ("unfit-4", {"keyStatus": "PERHAPS"}, "CustomKeyStoreInvalidStateException"),
        ("unfit-5", {"keyUsage": "ENCRYPT DECRYPT"}, "CustomKeyStoreInvalidStateException"),
        ("..", {}, "ValidationException"),
        ("", {}, "ValidationException"),
        ("a/../b", {}, "ValidationException"),
    ],
)
def test_an_external_key_that_is_not_fit_is_refused(
    owner: Principal, store: str, proxy: FakeProxy, refused: Refused, external: str, change: dict[str, Any], code: str
) -> None:
    if change:
        proxy.metadata[proxy.new_key(external)].update(change)
    with refused(code):
        _unchecked(owner).create_key(Origin="EXTERNAL_KEY_STORE", CustomKeyStoreId=store, XksKeyId=external)


def _unchecked(who: Principal) -> Any:
    from botocore.config import Config

    return who.client("kms", config=Config(parameter_validation=False))


def _says(status: int, answer: Any, **headers: str) -> Misbehaviour:
    def answered(handler: Any, body: dict[str, Any]) -> bool:
        handler.send(status, answer, **headers)
        return True

    return answered


def _altered(member: str, value: str) -> Misbehaviour:
    def answered(handler: Any, body: dict[str, Any]) -> bool:
        handler.send(200, {**handler.proxy.answer(handler.path, body), member: value})
        return True

    return answered


def _without(member: str) -> Misbehaviour:
    def answered(handler: Any, body: dict[str, Any]) -> bool:
        made = handler.proxy.answer(handler.path, body)
        handler.send(200, {name: made[name] for name in made if name != member})
        return True

    return answered


def _hang(handler: Any, body: dict[str, Any]) -> bool:
    time.sleep(1.5)
    handler.close_connection = True
    return True


def _trickle(handler: Any, body: dict[str, Any]) -> bool:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
    for _ in range(20):
        handler.wfile.write(b" ")
        time.sleep(0.1)
    handler.close_connection = True
    return True


def _break_off(handler: Any, body: dict[str, Any]) -> bool:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{")
    handler.close_connection = True
    return True


def _no_http(handler: Any, body: dict[str, Any]) -> bool:
    handler.wfile.write(b"SSH-2.0-OpenSSH\r\n")
    handler.close_connection = True
    return True


ERRORS = [
    # what the proxy does, a word of the message
    (_says(400, {"errorName": "ValidationException"}), "cannot interpret"),
    (_says(400, {"errorName": "InvalidStateException"}), "not enabled"),
    (_says(400, {"errorName": "InvalidKeyUsageException"}), "does not support"),
    (_says(401, {"errorName": "AuthenticationFailedException"}), "could not authenticate"),
    (_says(403, {"errorName": "AccessDeniedException"}), "denied access"),
    (_says(404, {"errorName": "KeyNotFoundException"}), "was not found"),
    (_says(404, {"errorName": "InvalidUriPathException"}), "invalid URI path"),
    (_says(429, {"errorName": "ThrottlingException"}), "very high request rate"),
    (_says(500, {"errorName": "InternalException"}), "cannot communicate with the external key manager"),
    (_says(501, {"errorName": "UnsupportedOperationException"}), "does not support the requested operation"),
    (_says(503, {"errorName": "DependencyTimeoutException"}), "in the time allotted"),
    (_says(500, {"errorName": "MadeUpException"}), "cannot interpret"),
    (_says(500, b"<html>"), "cannot interpret"),
    (_says(200, b"[]"), "cannot interpret"),
    (_says(200, b'{"ciphertext": "", "ciphertext": ""}'), "cannot interpret"),
    (_says(200, b" " * 40_000), "cannot interpret"),
    (_says(302, {}, Location="https://169.254.169.254/"), "cannot interpret"),
    (_altered("ciphertext", "AAAA"), "cannot interpret"),
    (_altered("ciphertext", "not base64!"), "cannot interpret"),
    (_altered("initializationVector", "AAAA"), "cannot interpret"),
    (_altered("authenticationTag", "AAAA"), "cannot interpret"),
    (_altered("ciphertextMetadata", base64.b64encode(bytes(21)).decode()), "cannot interpret"),
    (_altered("ciphertextDataIntegrityValue", base64.b64encode(bytes(32)).decode()), "cannot interpret"),
    (_without("ciphertextDataIntegrityValue"), "cannot interpret"),
    (_without("ciphertext"), "cannot interpret"),
    (_hang, "did not respond in time"),
    (_trickle, "did not respond in time"),
    (_break_off, "cannot interpret"),
    (_no_http, "cannot interpret"),
]


@pytest.mark.parametrize(("misbehaviour", "says"), ERRORS)
def test_whatever_the_proxy_does_is_an_invalid_state(
    owner: Principal, key: dict[str, Any], proxy: FakeProxy, refused: Refused, misbehaviour: Misbehaviour, says: str
) -> None:
    with proxy.misbehaving(misbehaviour), refused("KMSInvalidStateException", says):
        owner.kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")
    assert owner.kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]


def test_a_slow_proxy_delays_nobody_else(owner: Principal, key: dict[str, Any], proxy: FakeProxy) -> None:
    plain = owner.kms.create_key()["KeyMetadata"]["KeyId"]
    slow, quick = [owner.client("kms") for _ in range(8)], owner.client("kms")

    def use(client: Any) -> None:
        with pytest.raises(client.exceptions.KMSInvalidStateException):
            client.encrypt(KeyId=key["KeyId"], Plaintext=b"x")

    with proxy.misbehaving(_hang), ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(use, client) for client in slow]
        time.sleep(0.2)
        done = 0
        while not any(one.done() for one in waiting):
            quick.encrypt(KeyId=plain, Plaintext=b"x")
            done += 1
        for one in waiting:
            one.result()
    assert done > 10


def test_connections_are_kept_and_their_end_is_no_error(
    owner: Principal, key: dict[str, Any], proxy: FakeProxy
) -> None:
    owner.kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")
    before = proxy.connections
    for _ in range(5):
        owner.kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")
    assert proxy.connections == before

    def last(handler: Any, body: dict[str, Any]) -> bool:
        # Answers as if the connection were kept, and ends it.
        handler.send(200, handler.proxy.answer(handler.path, body))
        handler.close_connection = True
        return True

    with proxy.misbehaving(last):
        for _ in range(3):
            owner.kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"XksProxyUriPath": "/elsewhere/kms/xks/v1"}, "XksProxyInvalidConfigurationException"),
        (
            {"XksProxyAuthenticationCredential": {"AccessKeyId": ACCESS_KEY_ID, "RawSecretAccessKey": "w" * 43}},
            "XksProxyIncorrectAuthenticationCredentialException",
        ),
        (
            {"XksProxyAuthenticationCredential": {"AccessKeyId": "Z" * 20, "RawSecretAccessKey": SECRET}},
            "XksProxyIncorrectAuthenticationCredentialException",
        ),
        ({"XksProxyUriEndpoint": "https://localhost.localdomain"}, "XksProxyUriUnreachableException"),
    ],
)
def test_a_proxy_must_answer_before_its_store_is_made(
    owner: Principal, store: str, refused: Refused, change: dict[str, Any], code: str
) -> None:
    with refused(code):
        owner.kms.create_custom_key_store(**settings(**change))


def test_a_certificate_of_another_name_is_refused(owner: Principal, store: str, refused: Refused) -> None:
    with refused("XksProxyUriUnreachableException", "TLS connection"):
        owner.kms.create_custom_key_store(**settings(XksProxyUriEndpoint=f"https://{OTHER_HOST}"))


def test_the_last_use_of_a_key_held_outside_is_told(owner: Principal, store: str, proxy: FakeProxy) -> None:
    key = new_key(owner, store, proxy)["KeyId"]
    owner.kms.encrypt(KeyId=key, Plaintext=b"x")
    assert "Encrypt" in str(owner.kms.get_key_last_usage(KeyId=key))


def test_an_address_is_one_stores(owner: Principal, store: str, refused: Refused) -> None:
    with refused("XksProxyUriInUseException"):
        owner.kms.create_custom_key_store(**settings())


@pytest.mark.parametrize(
    ("misbehaviour", "error", "code"),
    [
        (_says(500, b"?"), "XKS_PROXY_INVALID_RESPONSE", "XksProxyInvalidResponseException"),
        (
            _says(200, {"xksProxyFleetSize": 1, "ekmFleetDetails": []}),
            "XKS_PROXY_INVALID_RESPONSE",
            "XksProxyInvalidResponseException",
        ),
        (
            _says(401, {"errorName": "AuthenticationFailedException"}),
            "INVALID_CREDENTIALS",
            "XksProxyIncorrectAuthenticationCredentialException",
        ),
        (_hang, "XKS_PROXY_TIMED_OUT", "XksProxyUriUnreachableException"),
        (None, "XKS_PROXY_NOT_REACHABLE", "XksProxyUriUnreachableException"),
    ],
)
def test_a_connection_that_fails_says_why(
    xks_server: Server, proxy: FakeProxy, refused: Refused, misbehaviour: Misbehaviour | None, error: str, code: str
) -> None:
    owner = xks_server.new_account()
    store = owner.kms.create_custom_key_store(**settings())["CustomKeyStoreId"]
    if misbehaviour is None:
        proxy.health = "UNAVAILABLE"
    try:
        with proxy.misbehaving(misbehaviour or (lambda handler, body: False)):
            owner.kms.connect_custom_key_store(CustomKeyStoreId=store)
            assert until(owner, store, "FAILED")["ConnectionErrorCode"] == error
            disconnected(owner, store)
            with refused(code):
                owner.kms.update_custom_key_store(CustomKeyStoreId=store, XksProxyUriPath=PREFIX)
    finally:
        proxy.health = "ACTIVE"
    connected(owner, store)


def test_the_credential_is_changed_while_connected(xks_server: Server, proxy: FakeProxy, refused: Refused) -> None:
    owner = xks_server.new_account()
    store = connected(owner, owner.kms.create_custom_key_store(**settings())["CustomKeyStoreId"])
    key = new_key(owner, store, proxy)["KeyId"]
    blob = owner.kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    new_id, new_secret = "NEWNEWNEWNEWNEWNEW22", "n" * 43
    proxy.secrets[new_id] = new_secret
    owner.kms.update_custom_key_store(
        CustomKeyStoreId=store,
        XksProxyAuthenticationCredential={"AccessKeyId": new_id, "RawSecretAccessKey": new_secret},
    )
    assert shown(owner, store)["ConnectionState"] == "CONNECTED"
    assert owner.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    del proxy.secrets[new_id]
    with refused("KMSInvalidStateException", "could not authenticate"):
        owner.kms.decrypt(CiphertextBlob=blob)
    with refused("CustomKeyStoreInvalidStateException"):
        owner.kms.update_custom_key_store(CustomKeyStoreId=store, XksProxyUriEndpoint="https://other.example.com")


def test_keys_of_a_disconnected_store_are_unavailable(xks_server: Server, proxy: FakeProxy, refused: Refused) -> None:
    owner = xks_server.new_account()
    store = connected(owner, owner.kms.create_custom_key_store(**settings())["CustomKeyStoreId"])
    key = new_key(owner, store, proxy)["KeyId"]
    blob = owner.kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    disconnected(owner, store)
    before = len(proxy.asked)
    assert owner.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Unavailable"
    with refused("KMSInvalidStateException", "is unavailable"):
        owner.kms.decrypt(CiphertextBlob=blob)
    with refused("CustomKeyStoreInvalidStateException"):
        new_key(owner, store, proxy)
    assert len(proxy.asked) == before
    connected(owner, store)
    assert owner.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    owner.kms.disable_key(KeyId=key)
    with refused("DisabledException"):
        owner.kms.decrypt(CiphertextBlob=blob)
    assert len(proxy.asked) == before + 2


def test_random_bytes_are_not_made_outside(owner: Principal, store: str, refused: Refused) -> None:
    with refused("UnsupportedOperationException"):
        owner.kms.generate_random(NumberOfBytes=8, CustomKeyStoreId=store)


def test_a_deleted_key_frees_its_external_key_and_the_store(
    xks_server: Server, proxy: FakeProxy, refused: Refused
) -> None:
    owner = xks_server.new_account()
    store = connected(owner, owner.kms.create_custom_key_store(**settings())["CustomKeyStoreId"])
    key = new_key(owner, store, proxy)
    blob = owner.kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    owner.kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    disconnected(owner, store)
    with refused("CustomKeyStoreHasCMKsException"):
        owner.kms.delete_custom_key_store(CustomKeyStoreId=store)
    xks_server.advance(days=7, seconds=1)
    connected(owner, store)
    with refused("NotFoundException"):
        owner.kms.decrypt(CiphertextBlob=blob)
    again = owner.kms.create_key(
        Origin="EXTERNAL_KEY_STORE", CustomKeyStoreId=store, XksKeyId=key["XksKeyConfiguration"]["Id"]
    )["KeyMetadata"]
    renamed = blob.replace(key["KeyId"].encode(), again["KeyId"].encode())
    with refused("KMSInvalidStateException"):
        owner.kms.decrypt(CiphertextBlob=renamed)
    owner.kms.schedule_key_deletion(KeyId=again["KeyId"], PendingWindowInDays=7)
    xks_server.advance(days=7, seconds=1)
    disconnected(owner, store)
    owner.kms.delete_custom_key_store(CustomKeyStoreId=store)
    with refused("CustomKeyStoreNotFoundException"):
        shown(owner, store)


def test_the_proxys_secret_is_in_no_file_and_no_log(xks_server: Server, store: str) -> None:
    for path in [path for path in xks_server.data.rglob("*") if path.is_file()]:
        assert SECRET.encode() not in path.read_bytes(), path
    assert SECRET not in xks_server.log()
    assert "secretly" not in xks_server.log()
    assert SECRET not in Path(f"/proc/{xks_server.pid}/cmdline").read_text()

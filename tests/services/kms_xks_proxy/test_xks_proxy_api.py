"""The XKS Proxy API as its specification has it, asked by a client that signs with botocore.

https://github.com/aws/aws-kms-xksproxy-api-spec/blob/main/xks_proxy_api_spec.md
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

import pytest
from xks_client import ERROR_NAMES, METADATA, Answer, XksClient, octets, text

from freehold.testing import Principal, Server


def is_refused(answer: Answer, status: int, name: str) -> None:
    """And in the specification's form: a name of its own, and a short message of printable ASCII."""
    assert answer.error == (status, name), answer
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.body) <= {"errorName", "errorMessage"}
    assert name in ERROR_NAMES
    message = answer.body.get("errorMessage", " ")
    assert 0 < len(message) < 512
    assert all(" " <= letter <= "~" for letter in message)


def test_a_healthy_proxy_says_who_it_is(xks: XksClient) -> None:
    answer = xks.health()
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    body = answer.body
    assert set(body) == {"xksProxyFleetSize", "xksProxyVendor", "xksProxyModel", "ekmVendor", "ekmFleetDetails"}
    assert body["xksProxyFleetSize"] == 1
    [manager] = body["ekmFleetDetails"]
    assert set(manager) == {"id", "model", "healthStatus"}
    assert manager["healthStatus"] == "ACTIVE"
    assert all(isinstance(value, str) and value for value in manager.values())


def test_health_is_answered_whatever_operation_it_is_for(xks: XksClient) -> None:
    for body in ({"requestMetadata": {"kmsOperation": "BulkConnect", "kmsRequestId": "é not a UUID"}}, {}):
        assert xks.post("/health", body).status == 200


def test_a_key_is_described(xks: XksClient, key: str) -> None:
    answer = xks.metadata(key)
    assert (answer.status, answer.body) == (
        200,
        {"keySpec": "AES_256", "keyUsage": ["ENCRYPT", "DECRYPT"], "keyStatus": "ENABLED"},
    )
    without = {name: value for name, value in METADATA.items() if name not in ("kmsKeyArn", "kmsViaService")}
    assert xks.post(f"/keys/{key}/metadata", {"requestMetadata": without}).status == 200


@pytest.mark.parametrize("size", [1, 32, 4300])
@pytest.mark.parametrize("data", [None, b"", b"project=nile,department=marketing", bytes(8192)])
def test_what_was_encrypted_is_decrypted(xks: XksClient, key: str, size: int, data: bytes | None) -> None:
    plaintext = bytes(range(256)) * 17
    given = None if data is None else text(data)
    made = xks.encrypt(key, plaintext[:size], additionalAuthenticatedData=given)
    assert made.status == 200
    assert set(made.body) == {"ciphertext", "ciphertextMetadata", "initializationVector", "authenticationTag"}
    sizes = {name: len(octets(value)) for name, value in made.body.items()}
    assert sizes == {"ciphertext": size, "ciphertextMetadata": 20, "initializationVector": 16, "authenticationTag": 16}
    opened = xks.decrypt(key, made.body, additionalAuthenticatedData=given)
    assert (opened.status, opened.body) == (200, {"plaintext": text(plaintext[:size])})


@pytest.mark.parametrize("data", [b"", b"some data"])
def test_the_integrity_value_is_over_all_there_is(xks: XksClient, key: str, data: bytes) -> None:
    made = xks.encrypt(
        key, additionalAuthenticatedData=text(data), ciphertextDataIntegrityValueAlgorithm="SHA_256"
    ).body
    parts = ("ciphertextMetadata", "initializationVector", "ciphertext", "authenticationTag")
    whole = data + b"".join(octets(made[name]) for name in parts)
    assert octets(made["ciphertextDataIntegrityValue"]) == hashlib.sha256(whole).digest()


def test_no_two_ciphertexts_are_alike(xks: XksClient, key: str) -> None:
    made = [xks.encrypt(key).body for _ in range(10)]
    for name in ("ciphertext", "ciphertextMetadata", "initializationVector", "authenticationTag"):
        assert len({body[name] for body in made}) == 10


def test_operations_and_fields_that_are_not_known_yet_are_no_reason_to_refuse(xks: XksClient, key: str) -> None:
    told = METADATA | {"kmsOperation": "BulkEncrypt", "sourceIdentity": "later", "kmsRequestId": "é" * 300}
    made = xks.encrypt(key, told=told, later=["more"])
    assert made.status == 200
    assert xks.decrypt(key, made.body, told=told).status == 200


def test_arns_of_2048_characters_are_taken(xks: XksClient, key: str) -> None:
    long = METADATA | {"awsPrincipalArn": "a" * 2048, "kmsKeyArn": "k" * 2048}
    assert xks.encrypt(key, told=long).status == 200


def test_a_prefix_names_a_region_here_and_perhaps_the_store(owner: Principal, xks: XksClient, key: str) -> None:
    there = owner.in_region("eu-west-1").kms.create_key()["KeyMetadata"]["KeyId"]
    for path, known, unknown in [
        ("/kms/xks/v1", key, there),
        ("/us-east-1/kms/xks/v1", key, there),
        ("/eu-west-1/kms/xks/v1", there, key),
        ("/eu-west-1/orders_2-A/kms/xks/v1", there, key),
    ]:
        at = xks.but(path=path)
        assert at.health().status == 200
        sealed = at.encrypt(known).body
        assert octets(at.decrypt(known, sealed).body["plaintext"]) == b"secret"
        is_refused(at.metadata(unknown), 404, "KeyNotFoundException")


WRONG_PATHS = [
    ("/ap-south-1/kms/xks/v1", "/health"),
    ("/orders/kms/xks/v1", "/health"),
    ("/us-east-1/a/b/kms/xks/v1", "/health"),
    ("/us-east-1/a%2Fb/kms/xks/v1", "/health"),
    (f"/us-east-1/{'a' * 120}/kms/xks/v1", "/health"),
    ("/us-east-1/kms/xks/v2", "/health"),
    ("/us-east-1/kms/xks/v1", "/healthy"),
    ("/us-east-1/kms/xks/v1", "/health/"),
    ("/us-east-1/kms/xks/v1", "/health?deep=1"),
    ("/us-east-1/kms/xks/v1", "/keys/KEY"),
    ("/us-east-1/kms/xks/v1", "/keys/KEY/delete"),
    ("/us-east-1/kms/xks/v1", "/keys//metadata"),
    ("/us-east-1/kms/xks/v1", f"/keys/{'k' * 129}/metadata"),
    ("/us-east-1/kms/xks/v1", "/keys/alias%2Fx/metadata"),
    ("", "/"),
]


@pytest.mark.parametrize(("path", "rest"), WRONG_PATHS)
def test_a_path_that_is_none_is_not_found(xks: XksClient, key: str, path: str, rest: str) -> None:
    answer = xks.but(path=path).post(rest.replace("KEY", key), {"requestMetadata": METADATA})
    is_refused(answer, 404, "InvalidUriPathException")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("operation", ["/health", "/keys/KEY/metadata", "/keys/KEY/encrypt", "/keys/KEY/decrypt"])
def test_only_post_is_allowed(xks: XksClient, key: str, method: str, operation: str) -> None:
    answer = xks.post(operation.replace("KEY", key), b"", method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "POST"


ENCRYPT_CHANGES: list[tuple[dict[str, Any], int, str]] = [
    ({"plaintext": None}, 400, "ValidationException"),
    ({"plaintext": ""}, 400, "ValidationException"),
    ({"plaintext": "not base64!"}, 400, "ValidationException"),
    ({"plaintext": 5}, 400, "ValidationException"),
    ({"plaintext": text(bytes(4301))}, 501, "UnsupportedOperationException"),
    ({"additionalAuthenticatedData": text(bytes(8193))}, 501, "UnsupportedOperationException"),
    ({"additionalAuthenticatedData": ["x"]}, 400, "ValidationException"),
    ({"encryptionAlgorithm": None}, 400, "ValidationException"),
    ({"encryptionAlgorithm": "AES_CBC"}, 400, "ValidationException"),
    ({"ciphertextDataIntegrityValueAlgorithm": "SHA_1"}, 400, "ValidationException"),
    ({"requestMetadata": None}, 400, "ValidationException"),
    ({"requestMetadata": "x"}, 400, "ValidationException"),
    *(
        ({"requestMetadata": {name: value for name, value in METADATA.items() if name != missing}}, 400, name)
        for missing in ("awsPrincipalArn", "kmsKeyArn", "kmsOperation", "kmsRequestId")
        for name in ("ValidationException",)
    ),
]


@pytest.mark.parametrize(("change", "status", "name"), ENCRYPT_CHANGES)
def test_what_encrypt_refuses(xks: XksClient, key: str, change: dict[str, Any], status: int, name: str) -> None:
    is_refused(xks.encrypt(key, **change), status, name)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff", b"[" * 2000, b"<xml/>"])
def test_a_body_that_is_no_object_is_refused(xks: XksClient, key: str, body: bytes) -> None:
    for operation in ("metadata", "encrypt", "decrypt"):
        is_refused(xks.post(f"/keys/{key}/{operation}", body), 400, "ValidationException")


def test_a_body_of_more_than_a_mebibyte_is_refused(xks: XksClient, key: str) -> None:
    is_refused(xks.encrypt(key, bytes(800_000)), 400, "ValidationException")


def _flipped(value: str) -> str:
    changed = bytearray(octets(value))
    changed[-1] ^= 1
    return text(bytes(changed))


DECRYPT_CHANGES: list[tuple[str, Any, int, str]] = [
    *(
        (name, _flipped, 400, "InvalidCiphertextException")
        for name in ("ciphertext", "ciphertextMetadata", "initializationVector", "authenticationTag")
    ),
    ("ciphertext", lambda value: text(octets(value)[1:]), 400, "InvalidCiphertextException"),
    ("ciphertext", "", 400, "ValidationException"),
    ("ciphertext", text(bytes(4301)), 501, "UnsupportedOperationException"),
    ("ciphertextMetadata", None, 400, "InvalidCiphertextException"),
    ("ciphertextMetadata", "", 400, "InvalidCiphertextException"),
    ("ciphertextMetadata", text(bytes(21)), 400, "InvalidCiphertextException"),
    ("ciphertextMetadata", lambda value: text(b"\x02" + octets(value)[1:]), 400, "InvalidCiphertextException"),
    ("ciphertextMetadata", lambda value: text(b"\x01\x00\x02" + octets(value)[3:]), 400, "InvalidCiphertextException"),
    ("ciphertextMetadata", lambda value: text(b"\x01\x00\x00" + octets(value)[3:]), 400, "InvalidCiphertextException"),
    ("initializationVector", lambda value: text(octets(value)[:12]), 400, "InvalidCiphertextException"),
    ("initializationVector", "", 400, "InvalidCiphertextException"),
    ("initializationVector", None, 400, "ValidationException"),
    ("authenticationTag", lambda value: text(octets(value)[:12]), 400, "InvalidCiphertextException"),
    ("authenticationTag", None, 400, "ValidationException"),
    ("additionalAuthenticatedData", None, 400, "InvalidCiphertextException"),
    ("additionalAuthenticatedData", text(b"other data"), 400, "InvalidCiphertextException"),
    ("additionalAuthenticatedData", text(bytes(8193)), 501, "UnsupportedOperationException"),
    ("encryptionAlgorithm", "AES_CBC", 400, "ValidationException"),
]


@pytest.mark.parametrize(("member", "change", "status", "name"), DECRYPT_CHANGES)
def test_what_decrypt_refuses(xks: XksClient, key: str, member: str, change: Any, status: int, name: str) -> None:
    data = text(b"data")
    sealed = xks.encrypt(key, additionalAuthenticatedData=data).body | {"additionalAuthenticatedData": data}
    assert xks.decrypt(key, sealed).status == 200
    value = change(sealed[member]) if callable(change) else change
    is_refused(xks.decrypt(key, sealed, **{member: value}), status, name)


def test_another_keys_ciphertext_is_refused(owner: Principal, xks: XksClient, key: str) -> None:
    other = owner.kms.create_key()["KeyMetadata"]["KeyId"]
    is_refused(xks.decrypt(other, xks.encrypt(key).body), 400, "InvalidCiphertextException")


def test_a_ciphertext_blob_of_kms_is_no_message_of_the_proxys(owner: Principal, xks: XksClient, key: str) -> None:
    blob = owner.kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    sealed = {
        "ciphertext": text(blob[-22:-16]),
        "initializationVector": text(blob[-70:-54]),
        "authenticationTag": text(blob[-16:]),
        "ciphertextMetadata": text(b"\x01\x00\x01" + blob[-54:-37]),
    }
    is_refused(xks.decrypt(key, sealed), 400, "InvalidCiphertextException")


# --- which keys, in which state -------------------------------------------------------------------------------------


def test_a_key_that_is_not_enabled_says_so_and_does_nothing(owner: Principal, xks: XksClient) -> None:
    key = owner.kms.create_key()["KeyMetadata"]["KeyId"]
    sealed = xks.encrypt(key).body
    for disable, enable in [
        (lambda: owner.kms.disable_key(KeyId=key), lambda: owner.kms.enable_key(KeyId=key)),
        (
            lambda: owner.kms.schedule_key_deletion(KeyId=key),
            lambda: (owner.kms.cancel_key_deletion(KeyId=key), owner.kms.enable_key(KeyId=key)),
        ),
    ]:
        disable()
        assert xks.metadata(key).body["keyStatus"] == "DISABLED"
        is_refused(xks.encrypt(key), 400, "InvalidStateException")
        is_refused(xks.decrypt(key, sealed), 400, "InvalidStateException")
        enable()
        assert xks.metadata(key).body["keyStatus"] == "ENABLED"
        assert xks.decrypt(key, sealed).status == 200
    waiting = owner.kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    assert xks.metadata(waiting).body["keyStatus"] == "DISABLED"
    is_refused(xks.encrypt(waiting), 400, "InvalidStateException")


@pytest.mark.parametrize(("spec", "usage"), [("ECC_NIST_P256", "SIGN_VERIFY"), ("HMAC_256", "GENERATE_VERIFY_MAC")])
def test_a_key_of_another_kind_is_described_and_not_used(
    owner: Principal, xks: XksClient, key: str, spec: str, usage: str
) -> None:
    other = owner.kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
    assert xks.metadata(other).body == {"keySpec": spec, "keyUsage": [usage], "keyStatus": "ENABLED"}
    is_refused(xks.encrypt(other), 400, "InvalidKeyUsageException")
    is_refused(xks.decrypt(other, xks.encrypt(key).body), 400, "InvalidKeyUsageException")


def test_nobody_elses_key_is_found(home: Server, owner: Principal, xks: XksClient) -> None:
    other = home.new_account()
    everybody = (
        '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}}'
    )
    foreign = other.kms.create_key(Policy=everybody)["KeyMetadata"]["KeyId"]
    owner.kms.create_alias(AliasName="alias/held", TargetKeyId=owner.kms.create_key()["KeyMetadata"]["KeyId"])
    for name in (foreign, "1234abcd-12ab-34cd-56ef-1234567890ab", "alias", "held", "..", "-", "a_b.C"):
        is_refused(xks.metadata(name), 404, "KeyNotFoundException")
        is_refused(xks.encrypt(name), 404, "KeyNotFoundException")


def test_a_rotated_key_opens_what_it_sealed_before(owner: Principal, xks: XksClient) -> None:
    key = owner.kms.create_key()["KeyMetadata"]["KeyId"]
    before = xks.encrypt(key).body
    owner.kms.rotate_key_on_demand(KeyId=key)
    deadline = time.monotonic() + 10
    while len(owner.kms.list_key_rotations(KeyId=key)["Rotations"]) != 1:
        assert time.monotonic() < deadline
    after = xks.encrypt(key).body
    assert octets(before["ciphertextMetadata"])[:3] == b"\x01\x00\x01"
    assert octets(after["ciphertextMetadata"])[:3] == b"\x01\x00\x02"
    for sealed in (before, after):
        assert octets(xks.decrypt(key, sealed).body["plaintext"]) == b"secret"
    mixed = before | {"ciphertextMetadata": text(b"\x01\x00\x02" + octets(before["ciphertextMetadata"])[3:])}
    is_refused(xks.decrypt(key, mixed), 400, "InvalidCiphertextException")


def test_a_replica_opens_what_its_primary_sealed(owner: Principal, xks: XksClient) -> None:
    key = owner.kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    owner.kms.replicate_key(KeyId=key, ReplicaRegion="eu-west-1")
    sealed = xks.encrypt(key).body
    there = xks.but(path="/eu-west-1/kms/xks/v1")
    assert octets(there.decrypt(key, sealed).body["plaintext"]) == b"secret"

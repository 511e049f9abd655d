"""Whatever a credential's holder sends, the answer is one of the specification's; what is taken back is gone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xks_client import ERROR_NAMES, METADATA, XksClient, client_of, new_client, new_credential, octets, text

from freehold.testing import Principal, Server, server

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=8,
)
BASE64 = st.binary(max_size=40).map(text)
MEMBERS = {
    "requestMetadata": st.just(METADATA) | st.dictionaries(st.sampled_from(sorted(METADATA)), ANYTHING, max_size=5),
    "encryptionAlgorithm": st.just("AES_GCM") | ANYTHING,
    **dict.fromkeys(("plaintext", "ciphertext", "initializationVector", "authenticationTag"), BASE64 | ANYTHING),
    **dict.fromkeys(("ciphertextMetadata", "additionalAuthenticatedData"), BASE64 | st.none() | ANYTHING),
    "ciphertextDataIntegrityValueAlgorithm": st.just("SHA_256") | st.none() | ANYTHING,
}


@settings(max_examples=60)
@given(
    operation=st.sampled_from(["metadata", "encrypt", "decrypt"]),
    body=st.fixed_dictionaries({}, optional=MEMBERS) | st.dictionaries(st.text(), ANYTHING, max_size=3),
    change=st.dictionaries(st.text(max_size=20), ANYTHING, max_size=2),
)
def test_no_body_makes_a_defect(
    xks: XksClient, key: str, operation: str, body: dict[str, Any], change: dict[str, Any]
) -> None:
    answer = xks.post(
        f"/keys/{key}/{operation}", json.dumps(body | change, ensure_ascii=False).encode("utf-8", "replace")
    )
    if answer.status == 200:
        return
    assert answer.body["errorName"] in ERROR_NAMES
    assert answer.status in (400, 501), answer


@settings(max_examples=60)
@given(
    ciphertext=st.binary(min_size=1, max_size=64),
    vector=st.binary(max_size=20),
    tag=st.binary(max_size=20),
    metadata=st.binary(max_size=24) | st.binary(min_size=18, max_size=18).map(lambda tail: b"\x01\x00" + tail),
)
def test_nothing_that_was_not_sealed_here_opens(
    xks: XksClient, key: str, ciphertext: bytes, vector: bytes, tag: bytes, metadata: bytes
) -> None:
    sealed = {
        "ciphertext": text(ciphertext),
        "initializationVector": text(vector),
        "authenticationTag": text(tag),
        "ciphertextMetadata": text(metadata),
    }
    assert xks.decrypt(key, sealed).error == (400, "InvalidCiphertextException")


def test_messages_of_one_key_do_not_mix(xks: XksClient, key: str) -> None:
    made = [xks.encrypt(key, bytes([number]) * 32).body for number in range(2)]
    for member in made[0]:
        assert xks.decrypt(key, made[0] | {member: made[1][member]}).error == (400, "InvalidCiphertextException")
    assert octets(xks.decrypt(key, made[0]).body["plaintext"]) == bytes(32)


def test_a_name_that_is_no_text_is_no_key(xks: XksClient) -> None:
    for name in ("%00", "%FF", "a%2e", "a%2Fb"):
        assert xks.post(f"/keys/{name}/metadata", {"requestMetadata": METADATA}).error == (
            404,
            "InvalidUriPathException",
        )


@pytest.fixture(scope="module")
def workers() -> Any:
    with server(workers=2) as running:
        yield running


def test_what_is_taken_back_is_gone_in_every_worker(workers: Server) -> None:
    owner: Principal = workers.new_account()
    client = new_client(owner)
    second = new_credential(owner, "aws-kms")
    key = owner.kms.create_key()["KeyMetadata"]["KeyId"]
    sealed = client.encrypt(key).body
    held = client_of(owner, second)
    # Each request is a connection of its own, so that both workers have known it for good.
    assert {held.decrypt(key, sealed).status for _ in range(20)} == {200}
    owner.iam.update_service_specific_credential(
        UserName="aws-kms", ServiceSpecificCredentialId=second["ServiceSpecificCredentialId"], Status="Inactive"
    )
    assert {held.decrypt(key, sealed).error for _ in range(20)} == {(401, "AuthenticationFailedException")}
    owner.kms.disable_key(KeyId=key)
    assert {client.decrypt(key, sealed).error for _ in range(20)} == {(400, "InvalidStateException")}
    owner.iam.delete_user_policy(UserName="aws-kms", PolicyName="policy-0")
    assert {client.decrypt(key, sealed).error for _ in range(20)} == {(403, "AccessDeniedException")}


def test_the_credentials_secret_is_in_no_file_and_no_log(workers: Server) -> None:
    owner = workers.new_account()
    client = new_client(owner)
    assert client.health().status == 200
    for path in [path for path in workers.data.rglob("*") if path.is_file()]:
        assert client.secret.encode() not in path.read_bytes(), path
    assert client.secret not in workers.log()


def test_a_new_user_of_the_same_name_has_none_of_the_old_ones_credentials(home: Server) -> None:
    other = home.new_account()
    client = new_client(other)
    assert client.health().status == 200
    user = other.iam.list_service_specific_credentials(UserName="aws-kms")["ServiceSpecificCredentials"][0]
    other.iam.delete_service_specific_credential(
        UserName="aws-kms", ServiceSpecificCredentialId=user["ServiceSpecificCredentialId"]
    )
    other.iam.delete_user_policy(UserName="aws-kms", PolicyName="policy-0")
    other.iam.delete_user(UserName="aws-kms")
    assert client.health().error == (401, "AuthenticationFailedException")
    again = new_client(other)
    assert again.health().status == 200
    assert client.health().error == (401, "AuthenticationFailedException")

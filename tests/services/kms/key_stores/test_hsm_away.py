"""An HSM that goes away, comes back, lost keys, or was replaced; deletion reaches into the token; nothing leaks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from soft_hsm import MODULE, PIN, SoftHsm, cluster_id
from stores_in_use import Refused, connected, disconnected, hsm_key, new_store, until

from freehold.testing import Principal, Server, server


@pytest.fixture(scope="module")
def own_hsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    """An HSM that a test may take away from its server."""
    return SoftHsm(tmp_path_factory.mktemp("own-hsm"), 6)


@pytest.fixture(scope="module")
def own_server(own_hsm: SoftHsm) -> Iterator[Server]:
    with server(options=own_hsm.options, environment=own_hsm.environment, workers=2) as running:
        yield running


@pytest.fixture
def account(own_server: Server) -> Principal:
    return own_server.new_account()


def _eventually(who: Principal, blob: bytes) -> bytes:
    deadline = time.monotonic() + 10
    while True:
        try:
            return bytes(who.kms.decrypt(CiphertextBlob=blob)["Plaintext"])
        except Exception:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_an_hsm_that_goes_away_is_used_again_once_it_is_back(
    account: Principal, own_hsm: SoftHsm, refused: Refused
) -> None:
    store = connected(account, new_store(account, own_hsm)[0])
    key, plain = hsm_key(account, store)["KeyId"], account.kms.create_key()["KeyMetadata"]["KeyId"]
    blob = account.kms.encrypt(KeyId=key, Plaintext=b"kept")["CiphertextBlob"]
    with own_hsm.gone():
        for _ in range(4):
            with refused("KMSInvalidStateException"):
                account.kms.encrypt(KeyId=key, Plaintext=b"x")
            account.kms.encrypt(KeyId=plain, Plaintext=b"x")
        with refused("CustomKeyStoreInvalidStateException"):
            hsm_key(account, store)
    assert _eventually(account, blob) == b"kept"


def test_a_store_whose_hsm_is_away_fails_to_connect(account: Principal, own_hsm: SoftHsm, refused: Refused) -> None:
    store, number = new_store(account, own_hsm)
    with own_hsm.gone():
        account.kms.connect_custom_key_store(CustomKeyStoreId=store)
        failed = until(account, store, "FAILED")
        assert failed["ConnectionErrorCode"] in ("INSUFFICIENT_CLOUDHSM_HSMS", "NETWORK_ERRORS", "INTERNAL_ERROR")
        disconnected(account, store)
        account.kms.delete_custom_key_store(CustomKeyStoreId=store)
        with refused("CloudHsmClusterNotActiveException"):
            account.kms.create_custom_key_store(
                CustomKeyStoreName="absent",
                CloudHsmClusterId=cluster_id(number),
                TrustAnchorCertificate=own_hsm.trust_anchor,
                KeyStorePassword=PIN,
            )


def test_a_key_that_the_token_lost_is_missed_and_another_token_isnt_taken_for_its_own(
    account: Principal, own_hsm: SoftHsm, refused: Refused
) -> None:
    store_id, number = new_store(account, own_hsm)
    connected(account, store_id)
    key = hsm_key(account, store_id)["KeyId"]
    blob = account.kms.encrypt(KeyId=key, Plaintext=b"gone")["CiphertextBlob"]
    own_hsm.remove_token(f"token-{number}")
    own_hsm.make_token(f"token-{number}")
    for _ in range(2):
        with refused("KMSInvalidStateException"):
            account.kms.decrypt(CiphertextBlob=blob)
    disconnected(account, store_id)
    account.kms.connect_custom_key_store(CustomKeyStoreId=store_id)
    assert until(account, store_id, "FAILED")["ConnectionErrorCode"] == "CLUSTER_NOT_FOUND"


def test_all_workers_have_the_token_and_lose_it_at_once(account: Principal, own_hsm: SoftHsm, refused: Refused) -> None:
    store = connected(account, new_store(account, own_hsm)[0])
    key = hsm_key(account, store)["KeyId"]
    blob = account.kms.encrypt(KeyId=key, Plaintext=b"both")["CiphertextBlob"]
    for _ in range(6):
        assert account.client("kms").decrypt(CiphertextBlob=blob)["Plaintext"] == b"both"
    disconnected(account, store)
    for _ in range(6):
        with refused("KMSInvalidStateException"):
            account.client("kms").decrypt(CiphertextBlob=blob)


def test_a_deleted_keys_object_is_destroyed_in_the_token(
    account: Principal, own_hsm: SoftHsm, own_server: Server, refused: Refused
) -> None:
    store, number = new_store(account, own_hsm)
    connected(account, store)
    kept, gone, late = (hsm_key(account, store)["KeyId"] for _ in range(3))
    assert _objects(own_hsm, number) == {kept, gone, late}
    account.kms.schedule_key_deletion(KeyId=gone, PendingWindowInDays=7)
    account.kms.schedule_key_deletion(KeyId=late, PendingWindowInDays=8)
    own_server.advance(days=7, seconds=1)
    _until_objects(own_hsm, number, {kept, late})
    disconnected(account, store)
    own_server.advance(days=1)
    with refused("NotFoundException"):
        account.kms.describe_key(KeyId=late)
    assert late in _objects(own_hsm, number)
    connected(account, store)
    _until_objects(own_hsm, number, {kept})


def test_a_key_that_is_refused_leaves_nothing_in_the_token(
    account: Principal, own_hsm: SoftHsm, refused: Refused
) -> None:
    store, number = new_store(account, own_hsm)
    connected(account, store)
    with refused("MalformedPolicyDocumentException"):
        hsm_key(account, store, Policy="{}")
    _until_objects(own_hsm, number, set())


def test_keys_are_made_so_that_the_token_never_gives_them_away(own_hsm: SoftHsm) -> None:
    own_hsm.make_token("exposed")
    key_id = "11111111-2222-3333-4444-555555555555"
    found = _in_another_process(
        own_hsm,
        f"""
from pathlib import Path
from freehold.crypto.pkcs11_uri import parse
from freehold.services.kms.stores.errors import StoreProblem
from freehold.services.kms.stores.pkcs11 import Library, Token, object_id
from pkcs11 import Attribute, KeyType, ObjectClass, exceptions
token = Token(Library(Path({MODULE!r})), parse("pkcs11:token=exposed?module-path={MODULE}"), {PIN!r})
token.open()
token.make({key_id!r}, "a key")
key = token._key(object_id({key_id!r}))
print([key[one] for one in (Attribute.SENSITIVE, Attribute.NEVER_EXTRACTABLE, Attribute.EXTRACTABLE, Attribute.LOCAL)])
try:
    key[Attribute.VALUE]
except exceptions.AttributeSensitive:
    print("its value is not shown")
token.destroy({key_id!r})
token._session.create_object({{
    Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.KEY_TYPE: KeyType.GENERIC_SECRET, Attribute.TOKEN: True,
    Attribute.VALUE: bytes(64), Attribute.ID: object_id({key_id!r}), Attribute.SIGN: True,
}})
try:
    token.mac({key_id!r}, b"x")
except StoreProblem as problem:
    print(problem)
""",
    )
    assert found == ["[True, True, False, True]", "its value is not shown", "key exposed"]


def test_neither_the_pin_nor_any_key_is_in_the_data_the_log_or_the_arguments(
    account: Principal, own_hsm: SoftHsm, own_server: Server
) -> None:
    files = [path for path in own_server.data.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert PIN.encode() not in path.read_bytes(), path
    assert PIN not in own_server.log()
    assert PIN not in Path(f"/proc/{own_server.pid}/cmdline").read_text()


def _in_another_process(hsm: SoftHsm, code: str) -> list[str]:
    environment = {**os.environ, **hsm.environment}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def _objects(hsm: SoftHsm, number: int) -> set[str]:
    """The ids of the KMS keys whose objects are in a token."""
    code = f"""
import uuid
import pkcs11
token = pkcs11.lib({MODULE!r}).get_token(token_label="token-{number}")
with token.open(user_pin={PIN!r}) as session:
    for found in session.get_objects({{pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY}}):
        print(uuid.UUID(bytes=bytes(found[pkcs11.Attribute.ID])))
"""
    return set(_in_another_process(hsm, code))


def _until_objects(hsm: SoftHsm, number: int, expected: set[str]) -> None:
    deadline = time.monotonic() + 10
    while (found := _objects(hsm, number)) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)

"""Two things happen to one KMS key at the same moment, through two workers and in two Regions: nothing is half-done.

Whatever the order was, states, materials, relations and counts belong together afterwards, and what was acknowledged
holds for every request that begins later.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

import freehold.testing

HERE, THERE = "us-east-1", "eu-west-1"
AT_ONCE = 6


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with freehold.testing.server(workers=2, regions=(HERE, THERE)) as made:
        yield made
        assert made.log() == ""


@pytest.fixture
def aws(server: Any) -> Any:
    return server.new_account()


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """What each of these came to, begun together: an answer, or the code of the refusal."""
    barrier = threading.Barrier(len(acts))

    def call(act: Callable[[], Any]) -> Any:
        barrier.wait(20)
        try:
            return act()
        except ClientError as error:
            return error.response["Error"]["Code"]

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(call, acts))


def refusals(outcomes: list[Any]) -> list[str]:
    return sorted(outcome for outcome in outcomes if isinstance(outcome, str))


def test_what_is_encrypted_while_a_key_is_scheduled_for_deletion_opens_again_or_was_refused(aws: Any) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    clients = [aws.client("kms") for _ in range(AT_ONCE)]
    scheduled = threading.Event()
    late: list[bytes] = []
    blobs: list[bytes] = []
    codes: set[str] = set()

    def encrypt(client: Any) -> None:
        for _ in range(40):
            began_late = scheduled.is_set()
            try:
                blob = client.encrypt(KeyId=key, Plaintext=b"text")["CiphertextBlob"]
            except ClientError as error:
                codes.add(error.response["Error"]["Code"])
                return
            (late if began_late else blobs).append(blob)

    def schedule() -> None:
        aws.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
        scheduled.set()

    at_once(schedule, *(lambda client=client: encrypt(client) for client in clients))
    assert late == []
    assert codes <= {"KMSInvalidStateException"}
    aws.kms.cancel_key_deletion(KeyId=key)
    aws.kms.enable_key(KeyId=key)
    for blob in blobs:
        assert aws.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"


def test_a_replica_that_is_made_during_rotations_opens_all_that_the_primary_sealed(aws: Any) -> None:
    key = aws.kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    there = aws.in_region(THERE)
    clients = [aws.client("kms") for _ in range(4)]
    blobs: list[bytes] = []

    def rotate(client: Any) -> None:
        client.rotate_key_on_demand(KeyId=key)
        blobs.append(client.encrypt(KeyId=key, Plaintext=b"text")["CiphertextBlob"])

    def replicate(client: Any) -> None:
        client.replicate_key(KeyId=key, ReplicaRegion=THERE)

    outcomes = at_once(
        *(lambda client=client: rotate(client) for client in clients),
        *(lambda client=client: replicate(client) for client in clients[:2]),
    )
    assert set(refusals(outcomes[4:])) <= {"AlreadyExistsException"}
    assert len(refusals(outcomes[4:])) == 1
    assert not refusals(outcomes[:4])
    ids = {region.kms.describe_key(KeyId=key)["KeyMetadata"]["CurrentKeyMaterialId"] for region in (aws, there)}
    assert len(ids) == 1
    for blob in blobs:
        assert there.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"
    relation = aws.kms.describe_key(KeyId=key)["KeyMetadata"]["MultiRegionConfiguration"]
    assert [replica["Region"] for replica in relation["ReplicaKeys"]] == [THERE]


def test_of_primaries_that_are_chosen_at_once_there_is_one_in_the_end(aws: Any) -> None:
    key = aws.kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    aws.kms.replicate_key(KeyId=key, ReplicaRegion=THERE)
    there = aws.in_region(THERE)
    at_once(
        lambda: aws.kms.update_primary_region(KeyId=key, PrimaryRegion=THERE),
        lambda: there.kms.update_primary_region(KeyId=key, PrimaryRegion=HERE),
        lambda: aws.client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7),
        lambda: there.client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=7),
    )
    found = [region.kms.describe_key(KeyId=key)["KeyMetadata"] for region in (aws, there)]
    kinds = sorted(one["MultiRegionConfiguration"]["MultiRegionKeyType"] for one in found)
    assert kinds == ["PRIMARY", "REPLICA"]
    assert found[0]["MultiRegionConfiguration"]["PrimaryKey"] == found[1]["MultiRegionConfiguration"]["PrimaryKey"]
    for one in found:
        kind = one["MultiRegionConfiguration"]["MultiRegionKeyType"]
        assert one["KeyState"] in (
            ("PendingReplicaDeletion", "Enabled") if kind == "PRIMARY" else ("PendingDeletion", "Enabled")
        )


def test_material_that_is_imported_and_deleted_at_once_is_there_or_isnt(aws: Any) -> None:
    """Every answer of DescribeKey is borne out by the next Encrypt."""
    key = aws.kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    given = aws.kms.get_parameters_for_import(
        KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    public_key = serialization.load_der_public_key(given["PublicKey"])
    assert isinstance(public_key, RSAPublicKey)
    materials = [os.urandom(32) for _ in range(3)]
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    clients = [aws.client("kms") for _ in range(8)]

    def bring(client: Any, material: bytes) -> Any:
        return client.import_key_material(
            KeyId=key,
            ImportToken=given["ImportToken"],
            EncryptedKeyMaterial=public_key.encrypt(material, oaep),
            ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
        )

    # Three people bring different material for the key's first: one of them gives it its material for good.
    first = at_once(*(lambda at=at: bring(clients[at], materials[at]) for at in range(3)))
    assert refusals(first) == ["IncorrectKeyMaterialException"] * 2
    kept = next(at for at in range(3) if not isinstance(first[at], str))
    blob = aws.kms.encrypt(KeyId=key, Plaintext=b"text")["CiphertextBlob"]
    for _ in range(4):
        at_once(
            lambda: clients[0].delete_imported_key_material(KeyId=key),
            lambda: bring(clients[1], materials[kept]),
            lambda: clients[2].delete_imported_key_material(KeyId=key),
            lambda: bring(clients[3], materials[kept]),
        )
        states = {client.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] for client in clients}
        assert len(states) == 1
        if states == {"Enabled"}:
            assert all(client.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text" for client in clients)
        else:
            assert states == {"PendingImport"}
            for client in clients:
                with pytest.raises(ClientError) as error:
                    client.decrypt(CiphertextBlob=blob)
                assert error.value.response["Error"]["Code"] == "KMSInvalidStateException"


def test_names_are_given_once_and_counted_once(aws: Any) -> None:
    keys = [aws.kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2)]
    clients = [aws.client("kms") for _ in range(AT_ONCE)]
    root = f"arn:aws:iam::{aws.account_id}:root"
    made = at_once(
        *(
            lambda at=at: clients[at].create_alias(AliasName="alias/one", TargetKeyId=keys[at % 2])
            for at in range(AT_ONCE)
        )
    )
    assert refusals(made) == ["AlreadyExistsException"] * (AT_ONCE - 1)
    assert len(aws.kms.list_aliases()["Aliases"]) == 1
    request = {"KeyId": keys[0], "GranteePrincipal": root, "Operations": ["Decrypt"], "Name": "one"}
    grants = at_once(*(lambda at=at: clients[at].create_grant(**request) for at in range(AT_ONCE)))
    assert len({grant["GrantId"] for grant in grants}) == 1
    [grant] = aws.kms.list_grants(KeyId=keys[0])["Grants"]
    ended = at_once(
        *(lambda at=at: clients[at].retire_grant(KeyId=keys[0], GrantId=grant["GrantId"]) for at in range(AT_ONCE))
    )
    assert refusals(ended) == ["NotFoundException"] * (AT_ONCE - 1)
    assert aws.kms.list_grants(KeyId=keys[0])["Grants"] == []

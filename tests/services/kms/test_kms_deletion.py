"""Deletion through boto3: what waits for what, what a key that is to go still does, and that nothing opens afterwards.

The server has two workers and three Regions; the clock is moved.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from botocore.exceptions import ClientError
from kms_wrapping import FOR_EVER, wrapped

import freehold.testing
from freehold.config import Settings
from freehold.crypto import envelope
from freehold.crypto.aead import IntegrityError, Sealer
from freehold.deployment import root_key_of
from freehold.services.kms.material import bound_to
from freehold.services.kms.records import MATERIALS
from freehold.storage.counters import SharedCounters
from freehold.storage.database import connect
from freehold.storage.locks import hold_directory
from freehold.storage.sqlite import SqliteRecords

HOME, NEAR, FAR = "us-east-1", "eu-west-1", "ap-southeast-2"
CLIENTS = 8
"""Enough connections that both workers have some."""


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with freehold.testing.server(workers=2, regions=(HOME, NEAR, FAR)) as made:
        yield made


@pytest.fixture
def aws(server: Any) -> Any:
    return server.new_account()


def described(aws: Any, key_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = aws.kms.describe_key(KeyId=key_id)["KeyMetadata"]
    return shown


def state(aws: Any, key_id: str) -> str:
    return str(described(aws, key_id)["KeyState"])


def events(aws: Any, name: str) -> list[dict[str, Any]]:
    found = aws.cloudtrail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}])
    return [json.loads(event["CloudTrailEvent"]) for event in found["Events"]]


def test_a_primary_key_goes_after_its_last_replica_and_a_window_of_its_own(server: Any, aws: Any, refused: Any) -> None:
    near, far = aws.in_region(NEAR), aws.in_region(FAR)
    key_id = aws.kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    for region in (NEAR, FAR):
        aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=region)
    blob = aws.kms.encrypt(KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]

    scheduled = aws.kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    assert (scheduled["KeyState"], scheduled["PendingWindowInDays"]) == ("PendingReplicaDeletion", 7)
    assert "DeletionDate" not in scheduled
    shown = described(aws, key_id)
    assert (shown["KeyState"], shown["PendingDeletionWindowInDays"]) == ("PendingReplicaDeletion", 7)
    assert "DeletionDate" not in shown
    for refusing in (
        lambda: aws.kms.decrypt(CiphertextBlob=blob),
        lambda: aws.kms.update_primary_region(KeyId=key_id, PrimaryRegion=NEAR),
        lambda: aws.kms.schedule_key_deletion(KeyId=key_id),
    ):
        with refused("KMSInvalidStateException", "is pending replica deletion."):
            refusing()
    assert near.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"

    near.kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    far.kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=10)
    server.advance(days=8)
    with refused("NotFoundException"):
        near.kms.describe_key(KeyId=key_id)
    assert state(aws, key_id) == "PendingReplicaDeletion"
    assert [key["Region"] for key in described(far, key_id)["MultiRegionConfiguration"]["ReplicaKeys"]] == [FAR]
    server.advance(days=3)
    shown = described(aws, key_id)
    assert shown["KeyState"] == "PendingDeletion"
    assert "PendingDeletionWindowInDays" not in shown
    assert shown["MultiRegionConfiguration"]["ReplicaKeys"] == []
    server.advance(days=6)
    assert state(aws, key_id) == "PendingDeletion"
    server.advance(days=2)
    with refused("NotFoundException"):
        aws.kms.decrypt(CiphertextBlob=blob)
    for one, region in ((aws, HOME), (near, NEAR), (far, FAR)):
        (told,) = events(one, "DeleteKey")
        assert told["resources"][0]["ARN"] == f"arn:aws:kms:{region}:{aws.account_id}:key/{key_id}"
        assert told["eventType"] == "AwsServiceEvent"


def test_a_deletion_that_waits_for_replicas_can_be_cancelled(aws: Any) -> None:
    key_id = aws.kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=NEAR)
    aws.kms.schedule_key_deletion(KeyId=key_id)
    aws.kms.cancel_key_deletion(KeyId=key_id)
    shown = described(aws, key_id)
    assert shown["KeyState"] == "Disabled"
    assert "PendingDeletionWindowInDays" not in shown
    aws.kms.enable_key(KeyId=key_id)
    assert aws.kms.encrypt(KeyId=key_id, Plaintext=b"text")


def test_a_destroyed_replica_is_made_again_and_opens_what_it_had_encrypted(server: Any, aws: Any, refused: Any) -> None:
    near = aws.in_region(NEAR)
    key_id = aws.kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=NEAR)
    blob = near.kms.encrypt(KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]
    near.kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    with refused("AlreadyExistsException"):
        aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=NEAR)
    server.advance(days=8)
    with refused("NotFoundException"):
        near.kms.decrypt(CiphertextBlob=blob)
    assert aws.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"
    aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=NEAR)
    assert near.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"
    aws.kms.schedule_key_deletion(KeyId=key_id)
    assert state(aws, key_id) == "PendingReplicaDeletion"


def test_a_key_to_be_deleted_keeps_aliases_grants_and_schedule_but_takes_no_new_ones(aws: Any, refused: Any) -> None:
    root = f"arn:aws:iam::{aws.account_id}:root"
    key_id, other = (aws.kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
    aws.kms.create_alias(AliasName="alias/one", TargetKeyId=key_id)
    aws.kms.create_alias(AliasName="alias/two", TargetKeyId=other)
    grant = aws.kms.create_grant(KeyId=key_id, GranteePrincipal=root, Operations=["Decrypt"])["GrantId"]
    aws.kms.enable_key_rotation(KeyId=key_id, RotationPeriodInDays=100)
    aws.kms.schedule_key_deletion(KeyId=key_id)
    refusals: list[Callable[[], Any]] = [
        lambda: aws.kms.create_alias(AliasName="alias/three", TargetKeyId=key_id),
        lambda: aws.kms.update_alias(AliasName="alias/two", TargetKeyId=key_id),
        lambda: aws.kms.create_grant(KeyId=key_id, GranteePrincipal=root, Operations=["Decrypt"]),
        lambda: aws.kms.enable_key(KeyId=key_id),
        lambda: aws.kms.enable_key_rotation(KeyId=key_id),
        lambda: aws.kms.encrypt(KeyId="alias/one", Plaintext=b"text"),
    ]
    for refusal in refusals:
        with refused("KMSInvalidStateException", "is pending deletion."):
            refusal()
    assert aws.kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"] is False
    assert [one["GrantId"] for one in aws.kms.list_grants(KeyId=key_id)["Grants"]] == [grant]
    assert [one["AliasName"] for one in aws.kms.list_aliases(KeyId=key_id)["Aliases"]] == ["alias/one"]
    aws.kms.cancel_key_deletion(KeyId=key_id)
    assert aws.kms.get_key_rotation_status(KeyId=key_id)["RotationPeriodInDays"] == 100
    aws.kms.enable_key(KeyId=key_id)
    assert aws.kms.encrypt(KeyId="alias/one", Plaintext=b"text")


def test_sessions_with_grants_and_objects_lose_what_the_key_protected(server: Any, aws: Any, refused: Any) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{aws.account_id}:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    role = aws.iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    reading = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
    }
    aws.iam.put_role_policy(RoleName="reader", PolicyName="reading", PolicyDocument=json.dumps(reading))
    user = aws.new_user(
        "user",
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}]},
    )
    key_id = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    aws.kms.create_grant(KeyId=key_id, GranteePrincipal=role, Operations=["Decrypt"])
    bucket = f"granted-{aws.account_id}"
    place = {"Bucket": bucket, "Key": "object"}
    aws.s3.create_bucket(Bucket=bucket)
    aws.s3.put_object(**place, Body=b"text", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id)
    blob = aws.kms.encrypt(KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]

    def session() -> Any:
        return user.using(user.sts.assume_role(RoleArn=role, RoleSessionName="session"))

    reader = session()
    assert reader.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"
    assert reader.s3.get_object(**place)["Body"].read() == b"text"
    aws.kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    with refused("KMSInvalidStateException", "is pending deletion."):
        reader.kms.decrypt(CiphertextBlob=blob)
    with refused("KMS.KMSInvalidStateException"):
        reader.s3.get_object(**place)
    server.advance(days=8)
    reader = session()
    with refused("NotFoundException"):
        reader.kms.decrypt(CiphertextBlob=blob)
    with pytest.raises(ClientError):
        reader.s3.get_object(**place)
    with pytest.raises(ClientError):
        aws.s3.get_object(**place)


def thief(server: Any) -> dict[tuple[str, str, int], bytes]:
    """All key material that the root key opens in a stopped server's directory."""
    settings = Settings(data=server.data, root_key=server.root_key)
    keyring = root_key_of(settings)
    with hold_directory(settings.data):
        records = SqliteRecords(
            settings.data, keyring.sealing_key("pages"), Sealer(keyring.sealing_key("records")), SharedCounters()
        )
        try:
            sealer = Sealer(keyring.sealing_key("kms"))
            found = {}
            for (region, key_id, number), record in MATERIALS.scan(records.reader()):
                bound = bound_to(str(region), str(key_id), int(number), record.material_id)
                found[str(region), str(key_id), int(number)] = sealer.open(record.sealed, bound)
            return found
        finally:
            records.close()


def rows(server: Any) -> dict[bytes, bytes]:
    """The material table's rows as they lie in the database's pages."""
    keyring = root_key_of(Settings(data=server.data, root_key=server.root_key))
    connection = connect(server.data / "records.db", keyring.sealing_key("pages"))
    try:
        return dict(connection.execute('SELECT key, value FROM "r.kms.materials"').fetchall())
    finally:
        connection.close()


def everything(server: Any, copies: Path) -> bytes:
    """All bytes of the directory: the database's pages, used or not, in the clear; what else there is as it is."""
    keyring = root_key_of(Settings(data=server.data, root_key=server.root_key))
    copy = copies / "copy.db"
    shutil.copy(server.data / "records.db", copy)
    connection = apsw.Connection(str(copy))
    connection.execute("PRAGMA cipher = 'aegis'")
    connection.execute(f'PRAGMA key = "raw:{keyring.sealing_key("pages").hex()}"')
    connection.pragma("journal_mode", "delete")
    connection.execute("PRAGMA rekey = ''")
    connection.close()
    parts = [copy.read_bytes()]
    parts += [path.read_bytes() for path in server.data.rglob("*") if path.is_file() and path.name != "records.db"]
    return b"".join(parts)


KINDS = {
    "symmetric": {},
    "hmac": {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
    "rsa": {"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"},
    "curve": {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"},
    "lattice": {"KeySpec": "ML_DSA_44", "KeyUsage": "SIGN_VERIFY"},
    "related": {"MultiRegion": True},
    "imported": {"Origin": "EXTERNAL"},
}


def bring_in(aws: Any, key_id: str, material: bytes) -> None:
    algorithm = "RSAES_OAEP_SHA_256"
    given = aws.kms.get_parameters_for_import(KeyId=key_id, WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_2048")
    under = wrapped(algorithm, given["PublicKey"], material)
    aws.kms.import_key_material(KeyId=key_id, ImportToken=given["ImportToken"], EncryptedKeyMaterial=under, **FOR_EVER)


def test_nothing_of_a_destroyed_key_is_left_in_workers_or_files(tmp_path: Path, refused: Any) -> None:
    with freehold.testing.server(workers=2, regions=(HOME, NEAR)) as server:
        aws = server.new_account()
        keys = {name: aws.kms.create_key(**options)["KeyMetadata"]["KeyId"] for name, options in KINDS.items()}
        kept = aws.kms.create_key()["KeyMetadata"]["KeyId"]
        aws.kms.replicate_key(KeyId=keys["related"], ReplicaRegion=NEAR)
        near = aws.in_region(NEAR)
        brought = os.urandom(32)
        bring_in(aws, keys["imported"], brought)
        aws.kms.rotate_key_on_demand(KeyId=keys["symmetric"])
        aws.kms.rotate_key_on_demand(KeyId=keys["related"])
        encrypting = {name: keys[name] for name in ("symmetric", "related", "imported")} | {"kept": kept}
        blobs = {
            name: aws.kms.encrypt(KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]
            for name, key_id in encrypting.items()
        }
        server.stop()
        before, stolen = rows(server), thief(server)
        assert len(before) == len(stolen) == 2 + 1 + 1 + 1 + 1 + 2 * 2 + 1 + 1
        assert opening(stolen, blobs) == set(encrypting)
        assert brought in stolen.values()
        bytes_before = everything(server, tmp_path)
        assert all(value[10:90] in bytes_before for value in before.values())

        server.start()
        clients = [one.client("kms") for one in [aws] * CLIENTS + [near] * CLIENTS]
        for client in clients[:CLIENTS]:
            client.decrypt(CiphertextBlob=blobs["symmetric"])
            client.sign(KeyId=keys["rsa"], Message=b"text", SigningAlgorithm="RSASSA_PSS_SHA_256")
        near.kms.schedule_key_deletion(KeyId=keys["related"], PendingWindowInDays=7)
        for key_id in keys.values():
            aws.kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
        server.advance(days=8)
        server.advance(days=8)
        for client in clients:
            for key_id in keys.values():
                with refused("NotFoundException"):
                    client.describe_key(KeyId=key_id)
            for blob in (blobs["symmetric"], blobs["related"], blobs["imported"]):
                with pytest.raises(ClientError) as error:
                    client.decrypt(CiphertextBlob=blob)
                assert error.value.response["Error"]["Code"] in ("NotFoundException", "InvalidCiphertextException")
        assert aws.kms.decrypt(CiphertextBlob=blobs["kept"])["Plaintext"] == b"text"
        assert len(events(aws, "DeleteKey")) == len(keys)
        server.stop()

        left = thief(server)
        assert {key_id for _, key_id, _ in left} == {kept}
        assert opening(left, blobs) == {"kept"}
        bytes_after = everything(server, tmp_path)
        after = rows(server)
        gone = [value for key, value in before.items() if key not in after]
        assert len(gone) == len(before) - 1
        assert not any(value[10:90] in bytes_after for value in gone)
        destroyed = [material for place, material in stolen.items() if place not in left]
        assert not any(material[-24:] in bytes_after for material in destroyed)


def opening(materials: dict[tuple[str, str, int], bytes], blobs: dict[str, bytes]) -> set[str]:
    """The names of the blobs that any of the materials opens."""
    opened = set()
    for name, blob in blobs.items():
        for material in materials.values():
            if len(material) != 32:
                continue
            try:
                envelope.open_message(material, blob, {})
            except IntegrityError:
                continue
            opened.add(name)
    return opened

"""Imports through boto3 against a server in two Regions: who may, what is audited, and multi-Region keys."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kms_wrapping import FOR_EVER, wrapped

import freehold.testing
from freehold.cli import erasure
from freehold.config import Settings

HOME, FAR = "us-east-1", "eu-west-1"
OAEP = "RSAES_OAEP_SHA_256"
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with freehold.testing.server(regions=(HOME, FAR)) as made:
        yield made


@pytest.fixture
def aws(server: Any) -> Any:
    return server.new_account()


def new_key(aws: Any, **params: Any) -> str:
    made: str = aws.kms.create_key(Origin="EXTERNAL", **params)["KeyMetadata"]["KeyId"]
    return made


def parameters(aws: Any, key_id: str, algorithm: str = OAEP, spec: str = "RSA_2048") -> Any:
    return aws.kms.get_parameters_for_import(KeyId=key_id, WrappingAlgorithm=algorithm, WrappingKeySpec=spec)


def bring(aws: Any, key_id: str, material: bytes, **params: Any) -> Any:
    given = parameters(aws, key_id)
    return aws.kms.import_key_material(
        KeyId=key_id,
        ImportToken=given["ImportToken"],
        EncryptedKeyMaterial=wrapped(OAEP, given["PublicKey"], material),
        **{**FOR_EVER, **params},
    )


def state(aws: Any, key_id: str) -> str:
    found: str = aws.kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"]
    return found


def materials(aws: Any, key_id: str) -> list[tuple[str, str]]:
    found = aws.kms.list_key_rotations(KeyId=key_id, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    return [(one["KeyMaterialState"], one["ImportState"]) for one in found]


# --- who may ----------------------------------------------------------------------------------------------------------


def test_conditions_on_wrapping_and_expiry_hold(aws: Any, refused: Any) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    conditions: dict[str, dict[str, Any]] = {
        "kms:GetParametersForImport": {
            "StringEquals": {"kms:WrappingAlgorithm": OAEP, "kms:WrappingKeySpec": "RSA_2048"}
        },
        "kms:ImportKeyMaterial": {
            "StringEquals": {"kms:ExpirationModel": "KEY_MATERIAL_EXPIRES"},
            "NumericLessThanEquals": {"kms:ValidTo": str(tomorrow.timestamp())},
        },
    }
    statements = [
        {"Effect": "Allow", "Action": action, "Resource": "*", "Condition": condition}
        for action, condition in conditions.items()
    ]
    user = aws.new_user(f"importer-{os.urandom(4).hex()}", {"Version": "2012-10-17", "Statement": statements})
    key_id = new_key(aws)
    for algorithm, spec in (("RSAES_OAEP_SHA_1", "RSA_2048"), (OAEP, "RSA_3072")):
        with refused("AccessDeniedException", "kms:GetParametersForImport"):
            parameters(user, key_id, algorithm, spec)
    for more in (FOR_EVER, {"ValidTo": tomorrow + timedelta(hours=1)}):
        with refused("AccessDeniedException", "kms:ImportKeyMaterial"):
            user.kms.import_key_material(KeyId=key_id, ImportToken=b"t", EncryptedKeyMaterial=b"m", **more)
    given = parameters(user, key_id)
    user.kms.import_key_material(
        KeyId=key_id,
        ImportToken=given["ImportToken"],
        EncryptedKeyMaterial=wrapped(OAEP, given["PublicKey"], bytes(32)),
        ValidTo=tomorrow - timedelta(hours=1),
    )
    with refused("AccessDeniedException", "kms:DeleteImportedKeyMaterial"):
        user.kms.delete_imported_key_material(KeyId=key_id)


def test_a_token_is_nothing_to_another_account(server: Any, aws: Any, refused: Any) -> None:
    key_id, stranger = new_key(aws), server.new_account()
    given = parameters(aws, key_id)
    theirs = new_key(stranger)
    with refused("InvalidImportTokenException"):
        stranger.kms.import_key_material(
            KeyId=theirs,
            ImportToken=given["ImportToken"],
            EncryptedKeyMaterial=wrapped(OAEP, given["PublicKey"], bytes(32)),
            **FOR_EVER,
        )


def test_a_token_of_another_deployment_is_refused(aws: Any, refused: Any) -> None:
    with freehold.testing.server() as elsewhere:
        other = elsewhere.account
        given = parameters(other, new_key(other))
    with refused("InvalidImportTokenException"):
        aws.kms.import_key_material(
            KeyId=new_key(aws),
            ImportToken=given["ImportToken"],
            EncryptedKeyMaterial=wrapped(OAEP, given["PublicKey"], bytes(32)),
            **FOR_EVER,
        )


def test_the_trail_has_each_import_and_neither_token_nor_material(aws: Any) -> None:
    key_id = new_key(aws)
    answer = bring(aws, key_id, bytes(32), KeyMaterialDescription="of the safe")
    aws.kms.delete_imported_key_material(KeyId=key_id)
    found = {}
    for name in ("GetParametersForImport", "ImportKeyMaterial", "DeleteImportedKeyMaterial"):
        (event,) = aws.cloudtrail.lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}]
        )["Events"]
        found[name] = json.loads(event["CloudTrailEvent"])
        assert found[name]["resources"][0]["ARN"] == answer["KeyId"]
    assert found["GetParametersForImport"]["requestParameters"] == {
        "keyId": key_id,
        "wrappingAlgorithm": OAEP,
        "wrappingKeySpec": "RSA_2048",
    }
    assert set(found["ImportKeyMaterial"]["requestParameters"]) == {
        "keyId",
        "expirationModel",
        "keyMaterialDescription",
    }
    for name in ("ImportKeyMaterial", "DeleteImportedKeyMaterial"):
        assert found[name]["additionalEventData"] == {"keyMaterialId": answer["KeyMaterialId"]}


# --- what it protects -------------------------------------------------------------------------------------------------


def test_an_object_is_as_readable_as_its_keys_material_is_there(tmp_path: Path) -> None:
    """Without the material the root key and the whole directory don't open it; with the same material it's back."""
    material = os.urandom(32)
    with freehold.testing.server(tmp_path) as own:
        aws = own.account
        key_id = new_key(aws)
        bring(aws, key_id, material)
        aws.kms.create_key(KeySpec="HMAC_512", KeyUsage="GENERATE_VERIFY_MAC")
        aws.s3.create_bucket(Bucket="kept")
        aws.s3.put_object(
            Bucket="kept", Key="object", Body=b"content", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id
        )

        def recoverable() -> bool:
            own.stop()
            found = erasure.attempt(Settings(data=own.data, root_key=own.root_key), "kept", "object")
            own.start()
            return found.recovered

        assert recoverable()
        aws.kms.delete_imported_key_material(KeyId=key_id)
        with pytest.raises(aws.s3.exceptions.ClientError, match="pending import"):
            aws.s3.get_object(Bucket="kept", Key="object")
        assert not recoverable()
        bring(aws, key_id, material, ExpirationModel="KEY_MATERIAL_EXPIRES", ValidTo=datetime.now(UTC) + HOUR)
        assert aws.s3.get_object(Bucket="kept", Key="object")["Body"].read() == b"content"
        own.advance(hours=2)
        with pytest.raises(aws.s3.exceptions.ClientError, match="pending import"):
            aws.s3.get_object(Bucket="kept", Key="object")
        assert not recoverable()


# --- multi-Region keys ------------------------------------------------------------------------------------------------


def test_each_regions_material_is_imported_there(aws: Any) -> None:
    far = aws.in_region(FAR)
    key_id = new_key(aws, MultiRegion=True)
    material = os.urandom(32)
    here = bring(aws, key_id, material)["KeyMaterialId"]
    aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=FAR)
    assert (state(aws, key_id), state(far, key_id)) == ("Enabled", "PendingImport")
    blob = aws.kms.encrypt(KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]
    assert bring(far, key_id, material)["KeyMaterialId"] == here
    assert far.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"
    far.kms.delete_imported_key_material(KeyId=key_id)
    assert (state(aws, key_id), state(far, key_id)) == ("Enabled", "PendingImport")


def test_a_replica_takes_only_what_its_primary_has(aws: Any, refused: Any) -> None:
    far = aws.in_region(FAR)
    key_id = new_key(aws, MultiRegion=True)
    with refused("KMSInvalidStateException", "is pending import"):
        aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=FAR)
    bring(aws, key_id, material := os.urandom(32))
    aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=FAR)
    assert materials(far, key_id) == [("CURRENT", "PENDING_IMPORT")]
    with refused("IncorrectKeyMaterialException"):
        bring(far, key_id, os.urandom(32))
    with refused("UnsupportedOperationException", "primary"):
        bring(far, key_id, os.urandom(32), ImportType="NEW_KEY_MATERIAL")
    bring(far, key_id, material)
    assert state(far, key_id) == "Enabled"


def test_new_material_is_everywhere_before_the_rotation(aws: Any, refused: Any) -> None:
    far = aws.in_region(FAR)
    key_id = new_key(aws, MultiRegion=True)
    first, second = os.urandom(32), os.urandom(32)
    bring(aws, key_id, first)
    aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=FAR)
    bring(far, key_id, first)
    old = far.kms.encrypt(KeyId=key_id, Plaintext=b"old")["CiphertextBlob"]
    bring(aws, key_id, second, ImportType="NEW_KEY_MATERIAL")
    waiting = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION"
    assert materials(aws, key_id) == [("CURRENT", "IMPORTED"), (waiting, "IMPORTED")]
    assert materials(far, key_id) == [("CURRENT", "IMPORTED"), (waiting, "PENDING_IMPORT")]
    with refused("KMSInvalidStateException", "pending rotation"):
        aws.kms.rotate_key_on_demand(KeyId=key_id)
    bring(far, key_id, second)
    assert {one for one, _ in materials(aws, key_id)} == {"CURRENT", "PENDING_ROTATION"}
    with refused("UnsupportedOperationException", "primary"):
        far.kms.rotate_key_on_demand(KeyId=key_id)
    aws.kms.rotate_key_on_demand(KeyId=key_id)
    for one in (aws, far):
        assert materials(one, key_id) == [("NON_CURRENT", "IMPORTED"), ("CURRENT", "IMPORTED")]
        assert one.kms.decrypt(CiphertextBlob=old)["Plaintext"] == b"old"
    new = aws.kms.encrypt(KeyId=key_id, Plaintext=b"new")["CiphertextBlob"]
    assert far.kms.decrypt(CiphertextBlob=new)["Plaintext"] == b"new"


def test_waiting_material_that_expires_in_the_primary_is_gone_everywhere(tmp_path: Path) -> None:
    with freehold.testing.server(tmp_path, regions=(HOME, FAR)) as own:
        aws = own.account
        far = aws.in_region(FAR)
        key_id = new_key(aws, MultiRegion=True)
        bring(aws, key_id, first := os.urandom(32))
        aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=FAR)
        bring(far, key_id, first)
        expiring = {"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": datetime.now(UTC) + HOUR}
        bring(aws, key_id, second := os.urandom(32), ImportType="NEW_KEY_MATERIAL", **expiring)
        bring(far, key_id, second)
        own.advance(hours=2)
        for one in (aws, far):
            assert materials(one, key_id) == [("CURRENT", "IMPORTED")]
            assert state(one, key_id) == "Enabled"


def test_waiting_material_that_the_primary_loses_is_gone_everywhere(aws: Any) -> None:
    far = aws.in_region(FAR)
    key_id = new_key(aws, MultiRegion=True)
    bring(aws, key_id, first := os.urandom(32))
    aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=FAR)
    bring(far, key_id, first)
    waiting = bring(aws, key_id, second := os.urandom(32), ImportType="NEW_KEY_MATERIAL")["KeyMaterialId"]
    bring(far, key_id, second)
    far.kms.delete_imported_key_material(KeyId=key_id, KeyMaterialId=waiting)
    assert materials(far, key_id)[1][1] == "PENDING_IMPORT"
    bring(far, key_id, second)
    aws.kms.delete_imported_key_material(KeyId=key_id, KeyMaterialId=waiting)
    for one in (aws, far):
        assert materials(one, key_id) == [("CURRENT", "IMPORTED")]
        assert state(one, key_id) == "Enabled"

"""Nothing is found in what a server wrote, whatever was asked of it: aliases and grants that went, related keys that
moved, material that was imported, rotated, deleted and expired, keys that were destroyed, objects that were replaced.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key
from damaged_data import Deployed

from freehold import testing

EUROPE = "eu-central-1"


def bring(kms: Any, key_id: str, raw: bytes, **params: Any) -> None:
    algorithm = "RSAES_OAEP_SHA_256"
    given = kms.get_parameters_for_import(KeyId=key_id, WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_2048")
    public: Any = load_der_public_key(given["PublicKey"])
    wrapped = public.encrypt(raw, padding.OAEP(padding.MGF1(SHA256()), SHA256(), None))
    params.setdefault("ExpirationModel", "KEY_MATERIAL_DOES_NOT_EXPIRE")
    kms.import_key_material(KeyId=key_id, ImportToken=given["ImportToken"], EncryptedKeyMaterial=wrapped, **params)


def change_references(aws: testing.Principal) -> None:
    kms, root = aws.kms, f"arn:aws:iam::{aws.account_id}:root"
    one, other = (kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
    kms.create_alias(AliasName="alias/a", TargetKeyId=one)
    kms.create_alias(AliasName="alias/b", TargetKeyId=one)
    kms.update_alias(AliasName="alias/a", TargetKeyId=other)
    kms.delete_alias(AliasName="alias/b")
    for name in ("x", "y", "z"):
        given = {"KeyId": one, "GranteePrincipal": root, "Operations": ["Decrypt"], "Name": name}
        grant = kms.create_grant(**given, RetiringPrincipal=root)["GrantId"]
        if name == "x":
            kms.revoke_grant(KeyId=one, GrantId=grant)
        elif name == "y":
            kms.retire_grant(KeyId=f"arn:aws:kms:us-east-1:{aws.account_id}:key/{one}", GrantId=grant)
    for _ in range(2):
        kms.enable_key_rotation(KeyId=one)
        kms.disable_key_rotation(KeyId=one)
        kms.enable_key_rotation(KeyId=one, RotationPeriodInDays=90)
    kms.disable_key(KeyId=one)
    kms.enable_key(KeyId=one)
    kms.disable_key(KeyId=other)
    kms.schedule_key_deletion(KeyId=other, PendingWindowInDays=7)
    kms.cancel_key_deletion(KeyId=other)
    kms.generate_mac(KeyId=_mac_key(kms), Message=b"text", MacAlgorithm="HMAC_SHA_256")


def _mac_key(kms: Any) -> str:
    key_id: str = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    return key_id


def change_relations(aws: testing.Principal) -> None:
    europe = aws.in_region(EUROPE).kms
    key = aws.kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    aws.kms.replicate_key(KeyId=key, ReplicaRegion=EUROPE)
    aws.kms.enable_key_rotation(KeyId=key)
    aws.kms.update_primary_region(KeyId=key, PrimaryRegion=EUROPE)
    europe.rotate_key_on_demand(KeyId=key)
    europe.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    aws.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    kept = aws.kms.create_key(MultiRegion=True, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    aws.kms.replicate_key(KeyId=kept, ReplicaRegion=EUROPE)


def change_imports(aws: testing.Principal) -> None:
    kms, europe = aws.kms, aws.in_region(EUROPE).kms
    key = kms.create_key(Origin="EXTERNAL", MultiRegion=True)["KeyMetadata"]["KeyId"]
    bring(kms, key, bytes(32))
    kms.replicate_key(KeyId=key, ReplicaRegion=EUROPE)
    bring(europe, key, bytes(32))
    for where in (kms, europe):
        bring(where, key, b"\1" * 32, **({"ImportType": "NEW_KEY_MATERIAL"} if where is kms else {}))
    kms.rotate_key_on_demand(KeyId=key)
    europe.delete_imported_key_material(KeyId=key)
    soon = datetime.now(UTC) + timedelta(days=2)
    expiring = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    bring(kms, expiring, b"\2" * 32, ExpirationModel="KEY_MATERIAL_EXPIRES", ValidTo=soon)
    again = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    bring(kms, again, b"\3" * 32)
    kms.delete_imported_key_material(KeyId=again)
    bring(kms, again, b"\3" * 32)


def change_objects(aws: testing.Principal) -> None:
    s3 = aws.s3
    s3.create_bucket(Bucket="changed")
    key = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    under = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key, "BucketKeyEnabled": True}
    for size in (10, 40_000, 20):
        s3.put_object(Bucket="changed", Key="often", Body=b"x" * size, **under)
    s3.put_object(Bucket="changed", Key="gone", Body=b"x" * 40_000)
    s3.delete_object(Bucket="changed", Key="gone")
    for end in ("complete", "abort", "leave"):
        upload = s3.create_multipart_upload(Bucket="changed", Key=end)["UploadId"]
        place = {"Bucket": "changed", "Key": end, "UploadId": upload}
        for _ in range(2):
            part = s3.upload_part(**place, PartNumber=1, Body=b"p" * 30_000)
        if end == "abort":
            s3.abort_multipart_upload(**place)
        if end == "complete":
            parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
            s3.complete_multipart_upload(**place, MultipartUpload=parts)
    s3.copy_object(Bucket="changed", Key="copied", CopySource={"Bucket": "changed", "Key": "often"})
    aws.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)


def test_nothing_is_found_after_any_change(tmp_path: Path) -> None:
    with testing.server(tmp_path, regions=("us-east-1", EUROPE)) as server:
        aws = server.new_account()
        for change in (change_references, change_relations, change_imports, change_objects):
            change(aws)
        server.stop()
        left = Deployed(server, server.data, {})
        assert left.told(deep=True) == []
        server.start()
        for days in (3, 6, 10, 100):
            server.advance(days=days)
        server.stop()
        report = left.verify(deep=True)
        assert [str(finding) for finding in report.findings] == []
        assert report.counts["objects under key material that is not here, not opened"] == 1

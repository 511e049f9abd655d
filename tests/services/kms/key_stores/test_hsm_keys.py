"""Keys in AWS CloudHSM key stores, on SoftHSM's tokens: used through boto3, their material never outside the token."""

from __future__ import annotations

import json
from typing import Any

import pytest
from soft_hsm import SoftHsm, cluster_id
from stores_in_use import Refused, connected, disconnected, hsm_key, new_store

from freehold.testing import Principal, Server

CONTEXT = {"table": "invoices"}


def test_a_key_is_made_in_its_store_and_says_so(owner: Principal, soft_hsm: SoftHsm) -> None:
    store_id, number = new_store(owner, soft_hsm)
    connected(owner, store_id)
    made = hsm_key(owner, store_id, Description="held by the HSM")
    described = owner.kms.describe_key(KeyId=made["KeyId"])["KeyMetadata"]
    assert described == made
    assert (made["Origin"], made["CustomKeyStoreId"]) == ("AWS_CLOUDHSM", store_id)
    assert (made["CloudHsmClusterId"], made["KeySpec"]) == (cluster_id(number), "SYMMETRIC_DEFAULT")
    assert made["KeyState"] == "Enabled"
    assert "CurrentKeyMaterialId" not in made


def test_what_is_sealed_in_the_token_opens_there_alone(owner: Principal, store: str, refused: Refused) -> None:
    kms, key, other = owner.kms, hsm_key(owner, store)["KeyId"], hsm_key(owner, store)["KeyId"]
    sealed = kms.encrypt(KeyId=key, Plaintext=b"secret", EncryptionContext=CONTEXT)
    assert sealed["CiphertextBlob"][0] == 2
    opened = kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert (opened["Plaintext"], opened["KeyId"]) == (b"secret", sealed["KeyId"])
    assert "KeyMaterialId" not in opened
    with refused("InvalidCiphertextException"):
        kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"])
    with refused("IncorrectKeyException"):
        kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"], EncryptionContext=CONTEXT, KeyId=other)
    renamed = sealed["CiphertextBlob"].replace(key.encode(), other.encode())
    with refused("InvalidCiphertextException"):
        kms.decrypt(CiphertextBlob=renamed, EncryptionContext=CONTEXT)


def test_a_blob_that_was_altered_anywhere_does_not_open(owner: Principal, store: str, refused: Refused) -> None:
    kms, key = owner.kms, hsm_key(owner, store)["KeyId"]
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    for at in (0, *range(len(blob) - 70, len(blob), 7), len(blob) - 1):
        altered = bytearray(blob)
        altered[at] ^= 1
        with refused("InvalidCiphertextException"):
            kms.decrypt(CiphertextBlob=bytes(altered), KeyId=key)
    for length in (0, len(blob) - 1):
        with pytest.raises(Exception, match=r"InvalidCiphertext|ParamValidation|Validation"):
            kms.decrypt(CiphertextBlob=blob[:length], KeyId=key)


def test_data_keys_come_wrapped_by_the_token(owner: Principal, store: str) -> None:
    kms, key = owner.kms, hsm_key(owner, store)["KeyId"]
    made = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=CONTEXT)
    assert "KeyMaterialId" not in made
    opened = kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)
    assert opened["Plaintext"] == made["Plaintext"]
    alone = kms.generate_data_key_without_plaintext(KeyId=key, NumberOfBytes=1024)
    assert len(kms.decrypt(CiphertextBlob=alone["CiphertextBlob"])["Plaintext"]) == 1024


def test_reencryption_goes_into_a_store_and_out_of_it(owner: Principal, store: str) -> None:
    kms = owner.kms
    plain, held = kms.create_key()["KeyMetadata"]["KeyId"], hsm_key(owner, store)["KeyId"]
    blob = kms.encrypt(KeyId=plain, Plaintext=b"moved")["CiphertextBlob"]
    into = kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=held)
    assert "SourceKeyMaterialId" in into
    assert "DestinationKeyMaterialId" not in into
    back = kms.re_encrypt(CiphertextBlob=into["CiphertextBlob"], DestinationKeyId=plain)
    assert "SourceKeyMaterialId" not in back
    assert kms.decrypt(CiphertextBlob=back["CiphertextBlob"], KeyId=plain)["Plaintext"] == b"moved"
    again = kms.re_encrypt(CiphertextBlob=into["CiphertextBlob"], DestinationKeyId=held)
    assert again["CiphertextBlob"] != into["CiphertextBlob"]


def test_a_message_of_4096_bytes_and_a_context_of_8192_characters_fit(owner: Principal, store: str) -> None:
    kms, key = owner.kms, hsm_key(owner, store)["KeyId"]
    context = {"k": "v" * 8191}
    blob = kms.encrypt(KeyId=key, Plaintext=bytes(4096), EncryptionContext=context)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)["Plaintext"] == bytes(4096)


def test_random_bytes_come_from_the_hsm(owner: Principal, store: str, refused: Refused) -> None:
    made = owner.kms.generate_random(NumberOfBytes=1024, CustomKeyStoreId=store)["Plaintext"]
    assert len(made) == 1024
    assert made != owner.kms.generate_random(NumberOfBytes=1024, CustomKeyStoreId=store)["Plaintext"]
    with refused("CustomKeyStoreNotFoundException"):
        owner.kms.generate_random(NumberOfBytes=8, CustomKeyStoreId="cks-1234567890abcdef0")
    disconnected(owner, store)
    with refused("CustomKeyStoreInvalidStateException", "DISCONNECTED"):
        owner.kms.generate_random(NumberOfBytes=8, CustomKeyStoreId=store)


def test_objects_in_s3_are_under_a_key_in_the_token(owner: Principal, store: str, refused: Refused) -> None:
    key = hsm_key(owner, store)["Arn"]
    owner.s3.create_bucket(Bucket="held-by-the-hsm")
    sse: dict[str, Any] = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    owner.s3.put_object(Bucket="held-by-the-hsm", Key="a", Body=b"small", **sse)
    owner.s3.put_object(Bucket="held-by-the-hsm", Key="b", Body=bytes(200_000), **sse)
    assert owner.s3.get_object(Bucket="held-by-the-hsm", Key="a")["Body"].read() == b"small"
    assert owner.s3.get_object(Bucket="held-by-the-hsm", Key="b", Range="bytes=100-199")["Body"].read() == bytes(100)
    assert owner.s3.head_object(Bucket="held-by-the-hsm", Key="a", ChecksumMode="ENABLED")["ContentLength"] == 5
    upload = owner.s3.create_multipart_upload(Bucket="held-by-the-hsm", Key="c", **sse)["UploadId"]
    where: dict[str, Any] = {"Bucket": "held-by-the-hsm", "Key": "c", "UploadId": upload}
    tag = owner.s3.upload_part(PartNumber=1, Body=b"part", **where)["ETag"]
    owner.s3.complete_multipart_upload(MultipartUpload={"Parts": [{"ETag": tag, "PartNumber": 1}]}, **where)
    owner.s3.copy_object(Bucket="held-by-the-hsm", Key="d", CopySource="held-by-the-hsm/c", **sse)
    assert owner.s3.get_object(Bucket="held-by-the-hsm", Key="d")["Body"].read() == b"part"
    disconnected(owner, store)
    with refused("KMS.KMSInvalidStateException", "unavailable"):
        owner.s3.get_object(Bucket="held-by-the-hsm", Key="a")
    connected(owner, store)
    assert owner.s3.get_object(Bucket="held-by-the-hsm", Key="a")["Body"].read() == b"small"


def test_events_of_calls_made_in_a_store_are_each_written_once(owner: Principal, store: str) -> None:
    key = hsm_key(owner, store)["Arn"]
    owner.s3.create_bucket(Bucket="written-once")
    sse: dict[str, Any] = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    owner.s3.put_object(Bucket="written-once", Key="a", Body=b"small", **sse)
    owner.s3.get_object(Bucket="written-once", Key="a")["Body"].read()
    names = [event["EventName"] for event in owner.cloudtrail.lookup_events(MaxResults=50)["Events"]]
    assert [names.count(name) for name in ("GenerateDataKey", "Decrypt", "GetObject")] == [1, 1, 1]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"}, "UnsupportedOperationException"),
        ({"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}, "UnsupportedOperationException"),
        ({"MultiRegion": True}, "UnsupportedOperationException"),
        ({"XksKeyId": "external"}, "ValidationException"),
        ({"Origin": "EXTERNAL_KEY_STORE", "XksKeyId": "external"}, "UnsupportedOperationException"),
        ({"Origin": "AWS_KMS"}, "ValidationException"),
        ({"Origin": "EXTERNAL"}, "ValidationException"),
        ({"CustomKeyStoreId": "cks-1234567890abcdef0"}, "CustomKeyStoreNotFoundException"),
    ],
)
def test_only_symmetric_keys_of_its_own_origin_are_in_a_store(
    owner: Principal, store: str, refused: Refused, params: dict[str, Any], code: str
) -> None:
    with refused(code):
        owner.kms.create_key(**{"Origin": "AWS_CLOUDHSM", "CustomKeyStoreId": store, **params})


def test_keys_in_a_store_neither_rotate_nor_wrap_key_pairs(owner: Principal, store: str, refused: Refused) -> None:
    key = hsm_key(owner, store)["KeyId"]
    for operation, params in (
        (owner.kms.enable_key_rotation, {}),
        (owner.kms.rotate_key_on_demand, {}),
        (owner.kms.generate_data_key_pair, {"KeyPairSpec": "ECC_NIST_P256"}),
    ):
        with refused("UnsupportedOperationException"):
            operation(KeyId=key, **params)


def test_another_account_uses_the_key_but_not_the_store(
    owner: Principal, store: str, hsm_server: Server, refused: Refused
) -> None:
    guest = hsm_server.new_account()
    both = {"AWS": [owner.account_id, guest.account_id]}
    statement = {"Effect": "Allow", "Principal": both, "Action": "kms:*", "Resource": "*"}
    arn = hsm_key(owner, store, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))["Arn"]
    blob = guest.kms.encrypt(KeyId=arn, Plaintext=b"shared")["CiphertextBlob"]
    assert owner.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"shared"
    with refused("CustomKeyStoreNotFoundException"):
        guest.kms.create_key(Origin="AWS_CLOUDHSM", CustomKeyStoreId=store)
    with refused("CustomKeyStoreNotFoundException"):
        guest.kms.disconnect_custom_key_store(CustomKeyStoreId=store)
    with refused("CustomKeyStoreNotFoundException"):
        guest.kms.generate_random(NumberOfBytes=8, CustomKeyStoreId=store)
    assert guest.kms.describe_custom_key_stores()["CustomKeyStores"] == []

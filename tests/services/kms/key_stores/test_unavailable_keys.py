"""Every operation on keys whose custom key store is disconnected: boto3 against AWS's key-state page."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError
from kms_key_state_page import ROWS, expected
from stores_in_use import connected, disconnected

ORIGIN = "AWS_CLOUDHSM"
SYMMETRIC_ONLY = {
    # Rows of keys that no custom key store has: the page says "-".
    *("Decapsulate", "DeriveSharedSecret", "Encapsulate", "GenerateMac", "GetPublicKey", "Sign", "Verify", "VerifyMac"),
    *("ReplicateKey", "UpdatePrimaryRegion"),
}
NEVER_IN_STORES = {"GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext"}
"""By their own pages, these take no key of a custom key store in whatever state."""
NEVER = ("UnsupportedOperationException", f"origin is {ORIGIN} which is not valid for this operation.")
WAYS: dict[str, dict[str, Any]] = {
    "CreateGrant": {"Operations": ["Decrypt"]},
    "Encrypt": {"Plaintext": b"text"},
    "GenerateDataKey": {"KeySpec": "AES_256"},
    "GenerateDataKeyPair": {"KeyPairSpec": "ECC_NIST_P256"},
    "GenerateDataKeyPairWithoutPlaintext": {"KeyPairSpec": "ECC_NIST_P256"},
    "GenerateDataKeyWithoutPlaintext": {"KeySpec": "AES_256"},
    "GetParametersForImport": {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"},
    "ImportKeyMaterial": {
        "ImportToken": b"x",
        "EncryptedKeyMaterial": b"x",
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
    },
    "TagResource": {"Tags": [{"TagKey": "a", "TagValue": "b"}]},
    "UntagResource": {"TagKeys": ["a"]},
    "UpdateKeyDescription": {"Description": "new"},
}


def test_every_operation_on_an_unavailable_key_answers_as_the_page_says(owner: Any, store: str) -> None:
    kms, root = owner.kms, f"arn:aws:iam::{owner.account_id}:root"
    methods = {name: method for method, name in kms.meta.method_to_api_mapping.items()}
    operations = sorted(set(ROWS) - SYMMETRIC_ONLY)
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    calls: dict[str, tuple[str, dict[str, Any]]] = {}
    for operation in operations:
        arn = kms.create_key(Origin=ORIGIN, CustomKeyStoreId=store)["KeyMetadata"]["Arn"]
        params: dict[str, Any] = {"KeyId": arn, **WAYS.get(operation, {})}
        if operation == "CreateGrant":
            params["GranteePrincipal"] = root
        elif operation in ("RetireGrant", "RevokeGrant"):
            made = kms.create_grant(KeyId=arn, GranteePrincipal=root, Operations=["Decrypt"])
            params["GrantId"] = made["GrantId"]
        elif operation == "PutKeyPolicy":
            params["Policy"] = kms.get_key_policy(KeyId=arn)["Policy"]
        elif operation in ("Decrypt", "ReEncrypt"):
            params["CiphertextBlob"] = kms.encrypt(KeyId=arn, Plaintext=b"text")["CiphertextBlob"]
            if operation == "ReEncrypt":
                params["DestinationKeyId"] = params.pop("KeyId")
        elif operation.endswith("Alias"):
            name = params["AliasName"] = f"alias/{operation}"
            if operation == "CreateAlias":
                params["TargetKeyId"] = params.pop("KeyId")
            else:
                target = arn if operation == "DeleteAlias" else other
                kms.create_alias(AliasName=name, TargetKeyId=target)
                del params["KeyId"]
                if operation == "UpdateAlias":
                    params["TargetKeyId"] = arn
        calls[operation] = arn, params
    pending = kms.create_key(Origin=ORIGIN, CustomKeyStoreId=store)["KeyMetadata"]["Arn"]
    kms.schedule_key_deletion(KeyId=pending)
    disconnected(owner, store)

    wrong = []
    for operation, (arn, params) in calls.items():
        if operation != "ScheduleKeyDeletion":
            assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "Unavailable"
        got = None
        try:
            getattr(kms, methods[operation])(**params)
        except ClientError as error:
            told = error.response["Error"]
            got = told["Code"], told["Message"].removeprefix(f"{arn} ")
        wanted = NEVER if operation in NEVER_IN_STORES else expected(operation, "Unavailable", ORIGIN)
        if got != wanted:
            wrong.append((operation, got, wanted))
    assert wrong == []

    # What is pending deletion stays so, and can be kept.
    assert kms.describe_key(KeyId=pending)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    kms.cancel_key_deletion(KeyId=pending)
    shown = kms.describe_key(KeyId=pending)["KeyMetadata"]
    assert (shown["KeyState"], shown["Enabled"]) == ("Unavailable", False)


def test_a_state_that_was_changed_meanwhile_shows_once_the_store_is_back(owner: Any, store: str, refused: Any) -> None:
    kms = owner.kms
    key = kms.create_key(Origin=ORIGIN, CustomKeyStoreId=store)["KeyMetadata"]["KeyId"]
    disconnected(owner, store)
    kms.disable_key(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Unavailable"
    connected(owner, store)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    with refused("DisabledException"):
        kms.encrypt(KeyId=key, Plaintext=b"text")

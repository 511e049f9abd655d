"""Every operation on a key whose store is disconnected: boto3 against AWS's page, cell by cell."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError
from kms_key_state_page import ROWS, expected
from stores_in_use import disconnected, hsm_key

from freehold.testing import Principal

ORIGIN = "AWS_CLOUDHSM"
SIGNING = {"SigningAlgorithm": "ECDSA_SHA_256", "Message": b"text"}
MAC = {"MacAlgorithm": "HMAC_SHA_256", "Message": b"text"}
NAMES_KEY = {"CreateAlias": "TargetKeyId", "UpdateAlias": "TargetKeyId", "ReEncrypt": "DestinationKeyId"}
PARAMS: dict[str, dict[str, Any]] = {
    "Decapsulate": {"EncapsulationAlgorithm": "ML_KEM", "SharedSecretCiphertextBlob": bytes(1088)},
    "DeriveSharedSecret": {"KeyAgreementAlgorithm": "ECDH", "PublicKey": bytes(91)},
    "Encapsulate": {"EncapsulationAlgorithm": "ML_KEM"},
    "Encrypt": {"Plaintext": b"text"},
    "GenerateDataKey": {"KeySpec": "AES_256"},
    "GenerateDataKeyWithoutPlaintext": {"KeySpec": "AES_256"},
    "GenerateDataKeyPair": {"KeyPairSpec": "ECC_NIST_P256"},
    "GenerateDataKeyPairWithoutPlaintext": {"KeyPairSpec": "ECC_NIST_P256"},
    "GenerateMac": MAC,
    "GetParametersForImport": {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"},
    "ImportKeyMaterial": {"ImportToken": b"x", "EncryptedKeyMaterial": b"x"},
    "ReplicateKey": {"ReplicaRegion": "eu-west-1"},
    "Sign": SIGNING,
    "TagResource": {"Tags": [{"TagKey": "a", "TagValue": "b"}]},
    "UntagResource": {"TagKeys": ["a"]},
    "UpdateKeyDescription": {"Description": "new"},
    "UpdatePrimaryRegion": {"PrimaryRegion": "eu-west-1"},
    "Verify": {**SIGNING, "Signature": b"x"},
    "VerifyMac": {**MAC, "Mac": b"x"},
}
NOT_FOR_SUCH_KEYS = {"GetPublicKey", "ReplicateKey", "UpdatePrimaryRegion"}
"""For these a symmetric key of one Region is the wrong kind, whatever its state."""
LAST = ("DisableKey", "ScheduleKeyDeletion")


def _prepared(who: Principal, operation: str, key: str, number: int) -> dict[str, Any]:
    kms, root = who.kms, f"arn:aws:iam::{who.account_id}:root"
    if operation == "CreateAlias":
        return {"AliasName": f"alias/new-{number}"}
    if operation in ("DeleteAlias", "UpdateAlias"):
        kms.create_alias(AliasName=f"alias/own-{number}", TargetKeyId=key)
        return {"AliasName": f"alias/own-{number}"}
    if operation == "CreateGrant":
        return {"GranteePrincipal": root, "Operations": ["Decrypt"]}
    if operation in ("RetireGrant", "RevokeGrant"):
        made = kms.create_grant(KeyId=key, GranteePrincipal=root, Operations=["Decrypt"])
        return {"GrantId": made["GrantId"]}
    if operation in ("Decrypt", "ReEncrypt"):
        return {"CiphertextBlob": kms.encrypt(KeyId=key, Plaintext=b"text")["CiphertextBlob"]}
    if operation == "PutKeyPolicy":
        return {"Policy": kms.get_key_policy(KeyId=key)["Policy"]}
    return PARAMS.get(operation, {})


@pytest.mark.parametrize("state", ["Enabled", "Unavailable"])
def test_every_operation_answers_as_the_page_says(owner: Principal, store: str, state: str) -> None:
    key = hsm_key(owner, store)["Arn"]
    asked = [*sorted(ROWS.keys() - NOT_FOR_SUCH_KEYS - set(LAST)), *LAST]
    if state == "Enabled":
        # What a connected key can do is told by the other tests here.
        asked = [operation for operation in asked if expected(operation, state, ORIGIN) is not None]
    prepared = {operation: _prepared(owner, operation, key, number) for number, operation in enumerate(asked)}
    if state == "Unavailable":
        disconnected(owner, store)
    methods = {name: method for method, name in owner.kms.meta.method_to_api_mapping.items()}
    wrong = []
    for operation, params in prepared.items():
        if operation != "DeleteAlias":
            params = {**params, NAMES_KEY.get(operation, "KeyId"): key}
        got = None
        try:
            getattr(owner.kms, methods[operation])(**params)
        except ClientError as error:
            told = error.response["Error"]
            got = told["Code"], told["Message"].removeprefix(f"{key} ")
        wanted = expected(operation, state, ORIGIN)
        if got != wanted:
            wrong.append((operation, got, wanted))
    assert wrong == [], "\n".join(map(str, wrong))

"""Data keys for clients and services that encrypt by themselves, and plain randomness. All of it is the system's.

What a data key protects is as available as the KMS key that wraps it: whoever wants the key's state to reach the data
keeps the wrapped form and asks for Decrypt.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from freehold.authorization.permission import Permission
from freehold.services.kms.admission import may_use, usable
from freehold.services.kms.encrypting import seal
from freehold.services.kms.errors import ValidationException
from freehold.services.kms.loaded import LoadedKey
from freehold.services.kms.stores import backends, checks
from freehold.services.operation import Params, Result, operation

if TYPE_CHECKING:
    from freehold.services.call import Call

_SPEC_BYTES: Final = {"AES_128": 16, "AES_256": 32}


def _length_bytes(params: Params) -> int:
    if ("KeySpec" in params) == ("NumberOfBytes" in params):
        raise ValidationException("Please specify either number of bytes or key spec.")
    return _SPEC_BYTES[params["KeySpec"]] if "KeySpec" in params else int(params["NumberOfBytes"])


def _may_generate(call: Call, params: Params) -> list[Permission]:
    return may_use(call, params, "kms:GenerateDataKey")


def _may_generate_without_plaintext(call: Call, params: Params) -> list[Permission]:
    return may_use(call, params, "kms:GenerateDataKeyWithoutPlaintext")


@operation("kms.GenerateDataKey", permissions=_may_generate, refuses=("Recipient",))
def generate_data_key(call: Call, params: Params) -> Result:
    """A new data key of 1-1,024 bytes, as it is and sealed under a KMS key.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html
    """
    key: LoadedKey = call.prepared.key
    length = _length_bytes(params)
    usable(key, "GenerateDataKey", params)
    plaintext = os.urandom(length)
    result: Result = {
        "CiphertextBlob": seal(call, key, plaintext, params.get("EncryptionContext")),
        "Plaintext": plaintext,
        "KeyId": key.arn,
    }
    if key.store is None:
        result["KeyMaterialId"] = key.record.material_id
    return result


@operation("kms.GenerateDataKeyWithoutPlaintext", permissions=_may_generate_without_plaintext)
def generate_data_key_without_plaintext(call: Call, params: Params) -> Result:
    """A new data key of 1-1,024 bytes, sealed only: for who will use it elsewhere or later.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKeyWithoutPlaintext.html
    """
    key: LoadedKey = call.prepared.key
    length = _length_bytes(params)
    usable(key, "GenerateDataKeyWithoutPlaintext", params)
    result: Result = {
        "CiphertextBlob": seal(call, key, os.urandom(length), params.get("EncryptionContext")),
        "KeyId": key.arn,
    }
    if key.store is None:
        result["KeyMaterialId"] = key.record.material_id
    return result


def _may_generate_random(call: Call, params: Params) -> list[Permission]:
    if "CustomKeyStoreId" in params:
        # Whether there is such a store, connected, is said to those who may ask: by the handler.
        call.elsewhere = checks.elsewhere(call, params["CustomKeyStoreId"])
    return [Permission("kms:GenerateRandom", "*", call.account_id)]


@operation(
    "kms.GenerateRandom",
    permissions=_may_generate_random,
    refuses=("Recipient",),
)
def generate_random(call: Call, params: Params) -> Result:
    """1-1,024 random bytes; with `CustomKeyStoreId` (AWS_CLOUDHSM) those of its HSM.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateRandom.html
    """
    if "NumberOfBytes" not in params:
        raise ValidationException("NumberOfBytes is required.")
    if "CustomKeyStoreId" in params:
        store = checks.connected(call, params["CustomKeyStoreId"])
        return {"Plaintext": backends.random(call, store, params["NumberOfBytes"])}
    return {"Plaintext": os.urandom(params["NumberOfBytes"])}

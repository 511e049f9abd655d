"""GetHealthStatus, GetKeyMetadata, Encrypt and Decrypt, as the XKS Proxy API's specification (version 1) has them.

https://github.com/aws/aws-kms-xksproxy-api-spec/blob/main/xks_proxy_api_spec.md
"""

from __future__ import annotations

import hashlib
import os
from hmac import compare_digest
from typing import TYPE_CHECKING, Final

from freehold import __version__
from freehold.crypto import proxy_message
from freehold.crypto.proxy_message import InvalidMessage, Sealed
from freehold.errors import ValidationException
from freehold.services.kms import material
from freehold.services.kms.loaded import LoadedKey
from freehold.services.kms_xks_proxy import keys
from freehold.services.kms_xks_proxy.errors import InternalException, InvalidCiphertext, UnsupportedOperation
from freehold.services.kms_xks_proxy.where import addressed
from freehold.services.operation import Params, Result, no_permission, operation

if TYPE_CHECKING:
    from freehold.services.call import Call

ALGORITHM: Final = "AES_GCM"
MOST_TEXT_BYTES: Final = 4300
MOST_DATA_BYTES: Final = 8192
"""What every proxy must take: AWS KMS sends no more."""
_VENDOR: Final = "Freehold"
_MODEL: Final = f"Freehold {__version__}"
_TEST_KEY: Final = "health"


@operation(
    "kms-xks-proxy.GetHealthStatus",
    identify=addressed,
    permissions=no_permission("The specification exempts it from authorization: a credential that is in force is all."),
)
def get_health_status(call: Call, params: Params) -> Result:
    """Answers once a message was sealed and opened under a key of no use, which the root key's sealing key wrapped.

    What can't be done, and an audit trail that can't be written, are errors: KMS then takes the proxy to be down.
    """
    sealer = material.sealer(call.app)
    wrapped = sealer.seal(os.urandom(32), b"freehold xks proxy health")
    test_key = sealer.open(wrapped, b"freehold xks proxy health")
    message = proxy_message.seal(test_key, 1, _TEST_KEY, b"", b"healthy")
    if proxy_message.open_(test_key, _TEST_KEY, b"", message) != b"healthy":
        raise InternalException
    return {
        "xksProxyFleetSize": 1,
        "xksProxyVendor": _VENDOR,
        "xksProxyModel": _MODEL,
        "ekmVendor": _VENDOR,
        "ekmFleetDetails": [{"id": "freehold", "model": _MODEL, "healthStatus": "ACTIVE"}],
    }


@operation("kms-xks-proxy.GetKeyMetadata", identify=addressed, permissions=keys.may_look)
def get_key_metadata(call: Call, params: Params) -> Result:
    """`AES_256` for a key that KMS can have; others are told as what they are, and KMS refuses them.

    Whatever keeps a key from being used (disabled, to be deleted, its import pending) makes it `DISABLED`.
    """
    key: LoadedKey = call.prepared
    fit = key.symmetric and key.store is None
    return {
        "keySpec": "AES_256" if fit else key.record.spec,
        "keyUsage": ["ENCRYPT", "DECRYPT"] if fit else [key.record.usage],
        "keyStatus": "ENABLED" if key.enabled else "DISABLED",
    }


def _data(params: Params) -> bytes:
    data: bytes = params.get("additionalAuthenticatedData", b"")
    if len(data) > MOST_DATA_BYTES:
        raise UnsupportedOperation(f"Additional authenticated data has at most {MOST_DATA_BYTES} bytes here.")
    return data


def _text(params: Params, member: str) -> bytes:
    if params["encryptionAlgorithm"] != ALGORITHM:
        raise ValidationException(f"encryptionAlgorithm must be {ALGORITHM}.")
    text: bytes = params[member]
    if not text:
        raise ValidationException(f"{member} is empty.")
    if len(text) > MOST_TEXT_BYTES:
        raise UnsupportedOperation(f"{member} has at most {MOST_TEXT_BYTES} bytes here.")
    return text


@operation("kms-xks-proxy.Encrypt", identify=addressed, permissions=keys.may_encrypt)
def encrypt(call: Call, params: Params) -> Result:
    """`plaintext` (1-4,300 bytes) under the key's current material, bound to additional data of 8,192 bytes at most.

    The integrity value is computed before the ciphertext is opened again to see that it is the plaintext's.
    """
    key = keys.usable(call)
    plaintext, data = _text(params, "plaintext"), _data(params)
    backing_key, number = keys.current_material(call, key)
    made = proxy_message.seal(backing_key, number, key.key_id, data, plaintext)
    result: Result = {
        "ciphertext": made.ciphertext,
        "ciphertextMetadata": made.metadata,
        "initializationVector": made.vector,
        "authenticationTag": made.tag,
    }
    if "ciphertextDataIntegrityValueAlgorithm" in params:
        whole = b"".join((data, made.metadata, made.vector, made.ciphertext, made.tag))
        result["ciphertextDataIntegrityValue"] = hashlib.sha256(whole).digest()
        try:
            opened = proxy_message.open_(backing_key, key.key_id, data, made)
        except InvalidMessage:
            raise InternalException from None
        if not compare_digest(opened, plaintext):
            raise InternalException
    return result


@operation("kms-xks-proxy.Decrypt", identify=addressed, permissions=keys.may_decrypt)
def decrypt(call: Call, params: Params) -> Result:
    """What `Encrypt` gave for the same key and additional data, under whichever of the key's materials it was.

    Whatever isn't exactly that is InvalidCiphertextException, which doesn't say what was wrong.
    """
    key = keys.usable(call)
    data = _data(params)
    message = Sealed(
        _text(params, "ciphertext"),
        params["initializationVector"],
        params["authenticationTag"],
        params.get("ciphertextMetadata", b""),
    )
    try:
        number = proxy_message.number_of(message.metadata)
        backing_key = keys.material_of(call, key, number)
        return {"plaintext": proxy_message.open_(backing_key, key.key_id, data, message)}
    except InvalidMessage:
        raise InvalidCiphertext from None

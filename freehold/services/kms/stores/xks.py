"""The XKS Proxy API, version 1, from KMS's side: what is asked of a proxy, and what of its answers is accepted.

GetHealthStatus before a store is made, changed or connected; GetKeyMetadata before a KMS key is made for an external
key; Encrypt and Decrypt for the outer layer of double encryption. The integrity value of a ciphertext is asked for and
compared, so that one that was damaged on its way is never handed out. Refuses whatever isn't as the specification has
it.
https://github.com/aws/aws-kms-xksproxy-api-spec/blob/main/xks_proxy_api_spec.md
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Final

import orjson

from freehold.crypto.store_envelope import MOST_METADATA_BYTES, Outer
from freehold.services.kms.stores.errors import StoreProblem

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.services.kms.stores.xks_client import Client

ALGORITHM: Final = "AES_GCM"
_DIGEST: Final = "SHA_256"
_HEALTHY: Final = ("ACTIVE", "DEGRADED")
_HEALTH_STATUSES: Final = (*_HEALTHY, "UNAVAILABLE")
_MOST_MANAGERS: Final = 10
_MOST_USAGES: Final = 10
_VECTOR_BYTES: Final = (12, 16)
_TAG_BYTES: Final = 16


def request_metadata(call: Call, operation: str, key_arn: str = "") -> dict[str, str]:
    """What a proxy is told about the KMS request, for its own decisions and its log."""
    context, principal = call.context, call.principal
    caller = context.get("aws:principalarn")
    metadata = {
        "awsPrincipalArn": caller if isinstance(caller, str) else principal.arn or principal.name,
        "kmsOperation": operation,
        "kmsRequestId": call.request_id,
    }
    if key_arn:
        metadata["kmsKeyArn"] = key_arn
    if call.via:
        metadata["kmsViaService"] = call.via[-1]
    for member, name in (("awsSourceVpc", "aws:sourcevpc"), ("awsSourceVpce", "aws:sourcevpce")):
        value = context.get(name)
        if isinstance(value, str):
            metadata[member] = value
    return metadata


def check_health(client: Client, operation: str, request_id: str) -> None:
    """Raise StoreProblem unless the proxy answers, accepts the credential, and has a manager that is available."""
    answer = client.post("/health", _body({"kmsRequestId": request_id, "kmsOperation": operation}))
    managers = answer.get("ekmFleetDetails")
    size = answer.get("xksProxyFleetSize")
    names = [answer.get(name) for name in ("xksProxyVendor", "xksProxyModel", "ekmVendor")]
    if not isinstance(managers, list) or not 1 <= len(managers) <= _MOST_MANAGERS:
        raise StoreProblem("malformed")
    if not isinstance(size, int) or isinstance(size, bool) or not all(isinstance(name, str) for name in names):
        raise StoreProblem("malformed")
    statuses = [_health_of(manager) for manager in managers]
    if not any(status in _HEALTHY for status in statuses):
        raise StoreProblem("unavailable")


def _health_of(manager: Any) -> str:
    if not isinstance(manager, dict) or not all(isinstance(manager.get(name), str) for name in ("id", "model")):
        raise StoreProblem("malformed")
    status = manager.get("healthStatus")
    if status not in _HEALTH_STATUSES:
        raise StoreProblem("malformed")
    return str(status)


def check_key(client: Client, external_key: str, metadata: Mapping[str, str]) -> None:
    """Raise StoreProblem unless there is such a key, enabled, of AES-256, for encryption and decryption."""
    answer = client.post(f"/keys/{external_key}/metadata", _body(metadata))
    spec, usages, status = answer.get("keySpec"), answer.get("keyUsage"), answer.get("keyStatus")
    if not isinstance(spec, str) or not isinstance(usages, list) or status not in ("ENABLED", "DISABLED"):
        raise StoreProblem("malformed")
    if len(usages) > _MOST_USAGES or not all(isinstance(usage, str) for usage in usages):
        raise StoreProblem("malformed")
    if spec != "AES_256" or not {"ENCRYPT", "DECRYPT"} <= set(usages) or status != "ENABLED":
        raise StoreProblem("key unfit")


def encrypt(client: Client, external_key: str, metadata: Mapping[str, str], plaintext: bytes, data: bytes) -> Outer:
    """The outer layer of `plaintext`, with `data` authenticated. Raises StoreProblem."""
    answer = client.post(
        f"/keys/{external_key}/encrypt",
        _body(
            metadata,
            plaintext=_text(plaintext),
            encryptionAlgorithm=ALGORITHM,
            additionalAuthenticatedData=_text(data),
            ciphertextDataIntegrityValueAlgorithm=_DIGEST,
        ),
    )
    outer = Outer(
        _bytes(answer, "ciphertext"),
        _bytes(answer, "initializationVector"),
        _bytes(answer, "authenticationTag"),
        _bytes(answer, "ciphertextMetadata") if answer.get("ciphertextMetadata") is not None else b"",
    )
    if len(outer.ciphertext) != len(plaintext) or len(outer.tag) != _TAG_BYTES:
        raise StoreProblem("malformed")
    if len(outer.vector) not in _VECTOR_BYTES or len(outer.metadata) > MOST_METADATA_BYTES:
        raise StoreProblem("malformed")
    made = hashlib.sha256(b"".join((data, outer.metadata, outer.vector, outer.ciphertext, outer.tag))).digest()
    if not compare_digest(made, _bytes(answer, "ciphertextDataIntegrityValue")):
        raise StoreProblem("malformed")
    return outer


def decrypt(client: Client, external_key: str, metadata: Mapping[str, str], outer: Outer, data: bytes) -> bytes:
    """What the outer layer was made of. Raises StoreProblem."""
    members = {
        "ciphertext": _text(outer.ciphertext),
        "encryptionAlgorithm": ALGORITHM,
        "additionalAuthenticatedData": _text(data),
        "initializationVector": _text(outer.vector),
        "authenticationTag": _text(outer.tag),
    }
    if outer.metadata:
        members["ciphertextMetadata"] = _text(outer.metadata)
    plaintext = _bytes(client.post(f"/keys/{external_key}/decrypt", _body(metadata, **members)), "plaintext")
    if len(plaintext) != len(outer.ciphertext):
        raise StoreProblem("malformed")
    return plaintext


def _body(metadata: Mapping[str, str], **members: str) -> bytes:
    return orjson.dumps({"requestMetadata": dict(metadata), **members})


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _bytes(answer: Mapping[str, Any], member: str) -> bytes:
    value = answer.get(member)
    if not isinstance(value, str):
        raise StoreProblem("malformed")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise StoreProblem("malformed") from None

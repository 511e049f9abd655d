"""Encapsulate and Decapsulate: ML-KEM (FIPS 203), which gives two parties a 32-byte secret.

A ciphertext of the wrong length is refused; every other gives 32 bytes, which are nobody's secret when it was altered
or is another key's (implicit rejection): the answer says nothing of that, as the standard wants it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from freehold.authorization.permission import Permission
from freehold.services.kms.admission import may_use, usable_for
from freehold.services.kms.errors import DryRun, InvalidCiphertext
from freehold.services.kms.loaded import LoadedKey
from freehold.services.kms.specs import ENCAPSULATE_DECAPSULATE, KeyPair
from freehold.services.operation import Params, Result, operation

if TYPE_CHECKING:
    from freehold.services.call import Call


def _may_encapsulate(call: Call, params: Params) -> list[Permission]:
    return may_use(call, params, "kms:Encapsulate")


def _may_decapsulate(call: Call, params: Params) -> list[Permission]:
    return may_use(call, params, "kms:Decapsulate")


def _pair(call: Call, key: LoadedKey, operation_name: str, params: Params) -> KeyPair:
    """The key pair, once the key is found fit for the operation; ends a dry run."""
    usable_for(key, operation_name, ENCAPSULATE_DECAPSULATE, params["EncapsulationAlgorithm"])
    if params.get("DryRun"):
        raise DryRun
    pair: KeyPair = key.secret(call)
    return pair


@operation("kms.Encapsulate", permissions=_may_encapsulate)
def encapsulate(call: Call, params: Params) -> Result:
    """A new secret of 32 bytes, as it is and encapsulated: 1,088 bytes with ML_KEM_768, 1,568 with ML_KEM_1024.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_Encapsulate.html
    """
    key: LoadedKey = call.prepared.key
    secret, ciphertext = _pair(call, key, "Encapsulate", params).public.encapsulate()
    return {
        "KeyId": key.arn,
        "SharedSecret": secret,
        "SharedSecretCiphertextBlob": ciphertext,
        "EncapsulationAlgorithm": params["EncapsulationAlgorithm"],
    }


@operation("kms.Decapsulate", permissions=_may_decapsulate)
def decapsulate(call: Call, params: Params) -> Result:
    """The secret in what Encapsulate, or whoever has the public key, made.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_Decapsulate.html
    """
    key: LoadedKey = call.prepared.key
    pair = _pair(call, key, "Decapsulate", params)
    try:
        secret: bytes = pair.private.decapsulate(params["SharedSecretCiphertextBlob"])
    except ValueError:
        raise InvalidCiphertext from None
    return {"KeyId": key.arn, "SharedSecret": secret, "EncapsulationAlgorithm": params["EncapsulationAlgorithm"]}

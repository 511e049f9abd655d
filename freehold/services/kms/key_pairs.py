"""Data key pairs: key pairs for use outside, whose private key is wrapped under a symmetric encryption key.

The private key is PKCS #8 in DER (the seed for ML-KEM) and opens with Decrypt; the public key is SubjectPublicKeyInfo
in DER. Nothing of a pair is kept. RSA pairs are made in a thread (`key_making.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from freehold.authorization.permission import Permission
from freehold.services.kms import key_making, specs, states
from freehold.services.kms.admission import may_use, usable
from freehold.services.kms.encrypting import seal
from freehold.services.kms.errors import UnsupportedOperation
from freehold.services.kms.loaded import LoadedKey
from freehold.services.kms.specs import KeyPair, Spec
from freehold.services.operation import Params, Result, operation

if TYPE_CHECKING:
    from freehold.services.call import Call

_ORIGINS: Final = ("AWS_KMS", "EXTERNAL")


class Made(NamedTuple):
    """A pair that `_make_in_a_thread` left for the handler."""

    key: LoadedKey
    raw: bytes


def _may_generate(call: Call, params: Params) -> list[Permission]:
    return may_use(call, params, "kms:GenerateDataKeyPair", _asked(params))


def _may_generate_without_plaintext(call: Call, params: Params) -> list[Permission]:
    return may_use(call, params, "kms:GenerateDataKeyPairWithoutPlaintext", _asked(params))


def _asked(params: Params) -> dict[str, str]:
    return {"kms:datakeypairspec": params["KeyPairSpec"]}


def _checked(call: Call, params: Params) -> Spec:
    """The row of the pair's spec, once the key is found fit for it; ends a dry run."""
    key: LoadedKey = call.prepared.key
    spec = specs.of(params["KeyPairSpec"])
    if not key.enabled:
        states.check(call.operation.name, key.record.state, key.arn)
    if key.record.origin not in _ORIGINS:
        raise UnsupportedOperation(f"{key.arn} origin is {key.record.origin} which is not valid for this operation.")
    usable(key, call.operation.name, params)
    return spec


async def _make_in_a_thread(call: Call, params: Params) -> None:
    spec = _checked(call, params)
    if spec.slow:
        raw = await key_making.made(call.app, spec, call.account_id)
        # That may have taken many seconds: what holds now decides, for who may use the key and for its state.
        call.resources.clear()
        for permission in call.operation.permissions(call, params):
            call.require(permission)
        call.prepared = Made(call.prepared.key, raw)


def _generated(call: Call, params: Params) -> tuple[bytes, Result]:
    """The private key, and the answer without it."""
    prepared = call.prepared
    key: LoadedKey = prepared.key
    spec = _checked(call, params)
    raw = prepared.raw if isinstance(prepared, Made) else spec.make()
    pair: KeyPair = spec.load(raw)
    return raw, {
        "PrivateKeyCiphertextBlob": seal(call, key, raw, params.get("EncryptionContext")),
        "PublicKey": pair.spki,
        "KeyId": key.arn,
        "KeyPairSpec": spec.name,
        "KeyMaterialId": key.record.material_id,
    }


@operation("kms.GenerateDataKeyPair", permissions=_may_generate, prepare=_make_in_a_thread, refuses=("Recipient",))
def generate_data_key_pair(call: Call, params: Params) -> Result:
    """A new key pair, with its private key as it is and sealed under a KMS key.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKeyPair.html
    """
    raw, result = _generated(call, params)
    result["PrivateKeyPlaintext"] = raw
    return result


@operation(
    "kms.GenerateDataKeyPairWithoutPlaintext",
    permissions=_may_generate_without_plaintext,
    prepare=_make_in_a_thread,
)
def generate_data_key_pair_without_plaintext(call: Call, params: Params) -> Result:
    """A new key pair, with its private key sealed only: for who will use it elsewhere or later.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKeyPairWithoutPlaintext.html
    """
    return _generated(call, params)[1]

"""Sign and Verify: RSA (PSS with a salt as long as the digest, PKCS #1 v1.5), ECDSA, Ed25519 and ML-DSA signatures.

Signatures have their standards' forms: RFC 8017's for RSA, DER for ECDSA, 64 bytes for Ed25519, FIPS 204's for ML-DSA
(with an empty context). Message types are AWS's: RAW is hashed here, DIGEST was hashed by the caller with the
algorithm's hash, EXTERNAL_MU is ML-DSA's 64-byte message representative. Ed25519 and ML-DSA have no DIGEST.

Refuses ED25519_PH_SHA_512, which the library doesn't have, and SM2DSA with the keys that it's for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from cryptography.exceptions import InvalidSignature as NotGenuine
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from freehold.authorization.permission import Permission
from freehold.errors import NotImplementedByFreehold
from freehold.services.kms.admission import may_use, off_the_loop, usable_for
from freehold.services.kms.errors import DryRun, InvalidSignature, ValidationException
from freehold.services.kms.loaded import LoadedKey
from freehold.services.kms.specs import SIGN_VERIFY, KeyPair
from freehold.services.operation import Params, Result, operation

if TYPE_CHECKING:
    from freehold.services.call import Call

RAW: Final = "RAW"
DIGEST: Final = "DIGEST"
EXTERNAL_MU: Final = "EXTERNAL_MU"
MU_BYTES: Final = 64

SignWith = Callable[[Any, bytes], bytes]
VerifyWith = Callable[[Any, bytes, bytes], None]


class Scheme(NamedTuple):
    """How one algorithm treats one message type."""

    sign: SignWith
    """(private key, message) -> signature."""
    verify: VerifyWith
    """(public key, signature, message); raises `cryptography`'s InvalidSignature."""
    message_bytes: int = 0
    """How long the message must be; 0 where it may have any length."""


def _with(*arguments: Any, message_bytes: int = 0) -> Scheme:
    """RSA and ECDSA: what follows the message in the library's calls."""
    return Scheme(
        lambda private, message: private.sign(message, *arguments),
        lambda public, signature, message: public.verify(signature, message, *arguments),
        message_bytes,
    )


def _hashing(make: Callable[[hashes.HashAlgorithm | Prehashed], tuple[Any, ...]], bits: int) -> dict[str, Scheme]:
    algorithm: hashes.HashAlgorithm = {256: hashes.SHA256(), 384: hashes.SHA384(), 512: hashes.SHA512()}[bits]
    return {
        RAW: _with(*make(algorithm)),
        DIGEST: _with(*make(Prehashed(algorithm)), message_bytes=algorithm.digest_size),
    }


def _pss(bits: int) -> dict[str, Scheme]:
    masking: hashes.HashAlgorithm = {256: hashes.SHA256(), 384: hashes.SHA384(), 512: hashes.SHA512()}[bits]
    scheme = padding.PSS(padding.MGF1(masking), bits // 8)
    return _hashing(lambda hashing: (scheme, hashing), bits)


def _pkcs1(bits: int) -> dict[str, Scheme]:
    scheme = padding.PKCS1v15()
    return _hashing(lambda hashing: (scheme, hashing), bits)


def _ecdsa(bits: int) -> dict[str, Scheme]:
    return _hashing(lambda hashing: (ec.ECDSA(hashing),), bits)


SCHEMES: Final[dict[str, dict[str, Scheme]]] = {
    **{f"RSASSA_PSS_SHA_{bits}": _pss(bits) for bits in (256, 384, 512)},
    **{f"RSASSA_PKCS1_V1_5_SHA_{bits}": _pkcs1(bits) for bits in (256, 384, 512)},
    **{f"ECDSA_SHA_{bits}": _ecdsa(bits) for bits in (256, 384, 512)},
    "ED25519_SHA_512": {RAW: _with()},
    "ML_DSA_SHAKE_256": {
        RAW: _with(),
        EXTERNAL_MU: Scheme(
            lambda private, mu: private.sign_mu(mu),
            lambda public, signature, mu: public.verify_mu(signature, mu),
            MU_BYTES,
        ),
    },
}
"""Signing algorithm -> message type -> scheme."""


def _scheme(key: LoadedKey, operation_name: str, params: Params) -> Scheme:
    """What the request asks for, once key and message are found fit for it; ends a dry run."""
    algorithm: str = params["SigningAlgorithm"]
    if algorithm == "ED25519_PH_SHA_512" and key.record.spec == "ECC_NIST_EDWARDS25519":
        raise NotImplementedByFreehold("ED25519_PH_SHA_512 is not implemented; use ED25519_SHA_512.")
    usable_for(key, operation_name, SIGN_VERIFY, algorithm)
    kind: str = params.get("MessageType", RAW)
    scheme = SCHEMES[algorithm].get(kind)
    if scheme is None:
        raise ValidationException(f"MessageType {kind} is not valid for algorithm {algorithm}.")
    if scheme.message_bytes and len(params["Message"]) != scheme.message_bytes:
        what = "Digest" if kind == DIGEST else kind
        raise ValidationException(f"{what} is invalid length for algorithm {algorithm}.")
    if params.get("DryRun"):
        raise DryRun
    return scheme


def _may(call: Call, params: Params, action: str) -> list[Permission]:
    asked = {"kms:signingalgorithm": params["SigningAlgorithm"], "kms:messagetype": params.get("MessageType", RAW)}
    return may_use(call, params, action, asked)


def _may_sign(call: Call, params: Params) -> list[Permission]:
    needed = _may(call, params, "kms:Sign")
    off_the_loop(call, call.prepared.key)
    return needed


def _may_verify(call: Call, params: Params) -> list[Permission]:
    return _may(call, params, "kms:Verify")


@operation("kms.Sign", permissions=_may_sign)
def sign(call: Call, params: Params) -> Result:
    """Sign a message of 1-4,096 bytes, a digest as long as the algorithm's hash makes it, or an ML-DSA mu of 64.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html
    """
    key: LoadedKey = call.prepared.key
    scheme = _scheme(key, "Sign", params)
    pair: KeyPair = key.secret(call)
    signature = scheme.sign(pair.private, params["Message"])
    return {"KeyId": key.arn, "Signature": signature, "SigningAlgorithm": params["SigningAlgorithm"]}


@operation("kms.Verify", permissions=_may_verify)
def verify(call: Call, params: Params) -> Result:
    """Check a signature. What isn't this key's over this message is KMSInvalidSignatureException, never `false`.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_Verify.html
    """
    key: LoadedKey = call.prepared.key
    scheme = _scheme(key, "Verify", params)
    pair: KeyPair = key.secret(call)
    try:
        scheme.verify(pair.public, params["Signature"], params["Message"])
    except NotGenuine:
        raise InvalidSignature from None
    return {"KeyId": key.arn, "SignatureValid": True, "SigningAlgorithm": params["SigningAlgorithm"]}

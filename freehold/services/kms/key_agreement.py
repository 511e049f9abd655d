"""DeriveSharedSecret: elliptic curve Diffie-Hellman between a key of ours and a public key from elsewhere.

The result is the raw x coordinate (NIST SP 800-56A's Z), as long as the curve's field; deriving keys from it is the
caller's. The other key must be a SubjectPublicKeyInfo in DER of a point on the same curve: another curve, a point that
isn't on it and whatever else can't be read is refused before our private key has any part in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key

from freehold.authorization.permission import Permission
from freehold.services.kms.admission import may_use, usable_for
from freehold.services.kms.errors import DryRun, ValidationException
from freehold.services.kms.loaded import LoadedKey
from freehold.services.kms.specs import KEY_AGREEMENT, KeyPair
from freehold.services.operation import Params, Result, operation

if TYPE_CHECKING:
    from freehold.services.call import Call


def _may_derive(call: Call, params: Params) -> list[Permission]:
    asked = {"kms:keyagreementalgorithm": params["KeyAgreementAlgorithm"]}
    return may_use(call, params, "kms:DeriveSharedSecret", asked)


def _peer(encoded: bytes, curve: ec.EllipticCurve, spec: str) -> ec.EllipticCurvePublicKey:
    """The other's public key. Raises ValidationException for one that isn't on the curve."""
    try:
        peer = load_der_public_key(encoded)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValidationException("The public key is not a valid DER-encoded SubjectPublicKeyInfo.") from None
    if not isinstance(peer, ec.EllipticCurvePublicKey) or not isinstance(peer.curve, type(curve)):
        raise ValidationException(f"The public key is not on the curve of the key spec {spec}.")
    return peer


@operation("kms.DeriveSharedSecret", permissions=_may_derive, refuses=("Recipient",))
def derive_shared_secret(call: Call, params: Params) -> Result:
    """The secret that the key shares with the owner of `PublicKey`: 32, 48 or 66 bytes.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_DeriveSharedSecret.html
    """
    key: LoadedKey = call.prepared.key
    algorithm: str = params["KeyAgreementAlgorithm"]
    usable_for(key, "DeriveSharedSecret", KEY_AGREEMENT, algorithm)
    pair: KeyPair = key.secret(call)
    peer = _peer(params["PublicKey"], pair.public.curve, key.record.spec)
    if params.get("DryRun"):
        raise DryRun
    return {
        "KeyId": key.arn,
        "SharedSecret": pair.private.exchange(ec.ECDH(), peer),
        "KeyAgreementAlgorithm": algorithm,
        "KeyOrigin": key.record.origin,
    }

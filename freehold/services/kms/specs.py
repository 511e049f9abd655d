"""Key specs: which usages and algorithms a kind of key has, how its material is made, checked and loaded. A table.

Material is bytes as they are kept: 32 bytes of a symmetric encryption key, an HMAC key as it is, and of key pairs the
private key as PKCS #8 (RFC 5958) in DER without attributes; ML-DSA and ML-KEM keys are there as their seeds (RFC 9881
and RFC 9935). Refuses material of another type, size or curve, and RSA keys whose numbers don't belong together.

Two of AWS's specs are not served: SM2, which AWS has in its China Regions only, and ML_KEM_512, which the library
doesn't have.
https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, mlkem, rsa

from freehold.errors import NotImplementedByFreehold
from freehold.services.kms import rsa_checks
from freehold.services.kms.errors import UnsupportedOperation, ValidationException

SYMMETRIC: Final = "SYMMETRIC_DEFAULT"

ENCRYPT_DECRYPT: Final = "ENCRYPT_DECRYPT"
SIGN_VERIFY: Final = "SIGN_VERIFY"
GENERATE_VERIFY_MAC: Final = "GENERATE_VERIFY_MAC"
KEY_AGREEMENT: Final = "KEY_AGREEMENT"
ENCAPSULATE_DECAPSULATE: Final = "ENCAPSULATE_DECAPSULATE"

MEMBERS: Final = {
    ENCRYPT_DECRYPT: "EncryptionAlgorithms",
    SIGN_VERIFY: "SigningAlgorithms",
    GENERATE_VERIFY_MAC: "MacAlgorithms",
    KEY_AGREEMENT: "KeyAgreementAlgorithms",
    ENCAPSULATE_DECAPSULATE: "EncapsulationAlgorithms",
}
"""Usage -> where `KeyMetadata` and `GetPublicKey` show the algorithms."""

_PUBLIC_EXPONENT: Final = 65537
_NO_PKCS8: Final = "The key material is not a private key in PKCS #8 DER form."


class KeyPair:
    """An asymmetric key, loaded: `private` and `public` are `cryptography`'s keys, `spki` what GetPublicKey gives."""

    __slots__ = ("private", "public", "spki")

    def __init__(self, private: Any) -> None:
        self.private = private
        self.public = private.public_key()
        self.spki: bytes = self.public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def __repr__(self) -> str:
        return "KeyPair"


class InvalidMaterial(Exception):
    """Not material of this spec. Says what is wrong with it, never what it is."""


class Spec(NamedTuple):
    """One row."""

    name: str
    kind: str
    """symmetric, hmac, rsa, ec, ed25519, ml-dsa or ml-kem."""
    usages: Mapping[str, tuple[str, ...]]
    """Usage -> its algorithms. The first usage is the default where the spec allows one."""
    make: Callable[[], bytes]
    """New material. Takes up to seconds where `slow`."""
    load: Callable[[bytes], Any]
    """Kept material as what computes with it: bytes, or a `KeyPair`. Doesn't check it again."""
    accept: Callable[[bytes], bytes]
    """Material from elsewhere, as it would be kept. Raises InvalidMaterial."""
    slow: bool = False
    """Whether making or accepting material takes so long that it belongs into a thread."""

    @property
    def asymmetric(self) -> bool:
        """Whether there is a public key."""
        return self.kind not in ("symmetric", "hmac")


def _private_bytes(key: Any) -> bytes:
    made: bytes = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made


def _load_pair(raw: bytes) -> KeyPair:
    # What was checked when it was made or imported, and sealed since, isn't checked again: that takes 40 ms for RSA.
    return KeyPair(serialization.load_der_private_key(raw, None, unsafe_skip_rsa_key_validation=True))


def _is_private_key_info(der: bytes) -> bool:
    """Whether a DER private key, of whichever form, is PKCS #8: a version, then the algorithm's SEQUENCE.

    PKCS #1 has an INTEGER in that place, SEC 1 an OCTET STRING; AWS takes neither.
    """
    at = 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
    return der[at : at + 2] == b"\x02\x01" and der[at + 3 : at + 4] == b"\x30"


def _accept_private(raw: bytes, fits: Callable[[Any], bool], wanted: str) -> bytes:
    try:
        # RSA keys are checked below, once it's known that they have the right length.
        key = serialization.load_der_private_key(raw, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidMaterial(_NO_PKCS8) from None
    if not _is_private_key_info(raw):
        raise InvalidMaterial(_NO_PKCS8)
    if not fits(key):
        raise InvalidMaterial(f"The key material is not {wanted}.")
    if isinstance(key, rsa.RSAPrivateKey):
        try:
            rsa_checks.check(key)
        except ValueError:
            raise InvalidMaterial("The numbers of the RSA key do not belong together.") from None
    return _private_bytes(key)


def _bytes_of(shortest: int, longest: int) -> Callable[[bytes], bytes]:
    def accept(raw: bytes) -> bytes:
        if not shortest <= len(raw) <= longest:
            wanted = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
            raise InvalidMaterial(f"The key material must have {wanted} bytes.")
        return bytes(raw)

    return accept


def _symmetric() -> Spec:
    return Spec(
        SYMMETRIC,
        "symmetric",
        {ENCRYPT_DECRYPT: (SYMMETRIC,)},
        lambda: os.urandom(32),
        bytes,
        _bytes_of(32, 32),
    )


def _hmac(bits: int, made_bytes: int, longest_bytes: int) -> Spec:
    return Spec(
        f"HMAC_{bits}",
        "hmac",
        {GENERATE_VERIFY_MAC: (f"HMAC_SHA_{bits}",)},
        lambda: os.urandom(made_bytes),
        bytes,
        _bytes_of(made_bytes, longest_bytes),
    )


_RSA_SIGNING: Final = tuple(
    f"RSASSA_{scheme}_SHA_{bits}" for scheme in ("PKCS1_V1_5", "PSS") for bits in (256, 384, 512)
)


def _rsa(bits: int) -> Spec:
    def fits(key: Any) -> bool:
        return isinstance(key, rsa.RSAPrivateKey) and key.key_size == bits

    return Spec(
        f"RSA_{bits}",
        "rsa",
        {ENCRYPT_DECRYPT: ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"), SIGN_VERIFY: _RSA_SIGNING},
        lambda: _private_bytes(rsa.generate_private_key(_PUBLIC_EXPONENT, bits)),
        _load_pair,
        lambda raw: _accept_private(raw, fits, f"an RSA key of {bits} bits"),
        slow=True,
    )


def _ec(name: str, curve: ec.EllipticCurve, signing: str, *, agreement: bool) -> Spec:
    usages: dict[str, tuple[str, ...]] = {SIGN_VERIFY: (signing,)}
    if agreement:
        usages[KEY_AGREEMENT] = ("ECDH",)

    def fits(key: Any) -> bool:
        return isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, type(curve))

    return Spec(
        name,
        "ec",
        usages,
        lambda: _private_bytes(ec.generate_private_key(curve)),
        _load_pair,
        lambda raw: _accept_private(raw, fits, f"a key on the curve {curve.name}"),
    )


def _of_type(name: str, kind: str, usages: Mapping[str, tuple[str, ...]], private_key: Any) -> Spec:
    return Spec(
        name,
        kind,
        usages,
        lambda: _private_bytes(private_key.generate()),
        _load_pair,
        lambda raw: _accept_private(raw, lambda key: isinstance(key, private_key), f"an {name} key"),
    )


_ML_DSA_USAGES: Final = {SIGN_VERIFY: ("ML_DSA_SHAKE_256",)}
_ML_KEM_USAGES: Final = {ENCAPSULATE_DECAPSULATE: ("ML_KEM",)}

SPECS: Final[dict[str, Spec]] = {
    spec.name: spec
    for spec in (
        _symmetric(),
        _hmac(224, 28, 64),
        _hmac(256, 32, 64),
        _hmac(384, 48, 128),
        _hmac(512, 64, 128),
        _rsa(2048),
        _rsa(3072),
        _rsa(4096),
        _ec("ECC_NIST_P256", ec.SECP256R1(), "ECDSA_SHA_256", agreement=True),
        _ec("ECC_NIST_P384", ec.SECP384R1(), "ECDSA_SHA_384", agreement=True),
        _ec("ECC_NIST_P521", ec.SECP521R1(), "ECDSA_SHA_512", agreement=True),
        _ec("ECC_SECG_P256K1", ec.SECP256K1(), "ECDSA_SHA_256", agreement=False),
        _of_type("ECC_NIST_EDWARDS25519", "ed25519", {SIGN_VERIFY: ("ED25519_SHA_512",)}, ed25519.Ed25519PrivateKey),
        _of_type("ML_DSA_44", "ml-dsa", _ML_DSA_USAGES, mldsa.MLDSA44PrivateKey),
        _of_type("ML_DSA_65", "ml-dsa", _ML_DSA_USAGES, mldsa.MLDSA65PrivateKey),
        _of_type("ML_DSA_87", "ml-dsa", _ML_DSA_USAGES, mldsa.MLDSA87PrivateKey),
        _of_type("ML_KEM_768", "ml-kem", _ML_KEM_USAGES, mlkem.MLKEM768PrivateKey),
        _of_type("ML_KEM_1024", "ml-kem", _ML_KEM_USAGES, mlkem.MLKEM1024PrivateKey),
    )
}


def of(name: str) -> Spec:
    """The row of one spec. Raises what a request for one that isn't served is answered with."""
    spec = SPECS.get(name)
    if spec is not None:
        return spec
    if name == "ML_KEM_512":
        raise NotImplementedByFreehold("ML_KEM_512 is not implemented; use ML_KEM_768 or ML_KEM_1024.")
    raise UnsupportedOperation(f"The key spec {name} is not supported in this Region.")


def chosen(params: Mapping[str, Any]) -> tuple[Spec, str]:
    """The (spec, usage) that a CreateKey asks for. Raises ValidationException for what doesn't go together."""
    if "KeySpec" in params and "CustomerMasterKeySpec" in params:
        raise ValidationException("You cannot specify KeySpec and CustomerMasterKeySpec in the same request.")
    name = params.get("KeySpec", params.get("CustomerMasterKeySpec", SYMMETRIC))
    usage = params.get("KeyUsage")
    if usage is None:
        if name != SYMMETRIC:
            raise ValidationException(
                "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."
            )
        usage = ENCRYPT_DECRYPT
    spec = of(name)
    if usage not in spec.usages:
        raise ValidationException(f"KeyUsage {usage} is not compatible with KeySpec {name}.")
    return spec, usage

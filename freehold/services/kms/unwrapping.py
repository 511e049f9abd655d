"""Wrapped key material, unwrapped with the private half of a wrapping key. Pure.

Owns the table of wrapping algorithms: RSAES-OAEP, which wraps the material itself, and RSA_AES_KEY_WRAP (PKCS #11's
CKM_RSA_AES_KEY_WRAP), which is an AES key of 256 bits under RSAES-OAEP followed by the material under that AES key
(RFC 5649). Refuses, with InvalidCiphertextException, whatever doesn't open, without saying why: RSA's padding must not
become an oracle. Refuses RSAES_PKCS1_V1_5, which AWS has ended in October 2023, and SM2.
https://docs.aws.amazon.com/kms/latest/developerguide/importing-keys-get-public-key-and-token.html
"""

from __future__ import annotations

from typing import Final, NamedTuple

from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from freehold.services.kms.errors import InvalidCiphertext, UnsupportedOperation
from freehold.services.kms.specs import Spec

WRAPPING_KEY_SPECS: Final = ("RSA_2048", "RSA_3072", "RSA_4096")
_AES_KEY_BYTES: Final = 32


class Algorithm(NamedTuple):
    digest: type[hashes.HashAlgorithm]
    hybrid: bool
    """Whether an AES key lies between RSA and the material."""


ALGORITHMS: Final = {
    "RSAES_OAEP_SHA_1": Algorithm(hashes.SHA1, hybrid=False),
    "RSAES_OAEP_SHA_256": Algorithm(hashes.SHA256, hybrid=False),
    "RSA_AES_KEY_WRAP_SHA_1": Algorithm(hashes.SHA1, hybrid=True),
    "RSA_AES_KEY_WRAP_SHA_256": Algorithm(hashes.SHA256, hybrid=True),
}


def check(algorithm: str, wrapping_key_spec: str, spec: Spec) -> None:
    """Raise UnsupportedOperationException unless material of `spec` can come in this wrapping."""
    if wrapping_key_spec not in WRAPPING_KEY_SPECS or algorithm not in ALGORITHMS:
        raise UnsupportedOperation(
            f"The wrapping algorithm {algorithm} with the wrapping key spec {wrapping_key_spec} is not supported."
        )
    too_long = spec.kind == "rsa" or (spec.name == "ECC_NIST_P521" and wrapping_key_spec == "RSA_2048")
    if too_long and not ALGORITHMS[algorithm].hybrid:
        raise UnsupportedOperation(
            f"Key material of the key spec {spec.name} cannot be wrapped with {algorithm} under {wrapping_key_spec}; "
            "use RSA_AES_KEY_WRAP_SHA_256."
        )


def unwrap(algorithm: str, private_key: bytes, wrapped: bytes) -> bytes:
    """The material. `private_key` is the wrapping key's, as PKCS #8 DER. Raises InvalidCiphertextException."""
    digest, hybrid = ALGORITHMS[algorithm]
    key = serialization.load_der_private_key(private_key, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, RSAPrivateKey):
        raise InvalidCiphertext
    size = key.key_size // 8
    if (len(wrapped) <= size) if hybrid else (len(wrapped) != size):
        raise InvalidCiphertext
    try:
        opened = key.decrypt(wrapped[:size], padding.OAEP(padding.MGF1(digest()), digest(), None))
        if not hybrid:
            return opened
        if len(opened) != _AES_KEY_BYTES:
            raise InvalidCiphertext
        return keywrap.aes_key_unwrap_with_padding(opened, wrapped[size:])
    except (ValueError, keywrap.InvalidUnwrap):
        raise InvalidCiphertext from None

"""Key material wrapped as an importer does it outside of Freehold, with `cryptography` and the public key alone."""

from __future__ import annotations

import os
from typing import Any

from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

ALGORITHMS = ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256", "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256")
FOR_EVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}


def wrapped(algorithm: str, public_key: bytes, material: bytes, *, aes_key_bytes: int = 32) -> bytes:
    """`material` under a wrapping key's public half (DER)."""
    key = serialization.load_der_public_key(public_key)
    assert isinstance(key, RSAPublicKey)
    digest = hashes.SHA1() if algorithm.endswith("SHA_1") else hashes.SHA256()
    oaep = padding.OAEP(padding.MGF1(digest), digest, None)
    if algorithm.startswith("RSAES"):
        return key.encrypt(material, oaep)
    between = os.urandom(aes_key_bytes)
    return key.encrypt(between, oaep) + keywrap.aes_key_wrap_with_padding(between, material)


def private_bytes(private_key: Any) -> bytes:
    """A private key as AWS takes it: PKCS #8, DER."""
    made: bytes = private_key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made

"""The instance identity document's signatures, by a certificate of the deployment's own, as AWS gives them by its own.

Whoever is shown a document verifies it with that certificate, which the operator hands to them. The key is read once
and stays in this process; the workload gets signatures, of its own instance's document alone.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/verify-iid.html
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import Certificate

LEAST_BITS: Final = 2048
_LINE_CHARACTERS: Final = 64


class UnusableKey(Exception):
    """The certificate and key cannot sign; says why in one line."""


class IdentitySigner:
    """Signs documents. Shows nothing of its key."""

    def __init__(self, certificate: Certificate, key: RSAPrivateKey) -> None:
        self._certificate = certificate
        self._key = key

    @classmethod
    def load(cls, certificate: Path, key: Path) -> IdentitySigner:
        """From PEM files: a certificate, and its RSA key of 2,048 bits or more. Raises UnusableKey."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
        from cryptography.x509 import load_pem_x509_certificate

        try:
            public = load_pem_x509_certificate(certificate.read_bytes())
            private = load_pem_private_key(key.read_bytes(), None)
        except OSError as error:
            raise UnusableKey(f"{error.filename}: {error.strerror}") from None
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise UnusableKey("the certificate or its key is not PEM, or the key has a passphrase") from None
        if not isinstance(private, RSAPrivateKey) or private.key_size < LEAST_BITS:
            raise UnusableKey(f"the key must be an RSA key of {LEAST_BITS} bits or more")
        if public.public_key() != private.public_key():
            raise UnusableKey("the key is not the certificate's")
        return cls(public, private)

    def signature(self, document: bytes) -> bytes:
        """RSA with SHA-256 (PKCS #1 1.5), in base64."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.hashes import SHA256

        return _lines(self._key.sign(document, PKCS1v15(), SHA256()))

    def pkcs7(self, document: bytes) -> bytes:
        """A PKCS #7 message with the document and the certificate, in base64, without PEM's first and last line."""
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

        builder = pkcs7.PKCS7SignatureBuilder().set_data(document).add_signer(self._certificate, self._key, SHA256())
        return _lines(builder.sign(Encoding.DER, [pkcs7.PKCS7Options.Binary]))


def _lines(octets: bytes) -> bytes:
    text = base64.b64encode(octets)
    return b"\n".join(text[at : at + _LINE_CHARACTERS] for at in range(0, len(text), _LINE_CHARACTERS))

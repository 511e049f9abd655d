"""X.509 certificates and private keys as PEM: read, and checked against each other. Raises IAM's errors.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_server-certs.html
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from freehold.services.iam.errors import KeyPairMismatch, MalformedCertificate

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def certificate(pem: str, now: datetime) -> Certificate:
    """The one certificate in a PEM text, within its time."""
    found = _read(pem)
    if len(found) != 1:
        raise MalformedCertificate("Certificate body must hold exactly one certificate.")
    if found[0].not_valid_after_utc <= now:
        raise MalformedCertificate(
            "Certificate is no longer valid. The 'Not After' date restriction on the certificate has passed."
        )
    if found[0].not_valid_before_utc > now:
        raise MalformedCertificate(
            "Certificate is not yet valid. The 'Not Before' date restriction on the certificate has not passed."
        )
    return found[0]


def _read(pem: str) -> list[Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise MalformedCertificate(
            "Unable to parse certificate. Please ensure the certificate is in PEM format."
        ) from None


def check_chain(body: Certificate, pem: str) -> None:
    """Each certificate must be signed by the next: the immediate signer first."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    signed = body
    for index, signer in enumerate(_read(pem)):
        try:
            signed.verify_directly_issued_by(signer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            raise MalformedCertificate(
                "Unable to validate certificate chain. The certificate chain must start with the immediate signing "
                "certificate, followed by any intermediaries in order. The index within the chain of the invalid "
                f"certificate is: {index}"
            ) from None
        signed = signer


def check_key(body: Certificate, pem: str) -> None:
    """The private key must be unencrypted, and the certificate's."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        public = load_pem_private_key(pem.encode(), None).public_key()
        certified = body.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise MalformedCertificate(
            "Unable to parse key. Please ensure the private key is in PEM format and not encrypted."
        ) from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if public.public_bytes(*form) != certified.public_bytes(*form):
        raise KeyPairMismatch("The private key does not match the certificate's public key.")

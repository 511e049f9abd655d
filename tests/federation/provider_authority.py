"""A certificate authority of the tests' own, and certificates that it signs for the servers of identity providers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


@dataclass(frozen=True)
class Authority:
    """Paths of PEM files: what clients trust, and what the server shows."""

    bundle: Path
    certificate: Path
    key: Path
    thumbprint: str
    """The authority's SHA-1 fingerprint."""


def make_authority(
    directory: Path, *names: str, addresses: tuple[str, ...] = ("127.0.0.1", "::1"), show_authority: bool = True
) -> Authority:
    """An authority, and a server's certificate for these names (`localhost` unless told) and addresses.

    The server shows the authority's certificate after its own, unless told otherwise.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    issuer = _name("Tests' authority of identity providers")
    authority = (
        _certificate(issuer, issuer, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage("key_cert_sign", "crl_sign", "digital_signature"), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    server_key = ec.generate_private_key(ec.SECP256R1())
    alternative = [x509.DNSName(name) for name in names or ("localhost",)]
    certificate = (
        _certificate(_name("An identity provider under test"), issuer, server_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage("digital_signature"), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([*alternative, *(x509.IPAddress(ip_address(one)) for one in addresses)]),
            critical=False,
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    made = Authority(
        directory / "authority.pem",
        directory / "server.pem",
        directory / "server.key",
        authority.fingerprint(hashes.SHA1()).hex(),
    )
    shown = (certificate, authority) if show_authority else (certificate,)
    made.bundle.write_bytes(authority.public_bytes(Encoding.PEM))
    made.certificate.write_bytes(b"".join(one.public_bytes(Encoding.PEM) for one in shown))
    made.key.write_bytes(server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _certificate(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*usages: str) -> x509.KeyUsage:
    return x509.KeyUsage(**{name: name in usages for name in _USAGES})

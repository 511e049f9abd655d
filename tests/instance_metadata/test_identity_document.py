"""The identity document's signatures, verified as their reader would: by openssl, with the operator's certificate."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from test_metadata_service import HOST, TOKEN, Clock, _get, _service, _token

from freehold.instance_metadata.identity_document import IdentitySigner, UnusableKey
from freehold.instance_metadata.service import MetadataService

IDENTITY = "/latest/dynamic/instance-identity/"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def _pem(key: PrivateKey, encryption: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def _certificate(key: PrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "identity documents")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return builder.sign(key, SHA256())


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, key: rsa.RSAPrivateKey) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("identity")
    certificate, private = directory / "certificate.pem", directory / "key.pem"
    certificate.write_bytes(_certificate(key).public_bytes(Encoding.PEM))
    private.write_bytes(_pem(key))
    return certificate, private


@pytest.fixture
def signing(files: tuple[Path, Path]) -> MetadataService:
    return replace(_service(Clock()), signer=IdentitySigner.load(*files))


def _document(service: MetadataService) -> bytes:
    return service.answer("GET", f"{IDENTITY}document", {**HOST, TOKEN: _token(service)}).body


def test_the_signature_is_of_the_document(signing: MetadataService, key: rsa.RSAPrivateKey) -> None:
    signature = base64.b64decode(_get(signing, f"{IDENTITY}signature"))
    key.public_key().verify(signature, _document(signing), PKCS1v15(), SHA256())


@pytest.mark.parametrize("name", ["pkcs7", "rsa2048"])
def test_openssl_finds_the_document_in_the_message(
    signing: MetadataService, files: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    message = tmp_path / "message.pem"
    message.write_text(f"-----BEGIN PKCS7-----\n{_get(signing, IDENTITY + name)}\n-----END PKCS7-----\n")
    command = [
        "openssl",
        "smime",
        "-verify",
        "-in",
        message,
        "-inform",
        "PEM",
        "-certfile",
        files[0],
        "-CAfile",
        files[0],
    ]
    done = subprocess.run([*command, "-nointern"], capture_output=True)
    assert (done.returncode, done.stdout) == (0, _document(signing)), done.stderr


def test_signatures_need_a_token_as_the_document_does(signing: MetadataService) -> None:
    for name in ("document", "signature", "pkcs7", "rsa2048"):
        assert signing.answer("GET", IDENTITY + name, HOST).status == 401


def test_what_is_there_is_listed(signing: MetadataService) -> None:
    assert _get(signing, IDENTITY).splitlines() == ["document", "pkcs7", "rsa2048", "signature"]
    unsigned = _service(Clock())
    assert _get(unsigned, IDENTITY).splitlines() == ["document"]
    assert unsigned.answer("GET", f"{IDENTITY}signature", {**HOST, TOKEN: _token(unsigned)}).status == 404


def test_unusable_keys_are_refused_with_the_reason(
    tmp_path: Path, files: tuple[Path, Path], key: rsa.RSAPrivateKey
) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    cases = {
        "not PEM": b"key",
        "passphrase": _pem(key, BestAvailableEncryption(b"secret")),
        "RSA key of 2048 bits": _pem(other),
        "not the certificate's": _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    }
    for reason, pem in cases.items():
        path = tmp_path / "key.pem"
        path.write_bytes(pem)
        with pytest.raises(UnusableKey, match=reason):
            IdentitySigner.load(files[0], path)
    with pytest.raises(UnusableKey, match="No such file"):
        IdentitySigner.load(files[0], tmp_path / "none.pem")


def test_a_signer_shows_nothing_of_its_key(signing: MetadataService) -> None:
    assert "PRIVATE" not in repr(signing.signer)
    assert "private_numbers" not in repr(signing)

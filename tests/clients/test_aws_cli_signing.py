"""Signatures, codes and secrets as people get them with the AWS CLI and OpenSSL; tokens that PyJWT verifies."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jwt
import pytest
from clients_programs import environment_of, run, succeed
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

AWS = (sys.executable, str(Path(sys.executable).with_name("aws")), "kms")
over_http = pytest.mark.parametrize("freehold_server", ["http"], indirect=True)


class Signer:
    """A directory with files to be signed, the CLI and OpenSSL in it."""

    def __init__(self, principal: Any, home: Path, directory: Path) -> None:
        self.environment = environment_of(principal, home)
        self.directory = directory

    def aws(self, *words: str) -> Any:
        command = (*AWS, *words, "--output", "json")
        return json.loads(succeed(*command, environment=self.environment, directory=self.directory))

    def refused(self, *words: str) -> str:
        done = run(*AWS, *words, environment=self.environment, directory=self.directory)
        assert done.returncode in (1, 254, 255), done
        return str(done.stderr)

    def keep(self, name: str, encoded: str) -> None:
        (self.directory / name).write_bytes(base64.b64decode(encoded))

    def openssl(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["openssl", *words], capture_output=True, cwd=self.directory)


@pytest.fixture
def signer(aws: Any, home: Path, tmp_path: Path) -> Signer:
    return Signer(aws, home, tmp_path)


@over_http
def test_a_file_is_signed_with_the_cli_and_verified_with_openssl(signer: Signer) -> None:
    (signer.directory / "release.tar").write_bytes(b"release" * 100_000)
    made = signer.aws("create-key", "--key-spec", "RSA_3072", "--key-usage", "SIGN_VERIFY")["KeyMetadata"]
    key, algorithm = ("--key-id", made["KeyId"]), ("--signing-algorithm", "RSASSA_PKCS1_V1_5_SHA_256")
    # Files are longer than a message may be: what is signed is their digest.
    digest = signer.openssl("dgst", "-sha256", "-binary", "release.tar").stdout
    (signer.directory / "digest").write_bytes(digest)
    message = ("--message", "fileb://digest", "--message-type", "DIGEST")
    signer.keep("signature", signer.aws("sign", *key, *algorithm, *message)["Signature"])
    signer.keep("public.der", signer.aws("get-public-key", *key)["PublicKey"])
    assert signer.openssl("pkey", "-pubin", "-inform", "DER", "-in", "public.der", "-out", "public.pem").returncode == 0
    verify = ("dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "release.tar")
    assert signer.openssl(*verify).stdout == b"Verified OK\n"
    checked = signer.aws("verify", *key, *algorithm, *message, "--signature", "fileb://signature")
    assert checked["SignatureValid"] is True
    (signer.directory / "release.tar").write_bytes(b"altered" * 100_000)
    assert signer.openssl(*verify).returncode != 0
    (signer.directory / "digest").write_bytes(signer.openssl("dgst", "-sha256", "-binary", "release.tar").stdout)
    said = signer.refused("verify", *key, *algorithm, *message, "--signature", "fileb://signature")
    assert "KMSInvalidSignatureException" in said


@over_http
def test_a_code_is_made_and_verified_with_the_cli(signer: Signer) -> None:
    (signer.directory / "message").write_bytes(b"message")
    made = signer.aws("create-key", "--key-spec", "HMAC_512", "--key-usage", "GENERATE_VERIFY_MAC")["KeyMetadata"]
    asked = ("--key-id", made["KeyId"], "--mac-algorithm", "HMAC_SHA_512", "--message", "fileb://message")
    signer.keep("mac", signer.aws("generate-mac", *asked)["Mac"])
    assert signer.aws("verify-mac", *asked, "--mac", "fileb://mac")["MacValid"] is True
    (signer.directory / "message").write_bytes(b"another")
    assert "KMSInvalidMacException" in signer.refused("verify-mac", *asked, "--mac", "fileb://mac")


TOKENS = [
    ("RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256", "RS256", 0),
    ("RSA_2048", "RSASSA_PSS_SHA_512", "PS512", 0),
    ("ECC_NIST_P256", "ECDSA_SHA_256", "ES256", 32),
    ("ECC_NIST_P521", "ECDSA_SHA_512", "ES512", 66),
    ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", "EdDSA", 0),
]


@over_http
def test_tokens_signed_here_verify_with_pyjwt(aws: Any) -> None:
    def encoded(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    keys: dict[str, str] = {}
    for spec, algorithm, name, half_bytes in TOKENS:
        if spec not in keys:
            keys[spec] = aws.kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
        parts = [encoded(json.dumps(part).encode()) for part in ({"alg": name, "typ": "JWT"}, {"sub": "ada"})]
        signature = aws.kms.sign(KeyId=keys[spec], Message=".".join(parts).encode(), SigningAlgorithm=algorithm)[
            "Signature"
        ]
        if half_bytes:
            r, s = decode_dss_signature(signature)
            signature = r.to_bytes(half_bytes, "big") + s.to_bytes(half_bytes, "big")
        token = ".".join((*parts, encoded(signature)))
        public: Any = load_der_public_key(aws.kms.get_public_key(KeyId=keys[spec])["PublicKey"])
        assert jwt.decode(token, public, algorithms=[name]) == {"sub": "ada"}
        with pytest.raises(jwt.InvalidSignatureError):
            jwt.decode(".".join((parts[0], encoded(b'{"sub": "eve"}'), encoded(signature))), public, algorithms=[name])

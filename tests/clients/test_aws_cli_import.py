"""Key material imported as AWS's guide shows it: the AWS CLI for the calls, OpenSSL for the wrapping.

https://docs.aws.amazon.com/kms/latest/developerguide/importing-keys-encrypt-key-material.html
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clients_programs import environment_of, succeed

AWS = (sys.executable, str(Path(sys.executable).with_name("aws")))
over_http = pytest.mark.parametrize("freehold_server", ["http"], indirect=True)

OAEP_SHA_256 = ("rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256")


class Importer:
    """A directory with an importer's files, the CLI and OpenSSL in it."""

    def __init__(self, principal: Any, home: Path, directory: Path) -> None:
        self.environment = environment_of(principal, home)
        self.directory = directory

    def aws(self, *words: str) -> Any:
        command = (*AWS, "kms", *words, "--output", "json")
        said = succeed(*command, environment=self.environment, directory=self.directory)
        return json.loads(said) if said else None

    def openssl(self, *words: str) -> bytes:
        return subprocess.run(["openssl", *words], check=True, capture_output=True, cwd=self.directory).stdout

    def get_parameters(self, key_id: str, algorithm: str) -> None:
        wanted = ("--wrapping-algorithm", algorithm, "--wrapping-key-spec", "RSA_3072")
        given = self.aws("get-parameters-for-import", "--key-id", key_id, *wanted)
        for name, member in (("WrappingPublicKey.bin", "PublicKey"), ("ImportToken.bin", "ImportToken")):
            (self.directory / name).write_bytes(base64.b64decode(given[member]))

    def encrypt(self, source: str, target: str) -> None:
        """`source` under the wrapping key with RSAES-OAEP and SHA-256."""
        options = [word for option in OAEP_SHA_256 for word in ("-pkeyopt", option)]
        key = ("-inkey", "WrappingPublicKey.bin", "-keyform", "DER", "-pubin")
        self.openssl("pkeyutl", "-encrypt", "-in", source, "-out", target, *key, *options)

    def bring(self, key_id: str, *more: str) -> Any:
        material = ("--encrypted-key-material", "fileb://EncryptedKeyMaterial.bin")
        token = ("--import-token", "fileb://ImportToken.bin")
        return self.aws("import-key-material", "--key-id", key_id, *material, *token, *more)


@pytest.fixture
def importer(aws: Any, home: Path, tmp_path: Path) -> Importer:
    return Importer(aws, home, tmp_path)


@over_http
def test_a_symmetric_key_of_openssls_randomness_is_imported(importer: Importer, aws: Any) -> None:
    made = importer.aws("create-key", "--origin", "EXTERNAL")["KeyMetadata"]
    assert made["KeyState"] == "PendingImport"
    importer.get_parameters(made["KeyId"], "RSAES_OAEP_SHA_256")
    importer.openssl("rand", "-out", "PlaintextKeyMaterial.bin", "32")
    importer.encrypt("PlaintextKeyMaterial.bin", "EncryptedKeyMaterial.bin")
    valid_to = (datetime.now(UTC) + timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ")
    importer.bring(made["KeyId"], "--expiration-model", "KEY_MATERIAL_EXPIRES", "--valid-to", valid_to)
    shown = aws.kms.describe_key(KeyId=made["KeyId"])["KeyMetadata"]
    assert (shown["KeyState"], shown["ExpirationModel"]) == ("Enabled", "KEY_MATERIAL_EXPIRES")
    assert shown["ValidTo"].strftime("%Y-%m-%dT%H:%M:%SZ") == valid_to
    blob = aws.kms.encrypt(KeyId=made["KeyId"], Plaintext=b"text")["CiphertextBlob"]
    gone = importer.aws("delete-imported-key-material", "--key-id", made["KeyId"])
    assert gone["KeyMaterialId"] == shown["CurrentKeyMaterialId"]
    with pytest.raises(aws.kms.exceptions.KMSInvalidStateException):
        aws.kms.decrypt(CiphertextBlob=blob)
    importer.bring(made["KeyId"], "--expiration-model", "KEY_MATERIAL_DOES_NOT_EXPIRE")
    assert aws.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"


@over_http
def test_openssl_verifies_what_its_imported_rsa_key_signs(importer: Importer, aws: Any) -> None:
    spec = ("--key-spec", "RSA_2048", "--key-usage", "SIGN_VERIFY")
    key_id = importer.aws("create-key", "--origin", "EXTERNAL", *spec)["KeyMetadata"]["KeyId"]
    importer.get_parameters(key_id, "RSA_AES_KEY_WRAP_SHA_256")
    size = ("-pkeyopt", "rsa_keygen_bits:2048")
    importer.openssl("genpkey", "-algorithm", "RSA", *size, "-out", "private.pem")
    importer.openssl("pkcs8", "-topk8", "-nocrypt", "-in", "private.pem", "-outform", "DER", "-out", "private.der")
    importer.openssl("pkey", "-in", "private.der", "-inform", "DER", "-pubout", "-out", "public.pem")
    directory = importer.directory
    (directory / "aes.bin").write_bytes(os.urandom(32))
    wrap = ("-id-aes256-wrap-pad", "-iv", "A65959A6", "-K", (directory / "aes.bin").read_bytes().hex())
    importer.openssl("enc", *wrap, "-in", "private.der", "-out", "wrapped.bin")
    importer.encrypt("aes.bin", "aes-wrapped.bin")
    both = (directory / "aes-wrapped.bin").read_bytes() + (directory / "wrapped.bin").read_bytes()
    (directory / "EncryptedKeyMaterial.bin").write_bytes(both)
    importer.bring(key_id, "--expiration-model", "KEY_MATERIAL_DOES_NOT_EXPIRE")

    signing = {"KeyId": key_id, "Message": b"text", "SigningAlgorithm": "RSASSA_PSS_SHA_256"}
    (directory / "signature").write_bytes(aws.kms.sign(**signing)["Signature"])
    (directory / "message").write_bytes(b"text")
    pss = ("-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32")
    verified = importer.openssl("dgst", "-sha256", "-verify", "public.pem", *pss, "-signature", "signature", "message")
    assert b"Verified OK" in verified

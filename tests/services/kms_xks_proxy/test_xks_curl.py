"""The proxy as AWS's own documents have it tried: with curl, which signs by itself, over TLS."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clients_programs import required
from provider_authority import make_authority
from xks_client import METADATA, new_client, octets, text

from freehold.testing import Server, server

HOST = "xks.example.com"


class Curl:
    """Calls as AWS KMS would for a store at `path`; curl is told where the host is."""

    def __init__(self, running: Server, bundle: Path, directory: Path) -> None:
        self.program = required("curl", "curl")
        owner = running.new_account()
        client = new_client(owner)
        self.key = owner.kms.create_key()["KeyMetadata"]["KeyId"]
        port = running.endpoint.rpartition(":")[2]
        self.url = f"https://{HOST}:{port}/us-east-1/kms/xks/v1"
        # Not among the arguments, where other processes would see it.
        self.config = directory / "curl.config"
        self.config.write_text(
            f'user = "{client.access_key_id}:{client.secret}"\naws-sigv4 = "aws:amz:us-east-1:kms-xks-proxy"\n'
            f'resolve = "{HOST}:{port}:127.0.0.1"\ncacert = "{bundle}"\nheader = "Content-Type: application/json"\n'
            "silent\nshow-error\n"
        )

    def __call__(self, path: str, body: dict[str, Any], *more: str) -> tuple[int, Any]:
        words = [
            self.program,
            "--config",
            str(self.config),
            "--data",
            json.dumps(body),
            "--write-out",
            "\n%{http_code}",
            *more,
        ]
        done = subprocess.run([*words, self.url + path], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        answer, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(answer) if answer else None


@pytest.fixture(scope="module")
def curl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Curl]:
    directory = tmp_path_factory.mktemp("curl")
    authority = make_authority(directory, HOST)
    words = [f"--tls-cert={authority.certificate}", f"--tls-key={authority.key}"]
    with server(options=words, ca_bundle=str(authority.bundle)) as running:
        yield Curl(running, authority.bundle, directory)


def test_curl_asks_for_health(curl: Curl) -> None:
    told = {
        "requestMetadata": {"kmsOperation": "KmsHealthCheck", "kmsRequestId": "1124f4d6-db54-4af4-ae30-c55a22a8abcd"}
    }
    status, answer = curl("/health", told)
    assert status == 200
    assert answer["ekmFleetDetails"][0]["healthStatus"] == "ACTIVE"


def test_curl_describes_encrypts_and_decrypts(curl: Curl) -> None:
    status, answer = curl(f"/keys/{curl.key}/metadata", {"requestMetadata": METADATA})
    assert (status, answer["keySpec"], answer["keyStatus"]) == (200, "AES_256", "ENABLED")
    about = {
        "requestMetadata": METADATA,
        "additionalAuthenticatedData": text(b"project=nile,department=marketing"),
        "encryptionAlgorithm": "AES_GCM",
    }
    asked = about | {"plaintext": text(b"Hello World!"), "ciphertextDataIntegrityValueAlgorithm": "SHA_256"}
    status, sealed = curl(f"/keys/{curl.key}/encrypt", asked)
    assert status == 200
    sealed.pop("ciphertextDataIntegrityValue")
    status, answer = curl(f"/keys/{curl.key}/decrypt", about | sealed)
    assert (status, octets(answer["plaintext"])) == (200, b"Hello World!")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_both_versions_of_tls_that_aws_kms_speaks_are_served(curl: Curl, version: str) -> None:
    """With the cipher suites that it has: the first of the specification's for each version."""
    suites = {
        "1.2": ["--ciphers", "ECDHE-ECDSA-AES256-GCM-SHA384"],
        "1.3": ["--tls13-ciphers", "TLS_AES_256_GCM_SHA384"],
    }
    status, _ = curl("/health", {}, f"--tlsv{version}", "--tls-max", version, *suites[version])
    assert status == 200


def test_another_secret_is_refused(curl: Curl) -> None:
    status, answer = curl("/health", {}, "--user", "ABCDEFGHIJ234567ABCD:another-secret-of-43-characters-or-more-abcde")
    assert (status, answer["errorName"]) == (401, "AuthenticationFailedException")

"""The live tests' server, here twice: over http with one worker, and over https with two."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clients_authority import Authority, make_authority

from freehold.testing import server


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session", params=["http", "https"])
def freehold_server(request: pytest.FixtureRequest, authority: Authority) -> Iterator[Any]:
    """Every test that uses it, or `aws`, runs over both."""
    options: dict[str, Any] = {}
    if request.param == "https":
        words = (f"--tls-cert={authority.certificate}", f"--tls-key={authority.key}")
        options = {"workers": 2, "options": words, "ca_bundle": str(authority.bundle)}
    with server(**options) as running:
        yield running
        # Defects are answered with InternalFailure, which a client may try again in silence; they are in the log.
        assert running.log() == ""


@pytest.fixture
def scheme(freehold_server: Any) -> str:
    return str(freehold_server.endpoint.partition(":")[0])


@pytest.fixture
def name() -> str:
    """A bucket name that nobody has."""
    return "b-" + secrets.token_hex(8)


@pytest.fixture
def key(aws: Any) -> str:
    """The ARN of a KMS key with the default key policy."""
    return str(aws.kms.create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def bucket(aws: Any, name: str, key: str) -> str:
    """A bucket that encrypts under `key` by default."""
    aws.s3.create_bucket(Bucket=name)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    aws.s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
    return name


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home directory with nothing in it."""
    made = tmp_path / "home"
    made.mkdir()
    return made

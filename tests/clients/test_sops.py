"""sops keeps secrets in files under KMS keys: one, two in two Regions, and groups of which several are needed.

Each value is encrypted under a data key that the KMS keys wrap with `Encrypt`, as the file says beside the values.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clients_encryption import installed
from clients_programs import environment_of, run, succeed

from freehold.testing import Server, server

HOME, AWAY = "us-east-1", "eu-west-1"
SECRETS = "database:\n    password: correct horse\n    port: 5432\n"

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the package has sops for x86_64 alone")


@pytest.fixture(scope="module")
def here() -> Iterator[Server]:
    with server(regions=(HOME, AWAY)) as running:
        yield running
        assert running.log() == ""


@pytest.fixture(scope="module")
def owner(here: Server) -> Any:
    return here.new_account("owner")


class Sops:
    """`sops WORDS` as a principal, in a directory with `secrets.yaml`."""

    def __init__(self, principal: Any, directory: Path) -> None:
        home = directory / "home"
        home.mkdir(exist_ok=True)
        self.environment = environment_of(principal, home)
        self.directory = directory
        self.command = (str(installed() / "sops"), "--disable-version-check")

    def __call__(self, *words: str) -> str:
        return succeed(*self.command, *words, environment=self.environment, directory=self.directory)

    def refused(self, *words: str) -> str:
        done: subprocess.CompletedProcess[str] = run(
            *self.command, *words, environment=self.environment, directory=self.directory
        )
        assert done.returncode != 0, done
        return re.sub(r"\s+(\|\s+)?", " ", done.stderr)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "secrets.yaml").write_text(SECRETS)
    return tmp_path


def new_key(principal: Any) -> str:
    return str(principal.kms.create_key()["KeyMetadata"]["Arn"])


def allowing(key: str, *actions: str) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": key}]}


def test_a_file_is_encrypted_edited_and_rotated(owner: Any, directory: Path) -> None:
    sops, key = Sops(owner, directory), new_key(owner)
    sops("encrypt", "--in-place", "--kms", key, "--encryption-context", "team:ops,stage:prod", "secrets.yaml")
    written = (directory / "secrets.yaml").read_text()
    assert "correct horse" not in written
    assert key in written
    assert sops("decrypt", "secrets.yaml") == SECRETS
    sops("set", "secrets.yaml", '["database"]["port"]', "6543")
    assert sops("decrypt", "--extract", '["database"]["port"]', "secrets.yaml").strip() == "6543"
    sops("rotate", "--in-place", "secrets.yaml")
    assert (directory / "secrets.yaml").read_text() != written
    assert sops("decrypt", "secrets.yaml") == SECRETS.replace("5432", "6543")
    seen = [json.loads(event["CloudTrailEvent"]) for event in owner.cloudtrail.lookup_events(MaxResults=50)["Events"]]
    contexts = [
        event["requestParameters"]["encryptionContext"]
        for event in seen
        if event["eventName"] in ("Encrypt", "Decrypt")
    ]
    assert contexts
    assert all(context == {"team": "ops", "stage": "prod"} for context in contexts)


def test_what_was_altered_is_refused(owner: Any, directory: Path) -> None:
    sops, key = Sops(owner, directory), new_key(owner)
    sops("encrypt", "--in-place", "--kms", key, "--encryption-context", "stage:prod", "secrets.yaml")
    written = (directory / "secrets.yaml").read_text()
    (directory / "secrets.yaml").write_text(written.replace("stage: prod", "stage: test"))
    assert "InvalidCiphertextException" in sops.refused("decrypt", "secrets.yaml")
    (directory / "secrets.yaml").write_text(written.replace("port:", "gate:"))
    assert sops.refused("decrypt", "secrets.yaml")
    (directory / "secrets.yaml").write_text(written)
    assert sops("decrypt", "secrets.yaml") == SECRETS


def test_permissions_and_the_keys_state_decide_who_reads(owner: Any, directory: Path) -> None:
    sops, key = Sops(owner, directory), new_key(owner)
    sops("encrypt", "--in-place", "--kms", key, "secrets.yaml")
    writer = Sops(owner.new_user("sops-writer", allowing(key, "kms:Encrypt")), directory)
    reader = Sops(owner.new_user("sops-reader", allowing(key, "kms:Decrypt")), directory)
    assert reader("decrypt", "secrets.yaml") == SECRETS
    assert "not authorized to perform: kms:Decrypt" in writer.refused("decrypt", "secrets.yaml")
    owner.kms.disable_key(KeyId=key)
    assert f"{key} is disabled" in reader.refused("decrypt", "secrets.yaml")


def test_either_of_two_regions_keys_opens_a_file(owner: Any, directory: Path) -> None:
    sops, keys = Sops(owner, directory), (new_key(owner), new_key(owner.in_region(AWAY)))
    sops("encrypt", "--in-place", "--kms", ",".join(keys), "secrets.yaml")
    owner.kms.disable_key(KeyId=keys[0])
    assert sops("decrypt", "secrets.yaml") == SECRETS
    owner.in_region(AWAY).kms.disable_key(KeyId=keys[1])
    assert "is disabled" in sops.refused("decrypt", "secrets.yaml")


def test_two_of_three_groups_are_needed(owner: Any, directory: Path) -> None:
    sops, keys = Sops(owner, directory), [new_key(owner) for _ in range(3)]
    groups = [{"kms": [{"arn": key}]} for key in keys]
    (directory / ".sops.yaml").write_text(
        json.dumps({"creation_rules": [{"shamir_threshold": 2, "key_groups": groups}]})
    )
    sops("encrypt", "--in-place", "secrets.yaml")
    owner.kms.disable_key(KeyId=keys[0])
    assert sops("decrypt", "secrets.yaml") == SECRETS
    owner.kms.disable_key(KeyId=keys[1])
    assert "is disabled" in sops.refused("decrypt", "secrets.yaml")
    owner.kms.enable_key(KeyId=keys[0])
    assert sops("decrypt", "secrets.yaml") == SECRETS

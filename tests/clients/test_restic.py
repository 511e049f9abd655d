"""restic backs up into an SSE-KMS bucket of a live server and restores from it, over http and https.

Its client, minio-go, signs every chunk of a body over http and leaves bodies unsigned over https.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from random import Random
from typing import Any

import pytest
from clients_programs import environment_of, required, succeed

MIB = 1024 * 1024


def policy_for(bucket: str, key: str) -> dict[str, Any]:
    """What restic needs of a bucket that exists and encrypts under `key`, and nothing more."""
    on_bucket = {"Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Resource": f"arn:aws:s3:::{bucket}"}
    on_objects = {
        "Action": ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
        "Resource": f"arn:aws:s3:::{bucket}/backup/*",
    }
    on_key = {"Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": key}
    statements = [{"Effect": "Allow", **each} for each in (on_bucket, on_objects, on_key)]
    return {"Version": "2012-10-17", "Statement": statements}


class Restic:
    """`restic WORDS` as a principal, on one repository in a bucket."""

    def __init__(self, principal: Any, bucket: str, home: Path) -> None:
        trusted = ("--cacert", principal.ca_bundle) if principal.ca_bundle else ()
        self.command = (required("restic", "restic"), "--no-cache", "--quiet", *trusted)
        self.environment = {
            **environment_of(principal, home),
            "RESTIC_REPOSITORY": f"s3:{principal.endpoint}/{bucket}/backup",
            "RESTIC_PASSWORD": "correct horse",
        }

    def __call__(self, *words: str) -> str:
        return succeed(*self.command, *words, environment=self.environment)

    def refused(self, *words: str) -> str:
        """The first complaint. restic would try ten times over before it gives up; it isn't waited for."""
        begun = subprocess.Popen(
            [*self.command, *words], env=self.environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        with begun:
            assert begun.stderr is not None
            complaint = begun.stderr.readline()
            begun.terminate()
        assert begun.returncode != 0, complaint
        return complaint


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Something to back up: many small files, and one that takes several packs."""
    made = tmp_path / "tree"
    (made / "small").mkdir(parents=True)
    for number in range(40):
        (made / "small" / f"{number}").write_bytes(Random(number).randbytes(500 * number))
    (made / "large").write_bytes(Random(99).randbytes(14 * MIB))
    return made


def contents(tree: Path) -> dict[str, bytes]:
    return {str(each.relative_to(tree)): each.read_bytes() for each in tree.rglob("*") if each.is_file()}


def test_a_backup_is_checked_restored_and_pruned(aws: Any, bucket: str, key: str, home: Path, tree: Path) -> None:
    restic = Restic(aws.new_user("backup", policy_for(bucket, key)), bucket, home)
    restic("init")
    restic("backup", str(tree))
    first = contents(tree)
    (tree / "large").write_bytes(Random(98).randbytes(9 * MIB))
    (tree / "small" / "1").unlink()
    restic("backup", str(tree))
    target = tree.parent / "restored"
    restic("restore", "latest", "--target", str(target))
    assert contents(target / tree.relative_to("/")) == contents(tree) != first

    packs = {"Bucket": bucket, "Prefix": "backup/data/"}
    before = aws.s3.list_objects_v2(**packs)["KeyCount"]
    restic("forget", "--keep-last", "1", "--prune")
    assert aws.s3.list_objects_v2(**packs)["KeyCount"] < before
    restic("check", "--read-data")
    for each in aws.s3.list_objects_v2(Bucket=bucket)["Contents"]:
        assert aws.s3.head_object(Bucket=bucket, Key=each["Key"])["SSEKMSKeyId"] == key
    aws.kms.disable_key(KeyId=key)
    assert f"{key} is disabled" in restic.refused("snapshots")


def test_a_user_without_the_permissions_is_refused(aws: Any, bucket: str, key: str, home: Path, tree: Path) -> None:
    statements = policy_for(bucket, key)["Statement"]
    owner = Restic(aws.new_user("owner", policy_for(bucket, key)), bucket, home)
    owner("init")

    def user(name: str, *kept: dict[str, Any]) -> Restic:
        policies = [{"Version": "2012-10-17", "Statement": list(kept)}] if kept else []
        return Restic(aws.new_user(name, *policies), bucket, home)

    reading = {**statements[1], "Action": ["s3:GetObject"]}
    before = aws.s3.list_objects_v2(Bucket=bucket)["KeyCount"]
    # The first request is a HEAD, whose refusal has no room for a reason.
    assert "Access Denied" in user("stranger").refused("snapshots")
    assert "not authorized to perform: kms:Decrypt" in user("keyless", statements[0], statements[1]).refused(
        "snapshots"
    )
    reader = user("reader", statements[0], reading, statements[2])
    reader("snapshots", "--no-lock")
    assert "not authorized to perform: s3:PutObject" in reader.refused("backup", str(tree))
    assert aws.s3.list_objects_v2(Bucket=bucket)["KeyCount"] == before
    owner("snapshots")

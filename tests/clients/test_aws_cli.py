"""The AWS CLI against a live server, over http and https."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from random import Random
from ssl import create_default_context
from typing import Any

import pytest
from clients_programs import environment_of, run, succeed

MIB = 1024 * 1024
# The CLI takes half a second to start: what tells nothing about the transport runs over one scheme.
over_http = pytest.mark.parametrize("freehold_server", ["http"], indirect=True)
over_https = pytest.mark.parametrize("freehold_server", ["https"], indirect=True)
AWS = (sys.executable, str(Path(sys.executable).with_name("aws")))


class Cli:
    """`aws WORDS` as a principal, in a directory of its own."""

    def __init__(self, principal: Any, home: Path, directory: Path) -> None:
        self.environment = environment_of(principal, home)
        self.directory = directory

    def __call__(self, *words: str) -> str:
        return succeed(*AWS, *words, environment=self.environment, directory=self.directory)

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--output", "json"))

    def refused(self, *words: str) -> str:
        """What it says; the command must fail because of the server's answer."""
        done = run(*AWS, *words, environment=self.environment, directory=self.directory)
        assert done.returncode in (1, 254, 255), done
        return done.stderr


@pytest.fixture
def cli(aws: Any, home: Path, tmp_path: Path) -> Cli:
    return Cli(aws, home, tmp_path)


@over_http
def test_users_made_with_the_cli_can_do_what_they_may(cli: Cli, aws: Any, home: Path, tmp_path: Path) -> None:
    who = cli.json("sts", "get-caller-identity")
    assert who["Arn"] == f"arn:aws:iam::{aws.account_id}:root"
    made = cli.json("iam", "create-user", "--user-name", "ada", "--path", "/team/", "--tags", "Key=team,Value=blue")
    assert made["User"]["Arn"] == f"arn:aws:iam::{aws.account_id}:user/team/ada"
    policy = tmp_path / "policy.json"
    statement = {"Effect": "Allow", "Action": ["iam:GetUser"], "Resource": made["User"]["Arn"]}
    policy.write_text(json.dumps({"Version": "2012-10-17", "Statement": statement}))
    name = ("--user-name", "ada", "--policy-name", "self")
    cli("iam", "put-user-policy", *name, "--policy-document", "file://policy.json")
    assert cli.json("iam", "get-user-policy", *name)["PolicyDocument"] == json.loads(policy.read_text())
    access_key = cli.json("iam", "create-access-key", "--user-name", "ada")
    ada = Cli(aws.using(access_key), home, tmp_path)
    assert ada.json("iam", "get-user")["User"]["Tags"] == [{"Key": "team", "Value": "blue"}]
    said = ada.refused("iam", "list-users")
    assert "(AccessDenied)" in said
    assert "is not authorized to perform: iam:ListUsers on resource" in said
    assert [each["UserName"] for each in cli.json("iam", "list-users", "--max-items", "1")["Users"]] == ["ada"]


def test_a_file_is_encrypted_and_decrypted_by_kms(cli: Cli, key: str, tmp_path: Path) -> None:
    plain = Random(3).randbytes(4096)
    (tmp_path / "plain").write_bytes(plain)
    context = ("--encryption-context", "purpose=test")
    sealed = cli.json("kms", "encrypt", "--key-id", key, "--plaintext", "fileb://plain", *context)
    (tmp_path / "sealed").write_bytes(base64.b64decode(sealed["CiphertextBlob"]))
    opened = cli.json("kms", "decrypt", "--ciphertext-blob", "fileb://sealed", *context)
    assert (base64.b64decode(opened["Plaintext"]), opened["KeyId"]) == (plain, key)
    assert "(InvalidCiphertextException)" in cli.refused("kms", "decrypt", "--ciphertext-blob", "fileb://sealed")


def test_files_are_copied_listed_and_synchronized(cli: Cli, aws: Any, bucket: str, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    contents = {
        "a.txt": b"first",
        "empty": b"",
        "deep/b c+d.bin": Random(4).randbytes(70_000),
        "deep/é/large": Random(5).randbytes(9 * MIB),
    }
    for path, content in contents.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
        # S3's times are whole seconds: a file of the same second would count as newer than its object.
        os.utime(tree / path, (1_700_000_000, 1_700_000_000))
    assert cli("s3", "sync", "tree", f"s3://{bucket}/tree").count("upload:") == 4
    assert cli("s3", "sync", "tree", f"s3://{bucket}/tree") == ""
    listed = cli("s3", "ls", "--recursive", "--summarize", f"s3://{bucket}/")
    assert "Total Objects: 4" in listed
    assert "tree/deep/b c+d.bin" in listed
    assert "PRE deep/" in cli("s3", "ls", f"s3://{bucket}/tree/")
    cli("s3", "sync", f"s3://{bucket}/tree", "back")
    back = tmp_path / "back"
    assert {str(each.relative_to(back)): each.read_bytes() for each in back.rglob("*") if each.is_file()} == contents
    (tree / "a.txt").unlink()
    assert "delete:" in cli("s3", "sync", "--delete", "tree", f"s3://{bucket}/tree")
    cli("s3", "cp", f"s3://{bucket}/tree/deep/é/large", f"s3://{bucket}/copy")
    assert cli("s3", "cp", f"s3://{bucket}/tree/empty", "-") == ""
    cli("s3", "mv", f"s3://{bucket}/copy", "moved")
    assert (tmp_path / "moved").read_bytes() == contents["deep/é/large"]
    left = cli("s3", "ls", "--recursive", f"s3://{bucket}/")
    assert ("copy" in left, "a.txt" in left) == (False, False)
    cli("s3", "rm", "--recursive", f"s3://{bucket}/")
    assert cli("s3", "ls", f"s3://{bucket}/") == ""


@over_https
def test_a_bucket_is_made_and_removed(cli: Cli, name: str) -> None:
    assert cli("s3", "mb", f"s3://{name}") == f"make_bucket: {name}\n"
    assert name in cli("s3", "ls")
    cli("s3api", "put-object", "--bucket", name, "--key", "k")
    assert "BucketNotEmpty" in cli.refused("s3", "rb", f"s3://{name}")
    assert cli("s3", "rb", "--force", f"s3://{name}").endswith(f"remove_bucket: {name}\n")
    assert name not in cli("s3", "ls")
    assert "(NoSuchBucket)" in cli.refused("s3", "ls", f"s3://{name}")


def test_s3api_shows_what_an_object_is(cli: Cli, aws: Any, bucket: str, key: str, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"0123456789")
    place = ("--bucket", bucket, "--key", "a b")
    words = ("--body", "body", "--metadata", "colour=blue", "--checksum-algorithm", "SHA256")
    put = cli.json("s3api", "put-object", *place, *words)
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", key)
    head = cli.json("s3api", "head-object", *place)
    assert (head["ContentLength"], head["Metadata"]) == (10, {"colour": "blue"})
    got = cli.json("s3api", "get-object", *place, "--range", "bytes=2-4", "part")
    assert (got["ContentRange"], (tmp_path / "part").read_bytes()) == ("bytes 2-4/10", b"234")
    listed = cli.json("s3api", "list-objects-v2", "--bucket", bucket, "--prefix", "a")
    assert [each["Key"] for each in listed["Contents"]] == ["a b"]
    removed = cli.json("s3api", "delete-objects", "--bucket", bucket, "--delete", "Objects=[{Key=a b},{Key=none}]")
    assert len(removed["Deleted"]) == 2
    assert "(404)" in cli.refused("s3api", "head-object", *place)


def test_a_url_presigned_by_the_cli_serves_the_object(cli: Cli, aws: Any, bucket: str, home: Path) -> None:
    aws.s3.put_object(Bucket=bucket, Key="a b", Body=b"body")
    context = create_default_context(cafile=aws.ca_bundle) if aws.ca_bundle else None
    signed_by = []
    # The CLI's own choice in us-east-1 is signature version 2.
    for version in (None, "s3v4"):
        if version is not None:
            cli("configure", "set", "default.s3.signature_version", version)
        url = cli("s3", "presign", "--expires-in", "60", f"s3://{bucket}/a b").strip()
        signed_by.append("AWSAccessKeyId=" in url)
        with urllib.request.urlopen(url, context=context, timeout=30) as reply:
            assert reply.read() == b"body"
    assert signed_by == [True, False]


def test_the_profile_that_init_writes_is_all_that_the_cli_needs(home: Path, tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    freehold = (sys.executable, "-m", "freehold")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    words = (
        "init",
        "--data",
        "data",
        "--json",
        "--profile",
        "mine",
        "--region",
        "eu-central-1",
        "--endpoint",
        endpoint,
    )
    made = json.loads(succeed(*freehold, *words, environment=environment, directory=tmp_path))
    serving = subprocess.Popen(
        [*freehold, "serve", "--data", "data", "--port", str(port), "--region", "eu-central-1", "--json"],
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    )
    with serving:
        try:
            assert serving.stdout is not None
            assert json.loads(serving.stdout.readline()) == {"endpoint": endpoint}

            def aws(*words: str) -> str:
                return succeed(*AWS, *words, environment=environment, directory=tmp_path)

            who = json.loads(aws("--profile", "mine", "sts", "get-caller-identity"))
            assert who["Account"] == made["account_id"]
            assert aws("--profile", "mine", "configure", "get", "region").strip() == "eu-central-1"
            aws("--profile", "mine", "s3", "mb", "s3://a-bucket-of-mine")
            operator = json.loads(aws("--profile", "mine-operator", "sts", "get-caller-identity"))
            assert operator["Account"] != made["account_id"]
        finally:
            serving.terminate()
    assert serving.returncode == 0

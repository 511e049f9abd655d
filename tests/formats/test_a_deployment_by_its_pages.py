"""A whole deployment that a real server left is read by decoders that were written from docs/formats alone."""

from __future__ import annotations

import ast
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pages_audit
import pages_custody
import pages_kms
import pages_s3
import pages_tokens
import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from pages_crypto import kms_message
from pages_records import Database, acknowledged

from freehold import testing

HERE = Path(__file__).parent
PAGES = HERE.parents[1] / "docs" / "formats"
REGION = "us-east-1"

DECODERS = {
    "audit-checkpoint.md": "tests/formats/pages_audit.py",
    "audit-segment.md": "tests/formats/pages_audit.py",
    "custody.md": "tests/formats/pages_custody.py",
    "denials.md": "tests/formats/pages_tokens.py",
    "import-token.md": "tests/formats/pages_kms.py",
    "key-material-backup.md": "tests/formats/pages_kms.py",
    "keyring.md": "tests/formats/pages_custody.py",
    "kms-ciphertext.md": "tests/formats/pages_crypto.py",
    "kms-key-material.md": "tests/formats/pages_kms.py",
    "kms-store-ciphertext.md": "tests/formats/pages_crypto.py",
    "object-stream.md": "tests/formats/pages_crypto.py",
    "records.md": "tests/formats/pages_records.py",
    "root-key.md": "tests/formats/pages_custody.py",
    "s3-objects.md": "tests/formats/pages_s3.py",
    "sealed-value.md": "tests/formats/pages_crypto.py",
    "session-token.md": "tests/formats/pages_tokens.py",
    "small-tokens.md": "tests/formats/pages_tokens.py",
    "xks-proxy-message.md": "tests/crypto/test_proxy_message.py",
}


def test_each_page_has_a_decoder() -> None:
    assert set(DECODERS) == {path.name for path in PAGES.glob("*.md")} - {"README.md"}
    for page, decoder in DECODERS.items():
        assert page in (HERE.parents[1] / decoder).read_text(), page


def test_the_decoders_share_nothing_with_the_program() -> None:
    modules = list(HERE.glob("pages_*.py"))
    assert len(modules) == 7
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "freehold" for name in names), path.name


class Left:
    """What a server left, and what its clients were told and had put there."""

    def __init__(self, server: testing.Server, told: dict[str, Any]) -> None:
        self.data = server.data
        self.told = told
        root_key = pages_custody.root_key_file(server.root_key.read_bytes())
        self.head, self.keyring = pages_custody.custody_file(root_key, (self.data / "custody").read_bytes())
        self.database = Database(self.data / "records.db", self.key("pages"), self.key("records"))

    def key(self, purpose: str) -> bytes:
        return pages_custody.sealing_key(self.keyring, purpose)

    def material(self, region: str, key_id: str, number: int) -> bytes:
        row = self.database.rows("kms.materials")[region, key_id, number]
        return pages_kms.material(self.key("kms"), region, key_id, number, row)


def fill(aws: testing.Principal, operator: testing.Principal) -> dict[str, Any]:
    kms, s3 = aws.kms, aws.s3
    told: dict[str, Any] = {"account": aws.account_id}
    key = told["key"] = kms.create_key()["KeyMetadata"]["KeyId"]
    context = {"table": "invoices", "ü": "ä"}
    told["old"] = kms.encrypt(KeyId=key, Plaintext=b"old", EncryptionContext=context)["CiphertextBlob"]
    kms.rotate_key_on_demand(KeyId=key)
    told["new"] = kms.encrypt(KeyId=key, Plaintext=b"new", EncryptionContext=context)["CiphertextBlob"]
    signing = told["signing"] = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    told["public"] = kms.get_public_key(KeyId=signing)["PublicKey"]
    root = f"arn:aws:iam::{aws.account_id}:root"
    told["grant"] = kms.create_grant(KeyId=key, GranteePrincipal=root, Operations=["Decrypt"])
    outside = told["outside"] = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    told["import"] = kms.get_parameters_for_import(
        KeyId=outside, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    s3.create_bucket(Bucket="pages")
    told["objects"] = {"small": b"small", "large": b"l" * 50_000, "kms": b"k" * 20_000, "exact": b"e" * 16_384 * 2}
    for name, body in told["objects"].items():
        how = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key} if name == "kms" else {}
        s3.put_object(Bucket="pages", Key=name, Body=body, **how)
    upload = s3.create_multipart_upload(Bucket="pages", Key="parts")["UploadId"]
    part = s3.upload_part(Bucket="pages", Key="parts", UploadId=upload, PartNumber=1, Body=b"p" * 30_000)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket="pages", Key="parts", UploadId=upload, MultipartUpload=parts)
    told["objects"]["parts"] = b"p" * 30_000
    trust = {"Effect": "Allow", "Principal": {"AWS": aws.account_id}, "Action": "sts:AssumeRole"}
    aws.iam.create_role(RoleName="role", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    role = f"arn:aws:iam::{aws.account_id}:role/role"
    user = aws.new_user("user")
    try:
        user.sts.assume_role(RoleArn=role, RoleSessionName="session")
    except ClientError as error:
        told["denied"] = error.response["Error"]["Message"]
    allowed = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    aws.iam.put_user_policy(UserName="user", PolicyName="all", PolicyDocument=json.dumps(allowed))
    told["session"] = user.sts.assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    aws.iam.create_login_profile(UserName="user", Password="correct horse 1 B")
    user_id = told["user"] = aws.iam.get_user(UserName="user")["User"]["UserId"]
    assert user_id
    signed_in = aws.freehold.sign_in(Account=aws.account_id, UserName="user", Password="correct horse 1 B")
    told["device"] = signed_in["DeviceToken"]
    told["next"] = aws.cloudtrail.lookup_events(MaxResults=1)["NextToken"]
    told["backup"] = operator.freehold.backup_key_material(RetentionDays=7)["File"]
    return told


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    with testing.server(tmp_path_factory.mktemp("left")) as server:
        told = fill(server.new_account(), server.operator)
        server.stop()
        found = Left(server, told)
        yield found
        found.database.close()


def test_custody_and_records(left: Left) -> None:
    assert left.head["kind"] == "file"
    assert left.head["deployment"] == pages_custody.mark((left.data / "deployment").read_bytes())
    assert 0 < acknowledged((left.data / "records.acknowledged").read_bytes()) <= left.database.commits
    tables = left.database.tables()
    assert len(tables) > 20
    assert sum(len(left.database.values(table)) for table in tables) > 60
    users = left.database.values("iam.users")
    assert (left.told["account"], "user") in users


def test_key_material_and_ciphertexts(left: Left) -> None:
    context = {"ü": "ä", "table": "invoices"}
    first, second = (left.material(REGION, left.told["key"], number) for number in (1, 2))
    assert kms_message(first, left.told["old"], context) == b"old"
    assert kms_message(second, left.told["new"], context) == b"new"
    private = serialization.load_der_private_key(left.material(REGION, left.told["signing"], 1), None)
    spki = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert private.public_key().public_bytes(*spki) == left.told["public"]


def test_tokens_of_grants_imports_and_sessions(left: Left) -> None:
    grant = left.told["grant"]
    named = pages_kms.grant_token(left.key("kms"), grant["GrantToken"])
    assert named == [REGION, left.told["key"], grant["GrantId"]]
    token = left.told["import"]["ImportToken"]
    secret = left.database.rows("kms.import_epochs")[(pages_kms.import_token_day(token),)]["secret"]
    assert isinstance(secret, bytes)
    content = pages_kms.import_token(secret, token)
    assert (content["key_id"], content["algorithm"]) == (left.told["outside"], "RSAES_OAEP_SHA_256")
    private = serialization.load_der_private_key(content["private_key"], None)
    spki = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert private.public_key().public_bytes(*spki) == left.told["import"]["PublicKey"]
    given = left.told["session"]
    session = pages_tokens.session_token(left.key("tokens"), given["AccessKeyId"], given["SessionToken"])
    assert session[:4] == [given["AccessKeyId"], given["SecretAccessKey"], "role", left.told["account"]]
    assert session[10]["name"] == "session"
    assert session[10]["expires_at"] == given["Expiration"].timestamp()


def test_tokens_of_devices_and_lookups(left: Left) -> None:
    owner, device, until = pages_tokens.device_token(left.key("sign-in devices"), left.told["device"])
    assert (owner, len(device)) == (left.told["user"], 16)
    assert 0 <= int(until) - time.time() - 179 * 86_400 <= 86_400
    place = pages_tokens.place_in_the_trail(left.key("cloudtrail"), left.told["next"], left.told["account"], REGION)
    at, source, number, within = place
    assert abs(at / 1e6 - time.time()) < 600
    assert source == "rows" or (left.data / "audit" / source).exists()
    assert (type(number), within) == (int, 0)


def test_denials(left: Left) -> None:
    said = left.told["denied"]
    found = re.search(r"authorization id: (\w{26})\. Encoded authorization failure message: ([\w-]+)", said)
    assert found is not None, said
    value = left.database.values("iam-toolbox.denials")[(found[1],)]
    account_id, _, record = pages_tokens.denial(value)
    assert account_id == left.told["account"]
    assert (pages_tokens.denied_at(found[1]), record[4]) == (int(record[1]), "sts.AssumeRole")
    account_id, message = pages_tokens.encoded_message(left.key("encoded-messages"), found[2])
    assert (account_id, message["allowed"]) == (left.told["account"], False)


def test_objects(left: Left) -> None:
    objects = pages_s3.Objects(left.database, left.data / "blobs", left.key("service-owned"), left.material)
    for name, body in left.told["objects"].items():
        assert objects.read("pages", name) == body, name


def test_the_backup_of_key_material(left: Left) -> None:
    head, entries = pages_kms.backup(left.key("kms"), left.told["backup"])
    assert head["deployment"] == left.head["deployment"]
    assert head["destroy_by"] - head["created_at"] == 7 * 86_400
    kept = {tuple(entry[1:4]): entry[7] for entry in entries if entry[0] == "material"}
    assert head["materials"] == len(kept)
    assert kept[REGION, left.told["key"], 2] == left.material(REGION, left.told["key"], 2)
    assert {entry[0] for entry in entries} == {"key", "material"}


def test_the_trail(left: Left) -> None:
    events = pages_audit.rows(left.database.values("audit"), left.database.values("audit.head")[("head",)])
    for path in (left.data / "audit").glob("*.segment"):
        events += pages_audit.segment(left.key("audit"), path.name, path.read_bytes())
    names = {event["eventName"] for event in events}
    assert {"CreateKey", "Encrypt", "AssumeRole", "PutObject", "BackupKeyMaterial"} <= names
    [backup] = [event for event in events if event["eventName"] == "BackupKeyMaterial"]
    assert backup["responseElements"]["backupId"]
    assert "file" not in backup["responseElements"]
    found = pages_audit.checkpoints(left.key("audit-signing"), (left.data / "audit" / "checkpoints").read_bytes())
    assert found[-1][4] == len(left.database.values("audit"))

"""A stopped deployment with some of everything, to be damaged with all its keys in hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import apsw
import msgspec

from freehold import testing
from freehold.config import Settings
from freehold.crypto.aead import Sealer
from freehold.custody.keyring import Keyring
from freehold.deployment import opened
from freehold.storage import keys
from freehold.storage.database import connect
from freehold.storage.records import Key
from freehold.storage.sealed import SealedTable
from freehold.verification.report import Report
from freehold.verification.run import verify

BUCKET = "verified"


class Deployed:
    """A data directory that no server holds, its keys, and the names of what is in it."""

    def __init__(self, server: testing.Server, data: Path, names: dict[str, Any]) -> None:
        self.server = server
        self.names = names
        self.settings = Settings(data=data, root_key=server.root_key)
        self.keyring: Keyring = opened(self.settings).keyring

    @property
    def data(self) -> Path:
        return self.settings.data

    def verify(self, *, deep: bool = False) -> Report:
        return verify(self.settings, self.keyring, deep=deep)

    def told(self, *, deep: bool = False) -> list[str]:
        return [str(finding) for finding in self.verify(deep=deep).findings]

    def connection(self) -> apsw.Connection:
        return connect(self.data / "records.db", self.keyring.sealing_key("pages"))

    def sealed(self, table: str) -> SealedTable:
        return SealedTable(table, Sealer(self.keyring.sealing_key("records")))

    def run(self, sql: str, *values: object) -> list[Any]:
        connection = self.connection()
        try:
            return list(connection.execute(sql, values))
        finally:
            connection.close()

    def tables(self) -> list[str]:
        named = self.run("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'r.%' ORDER BY name")
        return [name[2:] for (name,) in named]

    def rows(self, table: str) -> dict[Key, bytes]:
        """Keys and sealed values."""
        return {keys.decode(key): value for key, value in self.run(f'SELECT key, value FROM "r.{table}"')}

    def set_sealed(self, table: str, key: Key, value: bytes) -> None:
        self.run(f'INSERT OR REPLACE INTO "r.{table}" VALUES (?, ?)', keys.encode(key), value)

    def remove(self, table: str, key: Key) -> None:
        self.run(f'DELETE FROM "r.{table}" WHERE key = ?', keys.encode(key))

    def get(self, table: str, key: Key) -> Any:
        """A record as MessagePack has it."""
        return msgspec.msgpack.decode(self.sealed(table).open(keys.encode(key), self.rows(table)[key]))

    def set(self, table: str, key: Key, record: Any) -> None:
        """Write a record as who holds all the keys can."""
        self.set_sealed(table, key, self.sealed(table).seal(keys.encode(key), msgspec.msgpack.encode(record)))

    def change(self, table: str, key: Key, **fields: Any) -> None:
        self.set(table, key, {**self.get(table, key), **fields})

    def blob(self, key: str) -> Path:
        """The file with the bytes of an object."""
        name: str = self.get("s3.objects", (BUCKET, key))[9]
        return self.data / "blobs" / name[:2] / name


def fill(aws: testing.Principal) -> dict[str, Any]:
    kms, s3 = aws.kms, aws.s3
    names: dict[str, Any] = {"account": aws.account_id}

    def key(name: str, **params: Any) -> str:
        made: str = kms.create_key(**params)["KeyMetadata"]["KeyId"]
        names[name] = made
        return made

    main = key("main")
    names["first"] = kms.encrypt(KeyId=main, Plaintext=b"first")["CiphertextBlob"]
    kms.rotate_key_on_demand(KeyId=main)
    names["second"] = kms.encrypt(KeyId=main, Plaintext=b"second")["CiphertextBlob"]
    kms.enable_key_rotation(KeyId=main)
    kms.create_alias(AliasName="alias/main", TargetKeyId=main)
    root = f"arn:aws:iam::{aws.account_id}:root"
    grant = kms.create_grant(
        KeyId=main, GranteePrincipal=root, RetiringPrincipal=root, Operations=["Decrypt"], Name="named"
    )
    names["grant"] = grant["GrantId"]
    other = key("other")
    names["of other"] = kms.encrypt(KeyId=other, Plaintext=b"other")["CiphertextBlob"]
    related = key("related", MultiRegion=True)
    kms.replicate_key(KeyId=related, ReplicaRegion="eu-central-1")
    key("signing", KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    key("empty", Origin="EXTERNAL")
    kms.schedule_key_deletion(KeyId=key("leaving"), PendingWindowInDays=7)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="small", Body=b"small")
    s3.put_object(Bucket=BUCKET, Key="large", Body=b"l" * 40_000)
    s3.put_object(Bucket=BUCKET, Key="alike", Body=b"a" * 40_000)
    encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": other}
    s3.put_object(Bucket=BUCKET, Key="under kms", Body=b"k" * 40_000, **encrypted)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="parts")["UploadId"]
    part = s3.upload_part(Bucket=BUCKET, Key="parts", UploadId=upload, PartNumber=1, Body=b"p" * 20_000)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(Bucket=BUCKET, Key="parts", UploadId=upload, MultipartUpload=parts)
    s3.create_multipart_upload(Bucket=BUCKET, Key="begun")
    aws.iam.create_user(UserName="somebody")
    trust = {"Effect": "Allow", "Principal": {"AWS": aws.account_id}, "Action": "sts:AssumeRole"}
    aws.iam.create_role(RoleName="role", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    return names

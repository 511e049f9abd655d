"""Clients for the kill tests of the server: each makes calls, knows what was acknowledged, and can check it later.

A client changes only what is its own, one call after the other. So at a kill at most one change of each client is
undecided: it happened as a whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from freehold.testing import Principal

FIVE_MIB = 5 * 1024 * 1024
ABSENT = None


class Client:
    """`known` is what was acknowledged, by name; `undecided` the change that was asked for and not answered."""

    def __init__(self, aws: Principal, name: str, killed: threading.Event) -> None:
        self.aws = aws
        self.name = name
        self.killed = killed
        self.known: dict[str, Any] = {}
        self.undecided: dict[str, Any] = {}
        self.request_ids: list[str] = []
        self.failure: BaseException | None = None
        self.number = 0

    def run(self, seed: int) -> None:
        """Work until the server is gone."""
        chosen = random.Random(f"{seed} {self.name}")
        try:
            while True:
                self.number += 1
                self.step(chosen)
        except BotoCoreError as error:
            if not self.killed.is_set():
                self.failure = error
        except BaseException as error:
            self.failure = error

    def call(self, method: Callable[..., Any], **parameters: Any) -> Any:
        result = method(**parameters)
        self.request_ids.append(result["ResponseMetadata"]["RequestId"])
        return result

    def change(self, name: str, to: Any, method: Callable[..., Any], **parameters: Any) -> Any:
        """Call something after which the thing called `name` is `to`."""
        self.undecided[name] = to
        result = self.call(method, **parameters)
        self.known[name] = self.undecided.pop(name)
        return result

    def check(self) -> None:
        """Compare what the server says now with what it acknowledged. Raises AssertionError."""
        assert self.failure is None, repr(self.failure)
        for name in self.known.keys() | self.undecided.keys():
            found = self.read(name)
            expected = [self.known.get(name)]
            if name in self.undecided:
                expected.append(self.undecided[name])
            assert found in expected, f"{name}: {found} instead of {expected}"
            self.known[name] = found
        self.undecided.clear()
        present = {name for name, value in self.known.items() if value is not ABSENT}
        assert self.listed() == present

    def some(self, chosen: random.Random) -> str | None:
        names = [name for name, value in self.known.items() if value is not ABSENT]
        return chosen.choice(names) if names else None

    def step(self, chosen: random.Random) -> None:
        raise NotImplementedError

    def read(self, name: str) -> Any:
        """The state of the thing with this name, ABSENT if there's none."""
        raise NotImplementedError

    def listed(self) -> set[str]:
        raise NotImplementedError


class Objects(Client):
    """Objects of all sizes, some of them replaced, copied or deleted. A state is the content's digest."""

    bucket = "plain"

    def step(self, chosen: random.Random) -> None:
        s3 = self.aws.s3
        key = f"{self.name}/{self.number:05d}"
        old = self.some(chosen)
        kind = chosen.random()
        if old is not None and kind < 0.15:
            self.change(old, ABSENT, s3.delete_object, Bucket=self.bucket, Key=old)
            return
        if old is not None and kind < 0.25:
            source = {"Bucket": self.bucket, "Key": old}
            self.change(key, self.known[old], s3.copy_object, Bucket=self.bucket, Key=key, CopySource=source)
            return
        if old is not None and kind < 0.4:
            key = old
        body = chosen.randbytes(chosen.choice((0, 100, 5_000, 16_000, 70_000, 300_000, 2_000_000)))
        self.change(key, hashlib.sha256(body).hexdigest(), s3.put_object, Bucket=self.bucket, Key=key, Body=body)
        got = self.call(s3.get_object, Bucket=self.bucket, Key=key)["Body"].read()
        assert got == body

    def read(self, name: str) -> Any:
        try:
            got = self.aws.s3.get_object(Bucket=self.bucket, Key=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return ABSENT
        body = got["Body"].read()
        assert len(body) == got["ContentLength"]
        return hashlib.sha256(body).hexdigest()

    def listed(self) -> set[str]:
        pages = self.aws.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{self.name}/", PaginationConfig={"PageSize": 50}
        )
        return {row["Key"] for page in pages for row in page.get("Contents", ())}


class SealedObjects(Objects):
    """As Objects, in a bucket whose default encryption is SSE-KMS."""

    bucket = "sealed"


class Uploads(Objects):
    """Multipart uploads; what a kill interrupts is completed afterwards from the parts that were acknowledged."""

    bucket = "sealed"

    def __init__(self, aws: Principal, name: str, killed: threading.Event) -> None:
        super().__init__(aws, name, killed)
        self.upload: dict[str, Any] | None = None

    def step(self, chosen: random.Random) -> None:
        s3 = self.aws.s3
        key = f"{self.name}/{self.number:05d}"
        upload_id = self.call(s3.create_multipart_upload, Bucket=self.bucket, Key=key)["UploadId"]
        self.upload = {"Key": key, "UploadId": upload_id, "parts": {}, "bodies": {}}
        for number, size in ((1, FIVE_MIB), (2, chosen.randrange(1, 200_000))):
            body = chosen.randbytes(size)
            done = self.call(
                s3.upload_part, Bucket=self.bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body
            )
            self.upload["parts"][number] = done["ETag"]
            self.upload["bodies"][number] = body
        self.complete()

    def complete(self) -> None:
        assert self.upload is not None
        upload = self.upload
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in sorted(upload["parts"].items())]
        digest = hashlib.sha256(b"".join(body for _, body in sorted(upload["bodies"].items()))).hexdigest()
        self.change(
            upload["Key"],
            digest,
            self.aws.s3.complete_multipart_upload,
            Bucket=self.bucket,
            Key=upload["Key"],
            UploadId=upload["UploadId"],
            MultipartUpload={"Parts": parts},
        )
        self.upload = None

    def check(self) -> None:
        super().check()
        if self.upload is None or self.known.get(self.upload["Key"]) is not ABSENT:
            self.upload = None
            return
        # Interrupted: what was acknowledged of it is there, and it can be gone on with.
        where = {"Bucket": self.bucket, "Key": self.upload["Key"], "UploadId": self.upload["UploadId"]}
        there = {part["PartNumber"]: part["ETag"] for part in self.aws.s3.list_parts(**where).get("Parts", ())}
        assert self.upload["parts"].items() <= there.items()
        assert len(there) <= len(self.upload["parts"]) + 1
        if self.upload["parts"]:
            self.complete()
            super().check()


class Keys(Client):
    """KMS keys, their aliases, states and ciphertexts. A state is (key id, its state), by alias."""

    def __init__(self, aws: Principal, name: str, killed: threading.Event) -> None:
        super().__init__(aws, name, killed)
        self.key_ids: set[str] = set()
        self.created = 0
        self.ciphertexts: dict[str, tuple[bytes, bytes]] = {}

    def step(self, chosen: random.Random) -> None:
        kms = self.aws.kms
        old = self.some(chosen)
        if old is None or chosen.random() < 0.5:
            self.created += 1
            key_id = self.call(kms.create_key)["KeyMetadata"]["KeyId"]
            self.key_ids.add(key_id)
            plaintext = chosen.randbytes(100)
            self.ciphertexts[key_id] = (
                self.call(kms.encrypt, KeyId=key_id, Plaintext=plaintext)["CiphertextBlob"],
                plaintext,
            )
            alias = f"alias/{self.name}-{self.number}"
            self.change(alias, (key_id, "Enabled"), kms.create_alias, AliasName=alias, TargetKeyId=key_id)
            return
        key_id, state = self.known[old]
        if state == "Enabled" and chosen.random() < 0.3:
            self.change(old, ABSENT, kms.delete_alias, AliasName=old)
        elif state == "Enabled":
            self.change(old, (key_id, "Disabled"), kms.disable_key, KeyId=key_id)
        elif state == "Disabled" and chosen.random() < 0.7:
            self.change(old, (key_id, "Enabled"), kms.enable_key, KeyId=key_id)
        elif state == "Disabled":
            self.change(
                old, (key_id, "PendingDeletion"), kms.schedule_key_deletion, KeyId=key_id, PendingWindowInDays=7
            )

    def read(self, name: str) -> Any:
        try:
            described = self.aws.kms.describe_key(KeyId=name)["KeyMetadata"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "NotFoundException":
                raise
            return ABSENT
        key_id, state = described["KeyId"], described["KeyState"]
        if state == "Enabled":
            ciphertext, plaintext = self.ciphertexts[key_id]
            assert self.aws.kms.decrypt(CiphertextBlob=ciphertext)["Plaintext"] == plaintext
        return key_id, state

    def listed(self) -> set[str]:
        kms = self.aws.kms
        ids = {key["KeyId"] for page in kms.get_paginator("list_keys").paginate() for key in page["Keys"]}
        assert self.key_ids <= ids
        names = {row["AliasName"] for page in kms.get_paginator("list_aliases").paginate() for row in page["Aliases"]}
        return {name for name in names if name.startswith(f"alias/{self.name}-")}


class Users(Client):
    """IAM users with a policy and an access key that works. A state is (policy document, access key id)."""

    def __init__(self, aws: Principal, name: str, killed: threading.Event) -> None:
        super().__init__(aws, name, killed)
        self.keys: dict[str, Any] = {}

    def step(self, chosen: random.Random) -> None:
        iam = self.aws.iam
        old = self.some(chosen)
        if old is not None and chosen.random() < 0.4:
            document, key_id = self.known[old]
            if document and chosen.random() < 0.5:
                self.change(old, ("", key_id), iam.delete_user_policy, UserName=old, PolicyName="policy")
            elif key_id:
                self.change(old, (document, ""), iam.delete_access_key, UserName=old, AccessKeyId=key_id)
            elif not document:
                self.change(old, ABSENT, iam.delete_user, UserName=old)
            return
        name = f"{self.name}-{self.number}"
        self.change(name, ("", ""), iam.create_user, UserName=name)
        allowed = f"arn:aws:s3:::sealed/{self.number}"
        statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": allowed}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.change(
            name, (allowed, ""), iam.put_user_policy, UserName=name, PolicyName="policy", PolicyDocument=document
        )
        # An access key whose answer did not arrive has an id that nobody was told.
        self.undecided[name] = (allowed, "untold")
        made = self.call(iam.create_access_key, UserName=name)
        key_id, secret = made["AccessKey"]["AccessKeyId"], made["AccessKey"]["SecretAccessKey"]
        # Of the same session, since making one for each key would take most of the time of the check.
        self.keys[key_id] = self.aws.client("sts", aws_access_key_id=key_id, aws_secret_access_key=secret)
        self.known[name] = (allowed, key_id)
        del self.undecided[name]

    def read(self, name: str) -> Any:
        iam = self.aws.iam
        try:
            iam.get_user(UserName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchEntity":
                raise
            return ABSENT
        allowed = key_id = ""
        for policy in iam.list_user_policies(UserName=name)["PolicyNames"]:
            document = iam.get_user_policy(UserName=name, PolicyName=policy)["PolicyDocument"]
            allowed = document["Statement"][0]["Resource"]
        for row in iam.list_access_keys(UserName=name)["AccessKeyMetadata"]:
            key_id = row["AccessKeyId"] if row["AccessKeyId"] in self.keys else "untold"
            if key_id in self.keys:
                arn = self.keys[key_id].get_caller_identity()["Arn"]
                assert arn.endswith(f":user/{name}")
        return allowed, key_id

    def listed(self) -> set[str]:
        return {
            user["UserName"] for page in self.aws.iam.get_paginator("list_users").paginate() for user in page["Users"]
        }

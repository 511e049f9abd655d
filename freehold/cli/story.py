"""The tour's story: who does what, what must come of it, and how it ends. Played on a server of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from freehold.cli import erasure
from freehold.cli.story_keys import keys_of_other_kinds
from freehold.config import Settings
from freehold.testing import Principal, Server, ServerError

SECRET = b"The merger is announced on Tuesday at nine."
REPORT = b"Quarterly figures, open to the reader. " * 2000
"""Larger than what is kept in the records, so that a blob file takes part."""
BUCKET, LATER_BUCKET = "ledger", "archive"


@dataclass(frozen=True, slots=True)
class Step:
    who: str
    what: str
    outcome: str
    """`allowed`, `refused` or `seen`."""
    why: str
    as_expected: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class Stage:
    """Does the steps and keeps what came of them."""

    def __init__(self, tell: Callable[[Step], None]) -> None:
        self.steps: list[Step] = []
        self._tell = tell

    def add(self, step: Step) -> None:
        self.steps.append(step)
        self._tell(step)

    def allowed(self, who: str, what: str, act: Callable[[], Any], why: Callable[[Any], str] | str = "") -> Any:
        """`act` must succeed; gives its result."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            result = act()
        except (ClientError, BotoCoreError, ServerError) as error:
            self.add(Step(who, what, "refused", f"unexpected: {error}", False))
            return None
        self.add(Step(who, what, "allowed", why if isinstance(why, str) else why(result), True))
        return result

    def refused(self, who: str, what: str, act: Callable[[], Any], *codes: str) -> None:
        """`act` must be refused with one of `codes`; the reason told is the server's own message."""
        from botocore.exceptions import ClientError

        try:
            act()
        except ClientError as error:
            code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
            self.add(Step(who, what, "refused", f"{code}: {message}", code in codes))
        else:
            self.add(Step(who, what, "allowed", f"unexpected: should be refused with {' or '.join(codes)}", False))

    def seen(self, what: str, right: bool, why: str = "") -> None:
        self.add(Step("we see", what, "seen", why, right))


def play(directory: Path, tell: Callable[[Step], None], chapter: Callable[[str], None]) -> list[Step]:
    """Play the whole story in `directory` (its server's data, its root key). Every step is told as it happens."""
    stage = Stage(tell)
    server = Server(directory)
    try:
        chapter("A server, an account, an administrator")
        server.start()
        admin = server.account
        stage.allowed(
            "root",
            "sts:GetCallerIdentity",
            admin.sts.get_caller_identity,
            lambda found: f"signed with SigV4 and verified: {found['Arn']}",
        )
        key_arn = _identities_and_keys(stage, chapter, server, admin)
        _reading_and_writing(stage, chapter, server, admin, key_arn)
        _key_state(stage, chapter, server, admin, key_arn)
        keys_of_other_kinds(stage, chapter, admin)
        _another_account(stage, chapter, server, admin, key_arn)
        _nothing_in_the_clear(stage, chapter, server)
        _deletion(stage, chapter, server, admin, key_arn)
        _audit(stage, chapter, server, admin)
    finally:
        server.close()
    return stage.steps


def _statement(actions: str | list[str], resources: str | list[str], **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def _policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _identities_and_keys(stage: Stage, chapter: Callable[[str], None], server: Server, admin: Principal) -> str:
    chapter("A key, an encrypted bucket, a reader and a writing application")
    made = stage.allowed("root", "kms:CreateKey", lambda: admin.kms.create_key(Description="ledger key"))
    key_arn: str = made["KeyMetadata"]["Arn"]
    stage.allowed(
        "root",
        "kms:CreateAlias alias/ledger",
        lambda: admin.kms.create_alias(AliasName="alias/ledger", TargetKeyId=key_arn),
    )
    stage.allowed("root", f"s3:CreateBucket {BUCKET}", lambda: admin.s3.create_bucket(Bucket=BUCKET))
    _encrypt_by_default(stage, admin, BUCKET, key_arn)
    objects = f"arn:aws:s3:::{BUCKET}"
    read = _policy(
        _statement("s3:GetObject", f"{objects}/open/*"),
        _statement("s3:ListBucket", objects, Condition={"StringLike": {"s3:prefix": "open/*"}}),
        _statement("kms:Decrypt", key_arn),
    )
    stage.allowed("root", "iam:CreateUser reader", lambda: admin.iam.create_user(UserName="reader"))
    stage.allowed(
        "root",
        "iam:PutUserPolicy reader may read ledger/open/*",
        lambda: admin.iam.put_user_policy(UserName="reader", PolicyName="read", PolicyDocument=json.dumps(read)),
    )
    stage.allowed("root", "iam:CreateUser app", lambda: admin.iam.create_user(UserName="app"))
    write = _policy(
        _statement("s3:PutObject", f"{objects}/*"),
        _statement("kms:GenerateDataKey", key_arn, Condition={"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}}),
    )
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{admin.account_id}:user/app"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    stage.allowed(
        "root",
        "iam:CreateRole writer, trusted: user app",
        lambda: admin.iam.create_role(RoleName="writer", AssumeRolePolicyDocument=json.dumps(trust)),
    )
    stage.allowed(
        "root",
        "iam:PutRolePolicy writer may write to ledger, and use the key through S3 only",
        lambda: admin.iam.put_role_policy(RoleName="writer", PolicyName="write", PolicyDocument=json.dumps(write)),
    )
    return key_arn


def _encrypt_by_default(stage: Stage, admin: Principal, bucket: str, key_arn: str) -> None:
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key_arn}}
    stage.allowed(
        "root",
        f"s3:PutEncryptionConfiguration {bucket}: SSE-KMS by default",
        lambda: admin.s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]}),
    )


def _with_key(admin: Principal, user: str) -> Principal:
    return admin.using(admin.iam.create_access_key(UserName=user))


def _reading_and_writing(
    stage: Stage, chapter: Callable[[str], None], server: Server, admin: Principal, key_arn: str
) -> None:
    chapter("The application writes, the reader reads its prefix and nothing else")
    reader, app = _with_key(admin, "reader"), _with_key(admin, "app")
    role = f"arn:aws:iam::{admin.account_id}:role/writer"
    stage.refused(
        "reader",
        "sts:AssumeRole writer",
        lambda: reader.sts.assume_role(RoleArn=role, RoleSessionName="reader"),
        "AccessDenied",
    )
    session = stage.allowed(
        "app",
        "sts:AssumeRole writer",
        lambda: app.sts.assume_role(RoleArn=role, RoleSessionName="nightly"),
        lambda found: found["AssumedRoleUser"]["Arn"],
    )
    writer = admin.using(session)
    stage.allowed(
        "role writer",
        "s3:PutObject ledger/open/report",
        lambda: writer.s3.put_object(Bucket=BUCKET, Key="open/report", Body=REPORT),
        lambda found: f"{found['ServerSideEncryption']} under {found['SSEKMSKeyId']}",
    )
    stage.allowed(
        "role writer",
        "s3:PutObject ledger/closed/secret",
        lambda: writer.s3.put_object(Bucket=BUCKET, Key="closed/secret", Body=SECRET),
    )
    stage.refused(
        "role writer",
        "s3:GetObject ledger/open/report",
        lambda: writer.s3.get_object(Bucket=BUCKET, Key="open/report"),
        "AccessDenied",
    )
    stage.refused(
        "role writer",
        "kms:GenerateDataKey, not through S3",
        lambda: writer.kms.generate_data_key(KeyId=key_arn, KeySpec="AES_256"),
        "AccessDeniedException",
    )
    _reads(stage, reader)
    stage.refused(
        "reader",
        "s3:GetObject ledger/closed/secret",
        lambda: reader.s3.get_object(Bucket=BUCKET, Key="closed/secret"),
        "AccessDenied",
    )
    stage.refused(
        "reader",
        "s3:PutObject ledger/open/forged",
        lambda: reader.s3.put_object(Bucket=BUCKET, Key="open/forged", Body=b"forged"),
        "AccessDenied",
    )
    stage.refused("reader", "iam:ListUsers", reader.iam.list_users, "AccessDenied")
    forged = Principal(server.endpoint, reader.access_key_id, "x" * 40)
    stage.refused("a forger", "s3:ListBuckets with the reader's id", forged.s3.list_buckets, "SignatureDoesNotMatch")


def _reads(stage: Stage, reader: Principal) -> None:
    got = stage.allowed(
        "reader",
        "s3:GetObject ledger/open/report",
        lambda: reader.s3.get_object(Bucket=BUCKET, Key="open/report")["Body"].read(),
        lambda found: f"{len(found):,} bytes, decrypted for this request",
    )
    if got is not None and got != REPORT:
        stage.seen("the bytes are not those written", right=False)


def _key_state(stage: Stage, chapter: Callable[[str], None], server: Server, admin: Principal, key_arn: str) -> None:
    chapter("The key's state reaches the data")
    reader = _with_key(admin, "reader")
    stage.allowed("root", "kms:DisableKey", lambda: admin.kms.disable_key(KeyId=key_arn))
    stage.refused(
        "reader",
        "s3:GetObject ledger/open/report",
        lambda: reader.s3.get_object(Bucket=BUCKET, Key="open/report"),
        "KMS.DisabledException",
    )
    stage.refused(
        "root",
        "s3:GetObject ledger/open/report",
        lambda: admin.s3.get_object(Bucket=BUCKET, Key="open/report"),
        "KMS.DisabledException",
    )
    stage.allowed("root", "kms:EnableKey", lambda: admin.kms.enable_key(KeyId=key_arn))
    _reads(stage, reader)
    stage.allowed(
        "root",
        f"s3:CreateBucket {LATER_BUCKET}, no word of encryption",
        lambda: admin.s3.create_bucket(Bucket=LATER_BUCKET),
    )
    stage.allowed(
        "root",
        f"s3:PutObject {LATER_BUCKET}/before",
        lambda: admin.s3.put_object(Bucket=LATER_BUCKET, Key="before", Body=SECRET),
        lambda found: f"encrypted all the same: {found['ServerSideEncryption']}",
    )
    _encrypt_by_default(stage, admin, LATER_BUCKET, key_arn)
    stage.allowed(
        "root",
        f"s3:PutObject {LATER_BUCKET}/after",
        lambda: admin.s3.put_object(Bucket=LATER_BUCKET, Key="after", Body=SECRET),
        lambda found: f"{found['ServerSideEncryption']} under {found['SSEKMSKeyId']}",
    )


def _another_account(
    stage: Stage, chapter: Callable[[str], None], server: Server, admin: Principal, key_arn: str
) -> None:
    chapter("Another account is refused until both sides allow")
    other = stage.allowed(
        "operator",
        "freehold:CreateAccount partner",
        lambda: server.new_account("partner"),
        lambda found: f"account {found.account_id}",
    )
    auditor = other.new_user("auditor")
    arn = f"arn:aws:iam::{other.account_id}:user/auditor"

    def read() -> Any:
        return auditor.s3.get_object(Bucket=BUCKET, Key="open/report")["Body"].read()

    what = "s3:GetObject ledger/open/report"
    stage.refused("partner", what, read, "AccessDenied")
    grant = {"Effect": "Allow", "Principal": {"AWS": arn}}
    resource = f"arn:aws:s3:::{BUCKET}/open/*"
    bucket_policy = {
        "Version": "2012-10-17",
        "Statement": [{**grant, "Action": "s3:GetObject", "Resource": resource}],
    }
    stage.allowed(
        "root",
        "s3:PutBucketPolicy: partner's auditor may read open/*",
        lambda: admin.s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps(bucket_policy)),
    )
    stage.refused("partner", f"{what} (only the bucket's side allows)", read, "AccessDenied")
    own = _policy(_statement("s3:GetObject", resource), _statement("kms:Decrypt", key_arn))
    stage.allowed(
        "partner root",
        "iam:PutUserPolicy auditor",
        lambda: other.iam.put_user_policy(UserName="auditor", PolicyName="read", PolicyDocument=json.dumps(own)),
    )
    stage.refused("partner", f"{what} (the key's side does not allow yet)", read, "AccessDenied")
    key_policy = json.loads(admin.kms.get_key_policy(KeyId=key_arn)["Policy"])
    key_policy["Statement"].append({**grant, "Sid": "Partner", "Action": "kms:Decrypt", "Resource": "*"})
    stage.allowed(
        "root",
        "kms:PutKeyPolicy: partner's auditor may decrypt",
        lambda: admin.kms.put_key_policy(KeyId=key_arn, Policy=json.dumps(key_policy)),
    )
    stage.allowed("partner", what, read, "bucket policy, key policy and the partner's own policy allow it")


def _freehold(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "freehold", *words], capture_output=True, text=True)


def _nothing_in_the_clear(stage: Stage, chapter: Callable[[str], None], server: Server) -> None:
    chapter("What lies on disk")
    server.stop()
    files = [path for path in sorted(server.data.rglob("*")) if path.is_file() and path.stat().st_size]
    needles = {"the secret": SECRET, "the report": REPORT[:40], "an object key": b"closed/secret", "a user": b"reader"}
    for name, needle in needles.items():
        found = [path.name for path in files if needle in path.read_bytes()]
        stage.seen(f"{name} is in none of {len(files)} files", not found, ", ".join(found))
    for path in files:
        _flip(stage, server, path)
    server.start()


def _flip(stage: Stage, server: Server, path: Path) -> None:
    """One bit of one file changed in a copy of the directory: whoever reads it must fail, not lie."""
    copy = server.data.parent / "flipped"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(server.data, copy)
    victim = copy / path.relative_to(server.data)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    noticed = _who_notices(server, copy)
    name = str(path.relative_to(server.data))
    stage.seen(f"one bit of {name} flipped", bool(noticed), noticed or "nobody noticed")
    shutil.rmtree(copy)


def _who_notices(server: Server, copy: Path) -> str:
    options = (f"--data={copy}", f"--root-key={server.root_key}")
    checked = _freehold("audit", "verify", *options)
    if checked.returncode:
        told = (checked.stdout or checked.stderr).strip().splitlines()
        return next((line.removeprefix("✘ ") for line in told if line.startswith("✘")), told[-1] if told else "")
    altered = server.on_copy(copy)
    try:
        altered.start()
        try:
            body = altered.account.s3.get_object(Bucket=BUCKET, Key="open/report")["Body"].read()
        except Exception as error:
            return f"GetObject: {error}"
        if body != REPORT:
            raise RuntimeError("the server gave out bytes that nobody wrote")
        return ""
    except ServerError as error:
        return str(error).strip().splitlines()[-1]
    finally:
        altered.close()


def _deletion(stage: Stage, chapter: Callable[[str], None], server: Server, admin: Principal, key_arn: str) -> None:
    chapter("The key is deleted, and with it what it protected")
    stage.allowed(
        "root",
        "kms:ScheduleKeyDeletion in 7 days",
        lambda: admin.kms.schedule_key_deletion(KeyId=key_arn, PendingWindowInDays=7),
        lambda found: f"state {found['KeyState']}, until {found['DeletionDate']:%Y-%m-%d}",
    )
    stage.refused(
        "root",
        "s3:GetObject ledger/open/report",
        lambda: admin.s3.get_object(Bucket=BUCKET, Key="open/report"),
        "KMS.KMSInvalidStateException",
    )
    stage.allowed(
        "root",
        "kms:CreateKey, of which the deletion takes nothing",
        lambda: admin.kms.create_key(Description="another key"),
    )
    stage.allowed("operator", "freehold:AdvanceClock by 8 days", lambda: server.advance(days=8))
    stage.refused(
        "root",
        "kms:DescribeKey",
        lambda: admin.kms.describe_key(KeyId=key_arn),
        "NotFoundException",
    )
    stage.refused(
        "root",
        "s3:GetObject ledger/open/report",
        lambda: admin.s3.get_object(Bucket=BUCKET, Key="open/report"),
        "KMS.NotFoundException",
    )
    server.stop()
    tried = erasure.attempt(Settings(data=server.data, root_key=server.root_key), BUCKET, "open/report")
    stage.seen(
        "the root key and the whole data directory cannot decrypt ledger/open/report any more",
        not tried.recovered and tried.keys_tried > 0,
        f"{tried.keys_tried} other backing keys are stored, none of them opens the object's data key",
    )
    server.start()


def _audit(stage: Stage, chapter: Callable[[str], None], server: Server, admin: Principal) -> None:
    chapter("The audit log has seen all of it")
    for name, what in (
        ("DisableKey", "kms:DisableKey"),
        ("AssumeRole", "sts:AssumeRole"),
        ("GetObject", "s3:GetObject"),
    ):
        attribute = {"AttributeKey": "EventName", "AttributeValue": name}
        look = partial(admin.cloudtrail.lookup_events, LookupAttributes=[attribute])
        stage.allowed("root", f"cloudtrail:LookupEvents {what}", look, _told)
    server.stop()
    checked = _freehold("audit", "verify", f"--data={server.data}", f"--root-key={server.root_key}")
    last = (checked.stdout or checked.stderr).strip().splitlines()
    stage.seen("freehold audit verify", checked.returncode == 0, last[-1] if last else "")


def _told(found: dict[str, Any]) -> str:
    events = found["Events"]
    refused = sum("errorCode" in json.loads(event["CloudTrailEvent"]) for event in events)
    return f"{len(events)} events, {refused} of them refusals"

"""What is changed through one worker holds in all the others from the moment in which it is acknowledged."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from freehold.testing import Principal, Server, server

WORKERS = 3
TURNS = 8


@pytest.fixture(scope="module")
def several() -> Iterator[Server]:
    with server(workers=WORKERS) as running:
        yield running


def workers_of(several: Server) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{several.pid}/task/{several.pid}/children").read_text().split()]


def sockets_of(pid: int) -> set[str]:
    """The inodes of a process's sockets."""
    links = (os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink())
    return {link for link in links if link.startswith("socket:")}


def worker_behind(several: Server, local_port: int) -> int:
    """The worker that serves the connection from this port."""
    port = int(several.endpoint.rpartition(":")[2])
    ends = f"0100007F:{port:04X} 0100007F:{local_port:04X} "
    for line in Path("/proc/net/tcp").read_text().splitlines():
        if ends in line:
            inode = f"socket:[{line.split()[9]}]"
            for pid in workers_of(several):
                if inode in sockets_of(pid):
                    return pid
    raise AssertionError("no worker has this connection")


def local_port_of(client: Any) -> int:
    """Of the one kept-alive connection of a boto3 client."""
    (pool,) = client._endpoint.http_session._manager.pools._container.values()
    (connection,) = [one for one in pool.pool.queue if one is not None]
    port: int = connection.sock.getsockname()[1]
    return port


def pinned(several: Server, make: Callable[[], Any], call: Callable[[Any], object]) -> list[Any]:
    """A client for each worker, whose connection stays with it. `call` must be allowed."""
    found: dict[int, Any] = {}
    for _ in range(200):
        client = make()
        call(client)
        found.setdefault(worker_behind(several, local_port_of(client)), client)
        if len(found) == WORKERS:
            return list(found.values())
    raise AssertionError("the connections all came to the same workers")


def outcome(call: Callable[[], object]) -> str:
    try:
        call()
    except ClientError as error:
        code: str = error.response["Error"]["Code"]
        return code
    return "done"


BUCKET_READS = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
KEY_USE = {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


class Scene:
    """An account with a user, a key and a bucket; the administrator's and the user's clients, one a worker."""

    def __init__(self, several: Server) -> None:
        self.several = several
        self.admin = several.new_account()
        self.user = self.admin.new_user("user")
        self.admin.iam.put_user_policy(
            UserName="user", PolicyName="basis", PolicyDocument=policy(BUCKET_READS, KEY_USE)
        )
        self.bucket = f"workers-{self.admin.account_id}"
        self.admin.s3.create_bucket(Bucket=self.bucket)
        self.admin.s3.put_object(Bucket=self.bucket, Key="key", Body=b"content")
        self.keys = [self.admin.kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2)]

    def clients(self, who: Principal, service: str) -> list[Any]:
        ask = {"s3": "list_buckets", "kms": "list_aliases", "iam": "list_users", "sts": "get_caller_identity"}
        return pinned(self.several, lambda: who.client(service), lambda client: getattr(client, ask[service])())


@pytest.fixture(scope="module")
def scene(several: Server) -> Scene:
    return Scene(several)


def toggled(
    changes: list[tuple[Callable[[Any], object], str]], through: list[Any], seen: list[Callable[[], object]]
) -> None:
    """Make the changes through one worker after the other, again and again; after each, every worker acts by it."""
    for turn in range(TURNS):
        change, expected = changes[turn % len(changes)]
        change(through[turn % len(through)])
        found = [outcome(look) for look in seen]
        assert found == [expected] * len(seen), (turn, found)


def test_a_user_s_policy(scene: Scene) -> None:
    deny = policy({"Effect": "Deny", "Action": "s3:ListBucket", "Resource": "*"})
    toggled(
        [
            (lambda iam: iam.put_user_policy(UserName="user", PolicyName="p", PolicyDocument=deny), "AccessDenied"),
            (lambda iam: iam.delete_user_policy(UserName="user", PolicyName="p"), "done"),
        ],
        scene.clients(scene.admin, "iam"),
        [lambda s3=s3: s3.list_objects_v2(Bucket=scene.bucket) for s3 in scene.clients(scene.user, "s3")],
    )


def test_a_key_s_state(scene: Scene) -> None:
    key = scene.keys[0]
    blob = scene.admin.kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    toggled(
        [
            (lambda kms: kms.disable_key(KeyId=key), "DisabledException"),
            (lambda kms: kms.enable_key(KeyId=key), "done"),
            (lambda kms: kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7), "KMSInvalidStateException"),
            (lambda kms: (kms.cancel_key_deletion(KeyId=key), kms.enable_key(KeyId=key)), "done"),
        ],
        scene.clients(scene.admin, "kms"),
        [lambda kms=kms: kms.decrypt(CiphertextBlob=blob) for kms in scene.clients(scene.user, "kms")],
    )


def test_a_key_s_state_reaches_objects(scene: Scene) -> None:
    key, s3 = scene.keys[0], scene.admin.s3
    s3.put_object(Bucket=scene.bucket, Key="sealed", Body=b"content", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    toggled(
        [
            (lambda kms: kms.disable_key(KeyId=key), "KMS.DisabledException"),
            (lambda kms: kms.enable_key(KeyId=key), "done"),
        ],
        scene.clients(scene.admin, "kms"),
        [lambda s3=s3: s3.get_object(Bucket=scene.bucket, Key="sealed") for s3 in scene.clients(scene.user, "s3")],
    )


def test_a_key_policy(scene: Scene) -> None:
    key = scene.keys[1]
    root = {"AWS": f"arn:aws:iam::{scene.admin.account_id}:root"}
    everything = {"Effect": "Allow", "Principal": root, "Action": "kms:*", "Resource": "*"}
    user = {"AWS": f"arn:aws:iam::{scene.admin.account_id}:user/user"}
    but = {"Effect": "Deny", "Principal": user, "Action": "kms:Encrypt", "Resource": "*"}
    toggled(
        [
            (lambda kms: kms.put_key_policy(KeyId=key, Policy=policy(everything, but)), "AccessDeniedException"),
            (lambda kms: kms.put_key_policy(KeyId=key, Policy=policy(everything)), "done"),
        ],
        scene.clients(scene.admin, "kms"),
        [lambda kms=kms: kms.encrypt(KeyId=key, Plaintext=b"x") for kms in scene.clients(scene.user, "kms")],
    )


def test_a_grant(scene: Scene) -> None:
    other = scene.several.new_account()
    key = scene.admin.kms.describe_key(KeyId=scene.keys[1])["KeyMetadata"]["Arn"]
    grants: list[str] = []

    def give(kms: Any) -> None:
        made = kms.create_grant(
            KeyId=key, GranteePrincipal=f"arn:aws:iam::{other.account_id}:root", Operations=["Encrypt"]
        )
        grants.append(made["GrantId"])

    toggled(
        [
            (give, "done"),
            (lambda kms: kms.revoke_grant(KeyId=key, GrantId=grants.pop()), "AccessDeniedException"),
        ],
        scene.clients(scene.admin, "kms"),
        [lambda kms=kms: kms.encrypt(KeyId=key, Plaintext=b"x") for kms in scene.clients(other, "kms")],
    )


def test_an_alias(scene: Scene) -> None:
    first, second = scene.keys
    scene.admin.kms.create_alias(AliasName="alias/moving", TargetKeyId=first)
    through, seen = scene.clients(scene.admin, "kms"), scene.clients(scene.user, "kms")
    for turn in range(TURNS):
        wanted = (second, first)[turn % 2]
        through[turn % WORKERS].update_alias(AliasName="alias/moving", TargetKeyId=wanted)
        for kms in seen:
            used = kms.encrypt(KeyId="alias/moving", Plaintext=b"x")["KeyId"]
            assert used.endswith(wanted)


def test_a_bucket_policy(scene: Scene) -> None:
    other = scene.several.new_account()
    resource = f"arn:aws:s3:::{scene.bucket}/*"
    principal = {"AWS": f"arn:aws:iam::{other.account_id}:root"}
    allow = policy({"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": resource})
    toggled(
        [
            (lambda s3: s3.put_bucket_policy(Bucket=scene.bucket, Policy=allow), "done"),
            (lambda s3: s3.delete_bucket_policy(Bucket=scene.bucket), "AccessDenied"),
        ],
        scene.clients(scene.admin, "s3"),
        [lambda s3=s3: s3.get_object(Bucket=scene.bucket, Key="key") for s3 in scene.clients(other, "s3")],
    )


def test_a_bucket_s_default_encryption(scene: Scene) -> None:
    through, seen = scene.clients(scene.admin, "s3"), scene.clients(scene.user, "s3")
    for turn in range(TURNS):
        key = scene.keys[turn % 2]
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
        through[turn % WORKERS].put_bucket_encryption(
            Bucket=scene.bucket, ServerSideEncryptionConfiguration={"Rules": [rule]}
        )
        for s3 in seen:
            assert s3.put_object(Bucket=scene.bucket, Key=f"{turn}", Body=b"x")["SSEKMSKeyId"].endswith(key)
    through[0].delete_bucket_encryption(Bucket=scene.bucket)
    for s3 in seen:
        assert s3.put_object(Bucket=scene.bucket, Key="plain", Body=b"x")["ServerSideEncryption"] == "AES256"


def test_an_object(scene: Scene) -> None:
    through, seen = scene.clients(scene.admin, "s3"), scene.clients(scene.user, "s3")
    for turn in range(TURNS):
        body = b"%d" % turn
        through[turn % WORKERS].put_object(Bucket=scene.bucket, Key="changing", Body=body)
        for s3 in seen:
            assert s3.get_object(Bucket=scene.bucket, Key="changing")["Body"].read() == body
        through[turn % WORKERS].delete_object(Bucket=scene.bucket, Key="changing")
        assert {outcome(lambda s3=s3: s3.head_object(Bucket=scene.bucket, Key="changing")) for s3 in seen} == {"404"}


def test_an_access_key_and_its_user(scene: Scene) -> None:
    through = scene.clients(scene.admin, "iam")
    for turn in range(4):
        name = f"leaving-{turn}"
        user = scene.admin.new_user(name)
        key = user.access_key_id
        seen = scene.clients(user, "sts")
        iam = through[turn % WORKERS]
        if turn % 2:
            iam.update_access_key(UserName=name, AccessKeyId=key, Status="Inactive")
        else:
            iam.delete_access_key(UserName=name, AccessKeyId=key)
            iam.delete_user(UserName=name)
        assert {outcome(sts.get_caller_identity) for sts in seen} == {"InvalidClientTokenId"}
        if turn % 2:
            iam.update_access_key(UserName=name, AccessKeyId=key, Status="Active")
            assert {outcome(sts.get_caller_identity) for sts in seen} == {"done"}


def test_a_role_and_its_sessions(scene: Scene) -> None:
    arn = f"arn:aws:iam::{scene.admin.account_id}:user/user"
    trust = policy({"Effect": "Allow", "Principal": {"AWS": arn}, "Action": "sts:AssumeRole"})
    role = scene.admin.iam.create_role(RoleName="role", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    allowed = policy({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    session = scene.user.using(scene.user.sts.assume_role(RoleArn=role, RoleSessionName="session"))
    scene.admin.iam.put_role_policy(RoleName="role", PolicyName="p", PolicyDocument=allowed)
    through, seen = scene.clients(scene.admin, "iam"), scene.clients(session, "s3")
    toggled(
        [
            (lambda iam: iam.delete_role_policy(RoleName="role", PolicyName="p"), "AccessDenied"),
            (lambda iam: iam.put_role_policy(RoleName="role", PolicyName="p", PolicyDocument=allowed), "done"),
        ],
        through,
        [lambda s3=s3: s3.get_object(Bucket=scene.bucket, Key="key") for s3 in seen],
    )
    through[0].delete_role_policy(RoleName="role", PolicyName="p")
    through[1].delete_role(RoleName="role")
    assert {outcome(lambda s3=s3: s3.get_object(Bucket=scene.bucket, Key="key")) for s3 in seen} <= {
        "InvalidAccessKeyId", "InvalidToken", "AccessDenied", "ExpiredToken"
    }  # fmt: skip


def test_readers_that_never_pause_see_each_change_at_once(scene: Scene) -> None:
    """A read that begins after a change was acknowledged, and ends before the next is asked for, goes by it."""
    key = scene.keys[0]
    blob = scene.admin.kms.encrypt(KeyId=key, Plaintext=b"secret")["CiphertextBlob"]
    state = ("done", 0)
    wrong: list[tuple[str, str]] = []
    looks = [0] * WORKERS
    stop = threading.Event()

    def look(place: int, kms: Any) -> None:
        while not stop.is_set():
            before = state
            found = outcome(lambda: kms.decrypt(CiphertextBlob=blob))
            if state is before and before[0]:
                looks[place] += 1
                if found != before[0]:
                    wrong.append((found, before[0]))

    through = scene.clients(scene.admin, "kms")
    threads = [
        threading.Thread(target=look, args=(place, kms)) for place, kms in enumerate(scene.clients(scene.user, "kms"))
    ]
    for thread in threads:
        thread.start()
    try:
        for turn in range(60):
            change, expected = (("disable_key", "DisabledException"), ("enable_key", "done"))[turn % 2]
            state = ("", turn)
            getattr(through[turn % WORKERS], change)(KeyId=key)
            state = (expected, turn)
            time.sleep(0.02)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert min(looks) > 10

"""boto3 against a live server, over http and https."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from random import Random
from ssl import create_default_context
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

MIB = 1024 * 1024
VERSION_4 = Config(signature_version="s3v4")
"""For presigned URLs, boto3's own choice in us-east-1 is still signature version 2."""


@contextmanager
def refused(code: str, message: str = "") -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    error = caught.value.response["Error"]
    assert error["Code"] == code, error
    assert message in error["Message"]


def allow(actions: list[str], *resources: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": actions, "Resource": list(resources)}
    return {"Version": "2012-10-17", "Statement": [statement]}


def test_a_role_writes_and_a_user_reads_one_prefix_while_the_key_is_enabled(aws: Any, bucket: str, key: str) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": aws.account_id}, "Action": "sts:AssumeRole"}],
    }
    role = aws.iam.create_role(RoleName="writer", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    writing = allow(["s3:PutObject", "kms:GenerateDataKey"], f"arn:aws:s3:::{bucket}/*", key)
    aws.iam.put_role_policy(RoleName="writer", PolicyName="writing", PolicyDocument=json.dumps(writing))
    application = aws.new_user("application", allow(["sts:AssumeRole"], role))
    reader = aws.new_user("reader", allow(["s3:GetObject", "kms:Decrypt"], f"arn:aws:s3:::{bucket}/public/*", key))

    session = application.using(application.sts.assume_role(RoleArn=role, RoleSessionName="nightly"))
    assert session.sts.get_caller_identity()["Arn"].endswith(":assumed-role/writer/nightly")
    for name in ("public/a", "private/a"):
        stored = session.s3.put_object(Bucket=bucket, Key=name, Body=b"figures")
        assert (stored["ServerSideEncryption"], stored["SSEKMSKeyId"]) == ("aws:kms", key)
    with refused("AccessDenied", "not authorized to perform: s3:GetObject"):
        session.s3.get_object(Bucket=bucket, Key="public/a")

    def read() -> bytes:
        return bytes(reader.s3.get_object(Bucket=bucket, Key="public/a")["Body"].read())

    assert read() == b"figures"
    with refused("AccessDenied", "because no identity-based policy allows the s3:GetObject action"):
        reader.s3.get_object(Bucket=bucket, Key="private/a")
    aws.kms.disable_key(KeyId=key)
    with refused("KMS.DisabledException"):
        read()
    aws.kms.enable_key(KeyId=key)
    assert read() == b"figures"


def test_a_profile_that_names_a_role_is_a_session_of_it(aws: Any, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = aws.new_user("application", allow(["sts:AssumeRole"], "*"))
    trust = {"Effect": "Allow", "Principal": {"AWS": aws.account_id}, "Action": "sts:AssumeRole"}
    trust["Condition"] = {"StringEquals": {"sts:ExternalId": "contract-7"}}
    document = json.dumps({"Version": "2012-10-17", "Statement": trust})
    role = aws.iam.create_role(RoleName="reader", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    aws.iam.put_role_policy(
        RoleName="reader", PolicyName="reading", PolicyDocument=json.dumps(allow(["kms:ListKeys"], "*"))
    )
    everywhere = f"region = us-east-1\nendpoint_url = {aws.endpoint}\n"
    keys = f"aws_access_key_id = {user.access_key_id}\naws_secret_access_key = {user.secret_access_key}\n"
    assuming = f"role_arn = {role}\nsource_profile = user\nexternal_id = contract-7\nduration_seconds = 900\n"
    config = home / "config"
    config.write_text(f"[profile user]\n{everywhere}{keys}[profile role]\n{everywhere}{assuming}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    if aws.ca_bundle:
        monkeypatch.setenv("AWS_CA_BUNDLE", aws.ca_bundle)
    session = boto3.Session(profile_name="role")
    assert ":assumed-role/reader/" in session.client("sts").get_caller_identity()["Arn"]
    assert session.client("kms").list_keys()["Keys"] == []
    with refused("AccessDenied", "not authorized to perform: iam:ListUsers"):
        session.client("iam").list_users()


def test_threads_of_the_transfer_manager_send_and_fetch_parts(aws: Any, bucket: str, tmp_path: Path) -> None:
    content = Random(1).randbytes(20 * MIB + 12_345)
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(content)
    threads = TransferConfig(multipart_threshold=8 * MIB, multipart_chunksize=5 * MIB, max_concurrency=6)
    aws.s3.upload_file(str(source), bucket, "large", Config=threads, ExtraArgs={"ContentType": "text/x-large"})
    head = aws.s3.head_object(Bucket=bucket, Key="large")
    assert (head["ContentLength"], head["ContentType"]) == (len(content), "text/x-large")
    assert head["ETag"].endswith('-5"')
    aws.s3.download_file(bucket, "large", str(target), Config=threads)
    assert target.read_bytes() == content
    aws.s3.copy({"Bucket": bucket, "Key": "large"}, bucket, "copied", Config=threads)
    with (tmp_path / "third").open("wb") as file:
        aws.s3.download_fileobj(bucket, "copied", file, Config=threads)
    assert (tmp_path / "third").read_bytes() == content
    assert "Uploads" not in aws.s3.list_multipart_uploads(Bucket=bucket)


def test_a_failed_transfer_leaves_no_upload_behind(aws: Any, bucket: str, key: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(11 * MIB))
    parts = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB)
    writer = aws.new_user("writer", allow(["s3:*", "kms:GenerateDataKey"], f"arn:aws:s3:::{bucket}/*", key))
    # Parts of an upload to an SSE-KMS bucket need kms:Decrypt too.
    with pytest.raises(S3UploadFailedError, match="AccessDenied"):
        writer.s3.upload_file(str(source), bucket, "large", Config=parts)
    assert "Uploads" not in aws.s3.list_multipart_uploads(Bucket=bucket)
    assert "Contents" not in aws.s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("when", ["when_supported", "when_required"])
def test_bodies_are_sent_and_verified_as_boto3_is_set(aws: Any, bucket: str, scheme: str, when: str) -> None:
    sent: dict[str, str] = {}

    def note(request: Any, **_: Any) -> None:
        for name, value in request.headers.items():
            sent[name.lower()] = value if isinstance(value, str) else value.decode()

    config = Config(request_checksum_calculation=when, response_checksum_validation=when)
    s3 = aws.client("s3", config=config)
    s3.meta.events.register("before-send.s3.PutObject", note)
    body = Random(2).randbytes(300_000)
    stored = s3.put_object(Bucket=bucket, Key="a", Body=body)
    payload = sent["x-amz-content-sha256"]
    if scheme == "https" and when == "when_supported":
        assert payload == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    else:
        assert payload == sha256(body).hexdigest()
    # Where the client sends no checksum, S3 makes one of its own.
    assert ("x-amz-sdk-checksum-algorithm" in sent) == (when == "when_supported")
    assert stored["ChecksumType"] == "FULL_OBJECT"
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == body
    for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
        member = f"Checksum{algorithm}"
        stored = s3.put_object(Bucket=bucket, Key=algorithm, Body=body, ChecksumAlgorithm=algorithm)
        fetched = s3.get_object(Bucket=bucket, Key=algorithm, ChecksumMode="ENABLED")
        assert fetched["Body"].read() == body
        assert fetched[member] == stored[member]


@pytest.mark.parametrize("config", [None, VERSION_4], ids=["by default", "version 4"])
def test_a_presigned_url_serves_whoever_holds_it(aws: Any, bucket: str, key: str, config: Config | None) -> None:
    holder = aws.new_user(
        "holder", allow(["s3:GetObject", "s3:PutObject", "kms:*"], f"arn:aws:s3:::{bucket}/mine/*", key)
    )
    s3 = holder.client("s3", config=config)

    def fetch(method: str, operation: str, path: str, body: bytes | None = None, **parameters: str) -> bytes:
        url = s3.generate_presigned_url(operation, Params={"Bucket": bucket, "Key": path, **parameters}, ExpiresIn=300)
        request = urllib.request.Request(url, method=method, data=body)
        if "ContentType" in parameters:
            request.add_header("Content-Type", parameters["ContentType"])
        context = create_default_context(cafile=aws.ca_bundle) if aws.ca_bundle else None
        with urllib.request.urlopen(request, context=context, timeout=30) as reply:
            return bytes(reply.read())

    assert fetch("PUT", "put_object", "mine/a +ü", b"body", ContentType="text/plain") == b""
    assert fetch("GET", "get_object", "mine/a +ü", ResponseContentType="text/html") == b"body"
    assert fetch("HEAD", "head_object", "mine/a +ü") == b""
    with pytest.raises(urllib.error.HTTPError) as caught:
        fetch("GET", "get_object", "other")
    with caught.value as reply:
        assert (reply.code, b"<Code>AccessDenied</Code>" in reply.read()) == (403, True)


def test_a_bucket_may_be_named_in_the_host(aws: Any, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`s3.localhost` and what is under it are this machine; not every resolver knows."""
    looked_up: set[str] = set()
    resolve = socket.getaddrinfo

    def here(host: Any, *arguments: Any, **options: Any) -> Any:
        looked_up.add(str(host))
        return resolve("127.0.0.1" if str(host).endswith("s3.localhost") else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", here)
    port = urlsplit(aws.endpoint).port
    s3 = aws.session.client(
        "s3",
        endpoint_url=f"{aws.endpoint.partition(':')[0]}://s3.localhost:{port}",
        verify=aws.ca_bundle,
        config=Config(s3={"addressing_style": "virtual"}).merge(VERSION_4),
    )
    s3.put_object(Bucket=bucket, Key="in/a host", Body=b"body")
    assert s3.get_object(Bucket=bucket, Key="in/a host")["Body"].read() == b"body"
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["in/a host"]
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "in/a host"})
    context = create_default_context(cafile=aws.ca_bundle) if aws.ca_bundle else None
    with urllib.request.urlopen(url, context=context, timeout=30) as reply:
        assert reply.read() == b"body"
    assert f"{bucket}.s3.localhost" in looked_up
    # And the same key by path, so that both name one object.
    assert aws.s3.get_object(Bucket=bucket, Key="in/a host")["Body"].read() == b"body"


def test_waiters_see_things_come_and_go(aws: Any, name: str) -> None:
    quickly = {"Delay": 1, "MaxAttempts": 3}
    aws.s3.create_bucket(Bucket=name)
    aws.s3.get_waiter("bucket_exists").wait(Bucket=name, WaiterConfig=quickly)
    aws.s3.put_object(Bucket=name, Key="a", Body=b"")
    aws.s3.get_waiter("object_exists").wait(Bucket=name, Key="a", WaiterConfig=quickly)
    aws.s3.delete_object(Bucket=name, Key="a")
    aws.s3.get_waiter("object_not_exists").wait(Bucket=name, Key="a", WaiterConfig=quickly)
    aws.s3.delete_bucket(Bucket=name)
    aws.s3.get_waiter("bucket_not_exists").wait(Bucket=name, WaiterConfig=quickly)
    aws.iam.create_user(UserName="u")
    aws.iam.get_waiter("user_exists").wait(UserName="u", WaiterConfig=quickly)
    trust = {"Version": "2012-10-17", "Statement": []}
    trust["Statement"] = [{"Effect": "Allow", "Principal": {"AWS": aws.account_id}, "Action": "sts:AssumeRole"}]
    aws.iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))
    aws.iam.get_waiter("role_exists").wait(RoleName="r", WaiterConfig=quickly)
    policy = aws.iam.create_policy(PolicyName="p", PolicyDocument=json.dumps(allow(["s3:*"], "*")))["Policy"]["Arn"]
    aws.iam.get_waiter("policy_exists").wait(PolicyArn=policy, WaiterConfig=quickly)


def test_paginators_give_everything_once(aws: Any, bucket: str) -> None:
    keys = sorted(f"{prefix}/{number}" for prefix in "abc" for number in range(5))
    for each in keys:
        aws.s3.put_object(Bucket=bucket, Key=each, Body=b"")

    def pages(client: Any, operation: str, found: str, field: str, size: int, **parameters: Any) -> list[str]:
        paginator = client.get_paginator(operation).paginate(PaginationConfig={"PageSize": size}, **parameters)
        return [each[field] for page in paginator for each in page.get(found, ())]

    assert pages(aws.s3, "list_objects_v2", "Contents", "Key", 4, Bucket=bucket) == keys
    assert pages(aws.s3, "list_objects", "Contents", "Key", 4, Bucket=bucket) == keys
    prefixes = pages(aws.s3, "list_objects_v2", "CommonPrefixes", "Prefix", 2, Bucket=bucket, Delimiter="/")
    assert prefixes == ["a/", "b/", "c/"]
    uploads = [aws.s3.create_multipart_upload(Bucket=bucket, Key=f"u{number}")["UploadId"] for number in range(5)]
    assert pages(aws.s3, "list_multipart_uploads", "Uploads", "UploadId", 2, Bucket=bucket) == uploads
    part = {"Bucket": bucket, "Key": "u0", "UploadId": uploads[0]}
    for number in range(1, 6):
        aws.s3.upload_part(**part, PartNumber=number, Body=b"x")
    assert pages(aws.s3, "list_parts", "Parts", "PartNumber", 2, **part) == [1, 2, 3, 4, 5]

    users = [f"user-{number}" for number in range(5)]
    for each in users:
        aws.iam.create_user(UserName=each)
    assert pages(aws.iam, "list_users", "Users", "UserName", 2) == users
    more = {aws.kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(4)}
    listed = pages(aws.kms, "list_keys", "Keys", "KeyId", 2)
    assert len(listed) == len(set(listed))
    assert more < set(listed)
    events = aws.cloudtrail.get_paginator("lookup_events").paginate(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateUser"}],
        PaginationConfig={"PageSize": 2},
    )
    created = [json.loads(each["CloudTrailEvent"]) for page in events for each in page["Events"]]
    assert sorted(each["requestParameters"]["userName"] for each in created) == users

"""A workload without keys: boto3 and the AWS CLI get a role's credentials from a running metadata service."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from freehold.cli.instance_metadata import _assuming
from freehold.instance_metadata.listener import MOST_CONNECTIONS, Listener, _Handler
from freehold.instance_metadata.role import InstanceRole, RoleUnavailable
from freehold.instance_metadata.service import Instance, MetadataService

INSTANCE = "i-0a1b2c3d4e5f60718"
EC2 = "ec2.amazonaws.com"


def _document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _trust(**condition: Any) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": EC2}, "Action": "sts:AssumeRole"}
    return _document(statement | ({"Condition": condition} if condition else {}))


@pytest.fixture
def profile(aws: Any) -> str:
    """The ARN of an instance profile, whose role reads buckets' names when its credentials came by IMDSv2."""
    name = f"web-{secrets.token_hex(4)}"
    trust = _trust(
        StringEquals={"aws:SourceAccount": aws.account_id},
        ArnLike={"aws:SourceArn": f"arn:aws:ec2:*:*:instance/{INSTANCE}"},
    )
    aws.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, MaxSessionDuration=3600)
    condition = {
        "NumericGreaterThanEquals": {"ec2:RoleDelivery": "2.0"},
        "ArnEquals": {"ec2:SourceInstanceARN": f"arn:aws:ec2:us-east-1:{aws.account_id}:instance/{INSTANCE}"},
    }
    listing = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*", "Condition": condition}
    aws.iam.put_role_policy(RoleName=name, PolicyName="list", PolicyDocument=_document(listing))
    made = aws.iam.create_instance_profile(InstanceProfileName=name, Path="/apps/")["InstanceProfile"]
    aws.iam.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    return str(made["Arn"])


@contextmanager
def _metadata(server: Any, profile: str, *words: str) -> Iterator[str]:
    """The endpoint of a metadata service, run as an operator would run it."""
    operator = server.operator
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        "AWS_ACCESS_KEY_ID": operator.access_key_id,
        "AWS_SECRET_ACCESS_KEY": operator.secret_access_key,
    }
    command = [sys.executable, "-m", "freehold", "instance-metadata", "--instance-profile", profile]
    command += ["--endpoint", server.endpoint, "--instance-id", INSTANCE, "--port", "0", "--json", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        yield json.loads(line)["endpoint"]
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=30)
        assert process.returncode == 0, said
    assert said == ("", "")


def _workload(server: Any, metadata: str, home: Path) -> dict[str, str]:
    """The environment of a program that has no keys."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return kept | {
        "HOME": str(home),
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata,
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "AWS_METADATA_SERVICE_TIMEOUT": "20",
    }


def _call(metadata: str, method: str, path: str, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(metadata.removeprefix("http://"), timeout=20)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


_BOTO3 = """
import boto3, json
session = boto3.Session()
credentials = session.get_credentials()
print(json.dumps({
    "method": credentials.method,
    "who": session.client("sts").get_caller_identity()["Arn"],
    "buckets": len(session.client("s3").list_buckets()["Buckets"]),
}))
"""


def test_boto3_and_the_cli_work_without_keys(freehold_server: Any, aws: Any, profile: str, tmp_path: Path) -> None:
    role = profile.rpartition("/")[2]
    wanted = f"arn:aws:sts::{aws.account_id}:assumed-role/{role}/{INSTANCE}"
    with _metadata(freehold_server, profile) as metadata:
        environment = _workload(freehold_server, metadata, tmp_path)
        done = subprocess.run([sys.executable, "-c", _BOTO3], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"method": "iam-role", "who": wanted, "buckets": 0}
        aws_cli = [sys.executable, str(Path(sys.executable).with_name("aws")), "--output", "json"]
        done = subprocess.run([*aws_cli, "sts", "get-caller-identity"], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["Arn"] == wanted
        # Without a token there is nothing, which is what a server that can be talked into a GET would get.
        assert _call(metadata, "GET", f"/latest/meta-data/iam/security-credentials/{role}")[0] == 401
    events = aws.cloudtrail.lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "AssumeRole"}]
    )
    event = json.loads(events["Events"][0]["CloudTrailEvent"])
    assert event["userIdentity"] == {"type": "AWSService", "invokedBy": EC2}
    assert (event["sourceIPAddress"], event["userAgent"], event["eventSource"]) == (EC2, EC2, "sts.amazonaws.com")
    assert event["requestParameters"]["roleSessionName"] == INSTANCE
    assert event["responseElements"]["assumedRoleUser"]["arn"] == wanted
    assert event["recipientAccountId"] == aws.account_id
    assert event["resources"][0]["ARN"].endswith(f":role/{role}")


def test_credentials_of_version_1_say_so_and_policies_can_refuse_them(
    freehold_server: Any, aws: Any, profile: str
) -> None:
    role = profile.rpartition("/")[2]
    with _metadata(freehold_server, profile, "--imdsv1") as metadata:
        status, text = _call(metadata, "GET", f"/latest/meta-data/iam/security-credentials/{role}")
    assert status == 200
    given = json.loads(text)
    workload = aws.using(
        {
            "AccessKeyId": given["AccessKeyId"],
            "SecretAccessKey": given["SecretAccessKey"],
            "SessionToken": given["Token"],
        }
    )
    with pytest.raises(workload.s3.exceptions.ClientError, match="ListAllMyBuckets"):
        workload.s3.list_buckets()


def test_a_role_that_stops_trusting_ec2_gives_no_more(freehold_server: Any, aws: Any, profile: str) -> None:
    role = profile.rpartition("/")[2]
    other = _trust(StringEquals={"aws:SourceAccount": "999988887777"})
    aws.iam.update_assume_role_policy(RoleName=role, PolicyDocument=other)
    with _metadata(freehold_server, profile) as metadata:
        _, token = _call(metadata, "PUT", "/latest/api/token", X_aws_ec2_metadata_token_ttl_seconds="60")
        status, text = _call(
            metadata, "GET", f"/latest/meta-data/iam/security-credentials/{role}", X_aws_ec2_metadata_token=token
        )
    assert status == 200
    told = json.loads(text)
    assert (told["Code"], "AccessKeyId" in told) == ("AssumeRoleUnauthorizedAccess", False)
    denied = aws.cloudtrail.lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "AssumeRole"}]
    )["Events"]
    event = json.loads(denied[0]["CloudTrailEvent"])
    assert (event["errorCode"], event["userIdentity"]["invokedBy"]) == ("AccessDenied", EC2)


def test_renewed_credentials_are_others_and_both_sets_work(freehold_server: Any, aws: Any, profile: str) -> None:
    instance = Instance(
        instance_id=INSTANCE, instance_profile_arn=profile, region="us-east-1", availability_zone="us-east-1a"
    )
    passed = [0.0]
    client = freehold_server.operator.client("freehold")
    role = InstanceRole(_assuming(client, instance, 900, "2.0"), lambda: passed[0])
    sets = [role.current()]
    passed[0] = 450.0
    sets.append(role.current())
    assert sets[0].access_key_id != sets[1].access_key_id
    for one in sets:
        keys = {
            "AccessKeyId": one.access_key_id,
            "SecretAccessKey": one.secret_access_key,
            "SessionToken": one.session_token,
        }
        assert aws.using(keys).s3.list_buckets()["Buckets"] == []


# The listener


@pytest.fixture
def listener() -> Iterator[Listener]:
    def refuse() -> Any:
        raise RoleUnavailable("Failed", "none")

    instance = Instance(
        instance_id=INSTANCE,
        instance_profile_arn="arn:aws:iam::111122223333:instance-profile/web",
        region="us-east-1",
        availability_zone="us-east-1a",
    )
    service = MetadataService(instance, InstanceRole(refuse, lambda: 0.0), lambda: 0.0, lambda: None)  # type: ignore[arg-type, return-value]
    made = Listener("127.0.0.1", 0, service, hop_limit=3)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def _raw(listener: Listener, request: bytes) -> bytes:
    with socket.create_connection(listener.server_address[:2], timeout=20) as connection:  # type: ignore[arg-type]
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


@pytest.mark.parametrize(
    ("request_lines", "status"),
    [
        (b"PUT /latest/api/token HTTP/1.1\r\nHost: 127.0.0.1\r\nX-aws-ec2-metadata-token-ttl-seconds: 60\r\n", 200),
        (b"PUT /latest/api/token HTTP/1.1\r\nHost: a\r\nHost: 127.0.0.1\r\n", 400),
        (b"PUT /latest/api/token HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n", 400),
        (b"PUT /latest/api/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9999999\r\n", 413),
        (b"PUT /latest/api/token HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n", 400),
        (b"BREW / HTTP/1.1\r\nHost: 127.0.0.1\r\n", 501),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n", 414),
    ],
)
def test_odd_requests_are_refused(listener: Listener, request_lines: bytes, status: int) -> None:
    answer = _raw(listener, request_lines + b"Connection: close\r\n\r\n")
    assert answer.split(b" ", 2)[1] == str(status).encode()
    assert b"Traceback" not in answer


@pytest.mark.parametrize(
    ("family", "level", "option"),
    [
        (socket.AF_INET, socket.IPPROTO_IP, socket.IP_TTL),
        (socket.AF_INET6, socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS),
    ],
)
def test_a_token_travels_only_so_many_hops(listener: Listener, family: int, level: int, option: int) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        handler = _Handler.__new__(_Handler)
        handler.connection, handler.server = connection, listener
        handler._limit_hops()
        assert connection.getsockopt(level, option) == listener.hop_limit == 3


def test_it_listens_on_loopback_and_holds_so_many_connections(listener: Listener) -> None:
    assert listener.endpoint.startswith("http://127.0.0.1:")
    address: Any = listener.server_address[:2]
    held = [socket.create_connection(address, timeout=20) for _ in range(MOST_CONNECTIONS)]
    try:
        one_more = socket.create_connection(address, timeout=20)
        one_more.settimeout(20)
        assert one_more.recv(1) == b""
        one_more.close()
    finally:
        for connection in held:
            connection.close()


@pytest.mark.parametrize(
    "request_bytes", [b"", b"PUT /latest/api/token HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: " + b"a" * 500]
)
def test_a_request_has_so_long_in_all_however_it_trickles(listener: Listener, request_bytes: bytes) -> None:
    listener.request_seconds = 0.5
    with socket.create_connection(listener.server_address[:2], timeout=20) as connection:  # type: ignore[arg-type]
        began = time.monotonic()
        for byte in request_bytes:
            try:
                connection.sendall(bytes([byte]))
            except (BrokenPipeError, ConnectionResetError):
                break
            time.sleep(0.01)
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""
        assert 0.4 < time.monotonic() - began < 4


def test_a_connection_that_is_used_stays(listener: Listener) -> None:
    listener.request_seconds = 0.5
    host, port = listener.server_address[:2]
    connection = http.client.HTTPConnection(str(host), int(port), timeout=20)
    put = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    for _ in range(4):
        connection.request("PUT", "/latest/api/token", headers=put)
        answer = connection.getresponse()
        assert (answer.status, len(answer.read())) == (200, 76)
        time.sleep(0.25)
    connection.close()

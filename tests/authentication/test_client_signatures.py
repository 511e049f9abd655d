"""What boto3's clients really send authenticates, and their bodies verify: nothing goes over a network here."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from signed_requests import KEY_ID, SECRET, TOKEN, check, with_header

from freehold.authentication.timestamps import seconds_of
from freehold.errors import AwsError
from freehold.message import Request
from freehold.transport.verified_body import verified_body

BODY = b"0123456789" * 30_000


class Sent(Exception):
    """Carries the request instead of sending it."""


def sent_by(service: str, operation: str, scheme: str = "http", **parameters: Any) -> tuple[Request, bytes]:
    """The request as it arrives, with `body` still to come for S3, and its body on the wire."""
    client = boto3.client(
        service,
        region_name="eu-west-1",
        endpoint_url=f"{scheme}://localhost:8000",
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        aws_session_token=TOKEN,
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )
    caught: list[AWSPreparedRequest] = []

    def stop(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        caught.append(request)
        body = request.body
        wire = (
            body
            if isinstance(body, bytes)
            else b""
            if body is None
            else body.encode()
            if isinstance(body, str)
            else body.read()
        )
        raise Sent(wire)

    client.meta.events.register("before-send", stop)
    with pytest.raises(Sent) as stopped:
        getattr(client, operation)(**parameters)
    wire = stopped.value.args[0]
    request = caught[0]
    target = urlsplit(request.url)
    headers = {
        name.lower(): value if isinstance(value, str) else value.decode("latin-1")
        for name, value in request.headers.items()
    }
    headers.setdefault("host", target.netloc)
    arrived = Request(request.method, target.path or "/", target.query, headers, b"" if service == "s3" else wire)
    if service == "s3":
        pieces: Iterator[bytes] = iter([wire[at : at + 65_536] for at in range(0, len(wire), 65_536)])

        async def receive() -> bytes:
            return next(pieces, b"")

        arrived.receive = receive
    return arrived, wire


def now(request: Request) -> float:
    return float(seconds_of(request.headers["x-amz-date"]) or 0)


CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("sts", "get_caller_identity", {}),
    ("iam", "create_user", {"UserName": "ann", "Tags": [{"Key": "a b", "Value": "ü+/"}]}),
    ("kms", "encrypt", {"KeyId": "alias/a", "Plaintext": b"\x00\xff", "EncryptionContext": {"é": "ü"}}),
    ("cloudtrail", "lookup_events", {}),
]


@pytest.mark.parametrize(("service", "operation", "parameters"), CALLS)
def test_a_clients_call_authenticates(service: str, operation: str, parameters: dict[str, Any]) -> None:
    request, _ = sent_by(service, operation, **parameters)
    authenticated = check(request, now(request))
    assert (authenticated.service, authenticated.region, authenticated.kind) == (service, "eu-west-1", "header")
    with pytest.raises(AwsError):
        check(with_header(request, "x-amz-security-token", "x"), now(request))


S3_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("list_buckets", {}),
    ("list_objects_v2", {"Bucket": "b", "Prefix": "a b/ü+&=", "Delimiter": "/"}),
    ("get_object", {"Bucket": "b", "Key": "a b/ü+~$&/../x", "Range": "bytes=0-9"}),
    ("delete_objects", {"Bucket": "b", "Delete": {"Objects": [{"Key": "<&>"}]}}),
    ("upload_part", {"Bucket": "b", "Key": "k", "UploadId": "u/+=", "PartNumber": 1, "Body": BODY}),
    ("put_object", {"Bucket": "b", "Key": "k", "Body": BODY, "Metadata": {"a": "b   c"}, "ContentType": "text/plain"}),
    ("put_object", {"Bucket": "b", "Key": "k", "Body": BODY, "ChecksumAlgorithm": "SHA256"}),
    ("put_object", {"Bucket": "b", "Key": "empty", "Body": b""}),
]


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize(("operation", "parameters"), S3_CALLS)
def test_an_s3_call_authenticates_and_its_body_verifies(
    scheme: str, operation: str, parameters: dict[str, Any]
) -> None:
    request, wire = sent_by("s3", operation, scheme, **parameters)
    authenticated = check(request, now(request))
    body = verified_body(request, authenticated.payload)
    content = asyncio.run(body.read_all(1 << 20))
    if "Body" in parameters:
        assert content == parameters["Body"]
        assert body.length == len(content)
        assert authenticated.payload.kind == ("chunks" if scheme == "https" else "sha256")
        if authenticated.payload.kind == "chunks":
            assert len(body.trailers) == 1
    else:
        assert content == wire


def test_an_altered_s3_body_is_refused_over_http() -> None:
    request, wire = sent_by("s3", "put_object", Bucket="b", Key="k", Body=BODY)
    payload = check(request, now(request)).payload
    request.receive, request.body = None, wire[:-1] + b"x"
    with pytest.raises(AwsError):
        asyncio.run(verified_body(request, payload).read_all(1 << 20))

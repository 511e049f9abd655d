"""Real boto3 clients against the codecs alone: the client's own customizations on both sides, no server between.

A client's request is caught just before it would be sent, parsed here, and answered with a serialized result.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

from freehold.errors import AwsError, aws_error
from freehold.message import Request
from freehold.protocol.codec import codec, serialize_error
from freehold.protocol.route import Route, route

WHOLE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
Answer = Callable[[Route, dict[str, Any]], dict[str, Any]]


class _Raw:
    """What urllib3 would give the client of a body."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Any:
        yield self._body

    def read(self, *_: Any, **__: Any) -> bytes:
        body, self._body = self._body, b""
        return body


def client(service: str, answer: Answer, *, style: str = "path", endpoint: str = "http://127.0.0.1:9") -> Any:
    """A boto3 client whose requests are parsed and answered here, by `answer(route, params)`."""
    made = boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="secret",
        config=Config(s3={"addressing_style": style}, retries={"max_attempts": 0}, inject_host_prefix=False),
    )

    def handle(request: Any, **_: Any) -> AWSResponse:
        url = urlsplit(request.url)
        headers = {"host": url.netloc}
        for name, value in request.headers.items():
            headers[name.lower()] = value.decode("latin-1") if isinstance(value, bytes) else str(value)
        body = request.body or b""
        body = body if isinstance(body, (bytes, str)) else body.read()
        ours = Request(
            request.method, url.path, url.query, headers, body.encode() if isinstance(body, str) else bytes(body)
        )
        routed = route(ours, service)
        try:
            params = codec(routed.operation).parse(ours, routed)
            response = codec(routed.operation).serialize(answer(routed, params), "request-1")
        except AwsError as error:
            response = serialize_error(service, routed.operation, error, "request-1", ours)
        assert isinstance(response.body, bytes)
        return AWSResponse(request.url, response.status, _headers(response.headers), _Raw(response.body))

    made.meta.events.register("before-send", handle)
    return made


def _headers(pairs: list[tuple[str, str]]) -> Any:
    from botocore.awsrequest import HeadersDict

    return HeadersDict(pairs)


def test_the_location_of_a_bucket_is_read() -> None:
    s3 = client("s3", lambda routed, params: {"LocationConstraint": "eu-west-1"})
    assert s3.get_bucket_location(Bucket="bucket")["LocationConstraint"] == "eu-west-1"
    s3 = client("s3", lambda routed, params: {})
    assert s3.get_bucket_location(Bucket="bucket")["LocationConstraint"] is None


@pytest.mark.parametrize("style", ["path", "virtual"])
@pytest.mark.parametrize("key", ["a", "/a", "a//b/", "..", "a/../b", "a%2Fb", "a b+c", "漢/ß?#", "a\nb"])
def test_bucket_and_key_arrive_in_either_addressing_style(style: str, key: str) -> None:
    seen: list[dict[str, Any]] = []

    def answer(routed: Route, params: dict[str, Any]) -> dict[str, Any]:
        seen.append(params)
        return {"ContentLength": 0}

    s3 = client("s3", answer, style=style, endpoint="http://s3.localhost:9")
    s3.head_object(Bucket="my-bucket", Key=key)
    assert (seen[0]["Bucket"], seen[0]["Key"]) == ("my-bucket", key)


def test_listed_keys_that_were_url_encoded_are_decoded_by_the_client() -> None:
    def answer(routed: Route, params: dict[str, Any]) -> dict[str, Any]:
        assert params["EncodingType"] == "url"
        return {"EncodingType": "url", "Contents": [{"Key": "a%01b", "LastModified": WHOLE}], "IsTruncated": False}

    listed = client("s3", answer).list_objects_v2(Bucket="bucket")["Contents"]
    assert listed == [{"Key": "a\x01b", "LastModified": WHOLE}]


def test_delete_objects_round_trips() -> None:
    def answer(routed: Route, params: dict[str, Any]) -> dict[str, Any]:
        assert params["Delete"] == {"Objects": [{"Key": "a&b"}, {"Key": "c", "VersionId": "v"}], "Quiet": True}
        return {"Deleted": [{"Key": "a&b"}], "Errors": [{"Key": "c", "Code": "AccessDenied", "Message": "no"}]}

    objects = [{"Key": "a&b"}, {"Key": "c", "VersionId": "v"}]
    reply = client("s3", answer).delete_objects(Bucket="bucket", Delete={"Objects": objects, "Quiet": True})
    assert reply["Deleted"] == [{"Key": "a&b"}]
    assert reply["Errors"] == [{"Key": "c", "Code": "AccessDenied", "Message": "no"}]


def test_a_policy_arrives_as_text_and_leaves_as_a_document() -> None:
    iam = client("iam", lambda routed, params: {"PolicyDocument": "%7B%22a%22%3A1%7D", **params})
    assert iam.get_user_policy(UserName="u", PolicyName="p")["PolicyDocument"] == {"a": 1}
    s3 = client("s3", lambda routed, params: {"Policy": '{"a":"é"}'})
    assert s3.get_bucket_policy(Bucket="bucket")["Policy"] == '{"a":"é"}'


@pytest.mark.parametrize(
    ("service", "call", "code", "status"),
    [
        ("kms", lambda kms: kms.describe_key(KeyId="x"), "NotFoundException", 400),
        ("iam", lambda iam: iam.get_user(UserName="u"), "NoSuchEntity", 404),
        ("sts", lambda sts: sts.get_caller_identity(), "ExpiredToken", 403),
        ("s3", lambda s3: s3.get_object(Bucket="bucket", Key="k"), "NoSuchKey", 404),
        ("cloudtrail", lambda trail: trail.lookup_events(), "InvalidTimeRangeException", 400),
    ],
)
def test_a_client_sees_the_errors_code_message_and_request(service: str, call: Any, code: str, status: int) -> None:
    def answer(routed: Route, params: dict[str, Any]) -> dict[str, Any]:
        raise aws_error(code, status)("what & why")

    with pytest.raises(ClientError) as refused:
        call(client(service, answer))
    response = refused.value.response
    assert (response["Error"]["Code"], response["Error"]["Message"]) == (code, "what & why")
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert response["ResponseMetadata"]["RequestId"] == "request-1"

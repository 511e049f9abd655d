"""Answers and errors, byte for byte, in each protocol's envelope."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest

from freehold.errors import AwsError, aws_error
from freehold.message import Request, Response
from freehold.protocol import models
from freehold.protocol.codec import codec, serialize_error

WHOLE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FINE = WHOLE.replace(microsecond=678_900)
NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def _serialize(service: str, operation: str, result: dict[str, object]) -> Response:
    return codec(models.service(service).operations[operation]).serialize(result, "request-1")


def test_a_json_answer() -> None:
    response = _serialize("kms", "GenerateRandom", {"Plaintext": b"\x00\xff", "Unmodelled": 1, "KeyMaterialId": None})
    assert response.status == 200
    assert response.headers == [("x-amzn-RequestId", "request-1"), ("Content-Type", "application/x-amz-json-1.1")]
    assert response.body == b'{"Plaintext":"AP8="}'


@pytest.mark.parametrize(("moment", "written"), [(WHOLE, 1767323045), (FINE, 1767323045.679), (1767323045, 1767323045)])
def test_json_times_are_numbers(moment: object, written: float) -> None:
    body = _serialize("kms", "DescribeKey", {"KeyMetadata": {"CreationDate": moment}}).body
    assert isinstance(body, bytes)
    assert orjson.loads(body) == {"KeyMetadata": {"CreationDate": written}}


def test_a_json_operation_without_output_has_an_empty_body() -> None:
    assert _serialize("kms", "EnableKey", {}).body == b""


def test_a_query_answer() -> None:
    response = _serialize("sts", "GetCallerIdentity", {"Account": "1", "Arn": "a<&>b\r"})
    assert ("Content-Type", "text/xml") in response.headers
    assert response.body == (
        b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
        b"<Account>1</Account><Arn>a&lt;&amp;&gt;b&#13;</Arn></GetCallerIdentityResult>"
        b"<ResponseMetadata><RequestId>request-1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    )


def test_a_query_answer_without_result() -> None:
    assert _serialize("iam", "DeleteUser", {}).body == (
        b'<DeleteUserResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        b"<ResponseMetadata><RequestId>request-1</RequestId></ResponseMetadata></DeleteUserResponse>"
    )


def test_query_times_are_whole_unless_they_have_a_fraction() -> None:
    whole = _serialize("iam", "GetUser", {"User": {"CreateDate": WHOLE}}).body
    fine = _serialize("iam", "GetUser", {"User": {"CreateDate": FINE}}).body
    assert b"<CreateDate>2026-01-02T03:04:05Z</CreateDate>" in whole  # type: ignore[operator]
    assert b"<CreateDate>2026-01-02T03:04:05.678Z</CreateDate>" in fine  # type: ignore[operator]


S3_ANSWERS = [  # operation, result, status, body after the declaration
    (
        "ListObjectsV2",
        {"Name": "b", "Contents": [{"Key": "k&", "LastModified": WHOLE, "Size": 0}], "IsTruncated": False},
        200,
        (
            f'<ListBucketResult xmlns="{NAMESPACE}"><IsTruncated>false</IsTruncated><Contents><Key>k&amp;</Key>'
            "<LastModified>2026-01-02T03:04:05.000Z</LastModified><Size>0</Size></Contents><Name>b</Name></ListBucketResult>"
        ),
    ),
    (
        "CreateMultipartUpload",
        {"UploadId": "u"},
        200,
        f'<InitiateMultipartUploadResult xmlns="{NAMESPACE}"><UploadId>u</UploadId></InitiateMultipartUploadResult>',
    ),
    (
        "CopyObject",
        {"CopyObjectResult": {"ETag": '"e"'}},
        200,
        f'<CopyObjectResult xmlns="{NAMESPACE}"><ETag>"e"</ETag></CopyObjectResult>',
    ),
    (
        "ListBuckets",
        {"Buckets": []},
        200,
        f'<ListAllMyBucketsResult xmlns="{NAMESPACE}"><Buckets></Buckets></ListAllMyBucketsResult>',
    ),
    (
        "GetBucketLocation",
        {"LocationConstraint": "eu-west-1"},
        200,
        f'<LocationConstraint xmlns="{NAMESPACE}">eu-west-1</LocationConstraint>',
    ),
    ("GetBucketLocation", {}, 200, f'<LocationConstraint xmlns="{NAMESPACE}"></LocationConstraint>'),
    (
        "GetBucketAcl",
        {"Grants": [{"Grantee": {"Type": "CanonicalUser", "ID": "1"}}]},
        200,
        (
            f'<AccessControlPolicy xmlns="{NAMESPACE}"><AccessControlList><Grant>'
            '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            'xsi:type="CanonicalUser"><ID>1</ID></Grantee>'
            "</Grant></AccessControlList></AccessControlPolicy>"
        ),
    ),
]


@pytest.mark.parametrize(("operation", "result", "status", "body"), S3_ANSWERS)
def test_an_s3_answer(operation: str, result: dict[str, object], status: int, body: str) -> None:
    response = _serialize("s3", operation, result)
    assert response.status == status
    assert response.body == (DECLARATION + body).encode()
    assert ("Content-Type", "application/xml") in response.headers
    assert ("x-amz-request-id", "request-1") in response.headers


def test_an_s3_object_passes_through_with_its_headers() -> None:
    result = {"Body": b"<bytes>", "ETag": '"e"', "LastModified": WHOLE, "ContentLength": 7, "Metadata": {"a": "1"}}
    response = _serialize("s3", "GetObject", result)
    assert response.body == b"<bytes>"
    assert response.status == 200
    for header in [
        ("ETag", '"e"'),
        ("Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT"),
        ("Content-Length", "7"),
        ("x-amz-meta-a", "1"),
    ]:
        assert header in response.headers


def test_a_part_of_an_object_is_partial_content() -> None:
    assert _serialize("s3", "GetObject", {"Body": b"a", "ContentRange": "bytes 0-0/9"}).status == 206


def test_deletions_have_no_content() -> None:
    response = _serialize("s3", "DeleteObject", {"VersionId": "v"})
    assert (response.status, response.body) == (204, b"")
    assert ("x-amz-version-id", "v") in response.headers


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a\r\nx-evil: 1", "a  x-evil: 1"),
        ("a\0b\x7f", "a b "),
        ("caf\u00e9", "caf\u00e9"),
        ("漢", "=?UTF-8?B?5ryi?="),
    ],
)
def test_a_header_cannot_be_split(value: str, written: str) -> None:
    headers = dict(_serialize("s3", "GetObject", {"ContentDisposition": value, "Body": b""}).headers)
    assert headers["Content-Disposition"] == written


NotFound = aws_error("NotFoundException", 400)
NoSuchEntity = aws_error("NoSuchEntity", 404)
NoSuchKey = aws_error("NoSuchKey", 404)
NotModified = aws_error("NotModified", 304)


def _error(service: str | None, error: AwsError, method: str = "GET", **headers: str) -> Response:
    request = Request(method, "/", "", {name.replace("_", "-"): value for name, value in headers.items()})
    return serialize_error(service, None, error, "request-1", request)


def test_a_json_error() -> None:
    response = _error("kms", NotFound("Key 'x' does not exist", Secret="never modelled"))
    assert response.status == 400
    assert ("x-amzn-ErrorType", "NotFoundException") in response.headers
    assert response.body == b'{"__type":"NotFoundException","message":"Key \'x\' does not exist"}'


def test_a_query_error() -> None:
    response = _error("iam", NoSuchEntity("no <user>"))
    assert response.status == 404
    assert response.body == (
        b'<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type>'
        b"<Code>NoSuchEntity</Code><Message>no &lt;user&gt;</Message></Error>"
        b"<RequestId>request-1</RequestId></ErrorResponse>"
    )


def test_a_servers_fault_is_the_receivers() -> None:
    assert b"<Type>Receiver</Type>" in _error("iam", AwsError()).body  # type: ignore[operator]


def test_an_s3_error_has_its_members_and_a_host_id() -> None:
    response = _error("s3", NoSuchKey("gone", Key="a<b"))
    assert isinstance(response.body, bytes)
    assert response.body.startswith(
        (DECLARATION + "<Error><Code>NoSuchKey</Code><Message>gone</Message><Key>a&lt;b</Key>").encode()
    )
    assert b"<RequestId>request-1</RequestId><HostId>" in response.body


@pytest.mark.parametrize(("method", "error"), [("HEAD", NoSuchKey("gone")), ("GET", NotModified(""))])
def test_errors_without_a_body(method: str, error: AwsError) -> None:
    response = _error("s3", error, method)
    assert (response.status, response.body) == (error.status, b"")


@pytest.mark.parametrize(
    ("service", "headers", "start"),
    [
        (None, {"x_amz_target": "x"}, b"{"),
        ("nosuch", {"content_type": "application/x-www-form-urlencoded"}, b"<ErrorResponse"),
        ("../../etc", {}, b"<?xml"),
    ],
)
def test_an_unknown_services_error_is_in_the_protocol_that_the_request_looks_like(
    service: str | None, headers: dict[str, str], start: bytes
) -> None:
    response = _error(service, AwsError(), **headers)
    assert isinstance(response.body, bytes)
    assert response.body.startswith(start)

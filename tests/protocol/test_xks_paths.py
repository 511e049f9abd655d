"""Which requests are an external key store proxy's by their path, and where its errors come from."""

from __future__ import annotations

import json

import pytest

from freehold.errors import AwsError, aws_error
from freehold.message import Request
from freehold.protocol import xks
from freehold.protocol.route import Router

ROUTER = Router()
KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"

PATHS = [
    ("/kms/xks/v1/health", ("", "/kms/xks/v1/health")),
    (f"/kms/xks/v1/keys/{KEY}/encrypt", ("", f"/kms/xks/v1/keys/{KEY}/encrypt")),
    ("/a/b_-C/kms/xks/v1/keys/k._-9/decrypt", ("/a/b_-C", "/kms/xks/v1/keys/k._-9/decrypt")),
    ("/kms/xks/v1/kms/xks/v1/health", ("/kms/xks/v1", "/kms/xks/v1/health")),
    ("/" + "a" * 116 + "/kms/xks/v1/health", ("/" + "a" * 116, "/kms/xks/v1/health")),
    ("/" + "a" * 117 + "/kms/xks/v1/health", None),
    ("/kms/xks/v1/health/", None),
    ("/kms/xks/v1/Health", None),
    ("//kms/xks/v1/health", None),
    ("/a//kms/xks/v1/health", None),
    ("/a.b/kms/xks/v1/health", None),
    ("/../kms/xks/v1/health", None),
    ("/kms/xks/v1/%68ealth", None),
    ("/kms/xks/v1/health\n", None),
    ("kms/xks/v1/health", None),
    (f"/kms/xks/v1/keys/{KEY}", None),
    (f"/kms/xks/v1/keys/{KEY}/describe", None),
    (f"/kms/xks/v1/keys/{KEY}/x/encrypt", None),
    ("/kms/xks/v1/keys/ü/encrypt", None),
    ("/kms/xks/v2/health", None),
    ("/", None),
    ("", None),
]


@pytest.mark.parametrize(("path", "parts"), PATHS)
def test_a_path_is_the_apis_behind_any_prefix(path: str, parts: tuple[str, str] | None) -> None:
    assert xks.split(path) == parts
    request = Request("POST", path, "", {"x-amz-target": "TrentService.ListKeys"})
    assert (ROUTER.guess(request) == xks.SERVICE) is (parts is not None)
    assert (ROUTER.meant(request, "kms") == xks.SERVICE) is (parts is not None)
    # Other methods, queries, and what is signed for S3 may be an object's.
    assert ROUTER.guess(Request("GET", path, "", {})) == "s3"
    assert ROUTER.guess(Request("POST", path, "uploads", {})) == "s3"
    assert ROUTER.meant(request, "s3") == "s3"


def test_a_long_path_takes_no_time() -> None:
    assert xks.split("/a" * 500_000 + "/kms/xks/v1/healt") is None
    assert xks.split("/" + "a" * 1_000_000) is None


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (aws_error("ThrottlingException", 400)("slow"), 429, "ThrottlingException"),
        (aws_error("Throttling", 400)("slow"), 429, "ThrottlingException"),
        (aws_error("ServiceUnavailable", 503)("sealed"), 503, "DependencyTimeoutException"),
        (aws_error("InternalFailure", 500)("x"), 500, "InternalException"),
        (aws_error("InsufficientStorage", 507)("full"), 500, "InternalException"),
        (aws_error("NotImplemented", 501)("x"), 501, "UnsupportedOperationException"),
        (aws_error("RequestEntityTooLarge", 413)("x"), 400, "ValidationException"),
        (aws_error("SerializationException", 400)("x"), 400, "ValidationException"),
        (aws_error("KMSInvalidStateException", 400)("x"), 400, "InvalidStateException"),
        (aws_error("IncompleteSignature", 400)("x"), 401, "AuthenticationFailedException"),
        (aws_error("MethodNotAllowed", 405)("x"), 405, "UnsupportedOperationException"),
        (aws_error("NeverHeardOf", 418)("x"), 400, "ValidationException"),
        (aws_error("NeverHeardOf", 599)("x"), 500, "InternalException"),
    ],
)
def test_whatever_goes_wrong_has_one_of_the_specifications_names(error: AwsError, status: int, name: str) -> None:
    answer = xks.serialize_error(error, "request")
    assert isinstance(answer.body, bytes)
    said = json.loads(answer.body)
    assert (answer.status, said["errorName"]) == (status, name)
    if name == "AuthenticationFailedException":
        assert "kms-xks-proxy" in said["errorMessage"]
    else:
        assert said["errorMessage"] == error.message


def test_a_message_is_short_and_printable_ascii() -> None:
    answer = xks.serialize_error(aws_error("ValidationException", 400)("ü\n\x7f" * 1000), "request")
    assert isinstance(answer.body, bytes)
    assert json.loads(answer.body)["errorMessage"] == "?" * 511
    empty = xks.serialize_error(aws_error("ValidationException", 400)(""), "request")
    assert empty.body == b'{"errorName":"ValidationException"}'

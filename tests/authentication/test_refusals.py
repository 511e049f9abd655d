"""Each service's errors, in its own words, and the rules of time, scope and signed headers."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from botocore.auth import BaseSigner, S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from signed_requests import OLD_TOKEN, TOKEN, altered, by_botocore, check, with_header

from freehold.authentication.refusals import missing_authentication
from freehold.authentication.timestamps import seconds_of
from freehold.errors import AwsError
from freehold.message import Request

SIGNERS: dict[str, type[BaseSigner]] = {"s3": S3SigV4Auth}
JSON_HEADERS = {"X-Amz-Target": "TrentService.ListKeys", "Content-Type": "application/x-amz-json-1.1"}
FORM_HEADERS = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
HEADERS = {
    "kms": JSON_HEADERS,
    "cloudtrail": JSON_HEADERS,
    "freehold": JSON_HEADERS,
    "iam": FORM_HEADERS,
    "sts": FORM_HEADERS,
}


def signed(service: str, **options: Any) -> Request:
    options.setdefault("method", "GET" if service == "s3" else "POST")
    options.setdefault("headers", dict(HEADERS.get(service, {})))
    return by_botocore(SIGNERS.get(service, SigV4Auth), service, **options)


def presigned(service: str = "s3", expires: int = 600, **options: Any) -> Request:
    return by_botocore(S3SigV4QueryAuth if service == "s3" else SigV4QueryAuth, service, expires=expires, **options)


def signed_at(request: Request) -> int:
    text = request.headers.get("x-amz-date") or request.query_string.split("X-Amz-Date=")[1][:16]
    seconds = seconds_of(text)
    assert seconds is not None
    return seconds


def refusal(request: Request, later: float = 0, **options: Any) -> AwsError:
    with pytest.raises(AwsError) as caught:
        check(request, signed_at(request) + later, **options)
    return caught.value


def wrong(request: Request) -> Request:
    return altered(request, method="PATCH")


def edited(request: Request, old: str, new: str) -> Request:
    changed = request.headers["authorization"].replace(old, new)
    assert changed != request.headers["authorization"]
    return with_header(request, "authorization", changed)


CASES = [
    # case, service, code, status
    ("wrong signature", "sts", "SignatureDoesNotMatch", 403),
    ("wrong signature", "iam", "SignatureDoesNotMatch", 403),
    ("wrong signature", "s3", "SignatureDoesNotMatch", 403),
    ("wrong signature", "kms", "InvalidSignatureException", 400),
    ("wrong signature", "cloudtrail", "InvalidSignatureException", 400),
    ("unknown key", "sts", "InvalidClientTokenId", 403),
    ("unknown key", "iam", "InvalidClientTokenId", 403),
    ("unknown key", "kms", "UnrecognizedClientException", 400),
    ("unknown key", "freehold", "UnrecognizedClientException", 400),
    ("unknown key", "s3", "InvalidAccessKeyId", 403),
    ("altered token", "sts", "InvalidClientTokenId", 403),
    ("altered token", "kms", "UnrecognizedClientException", 400),
    ("altered token", "s3", "InvalidToken", 400),
    ("expired token", "sts", "ExpiredToken", 403),
    ("expired token", "kms", "ExpiredTokenException", 400),
    ("expired token", "s3", "ExpiredToken", 400),
    ("another region", "iam", "SignatureDoesNotMatch", 403),
    ("another region", "kms", "InvalidSignatureException", 400),
    ("another region", "s3", "AuthorizationHeaderMalformed", 400),
    ("another service", "kms", "InvalidSignatureException", 400),
    ("another service", "sts", "SignatureDoesNotMatch", 403),
    ("another service", "s3", "AuthorizationHeaderMalformed", 400),
    ("another terminator", "sts", "IncompleteSignature", 400),
    ("another terminator", "s3", "AuthorizationHeaderMalformed", 400),
    ("another date", "sts", "SignatureDoesNotMatch", 403),
    ("another date", "s3", "AuthorizationHeaderMalformed", 400),
    ("no date", "sts", "IncompleteSignature", 400),
    ("no date", "kms", "IncompleteSignatureException", 400),
    ("no date", "s3", "AccessDenied", 403),
    ("no signature", "sts", "IncompleteSignature", 400),
    ("no signature", "kms", "IncompleteSignatureException", 400),
    ("no signature", "s3", "AuthorizationHeaderMalformed", 400),
    ("version 2", "s3", "InvalidRequest", 400),
    ("version 2", "iam", "IncompleteSignature", 400),
    ("version 4A", "s3", "InvalidRequest", 400),
    ("version 4A", "kms", "IncompleteSignatureException", 400),
    ("another scheme", "s3", "InvalidArgument", 400),
    ("another scheme", "sts", "IncompleteSignature", 400),
    ("unsigned header", "s3", "AccessDenied", 403),
    ("unsigned header", "sts", "SignatureDoesNotMatch", 403),
    ("unsigned header", "kms", "InvalidSignatureException", 400),
    ("unsigned host", "s3", "AccessDenied", 403),
    ("unsigned host", "kms", "InvalidSignatureException", 400),
    ("both kinds", "s3", "InvalidArgument", 400),
    ("both kinds", "sts", "IncompleteSignature", 400),
    ("old", "s3", "RequestTimeTooSkewed", 403),
    ("old", "iam", "SignatureDoesNotMatch", 403),
    ("old", "kms", "InvalidSignatureException", 400),
]
EDITS = {
    "another service": lambda service: (f"/{service}/", "/sqs/"),
    "another terminator": lambda service: ("aws4_request", "aws5_request"),
    "another date": lambda service: ("Credential=AKIDEXAMPLE/20", "Credential=AKIDEXAMPLE/19"),
    "no signature": lambda service: (", Signature=", ", Other="),
    "version 4A": lambda service: ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
    "unsigned host": lambda service: ("host;", ""),
}


def _case(name: str, service: str) -> Request:
    if name == "unknown key":
        return signed(service, key_id="AKIAOTHER")
    if name == "altered token":
        return signed(service, token="another")
    if name == "expired token":
        return signed(service, token=OLD_TOKEN)
    if name == "another region":
        return signed(service, region="eu-south-1")
    request = signed(service)
    if name == "wrong signature":
        return wrong(request)
    if name == "version 2":
        return with_header(request, "authorization", "AWS AKIDEXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=")
    if name == "another scheme":
        return with_header(request, "authorization", "Basic YTpi")
    if name == "unsigned header":
        return with_header(request, "x-amz-meta-added", "1")
    if name == "both kinds":
        return altered(request, query_string="X-Amz-Signature=00")
    return edited(request, *EDITS[name](service))


@pytest.mark.parametrize(("name", "service", "code", "status"), CASES)
def test_each_service_refuses_in_its_own_words(name: str, service: str, code: str, status: int) -> None:
    if name == "no date":
        request = signed(service)
        at = signed_at(request)
        with pytest.raises(AwsError) as caught:
            check(with_header(request, "x-amz-date", None), at)
        error = caught.value
    elif name == "old":
        error = refusal(signed(service), later=3600)
    else:
        error = refusal(_case(name, service))
    assert (error.code, error.status) == (code, status)
    assert "wJalr" not in repr(error) + str(error) + repr(error.members)


@pytest.mark.parametrize(
    ("service", "code", "status"),
    [
        ("sts", "MissingAuthenticationToken", 403),
        ("kms", "MissingAuthenticationTokenException", 400),
        ("s3", "AccessDenied", 403),
        (None, "MissingAuthenticationToken", 403),
    ],
)
def test_a_missing_signature_is_refused_in_the_services_words(service: str | None, code: str, status: int) -> None:
    error = missing_authentication(service)
    assert (error.code, error.status) == (code, status)


def test_a_request_without_any_signature_is_anonymous() -> None:
    authenticated = check(Request("GET", "/bucket/key", "versions", {"host": "localhost"}), 0)
    assert (authenticated.kind, authenticated.principal.kind) == ("anonymous", "anonymous")


@pytest.mark.parametrize("query", ["AWSAccessKeyId=a&Signature=b&Expires=1", "X-Amz-Signature=0", "X-Amz-Credential=a"])
def test_a_query_with_part_of_a_signature_is_not_anonymous(query: str) -> None:
    with pytest.raises(AwsError):
        check(Request("GET", "/bucket/key", query, {"host": "localhost"}), 0)


@pytest.mark.parametrize(
    ("service", "seconds"), [("s3", 900), ("sts", 900), ("iam", 900), ("kms", 300), ("cloudtrail", 300)]
)
def test_the_clock_may_differ_by_the_services_skew_and_no_more(service: str, seconds: int) -> None:
    request = signed(service)
    for later in (seconds, -seconds):
        check(request, signed_at(request) + later)
    assert refusal(request, later=seconds + 1).status in (400, 403)
    assert refusal(request, later=-seconds - 1).status in (400, 403)


def test_a_skewed_query_request_is_told_the_times() -> None:
    request = signed("sts")
    stamp = request.headers["x-amz-date"]
    assert refusal(request, later=1000).message.startswith(f"Signature expired: {stamp} is now earlier than ")
    assert refusal(request, later=1000).message.endswith(" - 15 min.)")
    assert refusal(request, later=-1000).message.startswith(f"Signature not yet current: {stamp} is still later than ")


def test_s3_names_the_region_to_use() -> None:
    error = refusal(signed("s3", region="us-west-2"))
    assert error.members == {"Region": "eu-central-1"}
    assert "expecting 'eu-central-1'" in error.message
    assert refusal(presigned(region="us-west-2")).members == {"Region": "eu-central-1"}


@pytest.mark.parametrize("service", ["iam", "sts"])
def test_partition_wide_services_accept_us_east_1_and_the_configured_regions(service: str) -> None:
    for region in ("us-east-1", "eu-west-1"):
        request = signed(service, region=region)
        assert check(request, signed_at(request)).region == region


def test_s3_says_what_should_have_been_signed() -> None:
    error = refusal(wrong(signed("s3", url="http://localhost:8000/b/a%20key?x=1")))
    assert error.members["AWSAccessKeyId"] == "AKIDEXAMPLE"
    assert error.members["CanonicalRequest"].startswith("PATCH\n/b/a%20key\nx=1\nhost:localhost:8000\n")
    assert error.members["StringToSign"].startswith("AWS4-HMAC-SHA256\n")
    for name in ("StringToSign", "CanonicalRequest"):
        assert bytes.fromhex(error.members[name + "Bytes"]).decode() == error.members[name]
    assert len(error.members["SignatureProvided"]) == 64


def test_s3_names_the_unknown_key_and_the_unsigned_header() -> None:
    assert refusal(signed("s3", key_id="AKIAOTHER")).members == {"AWSAccessKeyId": "AKIAOTHER"}
    for request in (signed("s3"), presigned()):
        error = refusal(with_header(request, "x-amz-acl", "public-read"))
        assert error.message == "There were headers present in the request which were not signed"
        assert error.members == {"HeadersNotSigned": "x-amz-acl"}


def test_s3_wants_the_hash_of_the_body_and_compares_it() -> None:
    request = signed("s3", method="PUT", body=b"hello")
    at = signed_at(request)
    assert check(request, at).payload.kind == "verified"
    with pytest.raises(AwsError) as caught:
        check(altered(request, body=b"hellO"), at)
    assert caught.value.code == "XAmzContentSHA256Mismatch"
    headers = {"x-amz-date": request.headers["x-amz-date"]}
    unhashed = by_botocore(SigV4Auth, "s3", headers=headers)
    assert refusal(unhashed).message == "Missing required header for this request: x-amz-content-sha256"


def test_a_body_still_to_come_is_described_instead() -> None:
    async def receive() -> bytes:
        return b""

    request = altered(signed("s3", method="PUT", body=b"hello"), body=b"", receive=receive)
    payload = check(request, signed_at(request)).payload
    assert (payload.kind, payload.sha256) == ("sha256", request.headers["x-amz-content-sha256"])


PRESIGNED_TIMES = [
    # service, expires, later, code (None: accepted)
    ("s3", 600, 599, None),
    ("s3", 600, 600, "AccessDenied"),
    ("s3", 604_800, 604_799, None),
    ("s3", 600, -3600, "AccessDenied"),
    ("s3", 604_801, 0, "AuthorizationQueryParametersError"),
    ("s3", 0, 0, "AuthorizationQueryParametersError"),
    ("s3", -1, 0, "AuthorizationQueryParametersError"),
    ("sts", 60, 59, None),
    ("sts", 60, 61, "SignatureDoesNotMatch"),
    ("sts", 3600, 901, "SignatureDoesNotMatch"),
]


@pytest.mark.parametrize(("service", "expires", "later", "code"), PRESIGNED_TIMES)
def test_a_presigned_request_holds_for_its_time(service: str, expires: int, later: int, code: str | None) -> None:
    request = presigned(service, expires)
    if code is None:
        assert check(request, signed_at(request) + later).kind == "query"
    else:
        assert refusal(request, later).code == code


def test_an_expired_presigned_request_says_so() -> None:
    error = refusal(presigned(), later=601)
    assert (error.message, error.status) == ("Request has expired", 403)
    assert error.members["X-Amz-Expires"] == "600"


@pytest.mark.parametrize(
    "make", [lambda: signed("s3", token=TOKEN), lambda: presigned(token=TOKEN), lambda: signed("kms", token=TOKEN)]
)
def test_a_session_token_is_part_of_what_is_signed(make: Any) -> None:
    request = make()
    at = signed_at(request)
    check(request, at)
    if "x-amz-security-token" in request.headers:
        without = with_header(request, "x-amz-security-token", None)
    else:
        items = [item for item in request.query_string.split("&") if "Security-Token" not in item]
        without = altered(request, query_string="&".join(items))
    with pytest.raises(AwsError):
        check(without, at)


def test_a_changed_secret_is_not_found_among_kept_signing_keys() -> None:
    from signed_requests import Keys

    request = signed("kms")
    at = signed_at(request)
    check(request, at)
    with pytest.raises(AwsError):
        check(request, at, Keys(secret="another secret"))


@pytest.mark.parametrize("service", ["s3", "kms"])
def test_a_date_header_does_where_there_is_no_x_amz_date(service: str) -> None:
    request = signed(service, headers={**HEADERS.get(service, {}), "Date": "now"})
    assert "x-amz-date" not in request.headers
    moment = parsedate_to_datetime(request.headers["date"].replace("-0000", "+0000"))
    assert check(request, moment.timestamp()).signed_at == int(moment.timestamp())
    later = (moment + timedelta(seconds=1)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    for other in (later, "yesterday", "", "20150830"):
        with pytest.raises(AwsError):
            check(with_header(request, "date", other), moment.timestamp())


@pytest.mark.parametrize("part", ["Credential", "SignedHeaders", "Signature"])
def test_a_part_of_an_authorization_that_comes_twice_is_refused(part: str) -> None:
    request = signed("s3")
    twice = next(item for item in request.headers["authorization"].split(" ") if item.startswith(part)).rstrip(",")
    error = refusal(with_header(request, "authorization", request.headers["authorization"] + ", " + twice))
    assert error.code == "AuthorizationHeaderMalformed"


def test_the_parts_of_an_authorization_come_in_any_order() -> None:
    request = signed("s3")
    algorithm, *parts = request.headers["authorization"].replace(",", "").split(" ")
    for order in (parts, parts[::-1], parts):
        for comma in (",", ", ", " , "):
            check(with_header(request, "authorization", f"{algorithm} {comma.join(order)}"), signed_at(request))


def test_an_older_version_in_a_query_or_a_form_is_not_anonymous() -> None:
    form = {"host": "h", "content-type": "application/x-www-form-urlencoded"}
    for request, code in (
        (Request("GET", "/b/k", "AWSAccessKeyId=a&Signature=b&Expires=1", {"host": "h"}), "InvalidRequest"),
        (
            Request("POST", "/", "", form, b"AWSAccessKeyId=a&Action=ListUsers&SignatureVersion=2"),
            "IncompleteSignature",
        ),
    ):
        with pytest.raises(AwsError) as caught:
            check(request, 0)
        assert caught.value.code == code

"""Signature version 2 in S3's presigned queries: what it signs is accepted, and nothing may be changed or added."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import example, given, settings
from hypothesis import strategies as st
from signed_requests import KEY_ID, OLD_TOKEN, SECRET, TOKEN, VECTORS, Keys, altered, check, with_header

from freehold.authentication import presigned_v2
from freehold.authentication.credentials import Secret
from freehold.authentication.sigv4 import Authenticated
from freehold.errors import AwsError
from freehold.message import Request
from freehold.protocol.hosts import bucket_finder

BUCKET_OF = bucket_finder()
NOW = 1_700_000_000
WEEK = 7 * 24 * 3600
DOCUMENTED = json.loads((VECTORS.parent / "sigv2" / "s3_documentation.json").read_text(encoding="utf-8"))["cases"]


class _Until(HmacV1QueryAuth):  # type: ignore[misc]
    """botocore's presigner, told when to expire rather than after how long."""

    def _get_date(self) -> str:
        return str(self._expires)


def presigned(
    target: str = "/bucket/a%20key",
    *,
    method: str = "GET",
    host: str = "localhost:8000",
    headers: dict[str, str] | None = None,
    expires: int = NOW + 600,
    token: str | None = None,
    auth_path: str | None = None,
    key_id: str = KEY_ID,
) -> Request:
    """What arrives of a URL that botocore presigned: none of the headers that it signed."""
    path = target.partition("?")[0]
    if auth_path is None and path.count("/") == 1 and path != "/":
        auth_path = path + "/"
    request = AWSRequest(method, f"http://{host}{target}", headers=headers or {}, auth_path=auth_path)
    _Until(Credentials(key_id, SECRET, token), expires).add_auth(request)
    url = urlsplit(request.url)
    return Request(method, url.path, url.query, {"host": host, "user-agent": "test"})


def verify(request: Request, now: float = NOW, keys: Keys | None = None, **options: Any) -> Authenticated:
    return check(request, now, keys, bucket_of=BUCKET_OF, **options)


def refusal(request: Request, now: float = NOW, **options: Any) -> AwsError:
    with pytest.raises(AwsError) as caught:
        verify(request, now, **options)
    return caught.value


def adding(request: Request, items: str) -> Request:
    return altered(request, query_string=f"{request.query_string}&{items}")


def replacing(request: Request, old: str, new: str) -> Request:
    assert old in request.query_string
    return altered(request, query_string=request.query_string.replace(old, new, 1))


@pytest.mark.parametrize("case", DOCUMENTED, ids=lambda case: case["name"])
def test_a_published_query_is_accepted_until_it_expires(case: dict[str, Any]) -> None:
    request = Request("GET", case["path"], case["query"], {"host": case["host"]})
    keys = Keys(case["access_key_id"], case["secret"])
    who = verify(request, case["expires"] - 1, keys)
    assert (who.kind, who.service, who.region, who.access_key_id) == ("query", "s3", "", case["access_key_id"])
    assert who.principal.name == "ann"
    assert refusal(request, case["expires"], keys=keys).message == "Request has expired"
    for other in (
        altered(request, method="HEAD"),
        altered(request, method="DELETE"),
        altered(request, raw_path=case["path"] + "x"),
        with_header(request, "host", "other.s3.amazonaws.com"),
        with_header(request, "content-type", "text/plain"),
        with_header(request, "content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="),
        with_header(request, "x-amz-acl", "public-read"),
        adding(request, "acl"),
        replacing(request, str(case["expires"]), str(case["expires"] + 1)),
        replacing(request, "Signature=", "Signature=A"),
    ):
        error = refusal(other, case["expires"] - 1, keys=keys)
        assert (error.code, error.status) == ("SignatureDoesNotMatch", 403)


def test_the_bucket_in_the_host_and_in_the_path_is_one_bucket() -> None:
    by_host = presigned("/k/a", host="bucket.localhost:8000", auth_path="/bucket/k/a")
    verify(by_host)
    verify(altered(by_host, raw_path="/bucket/k/a", headers={"host": "localhost:8000"}))
    listing = presigned("/bucket")
    verify(listing)
    verify(altered(listing, raw_path="/bucket/"))
    verify(altered(listing, raw_path="/", headers={"host": "bucket.localhost"}))
    for path, host in (("/bucket/k/a", "bucket.localhost"), ("/k/a", "other.localhost"), ("/a", "bucket/k.localhost")):
        assert refusal(altered(by_host, raw_path=path, headers={"host": host})).status in (400, 403)


OPERATIONS = [
    # method, target, what the signer adds as headers
    ("GET", "/bucket/a%20b/%C3%BC%2B%26%3D%3F.txt", {}),
    ("HEAD", "/bucket/k", {}),
    ("DELETE", "/bucket/k?versionId=null", {}),
    ("GET", "/bucket/k?response-content-disposition=attachment%3B%20filename%3D%22a%26b.txt%22&partNumber=1", {}),
    ("PUT", "/bucket/k", {"Content-Type": "text/plain", "x-amz-meta-a": "b  c ü:", "x-amz-acl": "private"}),
    ("PUT", "/bucket/k", {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}),
    ("PUT", "/bucket/k?uploadId=u_-9&partNumber=2", {}),
    ("POST", "/bucket/k?uploads", {"Content-Type": "text/plain"}),
    ("GET", "/bucket?list-type=2&prefix=p%2F&max-keys=3&encoding-type=url", {}),
    ("GET", "/bucket/k?uploadId=u&max-parts=3", {}),
    ("GET", "/", {}),
]


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize(("method", "target", "headers"), OPERATIONS)
def test_what_botocore_presigns_is_accepted(
    method: str, target: str, headers: dict[str, str], token: str | None
) -> None:
    request = presigned(target, method=method, headers=headers, token=token)
    assert verify(request).payload.kind == "unsigned"
    # A client may send the signed headers as well, or in place of their parameters.
    received = {
        **request.headers,
        **{name.lower(): value.encode().decode("latin-1") for name, value in headers.items()},
    }
    verify(altered(request, headers=received))
    kept = [
        item
        for item in request.query_string.split("&")
        if item.partition("=")[0] not in {name.lower() for name in headers}
    ]
    verify(altered(request, headers=received, query_string="&".join(kept)))


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize(("method", "target", "headers"), OPERATIONS)
def test_a_presigned_query_with_any_signed_part_changed_is_refused(
    method: str, target: str, headers: dict[str, str], token: str | None
) -> None:
    request = presigned(target, method=method, headers=headers, token=token)
    items = request.query_string.split("&")
    unsigned = {"list-type", "prefix", "max-keys", "encoding-type", "max-parts"}
    others = {
        "method": altered(request, method="PATCH"),
        "path": altered(request, raw_path=request.raw_path + "/z"),
        "case": altered(request, raw_path=request.raw_path.swapcase() + "x"),
        "host": with_header(request, "host", "bucket.localhost"),
        "header": with_header(request, "x-amz-acl", "public-read"),
        "content-type": with_header(request, "content-type", "text/html"),
    }
    for index, item in enumerate(items):
        if item.partition("=")[0] not in unsigned:
            others[f"{item} removed"] = altered(request, query_string="&".join(items[:index] + items[index + 1 :]))
            others[f"{item} changed"] = altered(
                request, query_string="&".join([*items[:index], item + "1", *items[index + 1 :]])
            )
        others[f"{item} twice"] = adding(request, item)
        others[f"{item} in other case"] = adding(request, item.swapcase())
    for name, other in others.items():
        with pytest.raises(AwsError):
            pytest.fail(f"accepted with another {name}: {verify(other)}")


ADDED = [
    # parameter, code: signed ones don't match, all others are refused by name
    *[
        (name, "AccessDenied")
        for name in (
            "prefix=secret",
            "list-type=2",
            "max-keys=1",
            "encryption",
            "publicAccessBlock",
            "attributes",
            "retention",
            "legal-hold",
            "x-id=GetObject",
            "session",
            "anything=1",
            "AWSaccesskeyid2=x",
        )
    ],
    *[
        (name, "SignatureDoesNotMatch")
        for name in (
            "acl",
            "uploads",
            "uploadId=u",
            "partNumber=1",
            "versionId=null",
            "tagging",
            "response-content-type=text%2Fhtml",
            "x-amz-copy-source=other%2Fkey",
            "X-Amz-Copy-Source=other%2Fkey",
            "x-amz-acl=public-read",
            "x-amz-meta-a=b",
            "x-amz-security-token=t",
            "x-amz-content-sha256=UNSIGNED-PAYLOAD",
            "%78-amz-acl=public-read",
            "content-type=text%2Fhtml",
            "Content-MD5=x",
        )
    ],
]


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
@pytest.mark.parametrize(("item", "code"), ADDED)
def test_a_parameter_added_to_an_objects_url_is_refused(method: str, item: str, code: str) -> None:
    request = presigned(method=method)
    verify(request)
    error = refusal(adding(request, item))
    expected = "InvalidToken" if "security-token" in item else code
    assert error.code == expected
    if expected == "AccessDenied":
        assert error.status == 403
        assert error.members["QueryParametersNotSigned"] == item.partition("=")[0]


def test_only_a_listing_may_have_filters_that_nobody_signed() -> None:
    listing = presigned("/bucket")
    verify(adding(listing, "prefix=p&delimiter=%2F&list-type=2"))
    assert refusal(adding(listing, "encryption")).code == "AccessDenied"
    assert refusal(adding(listing, "max-parts=1")).code == "AccessDenied"
    assert refusal(adding(presigned("/bucket", method="DELETE"), "prefix=p")).code == "AccessDenied"
    parts = presigned("/bucket/k?uploadId=u")
    verify(adding(parts, "part-number-marker=3"))
    assert refusal(adding(parts, "prefix=p")).code == "AccessDenied"
    assert refusal(adding(presigned("/bucket/k"), "part-number-marker=3")).code == "AccessDenied"
    by_host = presigned("/", host="bucket.localhost", auth_path="/bucket/")
    verify(adding(by_host, "prefix=p"))
    assert refusal(adding(presigned("/k", host="bucket.localhost", auth_path="/bucket/k"), "prefix=p")).status == 403


def test_one_signature_is_not_read_as_another_request() -> None:
    """Signed text is decoded and joined: what was two lines or two parameters must not come back as one."""
    dated = presigned("/bucket/k?response-content-type=text%2Fplain&versionId=v1")
    swallowed = replacing(dated, "text%2Fplain&versionId=v1", "text%2Fplain%26versionId%3Dv1")
    assert refusal(swallowed).code == "AuthorizationQueryParametersError"
    named = presigned("/bucket/k", method="PUT", headers={"x-amz-acl": "private", "x-amz-meta-a": "b"})
    merged = replacing(named, "x-amz-acl=private&x-amz-meta-a=b", "x-amz-acl=private%0Ax-amz-meta-a%3Ab")
    assert refusal(merged).code == "AuthorizationQueryParametersError"
    colon = presigned("/bucket/k", method="PUT", headers={"x-amz-meta-a": "b:c"})
    assert refusal(replacing(colon, "x-amz-meta-a=b%3Ac", "x-amz-meta-a%3Ab=c")).code == "AccessDenied"
    padded = presigned("/bucket/k", method="PUT", headers={"x-amz-meta-a": "b"})
    assert refusal(replacing(padded, "x-amz-meta-a=b", "x-amz-meta-a=%20b")).code == "SignatureDoesNotMatch"
    # The same text may be the value itself.
    verify(presigned("/bucket/k?response-content-disposition=a%26b%3Dversionid%26c"))


def test_a_header_that_contradicts_its_parameter_is_refused() -> None:
    request = presigned(method="PUT", headers={"x-amz-acl": "private", "Content-Type": "text/plain"})
    verify(with_header(with_header(request, "x-amz-acl", "private"), "content-type", "text/plain"))
    for name, value in (("x-amz-acl", "public-read"), ("content-type", "text/html")):
        assert refusal(with_header(request, name, value)).code == "AuthorizationQueryParametersError"


TIMES = [
    # expires after, code (None: accepted), status, message
    (1, None, 0, ""),
    (0, "AccessDenied", 403, "Request has expired"),
    (-WEEK, "AccessDenied", 403, "Request has expired"),
    (WEEK, None, 0, ""),
    (WEEK + 900, None, 0, ""),
    (WEEK + 901, "AuthorizationQueryParametersError", 400, "Expires must be less than a week"),
    (10**11, "AuthorizationQueryParametersError", 400, "Expires must be less than a week"),
]


@pytest.mark.parametrize(("after", "code", "status", "message"), TIMES)
def test_a_query_expires_at_its_time_and_within_a_week(after: int, code: str | None, status: int, message: str) -> None:
    request = presigned(expires=NOW + after)
    if code is None:
        verify(request)
    else:
        error = refusal(request)
        assert (error.code, error.status) == (code, status)
        assert message in error.message


@pytest.mark.parametrize("expires", ["-1", "1e9", "²", "0x10", "9" * 13, "1700000600.0", "tomorrow", "1700000600 "])
def test_an_expiry_that_is_no_number_of_seconds_is_refused(expires: str) -> None:
    request = replacing(presigned(), f"Expires={NOW + 600}", f"Expires={quote(expires)}")
    assert refusal(request).message.startswith("Invalid date (should be seconds since epoch)")


@pytest.mark.parametrize(
    "query",
    [
        "AWSAccessKeyId=AKIDEXAMPLE",
        "Signature=x",
        "AWSAccessKeyId=AKIDEXAMPLE&Signature=x",
        "AWSAccessKeyId=AKIDEXAMPLE&Expires=1800000000",
        "Signature=x&Expires=1800000000",
        "AWSAccessKeyId=&Signature=&Expires=",
        "AWSAccessKeyId&Signature=x&Expires=1800000000",
    ],
)
def test_part_of_a_signature_is_refused(query: str) -> None:
    error = refusal(Request("GET", "/bucket/key", query, {"host": "localhost"}))
    assert (error.code, error.status) == ("AccessDenied", 403)
    assert "requires the Signature, Expires and AWSAccessKeyId" in error.message


def test_credentials_are_refused_as_everywhere() -> None:
    error = refusal(presigned(key_id="AKIAOTHER"))
    assert (error.code, error.members) == ("InvalidAccessKeyId", {"AWSAccessKeyId": "AKIAOTHER"})
    assert refusal(presigned(token=OLD_TOKEN)).code == "ExpiredToken"
    assert refusal(presigned(token="another")).code == "InvalidToken"
    without = presigned(token=TOKEN)
    kept = [item for item in without.query_string.split("&") if "security-token" not in item]
    assert refusal(altered(without, query_string="&".join(kept))).code == "SignatureDoesNotMatch"


def test_a_wrong_signature_is_told_what_should_have_been_signed_and_no_secret() -> None:
    request = presigned("/bucket/k?acl", method="PUT", headers={"x-amz-acl": "private"})
    error = refusal(altered(request, method="DELETE"))
    assert (error.code, error.status) == ("SignatureDoesNotMatch", 403)
    text = f"DELETE\n\n\n{NOW + 600}\nx-amz-acl:private\n/bucket/k?acl"
    assert error.members["StringToSign"] == text
    assert bytes.fromhex(error.members["StringToSignBytes"]).decode() == text
    assert error.members["AWSAccessKeyId"] == KEY_ID
    assert len(error.members["SignatureProvided"]) == 28
    assert SECRET not in repr(error) + repr(error.members)


def test_a_signature_in_another_encoding_of_its_bytes_is_refused() -> None:
    request = presigned()
    signature = next(item for item in request.query_string.split("&") if item.startswith("Signature="))
    text = signature.removeprefix("Signature=").replace("%3D", "=")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    # The last character before the padding carries two bits that are no part of the signature.
    sibling = text[:-2] + alphabet[alphabet.index(text[-2]) ^ 1] + "="
    for other in (sibling, text + "=", text + "%20", text.rstrip("=")):
        assert refusal(replacing(request, signature, "Signature=" + other)).code == "SignatureDoesNotMatch"


def test_version_2_counts_for_s3_and_in_a_query_only() -> None:
    request = presigned("/")
    for other in (
        with_header(request, "x-amz-target", "TrentService.ListKeys"),
        altered(adding(request, "Action=ListUsers"), raw_path="/"),
        altered(
            request, method="POST", headers={"host": "localhost", "content-type": "application/x-www-form-urlencoded"}
        ),
    ):
        assert refusal(other).code in ("IncompleteSignature", "IncompleteSignatureException")
    with pytest.raises(AwsError) as caught:
        check(request, NOW)
    assert caught.value.code == "InvalidRequest"
    header = Request(
        "GET", "/", "", {"host": "localhost", "authorization": f"AWS {KEY_ID}:frJIUN8DYpKDtOLCwo//yllqDzg="}
    )
    assert refusal(header).code == "InvalidRequest"


def test_two_ways_to_sign_at_once_are_refused() -> None:
    credential = f"{KEY_ID}/20231114/eu-west-1/s3/aws4_request"
    claim = f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date=20231114T221320Z"
    claim += f"&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature={'0' * 64}"
    assert refusal(adding(presigned(), claim)).message.startswith("Only one auth mechanism allowed")
    authorization = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature={'0' * 64}"
    signed = with_header(presigned(), "authorization", authorization)
    assert refusal(signed).message.startswith("Only one auth mechanism allowed")


def test_a_signed_hash_of_the_body_is_compared() -> None:
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    request = presigned(method="PUT", headers={"x-amz-content-sha256": digest})
    assert verify(altered(request, body=b"hello")).payload.kind == "verified"
    assert refusal(altered(request, body=b"hellO")).code == "XAmzContentSHA256Mismatch"
    chunks = presigned(method="PUT", headers={"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"})
    assert refusal(chunks).code == "InvalidRequest"


def test_what_a_query_claims_shows_no_token() -> None:
    claimed = presigned_v2.from_query(presigned(token=TOKEN), BUCKET_OF)
    assert TOKEN not in repr(claimed)
    presigned_v2.verify(claimed, Secret(SECRET))
    with pytest.raises(AwsError):
        presigned_v2.verify(claimed, Secret(SECRET + "x"))


TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF, exclude_categories=["Cs", "Cc"]), max_size=10)
SEGMENTS = st.lists(TEXT | st.sampled_from([".", "..", "", "a+b", "%2F"]), min_size=1, max_size=4)
SIGNED = st.dictionaries(st.sampled_from(sorted(presigned_v2.SUBRESOURCES)), st.none() | TEXT, max_size=4)
AMZ = st.dictionaries(
    st.from_regex(r"x-amz-(meta-)?[a-z0-9]{2,8}", fullmatch=True),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=10),
    max_size=3,
)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["GET", "PUT", "HEAD", "DELETE"]),
    SEGMENTS,
    SIGNED,
    AMZ,
    st.booleans(),
    st.sampled_from([None, TOKEN]),
)
def test_what_botocore_signs_is_accepted_and_its_alteration_refused(
    method: str,
    segments: list[str],
    signed: dict[str, str | None],
    amz: dict[str, str],
    in_host: bool,
    token: str | None,
) -> None:
    path = "/" + "/".join(quote(segment, safe="-_.~") for segment in segments)
    items = [name if value is None else f"{name}={quote(value, safe='-_.~')}" for name, value in signed.items()]
    host = "bucket.localhost" if in_host else "localhost"
    path = path if in_host else "/bucket" + path
    request = presigned(
        path + ("?" + "&".join(items) if items else ""),
        method=method,
        host=host,
        headers=amz,
        token=token,
        auth_path="/bucket" + path if in_host else None,
    )
    assert verify(request).principal.name == "ann"
    others = [altered(request, raw_path=request.raw_path + "z"), altered(request, method="POST")]
    others += [adding(request, item) for item in ("acl2=x", "zz", "x-amz-zz=1", "AWSAccessKeyId=b")]
    pieces = request.query_string.split("&")
    for index, piece in enumerate(pieces):
        others.append(altered(request, query_string="&".join([*pieces[:index], piece + "~", *pieces[index + 1 :]])))
    for other in others:
        with pytest.raises(AwsError):
            verify(other)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["AWSAccessKeyId", "Expires", "Signature", "x-amz-acl", "acl", "response-expires", "%ff", ""]
            ),
            st.text(max_size=10) | st.sampled_from([KEY_ID, str(NOW + 9), "²", "%", "%zz", "é", "\x00", "a&acl"]),
        ),
        max_size=7,
    ),
    st.text(max_size=10),
)
@example([("AWSAccessKeyId", KEY_ID), ("Expires", str(NOW + 9)), ("Signature", "é")], "/é")
def test_no_query_does_worse_than_an_aws_error(items: list[tuple[str, str]], path: str) -> None:
    query = "&".join(f"{name}={value}" for name, value in items)
    try:
        who = verify(Request("GET", "/" + path, query, {"host": "h"}))
    except AwsError:
        return
    assert who.kind == "anonymous"
    assert not presigned_v2.is_presigned(query)

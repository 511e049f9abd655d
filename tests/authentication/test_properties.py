"""Whatever botocore signs is accepted; whatever bytes come, only AwsError escapes, and nothing unsigned gets in."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from hypothesis import example, given, settings
from hypothesis import strategies as st
from signed_requests import KEY_ID, altered, by_botocore, check, with_header

from freehold.authentication.timestamps import seconds_of
from freehold.errors import AwsError
from freehold.message import Request

TEXT = st.text(st.characters(min_codepoint=1, max_codepoint=0x2FFF, exclude_categories=["Cs"]), max_size=12)
SEGMENTS = st.lists(TEXT | st.sampled_from([".", "..", "", "a+b", "%2F", "a%20b"]), max_size=4)
QUERIES = st.lists(st.tuples(TEXT, TEXT | st.sampled_from(["", "+", "a b", "%"])), max_size=4)
HEADERS = st.dictionaries(
    st.from_regex(r"x-(amz-meta|app)-[a-z0-9]{1,6}", fullmatch=True),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12),
    max_size=3,
)


def url_of(segments: list[str], query: list[tuple[str, str]]) -> str:
    path = "/" + "/".join(quote(segment, safe="-_.~") for segment in segments)
    items = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query if name)
    return f"http://localhost:8000{path}" + (f"?{items}" if items else "")


def date_of(request: Request) -> float:
    text = request.headers.get("x-amz-date") or request.query_string.split("X-Amz-Date=")[1][:16]
    return float(seconds_of(text) or 0)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([(SigV4Auth, "kms"), (S3SigV4Auth, "s3"), (S3SigV4QueryAuth, "s3"), (SigV4QueryAuth, "sts")]),
    SEGMENTS,
    QUERIES,
    HEADERS,
    st.binary(max_size=20),
)
@example((SigV4Auth, "kms"), [], [("0", "~")], {}, b"")
def test_what_botocore_signs_is_accepted_and_its_alteration_refused(
    signer: tuple[type, str], segments: list[str], query: list[tuple[str, str]], headers: dict[str, str], body: bytes
) -> None:
    kind, service = signer
    if kind in (S3SigV4QueryAuth, SigV4QueryAuth):
        body = b""
    request = by_botocore(
        kind, service, method="PUT", url=url_of(segments, query), headers=headers, body=body, token="a token/+="
    )
    at = date_of(request)
    assert check(request, at).principal.name == "ann"
    others = [altered(request, raw_path=request.raw_path + "z"), altered(request, method="GET")]
    others += [with_header(request, name, value + "z") for name, value in request.headers.items() if name in headers]
    if request.query_string:
        last = "-" if request.query_string.endswith("~") else "~"
        others.append(altered(request, query_string=request.query_string[:-1] + last))
        others.append(altered(request, query_string=request.query_string + "&new"))
    for other in others:
        with pytest.raises(AwsError):
            check(other, at)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80) | st.from_regex(r"AWS4-HMAC-SHA256 [ -~]{0,80}", fullmatch=True))
@example("AWS4-HMAC-SHA256 Credential=a/b/c/s3/aws4_request, SignedHeaders=host, Signature=" + "é" * 64)
@example(
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/eu-west-1/s3/aws4_request,SignedHeaders=host,Signature="
    + "0" * 64
)
@example("")
def test_no_authorization_header_does_worse_than_an_aws_error(authorization: str) -> None:
    request = Request("GET", "/", "", {"host": "h", "x-amz-date": "20150830T123600Z", "authorization": authorization})
    with pytest.raises(AwsError):
        check(request, 1440938160)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature", "Security-Token"]
            ),
            st.text(max_size=12)
            | st.sampled_from(
                [
                    "AWS4-HMAC-SHA256",
                    f"{KEY_ID}/20150830/eu-west-1/s3/aws4_request",
                    "20150830T123600Z",
                    "host",
                    "0" * 64,
                    "60",
                    "²",
                ]
            ),
        ),
        max_size=9,
    )
)
def test_no_presigned_query_does_worse_than_an_aws_error(items: list[tuple[str, str]]) -> None:
    query = "&".join(f"X-Amz-{name}={quote(value, safe='')}" for name, value in items)
    request = Request("GET", "/", query, {"host": "h"})
    try:
        authenticated = check(request, 1440938160)
    except AwsError:
        return
    assert authenticated.kind == "anonymous"
    assert not {"Algorithm", "Credential", "Signature"} & {name for name, _ in items}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_changed_character_of_a_signed_authorization_is_refused(data: st.DataObject) -> None:
    request = by_botocore(S3SigV4Auth, "s3", headers={"x-amz-meta-a": "b"})
    at = date_of(request)
    authorization = request.headers["authorization"]
    index = data.draw(st.integers(0, len(authorization) - 1))
    character = data.draw(st.characters(min_codepoint=33, max_codepoint=255))
    if character == authorization[index] or authorization[index] == " ":
        return
    with pytest.raises(AwsError):
        check(with_header(request, "authorization", authorization[:index] + character + authorization[index + 1 :]), at)

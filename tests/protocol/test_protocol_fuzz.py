"""Whatever bytes arrive, the parsers give parameters or an AwsError of the 400s, never anything else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from freehold.errors import AwsError
from freehold.message import Request
from freehold.protocol import timestamps
from freehold.protocol.codec import codec, serialize_error
from freehold.protocol.route import Router, route
from freehold.protocol.xml_write import escaped

FUZZ = settings(
    max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)

XML_PIECES = st.sampled_from(
    [
        *(f"<{slash}{name}>" for name in ("Delete", "Object", "Key", "Quiet", "a:b") for slash in ("", "/")),
        *("<![CDATA[", "]]>", "<!--", "-->", "<!DOCTYPE a>", "<?xml version='1.0'?>", "&amp;", "&#0;", "&x;", "\0"),
        *('<Key a="b">', "<Key/>", "text", "true", " ", "\ufeff", "é"),
    ]
)
JSON_PIECES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["KeyId", "Tags", "x"]), inner),
    max_leaves=8,
)
FORM_PIECES = st.sampled_from(
    ["Tags", ".member", ".1", ".Key", "=", "&", "UserName", "%", "%41", "%ff", "+", ".", "a", "0", "-1", "é", "\0"]
)


def _outcome(request: Request, service: str | None, router: Router | None = None) -> dict[str, Any] | None:
    routed = None
    try:
        routed = route(request, service) if router is None else router.route(request, service)
        return codec(routed.operation).parse(request, routed)
    except AwsError as error:
        refusal = error
    assert 400 <= refusal.status < 500
    response = serialize_error(service, routed.operation if routed else None, refusal, "id", request)
    assert response.status == refusal.status
    return None


@FUZZ
@given(st.lists(XML_PIECES, max_size=12).map("".join).map(str.encode) | st.binary(max_size=64))
def test_any_xml(body: bytes) -> None:
    _outcome(Request("POST", "/b", "delete", {"host": "h"}, body), "s3")


@FUZZ
@given(st.binary(max_size=64) | JSON_PIECES.map(lambda value: json.dumps(value).encode()))
def test_any_json(body: bytes) -> None:
    for operation in ("Encrypt", "CreateKey", "TagResource"):
        _outcome(Request("POST", "/", "", {"host": "h", "x-amz-target": f"TrentService.{operation}"}, body), "kms")


@FUZZ
@given(st.lists(FORM_PIECES, max_size=14).map("".join).map(str.encode) | st.binary(max_size=64))
def test_any_form(body: bytes) -> None:
    headers = {"host": "h", "content-type": "application/x-www-form-urlencoded"}
    _outcome(Request("POST", "/", "", headers, b"Action=CreateUser&" + body), "iam")


@FUZZ
@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "get", ""]),
    st.text(max_size=20),
    st.text(max_size=20),
    st.sampled_from(["b.localhost", "127.0.0.1", "h", "", "[", ".localhost", "..s3.localhost", "\x00.localhost"]),
    st.sampled_from([None, "s3", "iam", "kms", "nope"]),
)
def test_any_path_query_host_and_scope(method: str, path: str, query: str, host: str, service: str | None) -> None:
    _outcome(Request(method, "/" + path, query, {"host": host}), service)


REST_JSON = Router(("accessanalyzer", "apigateway", "dataexchange", "iam-toolbox", "lex-runtime", "mediastore-data"))
SEGMENTS = st.sampled_from(
    [
        "analyzer",
        "authorization-details",
        "bot",
        "content",
        "v1",
        "restapis",
        "a",
        "",
        "%2F",
        "%",
        "%ff",
        "..",
        "é",
        "+",
    ]
)


@FUZZ
@given(
    st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH", "HEAD"]),
    st.lists(SEGMENTS, max_size=8).map("/".join),
    st.text(max_size=20) | st.sampled_from(["maxResults=1", "mode=import", "type=a&type=b", "%=%", "a=1&a=2"]),
    st.dictionaries(
        st.sampled_from(["x-amz-lex-session-attributes", "content-type", "x-amzn-dataexchange-asset-id", "range"]),
        st.text(max_size=12),
    ),
    st.binary(max_size=32) | JSON_PIECES.map(lambda value: json.dumps(value).encode()),
)
def test_any_rest_json(method: str, path: str, query: str, headers: dict[str, str], body: bytes) -> None:
    request = Request(method, "/" + path, query, headers, body)
    for service in REST_JSON.services:
        _outcome(request, service, REST_JSON)


@FUZZ
@given(st.text(max_size=40))
def test_any_time_is_a_time_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert timestamps.from_text(text).utcoffset() is not None


@pytest.mark.parametrize("code", [*range(0x20), 0x7F, 0x85, 0x2028, 0xD800, 0xFFFE, 0xFFFF])
def test_no_character_breaks_out_of_an_answers_xml(code: int) -> None:
    text = escaped(f'<{chr(code)}>&"')
    assert "<" not in text
    assert '"' not in text
    text.encode()

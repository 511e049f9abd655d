"""Requests of every protocol, altered at random, over real connections: well-formed refusals, and never a defect."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import attacking
import pytest
from botocore.config import Config
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

EXAMPLES = 800
CHUNKS = b"5;chunk-signature=" + b"0" * 64 + b"\r\nhello\r\n0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n"
DELETE = b"<Delete><Object><Key>k</Key></Object></Delete>"
TRAILER = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
PIECES = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\x00",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"/",
    b"//",
    b"/../",
    b"%",
    b"%2F",
    b"%00",
    b"%ff",
    b"?",
    b"&",
    b"=",
    b"+",
    b"#",
    b"*",
    b"\xff",
    b"\xc3(",
    b"\xed\xa0\x80",
    b"{",
    b"}",
    b"[",
    b'"',
    b"<",
    b">",
    b"<!DOCTYPE a>",
    b"&#0;",
    b"-1",
    b"0",
    b"99999999999999999999",
    b"1e400",
    b"null",
    b"X-Amz-Signature=0",
    b"X-Amz-Credential=a/iam/aws4_request",
    b"Host: b.s3.amazonaws.com\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Content-Length: 3\r\n",
    b"Expect: 100-continue\r\n",
    b"x-amz-copy-source: /a/b\r\n",
    b"x-amz-content-sha256: UNSIGNED-PAYLOAD\r\n",
    b"Content-Encoding: aws-chunked\r\n",
    b"x-amz-decoded-content-length: 5\r\n",
    b"x-amz-target: TrentService.ListKeys\r\n",
    b"Action=GetUser",
    b"?acl",
    b"?uploads",
    b"?delete",
    b"GET",
    b"PUT",
    b"HEAD",
    b"HTTP/1.0",
    b"AWSAccessKeyId=a&Signature=b&Expires=1",
]


def _chunked(aws: Any, target: str, kind: str, body: bytes) -> bytes:
    headers = {"x-amz-content-sha256": kind, "x-amz-decoded-content-length": "5", "Content-Encoding": "aws-chunked"}
    if kind.endswith("TRAILER"):
        headers["x-amz-trailer"] = "x-amz-checksum-crc32"
    return attacking.request(aws, "PUT", target, attacking.signed(aws, "s3", "PUT", target, headers, body), body)


def _s3(aws: Any, method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    return attacking.request(aws, method, target, attacking.signed(aws, "s3", method, target, headers, body), body)


def _call(aws: Any, service: str, headers: dict[str, str], body: bytes) -> bytes:
    return attacking.request(aws, "POST", "/", attacking.signed(aws, service, "POST", "/", headers, body), body)


def templates(aws: Any, bucket: str) -> list[bytes]:
    """One good request of each kind."""
    key = f"/{bucket}/k"
    form = {"Content-Type": attacking.FORM}
    kms = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService.GenerateRandom"}
    md5 = {"Content-MD5": base64.b64encode(hashlib.md5(DELETE).digest()).decode()}
    old = aws.client("s3", config=Config(signature_version="s3", s3={"addressing_style": "path"}))
    version_2 = old.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    return [
        _s3(aws, "GET", key),
        _s3(aws, "HEAD", key),
        _s3(aws, "PUT", key, b"hello"),
        _s3(aws, "GET", f"/{bucket}?list-type=2&prefix=a%2Fb&max-keys=5"),
        _s3(aws, "POST", f"/{bucket}?delete", DELETE, md5),
        attacking.request(aws, "GET", version_2[len(aws.endpoint) :], {}),
        _s3(aws, "PUT", f"/{bucket}?tagging", b"<Tagging><TagSet/></Tagging>"),
        _s3(aws, "PUT", f"/{bucket}?policy", b'{"Version":"2012-10-17","Statement":[]}'),
        _chunked(aws, key, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", TRAILER),
        _chunked(aws, key, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", CHUNKS),
        attacking.request(aws, "GET", attacking.presigned(aws, "GET", key), {}),
        attacking.request(aws, "GET", f"http://{bucket}.localhost/k", {}),
        attacking.request(aws, "PUT", key, {"Transfer-Encoding": "chunked"}) + b"5\r\nhello\r\n0\r\n\r\n",
        _call(aws, "kms", kms, json.dumps({"NumberOfBytes": 5}).encode()),
        _call(aws, "iam", form, b"Action=GetUser&Version=2010-05-08"),
        _call(aws, "sts", form, b"Action=GetSessionToken&Version=2011-06-15&DurationSeconds=900"),
        attacking.request(aws, "POST", "/", form, b"Action=GetCallerIdentity&Version=2011-06-15"),
    ]


def _flip(data: bytes, at: int, piece: bytes) -> bytes:
    return data[:at] + bytes((data[at] ^ (1 + piece[0] % 255),)) + data[at + 1 :]


def _insert(data: bytes, at: int, piece: bytes) -> bytes:
    return data[:at] + piece + data[at:]


def _replace(data: bytes, at: int, piece: bytes) -> bytes:
    return data[:at] + piece + data[at + len(piece) :]


def _cut(data: bytes, at: int, piece: bytes) -> bytes:
    return data[:at]


def _remove(data: bytes, at: int, piece: bytes) -> bytes:
    return data[:at] + data[at + 1 + piece[0] % 40 :]


def _double(data: bytes, at: int, piece: bytes) -> bytes:
    return data[:at] + data[at : at + 60] + data[at:]


def _add_header(data: bytes, at: int, piece: bytes) -> bytes:
    head, end, body = data.partition(b"\r\n")
    return head + end + piece + body


def _double_line(data: bytes, at: int, piece: bytes) -> bytes:
    lines = data.split(b"\r\n")
    line = lines[at % len(lines)]
    return b"\r\n".join([*lines[:2], line, *lines[2:]])


ALTERATIONS: list[Callable[[bytes, int, bytes], bytes]] = [
    _flip, _insert, _insert, _replace, _cut, _remove, _double, _add_header, _double_line,
]  # fmt: skip
changes = st.lists(
    st.tuples(st.sampled_from(ALTERATIONS), st.floats(0, 0.999), st.sampled_from(PIECES)), min_size=1, max_size=3
)


@pytest.mark.parametrize("number", range(4))
def test_altered_requests_are_answered_or_the_connection_is_closed(aws: Any, bucket: str, number: int) -> None:
    made = templates(aws, bucket)[number::4]
    answered = 0

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, len(made) - 1), changes)
    def alter(which: int, altered: list[tuple[Callable[[bytes, int, bytes], bytes], float, bytes]]) -> None:
        nonlocal answered
        data = made[which]
        for change, place, piece in altered:
            if data:
                data = change(data, int(place * len(data)), piece)
        got = attacking.raw(aws, data, half_close=True, seconds=10)
        answered += bool(got)
        # The answer to HEAD has no body whatever its length says.
        bodiless = b"HEAD" in data
        assert not re.search(rb"HTTP/1\.1 50[0-9]", got) or b"<Code>NotImplemented</Code>" in got, (data, got)
        if not bodiless:
            for answer in attacking.answers(got):
                assert answer.status < 500 or answer.status == 501, (data, answer)

    alter()
    assert answered > EXAMPLES / 2

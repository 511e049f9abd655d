"""What arrives as HTTP is one request for everyone who reads it: no second reading, nothing after the signature."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import attacking
import pytest

TAGGING = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"


@pytest.mark.parametrize("pause", [(), (0.2,)], ids=["at once", "after the signature was verified"])
def test_a_trailer_of_a_chunked_body_is_no_header(aws: Any, bucket: str, pause: tuple[float, ...]) -> None:
    target = f"/{bucket}?tagging"
    md5 = base64.b64encode(hashlib.md5(TAGGING).digest()).decode()
    headers = attacking.signed(aws, "s3", "PUT", target, {"Content-MD5": md5}, TAGGING)
    head = attacking.request(aws, "PUT", target, {**headers, "Transfer-Encoding": "chunked"})
    body = b"%x\r\n%b\r\n" % (len(TAGGING), TAGGING)
    # As a header this would make the call fail: the bucket's owner is another.
    trailer = b"0\r\nx-amz-expected-bucket-owner: 111122223333\r\n\r\n"
    (answer,) = attacking.answers(attacking.raw(aws, head + body, *pause, trailer))
    assert answer.status == 200


FRAMING = {
    "content-length beside transfer-encoding": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "transfer-encoding beside content-length": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two content-lengths": b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "a list of content-lengths": b"Content-Length: 0, 0\r\n\r\n",
    "a signed content-length": b"Content-Length: +1\r\n\r\na",
    "a negative content-length": b"Content-Length: -1\r\n\r\na",
    "a content-length beyond 64 bits": b"Content-Length: 99999999999999999999999\r\n\r\na",
    "a space before the colon": b"Content-Length : 1\r\n\r\na",
    "chunked, then something else": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a chunk without a size": b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "a chunk size beyond 64 bits": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n\r\n",
    "two hosts": b"Host: elsewhere\r\n\r\n",
    "a folded header": b"X-A: b\r\n c\r\n\r\n",
    "a carriage return in a value": b"X-A: b\rc\r\n\r\n",
    "a zero byte in a value": b"X-A: b\0c\r\n\r\n",
    "an upgrade": b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "too many headers": b"".join(b"x%d: 1\r\n" % number for number in range(300)) + b"\r\n",
    "a header that is too long": b"X-A: " + b"a" * 70_000 + b"\r\n\r\n",
    "a name that is too long": b"a" * 70_000 + b": 1\r\n\r\n",
}


@pytest.mark.parametrize("rest", FRAMING.values(), ids=FRAMING.keys())
def test_what_two_readers_could_read_differently_is_refused_and_the_connection_closed(aws: Any, rest: bytes) -> None:
    smuggled = attacking.request(aws, "GET", "/", {})
    head = f"POST / HTTP/1.1\r\nHost: {attacking.host_of(aws)}\r\n".encode()
    got = attacking.answers(attacking.raw(aws, head + rest + smuggled))
    assert len(got) <= 1
    assert all(400 <= answer.status < 500 for answer in got)


TARGETS = {
    "authority form": b"GET bucket:80 HTTP/1.1",
    "connect": b"CONNECT bucket:80 HTTP/1.1",
    "another scheme": b"GET ftp://host/k HTTP/1.1",
    "HTTP/2": b"PRI * HTTP/2.0",
    "bytes that aren't ASCII": b"GET /\xff HTTP/1.1",
    "too long": b"GET /" + b"a" * 20_000 + b" HTTP/1.1",
}


@pytest.mark.parametrize("line", TARGETS.values(), ids=TARGETS.keys())
def test_a_target_that_is_no_path_is_refused(aws: Any, line: bytes) -> None:
    (answer,) = attacking.answers(attacking.raw(aws, line + b"\r\nHost: localhost\r\n\r\n"))
    assert answer.status in (400, 414)


def test_the_host_of_an_absolute_target_is_the_one_that_must_be_signed(aws: Any, bucket: str) -> None:
    """Signed for the path style; the target's host would make the first segment a key of another bucket."""
    aws.s3.put_object(Bucket=bucket, Key=f"{bucket}/k", Body=b"x")
    headers = attacking.signed(aws, "s3", "GET", f"/{bucket}/k")
    target = f"http://{bucket}.s3.amazonaws.com/{bucket}/k"
    answer = attacking.ask(aws, "GET", target, headers)
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")


def test_requests_before_one_that_cannot_be_read_are_answered(aws: Any) -> None:
    good = f"GET / HTTP/1.1\r\nHost: {attacking.host_of(aws)}\r\n\r\n".encode()
    got = attacking.answers(attacking.raw(aws, good + b"GARBAGE\r\n\r\n"))
    assert [answer.status for answer in got][:1] == [403]


def test_a_client_that_will_send_no_more_is_answered_and_let_go(aws: Any) -> None:
    good = f"GET / HTTP/1.1\r\nHost: {attacking.host_of(aws)}\r\n\r\n".encode()
    got = attacking.answers(attacking.raw(aws, good * 3, half_close=True, seconds=5))
    assert [answer.status for answer in got] == [403, 403, 403]


def test_nobody_unknown_says_how_a_public_object_is_shown(aws: Any, bucket: str) -> None:
    """Otherwise a link to a harmless text shows it as a page with its script."""
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"<script>", ContentType="text/plain")
    aws.s3.delete_public_access_block(Bucket=bucket)
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
    aws.s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert attacking.ask(aws, "GET", f"/{bucket}/k").headers["content-type"] == "text/plain"
    answer = attacking.ask(aws, "GET", f"/{bucket}/k?response-content-type=text%2Fhtml")
    assert (answer.status, answer.code) == (400, "InvalidRequest")

"""A presigned URL of signature version 2 is worth one request, however it is turned."""

from __future__ import annotations

from typing import Any

import attacking
import pytest
from botocore.config import Config


@pytest.fixture
def target(aws: Any, bucket: str) -> str:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    aws.s3.put_object(Bucket=bucket, Key="other", Body=b"y")
    client = aws.client("s3", config=Config(signature_version="s3", s3={"addressing_style": "path"}))
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    return str(url[len(aws.endpoint) :])


def test_it_reads_what_it_was_made_for(aws: Any, target: str) -> None:
    assert attacking.ask(aws, "GET", target).body == b"x"


FORM = {"Content-Type": attacking.FORM}
TURNS: dict[str, tuple[str, tuple[str, str], dict[str, str]]] = {
    "another method": ("PUT", ("", ""), {}),
    "another key": ("GET", ("/k?", "/other?"), {}),
    "a slash more": ("GET", ("/k?", "//k?"), {}),
    "a sub-resource": ("GET", ("&Signature=", "&acl&Signature="), {}),
    "another service": ("POST", ("", ""), FORM),
    "a target": ("POST", ("", ""), {"X-Amz-Target": "TrentService.ListKeys"}),
    "a copy": ("PUT", ("", ""), {"x-amz-copy-source": "/b/k"}),
    "a header": ("GET", ("", ""), {"x-amz-checksum-mode": "ENABLED"}),
    "a content type": ("GET", ("", ""), {"Content-Type": "text/plain"}),
    "a later expiry": ("GET", ("Expires=", "Expires=9"), {}),
    "both versions": ("GET", ("&Signature=", "&X-Amz-Signature=0&Signature="), {}),
    "a header's signature": ("GET", ("", ""), {"Authorization": "AWS4-HMAC-SHA256 a"}),
    "a parameter twice": ("GET", ("&Signature=", "&signature=a&Signature="), {}),
    "how it is shown": ("GET", ("&Signature=", "&response-content-type=text%2Fhtml&Signature="), {}),
    "another action": ("POST", ("&Signature=", "&Action=ListUsers&Version=2010-05-08&Signature="), {}),
}


@pytest.mark.parametrize(("method", "change", "headers"), TURNS.values(), ids=TURNS.keys())
def test_it_is_good_for_nothing_else(
    aws: Any, target: str, method: str, change: tuple[str, str], headers: dict[str, str]
) -> None:
    turned = target.replace(*change) if change[0] else target
    body = b"Action=CreateUser&Version=2010-05-08&UserName=mallory" if method == "POST" else b""
    answer = attacking.ask(aws, method, turned, headers, body)
    assert 400 <= answer.status < 500, answer
    assert aws.iam.list_users()["Users"] == []

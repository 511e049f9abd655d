"""An error that quotes what a client sent is still an error that a client can read."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import attacking
import pytest

NASTY = [
    "\x00",
    "\x01\x0b\x0c\x1f",
    "\r\n\t",
    "￾￿",
    "]]>",
    "<Code>InternalError</Code>",
    "&#0;&amp;",
    "\U0001f511",
    '"' * 3,
]


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_errors_of_s3_are_xml_whatever_they_quote(aws: Any, bucket: str, text: str) -> None:
    answer = attacking.s3(aws, "GET", f"/{bucket}/{quote(text)}")
    assert answer.status == 404
    root = ElementTree.fromstring(answer.body)
    assert root.findtext("Code") == "NoSuchKey"
    if text.isprintable():
        assert root.findtext("Key") == text


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_errors_of_iam_are_xml_whatever_they_quote(aws: Any, text: str) -> None:
    answer = attacking.call(aws, "iam", "GetUser", b"UserName=" + quote(text).encode())
    assert answer.status == 400
    root = ElementTree.fromstring(answer.body)
    assert root.findtext("{*}Error/{*}Code") == "ValidationError"


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_what_a_client_sends_cannot_break_out_of_a_header(aws: Any, bucket: str, text: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"")
    target = f"/{bucket}/k?response-content-disposition={quote(f'{text}x: y', safe='')}"
    answer = attacking.s3(aws, "GET", target)
    assert answer.status == 200
    assert "x" not in answer.headers

"""Bodies beyond 1 MiB: whose are taken, how many at a time, and that the limit of SAML metadata is AWS's."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import attacking
import pytest
from botocore.exceptions import ClientError

sys.path.insert(0, str(Path(__file__).parents[1] / "federation"))  # saml_forge.py

from saml_forge import Forge

from freehold.errors import ValidationException
from freehold.protocol import urls, xml_write

MOST = 10_000_000
FORM = {"Content-Type": attacking.FORM}
CREATE = b"Action=CreateSAMLProvider&Version=2010-05-08&Name=corp&SAMLMetadataDocument="


@pytest.fixture(scope="module")
def metadata() -> str:
    return Forge().metadata()


def padded(metadata: str, characters: int) -> str:
    """As long as this, by comments whose text is beyond ASCII now and then."""
    declaration, mark, rest = metadata.partition("?>") if metadata.startswith("<?xml") else ("", "", metadata)
    comment = f"<!--{'é%&+ ' + 'x' * 9988}-->"
    assert len(comment) == 10_000
    room = characters - len(metadata)
    return declaration + mark + comment * (room // 10_000) + " " * (room % 10_000) + rest


def head(aws: Any, body: bytes) -> bytes:
    """A signed request's head, for a body that may come later, or never."""
    whole = attacking.request(aws, "POST", "/", attacking.signed(aws, "iam", "POST", "/", FORM, body), body)
    return whole[: len(whole) - len(body)]


def code(error: Any) -> str:
    return str(error.value.response["Error"]["Code"])


def test_metadata_is_as_long_as_in_aws_and_no_longer(aws: Any, metadata: str) -> None:
    most = padded(metadata, MOST)
    assert len(most) == MOST
    arn = aws.iam.create_saml_provider(Name="corp", SAMLMetadataDocument=most)["SAMLProviderArn"]
    assert aws.iam.get_saml_provider(SAMLProviderArn=arn)["SAMLMetadataDocument"] == most
    aws.iam.update_saml_provider(SAMLProviderArn=arn, SAMLMetadataDocument=padded(metadata, 2_000_000))
    assert len(aws.iam.get_saml_provider(SAMLProviderArn=arn)["SAMLMetadataDocument"]) == 2_000_000
    with pytest.raises(ClientError) as refused:
        aws.iam.create_saml_provider(Name="more", SAMLMetadataDocument=most + "z")
    assert code(refused) == "ValidationError"
    (event, *_) = aws.cloudtrail.lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateSAMLProvider"}]
    )["Events"]
    assert len(event["CloudTrailEvent"]) < 100_000


REFUSED_UNREAD = {
    "nobody's": lambda aws: {**FORM},
    "an unknown key's": lambda aws: {
        **FORM,
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20261124/us-east-1/iam/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}",
    },
    "for another service": lambda aws: attacking.signed(aws, "sts", "POST", "/", FORM, b"x"),
    "in json": lambda aws: attacking.signed(aws, "kms", "POST", "/", {"X-Amz-Target": "TrentService.Encrypt"}, b"x"),
}


@pytest.mark.parametrize("what", REFUSED_UNREAD)
def test_a_large_body_is_refused_before_it_comes(aws: Any, what: str) -> None:
    headers = {**REFUSED_UNREAD[what](aws), "Content-Length": "20000000"}
    began = time.monotonic()
    (answer,) = attacking.answers(attacking.raw(aws, attacking.request(aws, "POST", "/", headers)))
    assert (answer.status, answer.code) == (413, "RequestEntityTooLarge")
    assert time.monotonic() - began < 5


def test_more_than_any_operation_takes_is_refused_before_it_comes(aws: Any) -> None:
    for size in ("31000001", "9" * 4000):
        headers = {**attacking.signed(aws, "iam", "POST", "/", FORM, b"x"), "Content-Length": size}
        got = attacking.raw(aws, attacking.request(aws, "POST", "/", headers))
        assert got.startswith((b"HTTP/1.1 413", b"HTTP/1.1 400")), got[:100]


def test_a_large_body_for_another_operation_is_refused(aws: Any) -> None:
    body = b"Action=CreatePolicy&Version=2010-05-08&PolicyName=p&PolicyDocument=" + b"x" * 2_000_000
    answer = attacking.ask(aws, "POST", "/", attacking.signed(aws, "iam", "POST", "/", FORM, body), body)
    assert (answer.status, answer.code) == (413, "RequestEntityTooLarge")


def test_a_large_body_whose_signature_is_wrong_is_not_decoded(aws: Any) -> None:
    body = CREATE + b"%" * 2_000_000  # decoding it would be refused as malformed
    headers = attacking.signed(aws, "iam", "POST", "/", FORM, b"another body")
    answer = attacking.ask(aws, "POST", "/", headers, body)
    assert answer.code == "SignatureDoesNotMatch"
    wanted = [{"AttributeKey": "EventName", "AttributeValue": "CreateSAMLProvider"}]
    (event,) = aws.cloudtrail.lookup_events(LookupAttributes=wanted)["Events"]
    assert json.loads(event["CloudTrailEvent"])["errorCode"] == "SignatureDoesNotMatch"
    assert json.loads(event["CloudTrailEvent"])["requestID"] == answer.headers["x-amzn-requestid"]
    answer = attacking.ask(aws, "POST", "/", attacking.signed(aws, "iam", "POST", "/", FORM, body), body)
    assert answer.code in ("MalformedInput", "MalformedQueryString", "ValidationError")


def test_an_account_has_one_large_request_at_a_time(freehold_server: Any, aws: Any, metadata: str) -> None:
    body = CREATE + quote_plus(padded(metadata, 2_000_000)).encode()
    other = freehold_server.new_account()
    with attacking.connect(aws) as holding:
        holding.sendall(head(aws, body) + body[:1000])
        deadline = time.monotonic() + 10
        while True:  # until the server has looked at the first
            answer = attacking.ask(aws, "POST", "/", attacking.signed(aws, "iam", "POST", "/", FORM, body), body)
            if answer.code == "Throttling" or time.monotonic() > deadline:
                break
        assert (answer.status, answer.code) == (400, "Throttling")
        made = other.iam.create_saml_provider(Name="corp", SAMLMetadataDocument=padded(metadata, 2_000_000))
        assert made["SAMLProviderArn"]
        assert aws.iam.list_saml_providers()["SAMLProviderList"] == []  # others of the account go on
        holding.sendall(body[1000:])
        assert holding.recv(65_536).startswith(b"HTTP/1.1 200")
    aws.iam.create_saml_provider(Name="next", SAMLMetadataDocument=padded(metadata, 2_000_000))


def test_whoever_goes_away_gives_the_place_back(aws: Any, metadata: str) -> None:
    document = padded(metadata, 2_000_000)
    body = CREATE + quote_plus(document).encode()
    with attacking.connect(aws) as leaving:
        leaving.sendall(head(aws, body) + body[:1000])
        time.sleep(0.2)
    deadline = time.monotonic() + 10
    answer = None
    while answer is None or (answer.code == "Throttling" and time.monotonic() < deadline):
        answer = attacking.ask(aws, "POST", "/", attacking.signed(aws, "iam", "POST", "/", FORM, body), body)
    assert answer.status == 200


def test_metadata_of_nothing_but_tags_is_refused(aws: Any, metadata: str) -> None:
    document = metadata + "<a/>" * 600_000
    with pytest.raises(ClientError) as refused:
        aws.iam.create_saml_provider(Name="corp", SAMLMetadataDocument=document)
    assert code(refused) == "InvalidInput"
    assert "more than 500,000 tags" in refused.value.response["Error"]["Message"]


@pytest.mark.parametrize("offset", range(8))
def test_long_text_is_decoded_as_short_text_is(offset: int) -> None:
    plain = "a" * offset + "é%&" * 30_000
    assert urls.decoded(quote_plus(plain), ValidationException) == plain
    broken = "a" * offset + "%41" * 50_000 + "%4"
    with pytest.raises(ValidationException):
        urls.decoded(broken, ValidationException)


def test_long_text_is_written_as_short_text_is() -> None:
    text = '<é>&&amp;\r\n\t\x0c\ufffe"]]>'
    assert xml_write._text(text * 10_000) == xml_write._text(text) * 10_000
    assert xml_write._text(text) == '&lt;é&gt;&amp;&amp;amp;&#13;\n\t&#12;&#65534;"]]&gt;'

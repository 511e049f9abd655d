"""Bad input of every kind is answered with the protocol's own 4xx, in AWS's words where AWS has them."""

from __future__ import annotations

import json

import pytest

from freehold.errors import AwsError
from freehold.message import Request
from freehold.protocol.codec import codec
from freehold.protocol.route import route

KEY_ID = '"KeyId": "a"'


def _parse_json(operation: str, body: bytes, service: str = "kms") -> dict[str, object]:
    prefix = {"kms": "TrentService", "cloudtrail": "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"}[service]
    return _parse(Request("POST", "/", "", {"host": "h", "x-amz-target": f"{prefix}.{operation}"}, body), service)


def _parse_form(service: str, body: str) -> dict[str, object]:
    headers = {"host": "h", "content-type": "application/x-www-form-urlencoded"}
    return _parse(Request("POST", "/", "", headers, body.encode()), service)


def _parse_s3(
    method: str, path: str, query: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> dict[str, object]:
    return _parse(Request(method, path, query, {"host": "127.0.0.1", **(headers or {})}, body), "s3")


def _parse(request: Request, service: str) -> dict[str, object]:
    routed = route(request, service)
    return codec(routed.operation).parse(request, routed)


SERIALIZATION = [  # operation, body
    ("Encrypt", b"{"),
    ("Encrypt", b"[]"),
    ("Encrypt", b'"text"'),
    ("Encrypt", b"null"),
    ("Encrypt", b"\xff\xfe"),
    ("Encrypt", b'{"KeyId": "\xff"}'),
    ("Encrypt", b'{"KeyId": "a"} x'),
    ("Encrypt", b'{"KeyId": NaN}'),
    ("Encrypt", b'{"KeyId": "\\ud800"}'),
    ("Encrypt", b'{"x":' * 2000 + b"1" + b"}" * 2000),
    ("Encrypt", b"[" * 100_000),
    ("Encrypt", b'{"KeyId": 1}'),
    ("Encrypt", b'{"KeyId": true}'),
    ("Encrypt", b'{"KeyId": ["a"]}'),
    ("Encrypt", b'{"KeyId": {"a": "b"}}'),
    ("Encrypt", b'{"KeyId": "a", "Plaintext": 1}'),
    ("Encrypt", b'{"KeyId": "a", "Plaintext": "a"}'),
    ("Encrypt", b'{"KeyId": "a", "Plaintext": "YW=J"}'),
    ("Encrypt", b'{"KeyId": "a", "Plaintext": "YWJj\\n"}'),
    ("Encrypt", b'{"KeyId": "a", "Plaintext": "\xc3\xa9aaa"}'),
    ("Encrypt", b'{"KeyId": "a", "EncryptionContext": []}'),
    ("Encrypt", b'{"KeyId": "a", "EncryptionContext": {"a": 1}}'),
    ("Encrypt", b'{"KeyId": "a", "EncryptionContext": {"a": null}}'),
    ("Encrypt", b'{"KeyId": "a", "DryRun": "true"}'),
    ("Encrypt", b'{"KeyId": "a", "GrantTokens": "t"}'),
    ("Encrypt", b'{"KeyId": "a", "GrantTokens": [null]}'),
    ("GenerateRandom", b'{"NumberOfBytes": "12"}'),
    ("GenerateRandom", b'{"NumberOfBytes": 1.5}'),
    ("GenerateRandom", b'{"NumberOfBytes": true}'),
    ("GenerateRandom", b'{"NumberOfBytes": 99999999999}'),
]

TIMES = [b'"yesterday"', b"1e300", b"-1e300", b"true", b"[]", b'"2020-13-01T00:00:00Z"', b'"9999-12-31T23:59:59-10:00"']


@pytest.mark.parametrize(("operation", "body"), SERIALIZATION)
def test_json_of_the_wrong_form_or_type_is_a_serialization_exception(operation: str, body: bytes) -> None:
    with pytest.raises(AwsError) as refused:
        _parse_json(operation, body)
    assert (refused.value.code, refused.value.status) == ("SerializationException", 400)


@pytest.mark.parametrize("value", TIMES)
def test_a_time_that_is_none_is_a_serialization_exception(value: bytes) -> None:
    with pytest.raises(AwsError) as refused:
        _parse_json("LookupEvents", b'{"StartTime": ' + value + b"}", "cloudtrail")
    assert refused.value.code == "SerializationException"


VALIDATION = [  # operation, body, message
    (
        "Encrypt",
        b'{"Plaintext": "YQ=="}',
        "1 validation error detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null",
    ),
    (
        "Encrypt",
        b'{"KeyId": "a", "Plaintext": null}',
        "1 validation error detected: Value null at 'plaintext' failed to satisfy constraint: Member must not be null",
    ),
    (
        "Encrypt",
        b'{"KeyId": "", "Plaintext": ""}',
        (
            "2 validation errors detected: Value '' at 'keyId' failed to satisfy constraint: Member must have length "
            "greater than or equal to 1; Value at 'plaintext' failed to satisfy constraint: Member must have length "
            "greater than or equal to 1"
        ),
    ),
    (
        "Encrypt",
        b'{"KeyId": "a", "Plaintext": "YQ==", "EncryptionAlgorithm": "ROT13"}',
        (
            "1 validation error detected: Value 'ROT13' at 'encryptionAlgorithm' failed to satisfy "
            "constraint: Member must "
            "satisfy enum value set: [SYMMETRIC_DEFAULT, RSAES_OAEP_SHA_1, RSAES_OAEP_SHA_256, SM2PKE]"
        ),
    ),
    (
        "GenerateRandom",
        b'{"NumberOfBytes": 1025}',
        (
            "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy "
            "constraint: Member must have "
            "value less than or equal to 1024"
        ),
    ),
    (
        "CreateAlias",
        b'{"TargetKeyId": "k", "AliasName": "alias/no spaces"}',
        (
            "1 validation error detected: Value 'alias/no spaces' at 'aliasName' failed to satisfy "
            "constraint: Member must "
            "satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$"
        ),
    ),
    (
        "CreateKey",
        b'{"Tags": [{"TagKey": "", "TagValue": "v"}]}',
        (
            "1 validation error detected: Value '' at 'tags.1.member.tagKey' failed to satisfy constraint: Member must "
            "have length greater than or equal to 1"
        ),
    ),
    (
        "UntagResource",
        b'{"KeyId": "k", "TagKeys": [""]}',
        (
            "1 validation error detected: Value '[]' at 'tagKeys' failed to satisfy constraint: Member must satisfy "
            "constraint: [Member must have length greater than or equal to 1]"
        ),
    ),
]


@pytest.mark.parametrize(("operation", "body", "message"), VALIDATION)
def test_a_broken_constraint_is_told_in_awss_words(operation: str, body: bytes, message: str) -> None:
    with pytest.raises(AwsError) as refused:
        _parse_json(operation, body)
    assert (refused.value.code, refused.value.status, refused.value.message) == ("ValidationException", 400, message)


def test_a_map_of_secrets_is_not_shown_in_the_message() -> None:
    logins = json.dumps({f"provider-{number}": "secret-token" for number in range(11)})
    body = f'{{"IdentityPoolId": "us-east-1:1", "Logins": {logins}}}'.encode()
    headers = {"host": "h", "x-amz-target": "AWSCognitoIdentityService.GetId"}
    with pytest.raises(AwsError, match="Value at 'logins' failed to satisfy constraint") as refused:
        _parse(Request("POST", "/", "", headers, body), "cognito-identity")
    assert "secret-token" not in refused.value.message


def test_a_secret_is_not_shown_in_the_message() -> None:
    with pytest.raises(AwsError) as refused:
        _parse_form("iam", "Action=ChangePassword&OldPassword=%01secret-old&NewPassword=%01secret-new")
    assert "secret" not in refused.value.message
    assert "Value at 'newPassword'" in refused.value.message


def test_members_that_the_model_does_not_know_and_nulls_are_ignored() -> None:
    body = b'{"KeyId": "a", "Plaintext": "YQ==", "Other": {"x": [1]}, "DryRun": null}'
    assert _parse_json("Encrypt", body) == {"KeyId": "a", "Plaintext": b"a"}


def test_an_empty_json_body_is_an_empty_object() -> None:
    assert _parse_json("ListKeys", b"") == {}


FORMS = [  # service, body, code
    ("iam", "Action=CreateUser", "ValidationError"),
    ("iam", "Action=CreateUser&UserName=", "ValidationError"),
    ("iam", "Action=CreateUser&UserName=a%20b", "ValidationError"),
    ("iam", "Action=CreateUser&UserName=a&UserName=b", "MalformedInput"),
    ("iam", "Action=CreateUser&UserName.member.1=a", "MalformedInput"),
    ("iam", "Action=CreateUser&UserName=a&Tags=x", "MalformedInput"),
    ("iam", "Action=CreateUser&UserName=a&Tags.member.x.Key=k", "MalformedInput"),
    ("iam", "Action=CreateUser&UserName=a&Tags.member.1=k", "MalformedInput"),
    ("iam", "Action=CreateUser&UserName=a&Tags.member.1.Key=k", "ValidationError"),
    ("iam", "Action=CreateUser&UserName=a&Tags.member.1.Key=k&Tags.member.01.Key=k", "MalformedInput"),
    ("iam", "Action=CreateUser&UserName=a&" + "a." * 40 + "b=1", "MalformedInput"),
    ("iam", "Action=ListUsers&MaxItems=x", "MalformedInput"),
    ("iam", "Action=ListUsers&MaxItems=1_0", "MalformedInput"),
    ("iam", "Action=ListUsers&MaxItems=٣", "MalformedInput"),
    ("iam", "Action=ListUsers&MaxItems=99999999999", "MalformedInput"),
    ("iam", "Action=ListUsers&MaxItems=0", "ValidationError"),
    ("iam", "Action=ListUsers&MaxItems=1001", "ValidationError"),
    ("iam", "Action=ListPolicies&OnlyAttached=maybe", "MalformedInput"),
    ("iam", "Action=ListPolicies&Scope=Mine", "ValidationError"),
    ("sts", "Action=AssumeRole&RoleArn=short&RoleSessionName=s", "ValidationError"),
]


@pytest.mark.parametrize(("service", "body", "code"), FORMS)
def test_a_bad_form_is_refused(service: str, body: str, code: str) -> None:
    with pytest.raises(AwsError) as refused:
        _parse_form(service, body)
    assert (refused.value.code, refused.value.status) == (code, 400)


def test_a_query_service_lists_every_broken_constraint() -> None:
    with pytest.raises(AwsError) as refused:
        _parse_form("sts", "Action=AssumeRole&RoleArn=short&RoleSessionName=a%20b")
    assert refused.value.message == (
        "2 validation errors detected: Value 'short' at 'roleArn' failed to satisfy constraint: Member must have "
        "length greater than or equal to 20; Value 'a b' at 'roleSessionName' failed to satisfy "
        "constraint: Member must "
        "satisfy regular expression pattern: [\\w+=,.@-]*"
    )


BOMB = b'<!DOCTYPE a [<!ENTITY x "xxxx"><!ENTITY y "&x;&x;">]><Delete><Object><Key>&y;</Key></Object></Delete>'
EXTERNAL = b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><Delete><Object><Key>k</Key></Object></Delete>'
DOCUMENTS = [
    b"<",
    b"text",
    b"<Delete>",
    b"<Delete></Other>",
    b"<Other/>",
    b"<Delete/>",
    b"<Delete><Object/></Delete>",
    b"<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
    b"<Delete><Object><Key><b/></Key></Object></Delete>",
    b"<Delete><Object><Key></Key></Object></Delete>",
    b"<Delete><Unknown/><Object><Key>a</Key></Object></Delete>",
    b"<Delete>stray<Object><Key>a</Key></Object></Delete>",
    b"<Delete><Quiet>perhaps</Quiet><Object><Key>a</Key></Object></Delete>",
    b"<Delete><Object><Key>a</Key><Size>1.5</Size></Object></Delete>",
    b"<Delete><Object><Key>a</Key><LastModifiedTime>x</LastModifiedTime></Object></Delete>",
    b"<Delete><Object><Key>\xff</Key></Object></Delete>",
    b"<Delete><Object><Key>&#0;</Key></Object></Delete>",
    b"<Delete><Object><Key>&nosuch;</Key></Object></Delete>",
    b"<Delete><Object><Key>a</Key></Object></Delete><x/>",
    '<?xml version="1.0" encoding="UTF-16"?><Delete><Object><Key>a</Key></Object></Delete>'.encode("utf-16"),
    b"<a>" * 10_000,
    b"<Delete>" + b"<Object>" * 100 + b"</Object>" * 100 + b"</Delete>",
    b"<Delete>" + b"<Object><Key>a</Key></Object>" * 60_000 + b"</Delete>",
    BOMB,
    EXTERNAL,
]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_bad_xml_is_malformed_xml(document: bytes) -> None:
    with pytest.raises(AwsError) as refused:
        _parse_s3("POST", "/b", "delete", body=document)
    assert (refused.value.code, refused.value.status) == ("MalformedXML", 400)


def test_a_missing_body_is_refused_where_one_is_required() -> None:
    with pytest.raises(AwsError) as refused:
        _parse_s3("POST", "/b", "delete")
    assert refused.value.code == "MissingRequestBodyError"


@pytest.mark.parametrize("opening", ["<Delete>", '<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'])
def test_namespaces_do_not_matter(opening: str) -> None:
    body = f"<?xml version='1.0'?>{opening}<Object><Key>a&amp;b&#13;</Key></Object></Delete>".encode()
    assert _parse_s3("POST", "/b", "delete", body=body)["Delete"] == {"Objects": [{"Key": "a&b\r"}]}


ARGUMENTS = [  # method, path, query, headers, code
    ("GET", "/b", "list-type=2&max-keys=x", {}, "InvalidArgument"),
    ("GET", "/b", "list-type=2&max-keys=99999999999", {}, "InvalidArgument"),
    ("GET", "/b", "list-type=2&encoding-type=rot13", {}, "InvalidArgument"),
    ("GET", "/b", "list-type=2&fetch-owner=x", {}, "InvalidArgument"),
    ("GET", "/b/k", "partNumber=one", {}, "InvalidArgument"),
    ("GET", "/b/k", "", {"if-modified-since": "yesterday"}, "InvalidArgument"),
    ("GET", "/b/k", "", {"if-modified-since": "Sun, 31 Feb 2020 00:00:00 GMT"}, "InvalidArgument"),
    ("PUT", "/b/k", "", {"x-amz-storage-class": "CHEAP"}, "InvalidStorageClass"),
    ("PUT", "/b/k", "", {"x-amz-server-side-encryption": "rot13"}, "InvalidArgument"),
    ("PUT", "/b/k", "", {"x-amz-server-side-encryption-bucket-key-enabled": "x"}, "InvalidArgument"),
    ("PUT", "/b/k", "", {"x-amz-acl": "everyone"}, "InvalidArgument"),
    ("PUT", "/b/k", "", {"content-length": "-"}, "InvalidArgument"),
    ("PUT", "/b/k", "", {"x-amz-copy-source": "nothing"}, "InvalidArgument"),
    ("GET", "/b/k", "attributes", {"x-amz-object-attributes": "ETag,Colour"}, "InvalidArgument"),
    ("GET", "/b/k", "attributes", {}, "InvalidRequest"),
    ("PUT", "/b/k", "", {"x-amz-object-lock-retain-until-date": "soon"}, "InvalidArgument"),
]


@pytest.mark.parametrize(("method", "path", "query", "headers", "code"), ARGUMENTS)
def test_a_bad_header_or_query_parameter_is_refused(
    method: str, path: str, query: str, headers: dict[str, str], code: str
) -> None:
    with pytest.raises(AwsError) as refused:
        _parse_s3(method, path, query, headers)
    assert (refused.value.code, refused.value.status) == (code, 400)


def test_metadata_headers_are_collected_and_unknown_headers_ignored() -> None:
    headers = {"x-amz-meta-a": "1", "x-amz-meta-b-c": "", "x-other": "z", "content-type": "text/plain"}
    assert _parse_s3("PUT", "/b/k", "", headers) == {
        "Bucket": "b",
        "Key": "k",
        "ContentType": "text/plain",
        "Metadata": {"a": "1", "b-c": ""},
    }


def test_headers_that_a_presigner_moved_into_the_query_count_and_the_header_itself_wins() -> None:
    query = "X-Amz-Signature=1&X-Amz-Date=2&x-amz-storage-class=STANDARD_IA&x-amz-meta-a=1"
    params = _parse_s3("PUT", "/b/k", query, {"x-amz-meta-a": "2"})
    assert params == {"Bucket": "b", "Key": "k", "StorageClass": "STANDARD_IA", "Metadata": {"a": "2"}}


def test_a_checksum_in_a_query_is_not_the_body_s() -> None:
    query = "X-Amz-Signature=1&x-amz-checksum-crc32=AAAAAA%3D%3D&x-amz-sdk-checksum-algorithm=CRC32"
    assert _parse_s3("PUT", "/b/k", query) == {"Bucket": "b", "Key": "k"}
    header = {"x-amz-checksum-crc32": "2JMqrA=="}
    assert _parse_s3("PUT", "/b/k", query, header)["ChecksumCRC32"] == "2JMqrA=="


def test_an_empty_query_parameter_is_empty_text_or_no_number() -> None:
    assert _parse_s3("GET", "/b", "list-type=2&prefix=&max-keys=") == {"Bucket": "b", "Prefix": ""}

"""Bad input of every kind gets AWS's error in its protocol's envelope, changes nothing, and the server goes on.

The fixtures look at the server's standard error after each test: a defect that answered 500 would be there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import attacking
import pytest
from attacking import Answer

KMS = "TrentService."
LOOKUP = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"


def well_formed(answer: Answer) -> bool:
    """Whether an error is in the envelope of its protocol, with a request id."""
    kind = answer.headers.get("content-type", "")
    if "json" in kind:
        return "__type" in json.loads(answer.body) and "x-amzn-requestid" in answer.headers
    root = ElementTree.fromstring(answer.body)
    if root.tag.endswith("ErrorResponse"):
        return bool(root.findtext("{*}Error/{*}Code") and root.findtext("{*}RequestId"))
    return root.tag == "Error" and bool(root.findtext("RequestId"))


def check(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.code) == (status, code), answer.body[:500]
    assert well_formed(answer)


# --- signatures -------------------------------------------------------------------------------------------------------

CALLS = {"iam": "ListUsers", "sts": "GetCallerIdentity", "kms": KMS + "ListKeys", "cloudtrail": LOOKUP}
REFUSALS = {
    # what is wrong: (query services, json services, S3)
    "signature": ("SignatureDoesNotMatch", "InvalidSignatureException", "SignatureDoesNotMatch"),
    "signature in upper case": ("IncompleteSignature", "IncompleteSignatureException", "AuthorizationHeaderMalformed"),
    "unknown key": ("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"),
    "another region": ("SignatureDoesNotMatch", "InvalidSignatureException", "AuthorizationHeaderMalformed"),
    "another date": ("SignatureDoesNotMatch", "InvalidSignatureException", "AuthorizationHeaderMalformed"),
    "too few parts": ("IncompleteSignature", "IncompleteSignatureException", "AuthorizationHeaderMalformed"),
    "a part twice": ("IncompleteSignature", "IncompleteSignatureException", "AuthorizationHeaderMalformed"),
    "an unsigned header": ("SignatureDoesNotMatch", "InvalidSignatureException", "AccessDenied"),
    "host not signed": ("SignatureDoesNotMatch", "InvalidSignatureException", "AccessDenied"),
    "an altered token": ("InvalidClientTokenId", "UnrecognizedClientException", "InvalidToken"),
    "another body": ("SignatureDoesNotMatch", "InvalidSignatureException", "XAmzContentSHA256Mismatch"),
    "an old date": ("SignatureDoesNotMatch", "InvalidSignatureException", "AuthorizationHeaderMalformed"),
}


def broken(what: str, aws: Any, headers: dict[str, str], body: bytes) -> bytes:
    authorization = headers["Authorization"]
    last = authorization[-64:]
    if what == "signature":
        headers["Authorization"] = authorization[:-1] + ("0" if last[-1] != "0" else "1")
    elif what == "signature in upper case":
        headers["Authorization"] = authorization[:-64] + "A" + last[1:]
    elif what == "unknown key":
        headers["Authorization"] = authorization.replace(aws.access_key_id, aws.access_key_id[:-4] + "AAAA")
    elif what == "another region":
        headers["Authorization"] = authorization.replace("/us-east-1/", "/eu-north-9/")
    elif what == "another date":
        headers["Authorization"] = authorization.replace(headers["X-Amz-Date"][:8], "20200101")
    elif what == "too few parts":
        headers["Authorization"] = authorization.partition("SignedHeaders")[0] + f"Signature={last}"
    elif what == "a part twice":
        headers["Authorization"] = authorization + f", Signature={last}"
    elif what == "an unsigned header":
        headers["X-Amz-Extra"] = "1"
    elif what == "host not signed":
        headers["Authorization"] = authorization.replace(";host;", ";").replace("=host;", "=")
    elif what == "an altered token":
        headers["X-Amz-Security-Token"] = "AQ" + headers["X-Amz-Security-Token"][2:-8] + "AAAAAAA="
    elif what == "another body":
        return body + b"&"
    elif what == "an old date":
        headers["X-Amz-Date"] = "2020" + headers["X-Amz-Date"][4:]
    return body


@pytest.mark.parametrize("service", [*CALLS, "s3"])
@pytest.mark.parametrize("what", REFUSALS)
def test_a_broken_signature_is_refused_in_the_words_of_the_service(aws: Any, what: str, service: str) -> None:
    of_query, of_json, of_s3 = REFUSALS[what]
    who = aws.using(aws.sts.get_session_token()) if what == "an altered token" else aws
    if service == "s3":
        method, target, headers, body, code = "PUT", "/some-bucket-name", {}, b"", of_s3
    elif service in attacking.VERSIONS:
        headers = {"Content-Type": attacking.FORM}
        body = f"Action={CALLS[service]}&Version={attacking.VERSIONS[service]}".encode()
        method, target, code = "POST", "/", of_query
    else:
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": CALLS[service]}
        method, target, body, code = "POST", "/", b"{}", of_json
    fields = attacking.signed(who, service, method, target, headers, body)
    body = broken(what, who, fields, body)
    answer = attacking.ask(aws, method, target, fields, body)
    assert answer.code == code, answer.body
    assert 400 <= answer.status <= 403
    assert well_formed(answer)
    assert aws.s3.list_buckets()["Buckets"] == []


@pytest.mark.parametrize(
    ("service", "code"), {"iam": "MissingAuthenticationToken", "sts": "MissingAuthenticationToken"}.items()
)
def test_a_form_without_a_signature_is_refused(aws: Any, service: str, code: str) -> None:
    body = f"Action={CALLS[service]}&Version={attacking.VERSIONS[service]}".encode()
    check(attacking.ask(aws, "POST", "/", {"Content-Type": attacking.FORM}, body), 403, code)


def test_json_without_a_signature_is_refused(aws: Any) -> None:
    answer = attacking.ask(aws, "POST", "/", {"X-Amz-Target": KMS + "ListKeys"}, b"{}")
    check(answer, 400, "MissingAuthenticationTokenException")


@pytest.mark.parametrize(("method", "target"), [("GET", "/"), ("PUT", "/new-bucket-name"), ("GET", "/?policy")])
def test_s3_without_a_signature_is_refused(aws: Any, method: str, target: str) -> None:
    answer = attacking.ask(aws, method, target)
    assert answer.status in (403, 405)
    assert well_formed(answer)


SHAPES = [
    "Basic YTpi",
    "Bearer x",
    "AWS a:b",
    "AWS4-HMAC-SHA256",
    "AWS4-HMAC-SHA256 ",
    "AWS4-HMAC-SHA256 a",
    "\xff\xfe",
    ",",
]


@pytest.mark.parametrize(
    "value", [*SHAPES, "AWS4-HMAC-SHA256 " + "Credential=a," * 500, "AWS4-ECDSA-P256-SHA256 x=y"], ids=ascii
)
def test_an_authorization_of_another_kind_is_refused(aws: Any, value: str) -> None:
    for method, target, headers in (
        ("GET", "/b/k", {}),
        ("POST", "/", {"X-Amz-Target": KMS + "ListKeys"}),
        ("POST", "/", {"Content-Type": attacking.FORM}),
    ):
        answer = attacking.ask(
            aws, method, target, {**headers, "Authorization": value}, b"" if method == "GET" else b"{}"
        )
        assert 400 <= answer.status <= 404
        assert well_formed(answer)


def test_expired_tokens_are_refused(server: Any, aws: Any) -> None:
    token = aws.using(aws.sts.get_session_token(DurationSeconds=900))
    server.advance(seconds=901)
    check(attacking.call(token, "sts", "GetCallerIdentity"), 403, "ExpiredToken")
    check(attacking.call(token, "kms", KMS + "ListKeys", b"{}"), 400, "ExpiredTokenException")
    check(attacking.s3(token, "GET", "/"), 400, "ExpiredToken")


# --- JSON -------------------------------------------------------------------------------------------------------------

JSON = {
    "cut": (b"{", 400, "SerializationException"),
    "no object": (b"[]", 400, "SerializationException"),
    "null": (b"null", 400, "SerializationException"),
    "no UTF-8": (b'{"NumberOfBytes":"\xff"}', 400, "SerializationException"),
    "UTF-16": ('{"NumberOfBytes":5}'.encode("utf-16"), 400, "SerializationException"),
    "a mark of the byte order": (b"\xef\xbb\xbf{}", 400, "SerializationException"),
    "half a surrogate pair": (b'{"NumberOfBytes":"\\ud800"}', 400, "SerializationException"),
    "deep": (b'{"NumberOfBytes":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, "SerializationException"),
    "NaN": (b'{"NumberOfBytes":NaN}', 400, "SerializationException"),
    "infinite": (b'{"NumberOfBytes":1e400}', 400, "SerializationException"),
    "5,000 digits": (b'{"NumberOfBytes":' + b"9" * 5000 + b"}", 400, "SerializationException"),
    "negative": (b'{"NumberOfBytes":-1}', 400, "ValidationException"),
    "a fraction": (b'{"NumberOfBytes":1.5}', 400, "SerializationException"),
    "a boolean": (b'{"NumberOfBytes":true}', 400, "SerializationException"),
    "too large": (b'{"a":"' + b"a" * (1024 * 1024) + b'"}', 413, "RequestEntityTooLarge"),
}


@pytest.mark.parametrize(("body", "status", "code"), JSON.values(), ids=JSON.keys())
def test_bad_json_is_refused(aws: Any, body: bytes, status: int, code: str) -> None:
    check(attacking.call(aws, "kms", KMS + "GenerateRandom", body), status, code)


@pytest.mark.parametrize(
    "target", ["", "TrentService.", "TrentService.Nope", "TrentService.encrypt", "../x", "a" * 9000]
)
def test_an_unknown_target_is_refused(aws: Any, target: str) -> None:
    check(attacking.call(aws, "kms", target, b"{}"), 400, "UnknownOperationException")


KEY_NAMES = {
    "a\0b": "NotFoundException",
    "alias/../x": "NotFoundException",
    "alias/": "NotFoundException",
    "arn:::::": "InvalidArnException",
    "arn:aws:s3:::b": "InvalidArnException",
    "arn:aws:kms:us-east-1:1:key/00000000-0000-0000-0000-000000000000": "InvalidArnException",
    "arn:aws:kms:us-east-1:111122223333:role/x": "InvalidArnException",
    "a" * 3000: "ValidationException",
    "": "ValidationException",
}


@pytest.mark.parametrize(("name", "code"), KEY_NAMES.items(), ids=lambda value: ascii(value)[:40])
def test_what_names_no_key_is_refused(aws: Any, name: str, code: str) -> None:
    body = json.dumps({"KeyId": name, "Plaintext": "eA=="}).encode()
    check(attacking.call(aws, "kms", KMS + "Encrypt", body), 400, code)


TIMES = [
    {"StartTime": 1e300},
    {"StartTime": "x"},
    {"StartTime": -1e18},
    {"StartTime": 2e9, "EndTime": 1},
    {"MaxResults": 0},
    {"NextToken": "é"},
    {"LookupAttributes": [{"AttributeKey": "X", "AttributeValue": "y"}]},
]


@pytest.mark.parametrize("params", TIMES, ids=str)
def test_bad_lookups_are_refused(aws: Any, params: dict[str, Any]) -> None:
    answer = attacking.call(aws, "cloudtrail", LOOKUP, json.dumps(params).encode())
    assert answer.status == 400
    assert well_formed(answer)


@pytest.mark.parametrize("params", [{"EndTime": 253402300799}, {"StartTime": -62135596800}, {"EndTime": 0}], ids=str)
def test_the_ends_of_time_are_times(aws: Any, params: dict[str, Any]) -> None:
    assert attacking.call(aws, "cloudtrail", LOOKUP, json.dumps(params).encode()).status == 200


# --- forms ------------------------------------------------------------------------------------------------------------

FORMS = {
    "twice": (b"UserName=a&UserName=b", "MalformedInput"),
    "a value and a structure": (b"UserName=a&UserName.x=1", "MalformedInput"),
    "deep": (b"Tags" + b".a" * 100 + b"=1", "MalformedInput"),
    "a stray percent sign": (b"UserName=%zz", "MalformedInput"),
    "no UTF-8": (b"UserName=%ff", "MalformedInput"),
    "raw bytes": (b"UserName=\xff", "MalformedInput"),
    "too many fields": (b"&".join(b"a%d=1" % number for number in range(6000)), "MalformedInput"),
    "a member below zero": (b"UserName=z&Tags.member.-1.Key=a", "MalformedInput"),
    "a member too far": (b"UserName=z&Tags.member.99999999999.Key=a", "MalformedInput"),
    "a path as a name": (b"UserName=../../etc", "ValidationError"),
    "a zero byte": (b"UserName=a%00b", "ValidationError"),
    "too long": (b"UserName=" + b"a" * 65, "ValidationError"),
    "not a path": (b"UserName=z&Path=no", "ValidationError"),
    "letters that aren't ASCII": ("UserName=ıı".encode(), "ValidationError"),
    "empty": (b"UserName=", "ValidationError"),
    "a boundary that is no ARN": (b"UserName=z&PermissionsBoundary=no", "ValidationError"),
}


@pytest.mark.parametrize(("body", "code"), FORMS.values(), ids=FORMS.keys())
def test_bad_forms_are_refused(aws: Any, body: bytes, code: str) -> None:
    check(attacking.call(aws, "iam", "CreateUser", body), 400, code)
    assert aws.iam.list_users()["Users"] == []


@pytest.mark.parametrize(
    ("action", "code"), {"": "MissingAction", "Nope": "InvalidAction", "../x": "InvalidAction"}.items()
)
def test_an_unknown_action_is_refused(aws: Any, action: str, code: str) -> None:
    check(attacking.call(aws, "iam", action), 400, code)


ROLES = [
    "x" * 30,
    "arn:aws:iam::abc:role/..%2F..",
    "arn:aws:iam::111122223333:user/nobody",
    "arn:aws:s3:::role/a-long-one",
]


@pytest.mark.parametrize("role", ROLES)
def test_what_is_no_role_is_not_assumed(aws: Any, role: str) -> None:
    user = aws.new_user(
        "u", {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    )
    answer = attacking.call(user, "sts", "AssumeRole", f"RoleArn={quote(role)}&RoleSessionName=ab".encode())
    assert (answer.status, answer.code) in ((400, "ValidationError"), (403, "AccessDenied"))
    assert well_formed(answer)


# --- policies ---------------------------------------------------------------------------------------------------------


def statement(**changes: Any) -> str:
    elements = {"Effect": "Allow", "Action": "*", "Resource": "*", **changes}
    present = {name: value for name, value in elements.items() if value is not ...}
    return json.dumps({"Version": "2012-10-17", "Statement": [present]})


POLICIES = {
    "cut": "{",
    "a list": "[]",
    "a number": "1",
    "an unknown version": statement().replace("2012-10-17", "2013-01-01"),
    "no statement": '{"Version":"2012-10-17","Statement":[]}',
    "null": '{"Version":null,"Statement":null}',
    "an element twice": '{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}',
    "deep": '{"Version":"2012-10-17","Statement":' + "[" * 500 + "]" * 500 + "}",
    "half a surrogate pair": statement(Sid="\ud800"),
    "an unknown element": statement(Foo=1),
    "an unknown operator": statement(Condition={"StringFoo": {"aws:x": "y"}}),
    "an operator twice negated": statement(Condition={"ForNoValue:StringEquals": {"aws:x": "y"}}),
    "conditions in a list": statement(Condition=[]),
    "a condition on an object": statement(Condition={"StringEquals": {"aws:x": {}}}),
    "no address": statement(Condition={"IpAddress": {"aws:SourceIp": "999.1.1.1"}}),
    "no date": statement(Condition={"DateLessThan": {"aws:CurrentTime": "yesterday"}}),
    "no number": statement(Condition={"NumericLessThan": {"s3:max-keys": "x"}}),
    "no base64": statement(Condition={"BinaryEquals": {"a:x": "!!"}}),
    "neither true nor false": statement(Condition={"Null": {"a:x": "maybe"}}),
    "an open variable": statement(Resource="arn:aws:s3:::${aws:username"),
    "an action without a service": statement(Action="s3"),
    "an action of three parts": statement(Action="s3:a:b"),
    "an action that is a number": statement(Action=1),
    "no action": statement(Action=...),
    "an action and its opposite": statement(NotAction="*"),
    "a resource that is no ARN": statement(Resource="foo"),
    "an effect in lower case": statement(Effect="allow"),
}


@pytest.mark.parametrize("text", POLICIES.values(), ids=POLICIES.keys())
def test_a_policy_that_is_not_understood_is_refused_everywhere(aws: Any, bucket: str, text: str) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    before = aws.kms.get_key_policy(KeyId=key)["Policy"]
    aws.iam.create_user(UserName="u")
    encoded = quote(text.encode("utf-8", "surrogatepass")).encode()
    for service, action, fields in (
        ("iam", "PutUserPolicy", b"UserName=u&PolicyName=p&PolicyDocument="),
        ("iam", "CreatePolicy", b"PolicyName=p&PolicyDocument="),
        ("iam", "CreateRole", b"RoleName=r&AssumeRolePolicyDocument="),
        ("sts", "GetFederationToken", b"Name=ab&Policy="),
    ):
        check(attacking.call(aws, service, action, fields + encoded), 400, "MalformedPolicyDocument")
    check(
        attacking.s3(aws, "PUT", f"/{bucket}?policy", {}, text.encode("utf-8", "surrogatepass")), 400, "MalformedPolicy"
    )
    if "\\ud800" not in text:
        body = json.dumps({"KeyId": key, "Policy": text}).encode()
        check(attacking.call(aws, "kms", KMS + "PutKeyPolicy", body), 400, "MalformedPolicyDocumentException")
    assert aws.kms.get_key_policy(KeyId=key)["Policy"] == before
    assert aws.iam.list_user_policies(UserName="u")["PolicyNames"] == []
    assert aws.iam.list_policies(Scope="Local")["Policies"] == []
    assert aws.iam.list_roles()["Roles"] == []
    assert attacking.s3(aws, "GET", f"/{bucket}?policy").code == "NoSuchBucketPolicy"


# --- XML --------------------------------------------------------------------------------------------------------------

ENTITIES = '<!DOCTYPE Delete [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">%s]>'
XML = {
    "cut": b"<Delete",
    "an entity": (ENTITIES % "" + "<Delete><Object><Key>&a;</Key></Object></Delete>").encode(),
    "a bomb": (ENTITIES % '<!ENTITY c "&b;&b;&b;&b;">' + "<Delete><Object><Key>&c;</Key></Object></Delete>").encode(),
    "a file": b'<!DOCTYPE D [<!ENTITY x SYSTEM "file:///etc/passwd">]><Delete><Object><Key>&x;</Key></Object></Delete>',
    "a document type": b'<!DOCTYPE a SYSTEM "http://localhost/x"><Delete/>',
    "deep": b"<a>" * 5000 + b"</a>" * 5000,
    "UTF-16": "<Delete/>".encode("utf-16"),
    "no UTF-8": b"<Delete>\xff</Delete>",
    "another root": b"<Foo/>",
    "two roots": b"<Delete/><Delete/>",
    "nothing to delete": b"<Delete/>",
    "an unknown element": b"<Delete><Object><Key>k</Key><Foo/></Object></Delete>",
    "too many": b"<Delete>" + b"<Object><Key>k</Key></Object>" * 1001 + b"</Delete>",
    "text": b"<Delete><![CDATA[x]]></Delete>",
    "no boolean": b"<Delete><Quiet>maybe</Quiet><Object><Key>k</Key></Object></Delete>",
    "an attribute twice": b'<Delete a="1" a="2"><Object><Key>k</Key></Object></Delete>',
}


@pytest.mark.parametrize("document", XML.values(), ids=XML.keys())
def test_bad_xml_is_refused(aws: Any, bucket: str, document: bytes) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    md5 = base64.b64encode(hashlib.md5(document).digest()).decode()
    start = time.monotonic()
    check(attacking.s3(aws, "POST", f"/{bucket}?delete", {"Content-MD5": md5}, document), 400, "MalformedXML")
    assert time.monotonic() - start < 2
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_a_document_beyond_the_limit_is_refused(aws: Any, bucket: str) -> None:
    document = b"<Delete>" + b" " * (4 * 1024 * 1024) + b"</Delete>"
    check(attacking.s3(aws, "POST", f"/{bucket}?delete", {}, document), 400, "MaxMessageLengthExceeded")


# --- names, arguments and bodies of S3 --------------------------------------------------------------------------------

BUCKETS = [
    "..",
    "a",
    "AAAAA",
    "a_b",
    "a..b",
    "-ab",
    "192.168.0.1",
    "a" * 64,
    "..%2F..",
    "x%00y",
    "b%20b",
    "%C3%A9",
]


@pytest.mark.parametrize("name", BUCKETS)
def test_bad_bucket_names_are_refused(aws: Any, name: str) -> None:
    answer = attacking.s3(aws, "PUT", f"/{name}")
    assert answer.code == "InvalidBucketName"
    assert well_formed(answer)
    assert aws.s3.list_buckets()["Buckets"] == []


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "..", ".", "a/../b", "//a", "a//b", "/", "a\\b", "k\x00", "~", "%2e%2e"], ids=ascii
)
def test_a_key_is_a_name_and_never_a_path(server: Any, aws: Any, bucket: str, key: str) -> None:
    target = f"/{bucket}/{quote(key)}"
    assert attacking.s3(aws, "PUT", target, {}, key.encode() * 5000).status == 200
    assert attacking.s3(aws, "GET", target).body == key.encode() * 5000
    listed = attacking.s3(aws, "GET", f"/{bucket}?encoding-type=url&list-type=2").body
    assert ElementTree.fromstring(listed).findtext("{*}Contents/{*}Key") == quote(key, safe="/*-._")
    names = [str(path.relative_to(server.data)) for path in server.data.rglob("*")]
    assert not any(".." in name or "passwd" in name for name in names)
    assert attacking.s3(aws, "DELETE", target).status == 204


TARGETS: dict[str, tuple[int, str]] = {
    "/k": (404, "NoSuchBucket"),
    "//k": (400, "InvalidURI"),
    "/BUCKET/%zz": (400, "InvalidURI"),
    "/BUCKET/%ff": (400, "InvalidURI"),
    "/BUCKET/" + "k" * 1025: (400, "KeyTooLongError"),
    "/BUCKET/k?partNumber=0": (400, "InvalidArgument"),
    "/BUCKET/k?partNumber=x": (400, "InvalidArgument"),
    "/BUCKET/k?versionId=1": (501, "NotImplemented"),
    "/BUCKET?list-type=3": (400, "InvalidArgument"),
    "/BUCKET?list-type=2&max-keys=x": (400, "InvalidArgument"),
    "/BUCKET?list-type=2&max-keys=99999999999": (400, "InvalidArgument"),
    "/BUCKET?list-type=2&continuation-token=%21%21": (400, "InvalidArgument"),
    "/BUCKET?list-type=2&encoding-type=x": (400, "InvalidArgument"),
    "/BUCKET/k?uploadId=x": (404, "NoSuchUpload"),
    "/BUCKET?acl&tagging": (400, "InvalidArgument"),
    "/BUCKET?x&x": (400, "InvalidArgument"),
    "/?max-buckets=0": (400, "InvalidArgument"),
    "/?continuation-token=_w%3D%3D": (400, "InvalidArgument"),
}


@pytest.mark.parametrize(("target", "refusal"), TARGETS.items(), ids=lambda value: ascii(value)[:50])
def test_bad_targets_of_s3_are_refused(aws: Any, bucket: str, target: str, refusal: tuple[int, str]) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    check(attacking.s3(aws, "GET", target.replace("BUCKET", bucket)), *refusal)


PUTS: list[tuple[dict[str, str], str]] = [
    ({"x-amz-copy-source": "x"}, "InvalidArgument"),
    ({"x-amz-copy-source": "/b/%ff"}, "InvalidArgument"),
    ({"x-amz-copy-source": "/../etc/passwd"}, "NoSuchBucket"),
    ({"Content-MD5": "x"}, "InvalidDigest"),
    ({"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "BadDigest"),
    ({"x-amz-checksum-crc32": "AAAAAA=="}, "BadDigest"),
    ({"x-amz-checksum-crc32": "x"}, "InvalidRequest"),
    ({"x-amz-server-side-encryption": "x"}, "InvalidArgument"),
    ({"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-context": "x"}, "InvalidArgument"),
    ({"x-amz-meta-a": "a" * 3000}, "MetadataTooLarge"),
    ({"x-amz-storage-class": "X"}, "InvalidStorageClass"),
    ({"x-amz-acl": "public-read"}, "AccessControlListNotSupported"),
    ({"x-amz-content-sha256": "abc"}, "InvalidArgument"),
    ({"x-amz-content-sha256": "0" * 64}, "XAmzContentSHA256Mismatch"),
    ({"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"}, "MissingContentLength"),
    (
        {"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "x-amz-decoded-content-length": "2"},
        "IncompleteBody",
    ),
    (
        {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-decoded-content-length": "99"},
        "IncompleteBody",
    ),
]


@pytest.mark.parametrize(("headers", "code"), PUTS, ids=lambda value: ascii(value)[:70])
def test_a_put_that_contradicts_itself_changes_nothing(
    aws: Any, bucket: str, headers: dict[str, str], code: str
) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    answer = attacking.s3(aws, "PUT", f"/{bucket}/k", headers, b"yy")
    assert answer.code == code, answer.body
    assert well_formed(answer)
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_a_body_that_breaks_off_changes_nothing(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    for length in (100, 100_000):
        headers = attacking.signed(aws, "s3", "PUT", f"/{bucket}/k", {"Content-Length": str(length)}, b"y" * length)
        head = attacking.request(aws, "PUT", f"/{bucket}/k", headers)
        assert attacking.raw(aws, head + b"y" * (length - 1), half_close=True) == b""
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_what_is_not_implemented_is_told_to_those_who_are_known_only(aws: Any, bucket: str) -> None:
    target = f"/{bucket}?analytics&id=x"
    headers = attacking.signed(aws, "s3", "GET", target)
    check(attacking.ask(aws, "GET", target, headers), 501, "NotImplemented")
    headers["Authorization"] = headers["Authorization"][:-1] + ("0" if headers["Authorization"][-1] != "0" else "1")
    check(attacking.ask(aws, "GET", target, headers), 403, "SignatureDoesNotMatch")

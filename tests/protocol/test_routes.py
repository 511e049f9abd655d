"""Which operation a request means, and which bucket and key, exactly."""

from __future__ import annotations

import pytest

from freehold.errors import AwsError
from freehold.message import Request
from freehold.protocol import hosts
from freehold.protocol.route import Router, route

S3_ROUTES = [  # method, path, query, headers, operation
    ("GET", "/", "", {}, "ListBuckets"),
    ("GET", "/", "x-id=ListBuckets", {}, "ListBuckets"),
    ("PUT", "/b", "", {}, "CreateBucket"),
    ("PUT", "/b/", "", {}, "CreateBucket"),
    ("HEAD", "/b", "", {}, "HeadBucket"),
    ("DELETE", "/b", "", {}, "DeleteBucket"),
    ("GET", "/b", "", {}, "ListObjects"),
    ("GET", "/b", "prefix=uploads", {}, "ListObjects"),
    ("GET", "/b", "list-type=2&prefix=a", {}, "ListObjectsV2"),
    ("GET", "/b", "location", {}, "GetBucketLocation"),
    ("GET", "/b", "location=", {}, "GetBucketLocation"),
    ("GET", "/b", "policy", {}, "GetBucketPolicy"),
    ("GET", "/b", "policyStatus", {}, "GetBucketPolicyStatus"),
    ("GET", "/b", "uploads", {}, "ListMultipartUploads"),
    ("GET", "/b", "versions", {}, "ListObjectVersions"),
    ("GET", "/b", "lifecycle", {}, "GetBucketLifecycleConfiguration"),
    ("PUT", "/b", "notification", {}, "PutBucketNotificationConfiguration"),
    ("GET", "/b", "analytics", {}, "ListBucketAnalyticsConfigurations"),
    ("GET", "/b", "analytics&id=1", {}, "GetBucketAnalyticsConfiguration"),
    ("POST", "/b", "delete", {}, "DeleteObjects"),
    ("GET", "/b/k", "", {}, "GetObject"),
    ("GET", "/b/k", "partNumber=1", {}, "GetObject"),
    ("GET", "/b/k", "response-content-type=a", {}, "GetObject"),
    ("GET", "/b/k", "uploadId=1", {}, "ListParts"),
    ("GET", "/b/k", "tagging&versionId=1", {}, "GetObjectTagging"),
    ("HEAD", "/b/k", "", {}, "HeadObject"),
    ("PUT", "/b/k", "", {}, "PutObject"),
    ("PUT", "/b/k", "x-id=PutObject", {}, "PutObject"),
    ("PUT", "/b/k", "", {"x-amz-copy-source": "/a/b"}, "CopyObject"),
    ("PUT", "/b/k", "x-amz-copy-source=%2Fa%2Fb&X-Amz-Signature=1", {}, "CopyObject"),
    ("PUT", "/b/k", "partNumber=1&uploadId=2", {}, "UploadPart"),
    ("PUT", "/b/k", "partNumber=1&uploadId=2", {"x-amz-copy-source": "/a/b"}, "UploadPartCopy"),
    ("PUT", "/b/k", "acl", {}, "PutObjectAcl"),
    ("POST", "/b/k", "uploads", {}, "CreateMultipartUpload"),
    ("POST", "/b/k", "uploadId=1", {}, "CompleteMultipartUpload"),
    ("POST", "/b/k", "select&select-type=2", {}, "SelectObjectContent"),
    ("DELETE", "/b/k", "", {}, "DeleteObject"),
    ("DELETE", "/b/k", "versionId=1", {}, "DeleteObject"),
    ("DELETE", "/b/k", "uploadId=1", {}, "AbortMultipartUpload"),
    ("PUT", "/b/k", "encryption", {}, "UpdateObjectEncryption"),
]

S3_REFUSED = [  # method, path, query, code
    ("PATCH", "/b/k", "", "MethodNotAllowed"),
    ("POST", "/b", "", "MethodNotAllowed"),
    ("PUT", "/b/k", "uploads", "MethodNotAllowed"),
    ("PUT", "/b/k", "restore", "MethodNotAllowed"),
    ("PUT", "/b/k", "uploadId=1", "MethodNotAllowed"),
    ("DELETE", "/b/k", "acl", "MethodNotAllowed"),
    ("PUT", "/b", "versions", "MethodNotAllowed"),
    ("GET", "/b/k", "acl&tagging", "InvalidArgument"),
    ("GET", "/b", "policy&acl", "InvalidArgument"),
    ("GET", "/b", "list-type=1", "InvalidArgument"),
    ("GET", "/b", "prefix=a&prefix=b", "InvalidArgument"),
    ("GET", "/b/%zz", "", "InvalidURI"),
    ("GET", "/b/%ff", "", "InvalidURI"),
    ("GET", "/b/%", "", "InvalidURI"),
    ("GET", "//key", "", "InvalidURI"),
    ("GET", "b/k", "", "InvalidURI"),
    ("GET", "/b", "prefix=%ff", "InvalidURI"),
]

KEYS = [  # path as sent, bucket, key
    ("/b/a/../c", "b", "a/../c"),
    ("/b/..", "b", ".."),
    ("/b/./a", "b", "./a"),
    ("/b//a", "b", "/a"),
    ("/b///", "b", "//"),
    ("/b/a//b/", "b", "a//b/"),
    ("/b/a%2Fb", "b", "a/b"),
    ("/b/a%252Fb", "b", "a%2Fb"),
    ("/b/a%00b", "b", "a\0b"),
    ("/b/a+b", "b", "a+b"),
    ("/b/a%20b%0D%0A", "b", "a b\r\n"),
    ("/b/%E6%BC%A2", "b", "漢"),
    ("/b/\u00e6\u00bc\u00a2", "b", "漢"),
    ("/b/a%3Fb%23c", "b", "a?b#c"),
    ("/b%2F..%2Fc/k", "b/../c", "k"),
]

HOSTS = [  # host, bucket
    ("localhost:4566", None),
    ("s3.localhost", None),
    ("bucket.localhost:4566", "bucket"),
    ("bucket.s3.localhost", "bucket"),
    ("a.b.s3.localhost", "a.b"),
    ("Bucket.S3.AmazonAWS.com", "bucket"),
    ("s3.eu-west-1.amazonaws.com", None),
    ("bucket.s3.eu-west-1.amazonaws.com:443", "bucket"),
    ("s3.s3.us-gov-west-1.amazonaws.com", "s3"),
    ("bucket.s3.dualstack.us-east-1.amazonaws.com", "bucket"),
    ("127.0.0.1:80", None),
    ("10.1.2.3", None),
    ("[::1]:80", None),
    ("::1", None),
    ("bucket.example.com", None),
    ("", None),
]


def _s3(
    method: str, path: str, query: str = "", headers: dict[str, str] | None = None, host: str = "10.0.0.1"
) -> Request:
    return Request(method, path, query, {"host": host, **(headers or {})})


@pytest.mark.parametrize(("method", "path", "query", "headers", "operation"), S3_ROUTES)
def test_s3_operations_are_told_apart(
    method: str, path: str, query: str, headers: dict[str, str], operation: str
) -> None:
    assert route(_s3(method, path, query, headers), "s3").operation.name == operation


@pytest.mark.parametrize(("method", "path", "query", "code"), S3_REFUSED)
def test_what_is_no_s3_operation_is_refused(method: str, path: str, query: str, code: str) -> None:
    with pytest.raises(AwsError) as refused:
        route(_s3(method, path, query), "s3")
    assert refused.value.code == code


@pytest.mark.parametrize(("path", "bucket", "key"), KEYS)
def test_a_key_is_decoded_once_and_never_normalized(path: str, bucket: str, key: str) -> None:
    assert route(_s3("GET", path), "s3").path_params == {"Bucket": bucket, "Key": key}


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/", {"Bucket": "bucket"}),
        ("/k", {"Bucket": "bucket", "Key": "k"}),
        ("//k", {"Bucket": "bucket", "Key": "/k"}),
        ("/a/../k", {"Bucket": "bucket", "Key": "a/../k"}),
    ],
)
def test_a_virtual_host_names_the_bucket_and_the_whole_path_is_the_key(path: str, params: dict[str, str]) -> None:
    assert route(_s3("GET", path, host="bucket.s3.amazonaws.com"), "s3").path_params == params


@pytest.mark.parametrize(("host", "bucket"), HOSTS)
def test_which_hosts_name_a_bucket(host: str, bucket: str | None) -> None:
    assert hosts.bucket_finder()(host) == bucket


def test_the_bases_are_configurable() -> None:
    router = Router(s3_hosts=("objects.example.org",))
    routed = router.route(_s3("GET", "/k", host="b.objects.example.org"), "s3")
    assert routed.path_params == {"Bucket": "b", "Key": "k"}


def _json(target: str, method: str = "POST") -> Request:
    return Request(method, "/", "", {"host": "h", "x-amz-target": target})


def _form(body: bytes, query: str = "", method: str = "POST") -> Request:
    return Request(method, "/", query, {"host": "h", "content-type": "application/x-www-form-urlencoded"}, body)


@pytest.mark.parametrize(
    ("request_", "service", "operation"),
    [
        (_json("TrentService.Encrypt"), "kms", "Encrypt"),
        (
            _json("com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents"),
            "cloudtrail",
            "LookupEvents",
        ),
        (_form(b"Action=GetUser&Version=2010-05-08"), "iam", "GetUser"),
        (_form(b"Action=GetCallerIdentity"), "sts", "GetCallerIdentity"),
        (_form(b"", "Action=GetCallerIdentity&Version=2011-06-15", "GET"), "sts", "GetCallerIdentity"),
        (_s3("GET", "/b/k"), "s3", "GetObject"),
    ],
)
def test_a_request_without_a_scope_is_routed_as_one_with_it(request_: Request, service: str, operation: str) -> None:
    for said in (service, None):
        routed = route(request_, said)
        assert (routed.service, routed.operation.name) == (service, operation)


@pytest.mark.parametrize(
    ("request_", "service", "code"),
    [
        (_json("TrentService.NoSuch"), "kms", "UnknownOperationException"),
        (_json("Other.Encrypt"), "kms", "UnknownOperationException"),
        (_json("Encrypt"), "kms", "UnknownOperationException"),
        (_json(""), "kms", "UnknownOperationException"),
        (_json("TrentService.Encrypt", "GET"), "kms", "UnknownOperationException"),
        (_json("TrentService.Encrypt"), "cloudtrail", "UnknownOperationException"),
        (_form(b"Action=NoSuch&Version=2011-06-15"), "sts", "InvalidAction"),
        (_form(b"Action=GetCallerIdentity&Version=2010-05-08"), "sts", "InvalidAction"),
        (_form(b"Version=2011-06-15"), "sts", "MissingAction"),
        (_form(b""), "sts", "MissingAction"),
        (_form(b"Action=%zz"), "sts", "MalformedInput"),
        (_form(b"Action=\xff"), "sts", "MalformedInput"),
        (_form(b"&".join([b"a=b"] * 6000)), "sts", "MalformedInput"),
        (_form(b"", "Action=%zz", "GET"), "sts", "MalformedQueryString"),
        (_s3("GET", "/"), "ec2", "InvalidAction"),
        (_s3("GET", "/"), "../../etc", "InvalidAction"),
    ],
)
def test_what_is_no_operation_is_refused_with_the_protocols_code(request_: Request, service: str, code: str) -> None:
    with pytest.raises(AwsError) as refused:
        route(request_, service)
    assert refused.value.code == code

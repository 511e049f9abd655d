"""URLs that boto3 presigns with its default configuration in us-east-1, signature version 2, in plain HTTP clients."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from s3_expecting import presigned as presigned_v4

from freehold.testing import server

WEEK = 7 * 24 * 3600
KEYS = ["plain", "a b", "ü/+&=?#%.txt", "a//b", "..%2F", "x:y;z'~(1)*!$@,", "+"]


def url_of(principal: Any, operation: str, seconds: int = 300, **parameters: Any) -> str:
    url = str(principal.s3.generate_presigned_url(operation, Params=parameters, ExpiresIn=seconds))
    assert "AWSAccessKeyId=" in url
    assert "X-Amz-" not in url
    return url


def ask(
    method: str, url: str, body: bytes | None = None, host: str | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body). Unlike urllib, http.client adds no Content-Type to a body."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.netloc, timeout=30)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if host is not None:
            sent["Host"] = host
        connection.request(method, f"{address.path or '/'}?{address.query}", body=body, headers=sent)
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
    finally:
        connection.close()


def code_of(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str]:
    return answer[0], answer[2].decode().partition("<Code>")[2].partition("</Code>")[0]


@pytest.mark.parametrize("key", KEYS)
def test_an_object_is_put_read_looked_at_and_deleted_by_urls(aws: Any, bucket: str, key: str) -> None:
    place = {"Bucket": bucket, "Key": key}
    assert ask("PUT", url_of(aws, "put_object", **place), b"body")[0] == 200
    assert aws.s3.get_object(**place)["Body"].read() == b"body"
    with urllib.request.urlopen(url_of(aws, "get_object", **place), timeout=30) as reply:
        assert reply.read() == b"body"
    assert ask("GET", url_of(aws, "get_object", **place), Range="bytes=1-2")[2] == b"od"
    status, headers, _ = ask("HEAD", url_of(aws, "head_object", **place))
    assert (status, headers["content-length"]) == (200, "4")
    assert ask("DELETE", url_of(aws, "delete_object", **place))[0] == 204
    assert code_of(ask("GET", url_of(aws, "get_object", **place))) == (404, "NoSuchKey")


def test_a_url_says_how_to_answer(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    disposition = 'attachment; filename="a b&c+.txt"'
    url = url_of(
        aws,
        "get_object",
        Bucket=bucket,
        Key="k",
        ResponseContentDisposition=disposition,
        ResponseContentType="text/html",
        ResponseCacheControl="no-store",
    )
    status, headers, body = ask("GET", url)
    assert (status, body) == (200, b"x")
    assert headers["content-disposition"] == disposition
    assert (headers["content-type"], headers["cache-control"]) == ("text/html", "no-store")
    other = url.replace("text%2Fhtml", "text%2Fplain")
    assert code_of(ask("GET", other)) == (403, "SignatureDoesNotMatch")


def test_headers_that_the_signer_chose_hold_whether_sent_or_not(aws: Any, bucket: str) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    chosen = {
        "ContentType": "text/csv",
        "Metadata": {"a": "b c"},
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": key,
    }
    url = url_of(aws, "put_object", Bucket=bucket, Key="k", **chosen)
    for headers in ({}, {"Content_Type": "text/csv"}, {"Content_Type": "text/csv", "x_amz_meta_a": "b c"}):
        aws.s3.delete_object(Bucket=bucket, Key="k")
        assert ask("PUT", url, b"body", **headers)[0] == 200
        found = aws.s3.head_object(Bucket=bucket, Key="k")
        assert (found["ContentType"], found["Metadata"], found["SSEKMSKeyId"]) == ("text/csv", {"a": "b c"}, key)
    for headers in ({"Content_Type": "text/html"}, {"x_amz_meta_a": "other"}, {"x_amz_acl": "public-read"}):
        assert ask("PUT", url, b"evil", **headers)[0] in (400, 403)
    assert aws.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"body"


def test_a_multipart_upload_goes_by_urls(aws: Any, bucket: str) -> None:
    place = {"Bucket": bucket, "Key": "big"}
    answer = ask("POST", url_of(aws, "create_multipart_upload", **place, ContentType="text/csv"), b"")[2].decode()
    upload = answer.partition("<UploadId>")[2].partition("</UploadId>")[0]
    part = {**place, "UploadId": upload, "PartNumber": 1}
    url = url_of(aws, "upload_part", **part)
    etag = ask("PUT", url, b"part")[1]["etag"]
    assert code_of(ask("PUT", url.replace("partNumber=1", "partNumber=2"), b"x")) == (403, "SignatureDoesNotMatch")
    listed = ask("GET", url_of(aws, "list_parts", **place, UploadId=upload, MaxParts=5))
    assert (listed[0], etag.strip('"') in listed[2].decode()) == (200, True)
    made = (
        f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    )
    done = ask("POST", url_of(aws, "complete_multipart_upload", **place, UploadId=upload), made.encode())
    assert done[0] == 200, done
    found = aws.s3.get_object(**place)
    assert (found["Body"].read(), found["ContentType"]) == (b"part", "text/csv")


def test_buckets_are_listed_by_urls_as_far_as_the_signer_may(aws: Any, bucket: str) -> None:
    for key in ("p/1", "p/2", "q/1"):
        aws.s3.put_object(Bucket=bucket, Key=key, Body=b"")
    url = url_of(aws, "list_objects_v2", Bucket=bucket, Prefix="p/", MaxKeys=1)
    answer = ask("GET", url)[2].decode()
    assert "<Key>p/1</Key>" in answer
    assert "p/2</Key>" not in answer
    assert "<Key>q/1</Key>" in ask("GET", url_of(aws, "list_objects", Bucket=bucket))[2].decode()
    assert bucket in ask("GET", url_of(aws, "list_buckets"))[2].decode()
    # Nobody signs the prefix in version 2: the signer's own policy is what limits a listing.
    only = {"StringLike": {"s3:prefix": "p/*"}}
    statement = {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}", "Condition": only}
    user = aws.new_user("lister", {"Version": "2012-10-17", "Statement": [statement]})
    url = url_of(user, "list_objects_v2", Bucket=bucket, Prefix="p/")
    assert ask("GET", url)[0] == 200
    assert code_of(ask("GET", url.replace("prefix=p%2F", "prefix=q%2F"))) == (403, "AccessDenied")


def test_what_version_2_cannot_sign_is_refused_by_name(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    status, code = code_of(answer := ask("GET", url_of(aws, "get_bucket_encryption", Bucket=bucket)))
    assert (status, code) == (403, "AccessDenied")
    assert b"<QueryParametersNotSigned>encryption</QueryParametersNotSigned>" in answer[2]
    url = url_of(aws, "get_object", Bucket=bucket, Key="k")
    for added in ("prefix=p", "list-type=2", "retention", "x-id=GetObject"):
        assert code_of(ask("GET", f"{url}&{added}")) == (403, "AccessDenied")
    for added in ("versionId=null", "partNumber=1", "acl", "x-amz-checksum-mode=ENABLED", "response-expires=0"):
        assert code_of(ask("GET", f"{url}&{added}")) == (403, "SignatureDoesNotMatch")
    assert code_of(ask("GET", url, x_amz_checksum_mode="ENABLED")) == (403, "SignatureDoesNotMatch")
    assert ask("DELETE", url)[0] == 403
    assert ask("GET", url.replace("/k?", "/other?"))[0] == 403
    assert ask("GET", url)[2] == b"x"


def test_temporary_credentials_presign_until_their_role_is_gone(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    principal = {"AWS": f"arn:aws:iam::{aws.account_id}:root"}
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    aws.iam.create_role(
        RoleName="r", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust})
    )
    allow = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/k"}
    aws.iam.put_role_policy(
        RoleName="r", PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allow})
    )
    user = aws.new_user(
        "assumer", {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:*", "Resource": "*"}]}
    )
    role = f"arn:aws:iam::{aws.account_id}:role/r"
    session = aws.using(user.sts.assume_role(RoleArn=role, RoleSessionName="app")["Credentials"])
    url = url_of(session, "get_object", Bucket=bucket, Key="k")
    assert "x-amz-security-token=" in url
    assert ask("GET", url)[2] == b"x"
    start, _, token = url.partition("x-amz-security-token=")
    token, _, end = token.partition("&")
    assert code_of(ask("GET", f"{start}x-amz-security-token={token[:-9]}AAAAAA%3D%3D&{end}"))[0] in (400, 403)
    assert ask("GET", start + end)[0] in (400, 403)
    assert code_of(ask("GET", url_of(session, "get_object", Bucket=bucket, Key="other"))) == (403, "AccessDenied")
    aws.iam.delete_role_policy(RoleName="r", PolicyName="p")
    assert code_of(ask("GET", url)) == (403, "AccessDenied")


def test_a_url_has_its_signers_permissions_at_the_time_of_use(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    allow = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    user = aws.new_user("signer", {"Version": "2012-10-17", "Statement": [allow]})
    url = url_of(user, "get_object", Bucket=bucket, Key="k")
    assert ask("GET", url)[2] == b"x"
    assert code_of(ask("PUT", url_of(user, "put_object", Bucket=bucket, Key="k"), b"y")) == (403, "AccessDenied")
    aws.iam.delete_access_key(UserName="signer", AccessKeyId=user.access_key_id)
    assert code_of(ask("GET", url)) == (403, "InvalidAccessKeyId")


CONDITIONS = [
    # condition of a deny, whether it refuses a URL of version 2, of version 4
    ({"StringEquals": {"s3:signatureversion": "AWS"}}, True, False),
    ({"StringNotEquals": {"s3:signatureversion": "AWS4-HMAC-SHA256"}}, True, False),
    ({"StringEquals": {"s3:authType": "REST-QUERY-STRING"}}, True, True),
    ({"Null": {"s3:signatureAge": "true"}}, True, False),
    ({"NumericGreaterThanIfExists": {"s3:signatureAge": "600000"}}, True, False),
    ({"StringEquals": {"s3:x-amz-content-sha256": "UNSIGNED-PAYLOAD"}}, True, True),
]


def test_a_policy_may_tell_version_2_from_version_4(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    place = {"Bucket": bucket, "Key": "k"}
    urls = url_of(aws, "get_object", **place), presigned_v4(aws, "get_object", Params=place)
    for condition, *denied in CONDITIONS:
        deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
        policy = {"Version": "2012-10-17", "Statement": {**deny, "Condition": condition}}
        aws.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
        assert [ask("GET", url)[0] == 403 for url in urls] == denied, condition


def test_no_spelling_of_its_date_makes_a_url_look_younger(aws: Any, bucket: str) -> None:
    """A signer whom a policy holds to young signatures can put such text elsewhere, or spell the name otherwise."""
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    young = {"NumericGreaterThan": {"s3:signatureAge": "0"}}
    policy = {"Version": "2012-10-17", "Statement": {**deny, "Condition": young}}
    aws.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    url = presigned_v4(
        aws, "get_object", Params={"Bucket": bucket, "Key": "k", "ResponseContentType": "X-Amz-Date=2099"}
    )
    for spelled in (url, url.replace("X-Amz-Date=", "X%2DAmz-Date="), url.replace("X-Amz-Date%3D", "X-Amz-Date=")):
        assert code_of(ask("GET", spelled)) == (403, "AccessDenied")


def crafted(principal: Any, target: str, expires: int, method: str = "GET", **options: Any) -> str:
    """A URL signed to expire at a time of our own."""

    class Until(HmacV1QueryAuth):  # type: ignore[misc]
        def _get_date(self) -> str:
            return str(expires)

    request = AWSRequest(method, principal.endpoint + target, **options)
    Until(Credentials(principal.access_key_id, principal.secret_access_key, principal.session_token)).add_auth(request)
    return str(request.url)


def test_a_url_ends_with_its_time_and_lasts_a_week_at_most(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    now = int(time.time())
    assert ask("GET", crafted(aws, f"/{bucket}/k", now + 60))[0] == 200
    answer = ask("GET", crafted(aws, f"/{bucket}/k", now - 1))
    assert code_of(answer) == (403, "AccessDenied")
    assert b"<Message>Request has expired</Message>" in answer[2]
    assert ask("GET", url_of(aws, "get_object", WEEK, Bucket=bucket, Key="k"))[0] == 200
    long = url_of(aws, "get_object", WEEK + 3600, Bucket=bucket, Key="k")
    assert code_of(ask("GET", long)) == (400, "AuthorizationQueryParametersError")
    short = crafted(aws, f"/{bucket}/k", int(time.time()) + 1)
    time.sleep(2)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(short, timeout=30)


def test_a_bucket_in_the_host_is_signed_with_its_name(aws: Any, bucket: str) -> None:
    port = urlsplit(aws.endpoint).port
    config = Config(s3={"addressing_style": "virtual"})
    s3 = aws.session.client("s3", endpoint_url=f"http://s3.localhost:{port}", config=config)
    aws.s3.put_object(Bucket=bucket, Key="in/a host", Body=b"body")
    url = urlsplit(s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "in/a host"}))
    assert (url.hostname, "AWSAccessKeyId=" in url.query) == (f"{bucket}.s3.localhost", True)
    target = f"{aws.endpoint}{url.path}?{url.query}"
    assert ask("GET", target, host=url.netloc)[2] == b"body"
    # The host is not signed, the bucket is: whoever names another reads nothing.
    aws.s3.create_bucket(Bucket=bucket + "-2")
    aws.s3.put_object(Bucket=bucket + "-2", Key="in/a host", Body=b"other")
    assert code_of(ask("GET", target, host=f"{bucket}-2.s3.localhost:{port}")) == (403, "SignatureDoesNotMatch")
    listing = urlsplit(s3.generate_presigned_url("list_objects_v2", Params={"Bucket": bucket, "Prefix": "in/"}))
    answer = ask("GET", f"{aws.endpoint}{listing.path or '/'}?{listing.query}", host=listing.netloc)
    assert b"<KeyCount>1</KeyCount>" in answer[2]


def test_a_refused_url_is_in_the_audit_under_the_key_that_it_names(aws: Any, bucket: str) -> None:
    url = url_of(aws, "get_object", Bucket=bucket, Key="never there")
    assert ask("GET", url.replace("Signature=", "Signature=A"))[0] == 403
    found = [
        event
        for page in aws.cloudtrail.get_paginator("lookup_events").paginate()
        for event in (json.loads(each["CloudTrailEvent"]) for each in page["Events"])
        if event.get("errorCode") == "SignatureDoesNotMatch"
    ]
    assert [event["userIdentity"].get("accessKeyId") for event in found] == [aws.access_key_id]


def test_a_presigned_post_is_refused(aws: Any, bucket: str) -> None:
    form = aws.s3.generate_presigned_post(bucket, "k")
    assert "AWSAccessKeyId" in form["fields"]
    fields = {**form["fields"], "file": "body"}
    body = "".join(
        f'--edge\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()
    )
    status, code = code_of(
        ask("POST", form["url"], f"{body}--edge--\r\n".encode(), Content_Type="multipart/form-data; boundary=edge")
    )
    assert 400 <= status <= 501, code
    assert "Contents" not in aws.s3.list_objects_v2(Bucket=bucket)


@pytest.fixture(scope="module")
def two_regions() -> Iterator[Any]:
    with server(regions=("us-east-1", "eu-west-1")) as running:
        yield running


def test_a_url_without_a_region_works_in_the_buckets(two_regions: Any) -> None:
    here = two_regions.new_account()
    there = here.in_region("eu-west-1")
    there.s3.create_bucket(Bucket="far-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    there.s3.put_object(Bucket="far-bucket", Key="k", Body=b"x", ServerSideEncryption="aws:kms")
    assert ask("GET", url_of(here, "get_object", Bucket="far-bucket", Key="k"))[2] == b"x"
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::far-bucket/*"}
    elsewhere = {"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}}
    policy = {"Version": "2012-10-17", "Statement": {**deny, "Condition": elsewhere}}
    there.s3.put_bucket_policy(Bucket="far-bucket", Policy=json.dumps(policy))
    assert ask("GET", url_of(here, "get_object", Bucket="far-bucket", Key="k"))[2] == b"x"

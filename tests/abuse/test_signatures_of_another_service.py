"""A signature made for one service is never good for another, however the request is dressed up."""

from __future__ import annotations

from typing import Any

import attacking
import pytest

ACTION = b"Action=CreateUser&Version=2010-05-08&UserName=mallory"
FORM = {"Content-Type": attacking.FORM}


def test_a_presigned_s3_url_with_its_credential_spelled_otherwise_calls_no_iam(aws: Any, bucket: str) -> None:
    """The spelling doesn't change what is signed, and a presigned body is anyone's to write."""
    upload = aws.s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    target = attacking.presigned(aws, "POST", f"/{bucket}/k?uploadId={upload}")
    target = target.replace("X-Amz-Credential=", "X%2DAmz-Credential=")
    answer = attacking.ask(aws, "POST", target, FORM, ACTION)
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    assert aws.iam.list_users()["Users"] == []


@pytest.mark.parametrize("claim", ["x-amz-credential=a/iam/aws4_request", "X-AMZ-CREDENTIAL=a%2Fsts%2Faws4_request"])
def test_a_second_credential_in_other_case_does_not_choose_the_service(aws: Any, claim: str) -> None:
    target = attacking.presigned(aws, "POST", f"/?{claim}")
    answer = attacking.ask(aws, "POST", target, FORM, ACTION)
    assert 400 <= answer.status < 404
    assert aws.iam.list_users()["Users"] == []


@pytest.mark.parametrize("service", ["iam", "kms", "cloudtrail", "freehold"])
def test_headers_signed_for_another_service_are_refused(aws: Any, service: str) -> None:
    headers = attacking.signed(aws, service, "POST", "/", FORM, ACTION.replace(b"CreateUser", b"GetUser"))
    headers["Authorization"] = headers["Authorization"].replace(f"/{service}/", "/sts/")
    answer = attacking.ask(aws, "POST", "/", headers, ACTION.replace(b"CreateUser", b"GetUser"))
    assert 400 <= answer.status < 404


@pytest.mark.parametrize("service", ["sts", "kms", "iam"])
def test_a_signature_for_another_service_reads_no_object(aws: Any, bucket: str, service: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"what it holds")
    answer = attacking.ask(aws, "GET", f"/{bucket}/k", attacking.signed(aws, service, "GET", f"/{bucket}/k"))
    assert answer.status in (400, 404)
    assert b"what it holds" not in answer.body

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


TOOLBOX = "/authorization-details/abc"


def test_services_that_share_a_signing_name_are_told_apart_by_the_path(aws: Any) -> None:
    """A signature holds the path: what was signed for one of them cannot be sent to the other."""
    headers = attacking.signed(aws, "iam", "GET", TOOLBOX)
    assert attacking.ask(aws, "GET", TOOLBOX, headers).code in ("NotImplemented", "ResourceNotFoundException")
    action = "Action=CreateUser&Version=2010-05-08&UserName=mallory"
    assert attacking.ask(aws, "GET", f"/?{action}", headers).code == "SignatureDoesNotMatch"
    assert attacking.ask(aws, "GET", f"{TOOLBOX}?{action}", headers).code == "InvalidSignatureException"
    headers = attacking.signed(aws, "iam", "POST", "/", FORM, ACTION)
    assert attacking.ask(aws, "POST", TOOLBOX, headers, ACTION).code == "UnknownOperationException"
    assert aws.iam.list_users()["Users"] == []


@pytest.mark.parametrize("service", ["sts", "kms", "s3", "iam-toolbox", "freehold"])
def test_a_signature_of_another_name_opens_no_authorization_details(aws: Any, service: str) -> None:
    answer = attacking.ask(aws, "GET", TOOLBOX, attacking.signed(aws, service, "GET", TOOLBOX))
    assert 400 <= answer.status <= 404
    assert answer.code not in ("NotImplemented", "ResourceNotFoundException", "")
    headers = attacking.signed(aws, "iam", "GET", TOOLBOX)
    headers["Authorization"] = headers["Authorization"].replace("/iam/", f"/{service}/")
    assert 400 <= attacking.ask(aws, "GET", TOOLBOX, headers).status <= 404


def test_a_rest_json_service_refuses_signatures_in_its_own_words(aws: Any) -> None:
    right = attacking.signed(aws, "iam", "GET", TOOLBOX)
    cases = {
        "InvalidSignatureException": right["Authorization"][:-4] + "0000",
        "UnrecognizedClientException": right["Authorization"].replace(aws.access_key_id, "AKIAIOSFODNN7EXAMPLE"),
        "IncompleteSignatureException": right["Authorization"].replace(", Signature=", ", Sig="),
    }
    for code, authorization in cases.items():
        answer = attacking.ask(aws, "GET", TOOLBOX, {**right, "Authorization": authorization})
        assert (answer.status, answer.code) == (403, code)
        assert answer.headers["x-amzn-errortype"] == code
    unsigned = {name: value for name, value in right.items() if name != "Authorization"}
    # Without a signature nothing says that it isn't a bucket.
    assert attacking.ask(aws, "GET", TOOLBOX, unsigned).code == "NoSuchBucket"

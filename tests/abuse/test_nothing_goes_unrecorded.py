"""Whatever is done, refused or given up leaves an event, and no client writes its own lines into one."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import attacking
import pytest
from botocore.exceptions import ClientError


def events(principal: Any, **wanted: Any) -> list[dict[str, Any]]:
    """The account's events by one attribute, newest first."""
    ((key, value),) = wanted.items()
    found = principal.cloudtrail.lookup_events(LookupAttributes=[{"AttributeKey": key, "AttributeValue": value}])
    return [json.loads(event["CloudTrailEvent"]) for event in found["Events"]]


def test_an_upload_that_is_given_up_is_recorded_with_the_keys_that_it_used(aws: Any, bucket: str) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    extra = {
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": key,
        "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
        "Content-Length": "1000000",
    }
    headers = attacking.signed(aws, "s3", "PUT", f"/{bucket}/k", extra)
    head = attacking.request(aws, "PUT", f"/{bucket}/k", headers)
    attacking.raw(aws, head + b"a" * 100_000, 0.2, half_close=True)
    deadline = time.monotonic() + 5
    while not (puts := events(aws, EventName="PutObject")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [put["errorCode"] for put in puts] == ["IncompleteBody"]
    (used,) = events(aws, EventName="GenerateDataKey")
    assert used["resources"][0]["ARN"] == key
    assert "Contents" not in aws.s3.list_objects_v2(Bucket=bucket)


def test_what_a_service_does_by_itself_does_not_hide_the_trail(aws: Any, bucket: str) -> None:
    """The event of an AWS managed key's making has a user identity without a type."""
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms")
    shown = aws.cloudtrail.lookup_events()["Events"]
    assert {"CreateBucket", "CreateKey", "GenerateDataKey", "PutObject"} <= {event["EventName"] for event in shown}
    found = aws.cloudtrail.lookup_events(LookupAttributes=[{"AttributeKey": "Username", "AttributeValue": "root"}])
    assert "PutObject" in {event["EventName"] for event in found["Events"]}


def test_tokens_of_nobody_s_provider_are_recorded_for_the_role_s_account(aws: Any) -> None:
    """Who tries a role with whatever tokens is seen by its account, also where nobody could be asked about them."""
    role = f"arn:aws:iam::{aws.account_id}:role/r"
    claims = base64.urlsafe_b64encode(b'{"iss":"https://idp.example.com","aud":"a","sub":"s"}').decode().rstrip("=")
    header = base64.urlsafe_b64encode(b'{"alg":"RS256","kid":"k"}').decode().rstrip("=")
    tokens = ("not-a-token", f"{header}.{claims}.c2lnbmF0dXJl")
    for token in tokens:
        with pytest.raises(ClientError, match="InvalidIdentityToken"):
            aws.sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="ab", WebIdentityToken=token)
    found = events(aws, EventName="AssumeRoleWithWebIdentity")
    assert [event["errorCode"] for event in found] == ["InvalidIdentityToken"] * 2
    assert {event["userIdentity"]["type"] for event in found} == {"WebIdentityUser"}
    assert not any(token in json.dumps(found) for token in tokens)

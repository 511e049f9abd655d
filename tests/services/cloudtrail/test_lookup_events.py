"""LookupEvents as boto3 sees it, on a live server."""

from __future__ import annotations

import base64
import json
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from freehold.testing import Principal, Server


@contextmanager
def refused(code: str):
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code


def look_up(who: Principal, attribute: str = "", value: str = "", **more: Any) -> list[dict[str, Any]]:
    if attribute:
        more["LookupAttributes"] = [{"AttributeKey": attribute, "AttributeValue": value}]
    events: list[dict[str, Any]] = who.cloudtrail.lookup_events(**more)["Events"]
    return events


def test_calls_are_found_newest_first_with_who_and_what(aws: Principal, freehold_server: Server) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    aws.kms.encrypt(KeyId=key, Plaintext=b"a secret", EncryptionContext={"a": "b"})
    events = look_up(aws)
    assert [event["EventName"] for event in events[:2]] == ["Encrypt", "CreateKey"]
    encrypt = events[0]
    assert encrypt["Username"] == "root"
    assert encrypt["AccessKeyId"] == aws.access_key_id
    assert encrypt["ReadOnly"] == "true"
    assert encrypt["EventSource"] == "kms.amazonaws.com"
    assert encrypt["Resources"] == [{"ResourceType": "AWS::KMS::Key", "ResourceName": key}]
    # Other tests may have moved the clock of the server that they share with this one.
    now = freehold_server.operator.freehold.get_server_status()["Now"]
    assert abs(encrypt["EventTime"] - now) < timedelta(minutes=1)
    record = json.loads(encrypt["CloudTrailEvent"])
    assert record["eventID"] == encrypt["EventId"]
    assert record["userIdentity"]["arn"] == f"arn:aws:iam::{aws.account_id}:root"
    assert record["recipientAccountId"] == aws.account_id
    assert record["requestParameters"] == {"keyId": key, "encryptionContext": {"a": "b"}}
    assert record["responseElements"] is None


def test_a_refusal_is_found_with_its_reason(aws: Principal) -> None:
    bob = aws.new_user("bob")
    with refused("AccessDeniedException"):
        bob.kms.create_key()
    [event] = look_up(aws, "Username", "bob")
    record = json.loads(event["CloudTrailEvent"])
    assert record["errorCode"] == "AccessDeniedException"
    assert "is not authorized to perform: kms:CreateKey" in record["errorMessage"]


def test_every_attribute_finds_its_events_and_no_others(aws: Principal) -> None:
    aws.iam.create_user(UserName="carol")
    key = aws.kms.create_key()["KeyMetadata"]
    aws.kms.describe_key(KeyId=key["KeyId"])
    [created] = look_up(aws, "EventName", "CreateUser")
    found = {
        ("EventId", created["EventId"]): ["CreateUser"],
        ("EventName", "CreateKey"): ["CreateKey"],
        ("EventSource", "iam.amazonaws.com"): ["CreateUser"],
        ("Username", "nobody"): [],
        ("ResourceType", "AWS::IAM::User"): ["CreateUser"],
        ("ResourceName", "carol"): ["CreateUser"],
        ("ResourceName", key["Arn"]): ["DescribeKey", "CreateKey"],
        ("ResourceName", key["KeyId"]): ["DescribeKey", "CreateKey"],
        ("AccessKeyId", "AKIANOBODY"): [],
        ("ReadOnly", "false"): ["CreateKey", "CreateUser"],
    }
    for (attribute, value), names in found.items():
        assert [event["EventName"] for event in look_up(aws, attribute, value)] == names, attribute


def test_pages_join_without_gap_or_repetition_while_new_events_arrive(aws: Principal) -> None:
    for n in range(12):
        aws.iam.create_user(UserName=f"user{n:02}")
        aws.sts.get_caller_identity()
    names, token = [], None
    while True:
        more = {"NextToken": token} if token else {}
        page = aws.cloudtrail.lookup_events(
            LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateUser"}], MaxResults=5, **more
        )
        assert len(page["Events"]) <= 5
        names += [json.loads(event["CloudTrailEvent"])["requestParameters"]["userName"] for event in page["Events"]]
        token = page.get("NextToken")
        if token is None:
            break
        aws.iam.create_user(UserName=f"later{len(names)}")
    assert names == [f"user{n:02}" for n in reversed(range(12))]


def test_the_paginator_reads_everything(aws: Principal) -> None:
    for n in range(7):
        aws.iam.create_user(UserName=f"user{n}")
    pages = aws.cloudtrail.get_paginator("lookup_events").paginate(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "CreateUser"}],
        PaginationConfig={"PageSize": 3},
    )
    assert len([event for page in pages for event in page["Events"]]) == 7


def test_a_token_belongs_to_its_lookup_and_account(aws: Principal, freehold_server: Server) -> None:
    for _ in range(3):
        aws.sts.get_caller_identity()
    token = aws.cloudtrail.lookup_events(MaxResults=1)["NextToken"]
    with refused("InvalidNextTokenException"):
        look_up(aws, "EventName", "CreateUser", NextToken=token)
    with refused("InvalidNextTokenException"):
        look_up(freehold_server.new_account(), NextToken=token)
    for wrong in ("", "x", token[:-4], token[:-4] + "AAAA", "é"):
        with refused("InvalidNextTokenException"):
            look_up(aws, NextToken=wrong)


def test_the_time_range_holds_at_both_ends(aws: Principal) -> None:
    aws.iam.create_user(UserName="carol")
    [event] = look_up(aws, "EventName", "CreateUser")
    at, second = event["EventTime"], timedelta(seconds=1)
    ranges = [
        (at, at, 1),
        (at - second, at, 1),
        (at, at + second, 1),
        (at + second, at + 2 * second, 0),
        (at - 2 * second, at - second, 0),
        (at - timedelta(days=400), at - timedelta(days=399), 0),
    ]
    for start, end, count in ranges:
        assert len(look_up(aws, "EventName", "CreateUser", StartTime=start, EndTime=end)) == count, (start, end)
    with refused("InvalidTimeRangeException"):
        look_up(aws, StartTime=at, EndTime=at - second)


def test_another_accounts_events_are_not_shown_whatever_parameters_say(aws: Principal, freehold_server: Server) -> None:
    other = freehold_server.new_account()
    key = other.kms.create_key()["KeyMetadata"]["Arn"]
    other.kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"recipientAccountId": aws.account_id})
    assert "Encrypt" not in {event["EventName"] for event in look_up(aws)}
    assert "Encrypt" in {event["EventName"] for event in look_up(other)}


def test_looking_up_needs_the_permission(aws: Principal) -> None:
    allowed = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "cloudtrail:LookupEvents", "Resource": "*"}
    ]}  # fmt: skip
    assert look_up(aws.new_user("auditor", allowed))
    with refused("AccessDeniedException"):
        look_up(aws.new_user("bob"))


def test_parameters_out_of_bounds_are_refused(aws: Principal) -> None:
    two = [{"AttributeKey": "EventName", "AttributeValue": "x"}, {"AttributeKey": "Username", "AttributeValue": "x"}]
    with refused("InvalidLookupAttributesException"):
        aws.cloudtrail.lookup_events(LookupAttributes=two)
    with refused("InvalidLookupAttributesException"):
        look_up(aws, "ReadOnly", "maybe")
    with refused("NotImplemented"):
        look_up(aws, EventCategory="insight")


def test_events_on_objects_are_found_as_well_and_marked_as_data(aws: Principal) -> None:
    aws.s3.create_bucket(Bucket=f"reports-{aws.account_id}")
    aws.s3.put_object(Bucket=f"reports-{aws.account_id}", Key="a/b", Body=b"content of the object")
    [event] = look_up(aws, "EventName", "PutObject")
    record = json.loads(event["CloudTrailEvent"])
    assert (record["eventCategory"], record["managementEvent"]) == ("Data", False)
    assert record["requestParameters"]["bucketName"] == f"reports-{aws.account_id}"
    assert record["requestParameters"]["key"] == "a/b"
    assert "content of the object" not in event["CloudTrailEvent"]
    assert look_up(aws, "ResourceType", "AWS::S3::Object")


def test_a_service_call_for_someone_says_through_which_service(aws: Principal) -> None:
    bucket = f"sealed-{aws.account_id}"
    aws.s3.create_bucket(Bucket=bucket)
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms")
    [event] = look_up(aws, "EventName", "GenerateDataKey")
    record = json.loads(event["CloudTrailEvent"])
    assert record["userIdentity"]["invokedBy"] == "s3.amazonaws.com"
    assert record["sourceIPAddress"] == record["userAgent"] == "s3.amazonaws.com"
    assert record["userIdentity"]["type"] == "Root"


def test_secrets_are_in_no_event(aws: Principal) -> None:
    secret = aws.iam.create_access_key(UserName=aws.iam.create_user(UserName="bob")["User"]["UserName"])["AccessKey"]
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    data_key = aws.kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    aws.kms.encrypt(KeyId=key, Plaintext=b"words that stay here")
    text = json.dumps([event["CloudTrailEvent"] for event in look_up(aws)])
    assert secret["AccessKeyId"] in text
    assert secret["SecretAccessKey"] not in text
    assert "HIDDEN_DUE_TO_SECURITY_REASONS" in text
    for content in (data_key["Plaintext"], data_key["CiphertextBlob"], b"words that stay here"):
        assert base64.b64encode(content).decode() not in text


def test_a_failed_signature_is_found_by_its_access_key(aws: Principal) -> None:
    forged = aws.using({"AccessKeyId": aws.access_key_id, "SecretAccessKey": "x" * 40})
    with pytest.raises(ClientError):
        forged.sts.get_caller_identity()
    event = look_up(aws, "AccessKeyId", aws.access_key_id)[0]
    record = json.loads(event["CloudTrailEvent"])
    assert record["errorCode"] == "SignatureDoesNotMatch"
    assert record["userIdentity"]["type"] == "Unknown"


def test_an_event_is_found_as_soon_as_its_call_is_answered(aws: Principal) -> None:
    for _ in range(20):
        request_id = aws.sts.get_caller_identity()["ResponseMetadata"]["RequestId"]
        newest = look_up(aws, "EventName", "GetCallerIdentity", MaxResults=1)[0]
        assert json.loads(newest["CloudTrailEvent"])["requestID"] == request_id

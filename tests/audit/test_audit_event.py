"""Events: CloudTrail's form per kind of principal and outcome, who gets a copy, what must not be in one."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace
from typing import Any

import pytest

from freehold.audit import event
from freehold.audit.redact import HIDDEN
from freehold.authentication.key_ids import new_access_key_id
from freehold.authorization.principal import ANONYMOUS, Principal, Session
from freehold.clock import Clock
from freehold.errors import AccessDeniedException, aws_error
from freehold.message import Request
from freehold.services.call import Call
from freehold.services.operation import Operation

ACCOUNT, OTHER = "111122223333", "444455556666"
KEY_ARN = f"arn:aws:kms:us-east-1:{OTHER}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
APP = SimpleNamespace(clock=Clock())

ALICE = Principal(
    "user", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/alice", "AIDAALICE", "alice", access_key_id="AKIAALICE"
)
SESSION = Session(issued_at=0, expires_at=3600, name="one", mfa_at=5, source_identity="bob", issuer_unique_id="AROAAPP")
APP_ROLE = Principal(
    "role",
    ACCOUNT,
    f"arn:aws:sts::{ACCOUNT}:assumed-role/app/one",
    "AROAAPP:one",
    "app",
    f"arn:aws:iam::{ACCOUNT}:role/team/app",
    "ASIAAPP",
    SESSION,
)


def operation(name: str) -> Operation:
    service, _, operation_name = name.partition(".")
    nothing: Any = None
    return Operation(service, operation_name, nothing, nothing, False, None, frozenset(), False)


def called(name: str, principal: Principal = ALICE, params: dict[str, Any] | None = None, **more: Any) -> Call:
    headers = {"user-agent": "boto3", "host": "kms.local"} | more.pop("headers", {})
    request = Request("POST", "/", more.pop("query", ""), headers, source_ip="192.0.2.7", secure=True)
    app: Any = APP
    call = Call(app, request, operation(name), principal, "us-east-1", "request-1", {}, **more)
    call.params = params or {}
    return call


def decide(call: Call, account_id: str, resource: str, result: str = "allow") -> None:
    decision: Any = SimpleNamespace(
        result=result, request=SimpleNamespace(account_id=account_id, resource=resource, action="")
    )
    call.decisions.append(decision)


def built(call: Call, result: dict[str, Any] | None = None, error: Exception | None = None) -> dict[str, Any]:
    [encoded] = event.build(call, result, error)
    shown: dict[str, Any] = json.loads(encoded)
    return shown


def test_a_call_has_every_field_of_a_cloudtrail_event() -> None:
    call = called("kms.Encrypt", params={"KeyId": "alias/a", "Plaintext": b"secret", "EncryptionContext": {"Aa": "b"}})
    call.resources.append(("AWS::KMS::Key", KEY_ARN))
    shown = built(call, {"CiphertextBlob": b"x", "KeyMaterialId": "ab12"})
    assert len(shown.pop("eventID")) == 36
    assert shown.pop("eventTime").endswith("Z")
    assert shown == {
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDAALICE",
            "arn": f"arn:aws:iam::{ACCOUNT}:user/alice",
            "accountId": ACCOUNT,
            "accessKeyId": "AKIAALICE",
            "userName": "alice",
        },
        "eventSource": "kms.amazonaws.com",
        "eventName": "Encrypt",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.7",
        "userAgent": "boto3",
        "requestParameters": {"keyId": "alias/a", "encryptionContext": {"Aa": "b"}},
        "responseElements": None,
        "additionalEventData": {"keyMaterialId": "ab12"},
        "requestID": "request-1",
        "readOnly": True,
        "resources": [{"accountId": OTHER, "type": "AWS::KMS::Key", "ARN": KEY_ARN}],
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
        "tlsDetails": {"clientProvidedHostHeader": "kms.local"},
    }


IDENTITIES = [
    (Principal("root", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, "root", access_key_id="AKIAROOT"), "Root", {}),
    (
        APP_ROLE,
        "AssumedRole",
        {
            "attributes": {"creationDate": "1970-01-01T00:00:00Z", "mfaAuthenticated": "true"},
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAAPP",
                "arn": f"arn:aws:iam::{ACCOUNT}:role/team/app",
                "accountId": ACCOUNT,
                "userName": "app",
            },
            "sourceIdentity": "bob",
        },
    ),
    (Principal("service", name="delivery.logs.amazonaws.com"), "AWSService", {}),
    (ANONYMOUS, "AWSAccount", {}),
    (Principal("operator", "", "arn:aws:freehold:::operator", "FHOP1", "operator"), "Operator", {}),
]


@pytest.mark.parametrize(("principal", "type_", "context"), IDENTITIES, ids=[row[1] for row in IDENTITIES])
def test_each_kind_of_principal_is_shown_as_cloudtrail_does(
    principal: Principal, type_: str, context: dict[str, Any]
) -> None:
    identity = built(called("sts.GetCallerIdentity", principal), {})["userIdentity"]
    assert identity["type"] == type_
    assert identity.get("sessionContext", {}) == context


def test_a_session_of_a_user_says_when_it_began_and_names_no_role() -> None:
    session = Session(issued_at=60, expires_at=3600, kind="session-token", issuer_unique_id="AIDAALICE")
    principal = Principal("user", ACCOUNT, ALICE.arn, "AIDAALICE", "alice", access_key_id="ASIAX", session=session)
    identity = built(called("iam.ListUsers", principal), {})["userIdentity"]
    assert identity["type"] == "IAMUser"
    assert identity["sessionContext"] == {
        "attributes": {"creationDate": "1970-01-01T00:01:00Z", "mfaAuthenticated": "false"}
    }


def test_a_refusal_has_the_error_and_no_answer() -> None:
    call = called("kms.CreateKey", params={"Description": "d"})
    decide(call, ACCOUNT, "*", "implicitDeny")
    shown = built(call, None, AccessDeniedException("not authorized"))
    assert (shown["errorCode"], shown["errorMessage"]) == ("AccessDeniedException", "not authorized")
    assert shown["responseElements"] is None
    assert shown["requestParameters"] == {"description": "d"}


def test_a_defects_text_is_not_in_the_event() -> None:
    shown = built(called("kms.CreateKey"), None, KeyError("a secret"))
    assert shown["errorCode"] == "InternalFailure"
    assert "secret" not in json.dumps(shown)


def test_success_across_accounts_is_told_in_both_and_shows_the_other_little_of_the_caller() -> None:
    call = called("kms.Decrypt")
    decide(call, OTHER, KEY_ARN)
    own, others = map(json.loads, event.build(call, {}, None))
    assert (own["recipientAccountId"], others["recipientAccountId"]) == (ACCOUNT, OTHER)
    assert own["sharedEventID"] == others["sharedEventID"]
    assert own["eventID"] != others["eventID"]
    assert own["userIdentity"]["userName"] == "alice"
    assert others["userIdentity"] == {"type": "AWSAccount", "principalId": "AIDAALICE", "accountId": ACCOUNT}


def test_a_denial_across_accounts_is_told_in_the_callers_only() -> None:
    call = called("kms.Decrypt")
    decide(call, OTHER, KEY_ARN, "implicitDeny")
    assert built(call, None, AccessDeniedException())["recipientAccountId"] == ACCOUNT


def test_an_item_that_was_denied_tells_its_owner_nothing() -> None:
    call = called("s3.DeleteObjects")
    decide(call, ACCOUNT, "arn:aws:s3:::mine/a")
    decide(call, OTHER, "arn:aws:s3:::theirs/b", "implicitDeny")
    assert len(event.build(call, {}, None)) == 1


def test_an_anonymous_success_is_told_to_the_owner() -> None:
    call = called("s3.GetObject", ANONYMOUS)
    decide(call, OTHER, "arn:aws:s3:::public/a")
    shown = built(call, {})
    assert shown["recipientAccountId"] == OTHER
    assert shown["resources"] == [
        {"accountId": OTHER, "type": "AWS::S3::Object", "ARN": "arn:aws:s3:::public/a"},
    ]


@pytest.mark.parametrize("where", ["header", "query"])
def test_a_failed_authentication_names_the_access_key_that_was_claimed(where: str) -> None:
    access_key_id = new_access_key_id("AKIA", OTHER)
    if where == "header":
        scope = f"AWS4-HMAC-SHA256 Credential={access_key_id}/20261123/us-east-1/kms/aws4_request, Signature=0"
        call = called("kms.Encrypt", ANONYMOUS, headers={"authorization": scope})
    else:
        call = called("s3.GetObject", ANONYMOUS, query=f"X-Amz-Credential={access_key_id}%2F20261123&X-Amz-Signature=f")
    shown = built(call, None, aws_error("SignatureDoesNotMatch", 403)())
    assert shown["userIdentity"] == {"type": "Unknown", "principalId": "", "accessKeyId": access_key_id}
    assert shown["recipientAccountId"] == OTHER
    assert "Signature=" not in json.dumps(shown)


def test_a_call_through_a_service_says_so() -> None:
    shown = built(called("kms.GenerateDataKey", via=("s3",)), {})
    assert shown["userIdentity"]["invokedBy"] == "s3.amazonaws.com"
    assert shown["sourceIPAddress"] == shown["userAgent"] == "s3.amazonaws.com"
    assert "tlsDetails" not in shown


READ_ONLY = [
    ("kms.Encrypt", True),
    ("kms.GenerateDataKey", True),
    ("kms.ReEncrypt", True),
    ("kms.CreateGrant", False),
    ("sts.AssumeRole", True),
    ("iam.GetUser", True),
    ("iam.CreateUser", False),
    ("s3.HeadObject", True),
    ("s3.PutObject", False),
    ("s3.ListBuckets", True),
    ("cloudtrail.LookupEvents", True),
]


@pytest.mark.parametrize(("name", "read_only"), READ_ONLY)
def test_what_changes_nothing_is_read_only(name: str, read_only: bool) -> None:
    assert built(called(name), {})["readOnly"] is read_only


def test_the_answer_of_a_change_and_of_sts_is_told_without_secrets() -> None:
    credentials = {"AccessKeyId": "ASIAX", "SecretAccessKey": "s3cr3t", "SessionToken": "t0ken"}
    shown = built(called("sts.AssumeRole"), {"Credentials": credentials})
    assert shown["responseElements"]["credentials"] == {
        "accessKeyId": "ASIAX",
        "secretAccessKey": HIDDEN,
        "sessionToken": HIDDEN,
    }
    made = built(called("iam.CreateAccessKey"), {"AccessKey": {"AccessKeyId": "AKIAX", "SecretAccessKey": "s3cr3t"}})
    assert made["responseElements"] == {"accessKey": {"accessKeyId": "AKIAX", "secretAccessKey": HIDDEN}}


def test_what_is_too_large_is_replaced_by_its_size() -> None:
    shown = built(called("iam.CreateUser", params={"UserName": "bob", "Path": "/" + "x" * 200_000}), {})
    assert shown["requestParameters"] == {
        "omitted": True,
        "originalSize": 200_000 + len('{"userName":"bob","path":"/"}'),
        "reason": "requestParameters too large",
    }


@pytest.mark.parametrize("text", ["\ud800", "\x00", '"', "é\u2028", '","recipientAccountId":"444455556666'])
def test_no_text_breaks_an_event_or_forges_a_field(text: str) -> None:
    call = called("iam.CreateUser", params={"UserName": text}, headers={"user-agent": text})
    shown = built(call, {})
    assert shown["recipientAccountId"] == ACCOUNT
    assert shown["requestParameters"]["userName"] == text.replace("\ud800", "?")


def test_numbers_beyond_64_bits_are_told_as_text() -> None:
    shown = built(called("iam.ListUsers", params={"MaxItems": 2**70}), {})
    assert shown["requestParameters"] == {"maxItems": str(2**70)}


def test_event_ids_are_random_uuids_and_differ_between_forks() -> None:
    ids = [event.new_event_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert {(text[14], text[19] in "89ab") for text in ids} == {("4", True)}
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write_end, event.new_event_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    from_child = os.read(read_end, 100).decode()
    os.close(read_end)
    os.close(write_end)
    assert from_child not in {event.new_event_id() for _ in range(200)}

"""The credentials of AWS KMS at the proxy: whose they are, what they are good for, and how one replaces another."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from xks_client import METADATA, SERVICE_NAME, USE_KEYS, XksClient, client_of, new_client, new_credential

from freehold.testing import Principal, Server

FAILED = (401, "AuthenticationFailedException")
DENIED = (403, "AccessDeniedException")


def user_of(owner: Principal, xks: XksClient) -> str:
    for user in owner.iam.list_users()["Users"]:
        for one in owner.iam.list_service_specific_credentials(UserName=user["UserName"])["ServiceSpecificCredentials"]:
            if one.get("ServiceUserName") == xks.access_key_id:
                return str(user["UserName"])
    raise AssertionError("nobody's")


def test_a_credential_is_as_aws_kms_takes_it_and_its_secret_is_shown_once(home: Server) -> None:
    owner = home.new_account()
    owner.iam.create_user(UserName="aws-kms")
    made = new_credential(owner, "aws-kms")
    assert re.fullmatch("[A-Z2-7]{20,30}", made["ServiceUserName"])
    assert re.fullmatch("[a-zA-Z0-9+/=]{43,64}", made["ServicePassword"])
    listed = owner.iam.list_service_specific_credentials(UserName="aws-kms")
    assert listed["ServiceSpecificCredentials"][0]["ServiceUserName"] == made["ServiceUserName"]
    assert made["ServicePassword"] not in json.dumps(listed, default=str)
    trail = json.dumps(owner.cloudtrail.lookup_events()["Events"], default=str)
    assert made["ServiceUserName"] in trail
    assert made["ServicePassword"] not in trail


def test_a_user_has_two_which_both_hold(home: Server) -> None:
    owner = home.new_account()
    old = new_client(owner)
    second = new_credential(owner, "aws-kms")
    new = client_of(owner, second)
    assert old.health().status == new.health().status == 200
    with pytest.raises(ClientError, match="LimitExceeded"):
        new_credential(owner, "aws-kms")
    owner.iam.update_service_specific_credential(
        UserName="aws-kms", ServiceSpecificCredentialId=second["ServiceSpecificCredentialId"], Status="Inactive"
    )
    assert (old.health().status, new.health().error) == (200, FAILED)
    owner.iam.update_service_specific_credential(
        UserName="aws-kms", ServiceSpecificCredentialId=second["ServiceSpecificCredentialId"], Status="Active"
    )
    reset = owner.iam.reset_service_specific_credential(
        UserName="aws-kms", ServiceSpecificCredentialId=second["ServiceSpecificCredentialId"]
    )["ServiceSpecificCredential"]
    assert reset["ServiceUserName"] == second["ServiceUserName"]
    assert new.health().error == FAILED
    assert client_of(owner, reset).health().status == 200
    with pytest.raises(ClientError, match="DeleteConflict"):
        owner.iam.delete_user(UserName="aws-kms")
    owner.iam.delete_service_specific_credential(
        UserName="aws-kms", ServiceSpecificCredentialId=second["ServiceSpecificCredentialId"]
    )
    assert client_of(owner, reset).health().error == FAILED
    assert old.health().status == 200


def test_an_inactive_credential_with_a_new_secret_stays_inactive(home: Server) -> None:
    owner = home.new_account()
    owner.iam.create_user(UserName="aws-kms")
    made = new_credential(owner, "aws-kms")
    same = {"UserName": "aws-kms", "ServiceSpecificCredentialId": made["ServiceSpecificCredentialId"]}
    owner.iam.update_service_specific_credential(Status="Inactive", **same)
    reset = owner.iam.reset_service_specific_credential(**same)["ServiceSpecificCredential"]
    assert reset["Status"] == "Inactive"
    assert client_of(owner, reset).health().error == FAILED


def test_making_one_needs_its_own_permission(home: Server) -> None:
    owner = home.new_account()
    owner.iam.create_user(UserName="aws-kms")
    allowed: dict[str, Any] = {
        "Effect": "Allow",
        "Action": "iam:CreateServiceSpecificCredential",
        "Resource": "*",
        "Condition": {"StringEquals": {"iam:ServiceSpecificCredentialServiceName": SERVICE_NAME}},
    }
    other = allowed | {"Condition": {"StringNotEquals": {"iam:ServiceSpecificCredentialServiceName": SERVICE_NAME}}}
    for number, (statement, may) in enumerate([(allowed, True), (other, False)]):
        admin = owner.new_user(f"admin-{number}", {"Version": "2012-10-17", "Statement": [statement]})
        if may:
            new_credential(admin, "aws-kms")
        else:
            with pytest.raises(ClientError, match="AccessDenied"):
                new_credential(admin, "aws-kms")


# --- what authenticates ---------------------------------------------------------------------------------------------


def test_what_does_not_authenticate(owner: Principal, xks: XksClient, key: str) -> None:
    iam_key = owner.new_user("with-a-key", USE_KEYS)
    wrong = [
        xks.but(secret=xks.secret[:-1] + ("A" if xks.secret[-1] != "A" else "B")),
        xks.but(access_key_id="ABCDEFGHIJ234567ABCD"),
        xks.but(access_key_id="x/y"),
        xks.but(access_key_id=iam_key.access_key_id, secret=iam_key.secret_access_key),
        xks.but(access_key_id=owner.access_key_id, secret=owner.secret_access_key),
    ]
    for client in wrong:
        assert client.health().error == FAILED
        assert client.encrypt(key).error == FAILED
    session = owner.using(owner.sts.get_federation_token(Name="someone"))
    assert session.session_token is not None
    assert (
        xks.but(access_key_id=session.access_key_id, secret=session.secret_access_key)
        .post("/health", {}, token=session.session_token)
        .error
        == FAILED
    )
    assert xks.post("/health", {}, token="a token with it").error == FAILED


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_request_of_six_minutes_ago_or_hence_is_refused(xks: XksClient, minutes: int) -> None:
    moment = datetime.now(UTC) + timedelta(minutes=minutes)
    assert xks.post("/health", {}, date=moment.strftime("%Y%m%dT%H%M%SZ")).error == FAILED
    moment = datetime.now(UTC) + timedelta(minutes=minutes / 2)
    assert xks.post("/health", {}, date=moment.strftime("%Y%m%dT%H%M%SZ")).status == 200


def test_what_is_changed_after_signing_is_refused(xks: XksClient, key: str) -> None:
    sent: dict[str, Any] = {}

    class Recording(XksClient):
        def send(self, method: str, path: str, data: bytes, headers: dict[str, str]) -> Any:
            sent.update(method=method, path=path, data=data, headers=headers)
            return super().send(method, path, data, headers)

    recording = Recording(**{name: getattr(xks, name) for name in xks.__dataclass_fields__})
    assert recording.metadata(key).status == 200
    assert xks.send(**sent).status == 200
    for change in (
        {"path": f"/keys/{key}/encrypt"},
        {"path": "/health"},
        {"data": sent["data"].replace(b"Alice", b"Mallory")},
        {"headers": {**sent["headers"], "X-Amz-Date": "20200101T000000Z"}},
    ):
        assert xks.send(**{**sent, **change}).error == FAILED
    assert xks.but(path="/eu-west-1/kms/xks/v1").send(**sent).error == FAILED


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic eGtzOnNlY3JldA==",
        "Bearer x",
        "AWS4-HMAC-SHA256",
        "AWS4-HMAC-SHA256 Credential=ABCDEFGHIJ234567ABCD/20260101/us-east-1/kms-xks-proxy/aws4_request",
        "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/kms-xks-proxy/aws4_request, SignedHeaders=host, Signature=zz",
        "AWS4-ECDSA-P256-SHA256 Credential=x/20260101/kms-xks-proxy/aws4_request, SignedHeaders=host, Signature=00",
    ],
)
def test_without_a_signature_that_can_be_read_nothing_is_told(
    xks: XksClient, key: str, authorization: str | None
) -> None:
    headers = {"Content-Type": "application/json"} | ({} if authorization is None else {"Authorization": authorization})
    for path in ("/health", f"/keys/{key}/metadata", f"/keys/{key}/encrypt"):
        assert xks.send("POST", path, json.dumps({"requestMetadata": METADATA}).encode(), headers).error == FAILED


def test_a_credential_signs_for_nothing_else(owner: Principal, xks: XksClient) -> None:
    admin = new_client(
        owner, "admin", {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    )
    holder = Principal(owner.endpoint, admin.access_key_id, admin.secret)
    for service, operation in [
        ("sts", "get_caller_identity"),
        ("kms", "list_keys"),
        ("iam", "list_users"),
        ("s3", "list_buckets"),
        ("cloudtrail", "lookup_events"),
        ("organizations", "describe_organization"),
    ]:
        with pytest.raises(ClientError) as refusal:
            getattr(holder.client(service), operation)()
        assert refusal.value.response["Error"]["Code"] in (
            *("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"),
        )
    assert xks.but(service="kms").health().error == FAILED
    assert xks.but(service="s3").health().status == 400


# --- what is allowed ------------------------------------------------------------------------------------------------


def _allow(*actions: str, **condition: Any) -> dict[str, Any]:
    statement: dict[str, Any] = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement | ({"Condition": condition} if condition else {})]}


@pytest.mark.parametrize(
    ("actions", "statuses"),
    [
        (["iam:ListUsers"], (403, 403, 403)),
        (["kms:DescribeKey"], (200, 403, 403)),
        (["kms:Encrypt"], (403, 200, 403)),
        (["kms:Decrypt"], (403, 403, 200)),
        (["kms-xks-proxy:*"], (403, 403, 403)),
    ],
)
def test_each_operation_needs_kms_permission_for_it(
    owner: Principal, xks: XksClient, key: str, actions: list[str], statuses: tuple[int, int, int]
) -> None:
    client = new_client(owner, f"user-{actions[0].replace(':', '-').replace('*', 'all')}", _allow(*actions))
    sealed = xks.encrypt(key).body
    answers = (client.metadata(key), client.encrypt(key), client.decrypt(key, sealed))
    assert tuple(answer.status for answer in answers) == statuses
    assert client.health().status == 200
    for answer in answers:
        if answer.status != 200:
            assert answer.error == DENIED
            assert "not authorized to perform: kms:" in answer.body["errorMessage"]


def test_the_keys_own_policy_and_a_grant_decide(owner: Principal) -> None:
    client = new_client(owner, "by-the-key", _allow("iam:ListUsers"))
    arn = f"arn:aws:iam::{owner.account_id}:user/by-the-key"
    key = owner.kms.create_key()["KeyMetadata"]["KeyId"]
    assert client.encrypt(key).error == DENIED
    grant = owner.kms.create_grant(KeyId=key, GranteePrincipal=arn, Operations=["Encrypt", "Decrypt"])
    sealed = client.encrypt(key).body
    assert client.decrypt(key, sealed).status == 200
    owner.kms.revoke_grant(KeyId=key, GrantId=grant["GrantId"])
    assert client.decrypt(key, sealed).error == DENIED
    own: dict[str, Any] = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{owner.account_id}:root"},
                "Action": "kms:*",
                "Resource": "*",
            },
            {
                "Effect": "Allow",
                "Principal": {"AWS": arn},
                "Action": ["kms:Encrypt", "kms:Decrypt"],
                "Resource": "*",
                "Condition": {
                    "StringEquals": {"freehold:XksKmsKeyArn": METADATA["kmsKeyArn"]},
                    "StringLike": {"freehold:XksAwsPrincipalArn": "arn:aws:iam::123456789012:*"},
                },
            },
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "kms:Decrypt",
                "Resource": "*",
                "Condition": {"StringEquals": {"freehold:XksKmsViaService": "s3"}},
            },
        ],
    }
    owner.kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(own))
    assert client.decrypt(key, sealed).status == 200
    assert client.decrypt(key, sealed, told=METADATA | {"kmsViaService": "s3"}).error == DENIED
    assert client.decrypt(key, sealed, told=METADATA | {"kmsKeyArn": "arn:aws:kms:other"}).error == DENIED
    stranger = METADATA | {"awsPrincipalArn": "arn:aws:iam::210987654321:user/Mallory"}
    assert client.encrypt(key, told=stranger).error == DENIED


@pytest.mark.parametrize(
    ("member", "name", "value"),
    [
        ("awsPrincipalArn", "freehold:XksAwsPrincipalArn", "arn:aws:iam::123456789012:user/Alice"),
        ("awsSourceVpc", "freehold:XksAwsSourceVpc", "vpc-1"),
        ("awsSourceVpce", "freehold:XksAwsSourceVpce", "vpce-1"),
        ("kmsKeyArn", "freehold:XksKmsKeyArn", "arn:aws:kms:us-east-2:123456789012:key/1"),
        ("kmsOperation", "freehold:XksKmsOperation", "Decrypt"),
        ("kmsViaService", "freehold:XksKmsViaService", "ebs"),
    ],
)
def test_what_aws_kms_tells_is_a_condition_key(owner: Principal, key: str, member: str, name: str, value: str) -> None:
    client = new_client(owner, f"told-{member}", _allow("kms:*", StringEquals={name: value}))
    told = {name: text for name, text in METADATA.items() if name != "kmsViaService"}
    assert client.encrypt(key, told=told | {member: value}).status == 200
    assert client.metadata(key, **{member: value}).status == 200
    assert client.encrypt(key, told=told | {member: f"{value}x"}).error == DENIED


def test_nobody_but_aws_kms_tells_anything(owner: Principal, key: str) -> None:
    """A direct call has none of these keys, so that a policy may tell one from the other."""
    through = {"Null": {"freehold:XksKmsKeyArn": "false"}}
    user = owner.new_user("directly", _allow("kms:Encrypt", **through))
    with pytest.raises(ClientError, match="AccessDenied"):
        user.kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"freehold:XksKmsKeyArn": "x"})
    assert new_client(owner, "through", _allow("kms:Encrypt", **through)).encrypt(key).status == 200


def test_a_source_address_binds_a_credential_to_a_place(owner: Principal, key: str) -> None:
    here = new_client(owner, "here", _allow("kms:Encrypt", IpAddress={"aws:SourceIp": "127.0.0.0/8"}))
    there = new_client(owner, "there", _allow("kms:Encrypt", IpAddress={"aws:SourceIp": "198.51.100.0/24"}))
    assert here.encrypt(key).status == 200
    assert there.encrypt(key).error == DENIED


def test_the_region_that_is_requested_is_the_keys(owner: Principal, key: str) -> None:
    client = new_client(owner, "regional", _allow("kms:Encrypt", StringEquals={"aws:RequestedRegion": "us-east-1"}))
    assert client.but(region="ap-southeast-2").encrypt(key).status == 200
    there = owner.in_region("eu-west-1").kms.create_key()["KeyMetadata"]["KeyId"]
    assert client.but(path="/eu-west-1/kms/xks/v1", region="us-east-1").encrypt(there).error == DENIED


# --- what is on record ----------------------------------------------------------------------------------------------


def test_the_trail_tells_what_was_asked_for_whom_and_no_contents(home: Server) -> None:
    owner = home.new_account()
    client = new_client(owner)
    key = owner.kms.create_key()["KeyMetadata"]
    sealed = client.encrypt(key["KeyId"], b"the plaintext itself").body
    client.decrypt(key["KeyId"], sealed)
    client.but(secret="A" * 43).health()
    client.health()
    found = [json.loads(event["CloudTrailEvent"]) for event in owner.cloudtrail.lookup_events()["Events"]]
    ours = {event["eventName"]: event for event in found if event["eventSource"] == "kms-xks-proxy.amazonaws.com"}
    assert set(ours) == {"Encrypt", "Decrypt", "GetHealthStatus"}
    for name in ("Encrypt", "Decrypt"):
        event = ours[name]
        assert event["userIdentity"]["accessKeyId"] == client.access_key_id
        assert event["requestParameters"]["requestMetadata"] == METADATA
        assert event["resources"][0]["ARN"] == key["Arn"]
        assert event["readOnly"] is True
        assert event["awsRegion"] == "us-east-1"
        assert event["responseElements"] is None
    refused = [event for event in found if event.get("errorCode") == "AuthenticationFailedException"]
    assert [event["userIdentity"]["accessKeyId"] for event in refused] == [client.access_key_id]
    whole = json.dumps(found)
    assert "the plaintext itself" not in whole
    for contents in (*sealed.values(), client.secret, "dGhlIHBsYWludGV4dCBpdHNlbGY="):
        assert contents not in whole
    used = owner.kms.get_key_last_usage(KeyId=key["KeyId"])["KeyLastUsage"]
    assert (used["Operation"], used["CloudTrailEventId"]) == ("Decrypt", ours["Decrypt"]["eventID"])


def test_a_denial_can_be_looked_up_with_what_aws_kms_told(owner: Principal, key: str) -> None:
    client = new_client(owner, "denied", _allow("iam:ListUsers"))
    said = client.encrypt(key).body["errorMessage"]
    found = re.search(r"authorization id: ([a-z0-9]+)", said)
    assert found is not None
    details = owner.iam_toolbox.get_request_authorization_details(authorizationId=found[1])
    assert METADATA["awsPrincipalArn"] in json.dumps(details, default=str)
    assert user_of(owner, client) == "denied"


def test_last_accessed_details_survive_uses_of_the_proxy(home: Server) -> None:
    owner = home.new_account()
    client = new_client(owner)
    key = owner.kms.create_key()["KeyMetadata"]["KeyId"]
    assert client.encrypt(key).status == 200
    arn = f"arn:aws:iam::{owner.account_id}:user/aws-kms"
    job = owner.iam.generate_service_last_accessed_details(Arn=arn)["JobId"]
    for _ in range(100):
        details = owner.iam.get_service_last_accessed_details(JobId=job)
        if details["JobStatus"] != "IN_PROGRESS":
            break
    assert details["JobStatus"] == "COMPLETED"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Amz-Target": "Freehold.SignIn", "Content-Type": "application/x-amz-json-1.1"},
        {"X-Amz-Target": "Freehold.GetSealStatus", "Content-Type": "application/x-amz-json-1.1"},
        {"X-Amz-Target": "TrentService.ListKeys", "Content-Type": "application/x-amz-json-1.1"},
        {"X-Amz-Target": "AWSCognitoIdentityService.GetId", "Content-Type": "application/x-amz-json-1.1"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
def test_nothing_else_is_served_at_the_proxys_paths(xks: XksClient, headers: dict[str, str]) -> None:
    """A reverse proxy that lets only these paths through opens only the proxy."""
    for body in (b"{}", b"Action=GetCallerIdentity&Version=2011-06-15"):
        assert xks.send("POST", "/health", body, headers).error == FAILED


def test_another_services_signature_is_none_at_the_proxys_paths(owner: Principal, xks: XksClient) -> None:
    for service in ("kms", "sts", "iam", "freehold", "cognito-identity", "organizations", "cloudtrail"):
        signed = xks.but(access_key_id=owner.access_key_id, secret=owner.secret_access_key, service=service)
        assert signed.health().error == FAILED

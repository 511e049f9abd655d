"""Keys, aliases, tags and AWS managed keys as clients see them; boto3 against a live server."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

DENIED = "AccessDeniedException"


def may(actions: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    one = {"Effect": "Allow", "Action": actions, "Resource": resource, **more}
    return {"Version": "2012-10-17", "Statement": [one]}


def test_a_new_key_is_what_was_asked_for(aws: Any) -> None:
    made = aws.kms.create_key(Description="for reports", Tags=[{"TagKey": "team", "TagValue": "blue"}])["KeyMetadata"]
    assert made["Arn"] == f"arn:aws:kms:us-east-1:{aws.account_id}:key/{made['KeyId']}"
    assert {name: made[name] for name in ("AWSAccountId", "Description", "Enabled", "KeyState", "KeyManager")} == {
        "AWSAccountId": aws.account_id,
        "Description": "for reports",
        "Enabled": True,
        "KeyState": "Enabled",
        "KeyManager": "CUSTOMER",
    }
    assert (made["KeyUsage"], made["KeySpec"], made["CustomerMasterKeySpec"], made["Origin"]) == (
        "ENCRYPT_DECRYPT",
        "SYMMETRIC_DEFAULT",
        "SYMMETRIC_DEFAULT",
        "AWS_KMS",
    )
    assert made["EncryptionAlgorithms"] == ["SYMMETRIC_DEFAULT"]
    assert abs(made["CreationDate"] - datetime.now(UTC)) < timedelta(days=1000)
    assert "DeletionDate" not in made
    described = aws.kms.describe_key(KeyId=made["KeyId"])["KeyMetadata"]
    assert described == made
    assert aws.kms.list_resource_tags(KeyId=made["KeyId"])["Tags"] == [{"TagKey": "team", "TagValue": "blue"}]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"KeySpec": "ML_KEM_512", "KeyUsage": "ENCAPSULATE_DECAPSULATE"}, "NotImplemented"),
    ({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"}, "UnsupportedOperationException"),
    ({"KeySpec": "RSA_2048"}, "ValidationException"),
    ({"KeyUsage": "SIGN_VERIFY"}, "ValidationException"),
    ({"KeySpec": "RSA_2048", "CustomerMasterKeySpec": "RSA_2048"}, "ValidationException"),
    ({"MultiRegion": True, "Origin": "AWS_CLOUDHSM"}, "UnsupportedOperationException"),
    ({"CustomKeyStoreId": "cks-1234567890abcdef0"}, "ValidationException"),
    ({"Tags": [{"TagKey": "aws:x", "TagValue": "y"}]}, "TagException"),
    ({"Tags": [{"TagKey": "a", "TagValue": "1"}, {"TagKey": "a", "TagValue": "2"}]}, "TagException"),
    ({"Tags": [{"TagKey": "a<b", "TagValue": "1"}]}, "TagException"),
    ({"Tags": [{"TagKey": str(n), "TagValue": ""} for n in range(51)]}, "LimitExceededException"),
]


@pytest.mark.parametrize(("params", "code"), REFUSED)
def test_keys_that_are_not_served_are_refused_clearly(
    aws: Any, refused: Any, params: dict[str, Any], code: str
) -> None:
    with refused(code):
        aws.kms.create_key(**params)
    assert aws.kms.list_keys()["Keys"] == []


def test_a_disabled_key_is_refused_at_once_and_an_enabled_one_works_again(aws: Any, refused: Any) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    blob = aws.kms.encrypt(KeyId=key, Plaintext=b"text")["CiphertextBlob"]
    for _ in range(5):
        aws.kms.disable_key(KeyId=key)
        with refused("DisabledException", f"{key} is disabled."):
            aws.kms.decrypt(CiphertextBlob=blob)
        with refused("DisabledException"):
            aws.kms.generate_data_key(KeyId=key, KeySpec="AES_256")
        aws.kms.enable_key(KeyId=key)
        assert aws.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"


def test_a_deletion_is_scheduled_cancelled_and_in_the_end_done(aws: Any, freehold_server: Any, refused: Any) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    blob = aws.kms.encrypt(KeyId=key, Plaintext=b"text")["CiphertextBlob"]
    for days in (6, 31):
        with refused("ValidationException", "pendingWindowInDays"):
            aws.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=days)
    planned = aws.kms.schedule_key_deletion(KeyId=key)
    assert (planned["KeyId"], planned["KeyState"], planned["PendingWindowInDays"]) == (key, "PendingDeletion", 30)
    assert aws.kms.describe_key(KeyId=key)["KeyMetadata"]["DeletionDate"] == planned["DeletionDate"]
    assert aws.kms.cancel_key_deletion(KeyId=key)["KeyId"] == key
    assert aws.kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Disabled"
    aws.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    with refused("KMSInvalidStateException", f"{key} is pending deletion."):
        aws.kms.decrypt(CiphertextBlob=blob)
    freehold_server.advance(days=7, seconds=1)
    with refused("NotFoundException", f"Key '{key}' does not exist"):
        aws.kms.cancel_key_deletion(KeyId=key)
    with refused("NotFoundException", f"Key '{key}' does not exist"):
        aws.kms.decrypt(CiphertextBlob=blob)
    assert aws.kms.list_keys()["Keys"] == []


def test_keys_and_aliases_are_listed_page_by_page(aws: Any, refused: Any) -> None:
    keys = {aws.kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(7)}
    pages = list(aws.kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(page["Keys"]) for page in pages] == [3, 3, 1]
    assert {entry["KeyId"] for page in pages for entry in page["Keys"]} == keys
    names = [f"alias/n{number}" for number in range(5)]
    first = min(keys)
    for name in names:
        aws.kms.create_alias(AliasName=name, TargetKeyId=first)
    aws.kms.create_alias(AliasName="alias/z", TargetKeyId=max(keys))
    paged = aws.kms.get_paginator("list_aliases").paginate(PaginationConfig={"PageSize": 2})
    assert [alias["AliasName"] for page in paged for alias in page["Aliases"]] == [*names, "alias/z"]
    of_first = aws.kms.get_paginator("list_aliases").paginate(KeyId=first, PaginationConfig={"PageSize": 2})
    assert [alias["AliasName"] for page in of_first for alias in page["Aliases"]] == names
    for marker in ("nonsense", "YQo", "*"):
        with refused("InvalidMarkerException"):
            aws.kms.list_keys(Marker=marker)


def test_tags_are_added_replaced_and_removed(aws: Any, refused: Any) -> None:
    key = aws.kms.create_key(Tags=[{"TagKey": "a", "TagValue": "1"}])["KeyMetadata"]["KeyId"]
    aws.kms.tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": "2"}, {"TagKey": "b", "TagValue": "3"}])
    aws.kms.untag_resource(KeyId=key, TagKeys=["b", "never"])
    assert aws.kms.list_resource_tags(KeyId=key)["Tags"] == [{"TagKey": "a", "TagValue": "2"}]
    aws.kms.tag_resource(KeyId=key, Tags=[{"TagKey": str(n), "TagValue": ""} for n in range(49)])
    with refused("LimitExceededException"):
        aws.kms.tag_resource(KeyId=key, Tags=[{"TagKey": "more", "TagValue": ""}])
    pages = aws.kms.get_paginator("list_resource_tags").paginate(KeyId=key, PaginationConfig={"PageSize": 20})
    assert len([tag for page in pages for tag in page["Tags"]]) == 50


# --- aliases ----------------------------------------------------------------------------------------------------------

NAMES = [
    ("reports", "ValidationException"),
    ("alias/", "ValidationException"),
    ("alias/a:b", "ValidationException"),
    ("alias/aws/s3", "InvalidAliasNameException"),
    ("alias/aws/new", "InvalidAliasNameException"),
    ("ALIAS/a", "ValidationException"),
]


@pytest.mark.parametrize(("name", "code"), NAMES)
def test_reserved_and_malformed_aliases_are_refused(aws: Any, refused: Any, name: str, code: str) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    with refused(code):
        aws.kms.create_alias(AliasName=name, TargetKeyId=key)
    assert aws.kms.list_aliases()["Aliases"] == []


def test_an_alias_points_at_one_key_and_can_be_moved(aws: Any, refused: Any) -> None:
    one, two = (aws.kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
    aws.kms.create_alias(AliasName="alias/a", TargetKeyId=one)
    with refused("AlreadyExistsException", "alias/a already exists"):
        aws.kms.create_alias(AliasName="alias/a", TargetKeyId=two)
    with refused("ValidationException", "Not aliases"):
        aws.kms.create_alias(AliasName="alias/b", TargetKeyId="alias/a")
    blob = aws.kms.encrypt(KeyId="alias/a", Plaintext=b"text")["CiphertextBlob"]
    aws.kms.update_alias(AliasName="alias/a", TargetKeyId=two)
    assert aws.kms.describe_key(KeyId="alias/a")["KeyMetadata"]["KeyId"] == two
    assert aws.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"
    with refused("IncorrectKeyException"):
        aws.kms.decrypt(CiphertextBlob=blob, KeyId="alias/a")
    aws.kms.delete_alias(AliasName="alias/a")
    for attempt in (
        lambda: aws.kms.describe_key(KeyId="alias/a"),
        lambda: aws.kms.delete_alias(AliasName="alias/a"),
        lambda: aws.kms.update_alias(AliasName="alias/a", TargetKeyId=one),
    ):
        with refused("NotFoundException", f"Alias arn:aws:kms:us-east-1:{aws.account_id}:alias/a is not found."):
            attempt()


OTHER_KINDS = [
    {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"},
    {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"},
]


@pytest.mark.parametrize("kind", OTHER_KINDS, ids=["asymmetric", "hmac"])
def test_an_alias_moves_only_to_a_key_of_its_kind(aws: Any, refused: Any, kind: dict[str, str]) -> None:
    plain = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    first, second = (aws.kms.create_key(**kind)["KeyMetadata"]["KeyId"] for _ in range(2))
    aws.kms.create_alias(AliasName="alias/kind", TargetKeyId=first)
    with refused("ValidationException", "must be the same type"):
        aws.kms.update_alias(AliasName="alias/kind", TargetKeyId=plain)
    aws.kms.update_alias(AliasName="alias/kind", TargetKeyId=second)
    agreeing = aws.kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")["KeyMetadata"]["KeyId"]
    with refused("ValidationException", "same key usage"):
        aws.kms.update_alias(AliasName="alias/kind", TargetKeyId=agreeing)
    assert aws.kms.describe_key(KeyId="alias/kind")["KeyMetadata"]["KeyId"] == second


def test_a_key_has_at_most_50_aliases(aws: Any, refused: Any) -> None:
    one, two = (aws.kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
    for number in range(50):
        aws.kms.create_alias(AliasName=f"alias/{number}", TargetKeyId=one)
    with refused("LimitExceededException"):
        aws.kms.create_alias(AliasName="alias/more", TargetKeyId=one)
    aws.kms.update_alias(AliasName="alias/0", TargetKeyId=two)
    aws.kms.create_alias(AliasName="alias/more", TargetKeyId=one)


def test_an_alias_gives_nobody_a_key_that_they_may_not_alias(aws: Any, refused: Any) -> None:
    """Whoever may use what is called alias/app can't call another key so without permission on that key."""
    mine, secret = (aws.kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    aws.kms.create_alias(AliasName="alias/app", TargetKeyId=mine)
    named_app = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/app"}}
    alias_arn = f"arn:aws:kms:us-east-1:{aws.account_id}:alias/app"
    user = aws.new_user(
        "user",
        may("kms:Encrypt", Condition=named_app),
        may(["kms:UpdateAlias", "kms:CreateAlias", "kms:DeleteAlias"], [alias_arn, mine]),
    )
    user.kms.encrypt(KeyId=mine, Plaintext=b"text")
    with refused(DENIED, secret):
        user.kms.update_alias(AliasName="alias/app", TargetKeyId=secret)
    user.kms.delete_alias(AliasName="alias/app")
    with refused(DENIED, secret):
        user.kms.create_alias(AliasName="alias/app", TargetKeyId=secret)
    with refused(DENIED):
        user.kms.encrypt(KeyId=secret, Plaintext=b"text")
    with refused(DENIED):  # it isn't called so any more
        user.kms.encrypt(KeyId=mine, Plaintext=b"text")


# --- AWS managed keys -------------------------------------------------------------------------------------------------


def test_an_aws_managed_key_serves_its_service_only(aws: Any, freehold_server: Any, refused: Any) -> None:
    with refused("NotFoundException"):
        aws.kms.describe_key(KeyId="alias/aws/s3")
    bucket = f"managed-{aws.account_id}"
    aws.s3.create_bucket(Bucket=bucket)
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"text", ServerSideEncryption="aws:kms")
    made = aws.kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]
    assert (made["KeyManager"], made["KeyState"]) == ("AWS", "Enabled")
    user = aws.new_user("user", may("s3:GetObject"))  # no KMS permission at all
    assert user.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"text"
    key = made["Arn"]
    policy = json.loads(aws.kms.get_key_policy(KeyId=key)["Policy"])
    assert policy["Id"] == "auto-s3-2"
    for attempt in (
        lambda: aws.kms.encrypt(KeyId=key, Plaintext=b"text"),
        lambda: aws.kms.generate_data_key(KeyId="alias/aws/s3", KeySpec="AES_256"),
        lambda: aws.kms.disable_key(KeyId=key),
        lambda: aws.kms.schedule_key_deletion(KeyId=key),
        lambda: aws.kms.put_key_policy(KeyId=key, Policy=json.dumps(policy), BypassPolicyLockoutSafetyCheck=True),
        lambda: aws.kms.create_alias(AliasName="alias/mine", TargetKeyId=key),
        lambda: aws.kms.create_grant(
            KeyId=key, GranteePrincipal=f"arn:aws:iam::{aws.account_id}:root", Operations=["Decrypt"]
        ),
        lambda: aws.kms.tag_resource(KeyId=key, Tags=[{"TagKey": "a", "TagValue": "b"}]),
        lambda: aws.kms.disable_key_rotation(KeyId=key),
    ):
        with refused(DENIED):
            attempt()
    assert aws.kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is True


def test_s3_uses_a_customer_key_only_with_the_callers_permission(aws: Any, refused: Any) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    bucket = f"customer-{aws.account_id}"
    aws.s3.create_bucket(Bucket=bucket)
    sse = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"text", **sse)
    reader = aws.new_user("reader", may("s3:GetObject"))
    with refused("AccessDenied"):
        reader.s3.get_object(Bucket=bucket, Key="k")
    through_s3 = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
    able = aws.new_user("able", may("s3:GetObject"), may("kms:Decrypt", key, Condition=through_s3))
    assert able.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"text"
    blob = aws.kms.encrypt(KeyId=key, Plaintext=b"text")["CiphertextBlob"]
    with refused(DENIED):
        able.kms.decrypt(CiphertextBlob=blob)


# --- randomness -------------------------------------------------------------------------------------------------------


def test_random_bytes_come_in_the_length_asked_for(aws: Any, refused: Any) -> None:
    seen = {aws.kms.generate_random(NumberOfBytes=32)["Plaintext"] for _ in range(10)}
    assert len(seen) == 10
    assert {len(one) for one in seen} == {32}
    with refused("ValidationException", "NumberOfBytes is required."):
        aws.kms.generate_random()
    with refused("ValidationException"):
        aws.kms.generate_random(NumberOfBytes=1025)
    with refused(DENIED):
        aws.new_user("nobody").kms.generate_random(NumberOfBytes=1)


def test_attestations_are_refused_rather_than_ignored(aws: Any, refused: Any) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    recipient = {"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": b"document"}
    with refused("NotImplemented", "Recipient"):
        aws.kms.generate_data_key(KeyId=key, KeySpec="AES_256", Recipient=recipient)

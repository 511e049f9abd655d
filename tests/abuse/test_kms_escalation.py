"""Ways around a KMS key's policy: replicas, pairs, aliases, grants, imports. None gives more than was given."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

import freehold.testing

HERE, THERE = "us-east-1", "eu-west-1"
DENIED = "AccessDeniedException"
DAYS = 8


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with freehold.testing.server(regions=(HERE, THERE)) as made:
        yield made
        assert made.log() == ""


@pytest.fixture
def aws(server: Any) -> Any:
    return server.new_account()


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*"} | one for one in statements]}


def refused(act: Any, *codes: str) -> str:
    """The text of the refusal, which must have one of these codes (AccessDenied by default)."""
    with pytest.raises(ClientError) as error:
        act()
    answer = error.value.response["Error"]
    assert answer["Code"] in (codes or (DENIED,)), answer
    return str(answer["Message"])


def user_arn(account: Any, name: str) -> str:
    return f"arn:aws:iam::{account.account_id}:user/{name}"


# --- replicas ---------------------------------------------------------------------------------------------------------


def test_a_replica_needs_a_key_of_ones_own_where_it_is_made(aws: Any) -> None:
    """Whoever may make a key there decides about its policy: that permission is asked for, in that Region."""
    key = aws.kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    blob = aws.kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    lone = aws.new_user("lone", policy({"Action": "kms:ReplicateKey"}))
    here = {"Action": "kms:CreateKey", "Condition": {"StringEquals": {"aws:RequestedRegion": HERE}}}
    at_home = aws.new_user("at-home", policy({"Action": "kms:ReplicateKey"}, here))
    maker = aws.new_user("maker", policy({"Action": "kms:CreateKey"}))
    for user in (lone, at_home, maker):
        refused(lambda user=user: user.kms.replicate_key(KeyId=key, ReplicaRegion=THERE))
        refused(lambda user=user: user.in_region(THERE).kms.decrypt(CiphertextBlob=blob))
    assert aws.kms.describe_key(KeyId=key)["KeyMetadata"]["MultiRegionConfiguration"]["ReplicaKeys"] == []
    tagger = aws.new_user("tagger", policy({"Action": ["kms:ReplicateKey", "kms:CreateKey"]}))
    tags = [{"TagKey": "a", "TagValue": "b"}]
    refused(lambda: tagger.kms.replicate_key(KeyId=key, ReplicaRegion=THERE, Tags=tags))


def test_what_was_granted_on_one_related_key_is_granted_on_no_other(aws: Any) -> None:
    key = aws.kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    there = aws.in_region(THERE)
    aws.kms.replicate_key(KeyId=key, ReplicaRegion=THERE)
    user = aws.new_user("user")
    blob = aws.kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    given = aws.kms.create_grant(
        KeyId=key, GranteePrincipal=user_arn(aws, "user"), Operations=["Decrypt", "CreateGrant"]
    )
    user.kms.decrypt(CiphertextBlob=blob)
    token = [given["GrantToken"]]
    refused(lambda: user.in_region(THERE).kms.decrypt(CiphertextBlob=blob))
    refused(lambda: user.in_region(THERE).kms.decrypt(CiphertextBlob=blob, GrantTokens=token))
    request = {"KeyId": key, "GranteePrincipal": user_arn(aws, "user"), "Operations": ["Decrypt"]}
    arn = there.kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"]
    refused(lambda: user.in_region(THERE).kms.create_grant(**request | {"KeyId": arn}, GrantTokens=token))
    refused(lambda: there.kms.revoke_grant(KeyId=key, GrantId=given["GrantId"]), "NotFoundException")
    refused(lambda: there.kms.retire_grant(GrantToken=given["GrantToken"]), "NotFoundException")
    user.kms.decrypt(CiphertextBlob=blob)


def test_a_replica_that_comes_again_has_nothing_of_the_one_that_was_destroyed(server: Any, aws: Any) -> None:
    key = aws.kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    there = aws.in_region(THERE)
    user = aws.new_user("user")
    named = {"Principal": {"AWS": [user_arn(aws, "user")]}, "Action": "kms:Decrypt", "Sid": "u"}
    root = {"Principal": {"AWS": f"arn:aws:iam::{aws.account_id}:root"}, "Action": "kms:*", "Sid": "r"}
    aws.kms.replicate_key(KeyId=key, ReplicaRegion=THERE, Policy=json.dumps(policy(named, root)))
    blob = aws.kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    there.kms.create_grant(KeyId=key, GranteePrincipal=user_arn(aws, "user"), Operations=["Encrypt"], Name="n")
    there.kms.create_alias(AliasName="alias/there", TargetKeyId=key)
    theirs = user.in_region(THERE).kms
    assert theirs.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    theirs.encrypt(KeyId=key, Plaintext=b"x")
    there.kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    server.advance(days=DAYS)
    aws.kms.replicate_key(KeyId=key, ReplicaRegion=THERE)
    refused(lambda: theirs.decrypt(CiphertextBlob=blob))
    refused(lambda: theirs.encrypt(KeyId=key, Plaintext=b"x"))
    refused(lambda: there.kms.encrypt(KeyId="alias/there", Plaintext=b"x"), "NotFoundException")
    assert there.kms.list_grants(KeyId=key)["Grants"] == []
    assert there.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


# --- what one permission doesn't include ------------------------------------------------------------------------------

NEIGHBOURS = [
    # what is permitted, and what that isn't
    ("kms:GenerateDataKey", "generate_data_key_pair", {"KeyPairSpec": "ECC_NIST_P256"}),
    ("kms:GenerateDataKey", "generate_data_key_without_plaintext", {"KeySpec": "AES_256"}),
    ("kms:GenerateDataKeyWithoutPlaintext", "generate_data_key", {"KeySpec": "AES_256"}),
    ("kms:GenerateDataKeyPairWithoutPlaintext", "generate_data_key_pair", {"KeyPairSpec": "ECC_NIST_P256"}),
    ("kms:GenerateDataKeyPair", "generate_data_key_pair_without_plaintext", {"KeyPairSpec": "ECC_NIST_P256"}),
    ("kms:Encrypt", "generate_data_key_without_plaintext", {"KeySpec": "AES_256"}),
    ("kms:PutKeyPolicy", "get_key_policy", {}),
    ("kms:DescribeKey", "get_key_policy", {}),
    ("kms:CreateGrant", "list_grants", {}),
    ("kms:RevokeGrant", "list_grants", {}),
    ("kms:EnableKeyRotation", "rotate_key_on_demand", {}),
    ("kms:ScheduleKeyDeletion", "cancel_key_deletion", {}),
    ("kms:ScheduleKeyDeletion", "disable_key", {}),
]


@pytest.mark.parametrize("by_grant", [False, True], ids=["by policy", "by grant"])
def test_no_permission_includes_its_neighbours(aws: Any, by_grant: bool) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    for number, (action, operation, params) in enumerate(NEIGHBOURS):
        name = action.partition(":")[2]
        if by_grant and not name.startswith(("Generate", "Encrypt", "Describe", "CreateGrant")):
            continue
        user = aws.new_user(f"u{number}", *([] if by_grant else [policy({"Action": action})]))
        if by_grant:
            aws.kms.create_grant(KeyId=key, GranteePrincipal=user_arn(aws, f"u{number}"), Operations=[name])
        refused(lambda user=user, operation=operation, params=params: getattr(user.kms, operation)(KeyId=key, **params))


def test_reencrypting_is_neither_decrypting_nor_encrypting(aws: Any) -> None:
    source, target = (aws.kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    blob = aws.kms.encrypt(KeyId=source, Plaintext=b"x", EncryptionContext={"a": "1"})["CiphertextBlob"]
    moves = policy(
        {
            "Action": "kms:ReEncryptFrom",
            "Resource": source,
            "Condition": {"StringEquals": {"kms:EncryptionContext:a": "1"}},
        },
        {
            "Action": "kms:ReEncryptTo",
            "Resource": target,
            "Condition": {"StringEquals": {"kms:EncryptionContext:a": "2"}},
        },
    )
    user = aws.new_user("user", moves)
    right = {"SourceEncryptionContext": {"a": "1"}, "DestinationEncryptionContext": {"a": "2"}}
    user.kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=target, **right)
    changes: list[dict[str, Any]] = [
        {"DestinationEncryptionContext": {"a": "1"}},  # each context is its own key's condition
        {"DestinationEncryptionContext": {}},
        {"DestinationKeyId": source},
    ]
    for change in changes:
        refused(
            lambda change=change: user.kms.re_encrypt(
                **{"CiphertextBlob": blob, "DestinationKeyId": target, **right, **change}
            )
        )
    refused(lambda: user.kms.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "1"}))
    refused(lambda: user.kms.encrypt(KeyId=target, Plaintext=b"x", EncryptionContext={"a": "2"}))


# --- aliases ----------------------------------------------------------------------------------------------------------


def test_an_alias_that_policies_look_at_is_moved_with_permission_on_both_keys_alone(aws: Any) -> None:
    """Who may use the key behind a name must not choose which key that is."""
    public, secret = (aws.kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    aws.kms.create_alias(AliasName="alias/public", TargetKeyId=public)
    aliases = f"arn:aws:kms:{HERE}:{aws.account_id}:alias/*"
    manage = ["kms:CreateAlias", "kms:UpdateAlias", "kms:DeleteAlias"]
    uses = {
        "Action": ["kms:Encrypt", "kms:Decrypt"],
        "Condition": {"StringEquals": {"kms:RequestAlias": "alias/public"}},
    }
    tagged = {
        "Action": "kms:GenerateDataKey",
        "Condition": {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/public"}},
    }
    user = aws.new_user("user", policy(uses, tagged, {"Action": manage, "Resource": [public, aliases]}))
    user.kms.encrypt(KeyId="alias/public", Plaintext=b"x")
    refused(lambda: user.kms.encrypt(KeyId=public, Plaintext=b"x"))
    refused(lambda: user.kms.update_alias(AliasName="alias/public", TargetKeyId=secret))
    refused(lambda: user.kms.create_alias(AliasName="alias/new", TargetKeyId=secret))
    refused(lambda: user.kms.generate_data_key(KeyId=secret, KeySpec="AES_256"))
    user.kms.delete_alias(AliasName="alias/public")
    refused(lambda: user.kms.create_alias(AliasName="alias/public", TargetKeyId=secret))
    refused(lambda: user.kms.generate_data_key(KeyId=public, KeySpec="AES_256"))


# --- grants -----------------------------------------------------------------------------------------------------------


def test_grants_that_are_passed_on_across_accounts_stay_within_their_parent(server: Any, aws: Any) -> None:
    other = server.new_account()
    agent = other.new_user("agent", policy({"Action": "kms:*"}))
    friend = other.new_user("friend", policy({"Action": "kms:*"}))
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    within = {"EncryptionContextSubset": {"team": "red"}}
    given = ["CreateGrant", "Encrypt", "DescribeKey"]
    aws.kms.create_grant(KeyId=key, GranteePrincipal=user_arn(other, "agent"), Operations=given, Constraints=within)
    request = {
        "KeyId": key,
        "GranteePrincipal": user_arn(other, "friend"),
        "Operations": ["Encrypt"],
        "Constraints": within,
    }
    changes: list[dict[str, Any]] = [
        {"Operations": ["Encrypt", "Decrypt"]},
        {"Operations": ["Encrypt", "RetireGrant"]},
        {"Constraints": {}},
        {"Constraints": {"EncryptionContextSubset": {}}},
        {"Constraints": {"EncryptionContextSubset": {"team": "blue"}}},
        {"Constraints": {"EncryptionContextEquals": {}}},
        {"Constraints": {"SourceArn": "arn:aws:dynamodb:us-east-1:111122223333:table/t"}},
    ]
    for change in changes:
        refused(lambda change=change: agent.kms.create_grant(**request | change))
    child = agent.kms.create_grant(**request)
    friend.kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"team": "red", "a": "b"})
    refused(lambda: friend.kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"team": "Red"}))
    refused(lambda: friend.kms.encrypt(KeyId=key, Plaintext=b"x"))
    refused(lambda: friend.kms.create_grant(**request))
    # The key's owner sees it and ends it, whoever made it; a child outlives its parent, as on AWS.
    listed = {grant["GrantId"]: grant for grant in aws.kms.list_grants(KeyId=key)["Grants"]}
    assert listed[child["GrantId"]]["IssuingAccount"] == f"arn:aws:iam::{other.account_id}:root"
    aws.kms.revoke_grant(KeyId=key, GrantId=child["GrantId"])
    refused(lambda: friend.kms.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext={"team": "red"}))


def test_a_grant_to_a_service_lets_nobody_in_who_only_names_it(aws: Any) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    user = aws.new_user("user")
    source = "arn:aws:dynamodb:us-east-1:111122223333:table/t"
    aws.kms.create_grant(
        KeyId=key,
        GranteeServicePrincipal="s3.amazonaws.com",
        RetiringServicePrincipal="s3.amazonaws.com",
        Operations=["Encrypt", "CreateGrant", "RetireGrant"],
        Constraints={"SourceArn": source},
    )
    client = user.client("kms")
    # Headers that a service's own requests have elsewhere mean nothing here.
    spoofed = {
        "x-amz-source-arn": source,
        "x-amz-via-service": "s3.us-east-1.amazonaws.com",
        "x-amzn-forwarded-for": "s3",
    }
    client.meta.events.register("before-call.kms.*", lambda params, **_: params["headers"].update(spoofed))
    refused(lambda: client.encrypt(KeyId=key, Plaintext=b"x"))
    via = {"Action": "kms:*", "Condition": {"StringLike": {"kms:ViaService": "*"}}}
    for_a_resource = {"Action": "kms:*", "Condition": {"StringLike": {"aws:SourceArn": "*"}}}
    resource = {"Action": "kms:*", "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}}
    for number, statement in enumerate((via, for_a_resource, resource)):
        limited = aws.new_user(f"limited{number}", policy(statement)).client("kms")
        limited.meta.events.register("before-call.kms.*", lambda params, **_: params["headers"].update(spoofed))
        refused(lambda limited=limited: limited.encrypt(KeyId=key, Plaintext=b"x"))
        grant = {"KeyId": key, "GranteePrincipal": user_arn(aws, "user"), "Operations": ["Decrypt"]}
        refused(lambda limited=limited, grant=grant: limited.create_grant(**grant))


def test_a_dry_run_does_nothing_and_says_no_more_than_the_call(server: Any, aws: Any) -> None:
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    blob = aws.kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    root = f"arn:aws:iam::{aws.account_id}:root"
    grant = aws.kms.create_grant(KeyId=key, GranteePrincipal=root, Operations=["Decrypt"], RetiringPrincipal=root)
    pair = {"KeyPairSpec": "RSA_4096"}
    calls = [
        ("encrypt", {"KeyId": key, "Plaintext": b"x"}),
        ("decrypt", {"KeyId": key, "CiphertextBlob": blob}),
        ("generate_data_key", {"KeyId": key, "KeySpec": "AES_256"}),
        ("generate_data_key_without_plaintext", {"KeyId": key, "KeySpec": "AES_256"}),
        ("generate_data_key_pair", {"KeyId": key, **pair}),
        ("generate_data_key_pair_without_plaintext", {"KeyId": key, **pair}),
        ("re_encrypt", {"CiphertextBlob": blob, "DestinationKeyId": key}),
        ("create_grant", {"KeyId": key, "GranteePrincipal": root, "Operations": ["Decrypt"]}),
        ("revoke_grant", {"KeyId": key, "GrantId": grant["GrantId"]}),
        ("retire_grant", {"KeyId": key, "GrantId": grant["GrantId"]}),
    ]
    nobody, stranger = aws.new_user("nobody"), server.new_account()
    for name, params in calls:
        refused(
            lambda name=name, params=params: getattr(aws.kms, name)(**params, DryRun=True), "DryRunOperationException"
        )
        for caller in (nobody, stranger):
            refused(lambda caller=caller, name=name, params=params: getattr(caller.kms, name)(**params, DryRun=True))
    assert [one["GrantId"] for one in aws.kms.list_grants(KeyId=key)["Grants"]] == [grant["GrantId"]]
    aws.kms.disable_key(KeyId=key)
    for name, params in calls[:8]:
        refused(lambda name=name, params=params: getattr(aws.kms, name)(**params, DryRun=True), "DisabledException")


# --- imported material ------------------------------------------------------------------------------------------------


def test_an_import_token_is_good_for_its_key_alone(server: Any, aws: Any) -> None:
    """Not for another key of the account, a related key, another account, or the key as it was made again."""
    other, there = server.new_account(), aws.in_region(THERE)
    key = aws.kms.create_key(Origin="EXTERNAL", MultiRegion=True)["KeyMetadata"]["KeyId"]
    arn = aws.kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"]
    second = aws.kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    theirs = other.kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    given = aws.kms.get_parameters_for_import(
        KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    public_key = serialization.load_der_public_key(given["PublicKey"])
    assert isinstance(public_key, RSAPublicKey)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    wrapped = public_key.encrypt(os.urandom(32), oaep)
    brings = {
        "ImportToken": given["ImportToken"],
        "EncryptedKeyMaterial": wrapped,
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
    }
    rubbish = {**brings, "EncryptedKeyMaterial": os.urandom(256)}
    refused(lambda: aws.kms.import_key_material(KeyId=key, **rubbish), "InvalidCiphertextException")
    aws.kms.import_key_material(KeyId=key, **brings)
    aws.kms.replicate_key(KeyId=key, ReplicaRegion=THERE)
    for client, key_id in ((aws.kms, second), (there.kms, key), (other.kms, theirs)):
        refused(
            lambda client=client, key_id=key_id: client.import_key_material(KeyId=key_id, **brings),
            "InvalidImportTokenException",
        )
    for name in (key, arn):
        refused(lambda name=name: other.kms.import_key_material(KeyId=name, **brings), DENIED, "NotFoundException")
        refused(
            lambda name=name: other.kms.get_parameters_for_import(
                KeyId=name, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
            ),
            DENIED,
            "NotFoundException",
        )

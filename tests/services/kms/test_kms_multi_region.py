"""Multi-Region keys through boto3 in three Regions: what related keys share, what is each one's own, and who may."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from kms_wrapping import FOR_EVER, wrapped

import freehold.testing

HOME, NEAR, FAR = "us-east-1", "eu-west-1", "ap-southeast-2"


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with freehold.testing.server(regions=(HOME, NEAR, FAR)) as made:
        yield made


@pytest.fixture
def aws(server: Any) -> Any:
    return server.new_account()


@pytest.fixture
def near(aws: Any) -> Any:
    return aws.in_region(NEAR)


@pytest.fixture
def far(aws: Any) -> Any:
    return aws.in_region(FAR)


def primary(aws: Any, *replicas: str, **options: Any) -> str:
    key_id: str = aws.kms.create_key(MultiRegion=True, **options)["KeyMetadata"]["KeyId"]
    for region in replicas:
        aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=region)
    return key_id


def described(aws: Any, key_id: str) -> dict[str, Any]:
    shown: dict[str, Any] = aws.kms.describe_key(KeyId=key_id)["KeyMetadata"]
    return shown


def arn(aws: Any, region: str, key_id: str) -> str:
    return f"arn:aws:kms:{region}:{aws.account_id}:key/{key_id}"


def events(aws: Any, name: str) -> list[dict[str, Any]]:
    found = aws.cloudtrail.lookup_events(LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": name}])
    return [json.loads(event["CloudTrailEvent"]) for event in found["Events"]]


def statement(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def test_a_multi_region_key_is_a_primary_key_without_replicas_at_first(aws: Any) -> None:
    key_id = primary(aws)
    shown = described(aws, key_id)
    assert key_id.startswith("mrk-")
    assert len(key_id) == 36
    assert shown["MultiRegion"] is True
    assert shown["MultiRegionConfiguration"] == {
        "MultiRegionKeyType": "PRIMARY",
        "PrimaryKey": {"Arn": arn(aws, HOME, key_id), "Region": HOME},
        "ReplicaKeys": [],
    }


def test_a_single_region_key_shows_no_configuration(aws: Any) -> None:
    shown = aws.kms.create_key()["KeyMetadata"]
    assert shown["MultiRegion"] is False
    assert "MultiRegionConfiguration" not in shown
    assert not shown["KeyId"].startswith("mrk-")


def test_a_replica_has_the_primarys_id_and_properties_of_its_own(aws: Any, near: Any) -> None:
    key_id = primary(aws, Description="at home", Tags=[{"TagKey": "where", "TagValue": "home"}])
    made = aws.kms.replicate_key(
        KeyId=key_id, ReplicaRegion=NEAR, Description="near", Tags=[{"TagKey": "where", "TagValue": "near"}]
    )
    shown = described(near, key_id)
    assert made["ReplicaKeyMetadata"] == shown
    assert made["ReplicaTags"] == [{"TagKey": "where", "TagValue": "near"}]
    assert made["ReplicaPolicy"] == near.kms.get_key_policy(KeyId=key_id)["Policy"]
    assert (shown["Arn"], shown["Description"]) == (arn(aws, NEAR, key_id), "near")
    assert (shown["KeyState"], shown["Enabled"]) == ("Enabled", True)
    assert shown["MultiRegionConfiguration"] == {
        "MultiRegionKeyType": "REPLICA",
        "PrimaryKey": {"Arn": arn(aws, HOME, key_id), "Region": HOME},
        "ReplicaKeys": [{"Arn": arn(aws, NEAR, key_id), "Region": NEAR}],
    }
    at_home = described(aws, key_id)
    assert at_home["MultiRegionConfiguration"]["ReplicaKeys"] == shown["MultiRegionConfiguration"]["ReplicaKeys"]
    assert at_home["Description"] == "at home"
    assert at_home["CurrentKeyMaterialId"] == shown["CurrentKeyMaterialId"]
    assert [one["KeyId"] for one in near.kms.list_keys()["Keys"]] == [key_id]


def test_a_replica_without_a_policy_gets_the_default_one_not_the_primarys(aws: Any, near: Any) -> None:
    own = policy(
        {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{aws.account_id}:root"}, **statement("kms:*")},
        {"Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*"},
    )
    key_id = primary(aws, NEAR, Policy=json.dumps(own))
    assert near.kms.encrypt(KeyId=key_id, Plaintext=b"text")


def test_what_one_region_encrypts_every_related_key_decrypts(aws: Any, near: Any, far: Any, refused: Any) -> None:
    key_id = primary(aws, NEAR)
    regions = {HOME: aws, NEAR: near}
    blobs = {
        name: one.kms.encrypt(KeyId=key_id, Plaintext=name.encode(), EncryptionContext={"a": "b"})["CiphertextBlob"]
        for name, one in regions.items()
    }
    aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=FAR)
    for where, one in {**regions, FAR: far}.items():
        for name, blob in blobs.items():
            for named in ({}, {"KeyId": key_id}, {"KeyId": arn(aws, where, key_id)}):
                opened = one.kms.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "b"}, **named)
                assert (opened["Plaintext"], opened["KeyId"]) == (name.encode(), arn(aws, where, key_id))
            with refused("InvalidCiphertextException"):
                one.kms.decrypt(CiphertextBlob=blob, EncryptionContext={"a": "c"})


def test_data_keys_and_reencryption_cross_regions(aws: Any, near: Any) -> None:
    key_id = primary(aws, NEAR)
    other = near.kms.create_key()["KeyMetadata"]["KeyId"]
    data_key = aws.kms.generate_data_key(KeyId=key_id, KeySpec="AES_256")
    moved = near.kms.re_encrypt(CiphertextBlob=data_key["CiphertextBlob"], DestinationKeyId=other)
    assert moved["SourceKeyId"] == arn(aws, NEAR, key_id)
    assert near.kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"] == data_key["Plaintext"]


def test_a_ciphertext_of_a_key_without_a_replica_here_opens_nowhere_else(
    server: Any, aws: Any, near: Any, refused: Any
) -> None:
    """Its owner is told, and nobody else learns that there is such a key."""
    stranger = server.new_account().in_region(NEAR)
    other = near.kms.create_key()["KeyMetadata"]["KeyId"]
    for key_id in (primary(aws), aws.kms.create_key()["KeyMetadata"]["KeyId"]):
        blob = aws.kms.encrypt(KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]
        with refused("AccessDeniedException", "kms:Decrypt on the resource associated with this ciphertext"):
            near.kms.decrypt(CiphertextBlob=blob)
        with refused("AccessDeniedException", "kms:ReEncryptFrom"):
            near.kms.re_encrypt(CiphertextBlob=blob, DestinationKeyId=other)
        with refused("NotFoundException"):
            near.kms.decrypt(CiphertextBlob=blob, KeyId=key_id)
        with refused("InvalidCiphertextException"):
            stranger.kms.decrypt(CiphertextBlob=blob)


def test_a_region_altered_in_a_ciphertext_doesnt_open_it(aws: Any, near: Any, refused: Any) -> None:
    key_id = primary(aws, NEAR)
    blob = aws.kms.encrypt(KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]
    altered = blob.replace(HOME.encode(), b"us-east-2", 1)
    assert altered != blob
    for one in (aws, near):
        with refused("InvalidCiphertextException"):
            one.kms.decrypt(CiphertextBlob=altered)


def test_another_multi_region_key_is_the_wrong_one(aws: Any, near: Any, refused: Any) -> None:
    key_id, other = primary(aws, NEAR), primary(aws, NEAR)
    blob = aws.kms.encrypt(KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]
    with refused("IncorrectKeyException"):
        near.kms.decrypt(CiphertextBlob=blob, KeyId=other)


@pytest.mark.parametrize(
    ("spec", "usage"),
    [("ECC_NIST_P256", "SIGN_VERIFY"), ("HMAC_256", "GENERATE_VERIFY_MAC"), ("RSA_2048", "SIGN_VERIFY")],
)
def test_keys_of_every_kind_have_replicas(aws: Any, near: Any, spec: str, usage: str) -> None:
    key_id = primary(aws, NEAR, KeySpec=spec, KeyUsage=usage)
    if spec == "HMAC_256":
        mac = {"KeyId": key_id, "MacAlgorithm": "HMAC_SHA_256", "Message": b"text"}
        assert aws.kms.generate_mac(**mac)["Mac"] == near.kms.generate_mac(**mac)["Mac"]
        return
    algorithm = "ECDSA_SHA_256" if spec == "ECC_NIST_P256" else "RSASSA_PSS_SHA_256"
    assert aws.kms.get_public_key(KeyId=key_id)["PublicKey"] == near.kms.get_public_key(KeyId=key_id)["PublicKey"]
    message = {"KeyId": key_id, "SigningAlgorithm": algorithm, "Message": b"text"}
    signature = near.kms.sign(**message)["Signature"]
    assert aws.kms.verify(**message, Signature=signature)["SignatureValid"]


def test_each_region_has_its_own_state_grants_aliases_and_tags(aws: Any, near: Any, refused: Any) -> None:
    key_id = primary(aws, NEAR)
    blob = aws.kms.encrypt(KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]
    aws.kms.disable_key(KeyId=key_id)
    with refused("DisabledException"):
        aws.kms.decrypt(CiphertextBlob=blob)
    assert near.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"
    aws.kms.create_alias(AliasName="alias/mine", TargetKeyId=key_id)
    near.kms.tag_resource(KeyId=key_id, Tags=[{"TagKey": "a", "TagValue": "b"}])
    near.kms.create_grant(KeyId=key_id, GranteePrincipal=f"arn:aws:iam::{aws.account_id}:root", Operations=["Decrypt"])
    assert near.kms.list_aliases(KeyId=key_id)["Aliases"] == []
    assert aws.kms.list_resource_tags(KeyId=key_id)["Tags"] == []
    assert aws.kms.list_grants(KeyId=key_id)["Grants"] == []
    assert len(near.kms.list_grants(KeyId=key_id)["Grants"]) == 1


def test_rotating_the_primary_rotates_its_replicas(aws: Any, near: Any, far: Any, refused: Any) -> None:
    key_id = primary(aws, NEAR)
    before = near.kms.encrypt(KeyId=key_id, Plaintext=b"before")["CiphertextBlob"]
    near.kms.disable_key(KeyId=key_id)
    aws.kms.rotate_key_on_demand(KeyId=key_id)
    near.kms.enable_key(KeyId=key_id)
    after = aws.kms.encrypt(KeyId=key_id, Plaintext=b"after")["CiphertextBlob"]
    aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=FAR)
    listed = aws.kms.list_key_rotations(KeyId=key_id)["Rotations"]
    assert len(listed) == 1
    for one in (near, far):
        assert one.kms.list_key_rotations(KeyId=key_id)["Rotations"] == listed
        assert described(one, key_id)["CurrentKeyMaterialId"] == described(aws, key_id)["CurrentKeyMaterialId"]
        assert one.kms.decrypt(CiphertextBlob=before)["Plaintext"] == b"before"
        assert one.kms.decrypt(CiphertextBlob=after)["Plaintext"] == b"after"
    (told,) = events(aws, "SynchronizeMultiRegionKey")
    assert told["resources"][0]["ARN"] == arn(aws, HOME, key_id)
    assert told["userIdentity"]["invokedBy"] == "AWS Internal"


def test_rotation_is_managed_on_the_primary_alone_and_shown_by_all(aws: Any, near: Any, refused: Any) -> None:
    key_id = primary(aws, NEAR)
    aws.kms.enable_key_rotation(KeyId=key_id, RotationPeriodInDays=100)
    shown = near.kms.get_key_rotation_status(KeyId=key_id)
    assert (shown["KeyRotationEnabled"], shown["RotationPeriodInDays"]) == (True, 100)
    assert shown["NextRotationDate"] == aws.kms.get_key_rotation_status(KeyId=key_id)["NextRotationDate"]
    for name in ("enable_key_rotation", "disable_key_rotation", "rotate_key_on_demand"):
        with refused("UnsupportedOperationException", "replica"):
            getattr(near.kms, name)(KeyId=key_id)
    aws.kms.disable_key_rotation(KeyId=key_id)
    assert near.kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"] is False


def test_a_replica_is_made_of_an_enabled_primary_only_and_once_a_region(aws: Any, near: Any, refused: Any) -> None:
    key_id = primary(aws, NEAR)
    with refused("AlreadyExistsException"):
        aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=NEAR)
    with refused("AlreadyExistsException"):
        aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=HOME)
    with refused("UnsupportedOperationException", "sa-east-1"):
        aws.kms.replicate_key(KeyId=key_id, ReplicaRegion="sa-east-1")
    with refused("UnsupportedOperationException", "is not a multi-Region primary key"):
        near.kms.replicate_key(KeyId=key_id, ReplicaRegion=FAR)
    single = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    with refused("UnsupportedOperationException", "is not a multi-Region primary key"):
        aws.kms.replicate_key(KeyId=single, ReplicaRegion=NEAR)
    with refused("NotFoundException"):
        aws.kms.replicate_key(KeyId="mrk-" + "0" * 32, ReplicaRegion=NEAR)
    with refused("MalformedPolicyDocumentException"):
        aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=FAR, Policy="{")
    assert len(described(aws, key_id)["MultiRegionConfiguration"]["ReplicaKeys"]) == 1
    aws.kms.disable_key(KeyId=key_id)
    with refused("DisabledException"):
        aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=FAR)


def test_a_replicas_policy_must_let_its_maker_change_it(aws: Any, refused: Any) -> None:
    key_id = primary(aws)
    locked = json.dumps(policy({"Principal": {"AWS": "*"}, **statement("kms:DescribeKey")}))
    with refused("MalformedPolicyDocumentException", "will not allow you to update the key policy"):
        aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=NEAR, Policy=locked)
    made = aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=NEAR, Policy=locked, BypassPolicyLockoutSafetyCheck=True)
    assert json.loads(made["ReplicaPolicy"])["Statement"][0]["Action"] == ["kms:DescribeKey"]


def test_replicating_needs_permission_on_the_primary_and_in_the_replicas_region(aws: Any, refused: Any) -> None:
    key_id = primary(aws)
    here = statement("kms:ReplicateKey", Condition={"StringEquals": {"kms:ReplicaRegion": NEAR}})
    there = statement(
        "kms:CreateKey",
        "kms:TagResource",
        Condition={"StringEquals": {"aws:RequestedRegion": NEAR, "kms:MultiRegionKeyType": "REPLICA"}},
    )
    with refused("AccessDeniedException", "kms:ReplicateKey"):
        aws.new_user("there", policy(there)).kms.replicate_key(KeyId=key_id, ReplicaRegion=NEAR)
    with refused("AccessDeniedException", "kms:CreateKey"):
        aws.new_user("here", policy(here)).kms.replicate_key(KeyId=key_id, ReplicaRegion=NEAR)
    both = aws.new_user("both", policy(here, there))
    with refused("AccessDeniedException", "kms:ReplicateKey"):
        both.kms.replicate_key(KeyId=key_id, ReplicaRegion=FAR)
    tagged = {"Tags": [{"TagKey": "a", "TagValue": "b"}]}
    untagging = aws.new_user("untagging", policy(here, statement("kms:CreateKey")))
    with refused("AccessDeniedException", "kms:TagResource"):
        untagging.kms.replicate_key(KeyId=key_id, ReplicaRegion=NEAR, **tagged)
    assert both.kms.replicate_key(KeyId=key_id, ReplicaRegion=NEAR, **tagged)


def test_conditions_tell_multi_region_keys_apart(aws: Any, near: Any, refused: Any) -> None:
    key_id = primary(aws, NEAR)
    single = aws.kms.create_key()["KeyMetadata"]["KeyId"]
    never = aws.new_user(
        "never",
        policy(
            statement("kms:*", "iam:CreateServiceLinkedRole"),
            {**statement("kms:*", Condition={"Bool": {"kms:MultiRegion": "true"}}), "Effect": "Deny"},
        ),
    )
    assert never.kms.encrypt(KeyId=single, Plaintext=b"text")
    with refused("AccessDeniedException", "explicit deny"):
        never.kms.encrypt(KeyId=key_id, Plaintext=b"text")
    with refused("AccessDeniedException", "explicit deny"):
        never.kms.create_key(MultiRegion=True)
    only = policy(statement("kms:Encrypt", Condition={"StringEquals": {"kms:MultiRegionKeyType": "REPLICA"}}))
    replicas_only = aws.new_user("replicas", only)
    assert replicas_only.in_region(NEAR).kms.encrypt(KeyId=key_id, Plaintext=b"text")
    with refused("AccessDeniedException"):
        replicas_only.kms.encrypt(KeyId=key_id, Plaintext=b"text")


def test_making_one_needs_what_makes_its_service_linked_role(server: Any, aws: Any, refused: Any) -> None:
    with refused("AccessDeniedException", "iam:CreateServiceLinkedRole"):
        aws.new_user("user", policy(statement("kms:CreateKey"))).kms.create_key(MultiRegion=True)
    primary(aws)
    primary(aws)
    role = aws.iam.get_role(RoleName="AWSServiceRoleForKeyManagementServiceMultiRegionKeys")["Role"]
    assert role["Path"] == "/aws-service-role/mrk.kms.amazonaws.com/"
    task = aws.iam.delete_service_linked_role(RoleName=role["RoleName"])["DeletionTaskId"]
    server.advance(seconds=60)
    state = aws.iam.get_service_linked_role_deletion_status(DeletionTaskId=task)
    assert state["Status"] == "FAILED"


def test_the_primary_moves_to_a_replicas_region(aws: Any, near: Any, far: Any, refused: Any) -> None:
    key_id = primary(aws, NEAR, FAR)
    aws.kms.enable_key_rotation(KeyId=key_id)
    blob = aws.kms.encrypt(KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]
    aws.kms.update_primary_region(KeyId=key_id, PrimaryRegion=FAR)
    for one in (aws, near, far):
        shown = described(one, key_id)
        assert shown["KeyState"] == "Enabled"
        assert shown["MultiRegionConfiguration"]["PrimaryKey"]["Region"] == FAR
        assert {key["Region"] for key in shown["MultiRegionConfiguration"]["ReplicaKeys"]} == {HOME, NEAR}
        assert one.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"
    assert described(far, key_id)["MultiRegionConfiguration"]["MultiRegionKeyType"] == "PRIMARY"
    with refused("UnsupportedOperationException"):
        aws.kms.rotate_key_on_demand(KeyId=key_id)
    far.kms.rotate_key_on_demand(KeyId=key_id)
    assert len(aws.kms.list_key_rotations(KeyId=key_id)["Rotations"]) == 1
    for one, name in ((aws, key_id), (far, arn(aws, FAR, key_id))):
        (told,) = events(one, "UpdatePrimaryRegion")
        assert told["requestParameters"] == {"keyId": name, "primaryRegion": FAR}


def test_the_primary_moves_only_between_enabled_related_keys(aws: Any, near: Any, refused: Any) -> None:
    key_id = primary(aws, NEAR)
    with refused("NotFoundException", arn(aws, FAR, key_id)):
        aws.kms.update_primary_region(KeyId=key_id, PrimaryRegion=FAR)
    with refused("UnsupportedOperationException"):
        aws.kms.update_primary_region(KeyId=key_id, PrimaryRegion=HOME)
    with refused("UnsupportedOperationException"):
        near.kms.update_primary_region(KeyId=key_id, PrimaryRegion=HOME)
    near.kms.disable_key(KeyId=key_id)
    with refused("DisabledException", arn(aws, NEAR, key_id)):
        aws.kms.update_primary_region(KeyId=key_id, PrimaryRegion=NEAR)
    near.kms.schedule_key_deletion(KeyId=key_id)
    with refused("KMSInvalidStateException", "is pending deletion"):
        aws.kms.update_primary_region(KeyId=key_id, PrimaryRegion=NEAR)
    assert described(aws, key_id)["MultiRegionConfiguration"]["MultiRegionKeyType"] == "PRIMARY"


def test_moving_the_primary_needs_permission_on_both_keys(aws: Any, near: Any, refused: Any) -> None:
    key_id = primary(aws, NEAR, FAR)
    at_home = statement("kms:UpdatePrimaryRegion", Resource=arn(aws, HOME, key_id))
    both = statement("kms:UpdatePrimaryRegion", Condition={"StringEquals": {"kms:PrimaryRegion": NEAR}})
    with refused("AccessDeniedException", arn(aws, NEAR, key_id)):
        aws.new_user("home", policy(at_home)).kms.update_primary_region(KeyId=key_id, PrimaryRegion=NEAR)
    mover = aws.new_user("both", policy(both))
    with refused("AccessDeniedException"):
        mover.kms.update_primary_region(KeyId=key_id, PrimaryRegion=FAR)
    mover.kms.update_primary_region(KeyId=key_id, PrimaryRegion=NEAR)


def test_a_replication_is_in_both_regions_trails(aws: Any, near: Any) -> None:
    key_id = primary(aws, NEAR)
    (replicated,) = events(aws, "ReplicateKey")
    (created,) = events(near, "CreateKey")
    assert replicated["requestParameters"]["replicaRegion"] == NEAR
    assert created["awsRegion"] == NEAR
    assert created["resources"][0]["ARN"] == arn(aws, NEAR, key_id)
    assert created["requestID"] == replicated["requestID"]
    assert created["eventID"] != replicated["eventID"]


def test_s3_takes_a_multi_region_key_for_the_key_of_one_region(aws: Any, near: Any, refused: Any) -> None:
    key_id = primary(aws, NEAR)
    aws.s3.create_bucket(Bucket=f"one-{aws.account_id}")
    place = {"Bucket": f"one-{aws.account_id}", "Key": "object"}
    put = aws.s3.put_object(**place, Body=b"text", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id)
    assert put["SSEKMSKeyId"] == arn(aws, HOME, key_id)
    assert aws.s3.get_object(**place)["Body"].read() == b"text"
    aws.kms.disable_key(KeyId=key_id)
    with refused("KMS.DisabledException"):
        aws.s3.get_object(**place)


@pytest.mark.parametrize("managed", [True, False])
def test_what_is_copied_to_another_region_opens_with_its_key_there(
    aws: Any, near: Any, refused: Any, managed: bool
) -> None:
    """S3 asks for the source's key where that is, not for its replica beside the copy."""
    key_id = primary(aws, NEAR)
    source, target = f"from-{aws.account_id}", f"to-{aws.account_id}"
    aws.s3.create_bucket(Bucket=source)
    near.s3.create_bucket(Bucket=target, CreateBucketConfiguration={"LocationConstraint": NEAR})
    sealed = {"ServerSideEncryption": "aws:kms", **({} if managed else {"SSEKMSKeyId": key_id})}
    aws.s3.put_object(Bucket=source, Key="object", Body=b"text", **sealed)
    copying = {"Bucket": target, "Key": "object", "CopySource": f"{source}/object", **sealed}
    copied = near.s3.copy_object(**copying)
    assert copied["SSEKMSKeyId"].startswith(f"arn:aws:kms:{NEAR}:{aws.account_id}:key/")
    assert near.s3.get_object(Bucket=target, Key="object")["Body"].read() == b"text"
    (opened, *_) = [event for event in events(aws, "Decrypt") if event["awsRegion"] == HOME]
    assert opened["userIdentity"]["invokedBy"] == "s3.amazonaws.com"
    if not managed:
        aws.kms.disable_key(KeyId=key_id)
        with refused("KMS.DisabledException", arn(aws, HOME, key_id)):
            near.s3.copy_object(**copying)


def test_aws_managed_keys_are_single_region_keys(aws: Any) -> None:
    aws.s3.create_bucket(Bucket=f"managed-{aws.account_id}")
    aws.s3.put_object(Bucket=f"managed-{aws.account_id}", Key="object", Body=b"text", ServerSideEncryption="aws:kms")
    assert described(aws, "alias/aws/s3")["MultiRegion"] is False


# --- imported material ------------------------------------------------------------------------------------------------


def brings(one: Any, key_id: str, material: bytes, **options: Any) -> str:
    """Import `material` into a key of a Region; its id."""
    algorithm = "RSAES_OAEP_SHA_256"
    given = one.kms.get_parameters_for_import(KeyId=key_id, WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_2048")
    made: str = one.kms.import_key_material(
        KeyId=key_id,
        ImportToken=given["ImportToken"],
        EncryptedKeyMaterial=wrapped(algorithm, given["PublicKey"], material),
        **{**FOR_EVER, **options},
    )["KeyMaterialId"]
    return made


def test_each_region_imports_the_same_material(aws: Any, near: Any, refused: Any) -> None:
    key_id = primary(aws, Origin="EXTERNAL")
    with refused("KMSInvalidStateException", "is pending import."):
        aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=NEAR)
    material = os.urandom(32)
    named = brings(aws, key_id, material)
    blob = aws.kms.encrypt(KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]
    made = aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=NEAR)["ReplicaKeyMetadata"]
    assert (made["KeyState"], made["Origin"], made["Enabled"]) == ("PendingImport", "EXTERNAL", False)
    with refused("KMSInvalidStateException", "is pending import."):
        near.kms.decrypt(CiphertextBlob=blob)
    with refused("IncorrectKeyMaterialException"):
        brings(near, key_id, os.urandom(32))
    with refused("UnsupportedOperationException"):
        brings(near, key_id, os.urandom(32), ImportType="NEW_KEY_MATERIAL")
    assert brings(near, key_id, material) == named
    assert near.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"
    aws.kms.delete_imported_key_material(KeyId=key_id)
    assert described(aws, key_id)["KeyState"] == "PendingImport"
    assert near.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"


def test_imported_material_is_rotated_to_once_every_region_has_it(aws: Any, near: Any, refused: Any) -> None:
    key_id = primary(aws, Origin="EXTERNAL")
    first, second = os.urandom(32), os.urandom(32)
    brings(aws, key_id, first)
    aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=NEAR)
    brings(near, key_id, first)
    before = near.kms.encrypt(KeyId=key_id, Plaintext=b"before")["CiphertextBlob"]
    named = brings(aws, key_id, second, ImportType="NEW_KEY_MATERIAL")
    with refused("KMSInvalidStateException"):
        aws.kms.rotate_key_on_demand(KeyId=key_id)
    assert brings(near, key_id, second) == named
    aws.kms.rotate_key_on_demand(KeyId=key_id)
    after = aws.kms.encrypt(KeyId=key_id, Plaintext=b"after")["CiphertextBlob"]
    for one in (aws, near):
        assert described(one, key_id)["CurrentKeyMaterialId"] == named
        assert one.kms.decrypt(CiphertextBlob=before)["Plaintext"] == b"before"
        assert one.kms.decrypt(CiphertextBlob=after)["Plaintext"] == b"after"


def test_a_former_replica_takes_new_material_as_the_primary(aws: Any, near: Any, refused: Any) -> None:
    key_id = primary(aws, Origin="EXTERNAL")
    material, new = os.urandom(32), os.urandom(32)
    brings(aws, key_id, material)
    aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=NEAR)
    with refused("KMSInvalidStateException", "is pending import."):
        aws.kms.update_primary_region(KeyId=key_id, PrimaryRegion=NEAR)
    brings(near, key_id, material)
    blob = aws.kms.encrypt(KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]
    aws.kms.update_primary_region(KeyId=key_id, PrimaryRegion=NEAR)
    brings(near, key_id, new, ImportType="NEW_KEY_MATERIAL")
    brings(aws, key_id, new)
    near.kms.rotate_key_on_demand(KeyId=key_id)
    for one in (aws, near):
        assert one.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"


def test_of_many_who_replicate_at_once_one_makes_the_replica(aws: Any, near: Any) -> None:
    key_id = primary(aws)

    def attempt(number: int) -> str:
        try:
            aws.client("kms").replicate_key(KeyId=key_id, ReplicaRegion=NEAR)
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "made"

    with ThreadPoolExecutor(6) as pool:
        outcomes = sorted(pool.map(attempt, range(6)))
    assert outcomes == ["AlreadyExistsException"] * 5 + ["made"]
    assert len(described(near, key_id)["MultiRegionConfiguration"]["ReplicaKeys"]) == 1


# --- other accounts ---------------------------------------------------------------------------------------------------


def test_another_account_uses_a_related_key_only_where_that_keys_own_policy_lets_it(
    server: Any, aws: Any, near: Any, refused: Any
) -> None:
    guest = server.new_account()
    open_to_guest = policy(
        *({"Principal": {"AWS": f"arn:aws:iam::{one.account_id}:root"}, **statement("kms:*")} for one in (aws, guest))
    )
    key_id = primary(aws, NEAR, Policy=json.dumps(open_to_guest))
    blob = near.kms.encrypt(KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]
    assert guest.kms.decrypt(CiphertextBlob=blob)["KeyId"] == arn(aws, HOME, key_id)
    with refused("AccessDeniedException"):
        guest.in_region(NEAR).kms.decrypt(CiphertextBlob=blob)
    for name, params in (("replicate_key", {"ReplicaRegion": FAR}), ("update_primary_region", {"PrimaryRegion": NEAR})):
        with refused("AccessDeniedException"):
            getattr(guest.kms, name)(KeyId=arn(aws, HOME, key_id), **params)
    near.kms.put_key_policy(KeyId=key_id, Policy=json.dumps(open_to_guest))
    aws.kms.disable_key(KeyId=key_id)
    assert guest.in_region(NEAR).kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"


def test_a_grant_holds_in_its_own_region_alone(aws: Any, near: Any, refused: Any) -> None:
    key_id = primary(aws, NEAR)
    blob = aws.kms.encrypt(KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]
    user = aws.new_user("user")
    token = aws.kms.create_grant(
        KeyId=key_id, GranteePrincipal=f"arn:aws:iam::{aws.account_id}:user/user", Operations=["Decrypt"]
    )["GrantToken"]
    assert user.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"
    with refused("AccessDeniedException"):
        user.in_region(NEAR).kms.decrypt(CiphertextBlob=blob)
    with refused("AccessDeniedException"):
        user.in_region(NEAR).kms.decrypt(CiphertextBlob=blob, GrantTokens=[token])


def test_a_region_that_policies_keep_closed_gets_no_replica(aws: Any, refused: Any) -> None:
    key_id = primary(aws)
    elsewhere = {"StringNotEquals": {"aws:RequestedRegion": HOME}}
    user = aws.new_user("user", policy(statement("kms:*"), {**statement("*", Condition=elsewhere), "Effect": "Deny"}))
    with refused("AccessDeniedException", "kms:CreateKey", "explicit deny"):
        user.kms.replicate_key(KeyId=key_id, ReplicaRegion=NEAR)
    aws.kms.replicate_key(KeyId=key_id, ReplicaRegion=NEAR)
    with refused("AccessDeniedException", arn(aws, NEAR, key_id), "explicit deny"):
        user.kms.update_primary_region(KeyId=key_id, PrimaryRegion=NEAR)

"""Nobody gets more than was given: by tags, boundaries, sessions, the operator's door or another's."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attacking
import pytest
from botocore.exceptions import ClientError

from freehold.authorization.principal import Principal
from freehold.authorization.principal_element import caller

EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
DENIED = ("AccessDenied", "AccessDeniedException")


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


@contextmanager
def refused(*codes: str) -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] in (codes or DENIED), caught.value


def allowing(*actions: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": "*", **more}


def test_tags_at_birth_need_the_permission_to_tag(aws: Any) -> None:
    """Otherwise whoever may create users gives them the tags by which others are let in."""
    maker = aws.new_user("maker", policy(allowing("iam:CreateUser", "iam:CreateRole", "iam:CreatePolicy")))
    tags = [{"Key": "team", "Value": "admins"}]
    trust = json.dumps(policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": aws.account_id}}))
    with refused():
        maker.iam.create_user(UserName="a", Tags=tags)
    with refused():
        maker.iam.create_role(RoleName="a", AssumeRolePolicyDocument=trust, Tags=tags)
    with refused():
        maker.iam.create_policy(PolicyName="a", PolicyDocument=json.dumps(policy(EVERYTHING)), Tags=tags)
    maker.iam.create_user(UserName="a")


@pytest.mark.parametrize("path", ["/x:role/aws-service-role/", "/aws-service-role/s3.amazonaws.com/", "/aws-reserved/"])
def test_no_role_calls_itself_service_linked(aws: Any, path: str) -> None:
    trust = json.dumps(policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": aws.account_id}}))
    with refused("InvalidInput"):
        aws.iam.create_role(RoleName="a", Path=path, AssumeRolePolicyDocument=trust)


@pytest.mark.parametrize(
    ("arn", "linked"),
    [
        ("arn:aws:iam::111122223333:role/aws-service-role/s3.amazonaws.com/AWSServiceRoleForS3", True),
        ("arn:aws:iam::111122223333:role/x:role/aws-service-role/y", False),
        ("arn:aws:iam::111122223333:role/y", False),
        ("", False),
    ],
)
def test_service_linked_roles_are_known_by_where_their_path_starts(arn: str, linked: bool) -> None:
    assert caller(Principal("role", "111122223333", issuer_arn=arn)).service_linked is linked


def test_a_user_within_a_boundary_makes_no_user_without_it(aws: Any) -> None:
    limit = aws.iam.create_policy(PolicyName="limit", PolicyDocument=json.dumps(policy(EVERYTHING)))["Policy"]["Arn"]
    bounded = {"StringEquals": {"iam:PermissionsBoundary": limit}}
    maker = aws.new_user(
        "maker", policy(allowing("iam:CreateUser", "iam:PutUserPolicy", "iam:AttachUserPolicy", Condition=bounded))
    )
    with refused():
        maker.iam.create_user(UserName="free")
    maker.iam.create_user(UserName="bound", PermissionsBoundary=limit)
    aws.iam.create_user(UserName="free")
    document = json.dumps(policy(EVERYTHING))
    with refused():
        maker.iam.put_user_policy(UserName="free", PolicyName="p", PolicyDocument=document)
    with refused():
        maker.iam.attach_user_policy(UserName="free", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    with refused():
        maker.iam.delete_user_permissions_boundary(UserName="bound")
    maker.iam.put_user_policy(UserName="bound", PolicyName="p", PolicyDocument=document)


def test_only_the_named_policy_is_attached(aws: Any) -> None:
    only = {"ArnEquals": {"iam:PolicyARN": "arn:aws:iam::aws:policy/ReadOnlyAccess"}}
    giver = aws.new_user("giver", policy(allowing("iam:AttachUserPolicy", Condition=only)))
    aws.iam.create_user(UserName="other")
    for arn in ("arn:aws:iam::aws:policy/AdministratorAccess", "arn:aws:iam::AWS:policy/ReadOnlyAccess"):
        with refused("AccessDenied", "ValidationError", "NoSuchEntity"):
            giver.iam.attach_user_policy(UserName="other", PolicyArn=arn)
    giver.iam.attach_user_policy(UserName="other", PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess")


def test_a_session_is_never_more_than_its_policy_or_its_user(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    user = aws.new_user("u", policy(allowing("s3:GetObject", "sts:GetFederationToken", "kms:*")))
    none = user.using(user.sts.get_federation_token(Name="nobody"))
    with refused():
        none.s3.get_object(Bucket=bucket, Key="k")
    more = user.using(user.sts.get_federation_token(Name="nobody", Policy=json.dumps(policy(EVERYTHING))))
    assert more.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
    with refused():
        more.s3.put_object(Bucket=bucket, Key="k", Body=b"y")
    with refused("InvalidClientTokenId", "AccessDenied"):
        more.iam.list_users()
    with refused():
        more.sts.get_session_token()
    session = aws.using(aws.sts.get_session_token())
    with refused("InvalidClientTokenId", "AccessDenied"):
        session.iam.create_user(UserName="mallory")
    with refused():
        session.sts.get_federation_token(Name="nobody", Policy=json.dumps(policy(EVERYTHING)))


def test_a_role_without_permissions_gains_none_by_assuming_itself_with_a_policy(aws: Any, bucket: str) -> None:
    trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": aws.account_id}})
    arn = aws.iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    aws.iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(policy(allowing("sts:AssumeRole"))))
    user = aws.new_user("u", policy(allowing("sts:AssumeRole")))
    role = user.using(user.sts.assume_role(RoleArn=arn, RoleSessionName="one"))
    again = role.using(role.sts.assume_role(RoleArn=arn, RoleSessionName="two", Policy=json.dumps(policy(EVERYTHING))))
    for one in (role, again):
        with refused():
            one.s3.list_objects_v2(Bucket=bucket)
    with refused("ValidationError"):
        role.sts.assume_role(RoleArn=arn, RoleSessionName="three", DurationSeconds=7200)


def test_credentials_end_with_their_holder(aws: Any) -> None:
    trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": aws.account_id}})
    arn = aws.iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    user = aws.new_user("u", policy(allowing("sts:AssumeRole")))
    role = user.using(user.sts.assume_role(RoleArn=arn, RoleSessionName="one"))
    session = user.using(user.sts.get_session_token())
    aws.iam.delete_role(RoleName="r")
    aws.iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))
    with refused("InvalidClientTokenId"):
        role.sts.get_caller_identity()
    aws.iam.update_access_key(UserName="u", AccessKeyId=user.access_key_id, Status="Inactive")
    with refused("InvalidClientTokenId"):
        user.sts.get_caller_identity()
    aws.iam.delete_access_key(UserName="u", AccessKeyId=user.access_key_id)
    aws.iam.delete_user_policy(UserName="u", PolicyName="policy-0")
    aws.iam.delete_user(UserName="u")
    aws.new_user("u", policy(EVERYTHING))
    with refused("InvalidClientTokenId"):
        session.sts.get_caller_identity()


def test_a_token_is_good_for_its_own_key_alone(aws: Any) -> None:
    one, two = (aws.sts.get_session_token()["Credentials"] for _ in range(2))
    mixed = [
        {**one, "SessionToken": two["SessionToken"]},
        {**one, "SessionToken": one["SessionToken"][:-4] + "AAA="},
        {**one, "SessionToken": "x" * 100},
        {**one, "SecretAccessKey": two["SecretAccessKey"]},
        {
            "AccessKeyId": aws.access_key_id,
            "SecretAccessKey": aws.secret_access_key,
            "SessionToken": one["SessionToken"],
        },
        {"AccessKeyId": one["AccessKeyId"], "SecretAccessKey": one["SecretAccessKey"]},
    ]
    for credentials in mixed:
        with refused("InvalidClientTokenId", "SignatureDoesNotMatch"):
            aws.using(credentials).sts.get_caller_identity()


# --- the operator -----------------------------------------------------------------------------------------------------


def test_no_customer_calls_the_operators_operations(aws: Any) -> None:
    admin = aws.new_user("admin", policy(EVERYTHING, allowing("freehold:*")))
    for one in (aws, admin):
        for call in (
            lambda one=one: one.freehold.create_account(Name="mine"),
            lambda one=one: one.freehold.list_accounts(),
            lambda one=one: one.freehold.get_server_status(),
            lambda one=one: one.freehold.advance_clock(Seconds=1),
        ):
            with refused():
                call()


def test_the_operator_reads_no_customer_data_even_where_everyone_may(server: Any, aws: Any, bucket: str) -> None:
    aws.s3.delete_public_access_block(Bucket=bucket)
    public = policy(
        {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": [f"arn:aws:s3:::{bucket}/*"]},
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"},
    )
    aws.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(public))
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    everyone = policy({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"})
    key = aws.kms.create_key(Policy=json.dumps(everyone))["KeyMetadata"]["Arn"]
    blob = aws.kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}})
    role = aws.iam.create_role(RoleName="open", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    assert attacking.ask(aws, "GET", f"/{bucket}/k").body == b"x"  # for everyone else it is public
    operator = server.operator
    calls: list[Callable[[], Any]] = [
        lambda: operator.s3.get_object(Bucket=bucket, Key="k"),
        lambda: operator.s3.head_object(Bucket=bucket, Key="k"),
        lambda: operator.s3.put_object(Bucket=bucket, Key="k", Body=b"y"),
        lambda: operator.s3.list_objects_v2(Bucket=bucket),
        lambda: operator.s3.list_buckets(),
        lambda: operator.s3.create_bucket(Bucket="operator-" + secrets.token_hex(4)),
        lambda: operator.kms.decrypt(CiphertextBlob=blob),
        lambda: operator.kms.describe_key(KeyId=key),
        lambda: operator.kms.create_key(),
        lambda: operator.iam.list_users(),
        lambda: operator.iam.create_user(UserName="u"),
        lambda: operator.sts.assume_role(RoleArn=role, RoleSessionName="operator"),
        lambda: operator.sts.get_session_token(),
        lambda: operator.sts.get_federation_token(Name="operator"),
        lambda: operator.cloudtrail.lookup_events(),
    ]
    for call in calls:
        with refused("AccessDenied", "AccessDeniedException", "403"):
            call()
    deleted = operator.s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}]})
    assert [error["Code"] for error in deleted["Errors"]] == ["AccessDenied"]
    copied = attacking.s3(operator, "PUT", f"/{bucket}/copy", {"x-amz-copy-source": f"/{bucket}/k"})
    assert copied.status == 403


# --- other accounts ---------------------------------------------------------------------------------------------------


def test_the_names_of_another_account_open_nothing(aws: Any, other: Any, bucket: str) -> None:
    """Every way to name what belongs to `aws`, by the root user of `other`, changes and shows nothing."""
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    key = aws.kms.create_key()["KeyMetadata"]
    aws.kms.create_alias(AliasName="alias/mine", TargetKeyId=key["KeyId"])
    alias = key["Arn"].replace(f"key/{key['KeyId']}", "alias/mine")
    blob = aws.kms.encrypt(KeyId=key["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    grant = aws.kms.create_grant(
        KeyId=key["KeyId"], GranteePrincipal=f"arn:aws:iam::{aws.account_id}:root", Operations=["Decrypt"]
    )
    document = json.dumps(policy(EVERYTHING))
    arn = aws.iam.create_policy(PolicyName="p", PolicyDocument=document)["Policy"]["Arn"]
    upload = aws.s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    mine = "b-" + secrets.token_hex(8)
    other.s3.create_bucket(Bucket=mine)
    theirs = {"Bucket": bucket, "Key": "k"}
    other_root = f"arn:aws:iam::{other.account_id}:root"
    kms, iam, s3 = other.kms, other.iam, other.s3
    calls: list[Callable[[], Any]] = [
        *[lambda name=name: kms.encrypt(KeyId=name, Plaintext=b"x") for name in (key["Arn"], alias)],
        lambda: kms.decrypt(CiphertextBlob=blob),
        lambda: kms.decrypt(CiphertextBlob=blob, KeyId=key["Arn"]),
        lambda: kms.describe_key(KeyId=key["Arn"]),
        lambda: kms.disable_key(KeyId=key["Arn"]),
        lambda: kms.put_key_policy(KeyId=key["Arn"], Policy=document),
        lambda: kms.get_key_policy(KeyId=key["Arn"]),
        lambda: kms.schedule_key_deletion(KeyId=key["Arn"]),
        lambda: kms.create_alias(AliasName="alias/x", TargetKeyId=key["Arn"]),
        lambda: kms.create_grant(KeyId=key["Arn"], GranteePrincipal=other_root, Operations=["Decrypt"]),
        lambda: kms.list_grants(KeyId=key["Arn"]),
        lambda: kms.revoke_grant(KeyId=key["Arn"], GrantId=grant["GrantId"]),
        lambda: kms.retire_grant(GrantToken=grant["GrantToken"]),
        lambda: kms.retire_grant(KeyId=key["Arn"], GrantId=grant["GrantId"]),
        lambda: kms.tag_resource(KeyId=key["Arn"], Tags=[{"TagKey": "a", "TagValue": "b"}]),
        lambda: iam.get_policy(PolicyArn=arn),
        lambda: iam.get_policy_version(PolicyArn=arn, VersionId="v1"),
        lambda: iam.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True),
        lambda: iam.delete_policy(PolicyArn=arn),
        lambda: iam.list_entities_for_policy(PolicyArn=arn),
        lambda: iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "a", "Value": "b"}]),
        lambda: s3.get_object(**theirs),
        lambda: s3.put_object(**theirs),
        lambda: s3.delete_object(**theirs),
        lambda: s3.list_objects_v2(Bucket=bucket),
        lambda: s3.list_multipart_uploads(Bucket=bucket),
        lambda: s3.list_parts(**theirs, UploadId=upload),
        lambda: s3.upload_part(**theirs, UploadId=upload, PartNumber=1, Body=b"x"),
        lambda: s3.abort_multipart_upload(**theirs, UploadId=upload),
        lambda: s3.copy_object(Bucket=mine, Key="k", CopySource=f"{bucket}/k"),
        lambda: s3.delete_bucket(Bucket=bucket),
        lambda: s3.put_bucket_policy(Bucket=bucket, Policy=document),
        lambda: s3.get_bucket_policy(Bucket=bucket),
        lambda: s3.put_bucket_encryption(
            Bucket=bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
            },
        ),
        lambda: s3.delete_public_access_block(Bucket=bucket),
        lambda: s3.put_object(Bucket=mine, Key="k", ServerSideEncryption="aws:kms", SSEKMSKeyId=key["Arn"]),
        lambda: s3.put_object(Bucket=mine, Key="k", ServerSideEncryption="aws:kms", SSEKMSKeyId=alias),
    ]
    for call in calls:
        with refused("AccessDenied", "AccessDeniedException", "NotFoundException", "InvalidCiphertextException"):
            call()
    iam.create_user(UserName="u")
    for call in (
        lambda: iam.attach_user_policy(UserName="u", PolicyArn=arn),
        lambda: iam.put_user_permissions_boundary(UserName="u", PermissionsBoundary=arn),
    ):
        with refused("AccessDenied", "NoSuchEntity"):
            call()
    # An upload is its bucket's and key's: its id opens nothing elsewhere.
    for call in (
        lambda: s3.upload_part(Bucket=mine, Key="k", UploadId=upload, PartNumber=1, Body=b"x"),
        lambda: s3.list_parts(Bucket=mine, Key="k", UploadId=upload),
        lambda: aws.s3.upload_part(Bucket=bucket, Key="other", UploadId=upload, PartNumber=1, Body=b"x"),
        lambda: aws.s3.list_parts(Bucket=bucket, Key="other", UploadId=upload),
    ):
        with refused("NoSuchUpload"):
            call()
    part = s3.create_multipart_upload(Bucket=mine, Key="k")["UploadId"]
    with refused():
        s3.upload_part_copy(Bucket=mine, Key="k", UploadId=part, PartNumber=1, CopySource=f"{bucket}/k")
    with refused():
        aws.s3.get_object(**theirs, ExpectedBucketOwner=other.account_id)
    assert aws.s3.get_object(**theirs)["Body"].read() == b"x"
    assert aws.kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
    assert [one["Name"] for one in aws.s3.list_buckets()["Buckets"]] == [bucket]


def test_what_does_not_exist_is_refused_in_the_same_words_as_what_is_anothers(aws: Any, other: Any) -> None:
    """Otherwise names could be tried until one exists."""
    trust = policy({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": aws.account_id}})
    role = aws.iam.create_role(RoleName="real", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    arn = aws.iam.create_policy(PolicyName="real", PolicyDocument=json.dumps(policy(EVERYTHING)))["Policy"]["Arn"]
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    user = other.new_user("u", policy(EVERYTHING))
    for real, ask in (
        (role, lambda name: user.sts.assume_role(RoleArn=name, RoleSessionName="ab")),
        (arn, lambda name: user.iam.get_policy(PolicyArn=name)),
        (key, lambda name: user.kms.put_key_policy(KeyId=name, Policy="{}")),
    ):
        said = []
        for name in (real, real[:-4] + ("f00d" if real is key else "none")):
            with pytest.raises(ClientError) as caught:
                ask(name)
            error = caught.value.response["Error"]
            # What names the denial itself is another text each time, and there both times or never.
            text = re.sub(r"\b[0-9a-z]{26}\b|(?<=failure message: )\S+", "…", error["Message"])
            said.append((error["Code"], text.replace(name, "NAME")))
        assert said[0] == said[1]


def test_a_presigned_url_is_worth_what_its_signer_may_now(aws: Any, bucket: str) -> None:
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    user = aws.new_user("u", policy(allowing("s3:GetObject")))
    get, put = (attacking.presigned(user, method, f"/{bucket}/k") for method in ("GET", "PUT"))
    assert attacking.ask(aws, "GET", get).body == b"x"
    assert attacking.ask(aws, "PUT", put, {}, b"y").status == 403
    assert attacking.ask(aws, "HEAD", get).status == 403
    assert attacking.ask(aws, "GET", get.replace("/k?", "/other?")).status == 403
    assert attacking.ask(aws, "GET", get + "&acl").status == 403
    assert attacking.ask(aws, "GET", get, {"x-amz-expected-bucket-owner": aws.account_id}).status == 403
    assert attacking.ask(aws, "GET", get.replace("Expires=3600", "Expires=604800")).status == 403
    aws.iam.delete_user_policy(UserName="u", PolicyName="policy-0")
    assert attacking.ask(aws, "GET", get).status == 403


def test_the_tail_of_a_bucket_policy_names_no_other_bucket(aws: Any, bucket: str) -> None:
    for resource in (
        "*",
        "arn:aws:s3:::*",
        f"arn:aws:s3:::{bucket}-other/*",
        "arn:aws:s3:::${aws:x}",
    ):
        statement = {"Effect": "Allow", "Principal": {"AWS": aws.account_id}, "Action": "s3:*", "Resource": resource}
        with refused("MalformedPolicy"):
            aws.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy(statement)))


PUBLIC = {
    "everyone": {"Principal": "*"},
    "everyone with credentials": {"Principal": {"AWS": "*"}},
    "everyone among others": {"Principal": {"AWS": "*", "Service": "s3.amazonaws.com"}},
    "a condition that anyone meets": {"Principal": "*", "Condition": {"StringLike": {"aws:PrincipalArn": "*"}}},
    "a condition if there is a key": {
        "Principal": "*",
        "Condition": {"StringEqualsIfExists": {"aws:SourceVpc": "vpc-1"}},
    },
    "a condition on all values": {
        "Principal": "*",
        "Condition": {"ForAllValues:StringEquals": {"aws:PrincipalAccount": "111122223333"}},
    },
    "all the addresses": {"Principal": "*", "Condition": {"IpAddress": {"aws:SourceIp": ["10.0.0.1/32", "0.0.0.0/1"]}}},
    "what is not": {"Principal": "*", "Condition": {"StringNotEquals": {"aws:PrincipalAccount": "111122223333"}}},
    "a referer": {"Principal": "*", "Condition": {"StringEquals": {"aws:Referer": "here"}}},
}


@pytest.mark.parametrize("rest", PUBLIC.values(), ids=PUBLIC.keys())
def test_a_public_policy_is_blocked_however_it_is_written(aws: Any, bucket: str, rest: dict[str, Any]) -> None:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*", **rest}
    with refused():
        aws.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy(statement)))

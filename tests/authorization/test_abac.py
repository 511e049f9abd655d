"""Access by tags, end to end: what a tag on a key, a bucket, a user, a role or a session opens, and what it doesn't.

https://docs.aws.amazon.com/IAM/latest/UserGuide/introduction_attribute-based-access-control.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/tutorial_attribute-based-access-control.html
"""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest
from botocore.exceptions import ClientError

MATCHING = {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}


def doc(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: Any, resource: Any = "*", **condition: Any) -> dict[str, Any]:
    found = {"Effect": "Allow", "Action": action, "Resource": resource}
    return found | ({"Condition": condition} if condition else {})


def deny(action: Any, **condition: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": "*", "Condition": condition}


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as found:
        call(**arguments)
    error = found.value.response["Error"]
    assert error["Code"] in ("AccessDenied", "AccessDeniedException"), error
    return str(error["Message"])


def role(aws: Any, name: str, *policies: Any, tags: dict[str, str] | None = None, trust: Any = None) -> str:
    """A role for the account's users, and its ARN."""
    trust = trust or doc({"Effect": "Allow", "Principal": {"AWS": aws.account_id},
                          "Action": ["sts:AssumeRole", "sts:TagSession"]})  # fmt: skip
    listed = [{"Key": key, "Value": value} for key, value in (tags or {}).items()]
    made = aws.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust), Tags=listed)
    for number, policy in enumerate(policies):
        aws.iam.put_role_policy(RoleName=name, PolicyName=f"p{number}", PolicyDocument=json.dumps(policy))
    return str(made["Role"]["Arn"])


@pytest.fixture
def person(aws: Any) -> Any:
    """A user who may assume roles and tag their sessions."""
    return aws.new_user("person", doc(allow(["sts:AssumeRole", "sts:TagSession"])))


def session(aws: Any, person: Any, arn: str, **tags: str) -> Any:
    listed = [{"Key": key, "Value": value} for key, value in tags.items()]
    return aws.using(person.sts.assume_role(RoleArn=arn, RoleSessionName="one", Tags=listed))


def key(aws: Any, **tags: str) -> str:
    listed = [{"TagKey": name, "TagValue": value} for name, value in tags.items()]
    return str(aws.kms.create_key(Tags=listed)["KeyMetadata"]["Arn"])


def test_a_users_tag_opens_keys_with_the_same_tag(aws: Any) -> None:
    """https://docs.aws.amazon.com/kms/latest/developerguide/abac.html"""
    red, blue, none = key(aws, team="red"), key(aws, team="blue"), key(aws)
    user = aws.new_user("u", doc(allow("kms:Encrypt", **MATCHING)))
    refused(user.kms.encrypt, KeyId=red, Plaintext=b"x")
    aws.iam.tag_user(UserName="u", Tags=[{"Key": "team", "Value": "red"}])
    user.kms.encrypt(KeyId=red, Plaintext=b"x")
    for other in (blue, none):
        refused(user.kms.encrypt, KeyId=other, Plaintext=b"x")
    aws.kms.tag_resource(KeyId=none, Tags=[{"TagKey": "team", "TagValue": "red"}])
    user.kms.encrypt(KeyId=none, Plaintext=b"x")
    aws.kms.untag_resource(KeyId=red, TagKeys=["team"])
    refused(user.kms.encrypt, KeyId=red, Plaintext=b"x")


def test_a_key_policy_looks_at_the_callers_tag(aws: Any) -> None:
    opened = doc(
        {"Effect": "Allow", "Principal": {"AWS": aws.account_id}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*",
         "Condition": {"StringEquals": {"aws:PrincipalTag/team": "red", "kms:CallerAccount": aws.account_id}}},
    )  # fmt: skip
    made = aws.kms.create_key(Policy=json.dumps(opened))["KeyMetadata"]["Arn"]
    user = aws.new_user("u")
    refused(user.kms.encrypt, KeyId=made, Plaintext=b"x")
    aws.iam.tag_user(UserName="u", Tags=[{"Key": "Team", "Value": "red"}])
    user.kms.encrypt(KeyId=made, Plaintext=b"x")


def test_an_alias_opens_the_keys_that_have_it(aws: Any) -> None:
    """https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html"""
    made = key(aws)
    user = aws.new_user("u", doc(
        allow("kms:Encrypt", **{"ForAnyValue:StringLike": {"kms:ResourceAliases": "alias/app-*"}}),
        allow("kms:Decrypt", StringEquals={"kms:RequestAlias": "alias/app-1"}),
    ))  # fmt: skip
    refused(user.kms.encrypt, KeyId=made, Plaintext=b"x")
    aws.kms.create_alias(AliasName="alias/app-1", TargetKeyId=made)
    sealed = user.kms.encrypt(KeyId=made, Plaintext=b"x")["CiphertextBlob"]
    refused(user.kms.decrypt, KeyId=made, CiphertextBlob=sealed)
    user.kms.decrypt(KeyId="alias/app-1", CiphertextBlob=sealed)
    aws.kms.delete_alias(AliasName="alias/app-1")
    refused(user.kms.encrypt, KeyId=made, Plaintext=b"x")


def test_who_may_tag_is_decided_by_the_tags_given(aws: Any) -> None:
    """https://docs.aws.amazon.com/kms/latest/developerguide/tag-authorization.html"""
    user = aws.new_user("u", doc(
        allow(["kms:CreateKey", "kms:TagResource", "kms:UntagResource"], **{
            "StringEquals": {"aws:RequestTag/team": "red"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}}),
        allow("kms:UntagResource", **{"ForAllValues:StringEquals": {"aws:TagKeys": ["stage"]}}),
    ))  # fmt: skip
    made = user.kms.create_key(Tags=[{"TagKey": "team", "TagValue": "red"}])["KeyMetadata"]["Arn"]
    refused(user.kms.create_key)
    refused(user.kms.create_key, Tags=[{"TagKey": "team", "TagValue": "blue"}])
    refused(user.kms.create_key, Tags=[{"TagKey": "team", "TagValue": "red"}, {"TagKey": "x", "TagValue": "y"}])
    refused(user.kms.untag_resource, KeyId=made, TagKeys=["team"])
    user.kms.untag_resource(KeyId=made, TagKeys=["stage"])


def test_a_sessions_tags_open_what_has_the_same(aws: Any, person: Any) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html"""
    red, blue = key(aws, team="red"), key(aws, team="blue")
    arn = role(aws, "app", doc(allow("kms:Encrypt", **MATCHING)), tags={"team": "blue"})
    as_role = session(aws, person, arn)
    as_role.kms.encrypt(KeyId=blue, Plaintext=b"x")
    refused(as_role.kms.encrypt, KeyId=red, Plaintext=b"x")
    tagged = session(aws, person, arn, Team="red")
    tagged.kms.encrypt(KeyId=red, Plaintext=b"x")
    refused(tagged.kms.encrypt, KeyId=blue, Plaintext=b"x")


def test_a_trust_policy_says_which_tags_a_session_may_have(aws: Any, person: Any) -> None:
    trust = doc(
        {"Effect": "Allow", "Principal": {"AWS": aws.account_id}, "Action": "sts:AssumeRole",
         "Condition": {"StringEquals": {"aws:RequestTag/team": "${aws:PrincipalTag/team}"}}},
        {"Effect": "Allow", "Principal": {"AWS": aws.account_id}, "Action": "sts:TagSession",
         "Condition": {"StringLike": {"aws:RequestTag/team": "*"}, "ForAllValues:StringEquals": {
             "sts:TransitiveTagKeys": ["team"], "aws:TagKeys": ["team"]}}},
    )  # fmt: skip
    arn = role(aws, "app", trust=trust)
    aws.iam.tag_user(UserName="person", Tags=[{"Key": "team", "Value": "red"}])
    session(aws, person, arn, team="red")
    for tags in ({"team": "blue"}, {"team": "red", "stage": "x"}, {}):
        with pytest.raises(ClientError, match="AccessDenied"):
            session(aws, person, arn, **tags)


def test_transitive_tags_reach_along_a_chain(aws: Any, person: Any) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_role-chaining"""
    red = key(aws, team="red")
    last = role(aws, "last", doc(allow("kms:Encrypt", **MATCHING)))
    first = role(aws, "first", doc(allow(["sts:AssumeRole", "sts:TagSession"])))
    for transitive, reaches in ((["team"], True), ([], False)):
        made = person.sts.assume_role(
            RoleArn=first, RoleSessionName="one", Tags=[{"Key": "team", "Value": "red"}], TransitiveTagKeys=transitive
        )
        chained = session(aws, aws.using(made), last)
        if reaches:
            chained.kms.encrypt(KeyId=red, Plaintext=b"x")
        else:
            refused(chained.kms.encrypt, KeyId=red, Plaintext=b"x")


def test_iam_entities_by_their_tags(aws: Any) -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/access_iam-tags.html"""
    user = aws.new_user("admin", doc(
        allow(["iam:GetUser", "iam:PutUserPolicy"], StringEquals={"iam:ResourceTag/team": "red"}),
        allow("iam:CreateUser", StringEquals={"aws:RequestTag/team": "red"}),
        allow("iam:TagUser", StringEquals={"aws:RequestTag/team": "red"}),
        deny("iam:PutUserPolicy", Null={"aws:ResourceTag/open": "true"}),
    ))  # fmt: skip
    aws.iam.create_user(UserName="blue", Tags=[{"Key": "team", "Value": "blue"}])
    refused(user.iam.get_user, UserName="blue")
    refused(user.iam.create_user, UserName="plain")
    user.iam.create_user(UserName="red", Tags=[{"Key": "team", "Value": "red"}])
    user.iam.get_user(UserName="red")
    text = json.dumps(doc(allow("s3:*")))
    assert "explicit deny" in refused(user.iam.put_user_policy, UserName="red", PolicyName="p", PolicyDocument=text)


def test_the_tags_of_a_role_decide_who_assumes_it(aws: Any) -> None:
    user = aws.new_user("u", doc(allow("sts:AssumeRole", StringEquals={"iam:ResourceTag/open": "yes"})))
    trust = doc({"Effect": "Allow", "Principal": {"AWS": aws.account_id}, "Action": "sts:AssumeRole"})
    opened, closed = (role(aws, name, tags={"open": name}, trust=trust) for name in ("yes", "no"))
    user.sts.assume_role(RoleArn=opened, RoleSessionName="one")
    refused(user.sts.assume_role, RoleArn=closed, RoleSessionName="one")


def test_a_buckets_tags_decide_once_that_is_enabled(aws: Any) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/buckets-tagging-enable-abac.html"""
    bucket = "b-" + secrets.token_hex(8)
    aws.s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"Tags": [{"Key": "team", "Value": "red"}]})
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    user = aws.new_user("u", doc(
        allow(["s3:GetObject", "s3:ListBucket"], **MATCHING),
        allow("s3:PutObject", StringEquals={"s3:BucketTag/team": "red"}),
    ))  # fmt: skip
    aws.iam.tag_user(UserName="u", Tags=[{"Key": "team", "Value": "red"}])
    assert aws.s3.get_bucket_abac(Bucket=bucket)["AbacStatus"] == {"Status": "Disabled"}
    refused(user.s3.get_object, Bucket=bucket, Key="k")
    aws.s3.put_bucket_abac(Bucket=bucket, AbacStatus={"Status": "Enabled"})
    user.s3.get_object(Bucket=bucket, Key="k")
    user.s3.list_objects_v2(Bucket=bucket)
    user.s3.put_object(Bucket=bucket, Key="k", Body=b"y")
    for change in (
        lambda: aws.s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "team", "Value": "blue"}]}),
        lambda: aws.s3.delete_bucket_tagging(Bucket=bucket),
    ):
        with pytest.raises(ClientError, match="InvalidRequest"):
            change()
    aws.s3.put_bucket_abac(Bucket=bucket, AbacStatus={"Status": "Disabled"})
    refused(user.s3.put_object, Bucket=bucket, Key="k", Body=b"z")
    aws.s3.delete_bucket_tagging(Bucket=bucket)
    aws.s3.put_bucket_abac(Bucket=bucket, AbacStatus={"Status": "Enabled"})
    refused(user.s3.put_object, Bucket=bucket, Key="k", Body=b"z")


def test_a_bucket_is_made_with_the_right_tags_only(aws: Any) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/buckets-tagging.html"""
    user = aws.new_user("u", doc(
        allow(["s3:CreateBucket", "s3:TagResource"], **{
            "StringEquals": {"aws:RequestTag/team": "red"}, "ForAllValues:StringEquals": {"aws:TagKeys": "team"}}),
    ))  # fmt: skip
    for tags, made in (
        ({"team": "red"}, True),
        ({"team": "blue"}, False),
        ({"team": "red", "x": "y"}, False),
        ({}, False),
    ):
        listed = [{"Key": name, "Value": value} for name, value in tags.items()]
        more = {"CreateBucketConfiguration": {"Tags": listed}} if listed else {}
        if made:
            user.s3.create_bucket(Bucket="b-" + secrets.token_hex(8), **more)
        else:
            refused(user.s3.create_bucket, Bucket="b-" + secrets.token_hex(8), **more)


def test_a_users_own_prefix(aws: Any) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/walkthrough1.html"""
    bucket = "b-" + secrets.token_hex(8)
    aws.s3.create_bucket(Bucket=bucket)
    own = doc(
        allow("s3:ListBucket", f"arn:aws:s3:::{bucket}", StringLike={"s3:prefix": ["${aws:username}/*"]},
              StringEquals={"s3:delimiter": "/"}),
        allow(["s3:GetObject", "s3:PutObject"], f"arn:aws:s3:::{bucket}/${{aws:username}}/*"),
    )  # fmt: skip
    alice = aws.new_user("alice", own)
    alice.s3.put_object(Bucket=bucket, Key="alice/a", Body=b"x")
    refused(alice.s3.put_object, Bucket=bucket, Key="bob/a", Body=b"x")
    alice.s3.list_objects_v2(Bucket=bucket, Prefix="alice/", Delimiter="/")
    for wrong in ({"Prefix": "bob/", "Delimiter": "/"}, {"Prefix": "alice/"}, {"Delimiter": "/"}, {}):
        refused(alice.s3.list_objects_v2, Bucket=bucket, **wrong)


def test_an_object_is_made_under_conditions_and_parts_are_none(aws: Any) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html"""
    bucket = "b-" + secrets.token_hex(8)
    aws.s3.create_bucket(Bucket=bucket)
    user = aws.new_user("u", doc(
        allow("s3:PutObject"),
        deny("s3:PutObject", Null={"s3:if-none-match": "true"}, Bool={"s3:ObjectCreationOperation": "true"}),
    ))  # fmt: skip
    refused(user.s3.put_object, Bucket=bucket, Key="k", Body=b"x")
    user.s3.put_object(Bucket=bucket, Key="k", Body=b"x", IfNoneMatch="*")
    begun = user.s3.create_multipart_upload(Bucket=bucket, Key="parts")
    named = {"Bucket": bucket, "Key": "parts", "UploadId": begun["UploadId"]}
    part = {"PartNumber": 1, "ETag": user.s3.upload_part(**named, PartNumber=1, Body=b"x")["ETag"]}
    refused(user.s3.complete_multipart_upload, **named, MultipartUpload={"Parts": [part]})
    user.s3.complete_multipart_upload(**named, MultipartUpload={"Parts": [part]}, IfNoneMatch="*")

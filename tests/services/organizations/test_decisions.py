"""Service and resource control policies in live requests.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_rcps_evaluation.html
"""

from __future__ import annotations

import json
import secrets

from organizing import RCP, Organized, allow, deny, refused

BY_SCP = "with an explicit deny in a service control policy: arn:aws:organizations::"


def test_a_deny_anywhere_above_binds_even_the_root_user(org: Organized) -> None:
    outer = org.unit("production")
    inner, other = org.unit("inner", outer), org.unit("sandbox")
    deep, beside = org.invited(inner), org.invited(other)
    policy_id = org.attach(outer, deny("iam:ListUsers"))
    with refused("AccessDenied", BY_SCP):
        deep.iam.list_users()
    beside.iam.list_users()
    org.management.iam.list_users()
    org.organizations.detach_policy(PolicyId=policy_id, TargetId=outer)
    deep.iam.list_users()


def test_every_level_must_allow(org: Organized) -> None:
    unit = org.unit("production")
    member = org.invited(unit)
    org.only(unit, allow("iam:*"))
    member.iam.list_users()
    with refused("AccessDenied", "because no service control policy allows the s3:ListAllMyBuckets action"):
        member.s3.list_buckets()
    with refused("ConstraintViolationException", reason="MIN_POLICY_TYPE_ATTACHMENT_LIMIT_EXCEEDED"):
        org.organizations.detach_policy(PolicyId="p-FullAWSAccess", TargetId=member.account_id)


def test_the_management_account_is_not_bound(org: Organized) -> None:
    org.attach(org.root_id, deny("*"))
    org.management.iam.list_users()


def test_a_resource_control_policy_binds_callers_from_outside(org: Organized) -> None:
    org.enable(RCP)
    member, stranger = org.invited(), org.server.new_account("stranger")
    key = member.kms.create_key(
        Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow("kms:*", Principal={"AWS": "*"})]})
    )["KeyMetadata"]["Arn"]
    stranger.kms.encrypt(KeyId=key, Plaintext=b"x")
    org.attach(
        org.root_id,
        deny("kms:*", Principal="*", Condition={"StringNotEqualsIfExists": {"aws:PrincipalOrgID": org.id}}),
        type=RCP,
    )
    with refused("AccessDeniedException"):
        stranger.kms.encrypt(KeyId=key, Plaintext=b"x")
    member.kms.encrypt(KeyId=key, Plaintext=b"x")


def test_a_bucket_policy_knows_the_organization(org: Organized) -> None:
    bucket, member, stranger = "b-" + secrets.token_hex(8), org.invited(), org.server.new_account("stranger")
    org.management.s3.create_bucket(Bucket=bucket)
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": org.id}},
    }
    org.management.s3.put_bucket_policy(
        Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    member.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    with refused("AccessDenied"):
        stranger.s3.put_object(Bucket=bucket, Key="k", Body=b"x")


def test_a_created_account_works_at_once_and_a_closed_one_no_more(org: Organized) -> None:
    session = org.created()
    session.iam.create_user(UserName="u")
    org.organizations.close_account(AccountId=session.account_id)
    with refused("InvalidClientTokenId"):
        session.iam.list_users()
    shown = org.organizations.describe_account(AccountId=session.account_id)["Account"]
    assert (shown["Status"], shown["State"]) == ("SUSPENDED", "CLOSED")


def test_an_invitation_is_its_accounts_own_and_good_once(org: Organized) -> None:
    account, thief = org.server.new_account("invited"), org.server.new_account("thief")
    target = {"Type": "ACCOUNT", "Id": account.account_id}
    handshake = org.organizations.invite_account_to_organization(Target=target)["Handshake"]["Id"]
    with refused("HandshakeNotFoundException"):
        thief.organizations.accept_handshake(HandshakeId=handshake)
    account.organizations.accept_handshake(HandshakeId=handshake)
    account.organizations.leave_organization()
    with refused("HandshakeAlreadyInStateException"):
        account.organizations.accept_handshake(HandshakeId=handshake)


def test_a_member_manages_nothing_of_the_organization(org: Organized) -> None:
    member = org.invited()
    with refused("AccessDeniedException"):
        member.organizations.list_accounts()
    with refused("AccessDeniedException"):
        member.organizations.detach_policy(PolicyId="p-FullAWSAccess", TargetId=member.account_id)
    with refused("AccessDeniedException"):
        member.organizations.delete_organization()
    with refused("OrganizationNotEmptyException"):
        org.organizations.delete_organization()

"""Centralized root access against a live server: the features, and AssumeRoot's sessions.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_root-user-privileged-task.html
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from authenticator import Phone
from organizing import RCP, Organized, allow, deny, document, refused

TASKS = "arn:aws:iam::aws:policy/root-task/"
CREDENTIALS, SESSIONS = "RootCredentialsManagement", "RootSessions"


def task(name: str) -> dict[str, str]:
    return {"arn": TASKS + name}


def root_of(org: Organized, account_id: str, name: str, **more: Any) -> Any:
    given = org.management.sts.assume_root(TargetPrincipal=account_id, TaskPolicyArn=task(name), **more)
    return org.management.using(given)


@pytest.fixture
def central(org: Organized) -> Organized:
    """With both features."""
    org.organizations.enable_aws_service_access(ServicePrincipal="iam.amazonaws.com")
    org.management.iam.enable_organizations_root_credentials_management()
    org.management.iam.enable_organizations_root_sessions()
    return org


def test_features_are_switched_one_by_one(org: Organized) -> None:
    iam = org.management.iam
    with refused("ServiceAccessNotEnabledException"):
        iam.enable_organizations_root_sessions()
    org.organizations.enable_aws_service_access(ServicePrincipal="iam.amazonaws.com")
    enabled = iam.enable_organizations_root_sessions()
    assert (enabled["OrganizationId"], enabled["EnabledFeatures"]) == (org.id, [SESSIONS])
    iam.enable_organizations_root_sessions()
    assert iam.enable_organizations_root_credentials_management()["EnabledFeatures"] == [CREDENTIALS, SESSIONS]
    assert iam.disable_organizations_root_sessions()["EnabledFeatures"] == [CREDENTIALS]
    assert iam.list_organizations_features()["EnabledFeatures"] == [CREDENTIALS]
    assert iam.disable_organizations_root_credentials_management()["EnabledFeatures"] == []


def test_members_and_strangers_administer_nothing(central: Organized) -> None:
    with refused("AccountNotManagementOrDelegatedAdministratorException"):
        central.invited().iam.list_organizations_features()
    with refused("OrganizationNotFoundException"):
        central.server.new_account("alone").iam.list_organizations_features()


def test_a_delegated_administrator_uses_the_features_and_cannot_enable_them(central: Organized) -> None:
    deputy, member = central.created(), central.invited()
    central.organizations.register_delegated_administrator(
        AccountId=deputy.account_id, ServicePrincipal="iam.amazonaws.com"
    )
    assert deputy.iam.list_organizations_features()["EnabledFeatures"] == [CREDENTIALS, SESSIONS]
    with refused("CallerIsNotManagementAccountException"):
        deputy.iam.enable_organizations_root_sessions()
    given = deputy.sts.assume_root(TargetPrincipal=member.account_id, TaskPolicyArn=task("IAMAuditRootUserCredentials"))
    assert deputy.using(given).sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{member.account_id}:root"
    central.organizations.deregister_delegated_administrator(
        AccountId=deputy.account_id, ServicePrincipal="iam.amazonaws.com"
    )
    with refused("AccessDenied", "nor a delegated administrator"):
        deputy.sts.assume_root(TargetPrincipal=member.account_id, TaskPolicyArn=task("IAMAuditRootUserCredentials"))


def test_a_members_root_credentials_are_audited_and_deleted_and_begun_anew(central: Organized) -> None:
    member = central.invited()
    member.iam.create_login_profile(Password="the Root's own 1")
    audit = root_of(central, member.account_id, "IAMAuditRootUserCredentials")
    (key,) = audit.iam.list_access_keys()["AccessKeyMetadata"]
    assert audit.iam.get_login_profile()["LoginProfile"]["UserName"] == member.account_id
    assert audit.iam.get_account_summary()["SummaryMap"]["AccountAccessKeysPresent"] == 1
    with refused("AccessDenied", "explicit deny in an identity-based policy"):
        audit.iam.delete_access_key(AccessKeyId=key["AccessKeyId"])
    deleting = root_of(central, member.account_id, "IAMDeleteRootUserCredentials")
    deleting.iam.delete_access_key(AccessKeyId=key["AccessKeyId"])
    deleting.iam.delete_login_profile()
    with refused("InvalidClientTokenId"):
        member.sts.get_caller_identity()
    with refused("AccessDenied"):
        deleting.iam.create_login_profile()
    creating = root_of(central, member.account_id, "IAMCreateRootUserPassword")
    with refused("ValidationError", "Password must be omitted"):  # or the task would be worth the whole account
        creating.iam.create_login_profile(Password="Of-The-Management-1")
    creating.iam.create_login_profile()
    assert creating.iam.get_login_profile()["LoginProfile"]["UserName"] == member.account_id


def test_a_bucket_that_locks_everyone_out_is_unlocked_and_nothing_else_is_reached(central: Organized) -> None:
    member = central.invited()
    admin = central.administrator(member)
    name = f"locked-{member.account_id}"
    admin.s3.create_bucket(Bucket=name)
    admin.s3.put_object(Bucket=name, Key="a", Body=b"a")
    locked = {**deny("s3:*"), "Principal": "*", "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"]}
    admin.s3.put_bucket_policy(Bucket=name, Policy=document(locked))
    with refused("AccessDenied"):
        admin.s3.delete_bucket_policy(Bucket=name)
    unlocking = root_of(central, member.account_id, "S3UnlockBucketPolicy")
    assert name in {bucket["Name"] for bucket in unlocking.s3.list_buckets()["Buckets"]}
    assert json.loads(unlocking.s3.get_bucket_policy(Bucket=name)["Policy"])["Statement"]
    unlocking.s3.delete_bucket_policy(Bucket=name)
    assert admin.s3.get_object(Bucket=name, Key="a")["Body"].read() == b"a"
    for refusal in (
        lambda: unlocking.s3.get_object(Bucket=name, Key="a"),
        lambda: unlocking.s3.create_bucket(Bucket=f"{name}-2"),
        lambda: unlocking.iam.list_users(),
        lambda: unlocking.iam.create_access_key(),
        lambda: unlocking.sts.get_session_token(),
        lambda: unlocking.sts.get_federation_token(Name="more", Policy=document(allow("*"))),
    ):
        with refused("AccessDenied"):
            refusal()


def test_the_members_service_control_policies_limit_the_session(central: Organized) -> None:
    member = central.invited()
    central.attach(member.account_id, deny("s3:*", Condition={"Bool": {"aws:AssumedRoot": "true"}}))
    assert member.s3.list_buckets()["Buckets"] == []
    with refused("AccessDenied", "service control policy"):
        root_of(central, member.account_id, "S3UnlockBucketPolicy").s3.list_buckets()


def test_root_tasks_are_limited_by_their_policys_arn_and_their_target(central: Organized) -> None:
    member, other = central.invited(), central.invited()
    auditor = central.root_user.new_user(
        "auditor",
        json.loads(
            document(
                {
                    **allow("sts:AssumeRoot"),
                    "Resource": f"arn:aws:iam::{member.account_id}:root",
                    "Condition": {"ArnEquals": {"sts:TaskPolicyArn": f"{TASKS}IAMAuditRootUserCredentials"}},
                }
            )
        ),
    )
    arn = f"arn:aws:iam::{member.account_id}:root"
    auditor.sts.assume_root(TargetPrincipal=arn, TaskPolicyArn=task("IAMAuditRootUserCredentials"))
    with refused("AccessDenied", "sts:AssumeRoot"):
        auditor.sts.assume_root(TargetPrincipal=arn, TaskPolicyArn=task("IAMDeleteRootUserCredentials"))
    with refused("AccessDenied", "sts:AssumeRoot"):
        auditor.sts.assume_root(TargetPrincipal=other.account_id, TaskPolicyArn=task("IAMAuditRootUserCredentials"))


def test_who_cannot_be_target_caller_or_task(central: Organized) -> None:
    member, sts = central.invited(), central.management.sts
    audit = task("IAMAuditRootUserCredentials")
    stranger = central.server.new_account("stranger")
    for account_id in (central.root_user.account_id, stranger.account_id, "999999999999"):
        with refused("AccessDenied", "not a member account"):
            sts.assume_root(TargetPrincipal=account_id, TaskPolicyArn=audit)
    for target in (f"arn:aws:iam::{member.account_id}:user/root", f"{member.account_id}:root", "x" * 12):
        with refused("ValidationError", "TargetPrincipal"):
            sts.assume_root(TargetPrincipal=target, TaskPolicyArn=audit)
    for arn in ("arn:aws:iam::aws:policy/AdministratorAccess", f"{TASKS}Other"):
        with refused("ValidationError", "TaskPolicyArn"):
            sts.assume_root(TargetPrincipal=member.account_id, TaskPolicyArn={"arn": arn})
    with refused("ValidationError"):
        sts.assume_root(TargetPrincipal=member.account_id, TaskPolicyArn=audit, DurationSeconds=901)
    with refused("AccessDenied", "users and roles"):
        central.root_user.sts.assume_root(TargetPrincipal=member.account_id, TaskPolicyArn=audit)
    admin = central.administrator(member)
    with refused("AccessDenied", "nor a delegated administrator"):
        admin.sts.assume_root(TargetPrincipal=central.root_user.account_id, TaskPolicyArn=audit)


def test_the_call_is_one_on_the_members_resources(central: Organized) -> None:
    member, other = central.invited(), central.invited()
    audit = task("IAMAuditRootUserCredentials")
    auditor = central.root_user.new_user(
        "auditor",
        json.loads(
            document(allow("sts:AssumeRoot", Condition={"StringEquals": {"aws:ResourceAccount": member.account_id}}))
        ),
    )
    auditor.sts.assume_root(TargetPrincipal=member.account_id, TaskPolicyArn=audit)
    with refused("AccessDenied", "no identity-based policy allows the sts:AssumeRoot action"):
        auditor.sts.assume_root(TargetPrincipal=other.account_id, TaskPolicyArn=audit)


def test_the_members_resource_control_policies_are_asked(central: Organized) -> None:
    central.enable(RCP)
    spared, limited = central.invited(), central.invited()
    central.attach(limited.account_id, {**deny("sts:AssumeRoot"), "Principal": "*"}, type=RCP)
    root_of(central, spared.account_id, "IAMAuditRootUserCredentials")
    with refused("AccessDenied", "resource control policy"):
        root_of(central, limited.account_id, "IAMAuditRootUserCredentials")


def test_the_members_root_user_loses_its_virtual_mfa_device_and_others_keep_theirs(central: Organized) -> None:
    member = central.invited()
    made = member.iam.create_virtual_mfa_device(VirtualMFADeviceName="root-account-mfa-device")["VirtualMFADevice"]
    other = member.iam.create_virtual_mfa_device(VirtualMFADeviceName="ada")["VirtualMFADevice"]["SerialNumber"]
    phone = Phone(central.server, made)
    member.iam.enable_mfa_device(UserName=member.account_id, SerialNumber=phone.serial, **phone.two())
    deleting = root_of(central, member.account_id, "IAMDeleteRootUserCredentials")
    (listed,) = deleting.iam.list_mfa_devices()["MFADevices"]
    assert listed["SerialNumber"] == phone.serial
    with refused("DeleteConflict"):
        deleting.iam.delete_virtual_mfa_device(SerialNumber=phone.serial)
    deleting.iam.deactivate_mfa_device(SerialNumber=phone.serial)
    with refused("AccessDenied", "explicit deny"):
        deleting.iam.delete_virtual_mfa_device(SerialNumber=other)
    auditing = root_of(central, member.account_id, "IAMAuditRootUserCredentials")
    with refused("AccessDenied", "explicit deny"):
        auditing.iam.delete_virtual_mfa_device(SerialNumber=phone.serial)
    deleting.iam.delete_virtual_mfa_device(SerialNumber=phone.serial)
    serials = [one["SerialNumber"] for one in member.iam.list_virtual_mfa_devices()["VirtualMFADevices"]]
    assert serials == [other]


def test_a_device_that_the_root_user_passed_on_is_out_of_the_tasks_reach(central: Organized) -> None:
    member = central.invited()
    made = member.iam.create_virtual_mfa_device(VirtualMFADeviceName="passed-on")["VirtualMFADevice"]
    phone = Phone(central.server, made)
    member.iam.enable_mfa_device(UserName=member.account_id, SerialNumber=phone.serial, **phone.two())
    member.iam.deactivate_mfa_device(SerialNumber=phone.serial)
    member.iam.create_user(UserName="ada")
    phone.wait()
    member.iam.enable_mfa_device(UserName="ada", SerialNumber=phone.serial, **phone.two())
    member.iam.deactivate_mfa_device(UserName="ada", SerialNumber=phone.serial)
    deleting = root_of(central, member.account_id, "IAMDeleteRootUserCredentials")
    with refused("AccessDenied", "explicit deny"):
        deleting.iam.delete_virtual_mfa_device(SerialNumber=phone.serial)


@pytest.mark.parametrize(
    ("feature", "name"),
    [("credentials_management", "IAMAuditRootUserCredentials"), ("sessions", "S3UnlockBucketPolicy")],
)
def test_each_task_needs_its_feature(central: Organized, feature: str, name: str) -> None:
    member = central.invited()
    root_of(central, member.account_id, name)
    getattr(central.management.iam, f"disable_organizations_root_{feature}")()
    with refused("AccessDenied", "is not enabled in the organization"):
        root_of(central, member.account_id, name)


def test_the_trail_tells_that_root_was_assumed(central: Organized) -> None:
    member = central.invited()
    audit = root_of(central, member.account_id, "IAMAuditRootUserCredentials")
    audit.iam.list_mfa_devices()
    admin = central.administrator(member)
    events = admin.cloudtrail.lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "ListMFADevices"}]
    )["Events"]
    identity = json.loads(events[0]["CloudTrailEvent"])["userIdentity"]
    assert (identity["type"], identity["principalId"]) == ("Root", member.account_id)
    assert identity["sessionContext"]["assumedRoot"] == "true"
    called = central.management.cloudtrail.lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "AssumeRoot"}]
    )["Events"]
    event = json.loads(called[0]["CloudTrailEvent"])
    assert event["requestParameters"]["targetPrincipal"] == member.account_id
    assert event["responseElements"]["credentials"]["secretAccessKey"] == "HIDDEN_DUE_TO_SECURITY_REASONS"
    told = admin.cloudtrail.lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "AssumeRoot"}]
    )["Events"]
    (copy,) = [json.loads(one["CloudTrailEvent"]) for one in told]
    assert copy["sharedEventID"] == event["sharedEventID"]
    assert (copy["recipientAccountId"], event["recipientAccountId"]) == (
        member.account_id,
        central.root_user.account_id,
    )
    assert copy["userIdentity"]["type"] == "AWSAccount"
    assert copy["userIdentity"]["accountId"] == central.root_user.account_id


def test_a_refused_attempt_is_in_the_callers_trail_alone(central: Organized) -> None:
    member = central.invited()
    auditor = central.root_user.new_user("auditor")
    with refused("AccessDenied"):
        auditor.sts.assume_root(TargetPrincipal=member.account_id, TaskPolicyArn=task("IAMAuditRootUserCredentials"))
    wanted = [{"AttributeKey": "EventName", "AttributeValue": "AssumeRoot"}]
    assert member.cloudtrail.lookup_events(LookupAttributes=wanted)["Events"] == []
    assert len(central.management.cloudtrail.lookup_events(LookupAttributes=wanted)["Events"]) == 1

"""Virtual MFA devices over the wire: seeds shown once, two codes to enable, drift, tags, limits, the root user's."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from typing import Any

import pytest
from authenticator import Phone, enabled
from botocore.exceptions import ClientError
from desk import allow

from freehold.services.iam import mfa_devices


@contextmanager
def fails(code: str, status: int = 0, text: str = ""):
    with pytest.raises(ClientError) as caught:
        yield
    response = caught.value.response
    assert response["Error"]["Code"] == code, response["Error"]
    assert text in response["Error"]["Message"], response["Error"]
    assert status in (0, response["ResponseMetadata"]["HTTPStatusCode"])


def created(server: Any, aws: Any, name: str = "phone", **more: Any) -> Phone:
    return Phone(server, aws.iam.create_virtual_mfa_device(VirtualMFADeviceName=name, **more)["VirtualMFADevice"])


def test_a_device_lives_from_creation_to_deletion(freehold_server: Any, aws: Any) -> None:
    iam = aws.iam
    iam.create_user(UserName="ada")
    phone = created(freehold_server, aws, Path="/phones/")
    assert phone.serial == f"arn:aws:iam::{aws.account_id}:mfa/phones/phone"
    with fails("EntityAlreadyExists", 409, "MFADevice entity at the same path and name already exists."):
        created(freehold_server, aws, "Phone", Path="/phones/")
    with fails("InvalidAuthenticationCode", 403, "Authentication code for device is not valid."):
        iam.enable_mfa_device(
            UserName="ada",
            SerialNumber=phone.serial,
            AuthenticationCode1=phone.code(),
            AuthenticationCode2=phone.wrong(),
        )
    assert iam.list_mfa_devices(UserName="ada")["MFADevices"] == []
    iam.enable_mfa_device(UserName="ada", SerialNumber=phone.serial, **phone.two())
    (listed,) = iam.list_mfa_devices(UserName="ada")["MFADevices"]
    assert (listed["UserName"], listed["SerialNumber"]) == ("ada", phone.serial)
    with fails("EntityAlreadyExists", 409, "already in use"):
        iam.enable_mfa_device(UserName="ada", SerialNumber=phone.serial, **phone.two())
    with fails("DeleteConflict", 409, "MFA VirtualDevice in use. Must deactivate first."):
        iam.delete_virtual_mfa_device(SerialNumber=phone.serial)
    with fails("DeleteConflict", 409, "must delete MFA device first"):
        iam.delete_user(UserName="ada")
    iam.deactivate_mfa_device(UserName="ada", SerialNumber=phone.serial)
    with fails("NoSuchEntity", 404, "MFA Device invalid for user."):
        iam.deactivate_mfa_device(UserName="ada", SerialNumber=phone.serial)
    iam.delete_virtual_mfa_device(SerialNumber=phone.serial)
    with fails("NoSuchEntity", 404, f"VirtualMFADevice with serial number {phone.serial} doesn't exist."):
        iam.delete_virtual_mfa_device(SerialNumber=phone.serial)
    iam.delete_user(UserName="ada")


def test_the_qr_code_shows_the_seed_to_an_authenticator_app(aws: Any) -> None:
    device = aws.iam.create_virtual_mfa_device(VirtualMFADeviceName="phone")["VirtualMFADevice"]
    seed = device["Base32StringSeed"].decode()
    assert len(base64.b32decode(seed)) == 40
    assert device["QRCodePNG"].startswith(b"\x89PNG\r\n\x1a\n")
    # The picture is that of this very text: a QR code of one text in one version is always the same.
    assert device["QRCodePNG"] == mfa_devices._qr_code(f"otpauth://totp/phone@{aws.account_id}?secret={seed}")
    assert device["QRCodePNG"] != mfa_devices._qr_code(f"otpauth://totp/phone@{aws.account_id}?secret={seed[:-1]}A2")


def test_the_seed_is_shown_at_birth_and_never_again(freehold_server: Any, aws: Any) -> None:
    created(freehold_server, aws)
    (listed,) = aws.iam.list_virtual_mfa_devices()["VirtualMFADevices"]
    assert listed.keys() == {"SerialNumber"}


def test_devices_are_listed_by_whether_someone_has_them(freehold_server: Any, aws: Any) -> None:
    aws.iam.create_user(UserName="ada")
    phone = enabled(freehold_server, aws, "ada", "used")
    spare = created(freehold_server, aws, "spare")

    def serials(**more: Any) -> list[str]:
        pages = aws.iam.get_paginator("list_virtual_mfa_devices").paginate(PaginationConfig={"PageSize": 1}, **more)
        return [device["SerialNumber"] for page in pages for device in page["VirtualMFADevices"]]

    assert serials() == serials(AssignmentStatus="Any") == [spare.serial, phone.serial]
    assert serials(AssignmentStatus="Unassigned") == [spare.serial]
    (assigned,) = aws.iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"]
    assert (assigned["SerialNumber"], assigned["User"]["UserName"]) == (phone.serial, "ada")
    summary = aws.iam.get_account_summary()["SummaryMap"]
    assert (summary["MFADevices"], summary["MFADevicesInUse"], summary["AccountMFAEnabled"]) == (2, 1, 0)


def test_a_device_that_is_off_by_minutes_is_enabled_and_drifts_on_until_resync(freehold_server: Any, aws: Any) -> None:
    ada = aws.new_user("ada")
    phone = enabled(freehold_server, aws, "ada", ahead_seconds=-900)
    ada.sts.get_session_token(SerialNumber=phone.serial, TokenCode=phone.code())
    phone.ahead_seconds = 1800
    phone.wait()
    with fails("AccessDenied"):
        ada.sts.get_session_token(SerialNumber=phone.serial, TokenCode=phone.code())
    with fails("InvalidAuthenticationCode"):
        aws.iam.resync_mfa_device(
            UserName="ada",
            SerialNumber=phone.serial,
            AuthenticationCode1=phone.wrong(),
            AuthenticationCode2=phone.code(),
        )
    aws.iam.resync_mfa_device(UserName="ada", SerialNumber=phone.serial, **phone.two())
    phone.wait()
    ada.sts.get_session_token(SerialNumber=phone.serial, TokenCode=phone.code())
    phone.ahead_seconds += 2 * 3600
    with fails("InvalidAuthenticationCode"):
        aws.iam.resync_mfa_device(UserName="ada", SerialNumber=phone.serial, **phone.two())


def test_a_user_has_eight_devices_at_most(freehold_server: Any, aws: Any) -> None:
    aws.iam.create_user(UserName="ada")
    for number in range(8):
        phone = created(freehold_server, aws, f"phone-{number}")
        aws.iam.enable_mfa_device(UserName="ada", SerialNumber=phone.serial, **phone.two())
    ninth = created(freehold_server, aws, "ninth")
    with fails("LimitExceeded", 409, "Cannot exceed quota for MFADevicesPerUser: 8"):
        aws.iam.enable_mfa_device(UserName="ada", SerialNumber=ninth.serial, **ninth.two())
    assert len(aws.iam.list_mfa_devices(UserName="ada", MaxItems=5)["MFADevices"]) == 5
    pages = aws.iam.get_paginator("list_mfa_devices").paginate(UserName="ada", PaginationConfig={"PageSize": 3})
    assert sum(len(page["MFADevices"]) for page in pages) == 8


def test_the_root_user_enables_a_device_by_the_account_id(freehold_server: Any, aws: Any) -> None:
    device = created(freehold_server, aws, "root-account-mfa-device")
    aws.iam.enable_mfa_device(UserName=aws.account_id, SerialNumber=device.serial, **device.two())
    assert aws.iam.get_account_summary()["SummaryMap"]["AccountMFAEnabled"] == 1
    (listed,) = aws.iam.list_mfa_devices()["MFADevices"]
    assert listed["SerialNumber"] == device.serial
    (shown,) = aws.iam.list_virtual_mfa_devices()["VirtualMFADevices"]
    assert shown["User"]["Arn"] == f"arn:aws:iam::{aws.account_id}:root"
    admin = aws.new_user("admin", {"Version": "2012-10-17", "Statement": allow("*")})
    for call in (admin.iam.deactivate_mfa_device,):
        with fails("NoSuchEntity", 404):
            call(UserName=aws.account_id, SerialNumber=device.serial)
        with fails("NoSuchEntity", 404):
            call(SerialNumber=device.serial)
    aws.iam.deactivate_mfa_device(SerialNumber=device.serial)
    assert aws.iam.get_account_summary()["SummaryMap"]["AccountMFAEnabled"] == 0


def test_a_device_has_tags_that_policies_see(freehold_server: Any, aws: Any) -> None:
    tags = [{"Key": "Team", "Value": "blue"}]
    device = aws.iam.create_virtual_mfa_device(VirtualMFADeviceName="phone", Tags=tags)["VirtualMFADevice"]
    assert device["Tags"] == tags
    serial = device["SerialNumber"]
    blue = {"StringEquals": {"aws:ResourceTag/Team": "blue"}}
    ada = aws.new_user("ada", {"Version": "2012-10-17", "Statement": allow("iam:*MFADevice*", Condition=blue)})
    assert ada.iam.list_mfa_device_tags(SerialNumber=serial)["Tags"] == tags
    ada.iam.tag_mfa_device(SerialNumber=serial, Tags=[{"Key": "team", "Value": "red"}])
    with fails("AccessDenied", 403):
        ada.iam.untag_mfa_device(SerialNumber=serial, TagKeys=["team"])
    aws.iam.untag_mfa_device(SerialNumber=serial, TagKeys=["team"])
    assert aws.iam.list_mfa_device_tags(SerialNumber=serial)["Tags"] == []
    with fails("ValidationError", 400):
        aws.iam.list_mfa_device_tags(SerialNumber="arn:aws:iam::123456789012:mfa/phone")


SELF_MANAGED = [
    # AWS's policy for users who manage their own device, in short
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_examples_iam_mfa-selfmanage.html
    allow("iam:ListVirtualMFADevices"),
    allow("iam:CreateVirtualMFADevice", resource="arn:aws:iam::*:mfa/*"),
    allow(
        *("iam:DeactivateMFADevice", "iam:EnableMFADevice", "iam:ListMFADevices", "iam:ResyncMFADevice"),
        resource="arn:aws:iam::*:user/${aws:username}",
    ),
]


def test_users_manage_their_own_device_by_awss_example_policy(freehold_server: Any, aws: Any) -> None:
    ada = aws.new_user("ada", {"Version": "2012-10-17", "Statement": SELF_MANAGED})
    aws.iam.create_user(UserName="bob")
    phone = enabled(freehold_server, ada, "ada")
    assert ada.iam.list_mfa_devices()["MFADevices"][0]["SerialNumber"] == phone.serial
    ada.iam.resync_mfa_device(UserName="ada", SerialNumber=phone.serial, **phone.two())
    spare = created(freehold_server, ada, "spare")
    with fails("AccessDenied", 403):
        ada.iam.enable_mfa_device(UserName="bob", SerialNumber=spare.serial, **spare.two())
    with fails("AccessDenied", 403):
        ada.iam.delete_virtual_mfa_device(SerialNumber=spare.serial)


def test_there_are_no_security_keys(freehold_server: Any, aws: Any) -> None:
    aws.iam.create_user(UserName="ada")
    key = f"arn:aws:iam::{aws.account_id}:u2f/user/ada/default-A2B3"
    with fails("NoSuchEntity", 404, "no FIDO security key"):
        aws.iam.get_mfa_device(UserName="ada", SerialNumber=key)
    with fails("NoSuchEntity", 404):
        aws.iam.deactivate_mfa_device(UserName="ada", SerialNumber=key)


def test_codes_are_used_up_by_enabling_and_stay_so_through_another_owner(freehold_server: Any, aws: Any) -> None:
    ada, bob = aws.new_user("ada"), aws.new_user("bob")
    phone = created(freehold_server, aws)
    two = phone.two()
    aws.iam.enable_mfa_device(UserName="ada", SerialNumber=phone.serial, **two)
    with fails("AccessDenied", 403, "invalid MFA one time pass code"):
        ada.sts.get_session_token(SerialNumber=phone.serial, TokenCode=two["AuthenticationCode2"])
    aws.iam.deactivate_mfa_device(UserName="ada", SerialNumber=phone.serial)
    with fails("InvalidAuthenticationCode", 403):
        aws.iam.enable_mfa_device(UserName="bob", SerialNumber=phone.serial, **two)
    phone.wait()
    aws.iam.enable_mfa_device(UserName="bob", SerialNumber=phone.serial, **phone.two())
    phone.wait()
    with fails("AccessDenied", 403):
        ada.sts.get_session_token(SerialNumber=phone.serial, TokenCode=phone.code())
    bob.sts.get_session_token(SerialNumber=phone.serial, TokenCode=phone.code())

"""Signing in to the console: passwords, MFA, expiry, the root user, device tokens, sign-out, what the trail tells."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import Any

import pytest
from authenticator import enabled
from botocore.exceptions import ClientError
from desk import allow, deny, policy, trust

from freehold.testing import server

PASSWORD = "Correct-Horse-1"
OTHER = "Battery-Staple-2"
INCORRECT = "Your authentication information is incorrect. Please try again."


@contextmanager
def fails(code: str, status: int = 0, text: str = ""):
    with pytest.raises(ClientError) as caught:
        yield
    response = caught.value.response
    assert response["Error"]["Code"] == code, response["Error"]
    assert text in response["Error"]["Message"], response["Error"]
    assert status in (0, response["ResponseMetadata"]["HTTPStatusCode"])


class Door:
    """The sign-in page of an account, as anyone may open it."""

    def __init__(self, aws: Any) -> None:
        self.aws = aws
        self.client = aws.client("freehold")

    def __call__(self, name: str | None = "ada", password: str = PASSWORD, **more: Any) -> dict[str, Any]:
        if name is not None:
            more["UserName"] = name
        answer: dict[str, Any] = self.client.sign_in(**{"Account": self.aws.account_id, "Password": password, **more})
        return answer

    def told(self, *names: str) -> list[dict[str, Any]]:
        """The trail's events of signing in, the first first."""
        of_sign_in = [{"AttributeKey": "EventSource", "AttributeValue": "signin.amazonaws.com"}]
        pages = self.aws.cloudtrail.get_paginator("lookup_events").paginate(LookupAttributes=of_sign_in)
        events = [json.loads(event["CloudTrailEvent"]) for page in pages for event in page["Events"]]
        return [event for event in reversed(events) if not names or event["eventName"] in names]


@pytest.fixture
def door(aws: Any) -> Door:
    aws.iam.create_user(UserName="ada")
    aws.iam.create_login_profile(UserName="ada", Password=PASSWORD)
    return Door(aws)


def allow_user(aws: Any, *statements: dict[str, Any]) -> None:
    aws.iam.put_user_policy(UserName="ada", PolicyName="p", PolicyDocument=policy(*statements))


def test_the_right_password_gives_a_session_of_that_user(aws: Any, door: Door) -> None:
    allow_user(aws, allow("iam:ListUsers", Condition={"Bool": {"aws:MultiFactorAuthPresent": "false"}}))
    answer = door()
    ada = aws.using(answer)
    assert answer["Arn"] == ada.sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{aws.account_id}:user/ada"
    assert answer["AccountId"] == aws.account_id
    assert ada.iam.list_users()["Users"]  # a console session may call IAM without MFA
    with fails("AccessDenied"):
        ada.iam.list_roles()
    with fails("AccessDenied", 403, "session credentials"):
        ada.sts.get_session_token()
    assert aws.iam.get_user(UserName="ada")["User"]["PasswordLastUsed"]
    (event,) = door.told()
    assert event["eventName"] == "ConsoleLogin"
    assert event["eventType"] == "AwsConsoleSignIn"
    assert event["userIdentity"]["userName"] == "ada"
    assert event["responseElements"] == {"ConsoleLogin": "Success"}
    assert event["additionalEventData"]["MFAUsed"] == "No"
    assert "errorMessage" not in event


def test_the_account_may_be_named_by_its_alias(aws: Any, door: Door) -> None:
    alias = f"acme-{aws.account_id}"
    with fails("SignInFailedException", 403, INCORRECT):
        door(Account=alias)
    aws.iam.create_account_alias(AccountAlias=alias)
    assert door(Account=alias)["AccountId"] == aws.account_id
    assert door(Account=alias.upper())["AccountId"] == aws.account_id


def test_what_is_wrong_is_not_told(freehold_server: Any, aws: Any, door: Door) -> None:
    aws.iam.create_user(UserName="without-password")
    answers = set()
    for name, password, account in (
        ("ada", "Wrong-Horse-1", aws.account_id),
        ("nobody", PASSWORD, aws.account_id),
        ("without-password", PASSWORD, aws.account_id),
        ("Ada", PASSWORD, aws.account_id),
        ("ada", PASSWORD, "999999999999"),
        ("ada", PASSWORD, "no-such-alias"),
        (None, PASSWORD, aws.account_id),
    ):
        with pytest.raises(ClientError) as caught:
            door(name, password, Account=account)
        response = caught.value.response
        answers.add((response["Error"]["Code"], response["Error"]["Message"], len(response["Error"])))
    assert answers == {("SignInFailedException", INCORRECT, 2)}
    told = [(event["userIdentity"].get("userName"), event["errorMessage"]) for event in door.told()]
    assert told == [
        ("ada", "Failed authentication"),
        ("HIDDEN_DUE_TO_SECURITY_REASONS", "No username found in supplied account"),
        ("without-password", "Failed authentication"),
        ("HIDDEN_DUE_TO_SECURITY_REASONS", "No username found in supplied account"),
        (None, "Failed authentication"),
    ]
    assert {event["responseElements"]["ConsoleLogin"] for event in door.told()} == {"Failure"}


def test_a_user_with_a_device_needs_a_code_which_only_the_password_brings_to_light(
    freehold_server: Any, aws: Any, door: Door
) -> None:
    allow_user(aws, allow("iam:ListUsers", Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}))
    phone = enabled(freehold_server, aws, "ada")
    with fails("SignInFailedException", 403, INCORRECT):
        door("ada", "Wrong-Horse-1")
    assert {key for key in door() if key != "ResponseMetadata"} == {"Challenge"}
    assert door()["Challenge"] == "MFA_REQUIRED"
    with fails("SignInFailedException", 403, INCORRECT):
        door(MfaCode=phone.wrong())
    with fails("SignInFailedException", 403, INCORRECT):
        door("ada", "Wrong-Horse-1", MfaCode=phone.code())
    code = phone.code()
    assert aws.using(door(MfaCode=code)).iam.list_users()["Users"]
    with fails("SignInFailedException", 403, INCORRECT):
        door(MfaCode=code)
    told = [
        (event["eventName"], event["responseElements"][event["eventName"]], event["additionalEventData"]["MFAUsed"])
        for event in door.told()
    ]
    assert told == [
        ("ConsoleLogin", "Failure", "No"),
        ("CheckMfa", "Success", "No"),
        ("CheckMfa", "Success", "No"),
        ("ConsoleLogin", "Failure", "Yes"),
        ("ConsoleLogin", "Failure", "No"),
        ("ConsoleLogin", "Success", "Yes"),
        ("ConsoleLogin", "Failure", "Yes"),
    ]
    assert door.told()[5]["additionalEventData"]["MFAIdentifier"] == phone.serial


def test_any_of_several_devices_will_do_unless_one_is_named(freehold_server: Any, aws: Any, door: Door) -> None:
    one, two = enabled(freehold_server, aws, "ada", "one"), enabled(freehold_server, aws, "ada", "two")
    door(MfaCode=two.code())
    with fails("SignInFailedException"):
        door(MfaCode=one.code(), MfaSerialNumber=two.serial)
    door(MfaCode=one.code(), MfaSerialNumber=one.serial)
    with fails("ValidationException", 400, "goes with an MfaCode"):
        door(MfaSerialNumber=one.serial)


def test_what_is_given_in_vain_is_refused(door: Door) -> None:
    with fails("ValidationException", 400, "no MFA device"):
        door(MfaCode="123456")
    with fails("ValidationException", 400, "only for a password that has to be changed"):
        door(NewPassword=OTHER)
    assert door()["Credentials"]


def test_a_password_that_must_be_changed_is_changed_at_sign_in(freehold_server: Any, aws: Any, door: Door) -> None:
    phone = enabled(freehold_server, aws, "ada")
    aws.iam.update_login_profile(UserName="ada", PasswordResetRequired=True)
    assert door()["Challenge"] == "MFA_REQUIRED"
    code = phone.code()
    assert door(MfaCode=code)["Challenge"] == "NEW_PASSWORD_REQUIRED"
    with fails("AccessDeniedException", 400, "iam:ChangePassword"):
        door(MfaCode=code, NewPassword=OTHER)
    allow_user(aws, allow("iam:ChangePassword"))
    with fails("PasswordPolicyViolationException", 400, "minimum length"):
        door(MfaCode=code, NewPassword="x")
    assert door(MfaCode=code, NewPassword=OTHER)["Credentials"]  # the code was not used up before
    with fails("SignInFailedException"):
        door()
    phone.wait()
    assert door("ada", OTHER, MfaCode=phone.code())["Credentials"]
    assert [event["eventName"] for event in door.told("PasswordUpdated")] == ["PasswordUpdated"]


def test_a_password_expires_and_with_hard_expiry_for_good(freehold_server: Any, aws: Any, door: Door) -> None:
    aws.iam.update_account_password_policy(
        MaxPasswordAge=30, AllowUsersToChangePassword=True, PasswordReusePrevention=3, MinimumPasswordLength=8
    )
    assert door()["Credentials"]
    freehold_server.advance(days=31)
    assert door()["Challenge"] == "NEW_PASSWORD_REQUIRED"
    with fails("PasswordPolicyViolationException", 400, "reuse prevention"):
        door(NewPassword=PASSWORD)
    assert door(NewPassword=OTHER)["Credentials"]
    aws.iam.update_account_password_policy(MaxPasswordAge=30, AllowUsersToChangePassword=True, HardExpiry=True)
    freehold_server.advance(days=31)
    with fails("PasswordExpiredException", 403, "An administrator has to set a new one."):
        door("ada", OTHER, NewPassword=PASSWORD)
    aws.iam.update_login_profile(UserName="ada", Password="Third-Horse-3")
    assert door("ada", "Third-Horse-3")["Credentials"]


def test_a_deny_keeps_even_the_password_policy_s_own_permission_away(aws: Any, door: Door) -> None:
    aws.iam.update_account_password_policy(AllowUsersToChangePassword=True)
    aws.iam.update_login_profile(UserName="ada", PasswordResetRequired=True)
    allow_user(aws, deny("iam:ChangePassword"))
    with fails("AccessDeniedException", 400, "explicit deny"):
        door(NewPassword=OTHER)


def test_the_root_user_signs_in_without_a_user_name(freehold_server: Any, aws: Any, door: Door) -> None:
    aws.iam.create_login_profile(Password=PASSWORD)
    root = aws.using(door(None))
    assert root.sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{aws.account_id}:root"
    assert root.iam.get_user()["User"]["PasswordLastUsed"]
    phone = enabled(freehold_server, aws, aws.account_id, "root-account-mfa-device")
    assert door(None)["Challenge"] == "MFA_REQUIRED"
    assert door(None, MfaCode=phone.code())["Credentials"]
    assert [event["userIdentity"]["type"] for event in door.told()] == ["Root"] * 3
    aws.iam.delete_login_profile()
    with fails("SignInFailedException"):
        door(None)


def test_a_session_ends_with_sign_out_in_every_worker() -> None:
    with server(workers=2) as running:
        aws = running.new_account()
        aws.iam.create_user(UserName="ada")
        aws.iam.create_login_profile(UserName="ada", Password=PASSWORD)
        door = Door(aws)
        one, other = aws.using(door()), aws.using(door())
        for _ in range(8):  # fresh connections: both workers know both sessions
            assert aws.using(credentials(one)).sts.get_caller_identity()
        one.freehold.sign_out()
        for _ in range(8):
            with fails("ExpiredToken"):
                aws.using(credentials(one)).sts.get_caller_identity()
        assert other.sts.get_caller_identity()
        with fails("ValidationException", 400, "Only a console session"):
            aws.freehold.sign_out()


def credentials(principal: Any) -> dict[str, str]:
    return {
        "AccessKeyId": principal.access_key_id,
        "SecretAccessKey": principal.secret_access_key,
        "SessionToken": principal.session_token,
    }


def test_a_session_ends_after_twelve_hours_and_with_its_user(freehold_server: Any, aws: Any, door: Door) -> None:
    ada = aws.using(door())
    freehold_server.advance(hours=11)
    ada.sts.get_caller_identity()
    later = aws.using(door())
    freehold_server.advance(hours=2)
    with fails("ExpiredToken"):
        ada.sts.get_caller_identity()
    aws.iam.delete_login_profile(UserName="ada")
    later.sts.get_caller_identity()
    aws.iam.delete_user(UserName="ada")
    with fails("InvalidClientTokenId"):
        later.sts.get_caller_identity()


def test_the_trail_tells_that_a_call_came_from_the_console(aws: Any, door: Door) -> None:
    allow_user(aws, allow("iam:ListUsers"))
    aws.using(door()).iam.list_users()
    aws.iam.list_users()
    by_name = [{"AttributeKey": "EventName", "AttributeValue": "ListUsers"}]
    events = [
        json.loads(event["CloudTrailEvent"])
        for event in aws.cloudtrail.lookup_events(LookupAttributes=by_name)["Events"]
    ]
    assert [event.get("sessionCredentialFromConsole") for event in reversed(events)] == ["true", None]


# From a session of a role


@pytest.fixture
def role(aws: Any) -> Any:
    """Makes sessions of a role that ada may assume."""
    ada = aws.new_user("broker", json.loads(policy(allow("sts:*"))))
    arn = aws.iam.create_role(RoleName="app", AssumeRolePolicyDocument=trust(aws.account_id), MaxSessionDuration=7200)[
        "Role"
    ]["Arn"]
    aws.iam.put_role_policy(RoleName="app", PolicyName="p", PolicyDocument=policy(allow("iam:ListUsers", "sts:*")))
    return lambda: ada.using(ada.sts.assume_role(RoleArn=arn, RoleSessionName="ada"))


def test_a_role_s_session_becomes_a_console_session_once(freehold_server: Any, aws: Any, role: Any) -> None:
    session = role()
    token = session.freehold.get_signin_token(SessionDuration=7200)["SigninToken"]
    door = Door(aws)
    answer = door.client.sign_in_with_token(SigninToken=token)
    assert answer["Arn"] == f"arn:aws:sts::{aws.account_id}:assumed-role/app/ada"
    console = aws.using(answer)
    assert console.sts.get_caller_identity()["Arn"] == answer["Arn"]
    assert console.iam.list_users()["Users"]
    with fails("SignInFailedException", 403, INCORRECT):
        door.client.sign_in_with_token(SigninToken=token)
    with fails("ValidationException", 400):
        console.freehold.get_signin_token()  # a console session makes no further ones
    freehold_server.advance(seconds=3700)
    with fails("ExpiredToken"):
        session.sts.get_caller_identity()
    console.sts.get_caller_identity()
    console.freehold.sign_out()
    with fails("ExpiredToken"):
        console.sts.get_caller_identity()
    told = [(event["eventName"], event["userIdentity"]["type"]) for event in door.told()]
    assert told == [("GetSigninToken", "AssumedRole"), ("ConsoleLogin", "AssumedRole")]


def test_a_signin_token_is_good_for_a_quarter_of_an_hour(freehold_server: Any, aws: Any, role: Any) -> None:
    token = role().freehold.get_signin_token()["SigninToken"]
    freehold_server.advance(seconds=901)
    with fails("SignInFailedException"):
        Door(aws).client.sign_in_with_token(SigninToken=token)


def test_who_may_not_have_a_signin_token(aws: Any, role: Any) -> None:
    ada = aws.new_user("ada", json.loads(policy(allow("*"))))
    for other in (aws, ada, ada.using(ada.sts.get_session_token())):
        with fails("ValidationException", 400, "Only credentials of AssumeRole"):
            other.freehold.get_signin_token()
    session = role()
    with fails("ValidationException", 400, "exceeds the MaxSessionDuration"):
        session.freehold.get_signin_token(SessionDuration=7201)
    chained_arn = aws.iam.create_role(RoleName="next", AssumeRolePolicyDocument=trust(aws.account_id))["Role"]["Arn"]
    chained = session.using(session.sts.assume_role(RoleArn=chained_arn, RoleSessionName="ada"))
    with fails("ValidationException", 400, "role chaining"):
        chained.freehold.get_signin_token(SessionDuration=900)
    assert chained.freehold.get_signin_token()["SigninToken"]


def test_a_federated_user_s_console_session_may_call_iam_within_its_policy(aws: Any) -> None:
    ada = aws.new_user("ada", json.loads(policy(allow("*"))))
    passed = policy(allow("iam:ListUsers"))
    federated = ada.using(ada.sts.get_federation_token(Name="guest", Policy=passed))
    with fails("InvalidClientTokenId"):
        federated.iam.list_users()
    token = federated.freehold.get_signin_token()["SigninToken"]
    console = aws.using(aws.client("freehold").sign_in_with_token(SigninToken=token))
    assert console.iam.list_users()["Users"]
    with fails("AccessDenied"):
        console.iam.list_roles()


def test_revoking_a_role_s_sessions_ends_its_console_sessions_too(aws: Any, role: Any) -> None:
    token = role().freehold.get_signin_token()["SigninToken"]
    console = aws.using(aws.client("freehold").sign_in_with_token(SigninToken=token))
    aws.iam.delete_role_policy(RoleName="app", PolicyName="p")
    with fails("AccessDenied"):
        console.iam.list_users()
    aws.iam.delete_role(RoleName="app")
    with fails("InvalidClientTokenId"):
        console.sts.get_caller_identity()

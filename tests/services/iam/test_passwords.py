"""Login profiles and the account's password policy, over the wire."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError
from desk import allow, deny, policy

PASSWORD = "Correct-Horse-1"


@contextmanager
def fails(code: str, status: int = 0, text: str = ""):
    with pytest.raises(ClientError) as caught:
        yield
    response = caught.value.response
    assert response["Error"]["Code"] == code, response["Error"]
    assert text in response["Error"]["Message"], response["Error"]
    assert status in (0, response["ResponseMetadata"]["HTTPStatusCode"])


@pytest.fixture
def ada(aws: Any) -> Any:
    """A user with a password who may change it."""
    user = aws.new_user("ada", {"Version": "2012-10-17", "Statement": allow("iam:ChangePassword")})
    aws.iam.create_login_profile(UserName="ada", Password=PASSWORD)
    return user


def test_a_login_profile_lives_from_creation_to_deletion(aws: Any) -> None:
    iam = aws.iam
    iam.create_user(UserName="ada")
    with fails("NoSuchEntity", 404, "Login Profile for User ada cannot be found."):
        iam.get_login_profile(UserName="ada")
    made = iam.create_login_profile(UserName="ada", Password=PASSWORD, PasswordResetRequired=True)["LoginProfile"]
    assert made["UserName"] == "ada"
    assert made["PasswordResetRequired"] is True
    assert iam.get_login_profile(UserName="ada")["LoginProfile"] == made
    with fails("EntityAlreadyExists", 409, "Login Profile for user ada already exists."):
        iam.create_login_profile(UserName="ada", Password=PASSWORD)
    iam.update_login_profile(UserName="ada", PasswordResetRequired=False)
    assert iam.get_login_profile(UserName="ada")["LoginProfile"]["PasswordResetRequired"] is False
    with fails("DeleteConflict", 409, "must delete login profile first"):
        iam.delete_user(UserName="ada")
    iam.delete_login_profile(UserName="ada")
    with fails("NoSuchEntity", 404):
        iam.delete_login_profile(UserName="ada")
    with fails("NoSuchEntity", 404):
        iam.update_login_profile(UserName="ada", Password=PASSWORD)
    iam.delete_user(UserName="ada")
    with fails("NoSuchEntity", 404):
        iam.create_login_profile(UserName="ada", Password=PASSWORD)
    with fails("ValidationError", 400, "Password is required"):
        iam.create_login_profile()


def test_a_renamed_user_keeps_the_password_and_a_namesake_gets_none(aws: Any, ada: Any) -> None:
    aws.iam.update_user(UserName="ada", NewUserName="eva")
    assert aws.iam.get_login_profile(UserName="eva")["LoginProfile"]["UserName"] == "eva"
    aws.iam.create_user(UserName="ada")
    with fails("NoSuchEntity"):
        aws.iam.get_login_profile(UserName="ada")


def test_the_root_users_password_is_made_without_a_user_name(aws: Any) -> None:
    assert aws.iam.get_account_summary()["SummaryMap"]["AccountPasswordPresent"] == 0
    aws.iam.create_login_profile(Password=PASSWORD)
    assert aws.iam.get_account_summary()["SummaryMap"]["AccountPasswordPresent"] == 1
    assert aws.iam.get_login_profile()["LoginProfile"]["PasswordResetRequired"] is False
    aws.iam.delete_login_profile()
    assert aws.iam.get_account_summary()["SummaryMap"]["AccountPasswordPresent"] == 0


def test_an_administrator_who_is_a_user_gets_their_own_profile_not_roots(aws: Any) -> None:
    admin = aws.new_user("admin", {"Version": "2012-10-17", "Statement": allow("*")})
    admin.iam.create_login_profile(Password=PASSWORD)
    assert admin.iam.get_login_profile()["LoginProfile"]["UserName"] == "admin"
    assert aws.iam.get_account_summary()["SummaryMap"]["AccountPasswordPresent"] == 0


DEFAULT = [
    # password, what is said of it (None: it is taken)
    ("Short-1", "Password should have a minimum length of 8"),
    (
        "longenough",
        "Password should meet 2 more of the following requirements: Password should have at least one upper",
    ),
    ("longenough1", "Password should meet 1 more of the following requirements"),
    ("Longenough1", None),
    ("longenough-1", None),
    ("LONGENOUGH~1", "Password should meet 1 more"),  # a tilde is none of the symbols
    ("  With Spaces 1 ", None),
    ("p" * 120 + "A1-", None),
]


@pytest.mark.parametrize(("password", "said"), DEFAULT)
def test_the_default_policy_wants_eight_characters_of_three_kinds(aws: Any, password: str, said: str | None) -> None:
    aws.iam.create_user(UserName="ada")
    if said is None:
        aws.iam.create_login_profile(UserName="ada", Password=password)
    else:
        with fails("PasswordPolicyViolation", 400, said):
            aws.iam.create_login_profile(UserName="ada", Password=password)


def test_the_account_s_name_is_no_password(aws: Any) -> None:
    alias = f"Alias-{aws.account_id}".lower()
    aws.iam.create_account_alias(AccountAlias=alias)
    aws.iam.create_user(UserName="ada")
    with fails("PasswordPolicyViolation", 400, "name of the account"):
        aws.iam.create_login_profile(UserName="ada", Password=alias)


RULES = [
    ({"MinimumPasswordLength": 20}, "Correct-Horse-1", "minimum length of 20"),
    ({"RequireSymbols": True}, "Correcthorse1", "Password should have at least one symbol"),
    ({"RequireNumbers": True}, "Correct-horse", "Password should have at least one number"),
    ({"RequireUppercaseCharacters": True}, "correct-horse1", "Password should have at least one uppercase letter"),
    ({"RequireLowercaseCharacters": True}, "CORRECT-HORSE1", "Password should have at least one lowercase letter"),
    ({"MinimumPasswordLength": 6}, "simple", None),
    ({}, "simple", None),
]


@pytest.mark.parametrize(("rules", "password", "said"), RULES)
def test_an_account_s_own_policy_counts_instead(aws: Any, rules: Any, password: str, said: str | None) -> None:
    aws.iam.update_account_password_policy(**rules)
    aws.iam.create_user(UserName="ada")
    if said is None:
        aws.iam.create_login_profile(UserName="ada", Password=password)
        return
    with fails("PasswordPolicyViolation", 400, said):
        aws.iam.create_login_profile(UserName="ada", Password=password)


def test_a_password_policy_lives_from_update_to_deletion(aws: Any) -> None:
    iam = aws.iam
    with fails("NoSuchEntity", 404, f"The Password Policy with domain name {aws.account_id} cannot be found."):
        iam.get_account_password_policy()
    with fails("NoSuchEntity", 404):
        iam.delete_account_password_policy()
    iam.update_account_password_policy(MinimumPasswordLength=14, MaxPasswordAge=90, HardExpiry=False)
    assert iam.get_account_password_policy()["PasswordPolicy"] == {
        "MinimumPasswordLength": 14,
        "RequireSymbols": False,
        "RequireNumbers": False,
        "RequireUppercaseCharacters": False,
        "RequireLowercaseCharacters": False,
        "AllowUsersToChangePassword": False,
        "ExpirePasswords": True,
        "MaxPasswordAge": 90,
        "HardExpiry": False,
    }
    iam.update_account_password_policy(PasswordReusePrevention=24)  # what is left out goes back to its default
    shown = iam.get_account_password_policy()["PasswordPolicy"]
    assert (shown["MinimumPasswordLength"], shown["ExpirePasswords"], shown["PasswordReusePrevention"]) == (
        6,
        False,
        24,
    )
    assert "MaxPasswordAge" not in shown
    iam.delete_account_password_policy()
    with fails("NoSuchEntity"):
        iam.get_account_password_policy()


def test_former_passwords_are_not_taken_again(aws: Any, ada: Any) -> None:
    aws.iam.update_account_password_policy(PasswordReusePrevention=2)
    change = ada.iam.change_password
    for again in (PASSWORD,):
        with fails("PasswordPolicyViolation", 400, "reuse prevention"):
            change(OldPassword=PASSWORD, NewPassword=again)
    change(OldPassword=PASSWORD, NewPassword="Second-Horse-2")
    with fails("PasswordPolicyViolation"):
        change(OldPassword="Second-Horse-2", NewPassword=PASSWORD)
    with fails("PasswordPolicyViolation"):
        aws.iam.update_login_profile(UserName="ada", Password=PASSWORD)
    change(OldPassword="Second-Horse-2", NewPassword="Third-Horse-3")
    change(OldPassword="Third-Horse-3", NewPassword=PASSWORD)  # two others were in between


def test_users_change_their_own_password_where_they_may(aws: Any, ada: Any) -> None:
    aws.iam.update_login_profile(UserName="ada", PasswordResetRequired=True)
    ada.iam.change_password(OldPassword=PASSWORD, NewPassword="Second-Horse-2")
    assert aws.iam.get_login_profile(UserName="ada")["LoginProfile"]["PasswordResetRequired"] is False
    with fails("AccessDenied", 403, "The old password was incorrect."):
        ada.iam.change_password(OldPassword=PASSWORD, NewPassword="Third-Horse-3")
    with fails("InvalidUserType", 400, "Only IAM Users can change their own password."):
        aws.iam.change_password(OldPassword=PASSWORD, NewPassword="Third-Horse-3")
    bob = aws.new_user("bob", {"Version": "2012-10-17", "Statement": allow("iam:ChangePassword")})
    with fails("NoSuchEntity", 404):
        bob.iam.change_password(OldPassword=PASSWORD, NewPassword="Third-Horse-3")


def test_the_password_policy_can_let_all_users_change_theirs_but_not_against_a_deny(aws: Any) -> None:
    bob, eve = aws.new_user("bob"), aws.new_user("eve", {"Version": "2012-10-17", "Statement": deny("iam:*")})
    for name in ("bob", "eve"):
        aws.iam.create_login_profile(UserName=name, Password=PASSWORD)
    with fails("AccessDenied", 403, "not authorized to perform: iam:ChangePassword"):
        bob.iam.change_password(OldPassword=PASSWORD, NewPassword="Second-Horse-2")
    aws.iam.update_account_password_policy(AllowUsersToChangePassword=True)
    bob.iam.change_password(OldPassword=PASSWORD, NewPassword="Second-Horse-2")
    assert bob.iam.get_account_password_policy()["PasswordPolicy"]["AllowUsersToChangePassword"] is True
    with fails("AccessDenied", 403, "explicit deny"):
        eve.iam.change_password(OldPassword=PASSWORD, NewPassword="Second-Horse-2")
    with fails("AccessDenied", 403):
        bob.iam.update_login_profile(UserName="bob", Password="Third-Horse-3")


def test_guessing_the_old_password_with_a_stolen_key_is_slowed(freehold_server: Any, aws: Any, ada: Any) -> None:
    for _ in range(5):
        with fails("AccessDenied"):
            ada.iam.change_password(OldPassword="wrong", NewPassword="Second-Horse-2")
    with fails("Throttling", 400, "Try again in 1 seconds"):
        ada.iam.change_password(OldPassword=PASSWORD, NewPassword="Second-Horse-2")
    freehold_server.advance(seconds=2)
    ada.iam.change_password(OldPassword=PASSWORD, NewPassword="Second-Horse-2")


def test_a_permission_on_one_user_is_none_on_another(aws: Any, ada: Any) -> None:
    own = f"arn:aws:iam::{aws.account_id}:user/ada"
    aws.iam.put_user_policy(
        UserName="ada", PolicyName="own", PolicyDocument=policy(allow("iam:*LoginProfile", resource=own))
    )
    aws.iam.create_user(UserName="bob")
    for call in (ada.iam.create_login_profile, ada.iam.update_login_profile):
        with fails("AccessDenied", 403):
            call(UserName="bob", Password=PASSWORD)
    for call in (ada.iam.get_login_profile, ada.iam.delete_login_profile):
        with fails("AccessDenied", 403):
            call(UserName="bob")
    ada.iam.delete_login_profile()

"""MFA in STS: GetSessionToken and AssumeRole with codes that count once, and what policies and the trail see of it."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from authenticator import Phone, enabled
from botocore.exceptions import ClientError
from desk import allow, policy, trust

from freehold.testing import server

WITH_MFA = {"Bool": {"aws:MultiFactorAuthPresent": "true"}}


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
    return aws.new_user("ada", json.loads(policy(allow("iam:ListUsers", Condition=WITH_MFA), allow("sts:AssumeRole"))))


@pytest.fixture
def phone(freehold_server: Any, aws: Any, ada: Any) -> Phone:
    return enabled(freehold_server, aws, "ada")


def test_a_session_with_mfa_may_what_asks_for_mfa(ada: Any, phone: Phone) -> None:
    with fails("AccessDenied"):
        ada.iam.list_users()
    with fails("InvalidClientTokenId"):
        ada.using(ada.sts.get_session_token()).iam.list_users()
    session = ada.using(ada.sts.get_session_token(SerialNumber=phone.serial, TokenCode=phone.code()))
    assert session.iam.list_users()["Users"]


def test_the_age_of_mfa_grows_with_the_session(freehold_server: Any, aws: Any, ada: Any, phone: Phone) -> None:
    young = {"NumericLessThan": {"aws:MultiFactorAuthAge": "600"}}
    aws.iam.put_user_policy(
        UserName="ada", PolicyName="policy-0", PolicyDocument=policy(allow("iam:*", Condition=young))
    )
    session = ada.using(ada.sts.get_session_token(SerialNumber=phone.serial, TokenCode=phone.code()))
    session.iam.list_users()
    freehold_server.advance(seconds=601)
    with fails("AccessDenied"):
        session.iam.list_users()


def test_a_code_counts_once(ada: Any, phone: Phone) -> None:
    code, later = phone.code(), phone.code(1)
    ada.sts.get_session_token(SerialNumber=phone.serial, TokenCode=later)
    for used in (later, code):  # an earlier one doesn't count after a later one
        with fails("AccessDenied", 403, "MultiFactorAuthentication failed with invalid MFA one time pass code."):
            ada.sts.get_session_token(SerialNumber=phone.serial, TokenCode=used)


def test_of_many_who_use_one_code_at_once_one_gets_in() -> None:
    with server(workers=2) as running:
        aws = running.new_account()
        ada = aws.new_user("ada")
        phone = enabled(running, aws, "ada")
        code = phone.code()

        def attempt(number: int) -> str:
            try:
                ada.using(
                    {"AccessKeyId": ada.access_key_id, "SecretAccessKey": ada.secret_access_key}
                ).sts.get_session_token(SerialNumber=phone.serial, TokenCode=code)
            except ClientError as error:
                return str(error.response["Error"]["Code"])
            return "in"

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(attempt, range(16)))
        assert outcomes.count("in") == 1, outcomes
        assert set(outcomes) <= {"in", "AccessDenied", "Throttling"}
        assert running.log() == ""


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"TokenCode": "123456"}, "must provide both MFA serial number and one time pass code"),
        ({"SerialNumber": "arn:aws:iam::123456789012:mfa/ada"}, "must provide both"),
        ({"SerialNumber": "arn:aws:iam::123456789012:mfa/ada", "TokenCode": "123456"}, "unable to validate MFA code"),
        ({"SerialNumber": "GAHT12345678", "TokenCode": "123456"}, "unable to validate MFA code"),
    ],
)
def test_half_of_it_or_another_device_is_refused(ada: Any, given: Any, said: str) -> None:
    with fails("AccessDenied", 403, said):
        ada.sts.get_session_token(**given)


def test_another_user_s_device_is_nobody_s(aws: Any, phone: Phone) -> None:
    eve = aws.new_user("eve")
    with fails("AccessDenied", 403, "unable to validate MFA code"):
        eve.sts.get_session_token(SerialNumber=phone.serial, TokenCode=phone.code())
    with fails("AccessDenied", 403, "unable to validate MFA code"):
        aws.sts.get_session_token(SerialNumber=phone.serial, TokenCode=phone.code())


def test_a_trust_policy_that_asks_for_mfa_lets_in_who_gives_a_code(aws: Any, ada: Any, phone: Phone) -> None:
    arn = aws.iam.create_role(RoleName="careful", AssumeRolePolicyDocument=trust(aws.account_id, Condition=WITH_MFA))[
        "Role"
    ]["Arn"]
    aws.iam.put_role_policy(
        RoleName="careful", PolicyName="p", PolicyDocument=policy(allow("iam:*", Condition=WITH_MFA))
    )
    role = {"RoleArn": arn, "RoleSessionName": "ada"}
    with fails("AccessDenied", 403, "sts:AssumeRole"):
        ada.sts.assume_role(**role)
    with fails("AccessDenied", 403, "invalid MFA one time pass code"):
        ada.sts.assume_role(**role, SerialNumber=phone.serial, TokenCode=phone.wrong())
    session = ada.using(ada.sts.assume_role(**role, SerialNumber=phone.serial, TokenCode=phone.code()))
    # The role's own session is none with MFA, as AWS documents; the trail tells of it all the same.
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_mfa_configure-api-require.html
    with fails("AccessDenied", 403, "iam:ListUsers"):
        session.iam.list_users()
    by_name = [{"AttributeKey": "EventName", "AttributeValue": "ListUsers"}]
    (event,) = aws.cloudtrail.lookup_events(LookupAttributes=by_name)["Events"]
    told = json.loads(event["CloudTrailEvent"])["userIdentity"]["sessionContext"]["attributes"]
    assert told["mfaAuthenticated"] == "true"
    phone.wait()
    first = ada.using(ada.sts.get_session_token(SerialNumber=phone.serial, TokenCode=phone.code()))
    first.sts.assume_role(**role)
    other = aws.iam.create_role(RoleName="next", AssumeRolePolicyDocument=trust(aws.account_id))["Role"]["Arn"]
    with fails("AccessDenied"):
        session.sts.assume_role(
            RoleArn=other, RoleSessionName="ada", SerialNumber=phone.serial, TokenCode=phone.code(1)
        )


def test_a_refused_role_uses_up_no_code(aws: Any, ada: Any, phone: Phone) -> None:
    code = phone.code()
    with fails("AccessDenied", 403, "not authorized to perform: sts:AssumeRole"):
        ada.sts.assume_role(
            RoleArn=f"arn:aws:iam::{aws.account_id}:role/none",
            RoleSessionName="ada",
            SerialNumber=phone.serial,
            TokenCode=code,
        )
    ada.sts.get_session_token(SerialNumber=phone.serial, TokenCode=code)


def test_guessing_codes_with_one_key_is_slowed_and_other_keys_are_not(
    freehold_server: Any, aws: Any, ada: Any, phone: Phone
) -> None:
    other = aws.using(aws.iam.create_access_key(UserName="ada"))
    freehold_server.advance(seconds=3600)
    for seconds in (0, 0, 0, 0, 0, 1, 2, 4, 8):
        freehold_server.advance(seconds=seconds)
        with fails("AccessDenied"):
            ada.sts.get_session_token(SerialNumber=phone.serial, TokenCode=phone.wrong())
    with fails("Throttling", 400, "too many wrong codes. Try again in 1"):
        ada.sts.get_session_token(SerialNumber=phone.serial, TokenCode=phone.code())
    other.sts.get_session_token(SerialNumber=phone.serial, TokenCode=phone.code())
    freehold_server.advance(seconds=60)
    ada.sts.get_session_token(SerialNumber=phone.serial, TokenCode=phone.code())


def test_new_sessions_and_new_keys_don_t_multiply_the_free_guesses(
    freehold_server: Any, ada: Any, phone: Phone, aws: Any
) -> None:
    """Who holds a key of a user that may make its own keys makes a new one for every few guesses."""
    arn = aws.iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust(aws.account_id))["Role"]["Arn"]
    codes = []
    for turn, seconds in enumerate((0, 0, 0, 0, 0, 1, 2, 4, 8, 0, 0, 0)):
        freehold_server.advance(seconds=seconds)
        session = ada.using(ada.sts.get_session_token())
        if turn % 2:
            session = aws.using(aws.iam.create_access_key(UserName="ada"))
        with pytest.raises(ClientError) as caught:
            session.sts.assume_role(
                RoleArn=arn, RoleSessionName="ada", SerialNumber=phone.serial, TokenCode=phone.wrong()
            )
        codes.append(caught.value.response["Error"]["Code"])
        if turn % 2:
            aws.iam.delete_access_key(UserName="ada", AccessKeyId=session.access_key_id)
    assert codes == ["AccessDenied"] * 9 + ["Throttling"] * 3


def test_the_root_user_s_device_counts_for_the_root_user(freehold_server: Any, aws: Any) -> None:
    phone = enabled(freehold_server, aws, aws.account_id, "root-account-mfa-device")
    session = aws.using(aws.sts.get_session_token(SerialNumber=phone.serial, TokenCode=phone.code()))
    assert session.iam.list_users()["Users"] == []


@pytest.mark.parametrize("least", [0, 1, 1000, 4096])
def test_a_token_is_as_long_as_is_asked_for(aws: Any, least: int) -> None:
    made = aws.sts.get_session_token(MinimumSessionTokenSize=least)
    assert least <= len(made["Credentials"]["SessionToken"]) <= max(least + 100, 900)
    assert aws.using(made).sts.get_caller_identity()["Account"] == aws.account_id


def test_wrong_codes_are_in_the_trail_without_the_code(aws: Any, ada: Any, phone: Phone) -> None:
    wrong = phone.wrong()
    with fails("AccessDenied"):
        ada.sts.get_session_token(SerialNumber=phone.serial, TokenCode=wrong)
    events = aws.cloudtrail.lookup_events(
        LookupAttributes=[{"AttributeKey": "EventName", "AttributeValue": "GetSessionToken"}]
    )["Events"]
    told = [json.loads(event["CloudTrailEvent"]) for event in events]
    assert [event["errorCode"] for event in told] == ["AccessDenied"]
    assert told[0]["requestParameters"] == {
        "serialNumber": phone.serial,
        "tokenCode": "HIDDEN_DUE_TO_SECURITY_REASONS",
    }

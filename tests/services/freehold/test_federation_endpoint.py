"""The federation endpoint as identity brokers call it: tokens, links, refusals, and what the trail sees."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import urllib3
from desk import allow, policy, trust

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FAILED = (403, "SignInFailedException")


class Broker:
    """A company's own sign-in page: `session` is what it has of STS for its user."""

    def __init__(self, aws: Any) -> None:
        self.aws = aws
        self.http = urllib3.PoolManager()
        user = aws.new_user("broker", json.loads(policy(allow("sts:*"))))
        arn = aws.iam.create_role(
            RoleName="app", AssumeRolePolicyDocument=trust(aws.account_id), MaxSessionDuration=7200
        )["Role"]["Arn"]
        aws.iam.put_role_policy(RoleName="app", PolicyName="p", PolicyDocument=policy(allow("iam:ListUsers")))
        self.session = user.using(user.sts.assume_role(RoleArn=arn, RoleSessionName="ada"))

    def session_json(self, **other: str) -> str:
        own = self.session
        held = {"sessionId": own.access_key_id, "sessionKey": own.secret_access_key, "sessionToken": own.session_token}
        return json.dumps(held | other)

    def ask(self, method: str = "GET", headers: dict[str, str] | None = None, **fields: str) -> Any:
        url = f"{self.aws.endpoint}/federation"
        if method == "GET":
            return self.http.request("GET", f"{url}?{urlencode(fields)}", headers=headers, redirect=False)
        return self.http.request("POST", url, body=urlencode(fields), headers=FORM | (headers or {}), redirect=False)

    def token(self, method: str = "GET", **more: str) -> str:
        answer = self.ask(method, Action="getSigninToken", Session=self.session_json(), **more)
        assert answer.status == 200, answer.data
        assert list(answer.json()) == ["SigninToken"]
        token: str = answer.json()["SigninToken"]
        return token

    def told(self) -> list[tuple[str, str, str]]:
        of_sign_in = [{"AttributeKey": "EventSource", "AttributeValue": "signin.amazonaws.com"}]
        found = self.aws.cloudtrail.lookup_events(LookupAttributes=of_sign_in)["Events"]
        events = [json.loads(one["CloudTrailEvent"]) for one in reversed(found)]
        return [
            (event["eventName"], event["userIdentity"]["type"], event["responseElements"][event["eventName"]])
            for event in events
        ]


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status, answer.json()["code"]


@pytest.fixture
def broker(aws: Any) -> Broker:
    return Broker(aws)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_broker_s_link_gives_a_console_session_once(broker: Broker, method: str) -> None:
    token = broker.token(method, SessionDuration="3600")
    link = {"Action": "login", "Issuer": "https://portal.example", "Destination": "https://console.aws.amazon.com/"}
    answer = broker.ask(**link, SigninToken=token)
    said = answer.json()
    assert (answer.status, said["Destination"]) == (200, "https://console.aws.amazon.com/")
    console = broker.aws.using(said)
    assert console.sts.get_caller_identity()["Arn"] == said["Arn"]
    assert console.iam.list_users()["Users"]
    assert refusal(broker.ask(**link, SigninToken=token)) == FAILED
    assert broker.told() == [("GetSigninToken", "AssumedRole", "Success"), ("ConsoleLogin", "AssumedRole", "Success")]


def test_the_operation_and_the_link_know_each_other_s_tokens(broker: Broker) -> None:
    token = broker.session.freehold.get_signin_token()["SigninToken"]
    assert broker.ask(Action="login", SigninToken=token).status == 200
    answer = broker.aws.client("freehold").sign_in_with_token(SigninToken=broker.token())
    assert answer["AccountId"] == broker.aws.account_id


def test_a_link_leads_nowhere_and_leaves_nothing_behind(broker: Broker) -> None:
    for destination in ("https://evil.example/", "//evil.example", "javascript:alert(1)", f"{broker.aws.endpoint}/b/k"):
        answer = broker.ask(
            Action="login", SigninToken=broker.token(), Destination=destination, headers={"Origin": "https://a.example"}
        )
        assert answer.status == 200
        assert "location" not in answer.headers
        assert "set-cookie" not in answer.headers
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


ALTERED = {
    "another secret": {"sessionKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
    "another access key": {"sessionId": "ASIAIOSFODNN7EXAMPLE"},
    "a made-up token": {"sessionToken": "AAAA"},
}


@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_session_gets_nothing_and_is_told_of(broker: Broker, what: str) -> None:
    answer = broker.ask(Action="getSigninToken", Session=broker.session_json(**ALTERED[what]))
    assert refusal(answer) == FAILED
    if what != "another access key":
        assert broker.told() == [("GetSigninToken", "Unknown", "Failure")]


MALFORMED = {
    "no session": {"Action": "getSigninToken"},
    "no JSON": {"Action": "getSigninToken", "Session": "x"},
    "deep JSON": {"Action": "getSigninToken", "Session": "[" * 5000},
    "a list": {"Action": "getSigninToken", "Session": "[]"},
    "numbers": {"Action": "getSigninToken", "Session": '{"sessionId":1,"sessionKey":2,"sessionToken":3}'},
    "too short": {"Action": "getSigninToken", "Session": "{}", "SessionDuration": "899"},
    "too long": {"Action": "getSigninToken", "Session": "{}", "SessionDuration": "43201"},
    "no number": {"Action": "getSigninToken", "Session": "{}", "SessionDuration": "1e3"},
    "what is not served": {"Action": "getSigninToken", "Session": "{}", "Region": "x"},
    "no token": {"Action": "login"},
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_malformed_is_refused_by_name(broker: Broker, what: str) -> None:
    assert refusal(broker.ask(**MALFORMED[what])) == (400, "ValidationException")


def test_what_is_no_text_is_told_so(broker: Broker) -> None:
    answer = broker.http.request("GET", f"{broker.aws.endpoint}/federation?Action=login&SigninToken=%ff")
    told = {"code": "ValidationException", "message": "The parameters are not percent-encoded UTF-8."}
    assert (answer.status, answer.json()) == (400, told)


def test_no_session_but_a_role_s_or_a_federated_user_s_becomes_a_console_session(broker: Broker, aws: Any) -> None:
    ada = aws.new_user("ada", json.loads(policy(allow("*"))))
    broker.session = ada.using(ada.sts.get_session_token())
    answer = broker.ask(Action="getSigninToken", Session=broker.session_json())
    assert refusal(answer) == (400, "ValidationException")
    assert "AssumeRole" in answer.json()["message"]


def test_a_duration_beyond_the_role_s_is_refused(broker: Broker) -> None:
    answer = broker.ask(Action="getSigninToken", Session=broker.session_json(), SessionDuration="7201")
    assert refusal(answer) == (400, "ValidationException")


def test_failures_of_one_address_are_slowed_and_what_is_right_is_not(freehold_server: Any, broker: Broker) -> None:
    token = broker.token()
    seen = {refusal(broker.ask(Action="login", SigninToken="guess")) for _ in range(55)}
    assert seen == {FAILED, (429, "TooManyRequestsException")}
    assert broker.ask(Action="login", SigninToken=token).status == 200
    freehold_server.advance(seconds=3601)


def test_a_bucket_of_that_name_keeps_its_own_requests(broker: Broker, aws: Any) -> None:
    """Only what S3 has no meaning for is the endpoint's; under the bucket's own host everything is the bucket's."""
    s3 = aws.s3
    s3.create_bucket(Bucket="federation")
    try:
        s3.put_object(Bucket="federation", Key="a", Body=b"a")
        assert s3.list_objects_v2(Bucket="federation")["KeyCount"] == 1
        assert s3.get_object(Bucket="federation", Key="a")["Body"].read() == b"a"
        anonymous = broker.http.request("GET", f"{aws.endpoint}/federation?list-type=2")
        assert (anonymous.status, b"AccessDenied" in anonymous.data) == (403, True)
        assert b"AccessDenied" in broker.http.request("GET", f"{aws.endpoint}/federation?Action=other").data
        port = urlsplit(aws.endpoint).port
        under = {"Host": f"photos.s3.localhost:{port}"}
        assert b"<Error>" in broker.ask(Action="login", SigninToken="x", headers=under).data
        s3.delete_object(Bucket="federation", Key="a")
    finally:
        s3.delete_bucket(Bucket="federation")


def test_a_form_that_is_too_large_is_refused(broker: Broker) -> None:
    assert broker.ask("POST", Action="login", SigninToken="x" * 70_000).status == 413


def test_no_secret_is_in_the_trail(broker: Broker) -> None:
    token = broker.token()
    broker.ask(Action="login", SigninToken=token)
    events = json.dumps(broker.aws.cloudtrail.lookup_events()["Events"], default=str)
    for secret in (token, broker.session.secret_access_key, broker.session.session_token):
        assert secret not in events

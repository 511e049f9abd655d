"""What a browser is told: preflights, and which answers a page of another origin may read."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

ORIGIN = {"Origin": "https://app.example"}
SENT_BY_SDKS = "amz-sdk-invocation-id,amz-sdk-request,content-type,x-amz-target,x-amz-user-agent"
PREFLIGHT = ORIGIN | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": SENT_BY_SDKS}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
WEB_IDENTITY = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=app&WebIdentityToken=none"
ROLE = "RoleArn=arn:aws:iam::111122223333:role/app"


@pytest.fixture(scope="module")
def http() -> urllib3.PoolManager:
    return urllib3.PoolManager()


def target(name: str) -> dict[str, str]:
    return {"X-Amz-Target": name, "Content-Type": "application/x-amz-json-1.1"}


def is_shared(answer: Any) -> bool:
    """Whether the page may read it. Credentials of the browser's own are never asked for."""
    assert "access-control-allow-credentials" not in answer.headers
    assert "access-control-allow-private-network" not in answer.headers
    origin = answer.headers.get("access-control-allow-origin")
    assert origin in (None, "*")
    return origin is not None


def test_a_preflight_lets_the_sdks_headers_through(aws: Any, http: urllib3.PoolManager) -> None:
    answer = http.request("OPTIONS", f"{aws.endpoint}/", headers=PREFLIGHT)
    assert (answer.status, answer.data, is_shared(answer)) == (200, b"", True)
    allowed = {name.strip() for name in answer.headers["access-control-allow-headers"].split(",")}
    assert set(SENT_BY_SDKS.split(",")) <= allowed
    assert {"authorization", "x-amz-date", "x-amz-security-token", "cache-control"} <= allowed
    assert "*" not in allowed
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-max-age"] == "172800"


@pytest.mark.parametrize("path", ["/bucket", "/bucket/key", "/federation", "/.tokens/x"])
def test_a_preflight_for_another_path_is_not_answered_for_its_owner(
    aws: Any, http: urllib3.PoolManager, path: str
) -> None:
    answer = http.request("OPTIONS", aws.endpoint + path, headers=PREFLIGHT)
    assert answer.status >= 400
    assert not is_shared(answer)


def test_a_preflight_at_a_bucket_s_own_host_is_the_bucket_s(aws: Any, http: urllib3.PoolManager) -> None:
    host = {"Host": f"photos.s3.localhost:{urlsplit(aws.endpoint).port}"}
    assert not is_shared(http.request("OPTIONS", f"{aws.endpoint}/", headers=PREFLIGHT | host))


def test_options_that_is_no_preflight_is_answered_as_ever(aws: Any, http: urllib3.PoolManager) -> None:
    for headers in ({}, ORIGIN, {"Access-Control-Request-Method": "POST"}):
        answer = http.request("OPTIONS", f"{aws.endpoint}/", headers=headers)
        assert answer.status >= 400
        assert not is_shared(answer)


def test_answers_and_errors_of_identity_pools_and_sts_can_be_read(aws: Any, http: urllib3.PoolManager) -> None:
    made = aws.cognito_identity.create_identity_pool(IdentityPoolName="app", AllowUnauthenticatedIdentities=True)
    get_id = target("AWSCognitoIdentityService.GetId")
    for headers, body, status in (
        (get_id, json.dumps({"IdentityPoolId": made["IdentityPoolId"]}), 200),
        (get_id, json.dumps({"IdentityPoolId": "us-east-1:00000000-0000-0000-0000-000000000000"}), 400),
        (get_id, "{", 400),
        (target("AWSCognitoIdentityService.Nothing"), "{}", 400),
        (FORM, f"{WEB_IDENTITY}&{ROLE}", 400),
        (FORM, "Action=Nothing", 400),
    ):
        answer = http.request("POST", f"{aws.endpoint}/", headers=headers | ORIGIN, body=body)
        assert answer.status == status, answer.data
        assert is_shared(answer), body
        exposed = answer.headers["access-control-expose-headers"].split(",")
        assert "x-amzn-RequestId" in exposed
    assert not is_shared(http.request("POST", f"{aws.endpoint}/", headers=get_id, body="{}"))  # no page asked


def test_other_services_answers_can_not_be_read(aws: Any, http: urllib3.PoolManager) -> None:
    for headers, body in (
        (target("TrentService.ListKeys"), "{}"),
        (target("Freehold.SignIn"), "{}"),
        (target("FreeholdService.SignIn"), "{}"),
        (target("AWSOrganizationsV20161128.DescribeOrganization"), "{}"),
        (FORM, "Action=ListUsers&Version=2010-05-08"),
    ):
        answer = http.request("POST", f"{aws.endpoint}/", headers=headers | ORIGIN, body=body)
        assert answer.status >= 400
        assert not is_shared(answer), body
    assert not is_shared(http.request("GET", f"{aws.endpoint}/", headers=ORIGIN))
    assert not is_shared(http.request("GET", f"{aws.endpoint}/bucket/key", headers=ORIGIN))


def test_a_signed_call_of_sts_can_be_read(aws: Any) -> None:
    seen = []

    def with_origin(request: Any, **_: Any) -> None:
        request.headers["Origin"] = ORIGIN["Origin"]

    client = aws.client("sts")
    client.meta.events.register("before-send.sts.GetCallerIdentity", with_origin)
    client.meta.events.register(
        "needs-retry.sts.GetCallerIdentity", lambda response, **_: seen.append(response[0].headers)
    )
    client.get_caller_identity()
    assert seen[0]["access-control-allow-origin"] == "*"

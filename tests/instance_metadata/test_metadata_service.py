"""What the metadata service answers, and what it refuses: IMDSv2's guards and two more."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from freehold.instance_metadata.role import InstanceRole, RoleCredentials, RoleUnavailable
from freehold.instance_metadata.service import Instance, MetadataService, Tokens

START = datetime(2026, 11, 24, tzinfo=UTC)
PROFILE = "arn:aws:iam::111122223333:instance-profile/apps/web"
HOST = {"host": "127.0.0.1:1338"}
TTL = "x-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "x-aws-ec2-metadata-token"
CREDENTIALS = "/latest/meta-data/iam/security-credentials/"


class Clock:
    def __init__(self) -> None:
        self.now = 50.0


def _given(key: str) -> RoleCredentials:
    return RoleCredentials(
        access_key_id=key,
        secret_access_key="very secret",
        session_token="session token",
        issued_at=START,
        expires_at=START + timedelta(hours=6),
        role_name="web-role",
        instance_profile_id="AIPAEXAMPLE",
    )


def _service(clock: Clock, *, v1: bool = False, assume: Any = None) -> MetadataService:
    def role(key: str) -> InstanceRole:
        return InstanceRole(assume or (lambda: _given(key)), lambda: clock.now)

    instance = Instance(
        instance_id="i-0123456789abcdef0",
        instance_profile_arn=PROFILE,
        region="eu-west-1",
        availability_zone="eu-west-1a",
        launched_at=START,
    )
    return MetadataService(
        instance, role("ASIATWO"), lambda: clock.now, lambda: START, role_v1=role("ASIAONE") if v1 else None
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(clock: Clock) -> MetadataService:
    return _service(clock)


def _token(service: MetadataService, ttl: str = "60") -> str:
    answer = service.answer("PUT", "/latest/api/token", {**HOST, TTL: ttl})
    assert (answer.status, answer.headers) == (200, ((TTL, ttl),))
    assert answer.is_token
    return answer.body.decode()


def _get(service: MetadataService, path: str, **headers: str) -> Any:
    answer = service.answer("GET", path, {**HOST, TOKEN: _token(service), **headers})
    assert answer.status == 200, answer
    return json.loads(answer.body) if answer.content_type == "application/json" else answer.body.decode()


def test_the_credentials_are_those_of_the_role(service: MetadataService) -> None:
    assert _get(service, CREDENTIALS) == _get(service, CREDENTIALS.rstrip("/")) == "web-role"
    assert _get(service, CREDENTIALS + "web-role") == {
        "Code": "Success",
        "LastUpdated": "2026-11-24T00:00:00Z",
        "Type": "AWS-HMAC",
        "AccessKeyId": "ASIATWO",
        "SecretAccessKey": "very secret",
        "Token": "session token",
        "Expiration": "2026-11-24T06:00:00Z",
    }
    info = _get(service, "/latest/meta-data/iam/info")
    assert (info["InstanceProfileArn"], info["InstanceProfileId"]) == (PROFILE, "AIPAEXAMPLE")


def test_the_instance_is_told_what_it_is(service: MetadataService) -> None:
    identity = _get(service, "/latest/dynamic/instance-identity/document")
    assert (identity["accountId"], identity["region"]) == ("111122223333", "eu-west-1")
    assert identity["instanceId"] == _get(service, "/2021-07-15/meta-data/instance-id")
    assert _get(service, "/latest/meta-data/placement/availability-zone") == "eu-west-1a"
    assert _get(service, "/latest/meta-data/").splitlines() == ["iam/", "instance-id", "placement/", "services/"]
    assert _get(service, "/latest").splitlines() == ["dynamic/", "meta-data/"]
    assert _get(service, "/latest/meta-data/iam").splitlines() == ["info", "security-credentials/"]


GUARDS: list[tuple[str, str, str, dict[str, str], int]] = [
    ("no token", "GET", CREDENTIALS, {}, 401),
    ("an invented token", "GET", CREDENTIALS, {TOKEN: "AQAEAExample=="}, 401),
    ("not even base64", "GET", CREDENTIALS, {TOKEN: "ÿ"}, 401),
    ("an empty token", "GET", CREDENTIALS, {TOKEN: ""}, 401),
    ("no TTL", "PUT", "/latest/api/token", {}, 400),
    ("TTL 0", "PUT", "/latest/api/token", {TTL: "0"}, 400),
    ("TTL over six hours", "PUT", "/latest/api/token", {TTL: "21601"}, 400),
    ("a TTL that is no number", "PUT", "/latest/api/token", {TTL: "60s"}, 400),
    ("an endless TTL", "PUT", "/latest/api/token", {TTL: "9" * 5000}, 400),
    ("a forwarded PUT", "PUT", "/latest/api/token", {TTL: "60", "x-forwarded-for": "203.0.113.9"}, 403),
    ("a proxied PUT", "PUT", "/latest/api/token", {TTL: "60", "via": "1.1 proxy"}, 403),
    ("a PUT elsewhere", "PUT", CREDENTIALS, {TTL: "60"}, 405),
    ("a POST", "POST", "/latest/api/token", {TTL: "60"}, 405),
    ("a GET of the token", "GET", "/latest/api/token", {TTL: "60"}, 401),
    ("a browser", "PUT", "/latest/api/token", {TTL: "60", "origin": "https://evil.example"}, 403),
    ("a browser without origin", "GET", CREDENTIALS, {"sec-fetch-site": "same-origin"}, 403),
    ("a name that resolves here", "PUT", "/latest/api/token", {TTL: "60", "host": "evil.example:1338"}, 403),
    ("no host", "PUT", "/latest/api/token", {TTL: "60", "host": ""}, 403),
]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"), [row[1:] for row in GUARDS], ids=[r[0] for r in GUARDS]
)
def test_it_refuses(service: MetadataService, method: str, path: str, headers: dict[str, str], status: int) -> None:
    answer = service.answer(method, path, {**HOST, **headers})
    assert answer.status == status
    assert b"secret" not in answer.body


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "[::1]:1338", "localhost:1338", "LOCALHOST"])
def test_it_is_reached_by_its_address(service: MetadataService, host: str) -> None:
    assert service.answer("PUT", "/latest/api/token", {TTL: "1", "host": host}).status == 200


def test_a_token_ends_with_its_ttl_and_with_the_service(service: MetadataService, clock: Clock) -> None:
    token = _token(service, "60")
    headers = {**HOST, TOKEN: token}
    assert service.answer("GET", CREDENTIALS, headers).status == 200
    clock.now += 60
    assert service.answer("GET", CREDENTIALS, headers).status == 401
    other = Tokens(lambda: clock.now)
    assert not service.tokens.is_good(other.issue(100))
    assert not service.tokens.is_good(service.tokens.issue(100)[:-4] + "AAA=")


def test_version_1_is_refused_unless_it_is_asked_for(clock: Clock) -> None:
    assert _service(clock).answer("GET", CREDENTIALS + "web-role", HOST).status == 401
    with_v1 = _service(clock, v1=True)
    assert b"ASIAONE" in with_v1.answer("GET", CREDENTIALS + "web-role", HOST).body
    # A bad token is bad, whatever would be given without one.
    assert with_v1.answer("GET", CREDENTIALS + "web-role", {**HOST, TOKEN: "x"}).status == 401
    assert b"ASIATWO" in with_v1.answer("GET", CREDENTIALS + "web-role", {**HOST, TOKEN: _token(with_v1)}).body


def test_paths_lead_nowhere_else(service: MetadataService) -> None:
    headers = {**HOST, TOKEN: _token(service)}
    for path in (
        CREDENTIALS + "other-role",
        "/latest/meta-data/../dynamic",
        "/etc/passwd",
        "/latest/user-data",
        "/latest/dynamic/instance-identity/pkcs7",
        "/latest/meta-data/iam/security-credentialsx",
    ):
        assert service.answer("GET", path, headers).status == 404, path


def test_a_role_that_cannot_be_assumed_is_told_as_ec2_does(clock: Clock) -> None:
    def refuse() -> RoleCredentials:
        raise RoleUnavailable("AssumeRoleUnauthorizedAccess", "EC2 cannot assume the role.")

    told = _get(_service(clock, assume=refuse), CREDENTIALS + "web-role")
    assert (told["Code"], told["Message"]) == ("AssumeRoleUnauthorizedAccess", "EC2 cannot assume the role.")

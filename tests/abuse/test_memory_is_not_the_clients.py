"""What a client may choose is not kept by the thousand: nobody fills a worker's memory, least of all without a key."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import attacking
import pytest

from freehold.authentication import sigv4
from freehold.authentication.credentials import Credential, Secret
from freehold.authorization import document, policy_set
from freehold.authorization.principal import Principal
from freehold.clock import Clock
from freehold.message import Request
from freehold.protocol import hosts
from freehold.services.sts import role_sessions
from freehold.transport import http


def test_long_header_names_are_not_remembered() -> None:
    before = dict(http._NAMES)
    assert http._name(b"X-" + b"a" * 1000) == "x-" + "a" * 1000
    assert before == http._NAMES


def test_a_header_of_megabytes_by_many_names_is_refused(aws: Any) -> None:
    (answer,) = attacking.answers(attacking.raw(aws, attacking.request(aws, "GET", "/", {"User-Agent": "a" * 20_000})))
    assert answer.status == 431


def test_long_host_names_are_not_remembered() -> None:
    bucket = hosts.bucket_finder()
    assert bucket("b" * 60 + ".localhost") == "b" * 60
    assert bucket("b" * 60_000 + ".localhost") is None
    remembered = bucket.__closure__[0].cell_contents.cache_info()  # type: ignore[index]
    assert remembered.currsize == 1


class Keys:
    def __init__(self, secret: str) -> None:
        self.credential = Credential(Secret(secret), Principal(kind="user"))

    def lookup(self, access_key_id: str, session_token: str | None) -> Credential:
        return self.credential


@pytest.mark.parametrize("padding", [0, 100])
def test_long_authorization_headers_are_not_remembered(aws: Any, padding: int) -> None:
    extra = {f"X-Amz-Meta-{number:03d}": "v" for number in range(padding)}
    headers = attacking.signed(aws, "s3", "GET", "/", extra)
    fields = {name.lower(): value for name, value in headers.items()} | {"host": attacking.host_of(aws)}
    authenticated = sigv4.authenticate(
        Request("GET", "/", "", fields), credentials=Keys(aws.secret_access_key), clock=Clock(), regions=["us-east-1"]
    )
    assert authenticated.kind == "header"
    assert (fields["authorization"][:-64] in sigv4._known_headers) is (padding == 0)


@pytest.mark.parametrize("length", [10, 10_000])
def test_verdicts_on_long_values_are_the_same_and_not_remembered(length: int) -> None:
    statement = {
        "Effect": "Allow",
        "Action": "*",
        "Resource": "*",
        "Condition": {"StringLike": {"aws:UserAgent": "a*"}},
    }
    policy = document.parse(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    candidates = policy_set.alone(policy).candidates("s3:GetObject")
    for agent, allowed in (("a" * length, True), ("b" * length, False)):
        _, allow = candidates.verdict("arn:aws:s3:::b/k", {"aws:useragent": agent})
        assert (allow is not None) is allowed
    assert bool(candidates._verdicts) is (length < 2_048)
    assert bool(candidates._holding) is (length < 2_048)


def test_roles_that_do_not_exist_are_not_remembered() -> None:
    held: dict[Any, Any] = {}

    class Call:
        def cached(self, domain: str, key: Any, load: Any) -> Any:
            held[key] = load(SimpleNamespace(get=lambda *_: None))
            return held[key]

    assert role_sessions.trusted_role(Call(), "arn:aws:iam::111122223333:role/nobody") is None  # type: ignore[arg-type]
    assert held == {}

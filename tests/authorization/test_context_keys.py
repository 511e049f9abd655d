"""Exactly which keys follow from a caller and from a request.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from freehold.authorization.context_keys import COMPUTED, Context, RequestKeys, of_principal, of_request
from freehold.authorization.principal import ANONYMOUS, Principal, Session
from freehold.authorization.principal_element import caller
from freehold.authorization.vpc_endpoint import HostName, VpcEndpoint, in_host, networks_test
from freehold.message import Request

A = "111122223333"
USER = Principal("user", A, f"arn:aws:iam::{A}:user/team/u", "AIDAU", "u", tags=(("Team", "Red"),))
ROLE = f"arn:aws:iam::{A}:role/team/app"
SESSION = Principal("role", A, f"arn:aws:sts::{A}:assumed-role/app/one", "AROAR:one", "app", ROLE,
                    session=Session(1, 2, "one", source_identity="me", mfa_at=5))  # fmt: skip
OF_ACCOUNT = {"aws:principalisawsservice": "false", "aws:principalaccount": A, "kms:calleraccount": A}
OF_USER = OF_ACCOUNT | {"aws:principaltype": "User", "aws:principalarn": USER.arn, "aws:userid": "AIDAU",
                        "aws:username": "u", "aws:principaltag/team": "Red"}  # fmt: skip
OF_ROLE = OF_ACCOUNT | {"aws:principaltype": "AssumedRole", "aws:principalarn": ROLE, "aws:userid": "AROAR:one"}
PRINCIPALS: list[tuple[Principal, dict[str, Any]]] = [
    (USER, OF_USER),
    (replace(USER, tags=(), unique_id=""), {key: value for key, value in OF_USER.items()
                                            if key not in ("aws:userid", "aws:principaltag/team")}),
    (replace(USER, issuer_arn=USER.arn, session=Session(0, 2, kind="session-token")),
     OF_USER | {"aws:tokenissuetime": "1970-01-01T00:00:00Z", "aws:multifactorauthpresent": "false"}),
    (replace(USER, issuer_arn="arn:other"), OF_USER),
    (Principal("root", A, f"arn:aws:iam::{A}:root", A),
     OF_ACCOUNT | {"aws:principaltype": "Account", "aws:principalarn": f"arn:aws:iam::{A}:root", "aws:userid": A}),
    (SESSION, OF_ROLE | {"aws:tokenissuetime": "1970-01-01T00:00:01Z", "aws:multifactorauthpresent": "true",
                         "aws:sourceidentity": "me"}),
    (replace(SESSION, session=None), OF_ROLE),
    (replace(SESSION, session=None, issuer_arn=""), OF_ROLE | {"aws:principalarn": SESSION.arn}),
    (Principal("federated-user", A, f"arn:aws:sts::{A}:federated-user/f", f"{A}:f", "f", USER.arn),
     OF_ACCOUNT | {"aws:principaltype": "FederatedUser", "aws:principalarn": f"arn:aws:sts::{A}:federated-user/f",
                   "aws:userid": f"{A}:f"}),
    (Principal("service", name="s3.amazonaws.com"),
     {"aws:principalisawsservice": "true", "aws:principalservicename": "s3.amazonaws.com",
      "aws:principalservicenameslist": ("s3.amazonaws.com",)}),
    (Principal("federated", name="accounts.google.com", extra_context={"Accounts.Google.com:AMR": ["a", "b"],
       "x:n": 1}),
     {"aws:principalisawsservice": "false", "aws:federatedprovider": "accounts.google.com",
      "accounts.google.com:amr": ("a", "b"), "x:n": "1"}),
    (Principal("operator", "000000000000", "arn:x", "OP"), {"aws:principalisawsservice": "false"}),
    (ANONYMOUS, {"aws:principaltype": "Anonymous", "aws:principalaccount": "anonymous", "aws:userid": "anonymous"}),
]  # fmt: skip


@pytest.mark.parametrize(("principal", "keys"), PRINCIPALS, ids=lambda one: getattr(one, "kind", ""))
def test_the_keys_of_a_caller(principal: Principal, keys: dict[str, Any]) -> None:
    assert of_principal(caller(principal)) == keys


REQUEST = Request("GET", "/", "", {}, source_ip="203.0.113.7")
ALWAYS = {"aws:securetransport": "false", "aws:requestedregion": "eu-west-1"}
ENDPOINT = VpcEndpoint("vpce-1", "vpc-1", A, "s3", "eu-west-1", networks_test(("10.0.0.0/8", "fd00::/8")))
DIRECT = ALWAYS | {"aws:sourceip": "203.0.113.7", "aws:viaawsservice": "false"}
VIA = ALWAYS | {"aws:viaawsservice": "true"}
CHAIN = ("dynamodb.amazonaws.com", "kms.amazonaws.com")
REQUESTS: list[tuple[Request, dict[str, Any], dict[str, Any]]] = [
    (REQUEST, {}, DIRECT),
    (replace(REQUEST, secure=True), {}, DIRECT | {"aws:securetransport": "true"}),
    (replace(REQUEST, headers={"user-agent": "x", "referer": ""}), {}, DIRECT | {"aws:useragent": "x",
       "aws:referer": ""}),
    (REQUEST, {"endpoint": ENDPOINT},
     ALWAYS | {"aws:viaawsservice": "false", "aws:sourcevpce": "vpce-1", "aws:sourcevpc": "vpc-1",
               "aws:sourcevpcarn": f"arn:aws:ec2:eu-west-1:{A}:vpc/vpc-1", "aws:vpceaccount": A,
               "aws:vpcsourceip": "203.0.113.7"}),
    (REQUEST, {"via": ("s3",)}, VIA | {"kms:viaservice": "s3.eu-west-1.amazonaws.com"}),
    (REQUEST, {"via": ("s3",), "endpoint": ENDPOINT}, VIA | {"kms:viaservice": "s3.eu-west-1.amazonaws.com"}),
    (REQUEST, {"via": ("dynamodb",)}, VIA | {"kms:viaservice": "dynamodb.eu-west-1.amazonaws.com",
     "aws:calledvia": CHAIN[:1], "aws:calledviafirst": CHAIN[0], "aws:calledvialast": CHAIN[0]}),
    (REQUEST, {"via": ("dynamodb", "kms")}, VIA | {
        "aws:calledvia": CHAIN, "aws:calledviafirst": CHAIN[0], "aws:calledvialast": CHAIN[1]}),
    (REQUEST, {"via": ("s3", "dynamodb")}, VIA | {"kms:viaservice": "dynamodb.eu-west-1.amazonaws.com",
     "aws:calledvia": CHAIN[:1], "aws:calledviafirst": CHAIN[0], "aws:calledvialast": CHAIN[0]}),
]  # fmt: skip


@pytest.mark.parametrize(("request_", "options", "keys"), REQUESTS, ids=range(len(REQUESTS)))
def test_the_keys_of_a_request(request_: Request, options: dict[str, Any], keys: dict[str, Any]) -> None:
    assert dict(of_request(request_, region="eu-west-1", now_seconds=1.0, **options)) == keys


def test_the_services_that_aws_lists_in_calledvia() -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-calledvia"""
    listed = ["athena", "backup", "cloud9", "cloudformation", "databrew", "dataexchange", "dynamodb", "imagebuilder",
              "kms", "mgn", "nimble", "omics", "ram", "robomaker", "servicecatalog-appregistry", "sqlworkbench",
              "ssm-guiconnect"]  # fmt: skip
    for service in [*listed, "s3", "ec2", "lambda", "rds", "ebs"]:
        keys = of_request(REQUEST, region="r", now_seconds=0.0, via=(service,))
        assert ("aws:calledvia" in keys) is (service in listed), service


class Organization:
    def __init__(self, organization_id: str = "o-1", path: str = "o-1/r-1/") -> None:
        self.organization_id, self.path = organization_id, path


def context(*layers: Any, **options: Any) -> Context:
    return Context(*layers, **options)


def test_the_first_layer_that_has_a_key_tells_it() -> None:
    found = context({"a": "1"}, {"a": "2", "b": "3"})
    assert (found["a"], found["b"], found["c"]) == ("1", "3", None)
    assert context({"aws:resourceaccount": "given"}, resource_account=A)["aws:resourceaccount"] == "given"
    assert found.own == {"a": "1"}
    assert context().own == {}


def test_what_was_looked_up_is_kept_and_nothing_else_is_there() -> None:
    found = context({"a": "1"})
    assert (found["a"], found["b"]) == ("1", None)
    assert dict(found) == {"a": "1", "b": None}


def test_the_keys_that_are_computed() -> None:
    keys = RequestKeys(90.9)
    found = context({}, keys, resource_account=A, mfa_at=30)
    assert found["aws:resourceaccount"] == A
    assert found["aws:epochtime"] == "90"
    assert found["aws:currenttime"] == "1970-01-01T00:01:30Z"
    assert found["aws:multifactorauthage"] == "60"
    assert context(keys, mfa_at=95)["aws:multifactorauthage"] == "0"
    assert context(keys)["aws:multifactorauthage"] is None
    assert context({}, mfa_at=30)["aws:multifactorauthage"] is None
    assert context({"aws:epochtime": ("1", "2")}, mfa_at=30)["aws:multifactorauthage"] is None
    assert context({})["aws:resourceaccount"] is None
    assert context({})["aws:currenttime"] is None
    assert context(keys)["aws:somethingelse"] is None


ORGANIZED = [("aws:principal", "aws:principalaccount"), ("aws:resource", "aws:resourceaccount"),
             ("aws:source", "aws:sourceaccount"), ("aws:vpce", "aws:vpceaccount")]  # fmt: skip


@pytest.mark.parametrize(("prefix", "account_key"), ORGANIZED)
def test_the_organization_of_an_account(prefix: str, account_key: str) -> None:
    asked = []

    def organization_of(account: str) -> Any:
        asked.append(account)
        return Organization()

    found = context({account_key: A}, organization_of=organization_of)
    assert found[f"{prefix}orgid"] == "o-1"
    assert found[f"{prefix}orgpaths"] == ("o-1/r-1/",)
    assert asked == [A, A]
    assert context({account_key: A})[f"{prefix}orgid"] is None
    assert context({}, organization_of=organization_of)[f"{prefix}orgid"] is None
    assert context({account_key: (A,)}, organization_of=organization_of)[f"{prefix}orgid"] is None
    assert context({account_key: A}, organization_of=lambda account: None)[f"{prefix}orgpaths"] is None
    outside: Any = Organization("")
    assert context({account_key: A}, organization_of=lambda account: outside)[f"{prefix}orgid"] is None


def test_everything_that_a_policy_could_ask_for() -> None:
    organization: Any = Organization()
    found = context({"a": "1"}, {"a": "2", "b": "3", "aws:principalaccount": A}, RequestKeys(0.0), resource_account=A,
                    organization_of=lambda account: organization)  # fmt: skip
    assert found.complete() == {
        "a": "1", "b": "3", "aws:principalaccount": A, "aws:resourceaccount": A, "aws:epochtime": "0",
        "aws:currenttime": "1970-01-01T00:00:00Z", "aws:principalorgid": "o-1", "aws:principalorgpaths": ("o-1/r-1/",),
        "aws:resourceorgid": "o-1", "aws:resourceorgpaths": ("o-1/r-1/",),
    }  # fmt: skip
    assert len(COMPUTED) == 12


HOSTS = [
    ("vpce-0a1b2c3d.kms.us-east-1.vpce.localhost", HostName("vpce-0a1b2c3d", "kms", "us-east-1")),
    ("VPCE-0A1B2C3D.KMS.us-east-1.VPCE.localhost:4600", HostName("vpce-0a1b2c3d", "kms", "us-east-1")),
    ("vpce-0123456789abcdef0-abcdefgh.sts.eu-west-1.vpce.amazonaws.com",
     HostName("vpce-0123456789abcdef0", "sts", "eu-west-1")),
    ("vpce-0123456789abcdef0-abcdefgh-us-east-1a.sts.eu-west-1.vpce.amazonaws.com",
     HostName("vpce-0123456789abcdef0", "sts", "eu-west-1")),
    ("bucket.vpce-0a1b2c3d.s3.us-east-1.vpce.localhost", HostName("vpce-0a1b2c3d", "s3", "us-east-1")),
    ("my.name.bucket.vpce-0a1b2c3d.s3.us-east-1.vpce.localhost", HostName("vpce-0a1b2c3d", "s3", "us-east-1")),
    ("vpce-0a1b2c3d.s3.us-east-1.localhost", None), ("name.vpce-0a1b2c3d.s3.us-east-1.vpce.localhost", None),
    ("vpce-0a1b2c3.s3.us-east-1.vpce.localhost", None), ("vpce-0a1b2c3x.s3.us-east-1.vpce.localhost", None),
    ("vpce-0a1b2c3d.s3.us-east-1.vpce.localhost:x", None), ("vpce-0a1b2c3d.s3.us-east-1.vpce.", None),
    ("a.vpce.b.s3.localhost", None), ("", None), ("x" * 300 + ".bucket.vpce-0a1b2c3d.s3.us-east-1.vpce.localhost",
       None),
]  # fmt: skip


@pytest.mark.parametrize(("host", "named"), HOSTS)
def test_the_endpoint_that_a_host_names(host: str, named: HostName | None) -> None:
    assert in_host(host) == named


def test_an_endpoints_networks() -> None:
    assert ENDPOINT.is_source("10.1.2.3")
    assert ENDPOINT.is_source("fd00::1")
    assert not ENDPOINT.is_source("11.0.0.1")
    assert not ENDPOINT.is_source("")
    for wrong in ("10.0.0.1/8", "x", "10.0.0.0/33", ""):
        with pytest.raises(ValueError, match=r"."):
            networks_test((wrong,))

"""VPC endpoints: what comes through one is known by it, limited by its policy, and comes from its networks alone."""

from __future__ import annotations

import json
import secrets
import socket
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from freehold.errors import AwsError
from freehold.services.freehold.vpc_endpoints import EndpointDirectory

VPC = "vpc-0a1b2c3d4e5f67890"
EVERYWHERE = ["127.0.0.0/8", "::1/128"]


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def statement(effect: str, action: Any, resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": resource, **more}


@pytest.fixture
def resolving(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name under localhost is this machine, whatever the resolver makes of it."""
    resolve = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *more, **options: resolve(
            "127.0.0.1" if str(host).endswith(".localhost") else host, *more, **options
        ),
    )


class Endpoints:
    """Makes endpoints, and principals that come through them."""

    def __init__(self, server: Any, account_id: str) -> None:
        self.operator = server.operator.freehold
        self.account_id = account_id
        self.port = server.endpoint.rpartition(":")[2]
        self.made: list[str] = []

    def make(self, service: str, **more: Any) -> str:
        given: dict[str, Any] = {"VpcId": VPC, "AccountId": self.account_id, "SourceNetworks": EVERYWHERE, **more}
        found = self.operator.put_vpc_endpoint(ServiceName=f"com.amazonaws.us-east-1.{service}", **given)
        name: str = found["VpcEndpoint"]["VpcEndpointId"]
        self.made.append(name)
        return name

    def through(self, principal: Any, host: str) -> Any:
        return replace(principal, endpoint=f"http://{host}:{self.port}")

    def host(self, endpoint: str, service: str) -> str:
        return f"{endpoint}.{service}.us-east-1.vpce.localhost"


@pytest.fixture
def endpoints(freehold_server: Any, aws: Any, resolving: None) -> Iterator[Endpoints]:
    made = Endpoints(freehold_server, aws.account_id)
    yield made
    for name in {one["VpcEndpointId"] for one in made.operator.list_vpc_endpoints()["VpcEndpoints"]}:
        made.operator.delete_vpc_endpoint(VpcEndpointId=name)


def denied(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    assert refused.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException")
    return str(refused.value.response["Error"]["Message"])


def bucket_of(aws: Any) -> str:
    name = "b-" + secrets.token_hex(8)
    aws.s3.create_bucket(Bucket=name)
    return name


def test_an_endpoint_is_kept_as_it_was_put(endpoints: Endpoints) -> None:
    text = policy(statement("Allow", "kms:*", Principal="*"))
    name = endpoints.make("kms", Policy=text)
    [shown] = endpoints.operator.list_vpc_endpoints()["VpcEndpoints"]
    assert shown["VpcEndpointId"] == name
    assert (shown["VpcId"], shown["ServiceName"]) == (VPC, "com.amazonaws.us-east-1.kms")
    assert shown["SourceNetworks"] == EVERYWHERE
    assert json.loads(shown["Policy"]) == json.loads(text)
    assert shown["DnsName"] == endpoints.host(name, "kms")
    endpoints.make("kms", VpcEndpointId=name)
    [replaced] = endpoints.operator.list_vpc_endpoints()["VpcEndpoints"]
    assert "Policy" not in replaced


def test_endpoints_are_listed_page_by_page(endpoints: Endpoints) -> None:
    names = sorted(endpoints.make("kms") for _ in range(3))
    first = endpoints.operator.list_vpc_endpoints(MaxResults=2)
    second = endpoints.operator.list_vpc_endpoints(MaxResults=2, NextToken=first["NextToken"])
    assert [one["VpcEndpointId"] for one in first["VpcEndpoints"] + second["VpcEndpoints"]] == names
    assert "NextToken" not in second


@pytest.mark.parametrize(
    "wrong",
    [
        {"service": "nothing"},
        {"service": "freehold"},
        {"AccountId": "999999999999"},
        {"SourceNetworks": ["10.0.0.0/33"]},
        {"SourceNetworks": ["10.0.0.1/8"]},
        {"SourceNetworks": ["everywhere"]},
        {"VpcEndpointId": "vpce-1"},
        {"Policy": "{}"},
        {"Policy": policy(statement("Allow", "*"))},
        {"Policy": policy(statement("Allow", "*", Principal={"AWS": "arn:aws:iam::111122223333:user/nobody"}))},
    ],
    ids=str,
)
def test_what_is_no_endpoint_is_refused(endpoints: Endpoints, wrong: dict[str, Any]) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        endpoints.make(wrong.pop("service", "kms"), **wrong)
    assert endpoints.operator.list_vpc_endpoints()["VpcEndpoints"] == []


def test_endpoints_are_the_operators_alone(aws: Any) -> None:
    denied(aws.freehold.list_vpc_endpoints)
    denied(aws.freehold.delete_vpc_endpoint, VpcEndpointId="vpce-12345678")
    denied(
        aws.freehold.put_vpc_endpoint,
        VpcId=VPC, AccountId=aws.account_id, ServiceName="com.amazonaws.us-east-1.kms", SourceNetworks=EVERYWHERE,
    )  # fmt: skip


def test_a_bucket_reachable_through_one_endpoint_only(aws: Any, endpoints: Endpoints) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies-vpc-endpoint.html"""
    bucket = bucket_of(aws)
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    right, wrong = endpoints.make("s3"), endpoints.make("s3")
    aws.s3.put_bucket_policy(
        Bucket=bucket,
        Policy=policy(
            statement("Deny", "s3:GetObject", f"arn:aws:s3:::{bucket}/*", Principal="*",
                      Condition={"StringNotEquals": {"aws:SourceVpce": right}})
        ),
    )  # fmt: skip
    assert "explicit deny" in denied(aws.s3.get_object, Bucket=bucket, Key="k")
    for name, reads in ((right, True), (wrong, False)):
        for style in ("path", "virtual"):
            inside = endpoints.through(aws, "bucket." + endpoints.host(name, "s3"))
            s3 = inside.client("s3", config=Config(s3={"addressing_style": style}))
            if reads:
                assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"
            else:
                denied(s3.get_object, Bucket=bucket, Key="k")


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ({"StringEquals": {"aws:SourceVpc": VPC}}, True),
        ({"StringEquals": {"aws:SourceVpc": "vpc-00000000"}}, False),
        ({"ArnLike": {"aws:SourceVpcArn": f"arn:aws:ec2:us-east-1:*:vpc/{VPC}"}}, True),
        ({"StringEquals": {"aws:VpceAccount": "${aws:PrincipalAccount}"}}, True),
        ({"IpAddress": {"aws:VpcSourceIp": "127.0.0.0/8"}}, True),
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, False),
        ({"Null": {"aws:SourceIp": "true", "aws:VpceOrgID": "true"}}, True),
    ],
    ids=str,
)
def test_the_keys_of_a_request_through_an_endpoint(
    aws: Any, endpoints: Endpoints, condition: dict[str, Any], holds: bool
) -> None:
    user = aws.new_user("u", {"Version": "2012-10-17", "Statement": [statement("Allow", "kms:ListKeys",
                                                                               Condition=condition)]})  # fmt: skip
    inside = endpoints.through(user, endpoints.host(endpoints.make("kms"), "kms"))
    if holds:
        inside.kms.list_keys()
    else:
        denied(inside.kms.list_keys)


def test_no_other_request_has_these_keys(aws: Any) -> None:
    absent = {f"aws:{name}": "false" for name in ("SourceVpce", "SourceVpc", "VpcSourceIp", "VpceAccount")}
    conditions = [statement("Allow", "kms:ListKeys", Condition={"Null": {key: "false"}}) for key in absent]
    user = aws.new_user("u", {"Version": "2012-10-17", "Statement": conditions})
    denied(user.kms.list_keys)


def test_an_endpoint_policy_limits_whoever_comes_through(aws: Any, endpoints: Endpoints) -> None:
    """https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html"""
    only_listing = endpoints.make("kms", Policy=policy(statement("Allow", "kms:ListKeys", Principal="*")))
    never_listing = endpoints.make(
        "kms", Policy=policy(statement("Allow", "*", Principal="*"), statement("Deny", "kms:ListKeys", Principal="*"))
    )
    limited = endpoints.through(aws, endpoints.host(only_listing, "kms"))
    limited.kms.list_keys()
    assert "VPC endpoint policy" in denied(limited.kms.create_key)
    assert "explicit deny in a VPC endpoint policy" in denied(
        endpoints.through(aws, endpoints.host(never_listing, "kms")).kms.list_keys
    )
    aws.kms.list_keys()


def test_an_endpoint_policy_grants_nothing(aws: Any, endpoints: Endpoints) -> None:
    name = endpoints.make("kms", Policy=policy(statement("Allow", "*", Principal="*")))
    denied(endpoints.through(aws.new_user("u"), endpoints.host(name, "kms")).kms.list_keys)


def test_an_endpoint_for_the_principals_of_one_account(aws: Any, endpoints: Endpoints, freehold_server: Any) -> None:
    own = endpoints.make("kms", Policy=policy(statement("Allow", "*", Principal="*", Condition={
        "StringEquals": {"aws:PrincipalAccount": aws.account_id}})))  # fmt: skip
    endpoints.through(aws, endpoints.host(own, "kms")).kms.list_keys()
    stranger = freehold_server.new_account("stranger")
    denied(endpoints.through(stranger, endpoints.host(own, "kms")).kms.list_keys)


def test_an_endpoint_policy_names_users_by_what_they_are(aws: Any, endpoints: Endpoints) -> None:
    allow = {"Version": "2012-10-17", "Statement": [statement("Allow", "kms:ListKeys")]}
    user = aws.new_user("named", allow)
    arn = f"arn:aws:iam::{aws.account_id}:user/named"
    name = endpoints.make("kms", Policy=policy(statement("Allow", "*", Principal={"AWS": arn})))
    endpoints.through(user, endpoints.host(name, "kms")).kms.list_keys()
    denied(endpoints.through(aws.new_user("other", allow), endpoints.host(name, "kms")).kms.list_keys)


def test_a_service_does_not_go_through_its_callers_endpoint(aws: Any, endpoints: Endpoints) -> None:
    """S3 asks KMS on its own way: the endpoint's policy isn't about KMS, and its keys aren't there.

    https://docs.aws.amazon.com/kms/latest/developerguide/conditions-aws.html
    """
    bucket = bucket_of(aws)
    key = aws.kms.create_key()["KeyMetadata"]["Arn"]
    name = endpoints.make("s3", Policy=policy(statement("Allow", "s3:*", Principal="*")))
    inside = endpoints.through(aws, "bucket." + endpoints.host(name, "s3"))
    inside.s3.put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    assert inside.s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_an_endpoint_is_for_its_own_service_region_and_name(aws: Any, endpoints: Endpoints) -> None:
    name = endpoints.make("kms")
    for host in (
        endpoints.host(name, "sts"),
        endpoints.host("vpce-00000000", "kms"),
        f"{name}.kms.eu-west-1.vpce.localhost",
    ):
        message = denied(endpoints.through(aws, host).kms.list_keys)
        assert "VPC endpoint" in message
    assert "is not for sts" in denied(endpoints.through(aws, endpoints.host(name, "kms")).sts.get_caller_identity)


def test_an_endpoint_is_reached_from_its_networks_alone(aws: Any, endpoints: Endpoints) -> None:
    name = endpoints.make("kms", SourceNetworks=["10.0.0.0/8", "fd00::/8"])
    message = denied(endpoints.through(aws, endpoints.host(name, "kms")).kms.list_keys)
    assert "not reached from this network" in message


def test_a_deleted_endpoint_is_no_way_in(aws: Any, endpoints: Endpoints) -> None:
    name = endpoints.make("kms")
    inside = endpoints.through(aws, endpoints.host(name, "kms"))
    inside.kms.list_keys()
    endpoints.operator.delete_vpc_endpoint(VpcEndpointId=name)
    denied(inside.kms.list_keys)
    with pytest.raises(ClientError, match="ValidationException"):
        endpoints.operator.delete_vpc_endpoint(VpcEndpointId=name)


def test_a_changed_policy_holds_at_once(aws: Any, endpoints: Endpoints) -> None:
    name = endpoints.make("kms")
    inside = endpoints.through(aws, endpoints.host(name, "kms"))
    for _ in range(3):
        inside.kms.list_keys()
        endpoints.make("kms", VpcEndpointId=name, Policy=policy(statement("Deny", "*", Principal="*")))
        denied(inside.kms.list_keys)
        endpoints.make("kms", VpcEndpointId=name)


def test_anonymous_requests_go_through_the_policy_too(aws: Any, endpoints: Endpoints) -> None:
    from botocore import UNSIGNED

    bucket = bucket_of(aws)
    aws.s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    aws.s3.delete_public_access_block(Bucket=bucket)
    everyone = statement("Allow", "s3:GetObject", f"arn:aws:s3:::{bucket}/*", Principal="*")
    aws.s3.put_bucket_policy(Bucket=bucket, Policy=policy(everyone))
    unsigned = Config(signature_version=UNSIGNED)
    for text, reads in ((policy(everyone), True), (policy(statement("Deny", "s3:*", Principal="*")), False)):
        name = endpoints.make("s3", Policy=text)
        s3 = endpoints.through(aws, "bucket." + endpoints.host(name, "s3")).client("s3", config=unsigned)
        if reads:
            s3.get_object(Bucket=bucket, Key="k")
        else:
            denied(s3.get_object, Bucket=bucket, Key="k")


def test_names_that_no_endpoint_has_are_not_remembered() -> None:
    held: list[Any] = []

    class Remembering:
        def get(self, domain: str, key: Any, load: Any) -> Any:
            value = load(Nothing())
            held.append(value)
            return value

    class Nothing:
        def get(self, table: str, key: Any) -> None:
            return None

    directory = EndpointDirectory(Remembering())  # type: ignore[arg-type]
    host = "vpce-0a1b2c3d.kms.us-east-1.vpce.localhost"
    with pytest.raises(AwsError, match="There is no VPC endpoint"):
        directory.of(host, service="kms", region="us-east-1", source_ip="10.0.0.1")
    assert directory.of("localhost", service="kms", region="us-east-1", source_ip="10.0.0.1") is None
    assert held == []

"""VPC endpoints as the decision sees them: what a host name says, which keys follow, which address is inside."""

from __future__ import annotations

import pytest

from freehold.authorization.vpc_endpoint import MARK, HostName, VpcEndpoint, in_host, networks_test

ID = "vpce-0295a3caf8414c94a"
KMS = HostName(ID, "kms", "us-east-1")
S3 = HostName(ID, "s3", "eu-west-1")

HOSTS = [  # a Host header, what it says
    (f"{ID}.kms.us-east-1.vpce.amazonaws.com", KMS),
    (f"{ID}-dfm9tr04.kms.us-east-1.vpce.amazonaws.com", KMS),
    (f"{ID}-dfm9tr04-us-east-1a.kms.us-east-1.vpce.amazonaws.com", KMS),
    (f"{ID.upper()}.KMS.us-east-1.VPCE.localhost", KMS),
    (f"{ID}.kms.us-east-1.vpce.localhost:4566", KMS),
    ("vpce-01234567.kms.us-east-1.vpce.localhost", HostName("vpce-01234567", "kms", "us-east-1")),
    (f"bucket.{ID}.s3.eu-west-1.vpce.localhost", S3),
    (f"reports.2026.bucket.{ID}.s3.eu-west-1.vpce.localhost", S3),
    (f"{ID}.s3.eu-west-1.vpce." + "d" * (320 - len(f"{ID}.s3.eu-west-1.vpce.")), S3),
    (f"{ID}.s3.eu-west-1.vpce." + "d" * (321 - len(f"{ID}.s3.eu-west-1.vpce.")), None),
    ("kms.us-east-1.amazonaws.com", None),
    ("localhost:4566", None),
    ("", None),
    (f"{ID}.kms.us-east-1.vpce", None),
    (f"{ID}.kms.vpce.localhost", None),
    (f"{ID}.kms.us-east-1.vpce.localhost:", None),
    (f"{ID}.kms.us-east-1.vpce.localhost:80:80", None),
    (f"other.{ID}.kms.us-east-1.vpce.localhost", None),
    (f"x{ID}.kms.us-east-1.vpce.localhost", None),
    ("vpce-0123456.kms.us-east-1.vpce.localhost", None),
    ("vpce-012345678901234567.kms.us-east-1.vpce.localhost", None),
    ("vpce-0123456g.kms.us-east-1.vpce.localhost", None),
]


@pytest.mark.parametrize(("host", "said"), HOSTS)
def test_what_a_host_name_says(host: str, said: HostName | None) -> None:
    assert in_host(host) == said
    assert said is None or MARK in host.lower()


def test_each_key_of_a_request_through_an_endpoint() -> None:
    endpoint = VpcEndpoint(ID, "vpc-1a2b3c4d", "111122223333", "kms", "us-east-1", networks_test(("10.0.0.0/8",)))
    assert endpoint.policy is None
    assert endpoint.keys("10.1.2.3") == {
        "aws:sourcevpce": ID,
        "aws:sourcevpc": "vpc-1a2b3c4d",
        "aws:sourcevpcarn": "arn:aws:ec2:us-east-1:111122223333:vpc/vpc-1a2b3c4d",
        "aws:vpceaccount": "111122223333",
        "aws:vpcsourceip": "10.1.2.3",
    }


@pytest.mark.parametrize(
    ("address", "inside"),
    [("10.1.2.3", True), ("11.0.0.1", False), ("fd00::1", True), ("fe80::1", False), ("nowhere", False), ("", False)],
)
def test_an_address_is_inside_one_of_the_networks(address: str, inside: bool) -> None:
    assert networks_test(("10.0.0.0/8", "fd00::/8"))(address) is inside


@pytest.mark.parametrize("network", ["10.0.0.1/8", "10.0.0.0/33", "somewhere", ""])
def test_what_is_no_network_is_refused(network: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        networks_test(("10.0.0.0/8", network))

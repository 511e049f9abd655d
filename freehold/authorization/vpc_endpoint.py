"""VPC endpoints as the decision sees them: which condition keys a request has that came through one.

A request comes through the endpoint that its Host names. The header is signed, yet it is its sender who chose it: that
the sender is in the VPC is known from the networks that the endpoint is for, and from nothing else.

https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-sourcevpce
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from freehold.authorization import conditions
from freehold.authorization.match import Test
from freehold.authorization.policy_set import PolicySet

MARK: Final = ".vpce."
"""What every host name of an endpoint contains."""

_HOST = re.compile(
    r"(?:(?:.+\.)?bucket\.)?(vpce-[0-9a-f]{8,17})(?:-[a-z0-9-]{1,64})?\.([a-z0-9-]{1,64})\.([a-z0-9-]{1,32})\.vpce\.[^:]+"
    r"(?::\d+)?",
    re.ASCII,
)
"""`vpce-ID.SERVICE.REGION.vpce.DOMAIN`, and for S3 with `bucket.` or `NAME.bucket.` before it:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/privatelink-interface-endpoints.html"""
_MOST_HOST_CHARACTERS = 320


class HostName(NamedTuple):
    """What the host name of an endpoint says."""

    endpoint_id: str
    service: str
    region: str


def in_host(host: str) -> HostName | None:
    """The endpoint that a Host header names, None where it names none."""
    found = _HOST.fullmatch(host.lower()) if len(host) <= _MOST_HOST_CHARACTERS else None
    return None if found is None else HostName(found[1], found[2], found[3])


@dataclass(frozen=True, slots=True, eq=False)
class VpcEndpoint:
    """One endpoint, ready for use."""

    endpoint_id: str
    vpc_id: str
    account_id: str
    service: str
    region: str
    is_source: Test
    """Whether an address is in the networks from which the endpoint is reached."""
    policy: PolicySet | None = None
    """None: full access, as where no policy was given."""

    def keys(self, source_ip: str) -> dict[str, str]:
        """Its condition keys. There is no `aws:SourceIp` then."""
        return {
            "aws:sourcevpce": self.endpoint_id,
            "aws:sourcevpc": self.vpc_id,
            "aws:sourcevpcarn": f"arn:aws:ec2:{self.region}:{self.account_id}:vpc/{self.vpc_id}",
            "aws:vpceaccount": self.account_id,
            "aws:vpcsourceip": source_ip,
        }


def networks_test(networks: tuple[str, ...]) -> Test:
    """Whether an address is in one of `networks` (CIDR). Raises ValueError for what is none."""
    for text in networks:
        ipaddress.ip_network(text)
    build = conditions.OPERATORS["IpAddress"].build
    assert build is not None
    return build(networks)

"""VPC endpoints, kept by the operator as long as EC2 isn't served: which network they are for, and their policies.

A request comes through an endpoint when its Host is the endpoint's name. It is refused when there is no such endpoint,
when it is another service's or Region's, and when the request's source address is in none of the endpoint's networks.
https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec

from freehold.authorization import document, vpc_endpoint
from freehold.authorization.gather import denial
from freehold.authorization.policy_set import alone
from freehold.authorization.vpc_endpoint import VpcEndpoint
from freehold.services.freehold.accounts import operator_only
from freehold.services.freehold.errors import LimitExceededException, ValidationException
from freehold.services.iam import principals
from freehold.services.iam.records import ACCOUNTS
from freehold.services.operation import SERVED, Params, Result, operation
from freehold.storage.cache import Cache
from freehold.storage.records import Reader, Table

if TYPE_CHECKING:
    from freehold.services.call import Call

DEFAULT_PAGE: Final = 100
MOST_ENDPOINTS: Final = 10_000
_NOT_THROUGH_ENDPOINTS: Final = frozenset(("freehold", "kms-xks-proxy"))


class Endpoint(msgspec.Struct, array_like=True):
    vpc_id: str
    account_id: str
    service: str
    region: str
    networks: tuple[str, ...]
    created_at: int
    """Seconds since the epoch."""
    policy: str = ""
    """JSON with principals as unique ids; empty for full access."""


ENDPOINTS: Final = Table("vpc_endpoints", Endpoint, domain="endpoints")


class EndpointDirectory:
    """The endpoints by their host names: what the pipeline asks about a request."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def of(self, host: str, *, service: str, region: str, source_ip: str) -> VpcEndpoint | None:
        """The endpoint that a request came through, None where its host names none. Raises the service's refusal.

        `region`: the signature's; empty where the request has none that names one.
        """
        named = vpc_endpoint.in_host(host)
        if named is None:
            return None
        found: VpcEndpoint | None
        try:
            found = self._cache.get("endpoints", named.endpoint_id, lambda reader: _load(reader, named.endpoint_id))
        except KeyError:
            found = None
        if found is None or (found.service, found.region) != (named.service, named.region):
            raise denial(
                f"There is no VPC endpoint {named.endpoint_id} for {named.service} in {named.region}.", service
            )
        if found.service != service or region not in ("", found.region):
            raise denial(f"The VPC endpoint {named.endpoint_id} is not for {service} in {region}.", service)
        if not found.is_source(source_ip):
            raise denial(f"The VPC endpoint {found.endpoint_id} is not reached from this network.", service)
        return found


def _load(reader: Reader, endpoint_id: str) -> VpcEndpoint:
    record = ENDPOINTS.get(reader, (endpoint_id,))
    if record is None:
        # Raised, so that names that no endpoint has don't fill the cache: anyone can make them up.
        raise KeyError(endpoint_id)
    policy = (
        alone(document.parse(record.policy, "endpoint", origin=_arn(endpoint_id, record))) if record.policy else None
    )
    return VpcEndpoint(
        endpoint_id,
        record.vpc_id,
        record.account_id,
        record.service,
        record.region,
        vpc_endpoint.networks_test(record.networks),
        policy,
    )


def _arn(endpoint_id: str, record: Endpoint) -> str:
    return f"arn:aws:ec2:{record.region}:{record.account_id}:vpc-endpoint/{endpoint_id}"


def _shown(reader: Reader, endpoint_id: str, record: Endpoint) -> dict[str, Any]:
    shown = {
        "VpcEndpointId": endpoint_id,
        "VpcId": record.vpc_id,
        "AccountId": record.account_id,
        "ServiceName": f"com.amazonaws.{record.region}.{record.service}",
        "SourceNetworks": list(record.networks),
        "DnsName": f"{endpoint_id}.{record.service}.{record.region}.vpce.localhost",
        "CreatedAt": datetime.fromtimestamp(record.created_at, UTC),
    }
    if record.policy:
        shown["Policy"] = principals.to_arns(reader, record.policy)
    return shown


@operation("freehold.PutVpcEndpoint", permissions=operator_only("freehold:PutVpcEndpoint"), writes=True)
def put_vpc_endpoint(call: Call, params: Params) -> Result:
    """Make an endpoint, or replace the one of that id. A policy has at most 20,480 characters; without, full access.

    `SourceNetworks` are the addresses (CIDR) from which alone the endpoint can be reached.
    https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-access.html
    """
    tx = call.tx
    region, _, service = params["ServiceName"].removeprefix("com.amazonaws.").partition(".")
    if service not in SERVED or service in _NOT_THROUGH_ENDPOINTS:
        raise ValidationException(f"There are no VPC endpoints for the service {service}.")
    if region not in call.app.settings.regions:
        raise ValidationException(f"The Region {region} is not one of this deployment's.")
    if ACCOUNTS.get(tx, (params["AccountId"],)) is None:
        raise ValidationException(f"There is no account {params['AccountId']}.")
    networks = tuple(params["SourceNetworks"])
    try:
        vpc_endpoint.networks_test(networks)
    except ValueError as error:
        raise ValidationException(f"SourceNetworks holds what is no network: {error}") from None
    policy = ""
    if "Policy" in params:
        try:
            document.parse(params["Policy"], "endpoint")
            policy = principals.to_unique_ids(tx, params["Policy"])
        except document.MalformedPolicy as error:
            raise ValidationException(f"The policy is invalid: {error.message}") from None
        except principals.InvalidPrincipal as error:
            raise ValidationException(f"The policy names a principal that does not exist: {error.principal}") from None
    endpoint_id = params.get("VpcEndpointId") or f"vpce-{secrets.token_hex(9)[:17]}"
    present = ENDPOINTS.get(tx, (endpoint_id,))
    if present is None and sum(1 for _ in tx.scan(ENDPOINTS.name, limit=MOST_ENDPOINTS)) >= MOST_ENDPOINTS:
        raise LimitExceededException(f"There are {MOST_ENDPOINTS} VPC endpoints already.")
    created_at = int(call.now.timestamp()) if present is None else present.created_at
    record = Endpoint(params["VpcId"], params["AccountId"], service, region, networks, created_at, policy)
    ENDPOINTS.put(tx, (endpoint_id,), record)
    call.resources.append(("AWS::EC2::VPCEndpoint", _arn(endpoint_id, record)))
    return {"VpcEndpoint": _shown(tx, endpoint_id, record)}


@operation("freehold.ListVpcEndpoints", permissions=operator_only("freehold:ListVpcEndpoints"))
def list_vpc_endpoints(call: Call, params: Params) -> Result:
    """Endpoints by id. `NextToken` is the last id of the page before."""
    most = params.get("MaxResults", DEFAULT_PAGE)
    token = params.get("NextToken")
    reader = call.reader
    rows = ENDPOINTS.scan(reader, after=(token,) if token else None)
    page = list(islice(rows, most + 1))
    result: Result = {"VpcEndpoints": [_shown(reader, str(key[0]), record) for key, record in page[:most]]}
    if len(page) > most:
        result["NextToken"] = page[most - 1][0][0]
    return result


@operation("freehold.DeleteVpcEndpoint", permissions=operator_only("freehold:DeleteVpcEndpoint"), writes=True)
def delete_vpc_endpoint(call: Call, params: Params) -> Result:
    """Delete an endpoint: what is sent to its name is refused from then on, at every worker."""
    endpoint_id = params["VpcEndpointId"]
    record = ENDPOINTS.get(call.tx, (endpoint_id,))
    if record is None:
        raise ValidationException(f"There is no VPC endpoint {endpoint_id}.")
    ENDPOINTS.delete(call.tx, (endpoint_id,))
    call.resources.append(("AWS::EC2::VPCEndpoint", _arn(endpoint_id, record)))
    return {}

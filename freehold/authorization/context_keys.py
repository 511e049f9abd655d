"""The request context: which condition keys follow from the caller, from the request and from the permission.

Keys are looked up in lower case, as policies write them in any case. A `Context` gives None for a key that the request
does not have, and computes what is costly (dates) only when a policy asks for it.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from freehold.authorization.permission import ContextValue
from freehold.authorization.principal_element import Caller
from freehold.authorization.vpc_endpoint import VpcEndpoint
from freehold.message import Request

if TYPE_CHECKING:
    from freehold.authorization.gather import OrganizationPolicies

_PRINCIPAL_TYPES: Final = {
    "root": "Account",
    "user": "User",
    "role": "AssumedRole",
    "federated-user": "FederatedUser",
    "anonymous": "Anonymous",
}

_LISTED_IN_CALLED_VIA: Final = frozenset(
    ("athena", "backup", "cloud9", "cloudformation", "databrew", "dataexchange", "dynamodb", "imagebuilder", "kms",
     "mgn", "nimble", "omics", "ram", "robomaker", "servicecatalog-appregistry", "sqlworkbench", "ssm-guiconnect")
)  # fmt: skip
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-calledvia"""


class Context(dict[str, Any]):
    """The keys of one decision: the permission's, the request's, the caller's, in this order of precedence.

    Looked up with `[]`; what was found, or found missing (None), is kept.
    """

    __slots__ = ("_layers", "_mfa_at", "_organization_of", "_resource_account")

    def __init__(
        self,
        *layers: Mapping[str, Any],
        resource_account: str = "",
        mfa_at: int | None = None,
        organization_of: Callable[[str], OrganizationPolicies | None] | None = None,
    ) -> None:
        self._layers = layers
        self._resource_account = resource_account
        self._mfa_at = mfa_at
        self._organization_of = organization_of

    def __missing__(self, key: str) -> ContextValue | None:
        found: ContextValue | None = None
        for layer in self._layers:
            if key in layer:
                found = layer[key]
                break
        else:
            if key in COMPUTED:
                found = self._computed(key)
        self[key] = found
        return found

    def _computed(self, key: str) -> ContextValue | None:
        if key == "aws:resourceaccount":
            return self._resource_account or None
        if key == "aws:multifactorauthage":
            now = self["aws:epochtime"]
            if self._mfa_at is None or not isinstance(now, str):
                return None
            return str(max(0, int(now) - self._mfa_at))
        if key in _OF_ORGANIZATIONS:
            return self._of_organization(*_OF_ORGANIZATIONS[key])
        for layer in self._layers:
            if isinstance(layer, RequestKeys):
                return layer.time(key)
        return None

    def complete(self) -> dict[str, ContextValue]:
        """Every key that a policy could ask for, with its value: what the layers hold and what would be computed."""
        found: dict[str, ContextValue] = {}
        for layer in reversed(self._layers):
            found.update(layer)
        for key in COMPUTED if self._organization_of is not None else _OF_EVERY_REQUEST:
            value = self[key]
            if value is not None:
                found[key] = value
        return found

    @property
    def own(self) -> Mapping[str, ContextValue]:
        """The keys of this permission alone: what doesn't follow from the request and its caller."""
        return self._layers[0] if self._layers else {}

    def _of_organization(self, account_key: str, paths: bool) -> ContextValue | None:
        """The organization that the account in another key is in, or where in it the account is."""
        account_id = self[account_key]
        if self._organization_of is None or not isinstance(account_id, str):
            return None
        found = self._organization_of(account_id)
        if found is None or not found.organization_id:
            return None
        return (found.path,) if paths else found.organization_id


_OF_ORGANIZATIONS: Final = {
    "aws:principalorgid": ("aws:principalaccount", False),
    "aws:principalorgpaths": ("aws:principalaccount", True),
    "aws:resourceorgid": ("aws:resourceaccount", False),
    "aws:resourceorgpaths": ("aws:resourceaccount", True),
    "aws:sourceorgid": ("aws:sourceaccount", False),
    "aws:sourceorgpaths": ("aws:sourceaccount", True),
    "aws:vpceorgid": ("aws:vpceaccount", False),
    "aws:vpceorgpaths": ("aws:vpceaccount", True),
}
COMPUTED: Final = frozenset(
    ("aws:resourceaccount", "aws:multifactorauthage", "aws:currenttime", "aws:epochtime", *_OF_ORGANIZATIONS)
)


_OF_EVERY_REQUEST: Final = COMPUTED - _OF_ORGANIZATIONS.keys()


class RequestKeys(dict[str, ContextValue]):
    """The keys that follow from one request, and its time, which is written out when a policy asks for it."""

    __slots__ = ("now_seconds",)

    def __init__(self, now_seconds: float) -> None:
        self.now_seconds = now_seconds

    def time(self, key: str) -> str:
        """`aws:currenttime` or `aws:epochtime`."""
        seconds = int(self.now_seconds)
        return iso(seconds) if key == "aws:currenttime" else str(seconds)


def of_request(
    request: Request,
    *,
    region: str,
    now_seconds: float,
    via: tuple[str, ...] = (),
    endpoint: VpcEndpoint | None = None,
) -> RequestKeys:
    """The keys of a client's request; `via` are the services it came through, outermost first.

    `aws:SourceIp` is left out where a service calls on behalf of the caller, and where the request came through a VPC
    endpoint, as AWS does.
    """
    keys = RequestKeys(now_seconds)
    headers = request.headers
    keys["aws:securetransport"] = "true" if request.secure else "false"
    keys["aws:requestedregion"] = region
    agent = headers.get("user-agent")
    if agent is not None:
        keys["aws:useragent"] = agent
    referer = headers.get("referer")
    if referer is not None:
        keys["aws:referer"] = referer
    if not via:
        if endpoint is None:
            keys["aws:sourceip"] = request.source_ip
        else:
            keys.update(endpoint.keys(request.source_ip))
        keys["aws:viaawsservice"] = "false"
        return keys
    keys["aws:viaawsservice"] = "true"
    if "kms" not in via:
        keys["kms:viaservice"] = f"{via[-1]}.{region}.amazonaws.com"
    chain = tuple(f"{service}.amazonaws.com" for service in via if service in _LISTED_IN_CALLED_VIA)
    if chain:
        keys["aws:calledvia"] = chain
        keys["aws:calledviafirst"] = chain[0]
        keys["aws:calledvialast"] = chain[-1]
    return keys


def of_principal(who: Caller) -> dict[str, ContextValue]:
    """The keys that follow from the caller alone."""
    principal = who.principal
    keys: dict[str, ContextValue] = {}
    kind = who.kind
    if kind in _PRINCIPAL_TYPES:
        keys["aws:principaltype"] = _PRINCIPAL_TYPES[kind]
    if kind == "anonymous":
        keys["aws:principalaccount"] = "anonymous"
        keys["aws:userid"] = "anonymous"
        return keys
    keys["aws:principalisawsservice"] = "true" if kind == "service" else "false"
    if kind == "service":
        keys["aws:principalservicename"] = principal.name
        keys["aws:principalservicenameslist"] = (principal.name,)
    elif kind == "federated":
        keys["aws:federatedprovider"] = principal.name
    elif who.account_id:
        keys["aws:principalarn"] = (principal.issuer_arn or principal.arn) if kind == "role" else principal.arn
        keys["aws:principalaccount"] = who.account_id
        keys["kms:calleraccount"] = who.account_id
        if principal.unique_id:
            keys["aws:userid"] = principal.unique_id
        if kind == "user":
            keys["aws:username"] = principal.name
    session = principal.session
    if session is not None:
        keys["aws:tokenissuetime"] = iso(session.issued_at)
        keys["aws:multifactorauthpresent"] = "true" if session.mfa_at is not None else "false"
        if session.source_identity:
            keys["aws:sourceidentity"] = session.source_identity
    for tag, value in principal.tags:
        keys[f"aws:principaltag/{tag.lower()}"] = value
    for key, extra in principal.extra_context.items():
        keys[key.lower()] = tuple(extra) if isinstance(extra, list | tuple) else str(extra)
    return keys


def iso(seconds: int) -> str:
    """A time as condition keys write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

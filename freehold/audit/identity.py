"""CloudTrail's `userIdentity`: who made a call, by kind of principal; prepared once per principal.

https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import orjson

from freehold.authorization.principal import Principal

_MOST_HELD: Final = 20_000

TYPES: Final = {
    "root": "Root",
    "user": "IAMUser",
    "role": "AssumedRole",
    "federated-user": "FederatedUser",
    "federated": "WebIdentityUser",
    "service": "AWSService",
    "anonymous": "AWSAccount",
    "operator": "Operator",
}
"""By kind of principal. `Operator` is Freehold's own."""

_ISSUER_TYPES: Final = {"role": "Role", "federated-user": "IAMUser"}


class Identity:
    """`whole`: for the caller's own account. `from_outside`: all that another account gets to see of the caller."""

    __slots__ = ("from_outside", "principal", "whole")

    def __init__(self, principal: Principal, invoked_by: str) -> None:
        # Held, so that its id cannot be given to another object meanwhile.
        self.principal = principal
        whole = of(principal)
        outside = {"type": "AWSAccount", "principalId": principal.unique_id, "accountId": principal.account_id}
        if invoked_by:
            whole["invokedBy"] = outside["invokedBy"] = invoked_by
        self.whole = orjson.Fragment(orjson.dumps(whole))
        self.from_outside = orjson.Fragment(orjson.dumps(outside))


_held: dict[tuple[int, str], Identity] = {}


def identity(principal: Principal, invoked_by: str) -> Identity:
    """The identity of a principal, whose call came through the service `invoked_by` unless that is empty."""
    key = (id(principal), invoked_by)
    held = _held.get(key)
    if held is None or held.principal is not principal:
        if len(_held) >= _MOST_HELD:
            _held.clear()
        held = _held[key] = Identity(principal, invoked_by)
    return held


def unknown(access_key_id: str) -> dict[str, Any]:
    """Whoever could not be authenticated; the access key id is what the request claimed."""
    return {"type": "Unknown", "principalId": "", "accessKeyId": access_key_id}


def of(principal: Principal) -> dict[str, Any]:
    if principal.kind == "service":
        return {"type": "AWSService", "invokedBy": principal.name}
    if principal.kind == "anonymous":
        return {"type": "AWSAccount", "principalId": "", "accountId": "anonymous"}
    shown: dict[str, Any] = {"type": TYPES[principal.kind], "principalId": principal.unique_id}
    if principal.kind == "federated":
        return shown | _federated(principal)
    shown |= {"arn": principal.arn, "accountId": principal.account_id, "accessKeyId": principal.access_key_id}
    if principal.kind in ("user", "operator"):
        shown["userName"] = principal.name
    if principal.session is not None:
        shown["sessionContext"] = _session(principal)
    return shown


def _federated(principal: Principal) -> dict[str, Any]:
    """Whom an identity provider vouches for. SAML's providers are named by the hash that their users' names are in."""
    said = principal.extra_context
    if ":saml-provider/" in principal.name:
        names = {"userName": said.get("saml:sub", ""), "identityProvider": said.get("saml:namequalifier", "")}
        return {"type": "SAMLUser"} | names
    subject = next((value for key, value in said.items() if key.endswith(":sub")), principal.unique_id)
    return {"userName": subject, "identityProvider": principal.name}


def _session(principal: Principal) -> dict[str, Any]:
    session = principal.session
    assert session is not None
    issued = datetime.fromtimestamp(session.issued_at, UTC)
    context: dict[str, Any] = {
        "attributes": {
            "creationDate": f"{issued:%Y-%m-%dT%H:%M:%SZ}",
            "mfaAuthenticated": "false" if session.mfa_at is None and not session.assumed_with_mfa else "true",
        }
    }
    issuer_type = _ISSUER_TYPES.get(principal.kind)
    if issuer_type is not None:
        of_root = principal.issuer_arn.endswith(":root")
        context["sessionIssuer"] = {
            "type": "Root" if of_root else issuer_type,
            "principalId": session.issuer_unique_id,
            "arn": principal.issuer_arn,
            "accountId": principal.account_id,
        }
        if not of_root:
            context["sessionIssuer"]["userName"] = principal.issuer_arn.rpartition("/")[2]
    if session.kind == "assume-root":
        context["assumedRoot"] = "true"
    if session.source_identity:
        context["sourceIdentity"] = session.source_identity
    provider = principal.extra_context.get("aws:federatedprovider", "")
    if provider and ":saml-provider/" not in provider:
        said = {key: value for key, value in principal.extra_context.items() if key != "aws:federatedprovider"}
        context["webIdFederationData"] = {"federatedProvider": provider, "attributes": said}
    return context

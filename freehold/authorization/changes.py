"""A candidate for the smallest change (`remedy.py`), in words and as data; and what all kinds of them are made with.

The kinds are in `allowing.py`, `narrowing.py` and `asking.py`. They come smallest first: what opens nothing else before
what opens more, which a `warning` then says. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from freehold.authorization.situation import Document, Situation, compiled
from freehold.authorization.statement import Policy

Candidate = tuple["Change", Situation]

NAMES: Final = {
    "identity": "identity-based policy",
    "boundary": "permissions boundary",
    "session": "session policy",
    "scp": "service control policy",
    "rcp": "resource control policy",
    "endpoint": "VPC endpoint policy",
    "resource": "resource-based policy",
    "key": "key policy",
    "trust": "role trust policy",
    "request": "request",
}
SHARED: Final = {
    "boundary": "everyone whose permissions boundary this is gains it as a possibility",
    "scp": "every principal of the accounts under it gains it as a possibility",
    "rcp": "it holds for the resources of every account under it",
    "endpoint": "it holds for everything that goes through the endpoint",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One edit. `statements` replace or join those of `policy`; `document` is the whole policy afterwards."""

    policy_type: str
    """A key of `NAMES`."""
    policy: str
    """The policy's ARN or name; empty for a new one and for a change of the request."""
    edit: str
    """new-policy, replace-policy (AWS's by one of one's own), detach-policy, add-statement, extend-resource,
    narrow-deny, exempt-principal, remove-statement, ask-differently."""
    words: str
    statements: tuple[Mapping[str, Any], ...] = ()
    replaces: Mapping[str, Any] | None = None
    document: Mapping[str, Any] | None = None
    context: Mapping[str, Any] | None = None
    """The condition keys that the request would have had."""
    warning: str = ""

    def as_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value not in ("", None, ())}


def is_aws_managed(one: Document) -> bool:
    """Whether AWS owns the document: customers attach and detach it, and never edit it."""
    return one.origin.startswith(("arn:aws:iam::aws:", "arn:aws:organizations::aws:"))


def is_service_linked(arn: str) -> bool:
    """Whether the role is a service's own: neither its policies nor its trust policy are the customer's to edit."""
    return ":role/aws-service-role/" in arn


def is_services_own(current: Situation, one: Document | None) -> bool:
    """Whether only a service may edit the resource's policy: its role's trust policy, an AWS managed key's policy."""
    if current.kind == "trust":
        return is_service_linked(current.resource)
    return current.kind == "key" and one is not None and str(one.parsed().get("Id", "")).startswith("auto-")


def literal(resource: str) -> str:
    """A name as a policy writes it, where a star would mean anything. What stands for all of a service's resources
    (`arn:aws:s3:::*`) is written as it is."""
    if resource in ("", "*"):
        return "*"
    if is_all_of_a_service(resource):
        return resource
    return re.sub(r"\$(?=\{)|[*?]", lambda found: f"${{{found[0]}}}", resource)


def is_all_of_a_service(resource: str) -> bool:
    return resource.split(":", 5)[5:] == ["*"]


def what(current: Situation) -> str:
    return current.action + (f" on {current.resource}" if current.resource not in ("", "*") else "")


def whom(current: Situation) -> str:
    principal = current.principal
    if principal.kind == "anonymous":
        return "everyone"
    return (principal.issuer_arn if principal.kind == "role" else principal.arn) or principal.name


def listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def is_pattern(text: str) -> bool:
    return any(sign in text for sign in "*?$")


def statements_of(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    return listed(raw["Statement"])


def document_of(current: Situation, policy: Policy) -> Document | None:
    """The document that a policy was compiled from."""
    for one in _documents(current):
        if compiled(one) is policy:
            return one
    return None


def _documents(current: Situation) -> Iterator[Document]:
    yield from current.identity
    yield from current.session or ()
    for level in (*current.scps, *current.rcps):
        yield from level
    for one in (current.boundary, current.endpoint, current.resource_policy):
        if one is not None:
            yield one


def put(current: Situation, one: Document, changed: Document | None) -> Situation:
    """The situation with a document changed wherever it is, or gone (None)."""

    def each(documents: tuple[Document, ...]) -> tuple[Document, ...]:
        changed_each = ((changed if held is one else held) for held in documents)
        return tuple(held for held in changed_each if held is not None)

    def single(held: Document | None) -> Document | None:
        return changed if held is one else held

    return replace(
        current,
        identity=each(current.identity),
        session=None if current.session is None else each(current.session),
        scps=tuple(map(each, current.scps)),
        rcps=tuple(map(each, current.rcps)),
        boundary=single(current.boundary),
        endpoint=single(current.endpoint),
        resource_policy=single(current.resource_policy),
    )

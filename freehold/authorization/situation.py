"""One decision with everything that it was made from, as data: to be kept, shown, changed and made again.

`decide.Decision` holds compiled policies and lives as long as its call. A `Situation` holds the documents instead, so
that it can be read a day later, and made again with one document changed (`remedy.py`, `comparison.py`). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import orjson

from freehold.authorization import document
from freehold.authorization.context_keys import Context
from freehold.authorization.decide import Decision, Kind, Policies, Request, decide
from freehold.authorization.document import Policy, PolicyType
from freehold.authorization.permission import ContextValue, Grant
from freehold.authorization.policy_set import PolicySet, alone
from freehold.authorization.principal import Principal
from freehold.authorization.principal_element import caller


@dataclass(frozen=True, slots=True)
class Document:
    """One policy as text. `origin` is its ARN, the name of an inline policy, or the ARN of what it is attached to."""

    type: PolicyType
    origin: str
    text: str

    def parsed(self) -> dict[str, Any]:
        """The document as JSON, a new value at each call."""
        found: dict[str, Any] = document.load_json(self.text)
        return found

    def with_json(self, raw: Mapping[str, Any]) -> Document:
        return replace(self, text=orjson.dumps(raw).decode())


@dataclass(frozen=True, slots=True)
class Situation:
    """Who asked for what, the context, and every document that applied. `scps` and `rcps` are levels, root first."""

    principal: Principal
    action: str
    resource: str
    account_id: str
    """The resource's owner."""
    kind: Kind = "resource"
    context: Mapping[str, ContextValue] = field(default_factory=dict)
    """All condition keys, in lower case, those of the caller and the time included."""
    identity: tuple[Document, ...] = ()
    boundary: Document | None = None
    session: tuple[Document, ...] | None = None
    """None where no session policy was passed."""
    scps: tuple[tuple[Document, ...], ...] = ()
    rcps: tuple[tuple[Document, ...], ...] = ()
    endpoint: Document | None = None
    resource_policy: Document | None = None
    grants: tuple[Grant, ...] = ()
    encryption_context: Mapping[str, str] | None = None
    default_allow: bool = False
    management_account: bool = False
    resource_in_management_account: bool = False

    def decision(self) -> Decision:
        """The decision, made anew. Raises MalformedPolicy for a document that cannot be understood."""
        policies = Policies(
            _set(self.identity),
            None if self.boundary is None else alone(compiled(self.boundary)),
            None if self.session is None else _set(self.session),
            tuple(_set(level) for level in self.scps),
            tuple(_set(level) for level in self.rcps),
            None if self.endpoint is None else alone(compiled(self.endpoint)),
            management_account=self.management_account,
            resource_in_management_account=self.resource_in_management_account,
        )
        request = Request(
            caller(self.principal),
            self.action,
            self.resource,
            self.account_id,
            Context(self.context, resource_account=self.account_id),
            self.kind,
            None if self.resource_policy is None else alone(compiled(self.resource_policy)),
            self.grants,
            self.encryption_context,
            self.default_allow,
        )
        return decide(request, policies)


def _set(documents: tuple[Document, ...]) -> PolicySet:
    return PolicySet(compiled(one) for one in documents)


@lru_cache(maxsize=2048)
def compiled(one: Document) -> Policy:
    """The compiled policy, the same object for the same document. Raises MalformedPolicy."""
    return document.parse(one.text, one.type, origin=one.origin, resource_optional=True)

"""The authorizer: gathers the policies that apply to a call, decides, and raises the service's own refusal.

What is costly is made once and kept: the caller's names and condition keys per principal object, the set of
identity-based policies per `IdentityPolicies` object, session policies by their text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from freehold.authorization import decide as deciding
from freehold.authorization import document, explain
from freehold.authorization.context_keys import Context, of_principal
from freehold.authorization.decide import Decision, Policies, Request
from freehold.authorization.document import MalformedPolicy, Policy
from freehold.authorization.permission import ContextValue, Permission
from freehold.authorization.policy_set import PolicySet, alone
from freehold.authorization.principal import Principal
from freehold.authorization.principal_element import caller
from freehold.errors import AccessDeniedException, AwsError, aws_error

if TYPE_CHECKING:
    from freehold.services.call import Call

AccessDenied = aws_error("AccessDenied", 403, "Access Denied")
AccessForbiddenException = aws_error("AccessDeniedException", 403, "Access Denied")

_JSON_SERVICES: Final = frozenset(("cloudtrail", "cognito-identity", "freehold", "kms", "organizations"))
"""Services whose protocol answers a refusal with AccessDeniedException (400)."""

_REST_JSON_SERVICES: Final = frozenset(("iam-toolbox", "kms-xks-proxy"))
"""Services whose protocol answers it with AccessDeniedException (403)."""

_MOST_CALLERS: Final = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class IdentityPolicies:
    """The identity-based policies of a principal (inline, attached, of its groups) and its permissions boundary.

    Give the same object for as long as nothing changed: what is compiled from it is kept with it.
    """

    identity: tuple[Policy, ...] = ()
    boundary: Policy | None = None
    _compiled: list[Any] = field(default_factory=list, repr=False)

    def sets(self) -> tuple[PolicySet, PolicySet | None]:
        if not self._compiled:
            self._compiled.append((PolicySet(self.identity), None if self.boundary is None else alone(self.boundary)))
        compiled: tuple[PolicySet, PolicySet | None] = self._compiled[0]
        return compiled


class IdentitySource(Protocol):
    """Where a principal's policies come from. Read anew for every decision: cache behind it."""

    def identity(self, principal: Principal) -> IdentityPolicies: ...


@dataclass(frozen=True, slots=True, eq=False)
class OrganizationPolicies:
    """What an organization puts on one account: a set per level, from the root down to the account.

    Give the same object for as long as nothing changed: what was gathered with it is kept.
    """

    scps: tuple[PolicySet, ...] = ()
    rcps: tuple[PolicySet, ...] = ()
    is_management_account: bool = False
    organization_id: str = ""
    path: str = ""
    """The entity path of the account's parent, as `aws:PrincipalOrgPaths` holds it: `o-…/r-…/ou-…/`."""
    is_closed: bool = False
    """Whether the account was closed: what is in it can't be reached by anyone."""


class OrganizationSource(Protocol):
    """Which organization an account is in; None outside of any. Asked anew for every decision: cache behind it."""

    def of_account(self, account_id: str) -> OrganizationPolicies | None: ...


class Denials(Protocol):
    """Where the details of denials are kept."""

    def told(self, call: Call, decision: Decision) -> str:
        """Keep a denial's details; what its message then says of them, after a full stop, or nothing. Never raises."""
        ...


class _Known:
    """What was worked out about one principal object."""

    __slots__ = ("identity", "keys", "mfa_at", "policies", "principal", "who", "within")

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.who = caller(principal)
        self.keys = of_principal(self.who)
        self.mfa_at = None if principal.session is None else principal.session.mfa_at
        self.identity: IdentityPolicies | None = None
        self.policies = Policies(deciding.NO_POLICIES)
        self.within: tuple[Policies, OrganizationPolicies | None, OrganizationPolicies | None, Policies] | None = None
        """`policies`, the organization's of the caller and of the resource, and the three together."""


class Authorizer:
    """Decides about calls. Safe to use from any thread."""

    def __init__(
        self,
        identity_source: IdentitySource,
        *,
        organization_source: OrganizationSource | None = None,
        denials: Denials | None = None,
    ) -> None:
        self._identity_source = identity_source
        self._organization_source = organization_source
        self._denials = denials
        self._callers: dict[int, _Known] = {}

    def decide(self, call: Call, permission: Permission) -> Decision:
        """The decision on one permission of a call. Explained only when someone asks (`explain`)."""
        decision = self.decide_for(call.principal, call.context, permission, endpoint=call.endpoint)
        call.decisions.append(decision)
        return decision

    def require(self, call: Call, permission: Permission) -> None:
        """Raise the service's access-denied error with the reason in AWS's words, unless it is allowed."""
        decision = self.decide(call, permission)
        if decision.result != "allow":
            text = explain.message_to_caller(decision)
            if self._denials is not None and not explain.is_hidden(decision):
                text += self._denials.told(call, decision)
            raise denial(text, call.operation.service)

    def decide_for(
        self,
        principal: Principal,
        request_keys: Mapping[str, ContextValue],
        permission: Permission,
        *,
        endpoint: PolicySet | None = None,
    ) -> Decision:
        """As `decide`, without a call: `request_keys` are the request's condition keys, in lower case; `endpoint` is
        the policy of the VPC endpoint that it came through."""
        known = self._callers.get(id(principal))
        if known is None or known.principal is not principal:
            known = self._meet(principal)
        account_id = permission.account_id
        resource_policy = permission.resource_policy
        source = self._organization_source
        request = Request(
            known.who,
            permission.action,
            permission.resource,
            account_id,
            Context(
                permission.context,
                request_keys,
                known.keys,
                resource_account=account_id,
                mfa_at=known.mfa_at,
                organization_of=None if source is None else source.of_account,
            ),
            permission.kind,
            None if resource_policy is None else alone(resource_policy),
            permission.grants,
            permission.encryption_context,
            permission.default_allow,
        )
        policies = self._policies(known, permission)
        if endpoint is not None:
            policies = replace(policies, endpoint=endpoint)
        return deciding.decide(request, policies)

    def _policies(self, known: _Known, permission: Permission) -> Policies:
        who = known.who
        if who.account_id or who.kind == "operator":
            identity_policies = self._identity_source.identity(known.principal)
            if identity_policies is not known.identity:
                identity, boundary = identity_policies.sets()
                session = known.principal.session
                passed = None if session is None or session.policies is None else session_set(session.policies)
                known.policies = Policies(identity, boundary, passed)
                known.identity = identity_policies
        source = self._organization_source
        return known.policies if source is None else _within_organization(source, known, permission.account_id)

    def _meet(self, principal: Principal) -> _Known:
        known = _Known(principal)
        if len(self._callers) >= _MOST_CALLERS:
            self._callers.clear()
        # The principal is held with what is known, so that its id cannot be given to another object meanwhile.
        self._callers[id(principal)] = known
        return known


def _within_organization(source: OrganizationSource, known: _Known, resource_account: str) -> Policies:
    """The caller's policies with those of its organization, and of the organization that has the resource."""
    account_id, policies = known.who.account_id, known.policies
    of_caller = source.of_account(account_id) if account_id else None
    if resource_account == account_id:
        of_resource = of_caller
    else:
        of_resource = source.of_account(resource_account) if resource_account else None
    if of_caller is None and of_resource is None:
        return policies
    within = known.within
    if within is not None and within[0] is policies and within[1] is of_caller and within[2] is of_resource:
        return within[3]
    together = replace(policies)
    if of_caller is not None:
        together.scps = of_caller.scps
        together.management_account = of_caller.is_management_account
    if of_resource is not None:
        together.rcps = of_resource.rcps
        together.resource_in_management_account = of_resource.is_management_account
        together.resource_account_closed = of_resource.is_closed
    known.within = (policies, of_caller, of_resource, together)
    return together


def refusal(decision: Decision, service: str) -> AwsError:
    """The error with which a service refuses."""
    return denial(explain.message_to_caller(decision), service)


def denial(text: str, service: str) -> AwsError:
    """The service's access-denied error with a text of its own."""
    if service in _JSON_SERVICES:
        return AccessDeniedException(text)
    return AccessForbiddenException(text) if service in _REST_JSON_SERVICES else AccessDenied(text)


@lru_cache(maxsize=4096)
def session_set(texts: tuple[str, ...]) -> PolicySet:
    """Session policies, compiled. One that can't be understood allows nothing."""
    policies = []
    for text in texts:
        try:
            policies.append(document.parse(text, "session"))
        except MalformedPolicy:
            return PolicySet(())
    return PolicySet(policies)

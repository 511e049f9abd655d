"""A simulated request, decided by the engine that decides real ones, and what the simulator tells of it.

Pure: policies and context keys in, decisions with their statements out. What AWS leaves out of a simulation is left out
here as well: policies of resources that aren't given, session policies, resource control policies.
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_testing-policies.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from freehold.authorization import context_keys, decide
from freehold.authorization.context_keys import Context
from freehold.authorization.decide import Decision, Kind, Policies
from freehold.authorization.document import Policy, Statement
from freehold.authorization.permission import ContextValue
from freehold.authorization.policy_set import PolicySet, alone
from freehold.authorization.positions import Position, statement_positions
from freehold.authorization.principal import Principal
from freehold.authorization.principal_element import Caller, Named, caller

IDENTITY: Final = "IAM Policy"
RESOURCE: Final = "Resource Policy"
BOUNDARY: Final = "Permissions Boundary Policy"
ORGANIZATION: Final = "Service Control Policy"

RESULTS: Final = {"allow": "allowed", "implicitDeny": "implicitDeny", "explicitDeny": "explicitDeny"}
_STRICTNESS: Final = ("allowed", "implicitDeny", "explicitDeny")


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """One policy of a simulation: what results call it, and its text, for the places of its statements."""

    policy: Policy
    source_id: str
    source_type: str
    text: str

    def positions(self) -> list[tuple[Position, Position]]:
        return statement_positions(self.text)


@dataclass(slots=True)
class Situation:
    """Everything that the requests of one simulation have in common."""

    who: Principal | None
    """None for a caller who isn't named: no key follows from it."""
    account_id: str
    """The caller's."""
    identity: list[Source]
    boundary: Source | None = None
    resource_policies: Mapping[Kind, Source] = field(default_factory=dict)
    """The given resource policy, as each kind of request reads it."""
    levels: tuple[PolicySet, ...] = ()
    """The SCPs that apply, from the organization's root down."""
    scp_sources: list[Source] = field(default_factory=list)
    """Those of them that were given as text, and may be told of."""
    in_organization: bool = False
    management_account: bool = False
    owner_account_id: str = ""
    """The owner of resources whose ARN names none."""
    entries: Mapping[str, ContextValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._caller = caller(self.who or Principal("user", self.account_id))
        self._keys = {} if self.who is None else context_keys.of_principal(self._caller)
        self._set = PolicySet(source.policy for source in self.identity)

    _caller: Caller = field(init=False, repr=False)
    _keys: dict[str, ContextValue] = field(init=False, repr=False)
    _set: PolicySet = field(init=False, repr=False)

    def known(self, key: str) -> bool:
        """Whether a context key has a value in this simulation."""
        lower = key.lower()
        return lower in self.entries or lower in self._keys or lower in ("aws:resourceaccount",)

    def sources(self) -> Iterator[Source]:
        yield from self.identity
        if self.boundary is not None:
            yield self.boundary
        yield from dict.fromkeys(self.resource_policies.values())
        yield from self.scp_sources

    def simulate(self, action: str, resource: str, kind: Kind) -> Simulated:
        """The decision on `action` on `resource` (an ARN, or `*`)."""
        owner = account_in(resource) or self.owner_account_id or self.account_id
        attached = self.resource_policies.get(kind)
        context = Context(self.entries, self._keys, resource_account=owner)
        request = decide.Request(
            self._caller,
            action,
            resource,
            owner,
            context,
            kind if attached is not None else "resource",
            None if attached is None else alone(attached.policy),
        )
        policies = Policies(
            self._set,
            None if self.boundary is None else alone(self.boundary.policy),
            scps=self.levels,
            management_account=self.management_account,
        )
        return Simulated(self, decide.decide(request, policies), attached)


@dataclass(frozen=True, slots=True)
class Simulated:
    """One decision of a simulation."""

    situation: Situation
    decision: Decision
    resource_policy: Source | None

    @property
    def result(self) -> str:
        return RESULTS[self.decision.result]

    @property
    def across_accounts(self) -> bool:
        return self.decision.request.account_id != self.situation.account_id

    def matched(self) -> list[tuple[Source, Statement]]:
        """The statements that determine the result: what denies, else what allows; none where nothing does."""
        if self.decision.result == "implicitDeny":
            return []
        effect = "Deny" if self.decision.result == "explicitDeny" else "Allow"
        found = []
        for source in self.situation.identity:
            found += self._applying(source, effect)
        if self.resource_policy is not None:
            found += self._applying(self.resource_policy, effect)
        if effect == "Deny":
            # What limits an allow doesn't give it, so it is told where it denies.
            if self.situation.boundary is not None:
                found += self._applying(self.situation.boundary, effect)
            if not self._beyond_organizations:
                for source in self.situation.scp_sources:
                    found += self._applying(source, effect)
        return found

    def _applying(self, source: Source, effect: str) -> list[tuple[Source, Statement]]:
        request = self.decision.request
        lower = request.action.lower()
        has_boundary = self.situation.boundary is not None
        return [
            (source, statement)
            for statement in source.policy.statements
            if statement.effect == effect
            and statement.action_test(lower)
            and _means(statement, request.who, has_boundary)
            and statement.applies(request.resource, request.context)
        ]

    def verdict_of(self, sources: Iterable[Source]) -> str:
        """What some policies say on their own."""
        found = list(sources)
        for effect, verdict in (("Deny", "explicitDeny"), ("Allow", "allowed")):
            if any(self._applying(source, effect) for source in found):
                return verdict
        return "implicitDeny"

    @property
    def _beyond_organizations(self) -> bool:
        return self.situation.management_account or self.decision.request.who.service_linked

    def allowed_by_boundary(self) -> bool | None:
        boundary = self.situation.boundary
        return None if boundary is None else self.verdict_of([boundary]) == "allowed"

    def allowed_by_organization(self) -> bool | None:
        """Whether every level of the organization allows the request; None outside of one."""
        situation, request = self.situation, self.decision.request
        if not situation.in_organization:
            return None
        if self._beyond_organizations:
            return True
        verdicts = [level.verdict(request.action, request.resource, request.context) for level in situation.levels]
        return all(denied is None and allowed is not None for denied, allowed in verdicts)

    def details(self) -> dict[str, str] | None:
        """What each type of policy says, of a request across accounts that the organization doesn't stop."""
        if self.allowed_by_organization() is False:
            return None
        if not self.across_accounts:
            return {}
        told = {IDENTITY: self.verdict_of(self.situation.identity)}
        told[RESOURCE] = self.verdict_of([] if self.resource_policy is None else [self.resource_policy])
        if self.situation.boundary is not None:
            told[BOUNDARY] = self.verdict_of([self.situation.boundary])
        return told


def _means(statement: Statement, who: Caller, has_boundary: bool) -> bool:
    principal = statement.principal
    if principal is None:
        return True
    if statement.effect == "Allow":
        return principal.names_for_allow(who) is not Named.NOT
    return principal.denies(who, has_boundary=has_boundary)


def strictest(results: Iterable[str]) -> str:
    """The most restrictive of some results."""
    return max(results, key=_STRICTNESS.index)


def account_in(resource: str) -> str:
    """The account that a resource's ARN names; empty where it names none."""
    parts: list[Any] = resource.split(":", 5)
    return parts[4] if len(parts) == 6 and len(parts[4]) == 12 and parts[4].isdigit() else ""

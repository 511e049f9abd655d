"""Where decisions learn what an organization puts on an account: service and resource control policies by level.

Kept while nothing of any organization changes, in any worker. Levels are compiled once and shared by the accounts
below them. A policy type that isn't enabled takes no part; a level of an enabled type without a policy allows nothing.
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html
"""

from __future__ import annotations

from functools import lru_cache

from freehold.authorization import document
from freehold.authorization.document import MalformedPolicy, Policy, PolicyType
from freehold.authorization.gather import OrganizationPolicies
from freehold.authorization.policy_set import PolicySet
from freehold.services.iam.records import ACCOUNTS
from freehold.services.organizations import attached, names, tree
from freehold.services.organizations.records import ORGANIZATIONS, Organization
from freehold.storage.cache import Cache
from freehold.storage.records import Reader

SCP, RCP = "SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY"
_CLOSED = OrganizationPolicies(is_closed=True)
_NOTHING = {
    "scp": '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}',
    "rcp": '{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}',
}
"""In place of a policy that can't be understood: fail closed."""


class _NoSuchAccount(Exception):
    """Raised, so that ids that no account has don't fill the cache."""


class Organizations:
    """The authorizer's `OrganizationSource`. Safe to use from any thread."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def of_account(self, account_id: str) -> OrganizationPolicies | None:
        """The same object while nothing changes; None for an account of no organization."""
        try:
            return self._cache.get("organizations", account_id, lambda reader: self._load(reader, account_id))
        except _NoSuchAccount:
            return None

    def _load(self, reader: Reader, account_id: str) -> OrganizationPolicies | None:
        account = ACCOUNTS.get(reader, (account_id,))
        if account is None:
            raise _NoSuchAccount
        organization = tree.organization_of(reader, account_id)
        if organization is None:
            return _CLOSED if account.closed_at else None
        nodes = tree.levels(reader, organization, account_id)
        return OrganizationPolicies(
            self._sets(organization, nodes, SCP, "scp"),
            self._sets(organization, nodes, RCP, "rcp"),
            is_management_account=account_id == organization.management_account_id,
            organization_id=organization.organization_id,
            path="/".join((organization.organization_id, *nodes[:-1], "")),
            is_closed=bool(account.closed_at),
        )

    def _sets(
        self, organization: Organization, nodes: list[str], policy_type: str, kind: PolicyType
    ) -> tuple[PolicySet, ...]:
        if policy_type not in organization.policy_types:
            return ()
        of = organization.organization_id
        return tuple(
            self._cache.get(
                "organizations",
                (of, node, kind),
                lambda reader, node=node: _level(reader, of, node, policy_type, kind),  # type: ignore[misc]
            )
            for node in nodes
        )


def _level(reader: Reader, organization_id: str, node_id: str, policy_type: str, kind: PolicyType) -> PolicySet:
    organization = ORGANIZATIONS.get(reader, (organization_id,))
    if organization is None:
        return PolicySet((compiled("", "", kind),))
    return PolicySet(
        compiled(names.policy_of(organization.management_account_id, policy), policy.content, kind)
        for policy in attached.policies_on(reader, organization_id, node_id, policy_type)
    )


@lru_cache(maxsize=10_000)
def compiled(arn: str, content: str, kind: PolicyType) -> Policy:
    """A policy's content, compiled once. One that can't be understood denies everything."""
    try:
        return document.parse(content, kind, origin=arn)
    except MalformedPolicy:
        return document.parse(_NOTHING[kind], kind, origin=arn)

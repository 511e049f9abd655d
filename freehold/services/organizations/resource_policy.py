"""The organization's resource policy: what member accounts may do that is else the management account's alone.

It can delegate reading, and the management of policies and tags (`DELEGABLE`); nothing that moves accounts or changes
the policy itself. Refuses actions that there aren't, and resources that can't be this organization's.
https://docs.aws.amazon.com/organizations/latest/userguide/orgs-policy-delegate-update.html
"""

from __future__ import annotations

import importlib
from typing import Final

from freehold.authorization import document, match
from freehold.authorization.document import MalformedPolicy, Policy
from freehold.services.call import Call
from freehold.services.iam.principals import InvalidPrincipal, to_arns, to_unique_ids
from freehold.services.operation import REGISTRY, Params, Result
from freehold.services.organizations import names, tagging
from freehold.services.organizations.authorized import DELEGABLE, current, on, organizations, request_tags
from freehold.services.organizations.errors import ResourcePolicyNotFound, constraint, invalid_input
from freehold.services.organizations.records import RESOURCE_POLICIES, Organization, ResourcePolicy
from freehold.storage.records import Reader

_KINDS: Final = ("account", "handshake", "organization", "ou", "policy", "resourcepolicy", "root")


def _on_policy(reader: Reader, organization: Organization, params: Params) -> tuple[str, str]:
    kept = RESOURCE_POLICIES.get(reader, (organization.organization_id,))
    policy_id = "*" if kept is None else kept.policy_id
    return names.resource_policy(organization, policy_id), "" if kept is None else policy_id


def _shown(call: Call, organization: Organization, kept: ResourcePolicy) -> Result:
    arn = names.resource_policy(organization, kept.policy_id)
    content = to_arns(call.reader, kept.content)
    return {"ResourcePolicy": {"ResourcePolicySummary": {"Id": kept.policy_id, "Arn": arn}, "Content": content}}


@organizations(
    "PutResourcePolicy",
    on("PutResourcePolicy", "management", _on_policy, request_tags, makes="resourcepolicy"),
    writes=True,
)
def put_resource_policy(call: Call, params: Params) -> Result:
    """At most 40,000 characters. Users and roles that it names must exist and are kept by their unique ids."""
    tx, organization, text = call.tx, current(call), params["Content"]
    if not organization.all_features:
        raise constraint("ORGANIZATION_NOT_IN_ALL_FEATURES_MODE")
    tags = tagging.checked(params.get("Tags") or [])
    try:
        _check(document.parse(text, "resource"), organization)
        content = to_unique_ids(tx, text)
    except MalformedPolicy as error:
        raise invalid_input("INVALID_RESOURCE_POLICY_JSON", error.message) from None
    except InvalidPrincipal as error:
        raise invalid_input("INVALID_PRINCIPAL", str(error)) from None
    before = RESOURCE_POLICIES.get(tx, (organization.organization_id,))
    kept = ResourcePolicy(
        policy_id=names.new_resource_policy_id() if before is None else before.policy_id, content=content
    )
    RESOURCE_POLICIES.put(tx, (organization.organization_id,), kept)
    tagging.add(tx, organization, kept.policy_id, tags)
    return _shown(call, organization, kept)


def _check(policy: Policy, organization: Organization) -> None:
    """Raises InvalidInputException, MalformedPolicy.

    What isn't named can't be delegated, so NotAction and NotResource are refused, as AWS does since June 2026.
    """
    delegable = {f"organizations:{name.lower()}" for name in DELEGABLE}
    served, unserved = (actions - delegable for actions in _actions())
    for statement in policy.statements:
        if statement.not_actions or statement.not_resources:
            raise MalformedPolicy("NotAction and NotResource are not supported in a resource policy.")
        principal = statement.principal
        if principal is None or principal.inverted or principal.everyone or principal.every_aws:
            raise invalid_input("INVALID_PRINCIPAL")
        if principal.services or principal.federated or principal.canonical:
            raise invalid_input("INVALID_PRINCIPAL")
        named = [action.lower() for action in statement.actions]
        if not all(any(_covers(action, one) for one in delegable | served | unserved) for action in named):
            raise invalid_input("UNSUPPORTED_ACTION_IN_RESOURCE_POLICY")
        if statement.effect == "Allow" and (
            any(statement.action_test(action) for action in served) or any(action in unserved for action in named)
        ):
            raise invalid_input("UNSUPPORTED_ACTION_IN_RESOURCE_POLICY")
        if not all(_may_be_here(resource, organization) for resource in statement.resources):
            raise invalid_input("UNSUPPORTED_RESOURCE_IN_RESOURCE_POLICY")


def _covers(named: str, action: str) -> bool:
    return match.text_test(match.parse(named, variables=False))(action)


def _may_be_here(resource: str, organization: Organization) -> bool:
    """Whether it can name something of Organizations under this management account, or a policy of AWS's."""
    if resource == "*":
        return True
    parts = resource.split(":", 5)
    if len(parts) != 6 or parts[:4] != ["arn", "aws", "organizations", ""]:
        return False
    if parts[4] == "aws":
        return parts[5].startswith("policy/")
    kind, _, rest = parts[5].partition("/")
    at = rest.partition("/")[0]
    return (
        parts[4] == organization.management_account_id
        and kind in _KINDS
        and (at == organization.organization_id or "*" in at or "?" in at or "$" in at)
    )


def _actions() -> tuple[frozenset[str], frozenset[str]]:
    """The actions of Organizations in lower case: those that are served, and those that aren't. Of the latter none can
    be named, but a pattern such as `organizations:List*` may cover them: there is nothing that it could allow."""
    package = importlib.import_module("freehold.services.organizations")
    served = (name.partition(".")[2] for name in REGISTRY if name.startswith("organizations."))
    return (
        frozenset(f"organizations:{name.lower()}" for name in served),
        frozenset(f"organizations:{name.lower()}" for name in package.NOT_IMPLEMENTED),
    )


@organizations("DescribeResourcePolicy", on("DescribeResourcePolicy", "reader", _on_policy))
def describe_resource_policy(call: Call, params: Params) -> Result:
    """The policy, with principals as ARNs."""
    organization = current(call)
    kept = RESOURCE_POLICIES.get(call.reader, (organization.organization_id,))
    if kept is None:
        raise ResourcePolicyNotFound()
    return _shown(call, organization, kept)


@organizations("DeleteResourcePolicy", on("DeleteResourcePolicy", "management", _on_policy), writes=True)
def delete_resource_policy(call: Call, params: Params) -> None:
    """What it delegated ends at once."""
    organization = current(call)
    kept = RESOURCE_POLICIES.get(call.tx, (organization.organization_id,))
    if kept is None:
        raise ResourcePolicyNotFound()
    RESOURCE_POLICIES.delete(call.tx, (organization.organization_id,))
    tagging.forget(call.tx, organization, kept.policy_id)

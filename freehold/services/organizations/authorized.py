"""How Organizations' operations are declared: whose accounts may call them, on which ARN, with which condition keys.

The management account owns the organization: its callers need a permission of their own account. Of a member
account's callers, what any member may do needs the same; what a registered delegated administrator may read, too; all
else is another account's, so that the organization's resource policy has to let them in as well. And what was
authorized is what is changed: inside the transaction the permissions are worked out again.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsorganizations.html
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_delegate_policies.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from freehold.authorization.document import Policy
from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.iam import policies_of, service_linked
from freehold.services.operation import Handler, Params, Permissions, Result, operation
from freehold.services.organizations import attached, names, tree
from freehold.services.organizations.errors import ConcurrentModification, NotInUse, access_denied_for_dependency
from freehold.services.organizations.records import (
    ADMINISTRATORS,
    RESOURCE_POLICIES,
    TAGS,
    Organization,
    Since,
)
from freehold.storage.records import Reader

Who = Literal["management", "reader", "member"]
"""Beside the management account: nobody (but see DELEGABLE), delegated administrators, any member account."""

Target = Callable[[Reader, Organization, Params], tuple[str, str]]
"""The ARN that an operation is on, and the id under which its tags are kept (empty for none)."""

Keys = Callable[[Reader, Organization, Params], dict[str, Any]]

DELEGABLE = frozenset(
    (
        *("AttachPolicy", "CreatePolicy", "DeletePolicy", "DetachPolicy", "UpdatePolicy"),
        *("EnablePolicyType", "DisablePolicyType", "TagResource", "UntagResource"),
        *("DescribeAccount", "DescribeCreateAccountStatus", "DescribeEffectivePolicy", "DescribeHandshake"),
        *("DescribeOrganization", "DescribeOrganizationalUnit", "DescribePolicy", "DescribeResourcePolicy"),
        *("ListAccounts", "ListAccountsForParent", "ListAWSServiceAccessForOrganization", "ListChildren"),
        *("ListAccountsWithInvalidEffectivePolicy", "ListEffectivePolicyValidationErrors"),
        *("ListCreateAccountStatus", "ListDelegatedAdministrators", "ListDelegatedServicesForAccount"),
        *("ListHandshakesForAccount", "ListHandshakesForOrganization", "ListOrganizationalUnitsForParent"),
        *("ListParents", "ListPolicies", "ListPoliciesForTarget", "ListRoots", "ListTagsForResource"),
        *("ListTargetsForPolicy",),
    )
)
"""What the resource policy may let member accounts do."""

SERVICE = "organizations.amazonaws.com"
"""The service principal of Organizations, which has a service-linked role in every account of an organization."""


def organizations(
    name: str, permissions: Permissions, *, writes: bool = False, refuses: tuple[str, ...] = ()
) -> Callable[[Handler], Handler]:
    """`operation`, with what was authorized held against what is there when it's written."""

    def gated(call: Call, params: Params) -> list[Permission]:
        call.prepared = permissions(call, params)
        needed: list[Permission] = call.prepared
        return needed

    def declare(handler: Handler) -> Handler:
        def unchanged(call: Call, params: Params) -> Result | None:
            if permissions(call, params) != call.prepared:
                raise ConcurrentModification()
            return handler(call, params)

        unchanged.__doc__ = handler.__doc__
        unchanged.__module__ = handler.__module__
        operation(f"organizations.{name}", permissions=gated, writes=writes, refuses=refuses)(
            unchanged if writes else handler
        )
        return handler

    return declare


def current(call: Call) -> Organization:
    """The caller's organization. Raises AWSOrganizationsNotInUseException."""
    found = tree.organization_of(call.reader, call.account_id)
    if found is None:
        raise NotInUse()
    return found


def on(action: str, who: Who, target: Target | None = None, *keys: Keys, makes: str = "") -> Permissions:
    """The action on one target (or on all, `*`). `makes`: the kind in the ARN of what it makes, which may have tags."""
    return on_each(action, who, (target,), *keys, makes=makes)


def on_each(action: str, who: Who, targets: tuple[Target | None, ...], *keys: Keys, makes: str = "") -> Permissions:
    """The action on each of several targets, such as a policy and what it's attached to."""

    def permissions(call: Call, params: Params) -> list[Permission]:
        reader = call.reader
        organization = tree.organization_of(reader, call.account_id)
        if organization is None:
            return [Permission(f"organizations:{action}", "*", call.account_id)]
        common: dict[str, Any] = {}
        for more in keys:
            common |= more(reader, organization, params)
        needed = []
        for target in targets:
            arn, tagged = ("*", "") if target is None else target(reader, organization, params)
            context = common | _resource_tags(reader, organization, tagged)
            needed.append(permission(call, organization, action, who, arn, context))
        if makes and params.get("Tags"):
            # Tags decide about access: who may not add them later may not give them at birth either.
            needed.append(permission(call, organization, "TagResource", who, _every(organization, makes), common))
        return needed

    return permissions


def permission(
    call: Call, organization: Organization, action: str, who: Who, arn: str, context: dict[str, Any]
) -> Permission:
    """The permission of one caller: in its own account, or in the management account's."""
    name, reader = f"organizations:{action}", call.reader
    management = organization.management_account_id
    if call.account_id == management or who == "member":
        return Permission(name, arn, call.account_id, context)
    if who == "reader" and _is_administrator(reader, organization, call.account_id):
        return Permission(name, arn, call.account_id, context)
    policy = _resource_policy(reader, organization) if action in DELEGABLE else None
    return Permission(name, arn, management, context, policy)


def _is_administrator(reader: Reader, organization: Organization, account_id: str) -> bool:
    rows = ADMINISTRATORS.scan(reader, (organization.organization_id, account_id), limit=1)
    return next(iter(rows), None) is not None


def is_administrator_of(reader: Reader, organization: Organization, account_id: str, service: str) -> Since | None:
    """Since when the account is a delegated administrator for one service, None when it isn't."""
    return ADMINISTRATORS.get(reader, (organization.organization_id, account_id, service))


def _resource_policy(reader: Reader, organization: Organization) -> Policy | None:
    kept = RESOURCE_POLICIES.get(reader, (organization.organization_id,))
    if kept is None:
        return None
    return policies_of.compiled(names.resource_policy(organization, kept.policy_id), kept.content, "resource")


def may_have_linked_role_made(call: Call) -> None:
    """Raises AccessDeniedForDependencyException unless the caller may have the service-linked role made.

    https://docs.aws.amazon.com/organizations/latest/userguide/orgs_integrate_services.html
    """
    if call.transaction is not None:
        return
    if not call.may(service_linked.creation(call, SERVICE)).allowed:
        raise access_denied_for_dependency()


# Targets


def the_organization(reader: Reader, organization: Organization, params: Params) -> tuple[str, str]:
    return names.organization(organization), ""


def node(member: str) -> Target:
    """The root, unit or account that a parameter names."""

    def target(reader: Reader, organization: Organization, params: Params) -> tuple[str, str]:
        node_id = params[member]
        return names.node(organization, node_id), node_id

    return target


def policy(reader: Reader, organization: Organization, params: Params) -> tuple[str, str]:
    """The policy of `PolicyId`."""
    policy_id = params["PolicyId"]
    found = attached.policy(reader, organization, policy_id)
    if found is None:
        return _every(organization, "policy"), ""
    return names.policy_of(organization.management_account_id, found), policy_id


def _every(organization: Organization, kind: str) -> str:
    """What has no id yet, or isn't there."""
    return f"{names.organization(organization).replace(':organization/', f':{kind}/')}/*"


# Condition keys


def request_tags(reader: Reader, organization: Organization, params: Params) -> dict[str, Any]:
    tags = params.get("Tags") or []
    if not tags:
        return {}
    context: dict[str, Any] = {f"aws:requesttag/{tag['Key'].lower()}": tag["Value"] for tag in tags}
    context["aws:tagkeys"] = tuple(tag["Key"] for tag in tags)
    return context


def untagged_keys(reader: Reader, organization: Organization, params: Params) -> dict[str, Any]:
    return {"aws:tagkeys": tuple(params["TagKeys"])} if params["TagKeys"] else {}


def type_of_policy(reader: Reader, organization: Organization, params: Params) -> dict[str, Any]:
    """`organizations:PolicyType`, which the request names or the policy has."""
    named = params.get("PolicyType") or params.get("Type") or params.get("Filter")
    if named is None:
        found = attached.policy(reader, organization, params["PolicyId"])
        named = None if found is None else found.type
    return {} if named is None else {"organizations:policytype": named}


def service_principal(reader: Reader, organization: Organization, params: Params) -> dict[str, Any]:
    named = params.get("ServicePrincipal")
    return {} if named is None else {"organizations:serviceprincipal": named}


def _resource_tags(reader: Reader, organization: Organization, resource_id: str) -> dict[str, Any]:
    if not resource_id:
        return {}
    kept = TAGS.get(reader, (organization.organization_id, resource_id))
    return {} if kept is None else {f"aws:resourcetag/{key.lower()}": value for key, value in kept.tags.items()}

"""Which services a policy gives access to, and ListPoliciesGrantingServiceAccess.

Permissions policies alone count: boundaries, resources' and organizations' policies don't, as AWS documents. A service
is granted when some action of it that the service reference knows is allowed and not denied without any condition.
https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListPoliciesGrantingServiceAccess.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from freehold.authorization import service_reference
from freehold.authorization.document import Policy, Statement
from freehold.services.call import Call
from freehold.services.iam import pages, policies_of
from freehold.services.iam.errors import InvalidInput
from freehold.services.iam.policy_sources import Named, in_thread, on_source, require_at
from freehold.services.iam.records import User
from freehold.services.operation import Params, Result, operation
from freehold.storage.records import Reader


def granted(policies: Sequence[Policy]) -> list[str]:
    """The prefixes of the services that some policies together give access to, in their order."""
    return [prefix for prefix in service_reference.names() if grants(policies, prefix)]


def grants(policies: Iterable[Policy], prefix: str) -> bool:
    """Whether some policies together give access to a service."""
    about = [one for policy in policies for one in policy.statements if one.vendors is None or prefix in one.vendors]
    allows = [one for one in about if one.effect == "Allow"]
    denies = [one for one in about if one.effect == "Deny" and not one.conditions and one.resource_test is None]
    if not allows:
        return False
    if not denies and any(_surely(one, prefix) for one in allows):
        return True
    service = service_reference.service(prefix)
    return service is not None and any(
        any(one.action_test(name) for one in allows) and not any(one.action_test(name) for one in denies)
        for name in (f"{prefix}:{action}" for action in service.actions)
    )


def _surely(statement: Statement, prefix: str) -> bool:
    """Whether a statement covers a service without looking at the service's actions."""
    if statement.not_actions:
        return not any(action == "*" or action.lower().startswith(f"{prefix}:") for action in statement.actions)
    return any(action == "*" or action.lower() == f"{prefix}:*" for action in statement.actions)


def _list(call: Call, params: Params) -> Result:
    reader = call.reader
    entity = require_at(reader, call.account_id, params["Arn"])
    namespaces = set(params["ServiceNamespaces"])
    unknown = sorted(namespaces - service_reference.names().keys())
    if unknown:
        raise InvalidInput(f"{unknown[0]} is not a service namespace.")
    owners: list[Named] = [entity]
    if isinstance(entity, User):
        owners.extend(policies_of.groups_of(reader, entity))

    def show(prefix: str) -> dict[str, Any]:
        shown = [each for owner in owners for each in _granting(reader, owner, prefix)]
        return {"ServiceNamespace": prefix, "Policies": shown}

    return pages.page_of_texts(params, "PoliciesGrantingServiceAccess", namespaces, show)


@operation(
    "iam.ListPoliciesGrantingServiceAccess",
    permissions=on_source("ListPoliciesGrantingServiceAccess"),
    prepare=in_thread(_list),
)
def list_policies_granting_service_access(call: Call, params: Params) -> Result:
    """For each of at most 200 services, the policies of a user (and its groups), group or role that give access to it.

    A service without such a policy is listed with none. Each policy is looked at on its own.
    """
    result: Result = call.prepared
    return result


def _granting(reader: Reader, owner: Named, prefix: str) -> list[dict[str, str]]:
    found = [
        {"PolicyName": name, "PolicyType": "INLINE", "EntityType": owner.kind.upper(), "EntityName": owner.name}
        for name, text in owner.inline.items()
        if grants([policies_of.compiled(name, text)], prefix)
    ]
    found += [
        {"PolicyName": arn.rpartition("/")[2], "PolicyType": "MANAGED", "PolicyArn": arn}
        for arn in owner.attached
        if grants([policies_of.managed(reader, arn)], prefix)
    ]
    return found

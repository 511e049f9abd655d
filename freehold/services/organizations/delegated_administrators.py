"""Delegated administrators: member accounts that administer a service for the organization.

Such an account may read what the organization is; what else it may do is the service's matter.
https://docs.aws.amazon.com/organizations/latest/APIReference/API_RegisterDelegatedAdministrator.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from freehold.services.call import Call
from freehold.services.operation import Params, Result
from freehold.services.organizations import members, names, pages, service_access, shapes, tree
from freehold.services.organizations.authorized import current, node, on, organizations, service_principal
from freehold.services.organizations.errors import (
    AccountAlreadyRegistered,
    AccountNotRegistered,
    constraint,
)
from freehold.services.organizations.records import ADMINISTRATORS, Membership, Organization, Since
from freehold.storage.records import Reader

_TYPE = "AWS::Organizations::Account"

MOST_OF_A_SERVICE: Final = {
    "access-analyzer.amazonaws.com": 1,
    "cloudtrail.amazonaws.com": 3,
    "config-multiaccountsetup.amazonaws.com": 3,
    "config.amazonaws.com": 3,
    "detective.amazonaws.com": 1,
    "guardduty.amazonaws.com": 1,
    "inspector2.amazonaws.com": 1,
    "macie.amazonaws.com": 1,
    "member.org.stacksets.cloudformation.amazonaws.com": 5,
    "securityhub.amazonaws.com": 1,
    "sso.amazonaws.com": 1,
}
"""How many administrators a service takes: there is no quota of Organizations', each service has its own, and these are
those that their user guides name.
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_integrate_services_list.html"""


@organizations(
    "RegisterDelegatedAdministrator",
    on("RegisterDelegatedAdministrator", "management", node("AccountId"), service_principal),
    writes=True,
)
def register_delegated_administrator(call: Call, params: Params) -> None:
    """A member account that isn't closed; trusted access of the service must be enabled. Some services take one
    administrator, or a few (`MOST_OF_A_SERVICE`)."""
    tx, organization, account_id = call.tx, current(call), params["AccountId"]
    service = params["ServicePrincipal"]
    service_access.require_service(service)
    tree.require_member(tx, organization, account_id)
    if not organization.all_features:
        raise constraint("ORGANIZATION_NOT_IN_ALL_FEATURES_MODE")
    if account_id == organization.management_account_id:
        raise constraint("CANNOT_REGISTER_MASTER_AS_DELEGATED_ADMINISTRATOR")
    if not members.is_open(tx, account_id):
        raise constraint("CANNOT_REGISTER_SUSPENDED_ACCOUNT_AS_DELEGATED_ADMINISTRATOR")
    if not service_access.is_enabled(tx, organization, service):
        raise constraint("SERVICE_ACCESS_NOT_ENABLED")
    key = (organization.organization_id, account_id, service)
    if ADMINISTRATORS.get(tx, key) is not None:
        raise AccountAlreadyRegistered()
    _refuse_too_many(tx, organization, service)
    ADMINISTRATORS.put(tx, key, Since(at=int(call.app.clock.now_seconds())))
    call.resources.append((_TYPE, names.account(organization, account_id)))


def _refuse_too_many(reader: Reader, organization: Organization, service: str) -> None:
    most = MOST_OF_A_SERVICE.get(service)
    if most is None:
        return
    registered = sum(key[2] == service for key, _ in ADMINISTRATORS.scan(reader, (organization.organization_id,)))
    if registered >= most:
        raise constraint(
            "DELEGATED_ADMINISTRATOR_EXISTS_FOR_THIS_SERVICE"
            if most == 1
            else "MAX_DELEGATED_ADMINISTRATORS_FOR_SERVICE_LIMIT_EXCEEDED"
        )


@organizations(
    "DeregisterDelegatedAdministrator",
    on("DeregisterDelegatedAdministrator", "management", node("AccountId"), service_principal),
    writes=True,
)
def deregister_delegated_administrator(call: Call, params: Params) -> None:
    """What the account might do for the service ends at once."""
    tx, organization, account_id = call.tx, current(call), params["AccountId"]
    tree.require_member(tx, organization, account_id)
    key = (organization.organization_id, account_id, params["ServicePrincipal"])
    if ADMINISTRATORS.get(tx, key) is None:
        raise AccountNotRegistered()
    ADMINISTRATORS.delete(tx, key)
    call.resources.append((_TYPE, names.account(organization, account_id)))


@organizations("ListDelegatedAdministrators", on("ListDelegatedAdministrators", "reader", None, service_principal))
def list_delegated_administrators(call: Call, params: Params) -> Result:
    """The accounts that are delegated administrators, of any service or of one."""
    reader, organization, wanted = call.reader, current(call), params.get("ServicePrincipal")

    def found() -> Iterator[tuple[str, tuple[Membership, int]]]:
        since: dict[str, int] = {}
        for key, one in ADMINISTRATORS.scan(reader, (organization.organization_id,)):
            if wanted in (None, key[2]):
                since[str(key[1])] = min(one.at, since.get(str(key[1]), one.at))
        for account_id, at in since.items():
            yield account_id, (tree.require_member(reader, organization, account_id), at)

    def show(one: tuple[Membership, int]) -> dict[str, Any]:
        account = shapes.account(reader, organization, one[0])
        del account["Paths"]
        return account | {"DelegationEnabledDate": shapes.date(one[1])}

    return pages.page(params, "DelegatedAdministrators", found(), show)


@organizations("ListDelegatedServicesForAccount", on("ListDelegatedServicesForAccount", "reader", node("AccountId")))
def list_delegated_services_for_account(call: Call, params: Params) -> Result:
    """The services that an account administers."""
    reader, organization, account_id = call.reader, current(call), params["AccountId"]
    tree.require_member(reader, organization, account_id)
    rows = list(ADMINISTRATORS.scan(reader, (organization.organization_id, account_id)))
    if not rows:
        raise AccountNotRegistered()
    found = ((str(key[2]), (str(key[2]), since)) for key, since in rows)
    return pages.page(
        params,
        "DelegatedServices",
        found,
        lambda one: {"ServicePrincipal": one[0], "DelegationEnabledDate": shapes.date(one[1].at)},
    )

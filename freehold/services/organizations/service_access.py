"""Trusted access: which services may work with the organization.

What a service then may do is its own matter; IAM's centralized root access needs `iam.amazonaws.com` here.
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_integrate_services.html
"""

from __future__ import annotations

from freehold.services.call import Call
from freehold.services.iam import service_principals
from freehold.services.operation import Params, Result
from freehold.services.organizations import pages, shapes
from freehold.services.organizations.authorized import current, on, organizations, service_principal
from freehold.services.organizations.errors import constraint, invalid_input
from freehold.services.organizations.records import SERVICE_ACCESS, Organization, Since
from freehold.storage.records import Reader


def require_service(name: str) -> None:
    if not service_principals.exists(name):
        raise invalid_input("UNRECOGNIZED_SERVICE_PRINCIPAL")


def is_enabled(reader: Reader, organization: Organization, service: str) -> bool:
    return SERVICE_ACCESS.get(reader, (organization.organization_id, service)) is not None


@organizations(
    "EnableAWSServiceAccess", on("EnableAWSServiceAccess", "management", None, service_principal), writes=True
)
def enable_aws_service_access(call: Call, params: Params) -> None:
    """Enabling again changes nothing. Needs all features."""
    organization, service = current(call), params["ServicePrincipal"]
    require_service(service)
    if not organization.all_features:
        raise constraint("ORGANIZATION_NOT_IN_ALL_FEATURES_MODE")
    if not is_enabled(call.tx, organization, service):
        now = int(call.app.clock.now_seconds())
        SERVICE_ACCESS.put(call.tx, (organization.organization_id, service), Since(at=now))


@organizations(
    "DisableAWSServiceAccess", on("DisableAWSServiceAccess", "management", None, service_principal), writes=True
)
def disable_aws_service_access(call: Call, params: Params) -> None:
    """Disabling what isn't enabled changes nothing. Delegated administrators stay registered."""
    organization, service = current(call), params["ServicePrincipal"]
    require_service(service)
    SERVICE_ACCESS.delete(call.tx, (organization.organization_id, service))


@organizations("ListAWSServiceAccessForOrganization", on("ListAWSServiceAccessForOrganization", "reader"))
def list_aws_service_access_for_organization(call: Call, params: Params) -> Result:
    """The enabled services, by name."""
    rows = SERVICE_ACCESS.scan(call.reader, (current(call).organization_id,))
    found = ((str(key[1]), (str(key[1]), since)) for key, since in rows)
    return pages.page(
        params,
        "EnabledServicePrincipals",
        found,
        lambda one: {"ServicePrincipal": one[0], "DateEnabled": shapes.date(one[1].at)},
    )

"""Centralized root access: what an organization's management account may do about its members' root users.

Two features, each switched for the whole organization: managing root credentials, and privileged sessions. Both need
trusted access for IAM in Organizations; STS gives the sessions (AssumeRoot) and asks here whether it may.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_root-enable-root-access.html
"""

from __future__ import annotations

from freehold.errors import aws_error
from freehold.services.call import Call
from freehold.services.iam.authorized import iam, on_account
from freehold.services.iam.root_tasks import CREDENTIALS, FEATURES, SESSIONS
from freehold.services.operation import Params, Result
from freehold.services.organizations import service_access, tree
from freehold.services.organizations.records import ADMINISTRATORS, ORGANIZATIONS, Organization
from freehold.storage.records import Reader

_SERVICE = "iam.amazonaws.com"

AccountNotManagementOrDelegatedAdministrator = aws_error(
    "AccountNotManagementOrDelegatedAdministratorException",
    400,
    "The account is neither the organization's management account nor a delegated administrator for IAM.",
)
CallerIsNotManagementAccount = aws_error(
    "CallerIsNotManagementAccountException", 400, "The account is not the organization's management account."
)
OrganizationNotFound = aws_error("OrganizationNotFoundException", 400, "The account is in no organization.")
OrganizationNotInAllFeaturesMode = aws_error(
    "OrganizationNotInAllFeaturesModeException", 400, "The organization does not have all features enabled."
)
ServiceAccessNotEnabled = aws_error(
    "ServiceAccessNotEnabledException", 400, "Trusted access is not enabled for IAM in the organization."
)


def administered(reader: Reader, account_id: str) -> Organization:
    """The organization whose root access an account administers. Raises why it administers none."""
    organization = tree.organization_of(reader, account_id)
    if organization is None:
        raise OrganizationNotFound
    delegated = ADMINISTRATORS.get(reader, (organization.organization_id, account_id, _SERVICE))
    if account_id != organization.management_account_id and delegated is None:
        raise AccountNotManagementOrDelegatedAdministrator
    if not organization.all_features:
        raise OrganizationNotInAllFeaturesMode
    if not service_access.is_enabled(reader, organization, _SERVICE):
        raise ServiceAccessNotEnabled
    return organization


def _shown(organization: Organization) -> Result:
    enabled = [feature for feature in FEATURES if feature in organization.features]
    return {"OrganizationId": organization.organization_id, "EnabledFeatures": enabled}


def _enable(call: Call, feature: str) -> Result:
    """The management account alone enables. Enabling again changes nothing."""
    organization = administered(call.tx, call.account_id)
    if call.account_id != organization.management_account_id:
        raise CallerIsNotManagementAccount
    if feature not in organization.features:
        organization.features = [*organization.features, feature]
        ORGANIZATIONS.put(call.tx, (organization.organization_id,), organization)
    return _shown(organization)


def _disable(call: Call, feature: str) -> Result:
    """Disabling what isn't enabled changes nothing. Sessions that were given run out, 15 minutes at most."""
    organization = administered(call.tx, call.account_id)
    if feature in organization.features:
        organization.features = [held for held in organization.features if held != feature]
        ORGANIZATIONS.put(call.tx, (organization.organization_id,), organization)
    return _shown(organization)


@iam(
    "EnableOrganizationsRootCredentialsManagement",
    on_account("EnableOrganizationsRootCredentialsManagement"),
    writes=True,
)
def enable_organizations_root_credentials_management(call: Call, params: Params) -> Result:
    """Let members' root credentials be looked at, deleted, and begun anew, by AssumeRoot."""
    return _enable(call, CREDENTIALS)


@iam("EnableOrganizationsRootSessions", on_account("EnableOrganizationsRootSessions"), writes=True)
def enable_organizations_root_sessions(call: Call, params: Params) -> Result:
    """Let privileged tasks be done in members, such as unlocking a bucket's policy, by AssumeRoot."""
    return _enable(call, SESSIONS)


@iam(
    "DisableOrganizationsRootCredentialsManagement",
    on_account("DisableOrganizationsRootCredentialsManagement"),
    writes=True,
)
def disable_organizations_root_credentials_management(call: Call, params: Params) -> Result:
    """No more sessions for members' root credentials."""
    return _disable(call, CREDENTIALS)


@iam("DisableOrganizationsRootSessions", on_account("DisableOrganizationsRootSessions"), writes=True)
def disable_organizations_root_sessions(call: Call, params: Params) -> Result:
    """No more sessions for privileged tasks."""
    return _disable(call, SESSIONS)


@iam("ListOrganizationsFeatures", on_account("ListOrganizationsFeatures"))
def list_organizations_features(call: Call, params: Params) -> Result:
    """What of centralized root access is enabled; for the management account and delegated administrators."""
    return _shown(administered(call.reader, call.account_id))

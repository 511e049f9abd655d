"""What keeps Organizations' service-linked role in an account: being in an organization.

https://docs.aws.amazon.com/organizations/latest/userguide/orgs_integrate_services.html
"""

from __future__ import annotations

from freehold.services.iam.records import Role
from freehold.services.iam.service_linked import Usage, uses_service_linked_role
from freehold.services.organizations import names, tree
from freehold.storage.records import Reader

_REGION = "us-east-1"
"""Where Organizations, which has no Region, is said to be."""


@uses_service_linked_role("organizations.amazonaws.com")
def membership(reader: Reader, role: Role) -> Usage:
    """The account, while it is a member."""
    organization = tree.organization_of(reader, role.account_id)
    return {} if organization is None else {_REGION: [names.account(organization, role.account_id)]}

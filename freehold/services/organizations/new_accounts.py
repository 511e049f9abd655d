"""CreateAccount: an account that works at once, through the role that trusts the management account.

AWS makes accounts in the background; here one is made in the transaction of the request, whose answer says
IN_PROGRESS all the same, as clients expect, and whose outcome the next look shows.
https://docs.aws.amazon.com/organizations/latest/APIReference/API_CreateAccount.html
"""

from __future__ import annotations

from typing import Any

from freehold.services.call import Call
from freehold.services.iam import accounts
from freehold.services.operation import Params, Result
from freehold.services.organizations import first_roles, members, names, pages, shapes, tagging, tree
from freehold.services.organizations.authorized import current, on, organizations, request_tags
from freehold.services.organizations.errors import CreateAccountStatusNotFound, constraint, invalid_input
from freehold.services.organizations.handshaking import open_invitations
from freehold.services.organizations.records import ADDRESSES, CREATIONS, Creation, Named


@organizations(
    "CreateAccount",
    on("CreateAccount", "management", None, request_tags, makes="account"),
    writes=True,
    refuses=("IamUserAccessToBilling",),
)
def create_account(call: Call, params: Params) -> Result:
    """An account without credentials of its own. Its role `RoleName` (OrganizationAccountAccessRole unless told) trusts
    the management account.

    At most 1,000 accounts. An address that another account has makes the request FAILED.
    """
    tx, organization, now = call.tx, current(call), int(call.app.clock.now_seconds())
    role_name = params.get("RoleName") or first_roles.ACCESS_ROLE
    if role_name.startswith("AWSServiceRoleFor"):
        raise invalid_input("INVALID_ROLE_NAME")
    tags = tagging.checked(params.get("Tags") or [])
    count = sum(1 for _ in tree.account_ids(tx, organization)) + open_invitations(tx, organization, now)
    if count >= members.MOST_ACCOUNTS:
        raise constraint("ACCOUNT_NUMBER_LIMIT_EXCEEDED")
    creation = Creation(
        creation_id=names.new_creation_id(), name=params["AccountName"], requested_at=now, completed_at=now
    )
    address = params["Email"]
    if ADDRESSES.get(tx, (address.lower(),)) is not None:
        creation.failure = "EMAIL_ALREADY_EXISTS"
    else:
        account_id = accounts.create_member_account(tx, creation.name, address, now_seconds=now)
        ADDRESSES.put(tx, (address.lower(),), Named(id=account_id))
        first_roles.make_access_role(tx, account_id, role_name, organization.management_account_id, now)
        members.join(tx, organization, account_id, "CREATED", now, tags)
        creation.account_id = account_id
        call.resources.append(("AWS::Organizations::Account", names.account(organization, account_id)))
    CREATIONS.put(tx, (organization.organization_id, creation.creation_id), creation)
    begun = {"Id": creation.creation_id, "AccountName": creation.name, "State": "IN_PROGRESS"}
    return {"CreateAccountStatus": begun | {"RequestedTimestamp": shapes.date(now)}}


def _shown(creation: Creation) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "Id": creation.creation_id,
        "AccountName": creation.name,
        "State": "FAILED" if creation.failure else "SUCCEEDED",
        "RequestedTimestamp": shapes.date(creation.requested_at),
        "CompletedTimestamp": shapes.date(creation.completed_at),
    }
    if creation.failure:
        return shown | {"FailureReason": creation.failure}
    return shown | {"AccountId": creation.account_id}


@organizations("DescribeCreateAccountStatus", on("DescribeCreateAccountStatus", "reader"))
def describe_create_account_status(call: Call, params: Params) -> Result:
    """What became of one request."""
    key = (current(call).organization_id, params["CreateAccountRequestId"])
    creation = CREATIONS.get(call.reader, key)
    if creation is None:
        raise CreateAccountStatusNotFound()
    return {"CreateAccountStatus": _shown(creation)}


@organizations("ListCreateAccountStatus", on("ListCreateAccountStatus", "reader"))
def list_create_account_status(call: Call, params: Params) -> Result:
    """All requests, or those in some states."""
    wanted = params.get("States") or ()
    rows = ((str(key[1]), _shown(one)) for key, one in CREATIONS.scan(call.reader, (current(call).organization_id,)))
    found = ((id_, shown) for id_, shown in rows if not wanted or shown["State"] in wanted)
    return pages.page(params, "CreateAccountStatuses", found, lambda shown: shown)

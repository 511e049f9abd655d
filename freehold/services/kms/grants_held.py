"""The operations on grants that exist: listing, revoking (as the key's administrator) and retiring (as the grant says).

https://docs.aws.amazon.com/kms/latest/developerguide/grant-manage.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from freehold.authorization.permission import ContextValue, Permission
from freehold.authorization.permission import Grant as DecisionGrant
from freehold.services.kms import grant_tokens, loaded, paging, records, states
from freehold.services.kms.errors import (
    AccessDeniedException,
    DryRun,
    InvalidArn,
    InvalidGrantId,
    NotFound,
    ValidationException,
    not_in_this_account,
)
from freehold.services.kms.grants import add_constraint, bound, remove, shown
from freehold.services.kms.permissions import find, managing, request_context
from freehold.services.kms.records import GRANTS, GRANTS_OF_GRANTEE, GRANTS_TO_RETIRE, Grant
from freehold.services.operation import Params, Result, operation

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.storage.records import Reader, Table


def entry(reader: Reader, grant: Grant) -> dict[str, Any]:
    """A grant as lists show it."""
    fields: dict[str, Any] = {
        "KeyId": grant.key_arn,
        "GrantId": grant.grant_id,
        "Name": grant.name,
        "CreationDate": datetime.fromtimestamp(grant.created_at, UTC),
        "IssuingAccount": f"arn:aws:iam::{grant.issuing_account}:root",
        "Operations": grant.operations,
    }
    if grant.grantee:
        fields["GranteePrincipal"] = shown(reader, grant.grantee)
    else:
        fields["GranteeServicePrincipal"] = grant.grantee_service
    if grant.retiring:
        fields["RetiringPrincipal"] = shown(reader, grant.retiring)
    elif grant.retiring_service:
        fields["RetiringServicePrincipal"] = grant.retiring_service
    constraints: dict[str, Any] = {}
    if grant.context_subset is not None:
        constraints["EncryptionContextSubset"] = grant.context_subset
    if grant.context_equals is not None:
        constraints["EncryptionContextEquals"] = grant.context_equals
    if grant.source_arn:
        constraints["SourceArn"] = grant.source_arn
    if constraints:
        fields["Constraints"] = constraints
    return fields


def _may_manage(action: str) -> Any:
    def needed(call: Call, params: Params) -> list[Permission]:
        key, _ = find(call, params["KeyId"], action, aliases=False, foreign=True)
        context: dict[str, ContextValue] = request_context(key)
        context["kms:grantisforawsresource"] = "true" if call.via else "false"
        return [managing(call, key, action, context)]

    return needed


@operation("kms.ListGrants", permissions=_may_manage("kms:ListGrants"))
def list_grants(call: Call, params: Params) -> Result:
    """A key's grants, by grant id; those of one grantee or one grant on request. 1-100 a page, 50 by default.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_ListGrants.html
    """
    key = loaded.record_for(call, params["KeyId"], "kms:ListGrants", foreign=True)
    reader = call.reader
    if "GrantId" in params:
        _check_grant_id(params["GrantId"])
    if "GranteePrincipal" in params and "GranteeServicePrincipal" in params:
        raise ValidationException("Specify GranteePrincipal or GranteeServicePrincipal, not both.")
    seen = paging.last_seen(params, 1)
    place = (key.region, key.key_id)
    wanted = params.get("GrantId")
    grantee = params.get("GranteeServicePrincipal", "")
    if "GranteePrincipal" in params:
        grantee = bound(reader, params["GranteePrincipal"])
    table: Table[Any] = GRANTS_OF_GRANTEE if grantee else GRANTS
    prefix = (*place, grantee) if grantee else place

    def found() -> Iterator[Grant]:
        for row, _ in table.scan(reader, prefix, after=None if seen is None else (*prefix, seen[0])):
            grant = GRANTS.get(reader, (*place, row[-1])) if wanted in (None, row[-1]) else None
            if grant is not None:
                yield grant

    return paging.page(
        "Grants",
        found(),
        params,
        lambda grant: entry(reader, grant),
        lambda grant: paging.marker(grant.grant_id),
        default=50,
    )


def _may_list_retirable(call: Call, params: Params) -> list[Permission]:
    """On the retiring principal; by a service's name for that service alone, whose grants are on everybody's keys."""
    action = "kms:ListRetirableGrants"
    if ("RetiringPrincipal" in params) == ("RetiringServicePrincipal" in params):
        raise ValidationException("Specify either RetiringPrincipal or RetiringServicePrincipal.")
    service = params.get("RetiringServicePrincipal")
    if service is not None:
        caller = call.principal
        if caller.kind != "service" or caller.name != service:
            raise AccessDeniedException(
                f"User: {caller.arn} is not authorized to perform: {action}: RetiringServicePrincipal is for the "
                "service principal itself."
            )
        return []
    arn = params["RetiringPrincipal"]
    if arn.split(":")[4:5] != [call.account_id]:
        raise InvalidArn("The retiring principal must be in the caller's account.")
    return [Permission(action, arn, call.account_id)]


@operation("kms.ListRetirableGrants", permissions=_may_list_retirable)
def list_retirable_grants(call: Call, params: Params) -> Result:
    """The Region's grants that a principal of the caller's account may retire, on any account's keys.

    The resource of the permission is that principal. `RetiringServicePrincipal` is for services themselves.
    https://docs.aws.amazon.com/kms/latest/APIReference/API_ListRetirableGrants.html
    """
    reader = call.reader
    service = params.get("RetiringServicePrincipal")
    prefix = (service or bound(reader, params["RetiringPrincipal"]), call.region)
    seen = paging.last_seen(params, 2)

    def found() -> Iterator[Grant]:
        for row, _ in GRANTS_TO_RETIRE.scan(reader, prefix, after=None if seen is None else (*prefix, *seen)):
            grant = GRANTS.get(reader, row[1:])
            if grant is not None:
                yield grant

    return paging.page(
        "Grants",
        found(),
        params,
        lambda grant: entry(reader, grant),
        lambda grant: paging.marker(grant.key_id, grant.grant_id),
        default=50,
    )


def _check_grant_id(text: str) -> None:
    if len(text) != 64 or not all(sign in "0123456789abcdef" for sign in text):
        raise InvalidGrantId("The grant ID is not valid.")


@operation("kms.RevokeGrant", permissions=_may_manage("kms:RevokeGrant"), writes=True)
def revoke_grant(call: Call, params: Params) -> None:
    """End a grant, as the key's administrator: from the next request on it permits nothing.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_RevokeGrant.html
    """
    key = loaded.record_for(call, params["KeyId"], "kms:RevokeGrant", foreign=True)
    _check_grant_id(params["GrantId"])
    grant = GRANTS.get(call.tx, (key.region, key.key_id, params["GrantId"]))
    if grant is None:
        raise NotFound(f"Grant ID {params['GrantId']} not found")
    states.check("RevokeGrant", key.state, key.arn)
    if params.get("DryRun"):
        raise DryRun
    remove(call.tx, grant)


def _grant_to_retire(call: Call, params: Params) -> Grant:
    token, key_id, grant_id = params.get("GrantToken"), params.get("KeyId"), params.get("GrantId")
    if token is not None:
        if key_id is not None or grant_id is not None:
            raise ValidationException("Specify a grant token, or a key ARN and a grant ID, not both.")
        named = grant_tokens.read(call.app, token)
        grant = GRANTS.get(call.reader, named)
        if grant is None or grant.region != call.region:
            raise NotFound(f"Grant ID {named.grant_id} not found")
        return grant
    if key_id is None or grant_id is None:
        raise ValidationException("Specify a grant token, or a key ARN and a grant ID.")
    key = loaded.record_for(call, key_id, "kms:RetireGrant", foreign=True)
    _check_grant_id(grant_id)
    grant = GRANTS.get(call.reader, (key.region, key.key_id, grant_id))
    if grant is None:
        if key.account_id != call.account_id:
            # That there is no such grant would tell that there is the key.
            raise not_in_this_account(call.principal.arn, "kms:RetireGrant")
        raise NotFound(f"Grant ID {grant_id} not found")
    return grant


def _may_retire(call: Call, params: Params) -> list[Permission]:
    """The grant alone says who: its retiring principal, its grantee if it permits that, the account that issued it.

    Key policies have no say; the caller's own policies may still deny, and must allow where an account was named.
    https://docs.aws.amazon.com/kms/latest/developerguide/grant-delete.html
    """
    grant = _grant_to_retire(call, params)
    call.resources.append(("AWS::KMS::Key", grant.key_arn))
    able = [grant.retiring or grant.retiring_service, f"arn:aws:iam::{grant.issuing_account}:root"]
    if "RetireGrant" in grant.operations:
        able.append(grant.grantee or grant.grantee_service)
    template = DecisionGrant(grantee="", operations=("RetireGrant",), grant_id=grant.grant_id)
    grants = tuple(replace(template, grantee=name) for name in able if name)
    key = loaded.by_id(call, grant.key_id)
    context = {} if key is None else request_context(key)
    add_constraint(context, grant.context_equals, grant.context_subset)
    # Whose key it is doesn't matter here: the grant speaks for its owner.
    context["aws:resourceaccount"] = grant.account_id
    return [Permission("kms:RetireGrant", grant.key_arn, call.account_id, context, kind="key", grants=grants)]


@operation("kms.RetireGrant", permissions=_may_retire, writes=True)
def retire_grant(call: Call, params: Params) -> None:
    """End a grant, as one who was given that right by it. Named by token, or by key and grant id.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_RetireGrant.html
    """
    grant = _grant_to_retire(call, params)
    key = records.key_at(call.tx, grant.region, grant.key_id)
    if key is not None:
        states.check("RetireGrant", key.state, key.arn)
    if params.get("DryRun"):
        raise DryRun
    remove(call.tx, grant)

"""Customer accounts, made and listed by the operator. What lies in them is not the operator's to read."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Any

from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.freehold.errors import ValidationException
from freehold.services.iam import accounts
from freehold.services.iam.records import ACCOUNTS, OPERATOR_ACCOUNT, Account
from freehold.services.operation import Params, Permissions, Result, operation

DEFAULT_PAGE = 100


def operator_only(action: str) -> Permissions:
    """The permission that only the operator's built-in policy gives: the resource is in the operator's own account."""

    def permissions(call: Call, params: Params) -> list[Permission]:
        return [Permission(action, f"arn:aws:freehold::{OPERATOR_ACCOUNT}:deployment", OPERATOR_ACCOUNT)]

    return permissions


def shown(account: Account) -> dict[str, Any]:
    """An account as answers tell it."""
    return {
        "AccountId": account.account_id,
        "Name": account.name,
        "CreatedAt": datetime.fromtimestamp(account.created_at, UTC),
    }


@operation("freehold.CreateAccount", permissions=operator_only("freehold:CreateAccount"), writes=True)
def create_account(call: Call, params: Params) -> Result:
    """A new customer account. The secret of its root user's access key is in this answer and nowhere else."""
    new = accounts.create_account(call.tx, params["Name"], now_seconds=call.app.clock.now_seconds())
    made = accounts.account(call.tx, new.account_id)
    assert made is not None
    call.resources.append(("AWS::Freehold::Account", f"arn:aws:iam::{new.account_id}:root"))
    return {
        "Account": shown(made),
        "RootAccessKey": {"AccessKeyId": new.access_key_id, "SecretAccessKey": new.secret_access_key},
    }


@operation("freehold.ListAccounts", permissions=operator_only("freehold:ListAccounts"))
def list_accounts(call: Call, params: Params) -> Result:
    """Accounts by id. `NextToken` is the last id of the page before."""
    most = params.get("MaxResults", DEFAULT_PAGE)
    token = params.get("NextToken")
    if token is not None and not (len(token) == 12 and token.isdigit()):
        raise ValidationException("The NextToken is not one that ListAccounts gave.")
    rows = ACCOUNTS.scan(call.reader, after=(token,) if token else None)
    page = [account for _, account in islice(rows, most + 1)]
    result: Result = {"Accounts": [shown(account) for account in page[:most]]}
    if len(page) > most:
        result["NextToken"] = page[most - 1].account_id
    return result

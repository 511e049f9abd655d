"""Who calls, and whose an access key is.

https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
https://docs.aws.amazon.com/STS/latest/APIReference/API_GetAccessKeyInfo.html
"""

from __future__ import annotations

from freehold.authentication.key_ids import account_of_access_key_id
from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.operation import Params, Result, no_permission, operation
from freehold.services.sts.errors import AccessDenied, ValidationError


@operation(
    "sts.GetCallerIdentity",
    permissions=no_permission("AWS answers every authenticated caller, despite an explicit deny."),
)
def get_caller_identity(call: Call, params: Params) -> Result:
    """The caller's unique id, account and ARN."""
    principal = call.principal
    return {"UserId": principal.unique_id, "Account": principal.account_id, "Arn": principal.arn}


def _may_ask(call: Call, params: Params) -> list[Permission]:
    session = call.principal.session
    if session is not None and session.kind not in ("assume-role", "console"):
        raise AccessDenied("Cannot call GetAccessKeyInfo with session credentials")
    return [Permission("sts:GetAccessKeyInfo", "*", call.account_id)]


@operation("sts.GetAccessKeyInfo", permissions=_may_ask)
def get_access_key_info(call: Call, params: Params) -> Result:
    """The account that an access key id names. It tells nothing of whether the key exists or is active."""
    try:
        return {"Account": account_of_access_key_id(params["AccessKeyId"])}
    except ValueError:
        raise ValidationError("Invalid value for parameter AccessKeyId: it names no account.") from None

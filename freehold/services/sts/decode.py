"""DecodeAuthorizationMessage: the details that a refusal carried sealed, for whoever may read them.

A message belongs to the account of the principal that was refused; another account's is as good as altered.
https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html
"""

from __future__ import annotations

from freehold.authorization.permission import Permission
from freehold.crypto.aead import IntegrityError
from freehold.services.call import Call
from freehold.services.operation import Params, Result, operation
from freehold.services.sts.errors import InvalidAuthorizationMessage


def _may_decode(call: Call, params: Params) -> list[Permission]:
    return [Permission("sts:DecodeAuthorizationMessage", "*", call.account_id)]


@operation("sts.DecodeAuthorizationMessage", permissions=_may_decode)
def decode_authorization_message(call: Call, params: Params) -> Result:
    """The JSON of one encoded message (1-10,240 characters): the decision, the principal, the context.

    Of policies it tells the statement that denied explicitly, where that is the account's own.
    """
    try:
        account_id, message = call.app.denials.decoded(params["EncodedMessage"])
    except (ValueError, IntegrityError):
        raise InvalidAuthorizationMessage from None
    if account_id != call.account_id:
        raise InvalidAuthorizationMessage
    return {"DecodedMessage": message}

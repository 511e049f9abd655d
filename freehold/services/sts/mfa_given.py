"""MFA in STS: `SerialNumber` and `TokenCode` of AssumeRole and GetSessionToken.

Permissions are asked as if the code were right, and then, before anything is done, it is used up in a transaction of
its own: a wrong one refuses the call. The device must be the calling user's; nobody else has one.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_mfa_configure-api-require.html
"""

from __future__ import annotations

from freehold.crypto.one_time_codes import WrongCode
from freehold.services.call import Call
from freehold.services.iam import mfa
from freehold.services.iam.attempts import FORGOTTEN_AFTER_SECONDS, TooManyAttempts
from freehold.services.iam.records import ACCESS_KEYS
from freehold.services.operation import Params
from freehold.services.sts.errors import AccessDenied, Throttling

_FAILED = "MultiFactorAuthentication failed"
_SESSION_OR_NEW_KEY = "session"


def context(params: Params) -> dict[str, str]:
    """Condition keys of a call that comes with a code."""
    if "TokenCode" not in params:
        return {}
    return {"aws:multifactorauthpresent": "true", "aws:multifactorauthage": "0"}


def _is_settled(call: Call) -> bool:
    """Whether the caller's is a key whose failures count for it alone.

    A user's sessions, and keys that are younger than failures are remembered, wait together: who may make new ones
    would else begin with free attempts each time.
    """
    principal = call.principal
    if principal.session is not None:
        return False
    key = ACCESS_KEYS.get(call.reader, (principal.access_key_id,))
    return key is not None and key.created_at + FORGOTTEN_AFTER_SECONDS <= call.app.clock.now_seconds()


async def use_up(call: Call, params: Params) -> bool:
    """Whether MFA was given: False without a code. Raises AccessDenied for one that is wrong, used or nobody's."""
    serial, code = params.get("SerialNumber"), params.get("TokenCode")
    if not serial and not code:
        return False
    if not serial or not code:
        raise AccessDenied(f"{_FAILED}, must provide both MFA serial number and one time pass code.")
    principal = call.principal
    by = principal.access_key_id if _is_settled(call) else _SESSION_OR_NEW_KEY
    try:
        if principal.kind not in ("user", "root"):
            raise KeyError(serial)
        await mfa.accept(call.app, principal.account_id, principal.unique_id, serial, code, by=by)
    except KeyError:
        raise AccessDenied(
            f"{_FAILED}, unable to validate MFA code.  Please verify your MFA serial number is valid and associated "
            "with this user."
        ) from None
    except WrongCode:
        raise AccessDenied(f"{_FAILED} with invalid MFA one time pass code. ") from None
    except TooManyAttempts as error:
        raise Throttling(f"{_FAILED}: too many wrong codes. Try again in {error.seconds} seconds.") from None
    return True

"""MFA in STS: `SerialNumber` and `TokenCode` of AssumeRole and GetSessionToken.

Permissions are asked as if the code were right, and then, before anything is done, it is used up in a transaction of
its own: a wrong one refuses the call. The device must be the calling user's; nobody else has one.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_mfa_configure-api-require.html
"""

from __future__ import annotations

from freehold.crypto.one_time_codes import WrongCode
from freehold.services.call import Call
from freehold.services.iam import mfa
from freehold.services.iam.attempts import TooManyAttempts
from freehold.services.operation import Params
from freehold.services.sts.errors import AccessDenied, Throttling

_FAILED = "MultiFactorAuthentication failed"
_OF_ANY_SESSION = "session"


def context(params: Params) -> dict[str, str]:
    """Condition keys of a call that comes with a code."""
    if "TokenCode" not in params:
        return {}
    return {"aws:multifactorauthpresent": "true", "aws:multifactorauthage": "0"}


async def use_up(call: Call, params: Params) -> bool:
    """Whether MFA was given: False without a code. Raises AccessDenied for one that is wrong, used or nobody's."""
    serial, code = params.get("SerialNumber"), params.get("TokenCode")
    if not serial and not code:
        return False
    if not serial or not code:
        raise AccessDenied(f"{_FAILED}, must provide both MFA serial number and one time pass code.")
    principal = call.principal
    # Sessions of one user wait together: each new one would else begin with free attempts.
    by = principal.access_key_id if principal.session is None else _OF_ANY_SESSION
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

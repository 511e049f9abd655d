"""Console sessions: credentials like any others, which come from signing in and end with signing out.

They may call IAM, which credentials from GetSessionToken without MFA and from GetFederationToken may not.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_sts-comparison.html
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from freehold.authorization.principal import Principal
from freehold.services.call import Call
from freehold.services.freehold.errors import ValidationException
from freehold.services.iam.credential_records import ENDED_SESSIONS, SIGNIN_TOKENS, Moment
from freehold.services.operation import Params, due_work, no_permission, operation
from freehold.storage.records import Transaction

if TYPE_CHECKING:
    from freehold.app import App

SECONDS: Final = 12 * 3600
"""How long whoever signed in with a password stays signed in."""
_CLEANED_AT_ONCE: Final = 1000


def shown(access_key_id: str, secret: str, token: str, expires_at: int) -> dict[str, Any]:
    """The `Credentials` member of a reply."""
    return {
        "AccessKeyId": access_key_id,
        "SecretAccessKey": secret,
        "SessionToken": token,
        "Expiration": datetime.fromtimestamp(expires_at, UTC),
    }


def begin(call: Call, principal: Principal) -> dict[str, Any]:
    """Credentials for `principal`, whose session is a console session."""
    credential = call.app.tokens.issue(principal)
    assert principal.session is not None
    expires_at = principal.session.expires_at
    return shown(credential.access_key_id, credential.secret.reveal(), credential.token, expires_at)


@operation("freehold.SignOut", permissions=no_permission("Whoever has a session may end it."), writes=True)
def sign_out(call: Call, params: Params) -> None:
    """The calling console session is refused from now on, by every worker. Sessions of roles it has assumed go on."""
    session = call.principal.session
    if session is None or session.kind != "console":
        raise ValidationException("Only a console session can be signed out.")
    ENDED_SESSIONS.put(call.tx, (call.principal.access_key_id,), Moment(at=session.expires_at))


@due_work
def _forget(app: App, tx: Transaction) -> None:
    """Sign-in tokens that nobody used in time, and ended sessions whose time would be over anyway."""
    now = app.clock.now_seconds()
    for key, pending in list(SIGNIN_TOKENS.scan(tx, limit=_CLEANED_AT_ONCE)):
        if pending.expires_at < now:
            SIGNIN_TOKENS.delete(tx, key)
    for key, ended in list(ENDED_SESSIONS.scan(tx, limit=_CLEANED_AT_ONCE)):
        if ended.at < now:
            ENDED_SESSIONS.delete(tx, key)

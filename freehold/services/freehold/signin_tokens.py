"""From temporary credentials to a console session: what AWS's federation endpoint does with `getSigninToken`.

Whoever has the credentials of a role's or a federated user's session gets a token, which begins one console session of
that same session, within 15 minutes, by whoever brings it: a link that one's own portal makes.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_enable-console-custom-url.html
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import replace
from typing import Final

from freehold.audit import identity
from freehold.audit.sign_in import SignIn
from freehold.authorization.permission import Permission
from freehold.services.call import Call
from freehold.services.freehold import console_sessions
from freehold.services.freehold.errors import SignInFailedException, ValidationException
from freehold.services.iam import records
from freehold.services.iam.credential_records import SIGNIN_TOKENS, PendingSignIn
from freehold.services.iam.records import Role
from freehold.services.operation import Params, Result, no_permission, operation

TOKEN_SECONDS: Final = 900


def _key(token: str) -> tuple[str]:
    return (hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest(),)


def _session_of_role_or_federated_user(call: Call, params: Params) -> list[Permission]:
    """No policy is asked, as in AWS: the credentials say it all. But they must be such a session's."""
    principal = call.principal
    session = principal.session
    if session is None or session.kind not in ("assume-role", "federation-token"):
        raise ValidationException("Only credentials of AssumeRole and its like, or of GetFederationToken, can be used.")
    if principal.kind not in ("role", "federated-user"):
        raise ValidationException("Only a role's or a federated user's session can become a console session.")
    return []


@operation("freehold.GetSigninToken", permissions=_session_of_role_or_federated_user, writes=True)
def get_signin_token(call: Call, params: Params) -> Result:
    """A token for one console session, which lasts as long as the credentials do.

    `SessionDuration` (900 to 43,200 seconds, up to the role's MaxSessionDuration) is for roles that were not assumed
    by another role's session.
    """
    principal, now = call.principal, int(call.app.clock.now_seconds())
    session = principal.session
    assert session is not None
    expires_at, wanted = session.expires_at, params.get("SessionDuration")
    if wanted is not None:
        role = records.by_unique_id(call.tx, session.issuer_unique_id)
        if not isinstance(role, Role) or principal.kind != "role" or session.chained:
            raise ValidationException(
                "SessionDuration cannot be used with credentials of GetFederationToken or of role chaining."
            )
        if wanted > role.max_session_seconds:
            raise ValidationException("SessionDuration exceeds the MaxSessionDuration set for this role.")
        expires_at = now + wanted
    # As it was issued, so that what revokes the session revokes this one.
    issued = replace(principal, session=replace(session, kind="console", expires_at=expires_at))
    credential = call.app.tokens.issue(issued)
    whole = identity.of(credential.principal)
    token = secrets.token_urlsafe(48)
    pending = PendingSignIn(
        access_key_id=credential.access_key_id,
        secret=credential.secret.reveal(),
        token=credential.token,
        session_expires_at=expires_at,
        expires_at=now + TOKEN_SECONDS,
        account_id=principal.account_id,
        identity=json.dumps({**whole, "accessKeyId": ""}),
        arn=principal.arn,
    )
    SIGNIN_TOKENS.put(call.tx, _key(token), pending)
    call.sign_in = SignIn("GetSigninToken", principal.account_id, identity.of(principal))
    return {"SigninToken": token}


@operation(
    "freehold.SignInWithToken",
    permissions=no_permission("The token, which nobody can guess and which counts once, is all that is asked for."),
    writes=True,
    anonymous=True,
)
def sign_in_with_token(call: Call, params: Params) -> Result:
    """The console session of a sign-in token. The token is used up."""
    call.sign_in = SignIn(failure="Failed authentication")
    key = _key(params["SigninToken"])
    pending = SIGNIN_TOKENS.get(call.tx, key)
    if pending is None or pending.expires_at <= call.app.clock.now_seconds():
        raise SignInFailedException
    SIGNIN_TOKENS.delete(call.tx, key)
    call.sign_in = SignIn(account_id=pending.account_id, identity=json.loads(pending.identity))
    return {
        "Credentials": console_sessions.shown(
            pending.access_key_id, pending.secret, pending.token, pending.session_expires_at
        ),
        "AccountId": pending.account_id,
        "Arn": pending.arn,
    }

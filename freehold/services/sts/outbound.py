"""GetWebIdentityToken: a token by which others can verify who the caller is here.

https://docs.aws.amazon.com/STS/latest/APIReference/API_GetWebIdentityToken.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound_token_claims.html
"""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any, Final

from freehold.authorization.context_keys import iso
from freehold.authorization.permission import Permission
from freehold.errors import aws_error
from freehold.services.call import Call
from freehold.services.iam import outbound_keys
from freehold.services.iam.outbound_federation import enabled_issuer, url_of
from freehold.services.iam.outbound_keys import ALGORITHMS, Issuer
from freehold.services.operation import Params, Result, operation
from freehold.services.sts import sessions
from freehold.services.sts.errors import ValidationError

_DEFAULT_SECONDS: Final = 300
_MOST_PAYLOAD_BYTES: Final = 8192
"""AWS names no number."""
_CLAIMS: Final = "https://sts.amazonaws.com/"

Disabled = aws_error(
    "OutboundWebIdentityFederationDisabledException",
    403,
    "Outbound web identity federation is not enabled for this account.",
)
TooLarge = aws_error(
    "JWTPayloadSizeExceededException", 400, "The token's payload is too large. Pass fewer or shorter tags."
)
Escalation = aws_error(
    "SessionDurationEscalationException",
    403,
    "The requested token duration would extend the session beyond its original expiration time.",
)


def _seconds(params: Params) -> int:
    return params.get("DurationSeconds") or _DEFAULT_SECONDS


def _may_get(call: Call, params: Params) -> list[Permission]:
    """sts:GetWebIdentityToken; with tags sts:TagGetWebIdentityToken as well."""
    tags = sessions.passed_tags(params)
    context = sessions.tag_context(tags) | {
        "sts:identitytokenaudience": tuple(params["Audience"]),
        "sts:signingalgorithm": params["SigningAlgorithm"],
        "sts:durationseconds": str(_seconds(params)),
    }
    actions = ["GetWebIdentityToken", *(["TagGetWebIdentityToken"] if tags else [])]
    resource = f"arn:aws:sts::{call.account_id}:self"
    return [Permission(f"sts:{action}", resource, call.account_id, context) for action in actions]


@operation("sts.GetWebIdentityToken", permissions=_may_get)
def get_web_identity_token(call: Call, params: Params) -> Result:
    """A JWT for 60 to 3,600 seconds (300 unless told), and not beyond the calling session's end."""
    algorithm = params["SigningAlgorithm"]
    if algorithm not in ALGORITHMS:
        raise ValidationError(f"SigningAlgorithm is one of: {', '.join(ALGORITHMS)}")
    issuer = enabled_issuer(call.reader, call.account_id)
    if issuer is None:
        raise Disabled
    now = int(call.app.clock.now_seconds())
    expires = now + _seconds(params)
    session = call.principal.session
    if session is not None and expires > session.expires_at:
        raise Escalation
    audiences = params["Audience"]
    claims = {
        "iss": url_of(call.app, issuer),
        "sub": call.principal.issuer_arn or call.principal.arn,
        "aud": audiences[0] if len(audiences) == 1 else audiences,
        "iat": now,
        "exp": expires,
        "jti": str(uuid.uuid4()),
        _CLAIMS: _about(call, params),
    }
    if len(json.dumps(claims)) > _MOST_PAYLOAD_BYTES:
        raise TooLarge
    return {
        "WebIdentityToken": _signed(call, algorithm, issuer, claims),
        "Expiration": datetime.fromtimestamp(expires, UTC),
    }


def _about(call: Call, params: Params) -> dict[str, Any]:
    """What is known of the caller and their session."""
    principal, session = call.principal, call.principal.session
    organization = call.app.organizations.of_account(call.account_id)
    federated = principal.extra_context.get("aws:federatedprovider")
    known = {
        "aws_account": call.account_id,
        "source_region": call.region,
        "org_id": "" if organization is None else organization.organization_id,
        "ou_path": "" if organization is None else organization.path,
        "principal_tags": dict(principal.tags),
        "original_session_exp": "" if session is None else iso(session.expires_at),
        "federated_provider": federated,
        "source_identity": "" if session is None else session.source_identity,
        "request_tags": dict(sessions.passed_tags(params)),
    }
    return {name: value for name, value in known.items() if value}


def _signed(call: Call, algorithm: str, issuer: Issuer, claims: dict[str, Any]) -> str:
    import jwt

    key = outbound_keys.signing(issuer, algorithm, claims["iat"])
    if key is None:
        raise Disabled
    private = call.cached("iam", ("outbound key", key.key_id), lambda _: _loaded(key.pem))
    return jwt.encode(claims, private, algorithm=algorithm, headers={"kid": key.key_id})


def _loaded(pem: str) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(pem.encode(), None)

"""Outbound web identity federation: the account as an OpenID Connect issuer, whose tokens others can verify.

Owns the account's issuer and the two documents by which anybody verifies what was signed; its keys are those of
`outbound_keys`, and STS signs (`GetWebIdentityToken`). An issuer keeps its URL and keys when it is disabled and enabled
again, and its documents stay public, since tokens already given run on.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_outbound.html
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from typing import TYPE_CHECKING, Any, Final

from freehold.errors import NotImplementedByFreehold, aws_error
from freehold.message import Request, Response
from freehold.services.call import Call
from freehold.services.iam import outbound_keys
from freehold.services.iam.authorized import iam, on_account
from freehold.services.iam.outbound_keys import ALGORITHMS, ISSUERS, Issuer, SigningKey
from freehold.services.iam.records import Record
from freehold.services.operation import Params, Result
from freehold.storage.records import Reader, Table

if TYPE_CHECKING:
    from freehold.app import App

PREFIX: Final = "/.tokens/"
"""Where issuers' documents are: no bucket's name begins with a full stop."""
_KEPT_SECONDS: Final = 300
_PATH: Final = re.compile(r"/\.tokens/([0-9a-f-]{36})/\.well-known/(openid-configuration|jwks\.json)", re.ASCII)

FeatureDisabled = aws_error("FeatureDisabled", 404, "Outbound web identity federation is disabled for this account.")
FeatureEnabled = aws_error(
    "FeatureEnabled", 409, "Outbound web identity federation is already enabled for this account."
)


class IssuerName(Record, kw_only=True):
    account_id: str


NAMES = Table("iam.outbound_issuer_names", IssuerName, domain="iam")  # (issuer id)


def url_of(app: App, issuer: Issuer) -> str:
    return f"{public_url(app)}{PREFIX}{issuer.issuer_id}"


def public_url(app: App) -> str:
    """Where the world reaches this server. Raises NotImplemented where the operator hasn't said."""
    if not app.settings.public_url:
        raise NotImplementedByFreehold(
            "Outbound web identity federation needs a server that was started with --public-url, the https address "
            "under which others fetch the verification keys."
        )
    return app.settings.public_url


def enabled_issuer(reader: Reader, account_id: str) -> Issuer | None:
    issuer = ISSUERS.get(reader, (account_id,))
    return issuer if issuer is not None and issuer.enabled else None


async def _new_keys(call: Call, params: Params) -> list[SigningKey]:
    """Keys for an account that has none yet. Making them takes a tenth of a second: in a thread."""
    if ISSUERS.get(call.reader, (call.account_id,)) is not None:
        return []
    return await asyncio.get_running_loop().run_in_executor(call.app.pool, outbound_keys.made)


@iam(
    "EnableOutboundWebIdentityFederation",
    on_account("EnableOutboundWebIdentityFederation"),
    writes=True,
    prepare=_new_keys,
)
def enable_outbound_web_identity_federation(call: Call, params: Params) -> Result:
    """The issuer's URL, the account's own. It stays the same however often this is disabled and enabled."""
    public_url(call.app)
    issuer = ISSUERS.get(call.tx, (call.account_id,))
    if issuer is None:
        issuer = Issuer(
            account_id=call.account_id,
            issuer_id=str(uuid.uuid4()),
            created_at=int(call.app.clock.now_seconds()),
            keys=call.prepared,
        )
        NAMES.put(call.tx, (issuer.issuer_id,), IssuerName(account_id=call.account_id))
        outbound_keys.plan(call.tx, issuer)
    elif issuer.enabled:
        raise FeatureEnabled
    issuer.enabled = True
    outbound_keys.save(call.tx, issuer)
    return {"IssuerIdentifier": url_of(call.app, issuer)}


@iam("DisableOutboundWebIdentityFederation", on_account("DisableOutboundWebIdentityFederation"), writes=True)
def disable_outbound_web_identity_federation(call: Call, params: Params) -> None:
    """No more tokens. Those that were given stay good until they expire."""
    issuer = enabled_issuer(call.tx, call.account_id)
    if issuer is None:
        raise FeatureDisabled
    issuer.enabled = False
    outbound_keys.save(call.tx, issuer)


@iam("GetOutboundWebIdentityFederationInfo", on_account("GetOutboundWebIdentityFederationInfo"))
def get_outbound_web_identity_federation_info(call: Call, params: Params) -> Result:
    """The issuer's URL, while the feature is enabled."""
    issuer = enabled_issuer(call.reader, call.account_id)
    if issuer is None:
        raise FeatureDisabled
    return {"IssuerIdentifier": url_of(call.app, issuer), "JwtVendingEnabled": True}


# What others fetch


def public_document(app: App, request: Request) -> Response | None:
    """The answer to a request for an issuer's metadata or keys; None for any other. Public, and no call of AWS's."""
    found = _PATH.fullmatch(request.raw_path)
    if found is None or request.method != "GET" or not app.settings.public_url:
        return None
    issuer_id, document = found.groups()
    try:
        body: bytes = app.cache.get(
            "iam", ("issuer document", issuer_id, document), lambda reader: _document(app, reader, issuer_id, document)
        )
    except KeyError:
        return None
    headers = [("Content-Type", "application/json"), ("Cache-Control", f"public, max-age={_KEPT_SECONDS}")]
    return Response(200, headers, body)


def _document(app: App, reader: Reader, issuer_id: str, document: str) -> bytes:
    name = NAMES.get(reader, (issuer_id,))
    issuer = None if name is None else ISSUERS.get(reader, (name.account_id,))
    if issuer is None:
        # Raised, so that names that no issuer has don't fill the cache.
        raise KeyError(issuer_id)
    made = _metadata(url_of(app, issuer)) if document == "openid-configuration" else _key_set(issuer)
    return json.dumps(made).encode()


def _metadata(url: str) -> dict[str, Any]:
    return {
        "issuer": url,
        "jwks_uri": f"{url}/.well-known/jwks.json",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": list(ALGORITHMS),
        "claims_supported": ["sub", "iss", "aud", "exp", "iat", "jti", "https://sts.amazonaws.com/"],
    }


def _key_set(issuer: Issuer) -> dict[str, Any]:
    return {"keys": [_public(key) for key in issuer.keys]}


def _public(key: SigningKey) -> dict[str, Any]:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from jwt import get_algorithm_by_name

    public = load_pem_private_key(key.pem.encode(), None).public_key()
    algorithm: Any = get_algorithm_by_name(key.algorithm)
    numbers: dict[str, Any] = algorithm.to_jwk(public, as_dict=True)
    numbers.pop("key_ops", None)
    return {**numbers, "kid": key.key_id, "use": "sig", "alg": key.algorithm}

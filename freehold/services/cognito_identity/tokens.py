"""Tokens of identities: Cognito is an OpenID Connect issuer of its own, with one signing key for the deployment.

Signed RS512; `aud` is the pool, `sub` the identity, `amr` says whether and by whom it was authenticated. Owns the key,
which is made at the first token, and kept sealed as all records are. A token is good only while its pool and its
identity exist, and one that a developer's backend got while the developer's user still belongs to the identity.
https://docs.aws.amazon.com/cognito/latest/developerguide/authentication-flow.html
https://docs.aws.amazon.com/cognito/latest/developerguide/role-trust-and-permissions.html
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from freehold.federation.identity import ExpiredIdentity, InvalidIdentity, RejectedByProvider, WebIdentity
from freehold.services.cognito_identity.principal_tags import Tags
from freehold.services.cognito_identity.providers import OWN
from freehold.services.cognito_identity.records import (
    SIGNING_KEYS,
    Identity,
    Link,
    Pool,
    SigningKey,
    identity_by_id,
)
from freehold.storage.records import Reader, Transaction

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    from freehold.app import App

ISSUER: Final = f"https://{OWN}"
LIFETIME_SECONDS: Final = 600
"""https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetOpenIdToken.html"""
DEVELOPER_SECONDS: Final = 900
"""https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetOpenIdTokenForDeveloperIdentity.html"""
TAGS_CLAIM: Final = "https://aws.amazon.com/tags"
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html#id_session-tags_adding-assume-role-idp"""

_ALGORITHM: Final = "RS512"
_KEY_BITS: Final = 2048
_MOST_CHARACTERS: Final = 30_000
_NOT_OURS: Final = "Not a token of an identity pool"


@dataclass(frozen=True, slots=True)
class Verified:
    """A genuine token that is still good, with the pool and the identity as they are now."""

    pool: Pool
    identity: Identity
    amr: tuple[str, ...]
    expires_at: int
    tags: Tags
    by_developer: bool
    claims: Mapping[str, Any] = field(repr=False)


def context(pool_id: str, identity_id: str, amr: tuple[str, ...]) -> dict[str, Any]:
    """The condition keys that follow from an identity's token, for trust policies and for the session's own calls."""
    return {f"{OWN}:aud": pool_id, f"{OWN}:sub": identity_id, f"{OWN}:amr": amr}


def developer_amr(pool: Pool, link: Link) -> tuple[str, str]:
    """What a token says of a user whom a developer's backend vouched for."""
    return link.provider, f"{link.provider}:{pool.pool_id}:{link.subject}"


def verify(app: App, token: str) -> WebIdentity:
    """The identity that a token is for, for AssumeRoleWithWebIdentity (the basic flow).

    Raises InvalidIdentity, ExpiredIdentity, and RejectedByProvider where the pool does not allow the basic flow.
    """
    verified = read(app, app.records.reader(), token)
    if not verified.pool.allow_classic:
        raise RejectedByProvider("Basic (classic) flow is not enabled, please use enhanced flow.")
    return WebIdentity(OWN, verified.identity.identity_id, verified.pool.pool_id, verified.claims)


def read(app: App, reader: Reader, token: str) -> Verified:
    """A token, verified. Raises InvalidIdentity, ExpiredIdentity."""
    claims = _signed_claims(reader, token)
    now = app.clock.now_seconds()
    issued, expires = claims.get("iat"), claims.get("exp")
    pool_id, identity_id, amr = claims.get("aud"), claims.get("sub"), claims.get("amr")
    if not (
        claims.get("iss") == ISSUER
        and isinstance(issued, int)
        and isinstance(expires, int)
        and isinstance(pool_id, str)
        and isinstance(identity_id, str)
        and isinstance(amr, list)
        and all(isinstance(part, str) for part in amr)
    ):
        raise InvalidIdentity(_NOT_OURS)
    if now >= expires:
        raise ExpiredIdentity(f"Token expired: {expires} <= {int(now)}")
    found = identity_by_id(reader, identity_id)
    if found is None or found[0].pool_id != pool_id:
        raise InvalidIdentity("The token's identity does not exist")
    pool, identity = found
    by_developer = claims.get("developer") is True
    if by_developer and not any(
        link.provider == pool.developer_provider and developer_amr(pool, link)[1] in amr for link in identity.links
    ):
        raise InvalidIdentity("The developer's user no longer belongs to the token's identity")
    if not by_developer and not _still_holds(pool, identity, amr):
        raise InvalidIdentity("The token's identity has changed since")
    return Verified(pool, identity, tuple(amr), expires, _tags(claims), by_developer, claims)


def _still_holds(pool: Pool, identity: Identity, amr: list[str]) -> bool:
    """Whether one of the logins that the token names is the identity's, or a guest still is one."""
    if amr[:1] == ["authenticated"]:
        return any(
            part.startswith(f"{link.provider}:") and part.endswith(f":{link.subject}")
            for link in identity.links
            for part in amr
        )
    return pool.allow_unauthenticated and not identity.authenticated


def _signed_claims(reader: Reader, token: str) -> dict[str, Any]:
    import jwt

    if len(token) > _MOST_CHARACTERS:
        raise InvalidIdentity(_NOT_OURS)
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
        known = SIGNING_KEYS.get(reader, (key_id,)) if isinstance(key_id, str) else None
        if known is None:
            raise InvalidIdentity(_NOT_OURS)
        # Times are compared with the deployment's clock, which tests move, and the audience is the trust policy's.
        unchecked: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False}
        claims: dict[str, Any] = jwt.decode(
            token, _private_key(known.pem).public_key(), algorithms=[_ALGORITHM], options=unchecked
        )
    except (jwt.PyJWTError, ValueError, TypeError):
        raise InvalidIdentity("Token signature invalid") from None
    return claims


def _tags(claims: Mapping[str, Any]) -> Tags:
    listed = claims.get(TAGS_CLAIM)
    tags = listed.get("principal_tags") if isinstance(listed, dict) else None
    return tuple((key, values[0]) for key, values in tags.items()) if isinstance(tags, dict) else ()


async def signed(
    app: App, pool_id: str, identity_id: str, amr: tuple[str, ...], tags: Tags, seconds: int, *, developer: bool = False
) -> str:
    """A token for an identity. Signing takes a millisecond, the first key a tenth of a second: in a thread."""
    key = await _key(app)
    now = int(app.clock.now_seconds())
    claims: dict[str, Any] = {
        "iss": ISSUER,
        "aud": pool_id,
        "sub": identity_id,
        "amr": list(amr),
        "iat": now,
        "exp": now + seconds,
    }
    if tags:
        claims[TAGS_CLAIM] = {"principal_tags": {name: [value] for name, value in tags}}
    if developer:
        claims["developer"] = True

    def sign() -> str:
        import jwt

        return jwt.encode(claims, _private_key(key.pem), algorithm=_ALGORITHM, headers={"kid": key.key_id})

    return await asyncio.get_running_loop().run_in_executor(app.pool, sign)


async def _key(app: App) -> SigningKey:
    for _, key in SIGNING_KEYS.scan(app.records.reader(), limit=1):
        return key
    made = await asyncio.get_running_loop().run_in_executor(app.pool, _new_key, int(app.clock.now_seconds()))

    def keep(tx: Transaction) -> SigningKey:
        for _, key in SIGNING_KEYS.scan(tx, limit=1):
            return key
        SIGNING_KEYS.put(tx, (made.key_id,), made)
        return made

    return await app.records.submit_async(keep)


def _new_key(now_seconds: int) -> SigningKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    pem = rsa.generate_private_key(65537, _KEY_BITS).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return SigningKey(key_id=secrets.token_hex(8), pem=pem.decode("ascii"), created_at=now_seconds)


@lru_cache(maxsize=4)
def _private_key(pem: str) -> RSAPrivateKey:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(pem.encode("ascii"), None)
    assert isinstance(key, RSAPrivateKey)
    return key

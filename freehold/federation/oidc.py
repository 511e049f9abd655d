"""OpenID Connect ID tokens, verified: who the provider says that the caller is.

Refuses what is not exactly a signed JWT: unsigned ones, keyed hashes, other algorithms than AWS accepts, names given
twice, headers that must be understood. The signature is PyJWT's to verify, with the one algorithm that the token names
and the provider's own key for it; only then is anything of the claims believed.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html
https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from freehold.clock import Clock
from freehold.config import Settings
from freehold.federation.fetch import Fetcher
from freehold.federation.identity import ExpiredIdentity, InvalidIdentity, WebIdentity
from freehold.federation.issuers import Address, Addresses
from freehold.federation.jwks import ALGORITHMS, KeySets
from freehold.federation.strict_json import BadJson, an_object

MOST_TOKEN_CHARACTERS: Final = 20_000
EXPIRED_LEEWAY_SECONDS: Final = 300
"""AWS takes a token for five minutes after its `exp`:
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_oidc.html"""
EARLY_LEEWAY_SECONDS: Final = 300
"""How far a provider's clock may be ahead, for `iat` and `nbf`."""
MOST_SUBJECT_CHARACTERS: Final = 255
_MOST_AUDIENCES: Final = 100
_MOST_AUDIENCE_CHARACTERS: Final = 255
_MOST_SECONDS: Final = 253_402_300_799
"""The end of the year 9999."""

_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
_TYPES: Final = frozenset(("jwt", "application/jwt"))
_NOT_A_JWT: Final = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """Whose tokens are accepted, and for whom they must have been made.

    `provider`: the issuer without its scheme (`accounts.google.com`, `idp.example.com/tenant`).
    `audiences`: the client ids of which the token's audience must be one; None where that is for the trust policy to
    say (built-in providers). `thumbprints`: SHA-1 fingerprints (40 hexadecimal digits) that vouch for the provider's
    certificate where no trusted authority does.
    """

    provider: str
    audiences: tuple[str, ...] | None = None
    thumbprints: tuple[str, ...] = ()


class WebIdentities:
    """Verifies ID tokens with the keys of their providers, which it fetches and keeps. One a worker."""

    def __init__(self, settings: Settings, clock: Clock, fetcher: Fetcher | None = None) -> None:
        self.addresses = Addresses(settings.issuers)
        self.fetcher = fetcher or Fetcher(settings.issuer_ca)
        self._keys = KeySets(self.fetcher)
        self._clock = clock

    def claimed_providers(self, token: str) -> tuple[str, ...]:
        """The providers that a token may say it is from, not verified. Raises InvalidIdentity for what is none."""
        issuer = _unverified(token)[1].get("iss")
        if not isinstance(issuer, str):
            raise InvalidIdentity("Missing a required claim: iss")
        return self.addresses.providers_of(issuer)

    async def verify(self, token: str, trusted: TrustedIssuer) -> WebIdentity:
        """Who the token speaks of. Raises InvalidIdentity, ExpiredIdentity, ProviderUnreachable.

        Call it on the event loop: it waits for the provider at most a few seconds, without holding up anything else.
        """
        header, claims = _unverified(token)
        address = self.addresses.of(trusted.provider)
        # What could not be accepted anyhow makes nobody fetch anything.
        _check_claims(claims, address, trusted, self._clock.wall_seconds())
        thumbprints = tuple(sorted(text.lower() for text in trusted.thumbprints))
        key_id, algorithm = header.get("kid"), header["alg"]
        key = await self._keys.key(address, key_id, algorithm, thumbprints)
        verified = _object(_signed(token, key, algorithm))
        if verified != claims:
            raise InvalidIdentity(_NOT_A_JWT)
        return _identity(trusted.provider, verified)

    async def thumbprint(self, provider: str) -> str:
        """The SHA-1 fingerprint of the last certificate that a provider shows. Raises FetchFailed."""
        address = self.addresses.of(provider)
        return await self.fetcher.thumbprint(address.url, inward=address.url if address.inward else "")

    def close(self) -> None:
        """Stop fetching."""
        self.fetcher.close()


def _unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """A token's header, which is one that may be accepted, and its claims, of which nothing is believed yet."""
    if len(token) > MOST_TOKEN_CHARACTERS or not _JWT.fullmatch(token):
        raise InvalidIdentity(_NOT_A_JWT)
    header, claims, _ = token.split(".")
    return _checked_header(_object(_decoded(header))), _object(_decoded(claims))


def _checked_header(header: dict[str, Any]) -> dict[str, Any]:
    algorithm, key_id, type_ = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise InvalidIdentity(f"The ID Token must be signed with one of: {', '.join(ALGORITHMS)}")
    if "crit" in header or "b64" in header or not isinstance(key_id, str | None):
        raise InvalidIdentity(_NOT_A_JWT)
    if not isinstance(type_, str) or type_.lower() not in _TYPES:
        raise InvalidIdentity(_NOT_A_JWT)
    return header


def _decoded(segment: str) -> bytes:
    try:
        return base64.b64decode(segment + "=" * (-len(segment) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise InvalidIdentity(_NOT_A_JWT) from None


def _object(text: bytes) -> dict[str, Any]:
    try:
        return an_object(text)
    except BadJson:
        raise InvalidIdentity(_NOT_A_JWT) from None


def _signed(token: str, key: Any, algorithm: str) -> bytes:
    """The bytes that were signed. Raises InvalidIdentity."""
    from jwt import PyJWS
    from jwt.exceptions import PyJWTError

    try:
        verified: bytes = PyJWS(algorithms=[algorithm]).decode(token, key, algorithms=[algorithm])
    except (PyJWTError, ValueError, TypeError):
        raise InvalidIdentity("The ID Token's signature could not be verified") from None
    return verified


def _check_claims(claims: Mapping[str, Any], address: Address, trusted: TrustedIssuer, now: float) -> None:
    """Refuse what isn't this provider's, not for this audience, or not of this time."""
    for name in ("iss", "sub", "aud", "exp", "iat"):
        if name not in claims:
            raise InvalidIdentity(f"Missing a required claim: {name}")
    if claims["iss"] not in address.issuers:
        raise InvalidIdentity("The ID Token was issued by another provider")
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= MOST_SUBJECT_CHARACTERS:
        raise InvalidIdentity(f"The claim sub has 1 to {MOST_SUBJECT_CHARACTERS} characters")
    authorized, audiences = claims.get("azp"), _audiences(claims)
    if authorized is not None and not _is_audience(authorized):
        raise InvalidIdentity("The claim azp is no client id")
    if authorized is None and len(audiences) > 1:
        raise InvalidIdentity("A token for several audiences says by azp which of them asked for it")
    if trusted.audiences is not None and not _is_for(trusted.audiences, authorized, audiences):
        raise InvalidIdentity("Incorrect token audience")
    expires, issued, begins = _seconds(claims, "exp"), _seconds(claims, "iat"), _seconds(claims, "nbf", 0)
    if expires <= issued:
        raise InvalidIdentity("The ID Token expires before it was issued")
    if now < max(issued, begins) - EARLY_LEEWAY_SECONDS:
        raise InvalidIdentity("The ID Token is of a time that has not come yet")
    if now >= expires + EXPIRED_LEEWAY_SECONDS:
        raise ExpiredIdentity(
            f"Token expired: current date/time {int(now)} must be before the expiration date/time {expires}"
        )


def _audiences(claims: Mapping[str, Any]) -> list[str]:
    given = claims["aud"]
    audiences = given if isinstance(given, list) else [given]
    if not 0 < len(audiences) <= _MOST_AUDIENCES or not all(map(_is_audience, audiences)):
        raise InvalidIdentity("The claim aud is no client id, or no list of them")
    return audiences


def _is_audience(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MOST_AUDIENCE_CHARACTERS


def _is_for(wanted: tuple[str, ...], authorized: str | None, audiences: list[str]) -> bool:
    """Whether the application that asked for the token is one of these."""
    return authorized in wanted if authorized is not None else audiences[0] in wanted


def _seconds(claims: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """AWS takes whole numbers only."""
    value = claims.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_SECONDS:
        raise InvalidIdentity(f"The claim {name} is a whole number of seconds since the epoch")
    return value


def _identity(provider: str, claims: dict[str, Any]) -> WebIdentity:
    audience = claims.get("azp") or _audiences(claims)[0]
    return WebIdentity(provider, claims["sub"], audience, claims)

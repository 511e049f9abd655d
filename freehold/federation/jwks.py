"""Providers' signing keys: found by discovery, kept for as long as they say within bounds, fetched anew on rotation.

A key is chosen by the token's `kid` and bound to its algorithm; what a token's header says besides (`jku`, `x5u`,
`jwk`, `x5c`) is never looked at. A `kid` that isn't known makes the set be fetched anew, but not more often than
`MOST_FETCHES` times in `WINDOW_SECONDS`, whoever asks. A provider that failed isn't asked again for `FAILED_SECONDS`.
https://openid.net/specs/openid-connect-discovery-1_0.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from freehold.federation.fetch import Answer, Fetcher, FetchFailed, Unreachable, Untrusted
from freehold.federation.identity import FederationRefused, InvalidIdentity, ProviderUnreachable
from freehold.federation.issuers import Address, BadIssuer, check_url
from freehold.federation.strict_json import BadJson, an_object

if TYPE_CHECKING:
    from jwt import PyJWK

ALGORITHMS: Final = {
    "RS256": ("RSA", ""),
    "RS384": ("RSA", ""),
    "RS512": ("RSA", ""),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
}
"""The algorithms that AWS accepts, with the type of key and the curve that each is bound to."""

DEFAULT_SECONDS: Final = 3600
LEAST_SECONDS: Final = 300
MOST_SECONDS: Final = 86_400
MOST_FETCHES: Final = 3
WINDOW_SECONDS: Final = 60
FAILED_SECONDS: Final = 30
MOST_KEYS_OF_A_TYPE: Final = 100
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html"""
MOST_SETS: Final = 1000
MOST_KEYS: Final = 20_000
_MOST_KEY_ID_CHARACTERS: Final = 1024
_RSA_BITS: Final = (2048, 8192)
_MOST_EXPONENT_CHARACTERS: Final = 6
_PUBLIC: Final = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]{1,1400}", re.ASCII)
_DISCOVERY: Final = "/.well-known/openid-configuration"
_REQUIRED_LISTS: Final = (
    "response_types_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
)

_NO_KEY: Final = (
    "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity "
    "documentation for requirements"
)
_UNREACHABLE: Final = "The identity provider could not be reached to verify the token."


class BadKeySet(ValueError):
    """Metadata or a key set that is not what it must be."""


@dataclass(slots=True)
class Key:
    """One public key of a set; what it is made of is worked out when it is first used."""

    key_id: str | None
    type: str
    curve: str
    algorithm: str
    """The one that it says it is for, empty where it says none."""
    numbers: dict[str, str]
    _made: dict[str, PyJWK] = field(default_factory=dict, repr=False)

    def suits(self, algorithm: str) -> bool:
        return (self.type, self.curve) == ALGORITHMS[algorithm] and self.algorithm in ("", algorithm)

    def for_algorithm(self, algorithm: str) -> PyJWK:
        """Raises BadKeySet for numbers that are no key."""
        made = self._made.get(algorithm)
        if made is None:
            from jwt import PyJWK
            from jwt.exceptions import PyJWTError

            try:
                made = PyJWK({"kty": self.type, **self.numbers}, algorithm)
            except (PyJWTError, ValueError, TypeError):
                raise BadKeySet("a key's numbers are no key") from None
            if self.type == "RSA" and not _RSA_BITS[0] <= made.key.key_size <= _RSA_BITS[1]:
                raise BadKeySet(f"an RSA key has {_RSA_BITS[0]} to {_RSA_BITS[1]} bits")
            self._made[algorithm] = made
        return made


@dataclass(frozen=True, slots=True)
class KeySet:
    keys: tuple[Key, ...]
    kept_seconds: int

    def find(self, key_id: str | None, algorithm: str) -> Key | None:
        """The key that a token names; one that names none means the only key there is for its algorithm."""
        suitable = [key for key in self.keys if key.suits(algorithm)]
        if key_id is None:
            return suitable[0] if len(suitable) == 1 else None
        return next((key for key in suitable if key.key_id == key_id), None)


class _Held:
    """What is known of one provider's keys."""

    __slots__ = ("asked", "failure", "fetching", "fresh_until", "set")

    def __init__(self) -> None:
        self.set: KeySet | None = None
        self.fresh_until = 0.0
        self.asked: deque[float] = deque(maxlen=MOST_FETCHES)
        """When the last fetches were."""
        self.failure: FederationRefused | None = None
        self.fetching: asyncio.Task[None] | None = None

    def may_ask(self, now: float) -> bool:
        return len(self.asked) < MOST_FETCHES or now - self.asked[0] >= WINDOW_SECONDS


class KeySets:
    """The key sets of providers, at most `MOST_SETS`. Used on the event loop. `clock`: seconds, monotonic."""

    def __init__(self, fetcher: Fetcher, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._held: dict[tuple[str, tuple[str, ...]], _Held] = {}

    async def key(
        self, address: Address, key_id: str | None, algorithm: str, thumbprints: tuple[str, ...] = ()
    ) -> PyJWK:
        """The provider's key for a token's `kid` and `alg`. Raises InvalidIdentity, ProviderUnreachable."""
        held = self._of(address, thumbprints)
        if held.set is None or self._clock() >= held.fresh_until:
            held.set = None
            await self._fetch(held, address, thumbprints)
        found = self._find(held, key_id, algorithm)
        if found is None and held.may_ask(self._clock()):
            await self._fetch(held, address, thumbprints)
            found = self._find(held, key_id, algorithm)
        if found is None:
            raise InvalidIdentity(_NO_KEY)
        try:
            return found.for_algorithm(algorithm)
        except BadKeySet:
            raise InvalidIdentity(_NO_KEY) from None

    def _find(self, held: _Held, key_id: str | None, algorithm: str) -> Key | None:
        return None if held.set is None else held.set.find(key_id, algorithm)

    def _of(self, address: Address, thumbprints: tuple[str, ...]) -> _Held:
        # Whom an account's thumbprints let in is trusted by that account alone.
        name = (address.url, thumbprints)
        held = self._held.pop(name, None) or _Held()
        # Inserted anew at each use, so that the first of the dict is the least recently used.
        self._held[name] = held
        if len(self._held) > MOST_SETS:
            del self._held[next(iter(self._held))]
        return held

    def _make_room(self) -> None:
        keys = sum(len(held.set.keys) for held in self._held.values() if held.set is not None)
        while keys > MOST_KEYS:
            oldest = self._held.pop(next(iter(self._held)))
            keys -= len(oldest.set.keys) if oldest.set is not None else 0

    async def _fetch(self, held: _Held, address: Address, thumbprints: tuple[str, ...]) -> None:
        """Ask the provider, unless that just failed; many who wait share one fetch."""
        if held.fetching is None:
            now = self._clock()
            if held.failure is not None and now - held.asked[-1] < FAILED_SECONDS:
                raise type(held.failure)(*held.failure.args)
            held.asked.append(now)
            held.fetching = asyncio.create_task(self._ask(held, address, thumbprints))
        await asyncio.shield(held.fetching)
        if held.failure is not None:
            raise type(held.failure)(*held.failure.args)

    async def _ask(self, held: _Held, address: Address, thumbprints: tuple[str, ...]) -> None:
        held.failure = None
        try:
            found = await self._discover(address, thumbprints)
            held.set = found
            held.fresh_until = self._clock() + found.kept_seconds
            self._make_room()
        except Unreachable:
            held.failure = ProviderUnreachable(_UNREACHABLE)
        except Untrusted as error:
            held.failure = InvalidIdentity(str(error))
        except (FetchFailed, BadKeySet):
            held.failure = InvalidIdentity(_NO_KEY)
        finally:
            held.fetching = None

    async def _discover(self, address: Address, thumbprints: tuple[str, ...]) -> KeySet:
        inward = address.url if address.inward else ""
        url = address.url.removesuffix("/") + _DISCOVERY
        keys_url = await self._fetcher.get(
            url, lambda answer: keys_address(answer, address.issuers), inward=inward, thumbprints=thumbprints
        )
        return await self._fetcher.get(keys_url, key_set, inward=inward, thumbprints=thumbprints)


def keys_address(answer: Answer, issuers: tuple[str, ...]) -> str:
    """The URL of the key set in a provider's metadata, which must be that of one of these issuers. Raises BadKeySet."""
    metadata = _object(answer)
    if metadata.get("issuer") not in issuers:
        raise BadKeySet("the metadata is another issuer's")
    for name in _REQUIRED_LISTS:
        if not isinstance(metadata.get(name), list):
            raise BadKeySet(f"the metadata has no {name}")
    url = metadata.get("jwks_uri")
    if not isinstance(url, str):
        raise BadKeySet("the metadata has no jwks_uri")
    try:
        check_url(url)
    except BadIssuer:
        raise BadKeySet("the metadata's jwks_uri is not one that may be fetched") from None
    return url


def key_set(answer: Answer) -> KeySet:
    """The keys of a set that may verify a token; others are passed over. Raises BadKeySet."""
    listed = _object(answer).get("keys")
    if not isinstance(listed, list):
        raise BadKeySet("the key set has no keys")
    keys = []
    for type_ in _PUBLIC:
        of_type = [one for one in listed if isinstance(one, dict) and one.get("kty") == type_]
        if len(of_type) > MOST_KEYS_OF_A_TYPE:
            raise BadKeySet(f"the key set has more than {MOST_KEYS_OF_A_TYPE} keys of a type")
        keys += [key for key in map(_key, of_type) if key is not None]
    if not keys:
        raise BadKeySet("the key set has no key that may verify a token")
    said = answer.max_age_seconds
    kept = DEFAULT_SECONDS if said is None else min(max(said, LEAST_SECONDS), MOST_SECONDS)
    return KeySet(tuple(keys), kept)


def _object(answer: Answer) -> dict[str, Any]:
    try:
        return an_object(answer.body)
    except BadJson as error:
        raise BadKeySet(str(error)) from None


def _key(given: dict[str, Any]) -> Key | None:
    """A public signing key, None for what isn't one; also for one whose private half is published."""
    type_ = given["kty"]
    operations = given.get("key_ops", ["verify"])
    key_id = given.get("kid")
    algorithm = given.get("alg", "")
    if given.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    if "d" in given or not isinstance(algorithm, str) or (algorithm and algorithm not in ALGORITHMS):
        return None
    if key_id is not None and (not isinstance(key_id, str) or len(key_id) > _MOST_KEY_ID_CHARACTERS):
        return None
    numbers = {name: given.get(name) for name in _PUBLIC[type_]}
    texts = {name: value for name, value in numbers.items() if isinstance(value, str) and _BASE64URL.fullmatch(value)}
    if len(texts) != len(numbers):
        return None
    if len(texts.get("e", "")) > _MOST_EXPONENT_CHARACTERS:
        return None
    return Key(key_id, type_, texts.get("crv", ""), algorithm, texts)

"""Whatever a stranger sends as a token, or a provider as a document, is refused in our own words or understood."""

from __future__ import annotations

import json
from typing import Any

from hostile import encoded, metadata
from hypothesis import given, settings
from hypothesis import strategies as st

from freehold.federation.fetch import Answer
from freehold.federation.identity import FederationRefused, InvalidIdentity, WebIdentity
from freehold.federation.issuers import Address, Addresses
from freehold.federation.jwks import ALGORITHMS, BadKeySet, key_set, keys_address
from freehold.federation.oidc import TrustedIssuer, _check_claims, _unverified
from freehold.services.sts import web_identity_claims

NOW = 1_800_000_000
PROVIDER = "idp.example.com"
ADDRESS: Address = Addresses().of(PROVIDER)

_anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def mixed(good: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Good members, of which some are missing and some are anything; and further ones."""
    return st.fixed_dictionaries(
        {}, optional={name: st.just(value) | _anything for name, value in good.items()}
    ).flatmap(lambda some: st.dictionaries(st.text(max_size=12), _anything, max_size=3).map(lambda more: more | some))


HEADERS = mixed({"alg": "RS256", "kid": "k", "typ": "JWT", "crit": ["x"], "jku": "https://x"})
CLAIMS = mixed(
    {
        "iss": f"https://{PROVIDER}",
        "sub": "alice",
        "aud": "app",
        "azp": "app",
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + 600,
        "amr": ["pwd"],
        "https://aws.amazon.com/tags": {"principal_tags": {"a": ["b"]}, "transitive_tag_keys": ["a"]},
        "https://aws.amazon.com/tags/principal_tags/c": "d",
        "https://aws.amazon.com/source_identity": "alice",
    }
)


@given(
    st.text(max_size=200)
    | st.from_regex(r"[A-Za-z0-9_-]{1,60}\.[A-Za-z0-9_-]{1,60}\.[A-Za-z0-9_-]{1,20}", fullmatch=True)
)
def test_a_text_is_no_token(text: str) -> None:
    try:
        _unverified(text)
    except InvalidIdentity:
        return


@settings(max_examples=300)
@given(HEADERS, CLAIMS)
def test_a_token_is_understood_or_refused(header: dict[str, Any], claims: dict[str, Any]) -> None:
    token = ".".join((*(encoded(json.dumps(part).encode()) for part in (header, claims)), "AAAA"))
    try:
        seen_header, seen = _unverified(token)
    except InvalidIdentity:
        return
    assert seen_header["alg"] in ALGORITHMS
    assert "crit" not in seen_header
    try:
        _check_claims(seen, ADDRESS, TrustedIssuer(PROVIDER, ("app",)), NOW)
    except FederationRefused:
        return
    assert seen["iss"] == f"https://{PROVIDER}"
    assert "app" in (seen.get("azp"), seen["aud"], *(seen["aud"] if isinstance(seen["aud"], list) else ()))
    assert isinstance(seen["exp"], int)
    assert seen["exp"] > NOW - 300
    assert 0 < len(seen["sub"]) <= 255


@settings(max_examples=300)
@given(CLAIMS)
def test_what_a_verified_token_asks_for_is_understood_or_refused(claims: dict[str, Any]) -> None:
    identity = WebIdentity(PROVIDER, "alice", "app", claims)
    keys = web_identity_claims.condition_keys(identity)
    assert all(isinstance(value, str) or (isinstance(value, tuple) and value) for value in keys.values())
    try:
        tags, transitive = web_identity_claims.tags(claims)
        source = web_identity_claims.source_identity(claims)
    except InvalidIdentity:
        return
    assert {key.lower() for key in transitive} <= {key.lower() for key, _ in tags}
    assert all(not key.lower().startswith("aws:") and len(value) <= 256 for key, value in tags)
    assert len(source) <= 64


@settings(max_examples=200)
@given(mixed(metadata(f"https://{PROVIDER}")) | _anything, st.binary(max_size=30))
def test_metadata_is_understood_or_refused(value: Any, garbage: bytes) -> None:
    for body in (json.dumps(value).encode(), garbage):
        try:
            url = keys_address(Answer(body, None), (f"https://{PROVIDER}",))
        except BadKeySet:
            continue
        assert url.startswith("https://")


@settings(max_examples=200)
@given(
    st.lists(
        mixed({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "k", "use": "sig", "alg": "RS256", "key_ops": ["verify"]})
        | mixed({"kty": "EC", "crv": "P-256", "x": "AQAB", "y": "AQAB", "kid": "k"})
        | _anything,
        max_size=5,
    )
)
def test_a_key_set_is_understood_or_refused(keys: list[Any]) -> None:
    try:
        found = key_set(Answer(json.dumps({"keys": keys}).encode(), None))
    except BadKeySet:
        return
    for key in found.keys:
        for algorithm in ALGORITHMS:
            if key.suits(algorithm):
                try:
                    key.for_algorithm(algorithm)
                except BadKeySet:
                    continue

"""ID tokens that must not be believed, and the keys that tokens are verified with."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hostile import Signer, document, encoded, metadata, public_jwk, signed

from freehold.clock import Clock
from freehold.config import Settings
from freehold.federation import jwks
from freehold.federation.fetch import Answer, Fetcher
from freehold.federation.identity import ExpiredIdentity, InvalidIdentity, ProviderUnreachable, WebIdentity
from freehold.federation.jwks import BadKeySet, KeySets, key_set, keys_address
from freehold.federation.oidc import TrustedIssuer, WebIdentities

PROVIDER = "idp.example.com"


class MovedClock(Clock):
    def __init__(self) -> None:
        super().__init__()
        self.moved = 0.0

    def wall_seconds(self) -> float:
        return super().wall_seconds() + self.moved


class Verifier:
    """Verifies on one event loop, with time that the test moves."""

    def __init__(self, signer: Signer, issuer: str = "") -> None:
        self.clock = MovedClock()
        self.monotonic = 0.0
        settings = Settings(
            data=Path(),
            root_key=Path(),
            issuers=((PROVIDER, issuer or signer.origin),),
            issuer_ca=signer.authority.bundle,
        )
        self.identities = WebIdentities(settings, self.clock, Fetcher(signer.authority.bundle, total_seconds=2))
        self.identities._keys = KeySets(self.identities.fetcher, lambda: self.monotonic)
        self.loop = asyncio.new_event_loop()

    def __call__(self, token: str, audiences: tuple[str, ...] | None = ("app",)) -> WebIdentity:
        return self.loop.run_until_complete(self.identities.verify(token, TrustedIssuer(PROVIDER, audiences)))

    def close(self) -> None:
        self.identities.close()
        self.loop.close()


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    made = Signer(tmp_path_factory.mktemp("signer"))
    yield made
    made.close()


@pytest.fixture
def verify(signer: Signer) -> Iterator[Verifier]:
    made = Verifier(signer)
    signer.asked.clear()
    yield made
    made.close()


@pytest.fixture
def own_signer(tmp_path: Path) -> Iterator[Signer]:
    made = Signer(tmp_path)
    yield made
    made.close()


def test_a_good_token_says_who_it_is(signer: Signer, verify: Verifier) -> None:
    for header in ({}, {"alg": "ES256", "kid": "ec"}, {"typ": "jwt"}, {"typ": "application/jwt"}):
        identity = verify(signer.token(signer.claims(email="a@example.com"), header))
        assert (identity.provider, identity.subject, identity.audience) == (PROVIDER, "alice", "app")
        assert identity.claims["email"] == "a@example.com"
    assert "example.com" not in repr(identity).replace(PROVIDER, "")


# Signatures


def test_unsigned_tokens_are_refused(signer: Signer, verify: Verifier) -> None:
    for algorithm in ("none", "None", "NONE", "nOnE", ""):
        header = encoded(json.dumps({"alg": algorithm, "kid": "rsa"}).encode())
        claims = encoded(json.dumps(signer.claims()).encode())
        for signature in ("", "AAAA"):
            with pytest.raises(InvalidIdentity):
                verify(f"{header}.{claims}.{signature}")
    with pytest.raises(InvalidIdentity):
        verify(signed(signer.claims(), {"alg": "none", "kid": "rsa"}, None))
    assert signer.asked == []


def test_the_public_key_is_no_password(signer: Signer, verify: Verifier) -> None:
    """A keyed hash, with the text of the RSA public key as its key."""
    import hashlib
    import hmac

    for key in (signer.public_pem(), signer.public_pem().strip(), json.dumps(signer.keys[0]).encode()):
        for algorithm, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512), ("RS256", hashlib.sha256)):
            header = encoded(json.dumps({"alg": algorithm, "kid": "rsa"}).encode())
            start = f"{header}.{encoded(json.dumps(signer.claims()).encode())}"
            with pytest.raises(InvalidIdentity):
                verify(f"{start}.{encoded(hmac.new(key, start.encode(), digest).digest())}")


def test_a_key_serves_its_own_kind_of_algorithm_only(signer: Signer, verify: Verifier) -> None:
    for header in ({"alg": "RS256", "kid": "ec"}, {"alg": "ES256", "kid": "rsa"}, {"alg": "ES384", "kid": "ec"}):
        key = signer.rsa_key if header["alg"] == "RS256" else ec.generate_private_key(ec.SECP384R1())
        with pytest.raises(InvalidIdentity):
            verify(signer.token(signer.claims(), header, key if header["alg"] != "ES256" else signer.ec_key))
    for algorithm in ("PS256", "EdDSA", "RS1", "ES256K", "RS256 ", "rs256"):
        header_text = encoded(json.dumps({"alg": algorithm, "kid": "rsa"}).encode())
        good = signer.token(signer.claims())
        with pytest.raises(InvalidIdentity, match="must be signed with one of"):
            verify(header_text + good[good.index(".") :])


def test_somebody_elses_key_is_not_taken_from_the_token(signer: Signer, verify: Verifier) -> None:
    mine = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key = public_jwk(mine, "mine")
    pointers = (
        {},
        {"jwk": key},
        {"jku": f"{signer.origin}/mine"},
        {"x5u": f"{signer.origin}/mine"},
        {"x5c": ["AAAA"]},
        {"kid": "mine", "jwk": key},
        {"kid": "../mine"},
        {"kid": f"{signer.origin}/mine"},
        {"kid": "' OR 1=1 --"},
        {"kid": "\x00rsa"},
        {"kid": "rsa\x00"},
        {"kid": "RSA"},
        {"kid": ""},
    )
    for pointer in pointers:
        with pytest.raises(InvalidIdentity):
            verify(signer.token(signer.claims(), pointer, mine))
    assert set(signer.asked) <= {"/.well-known/openid-configuration", "/jwks"}


@pytest.mark.parametrize(
    "header",
    [
        {"kid": ["rsa"]},
        {"kid": 1},
        {"crit": ["exp"]},
        {"crit": []},
        {"b64": False},
        {"typ": "at+jwt"},
        {"typ": "logout+jwt"},
        {"typ": 1},
        {"alg": ["RS256"]},
        {"alg": None},
    ],
    ids=str,
)
def test_headers_that_mean_something_else_are_refused(signer: Signer, verify: Verifier, header: dict[str, Any]) -> None:
    good = signer.token(signer.claims())
    text = encoded(json.dumps({"alg": "RS256", "kid": "rsa"} | header).encode())
    with pytest.raises(InvalidIdentity):
        verify(text + good[good.index(".") :])
    assert signer.asked == []


def test_an_altered_token_is_refused(signer: Signer, verify: Verifier) -> None:
    header, claims, signature = signer.token(signer.claims()).split(".")
    other = encoded(json.dumps(signer.claims(sub="mallory")).encode())
    flipped = bytearray(base64.urlsafe_b64decode(signature + "=="))
    flipped[10] ^= 1
    for token in (
        f"{header}.{other}.{signature}",
        f"{header}.{claims}.{encoded(bytes(flipped))}",
        f"{header}.{claims}.{signature[:-4]}",
        f"{header}.{claims}.AAAA",
        f"{header}.{claims}.",
        f"{header}.{claims}",
        f"{header}.{claims}.{signature}.",
        f"{header}.{claims}.{signature}=",
        f"{header}.{claims}.{signature}\n",
        f" {header}.{claims}.{signature}",
        f"{header}.{claims}.{signature[:8]}+{signature[8:]}",
        f"{header}..{signature}",
        f".{claims}.{signature}",
    ):
        with pytest.raises(InvalidIdentity):
            verify(token)


# What a token says


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        *(({name: None}, f"Missing a required claim: {name}") for name in ("iss", "sub", "aud", "exp", "iat")),
        ({"iss": "https://evil.example.com"}, "another provider"),
        ({"iss": ["https://idp.example.com"]}, "another provider"),
        ({"iss": f"https://{PROVIDER}/"}, "another provider"),
        ({"aud": "other"}, "Incorrect token audience"),
        ({"aud": ["other"]}, "Incorrect token audience"),
        ({"aud": ["app", "other"]}, "several audiences"),
        ({"aud": ["other", "app"], "azp": "other"}, "Incorrect token audience"),
        ({"azp": "other"}, "Incorrect token audience"),
        ({"azp": ["app"]}, "azp"),
        ({"azp": ""}, "azp"),
        ({"aud": []}, "aud"),
        ({"aud": ["app", 1]}, "aud"),
        ({"aud": {"app": 1}}, "aud"),
        ({"aud": ""}, "aud"),
        ({"aud": "a" * 256}, "aud"),
        ({"sub": ""}, "sub"),
        ({"sub": "a" * 256}, "sub"),
        ({"sub": 7}, "sub"),
        ({"exp": "9999999999"}, "exp"),
        ({"exp": 9999999999.5}, "exp"),
        ({"exp": True}, "exp"),
        ({"exp": -1}, "exp"),
        ({"exp": 10**30}, "exp"),
        ({"iat": "0"}, "iat"),
        ({"nbf": "0"}, "nbf"),
        ({"iat": 9999999999}, "expires before"),
        ({"iat": 9999999990, "exp": 9999999999}, "not come yet"),
        ({"nbf": 9999999999}, "not come yet"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_claims_that_are_missing_or_wrong_are_refused_and_nothing_is_fetched(
    signer: Signer, verify: Verifier, changed: dict[str, Any], text: str
) -> None:
    with pytest.raises(InvalidIdentity, match=text):
        verify(signer.token(signer.claims(**changed)))
    assert signer.asked == []


def test_several_audiences_are_for_the_one_that_asked(signer: Signer, verify: Verifier) -> None:
    assert verify(signer.token(signer.claims(aud=["api", "app"], azp="app"))).audience == "app"
    assert verify(signer.token(signer.claims(aud=["app"]))).audience == "app"
    assert verify(signer.token(signer.claims(aud="anything")), None).audience == "anything"
    with pytest.raises(InvalidIdentity, match="Incorrect token audience"):
        verify(signer.token(signer.claims()), ())


def test_a_token_is_good_until_five_minutes_after_its_end(signer: Signer, verify: Verifier) -> None:
    token = signer.token(signer.claims())
    for moved, good in ((0, True), (899, True), (901, False), (10**6, False), (-299, True), (-302, False)):
        verify.clock.moved = moved
        if good:
            assert verify(token).subject == "alice"
        else:
            with pytest.raises(ExpiredIdentity if moved > 0 else InvalidIdentity):
                verify(token)


def test_limits_hold_to_the_second_and_to_the_character(signer: Signer, verify: Verifier) -> None:
    now = 1_800_000_000
    verify.clock.wall_seconds = lambda: float(now)  # type: ignore[method-assign]

    def outcome(**times: int) -> str:
        try:
            return verify(signer.token(signer.claims(**times))).subject
        except (ExpiredIdentity, InvalidIdentity) as error:
            return type(error).__name__

    assert outcome(iat=now - 900, exp=now - 299) == "alice"
    assert outcome(iat=now - 900, exp=now - 300) == "ExpiredIdentity"
    assert outcome(iat=now + 300, exp=now + 600) == "alice"
    assert outcome(iat=now + 301, exp=now + 600) == "InvalidIdentity"
    assert outcome(iat=now, nbf=now + 300, exp=now + 600) == "alice"
    assert outcome(iat=now, nbf=now + 301, exp=now + 600) == "InvalidIdentity"
    assert outcome(iat=now, exp=now) == "InvalidIdentity"
    assert outcome(iat=now, exp=now + 1) == "alice"
    base = len(signer.token(signer.claims(iat=now, exp=now + 1, padding="")))
    for padding in range((20_000 - base) // 4 * 3 - 8, (20_000 - base) // 4 * 3 + 8):
        token = signer.token(signer.claims(iat=now, exp=now + 1, padding="x" * padding))
        if len(token) <= 20_000:
            assert verify(token).subject == "alice"
        else:
            with pytest.raises(InvalidIdentity):
                verify(token)


def test_what_is_no_base64_and_what_names_no_issuer_is_refused(signer: Signer, verify: Verifier) -> None:
    header, claims, signature = signer.token(signer.claims()).split(".")
    for token in (f"A.{claims}.{signature}", f"{header}.A.{signature}", f"{header}.{claims}.A"):
        with pytest.raises(InvalidIdentity):
            verify(token)
    for issuer in (None, 7, ["https://idp.example.com"]):
        with pytest.raises(InvalidIdentity, match="Missing a required claim: iss"):
            verify.identities.claimed_providers(signer.token(signer.claims(iss=issuer)))


def test_a_name_that_is_given_twice_is_refused(signer: Signer, verify: Verifier) -> None:
    claims = json.dumps(signer.claims())
    for text in (
        claims[:-1] + ', "sub": "mallory"}',
        claims[:-1] + ', "a": {"b": 1, "b": 2}}',
        claims[:-1] + ', "exp": NaN}',
        claims + "{}",
        "[" + claims + "]",
        "null",
        '"text"',
        "\ufeff" + claims,
        '{"a":' + "[" * 9000 + "]" * 9000 + "}",
        claims[:-1] + ', "n": ' + "9" * 5000 + "}",
    ):
        with pytest.raises(InvalidIdentity, match="not a valid JWT"):
            verify(signed(text.encode(), {"alg": "RS256", "kid": "rsa"}, signer.rsa_key))
    header = b'{"alg":"RS256","kid":"rsa","alg":"RS256"}'
    with pytest.raises(InvalidIdentity, match="not a valid JWT"):
        verify(signed(claims.encode(), header, signer.rsa_key))
    with pytest.raises(InvalidIdentity, match="not a valid JWT"):
        verify(signed(b'{"sub": "\xff"}', {"alg": "RS256", "kid": "rsa"}, signer.rsa_key))


def test_a_huge_token_is_refused_unread(signer: Signer, verify: Verifier) -> None:
    with pytest.raises(InvalidIdentity, match="not a valid JWT"):
        verify(signer.token(signer.claims(padding="x" * 20_000)))
    assert signer.asked == []


# Keys


def test_keys_are_fetched_once_and_kept(signer: Signer, verify: Verifier) -> None:
    for _ in range(5):
        verify(signer.token(signer.claims()))
    assert signer.asked == ["/.well-known/openid-configuration", "/jwks"]
    verify.monotonic += jwks.DEFAULT_SECONDS
    verify(signer.token(signer.claims()))
    assert len(signer.asked) == 4


def test_many_who_wait_share_one_fetch(signer: Signer, verify: Verifier) -> None:
    async def together() -> None:
        token, trusted = signer.token(signer.claims()), TrustedIssuer(PROVIDER, ("app",))
        await asyncio.gather(*(verify.identities.verify(token, trusted) for _ in range(50)))

    verify.loop.run_until_complete(together())
    assert len(signer.asked) == 2


@pytest.mark.parametrize(
    ("control", "kept"),
    [
        ("max-age=0", jwks.LEAST_SECONDS),
        ("no-store", jwks.LEAST_SECONDS),
        ("max-age=1000", 1000),
        ("max-age=999999999", jwks.MOST_SECONDS),
    ],
)
def test_keys_are_kept_as_long_as_their_provider_says_within_bounds(
    own_signer: Signer, control: str, kept: int
) -> None:
    own_signer.routes["/jwks"] = document({"keys": own_signer.keys}, Cache_Control=control)
    verify = Verifier(own_signer)
    token = own_signer.token(own_signer.claims())
    verify(token)
    verify.monotonic += kept - 1
    verify(token)
    assert len(own_signer.asked) == 2
    verify.monotonic += 1
    verify(token)
    assert len(own_signer.asked) == 4
    verify.close()


def test_a_new_key_is_found_at_once_and_a_withdrawn_one_is_forgotten(own_signer: Signer) -> None:
    verify = Verifier(own_signer)
    old = own_signer.token(own_signer.claims())
    verify(old)
    own_signer.rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    own_signer.keys = [public_jwk(own_signer.rsa_key, "new")]
    assert verify(own_signer.token(own_signer.claims(), {"kid": "new"})).subject == "alice"
    with pytest.raises(InvalidIdentity):
        verify(old)
    verify.close()


def test_unknown_keys_make_nobody_fetch_without_end(signer: Signer, verify: Verifier) -> None:
    mine = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for number in range(100):
        with pytest.raises(InvalidIdentity, match="Couldn't retrieve verification key"):
            verify(signer.token(signer.claims(), {"kid": f"k{number}"}, mine))
    assert len(signer.asked) == 2 * jwks.MOST_FETCHES
    # Whoever has a key that is known is let in meanwhile.
    assert verify(signer.token(signer.claims())).subject == "alice"
    verify.monotonic += jwks.WINDOW_SECONDS
    with pytest.raises(InvalidIdentity):
        verify(signer.token(signer.claims(), {"kid": "k"}, mine))
    assert len(signer.asked) == 2 * jwks.MOST_FETCHES + 2


def test_a_provider_that_failed_is_left_alone_for_a_while(own_signer: Signer) -> None:
    verify = Verifier(own_signer)
    jwks_route = own_signer.routes.pop("/jwks")
    token = own_signer.token(own_signer.claims())
    for _ in range(10):
        with pytest.raises(InvalidIdentity, match="Couldn't retrieve verification key"):
            verify(token)
    assert len(own_signer.asked) == 2
    own_signer.routes["/jwks"] = jwks_route
    verify.monotonic += jwks.FAILED_SECONDS
    assert verify(token).subject == "alice"
    verify.close()


def test_a_provider_that_cannot_be_reached_is_said_to_be(own_signer: Signer) -> None:
    verify = Verifier(own_signer, "https://127.0.0.1:9")
    with pytest.raises(ProviderUnreachable) as caught:
        verify(own_signer.token(own_signer.claims(iss="https://127.0.0.1:9")))
    assert str(caught.value) == "The identity provider could not be reached to verify the token."
    verify.close()


def test_keys_of_a_failed_refetch_stay_good(own_signer: Signer) -> None:
    verify = Verifier(own_signer)
    token = own_signer.token(own_signer.claims())
    verify(token)
    del own_signer.routes["/jwks"]
    with pytest.raises(InvalidIdentity):
        verify(own_signer.token(own_signer.claims(), {"kid": "unknown"}))
    assert verify(token).subject == "alice"
    verify.close()


def test_a_token_without_a_key_id_needs_a_provider_with_one_key(own_signer: Signer) -> None:
    verify = Verifier(own_signer)
    header, _, rest = own_signer.token(own_signer.claims()).partition(".")
    del header, rest
    nameless = signed(own_signer.claims(), {"alg": "RS256"}, own_signer.rsa_key)
    assert verify(nameless).subject == "alice"
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    own_signer.keys.append(public_jwk(other, "second"))
    verify.monotonic += jwks.DEFAULT_SECONDS
    with pytest.raises(InvalidIdentity):
        verify(nameless)
    verify.close()


def test_the_key_set_is_held_to_the_same_rules_as_its_issuer(own_signer: Signer) -> None:
    for url in (
        "https://localhost:1/jwks",
        "https://169.254.169.254/jwks",
        "https://10.0.0.1/jwks",
        "http://127.0.0.1/jwks",
        "file:///etc/passwd",
        "https://127.0.0.1/jwks",
        "https://evil@127.0.0.1/jwks",
    ):
        own_signer.routes["/.well-known/openid-configuration"] = document(metadata(own_signer.origin, jwks_uri=url))
        verify = Verifier(own_signer)
        with pytest.raises((InvalidIdentity, ProviderUnreachable)):
            verify(own_signer.token(own_signer.claims()))
        verify.close()
    assert set(own_signer.asked) == {"/.well-known/openid-configuration"}


# Documents


def answer(value: Any, kept: int | None = None) -> Answer:
    return Answer(value if isinstance(value, bytes) else json.dumps(value).encode(), kept)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"garbage",
        b"<html>",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        {},
        metadata("https://evil.example.com"),
        metadata("https://idp.example.com/"),
        metadata("https://idp.example.com", jwks_uri=None),
        metadata("https://idp.example.com", jwks_uri="http://idp.example.com/jwks"),
        metadata("https://idp.example.com", jwks_uri=["https://idp.example.com/jwks"]),
        metadata("https://idp.example.com", jwks_uri="https://idp.example.com/jwks?a=b"),
        metadata("https://idp.example.com", response_types_supported=None),
        b'{"issuer": "https://idp.example.com", "issuer": "https://idp.example.com"}',
    ],
    ids=lambda value: str(value)[:70],
)
def test_metadata_that_is_not_the_issuers_is_refused(value: Any) -> None:
    with pytest.raises(BadKeySet):
        keys_address(answer(value), ("https://idp.example.com",))


def test_metadata_names_the_key_set() -> None:
    good = metadata("https://idp.example.com", jwks_uri="https://keys.example.com/all")
    assert keys_address(answer(good), ("https://idp.example.com",)) == "https://keys.example.com/all"


def test_keys_that_may_not_verify_are_passed_over() -> None:
    good = public_jwk(rsa.generate_private_key(public_exponent=65537, key_size=2048), "good")
    unusable = [
        {**good, "kid": "encrypts", "use": "enc"},
        {**good, "kid": "wraps", "key_ops": ["wrapKey"]},
        {**good, "kid": "published", "d": "AQAB"},
        {**good, "kid": "hashes", "alg": "HS256"},
        {**good, "kid": 7},
        {**good, "kid": "k" * 2000},
        {**good, "kid": "no numbers", "n": None},
        {**good, "kid": "not base64", "n": "!!!"},
        {**good, "kid": "huge", "n": "A" * 20_000},
        {**good, "kid": "costly", "e": "A" * 300},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        {"kty": "OKP", "crv": "Ed25519", "x": "AAAA", "kid": "edwards"},
        {"kid": "nothing"},
        "text",
        None,
    ]
    assert [key.key_id for key in key_set(answer({"keys": [*unusable, good]})).keys] == ["good"]
    with pytest.raises(BadKeySet):
        key_set(answer({"keys": unusable}))


@pytest.mark.parametrize("value", [{}, {"keys": None}, {"keys": {}}, {"keys": []}, b"garbage"], ids=str)
def test_a_key_set_without_keys_is_refused(value: Any) -> None:
    with pytest.raises(BadKeySet):
        key_set(answer(value))


def test_a_key_set_has_at_most_a_hundred_keys_of_a_type() -> None:
    key = public_jwk(rsa.generate_private_key(public_exponent=65537, key_size=2048), "k")
    assert len(key_set(answer({"keys": [key] * 100})).keys) == 100
    with pytest.raises(BadKeySet):
        key_set(answer({"keys": [key] * 101}))


def test_short_rsa_keys_verify_nothing(own_signer: Signer) -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    own_signer.keys = [public_jwk(short, "short")]
    verify = Verifier(own_signer)
    with pytest.raises(InvalidIdentity):
        verify(own_signer.token(own_signer.claims(), {"kid": "short"}, short))
    verify.close()


def test_what_is_kept_of_providers_is_bounded(monkeypatch: pytest.MonkeyPatch, signer: Signer) -> None:
    monkeypatch.setattr(jwks, "MOST_SETS", 3)
    sets = KeySets(Fetcher(total_seconds=0.2, resolve=lambda host, port: []))
    identities = WebIdentities(Settings(data=Path(), root_key=Path()), Clock())

    async def ask_many() -> None:
        for number in range(10):
            with pytest.raises(ProviderUnreachable):
                await sets.key(identities.addresses.of(f"idp{number}.example.com"), "k", "RS256")

    asyncio.run(ask_many())
    assert len(sets._held) == 3
    identities.close()

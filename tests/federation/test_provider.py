"""The provider that the tests sign in to is a real one: what it issues is verified here without Freehold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt
from openid_provider import HERE

if TYPE_CHECKING:
    from openid_provider import OpenIdProvider


def test_the_lock_file_names_no_place_to_fetch_from() -> None:
    assert '"resolved"' not in (HERE / "package-lock.json").read_text()


def test_a_person_signs_in_and_the_application_gets_a_signed_token(openid_provider: OpenIdProvider) -> None:
    openid_provider.set_claims("carol", **{"https://aws.amazon.com/source_identity": "carol@example.com"})
    token = openid_provider.id_token("carol", client_id="app-ES384", nonce="n")
    kid = jwt.get_unverified_header(token)["kid"]
    key = next(jwt.PyJWK(one) for one in openid_provider.keys()["keys"] if one["kid"] == kid)
    claims = jwt.decode(token, key, algorithms=["ES384"], audience="app-ES384", issuer=openid_provider.issuer)
    assert claims["sub"] == "carol"
    assert claims["nonce"] == "n"
    assert claims["https://aws.amazon.com/source_identity"] == "carol@example.com"


def test_its_keys_change(rotating_provider: OpenIdProvider) -> None:
    before = {key["kid"] for key in rotating_provider.keys()["keys"]}
    rotating_provider.rotate()
    after = {key["kid"] for key in rotating_provider.keys()["keys"]}
    assert before
    assert not before & after
    rotating_provider.rotate(keep=True)
    assert after < {key["kid"] for key in rotating_provider.keys()["keys"]}

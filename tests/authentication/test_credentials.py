"""Session tokens are sealed, whole and timely; key ids name their account; secrets show nothing."""

from __future__ import annotations

import base64
import os
import pickle
import string
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signed_requests import At

from freehold.authentication.credentials import ExpiredToken, InvalidToken, Secret, TokenSealer, TokenTooLarge
from freehold.authentication.key_ids import account_of_access_key_id, new_access_key_id, new_secret, new_unique_id
from freehold.authorization.principal import Principal, Session
from freehold.crypto.aead import Sealer

ALPHABET = string.ascii_letters + string.digits + "+/"
SESSION = Session(
    issued_at=1000,
    expires_at=4600,
    name="job",
    policies=('{"Version":"2012-10-17"}', "{}"),
    policy_arns=("arn:aws:iam::aws:policy/ReadOnlyAccess",),
    tags=(("team", "a"), ("élan", "ü")),
    transitive_tag_keys=("team",),
    mfa_at=990,
    source_identity="ann",
    chained=True,
    issuer_unique_id="AROAEXAMPLE",
)
PRINCIPAL = Principal(
    kind="role",
    account_id="123456789012",
    arn="arn:aws:sts::123456789012:assumed-role/app/job",
    unique_id="AROAEXAMPLE:job",
    name="app",
    issuer_arn="arn:aws:iam::123456789012:role/path/app",
    session=SESSION,
    tags=(("team", "a"),),
    extra_context={"saml:aud": "x", "saml:groups": ("a", "b")},
)


def sealer(at: float = 1000) -> TokenSealer:
    return TokenSealer(Sealer(bytes(range(32))), At(at))  # type: ignore[arg-type]


def test_a_token_gives_back_the_whole_principal_and_its_secret() -> None:
    issued = sealer().issue(PRINCIPAL)
    opened = sealer(4599).open(issued.access_key_id, issued.token)
    assert opened.secret == issued.secret
    expected = asdict(PRINCIPAL) | {"access_key_id": issued.access_key_id}
    assert asdict(opened.principal) == expected == asdict(issued.principal)


@pytest.mark.parametrize("policies", [None, (), ("{}",)])
def test_no_session_policy_is_told_from_an_empty_list_of_them(policies: tuple[str, ...] | None) -> None:
    principal = Principal(kind="user", account_id="123456789012", session=Session(0, 9999, policies=policies))
    issued = sealer().issue(principal)
    session = sealer().open(issued.access_key_id, issued.token).principal.session
    assert session is not None
    assert session.policies == policies


def test_a_token_is_refused_once_it_has_expired_even_when_it_was_opened_before() -> None:
    tokens = sealer()
    issued = tokens.issue(PRINCIPAL)
    clock: At = tokens._clock  # type: ignore[assignment]
    tokens.open(issued.access_key_id, issued.token)
    clock.seconds = 4600
    with pytest.raises(ExpiredToken):
        tokens.open(issued.access_key_id, issued.token)


def test_a_token_opens_for_its_own_access_key_only() -> None:
    tokens = sealer()
    issued, other = tokens.issue(PRINCIPAL), tokens.issue(PRINCIPAL)
    for opener in (tokens, sealer()):
        opener.open(issued.access_key_id, issued.token)
        with pytest.raises(InvalidToken):
            opener.open(other.access_key_id, issued.token)


def test_a_token_under_another_key_is_refused() -> None:
    issued = sealer().issue(PRINCIPAL)
    with pytest.raises(InvalidToken):
        TokenSealer(Sealer(os.urandom(32)), At(1000)).open(issued.access_key_id, issued.token)  # type: ignore[arg-type]


def test_a_token_with_any_changed_character_is_refused() -> None:
    tokens = sealer()
    issued = tokens.issue(PRINCIPAL)
    tokens.open(issued.access_key_id, issued.token)
    for index, character in enumerate(issued.token):
        replaced = issued.token[:index] + ("A" if character != "A" else "B") + issued.token[index + 1 :]
        with pytest.raises(InvalidToken):
            tokens.open(issued.access_key_id, replaced)
    for other in (issued.token + "=", issued.token + "\n", " " + issued.token, issued.token[:-4], "", "A" * 20_000):
        with pytest.raises(InvalidToken):
            tokens.open(issued.access_key_id, other)


def test_another_spelling_of_a_token_is_refused() -> None:
    tokens = sealer()
    spellings = 0
    for length in range(4):
        issued = tokens.issue(replace(PRINCIPAL, name="n" * length))
        text = issued.token.rstrip("=")
        for last in ALPHABET:
            other = text[:-1] + last + issued.token[len(text) :]
            if other != issued.token and base64.b64decode(other) == base64.b64decode(issued.token):
                spellings += 1
                with pytest.raises(InvalidToken):
                    tokens.open(issued.access_key_id, other)
    assert spellings


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: base64.b64encode(data).decode()))
def test_no_token_does_worse_than_being_invalid(token: str) -> None:
    with pytest.raises(InvalidToken):
        sealer().open("ASIAEXAMPLE\udc80", token)


def test_a_session_too_large_for_a_token_is_refused_with_how_much_it_takes() -> None:
    noise = base64.b64encode(os.urandom(40_000)).decode()
    with pytest.raises(TokenTooLarge) as caught:
        sealer().issue(Principal(kind="role", account_id="123456789012", session=Session(0, 9999, policies=(noise,))))
    assert caught.value.percent > 100


def test_a_temporary_credential_and_a_secret_show_neither_secret_nor_token() -> None:
    issued = sealer().issue(PRINCIPAL)
    assert issued.secret.reveal() not in repr(issued) + str(issued.secret) + f"{issued.secret}"
    assert issued.token not in repr(issued)
    with pytest.raises(TypeError):
        pickle.dumps(issued.secret)
    assert Secret("a") == Secret("a") != Secret("b")


@given(st.integers(0, 999_999_999_999), st.sampled_from(["AKIA", "ASIA"]))
def test_an_access_key_id_names_its_account(account: int, prefix: str) -> None:
    access_key_id = new_access_key_id(prefix, f"{account:012d}")
    assert len(access_key_id) == 20
    assert access_key_id.startswith(prefix)
    assert account_of_access_key_id(access_key_id) == f"{account:012d}"


@pytest.mark.parametrize("text", ["AKIAIOSFODNN7EXAMPLE", "AKIA", "", "AKIA0000000000000000", "AKIAé" + "A" * 15])
def test_an_id_that_names_no_account_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="access key id"):
        account_of_access_key_id(text)


def test_ids_and_secrets_are_of_awss_form_and_differ() -> None:
    made = {new_secret() for _ in range(50)}
    assert len(made) == 50
    assert all(len(secret) == 40 for secret in made)
    assert len({new_unique_id("AIDA") for _ in range(50)}) == 50
    assert len(new_unique_id("AROA")) == 21

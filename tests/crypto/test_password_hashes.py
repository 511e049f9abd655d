"""Password hashes: a standard format, one salt for the passwords of one user, parameters of their own."""

from __future__ import annotations

import time

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from freehold.crypto import passwords


def test_a_hash_is_a_phc_string_that_others_verify() -> None:
    made = passwords.hashed("Pässword ÿ\t1")
    assert made.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    Argon2id.verify_phc_encoded("Pässword ÿ\t1".encode(), made)
    assert "ssword" not in made


def test_a_password_matches_its_hash_and_no_other() -> None:
    made = passwords.hashed("one")
    assert passwords.matches("one", [made])
    assert not passwords.matches("two", [made])
    assert not passwords.matches("one", [])
    assert not passwords.matches("one", [passwords.NOBODYS])


def test_two_users_with_one_password_have_different_hashes() -> None:
    assert passwords.hashed("one") != passwords.hashed("one")


def test_former_passwords_share_a_salt_and_are_compared_at_the_cost_of_one() -> None:
    first = passwords.hashed("password 0")
    former = [first, *(passwords.hashed(f"password {number}", like=first) for number in range(1, 12))]
    assert len(set(former)) == 12
    start = time.process_time()
    assert passwords.matches("password 7", [first]) is False
    one = time.process_time() - start
    start = time.process_time()
    assert passwords.matches("password 7", former)
    assert time.process_time() - start < 4 * one


def test_a_hash_of_other_parameters_still_matches() -> None:
    weaker = Argon2id(salt=b"0123456789abcdef", length=32, iterations=1, lanes=1, memory_cost=64)
    assert passwords.matches("old", [weaker.derive_phc_encoded(b"old")])


def test_nobodys_hash_takes_as_long_as_a_real_one() -> None:
    real = passwords.hashed("x")
    assert passwords.NOBODYS.rsplit("$", 2)[0] == real.rsplit("$", 2)[0]

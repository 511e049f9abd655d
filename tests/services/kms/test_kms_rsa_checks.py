"""RSA keys that are imported: every number is looked at, quickly, whatever the key's length."""

from __future__ import annotations

import dataclasses
import os
import time
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from freehold.services.kms import rsa_checks, specs


@dataclasses.dataclass(frozen=True)
class Numbers:
    """A private key's numbers, to be altered."""

    p: int
    q: int
    d: int
    dmp1: int
    dmq1: int
    iqmp: int
    n: int
    e: int

    def key(self) -> rsa.RSAPrivateKey:
        public = rsa.RSAPublicNumbers(self.e, self.n)
        numbers = rsa.RSAPrivateNumbers(self.p, self.q, self.d, self.dmp1, self.dmq1, self.iqmp, public)
        return numbers.private_key(unsafe_skip_rsa_key_validation=True)


@cache
def good() -> Numbers:
    found = rsa.generate_private_key(65537, 2048).private_numbers()
    public = found.public_numbers
    return Numbers(found.p, found.q, found.d, found.dmp1, found.dmq1, found.iqmp, public.n, public.e)


def of_factors(p: int, q: int, e: int = 65537) -> Numbers:
    """The numbers of a key with these factors, as if they were prime."""
    d = pow(e, -1, (p - 1) * (q - 1))
    return Numbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), p * q, e)


def odd(bits: int) -> int:
    """A number that is not prime, and has none of the factors that would make it fail sooner."""
    while True:
        made = int.from_bytes(os.urandom(bits // 8)) | 1 | (3 << (bits - 2))
        if (made - 1) % 65537 and made % 3 and pow(2, made - 1, made) != 1:
            return made


def test_a_key_as_it_should_be_is_accepted() -> None:
    rsa_checks.check(good().key())
    # The same key with the other of the two usual private exponents.
    rsa_checks.check(of_factors(good().p, good().q).key())


ALTERATIONS: list[dict[str, Any]] = [
    {"d": lambda it: it.d + 2},
    {"d": lambda it: it.d + it.n},
    {"dmp1": lambda it: it.dmp1 + 2},
    {"dmq1": lambda it: it.dmq1 + 2},
    {"iqmp": lambda it: it.iqmp + 1},
    {"n": lambda it: it.n + 2},
    {"p": lambda it: it.p + 2},
    {"q": lambda it: it.q + 2},
    {"p": lambda it: it.q, "q": lambda it: it.p},
    {"e": lambda it: it.e + 2},
    {"e": lambda it: it.e + 1},
    {"e": lambda it: it.e + it.n * 2},
]


@pytest.mark.parametrize("alteration", ALTERATIONS, ids=lambda one: "+".join(one))
def test_every_number_counts(alteration: dict[str, Any]) -> None:
    altered = dataclasses.replace(good(), **{name: change(good()) for name, change in alteration.items()})
    # The library makes no key at all of some of them.
    with pytest.raises(ValueError):  # noqa: PT011
        rsa_checks.check(altered.key())


def test_a_factor_that_is_not_prime_shows() -> None:
    composite = of_factors(odd(1024), good().q)
    with pytest.raises(ValueError, match="not prime"):
        rsa_checks.check(composite.key())


def test_long_keys_cost_nobody_time() -> None:
    """The library's own check of such a key takes many seconds, in which nothing else runs."""
    p = odd(5120)
    # Two odd numbers at random would often have a factor in common, and then there's no such key.
    key = of_factors(p, p + 2).key()
    material = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert 5000 < len(material) < 6144
    began = time.monotonic()
    with pytest.raises(specs.InvalidMaterial, match="4096 bits"):
        specs.SPECS["RSA_4096"].accept(material)
    assert time.monotonic() - began < 0.5

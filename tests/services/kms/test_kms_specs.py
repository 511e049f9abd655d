"""The table of key specs: which usages there are, what material is made, kept and accepted."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from freehold.errors import AwsError, ValidationException
from freehold.services.kms import specs

# https://docs.aws.amazon.com/kms/latest/APIReference/API_CreateKey.html, KeyUsage
USAGES = {
    "SYMMETRIC_DEFAULT": {"ENCRYPT_DECRYPT"},
    "RSA_2048": {"ENCRYPT_DECRYPT", "SIGN_VERIFY"},
    "RSA_3072": {"ENCRYPT_DECRYPT", "SIGN_VERIFY"},
    "RSA_4096": {"ENCRYPT_DECRYPT", "SIGN_VERIFY"},
    "ECC_NIST_P256": {"SIGN_VERIFY", "KEY_AGREEMENT"},
    "ECC_NIST_P384": {"SIGN_VERIFY", "KEY_AGREEMENT"},
    "ECC_NIST_P521": {"SIGN_VERIFY", "KEY_AGREEMENT"},
    "ECC_SECG_P256K1": {"SIGN_VERIFY"},
    "ECC_NIST_EDWARDS25519": {"SIGN_VERIFY"},
    "ML_DSA_44": {"SIGN_VERIFY"},
    "ML_DSA_65": {"SIGN_VERIFY"},
    "ML_DSA_87": {"SIGN_VERIFY"},
    "ML_KEM_768": {"ENCAPSULATE_DECAPSULATE"},
    "ML_KEM_1024": {"ENCAPSULATE_DECAPSULATE"},
    "HMAC_224": {"GENERATE_VERIFY_MAC"},
    "HMAC_256": {"GENERATE_VERIFY_MAC"},
    "HMAC_384": {"GENERATE_VERIFY_MAC"},
    "HMAC_512": {"GENERATE_VERIFY_MAC"},
}
ALL_USAGES = tuple(specs.MEMBERS)


def test_the_table_has_the_specs_and_usages_of_the_api_reference() -> None:
    assert {name: set(spec.usages) for name, spec in specs.SPECS.items()} == USAGES


@pytest.mark.parametrize("name", USAGES)
@pytest.mark.parametrize("usage", ALL_USAGES)
def test_a_usage_goes_with_its_specs_alone(name: str, usage: str) -> None:
    if usage in USAGES[name]:
        assert specs.chosen({"KeySpec": name, "KeyUsage": usage}) == (specs.SPECS[name], usage)
        assert specs.chosen({"CustomerMasterKeySpec": name, "KeyUsage": usage}) == (specs.SPECS[name], usage)
    else:
        with pytest.raises(ValidationException, match=f"KeyUsage {usage} is not compatible with KeySpec {name}"):
            specs.chosen({"KeySpec": name, "KeyUsage": usage})


def test_only_symmetric_encryption_keys_need_no_usage() -> None:
    assert specs.chosen({}) == (specs.SPECS["SYMMETRIC_DEFAULT"], "ENCRYPT_DECRYPT")
    for name in USAGES.keys() - {"SYMMETRIC_DEFAULT"}:
        with pytest.raises(ValidationException, match="You must specify a KeyUsage value"):
            specs.chosen({"KeySpec": name})


@pytest.mark.parametrize(("name", "code"), [("SM2", "UnsupportedOperationException"), ("ML_KEM_512", "NotImplemented")])
def test_specs_that_are_not_served_are_refused(name: str, code: str) -> None:
    with pytest.raises(AwsError) as error:
        specs.of(name)
    assert error.value.code == code


QUICK = [name for name in USAGES if name not in ("RSA_3072", "RSA_4096")]


@pytest.mark.parametrize("name", QUICK)
def test_material_that_is_made_is_loaded_and_accepted_as_it_is(name: str) -> None:
    spec = specs.SPECS[name]
    raw = spec.make()
    assert spec.make() != raw
    assert spec.accept(raw) == raw
    loaded = spec.load(raw)
    if spec.asymmetric:
        assert specs._private_bytes(loaded.private) == raw
    else:
        assert loaded == raw


@pytest.mark.parametrize("name", [name for name in QUICK if specs.SPECS[name].asymmetric])
def test_material_of_another_spec_is_not_accepted(name: str) -> None:
    raw = specs.SPECS[name].make()
    for other in specs.SPECS.values():
        if other.name != name and other.asymmetric:
            with pytest.raises(specs.InvalidMaterial):
                other.accept(raw)
    for wrong in (b"", raw[:-1], raw + b"\0", b"\0" * len(raw)):
        with pytest.raises(specs.InvalidMaterial):
            specs.SPECS[name].accept(wrong)


LENGTHS = [
    ("SYMMETRIC_DEFAULT", 32, 32),
    ("HMAC_224", 28, 64),
    ("HMAC_256", 32, 64),
    ("HMAC_384", 48, 128),
    ("HMAC_512", 64, 128),
]


@pytest.mark.parametrize(("name", "shortest", "longest"), LENGTHS)
def test_secret_keys_have_their_lengths(name: str, shortest: int, longest: int) -> None:
    accept = specs.SPECS[name].accept
    assert len(specs.SPECS[name].make()) == shortest
    assert (accept(bytes(shortest)), accept(bytes(longest))) == (bytes(shortest), bytes(longest))
    for length in (0, shortest - 1, longest + 1):
        with pytest.raises(specs.InvalidMaterial):
            accept(bytes(length))


def _pkcs8(key: Any, password: bytes | None = None, form: Any = serialization.PrivateFormat.PKCS8) -> bytes:
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    made: bytes = key.private_bytes(serialization.Encoding.DER, form, hidden)
    return made


def test_an_rsa_key_whose_numbers_do_not_belong_together_is_not_accepted() -> None:
    numbers = rsa.generate_private_key(65537, 2048).private_numbers()
    others = rsa.generate_private_key(65537, 2048).private_numbers()
    mixed = rsa.RSAPrivateNumbers(
        p=numbers.p,
        q=numbers.q,
        d=others.d,
        dmp1=others.dmp1,
        dmq1=others.dmq1,
        iqmp=numbers.iqmp,
        public_numbers=numbers.public_numbers,
    )
    wrong = _pkcs8(mixed.private_key(unsafe_skip_rsa_key_validation=True))
    with pytest.raises(specs.InvalidMaterial):
        specs.SPECS["RSA_2048"].accept(wrong)


def test_keys_in_another_form_than_pkcs_8_are_not_accepted() -> None:
    older = serialization.PrivateFormat.TraditionalOpenSSL
    for name, key in (
        ("ECC_NIST_P256", ec.generate_private_key(ec.SECP256R1())),
        ("RSA_2048", rsa.generate_private_key(65537, 2048)),
    ):
        assert specs.SPECS[name].accept(_pkcs8(key)) == _pkcs8(key)
        with pytest.raises(specs.InvalidMaterial, match="PKCS #8"):
            specs.SPECS[name].accept(_pkcs8(key, form=older))


def test_a_private_key_with_anothers_public_key_or_no_number_of_the_curve_is_not_accepted() -> None:
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    point = (serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    number = key.private_numbers().private_value.to_bytes(32, "big")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    wrong = [_pkcs8(key).replace(key.public_key().public_bytes(*point), other.public_key().public_bytes(*point))]
    wrong += [_pkcs8(key).replace(number, value.to_bytes(32, "big")) for value in (0, order, order + 1)]
    for one in wrong:
        assert one != _pkcs8(key)
        with pytest.raises(specs.InvalidMaterial):
            specs.SPECS["ECC_NIST_P256"].accept(one)


def test_encrypted_keys_and_public_keys_are_not_accepted() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    for wrong in (_pkcs8(key, b"password"), public):
        with pytest.raises(specs.InvalidMaterial):
            specs.SPECS["ECC_NIST_P256"].accept(wrong)

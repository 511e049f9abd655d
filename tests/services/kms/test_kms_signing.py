"""Sign, Verify and GetPublicKey: boto3 against a live server; every signature is verified outside as well."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, mldsa, padding
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

SIGN = "SIGN_VERIFY"
MESSAGE = b"pay 100 to Alice"
HASHES: dict[int, hashes.HashAlgorithm] = {256: hashes.SHA256(), 384: hashes.SHA384(), 512: hashes.SHA512()}

RSA = [f"RSASSA_{scheme}_SHA_{bits}" for scheme in ("PSS", "PKCS1_V1_5") for bits in (256, 384, 512)]
ALGORITHMS = {
    "RSA_2048": RSA,
    "RSA_4096": RSA[:1],
    "ECC_NIST_P256": ["ECDSA_SHA_256"],
    "ECC_NIST_P384": ["ECDSA_SHA_384"],
    "ECC_NIST_P521": ["ECDSA_SHA_512"],
    "ECC_SECG_P256K1": ["ECDSA_SHA_256"],
    "ECC_NIST_EDWARDS25519": ["ED25519_SHA_512"],
    "ML_DSA_44": ["ML_DSA_SHAKE_256"],
    "ML_DSA_65": ["ML_DSA_SHAKE_256"],
    "ML_DSA_87": ["ML_DSA_SHAKE_256"],
}
PAIRS = [(spec, algorithm) for spec, algorithms in ALGORITHMS.items() for algorithm in algorithms]
HASHED = [(spec, algorithm) for spec, algorithm in PAIRS if spec.startswith(("RSA", "ECC_NIST_P", "ECC_SECG"))]


def bits_of(algorithm: str) -> int:
    return int(algorithm.rpartition("_")[2])


def verify_outside(public: Any, algorithm: str, signature: bytes, message: bytes, *, hashed: bool = False) -> None:
    """With `cryptography` alone. Raises InvalidSignature."""
    if algorithm in ("ED25519_SHA_512", "ML_DSA_SHAKE_256"):
        public.verify(signature, message)
        return
    plain = HASHES[bits_of(algorithm)]
    hashing = Prehashed(plain) if hashed else plain
    if algorithm.startswith("ECDSA"):
        public.verify(signature, message, ec.ECDSA(hashing))
    elif "PSS" in algorithm:
        public.verify(signature, message, padding.PSS(padding.MGF1(plain), plain.digest_size), hashing)
    else:
        public.verify(signature, message, padding.PKCS1v15(), hashing)


@pytest.mark.parametrize(("spec", "algorithm"), PAIRS)
def test_a_signature_verifies_here_and_outside(keys: Any, refused: Any, spec: str, algorithm: str) -> None:
    key = keys(spec, SIGN)
    made = keys.kms.sign(KeyId=key, Message=MESSAGE, SigningAlgorithm=algorithm)
    assert (made["KeyId"], made["SigningAlgorithm"]) == (key, algorithm)
    signature = made["Signature"]
    public = keys.public(spec, SIGN)
    verify_outside(public, algorithm, signature, MESSAGE)
    with pytest.raises(InvalidSignature):
        verify_outside(public, algorithm, signature, MESSAGE + b"0")
    checked = keys.kms.verify(KeyId=key, Message=MESSAGE, Signature=signature, SigningAlgorithm=algorithm)
    assert (checked["KeyId"], checked["SignatureValid"], checked["SigningAlgorithm"]) == (key, True, algorithm)
    flipped = bytes((signature[0] ^ 1,)) + signature[1:]
    for wrong in (
        {"Message": MESSAGE + b"0"},
        {"Signature": signature[:-1] + bytes((signature[-1] ^ 1,))},
        {"Signature": flipped},
        {"Signature": signature[:-1]},
        {"Signature": signature + b"\0"},
        {"Signature": b"\0"},
    ):
        with refused("KMSInvalidSignatureException"):
            keys.kms.verify(
                **{"KeyId": key, "Message": MESSAGE, "Signature": signature, "SigningAlgorithm": algorithm, **wrong}
            )


@pytest.mark.parametrize(("spec", "algorithm"), HASHED)
def test_a_digest_is_signed_as_its_message_would_be(keys: Any, refused: Any, spec: str, algorithm: str) -> None:
    key, bits = keys(spec, SIGN), bits_of(algorithm)
    digest = hashlib.new(f"sha{bits}", MESSAGE).digest()
    asked = {"KeyId": key, "SigningAlgorithm": algorithm}
    signature = keys.kms.sign(Message=digest, MessageType="DIGEST", **asked)["Signature"]
    verify_outside(keys.public(spec, SIGN), algorithm, signature, MESSAGE)
    verify_outside(keys.public(spec, SIGN), algorithm, signature, digest, hashed=True)
    assert keys.kms.verify(Message=MESSAGE, Signature=signature, **asked)["SignatureValid"]
    assert keys.kms.verify(Message=digest, MessageType="DIGEST", Signature=signature, **asked)["SignatureValid"]
    with refused("KMSInvalidSignatureException"):
        keys.kms.verify(Message=digest, Signature=signature, **asked)
    for length in (bits // 8 - 1, bits // 8 + 1):
        with refused("ValidationException", f"Digest is invalid length for algorithm {algorithm}."):
            keys.kms.sign(Message=bytes(length), MessageType="DIGEST", **asked)
        with refused("ValidationException", "invalid length"):
            keys.kms.verify(Message=bytes(length), MessageType="DIGEST", Signature=signature, **asked)


@pytest.mark.parametrize("spec", ["ML_DSA_44", "ML_DSA_65", "ML_DSA_87"])
def test_an_external_mu_is_signed_as_its_message_would_be(keys: Any, refused: Any, spec: str) -> None:
    asked = {"KeyId": keys(spec, SIGN), "SigningAlgorithm": "ML_DSA_SHAKE_256"}
    public = keys.public(spec, SIGN)
    hasher = mldsa.MLDSAMuHasher(public)
    hasher.update(MESSAGE)
    mu = hasher.finalize()
    signature = keys.kms.sign(Message=mu, MessageType="EXTERNAL_MU", **asked)["Signature"]
    public.verify(signature, MESSAGE)
    assert keys.kms.verify(Message=MESSAGE, Signature=signature, **asked)["SignatureValid"]
    assert keys.kms.verify(Message=mu, MessageType="EXTERNAL_MU", Signature=signature, **asked)["SignatureValid"]
    with refused("ValidationException", "EXTERNAL_MU is invalid length"):
        keys.kms.sign(Message=mu[:-1], MessageType="EXTERNAL_MU", **asked)


NO_SUCH_TYPE = [
    ("ML_DSA_44", "ML_DSA_SHAKE_256", "DIGEST"),
    ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", "DIGEST"),
    ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512", "EXTERNAL_MU"),
    ("ECC_NIST_P256", "ECDSA_SHA_256", "EXTERNAL_MU"),
    ("RSA_2048", "RSASSA_PSS_SHA_512", "EXTERNAL_MU"),
]


@pytest.mark.parametrize(("spec", "algorithm", "kind"), NO_SUCH_TYPE)
def test_a_message_type_goes_with_its_algorithms_alone(
    keys: Any, refused: Any, spec: str, algorithm: str, kind: str
) -> None:
    asked = {"KeyId": keys(spec, SIGN), "Message": bytes(64), "MessageType": kind, "SigningAlgorithm": algorithm}
    with refused("ValidationException", f"MessageType {kind} is not valid for algorithm {algorithm}."):
        keys.kms.sign(**asked)
    with refused("ValidationException", f"MessageType {kind} is not valid"):
        keys.kms.verify(Signature=b"s", **asked)


def test_a_message_has_1_to_4096_bytes(keys: Any, refused: Any) -> None:
    asked = {"KeyId": keys("ECC_NIST_P256", SIGN), "SigningAlgorithm": "ECDSA_SHA_256"}
    for length in (1, 4096):
        keys.kms.sign(Message=bytes(length), **asked)
    with refused("ValidationException", "'message'"):
        keys.kms.sign(Message=bytes(4097), **asked)
    with refused("ValidationException", "'signature'"):
        keys.kms.verify(Message=MESSAGE, Signature=bytes(6145), **asked)


@pytest.mark.parametrize("spec", ALGORITHMS)
def test_an_algorithm_goes_with_its_specs_alone(keys: Any, refused: Any, spec: str) -> None:
    every = {algorithm for algorithms in ALGORITHMS.values() for algorithm in algorithms} | {"SM2DSA"}
    for algorithm in sorted(every - set(ALGORITHMS["RSA_2048" if spec == "RSA_4096" else spec])):
        asked = {"KeyId": keys(spec, SIGN), "Message": MESSAGE, "SigningAlgorithm": algorithm}
        with refused("InvalidKeyUsageException", f"Algorithm {algorithm} is incompatible with key spec {spec}."):
            keys.kms.sign(**asked)
        with refused("InvalidKeyUsageException", f"Algorithm {algorithm} is incompatible with key spec {spec}."):
            keys.kms.verify(Signature=b"s", **asked)


def test_what_the_library_lacks_is_said_to_be_missing(keys: Any, refused: Any) -> None:
    with refused("NotImplemented", "ED25519_PH_SHA_512"):
        keys.kms.sign(
            KeyId=keys("ECC_NIST_EDWARDS25519", SIGN),
            Message=bytes(64),
            MessageType="DIGEST",
            SigningAlgorithm="ED25519_PH_SHA_512",
        )


def test_another_keys_signature_is_refused(keys: Any, refused: Any) -> None:
    other = keys.kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage=SIGN)["KeyMetadata"]["KeyId"]
    asked = {"Message": MESSAGE, "SigningAlgorithm": "ECDSA_SHA_256"}
    signature = keys.kms.sign(KeyId=other, **asked)["Signature"]
    with refused("KMSInvalidSignatureException"):
        keys.kms.verify(KeyId=keys("ECC_NIST_P256", SIGN), Signature=signature, **asked)


def test_a_dry_run_signs_and_verifies_nothing(keys: Any, refused: Any) -> None:
    asked = {"KeyId": keys("RSA_4096", SIGN), "Message": MESSAGE, "SigningAlgorithm": RSA[0], "DryRun": True}
    with refused("DryRunOperationException"):
        keys.kms.sign(**asked)
    with refused("DryRunOperationException"):
        keys.kms.verify(Signature=b"wrong", **asked)
    with refused("InvalidKeyUsageException"):
        keys.kms.sign(**{**asked, "SigningAlgorithm": "ECDSA_SHA_256"})


@pytest.mark.parametrize(
    ("spec", "usage", "member"),
    [
        ("RSA_2048", "SIGN_VERIFY", "SigningAlgorithms"),
        ("RSA_2048", "ENCRYPT_DECRYPT", "EncryptionAlgorithms"),
        ("ECC_NIST_P384", "KEY_AGREEMENT", "KeyAgreementAlgorithms"),
        ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE", "EncapsulationAlgorithms"),
        ("ML_DSA_65", "SIGN_VERIFY", "SigningAlgorithms"),
    ],
)
def test_a_public_key_comes_with_what_it_is_for(keys: Any, spec: str, usage: str, member: str) -> None:
    key = keys(spec, usage)
    shown = keys.kms.get_public_key(KeyId=key)
    described = keys.kms.describe_key(KeyId=key)["KeyMetadata"]
    assert (shown["KeyId"], shown["KeySpec"], shown["CustomerMasterKeySpec"], shown["KeyUsage"]) == (
        key,
        spec,
        spec,
        usage,
    )
    lists = {name for name in shown if name.endswith("Algorithms")}
    assert lists == {name for name in described if name.endswith("Algorithms")} == {member}
    assert shown[member] == described[member] != []
    assert "CurrentKeyMaterialId" not in described
    again = serialization.load_der_public_key(shown["PublicKey"]).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert again == shown["PublicKey"]


@pytest.mark.parametrize(
    ("spec", "usage"), [("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), ("HMAC_256", "GENERATE_VERIFY_MAC")]
)
def test_a_symmetric_key_has_no_public_key(keys: Any, refused: Any, spec: str, usage: str) -> None:
    with refused("UnsupportedOperationException"):
        keys.kms.get_public_key(KeyId=keys(spec, usage))


OPENSSL = [
    ("RSA_2048", "RSASSA_PKCS1_V1_5_SHA_256", ["-sha256"]),
    (
        "RSA_2048",
        "RSASSA_PSS_SHA_384",
        ["-sha384", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"],
    ),
    (
        "RSA_4096",
        "RSASSA_PSS_SHA_256",
        ["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest"],
    ),
    ("ECC_NIST_P256", "ECDSA_SHA_256", ["-sha256"]),
    ("ECC_NIST_P384", "ECDSA_SHA_384", ["-sha384"]),
    ("ECC_NIST_P521", "ECDSA_SHA_512", ["-sha512"]),
    ("ECC_SECG_P256K1", "ECDSA_SHA_256", ["-sha256"]),
]


@pytest.mark.parametrize(("spec", "algorithm", "options"), OPENSSL)
def test_openssl_verifies_a_signature(keys: Any, tmp_path: Path, spec: str, algorithm: str, options: list[str]) -> None:
    made = keys.kms.sign(KeyId=keys(spec, SIGN), Message=MESSAGE, SigningAlgorithm=algorithm)
    files = {
        "message": MESSAGE,
        "signature": made["Signature"],
        "public.der": keys.kms.get_public_key(KeyId=keys(spec, SIGN))["PublicKey"],
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    subprocess.run(
        ["openssl", "pkey", "-pubin", "-inform", "DER", "-in", "public.der", "-out", "public.pem"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    command = ["openssl", "dgst", *options, "-verify", "public.pem", "-signature", "signature", "message"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "Verified OK"), done.stderr
    (tmp_path / "message").write_bytes(MESSAGE + b"0")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode != 0


def test_openssl_verifies_an_ed25519_signature(keys: Any, tmp_path: Path) -> None:
    key = keys("ECC_NIST_EDWARDS25519", SIGN)
    made = keys.kms.sign(KeyId=key, Message=MESSAGE, SigningAlgorithm="ED25519_SHA_512")
    (tmp_path / "message").write_bytes(MESSAGE)
    (tmp_path / "signature").write_bytes(made["Signature"])
    (tmp_path / "public.der").write_bytes(keys.kms.get_public_key(KeyId=key)["PublicKey"])
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "public.der", "-rawin"]
    command += ["-in", "message", "-sigfile", "signature"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode == 0
    (tmp_path / "message").write_bytes(MESSAGE + b"0")
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode != 0

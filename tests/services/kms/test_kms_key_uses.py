"""RSA encryption, MACs, key agreement, data key pairs and encapsulation: boto3 against a live server, and outside."""

from __future__ import annotations

import hashlib
import hmac
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mlkem, padding, rsa

from freehold.services.kms import loaded

CRYPT, MAC, AGREE, ENCAPSULATE = "ENCRYPT_DECRYPT", "GENERATE_VERIFY_MAC", "KEY_AGREEMENT", "ENCAPSULATE_DECAPSULATE"
OAEP = {
    "RSAES_OAEP_SHA_1": padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None),
    "RSAES_OAEP_SHA_256": padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
}


def spki(public: Any) -> bytes:
    made: bytes = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return made


# --- RSA encryption ---------------------------------------------------------------------------------------------------

# https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
LONGEST = [
    ("RSA_2048", "RSAES_OAEP_SHA_1", 214),
    ("RSA_2048", "RSAES_OAEP_SHA_256", 190),
    ("RSA_3072", "RSAES_OAEP_SHA_1", 342),
    ("RSA_3072", "RSAES_OAEP_SHA_256", 318),
    ("RSA_4096", "RSAES_OAEP_SHA_1", 470),
    ("RSA_4096", "RSAES_OAEP_SHA_256", 446),
]


@pytest.mark.parametrize(("spec", "algorithm", "longest"), LONGEST)
def test_rsa_encrypts_what_fits_and_decrypts_it(
    keys: Any, refused: Any, spec: str, algorithm: str, longest: int
) -> None:
    key = keys(spec, CRYPT)
    for length in (1, longest):
        made = keys.kms.encrypt(KeyId=key, Plaintext=b"p" * length, EncryptionAlgorithm=algorithm)
        assert (made["KeyId"], made["EncryptionAlgorithm"]) == (key, algorithm)
        opened = keys.kms.decrypt(KeyId=key, CiphertextBlob=made["CiphertextBlob"], EncryptionAlgorithm=algorithm)
        assert (opened["Plaintext"], opened["EncryptionAlgorithm"]) == (b"p" * length, algorithm)
        assert "KeyMaterialId" not in opened
    says = f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {longest} bytes."
    with refused("ValidationException", says):
        keys.kms.encrypt(KeyId=key, Plaintext=bytes(longest + 1), EncryptionAlgorithm=algorithm)


@pytest.mark.parametrize("algorithm", OAEP)
def test_what_was_encrypted_outside_decrypts_here(keys: Any, algorithm: str) -> None:
    ciphertext = keys.public("RSA_2048", CRYPT).encrypt(b"from outside", OAEP[algorithm])
    opened = keys.kms.decrypt(KeyId=keys("RSA_2048", CRYPT), CiphertextBlob=ciphertext, EncryptionAlgorithm=algorithm)
    assert opened["Plaintext"] == b"from outside"


def test_what_openssl_encrypted_decrypts_here(keys: Any, tmp_path: Path) -> None:
    key = keys("RSA_2048", CRYPT)
    (tmp_path / "public.der").write_bytes(keys.kms.get_public_key(KeyId=key)["PublicKey"])
    (tmp_path / "plain").write_bytes(b"from OpenSSL")
    command = ["openssl", "pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-inkey", "public.der", "-in", "plain"]
    for option in ("rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"):
        command += ["-pkeyopt", option]
    sealed = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout
    opened = keys.kms.decrypt(KeyId=key, CiphertextBlob=sealed, EncryptionAlgorithm="RSAES_OAEP_SHA_256")
    assert opened["Plaintext"] == b"from OpenSSL"


def test_wrong_ciphertexts_of_rsa_are_all_answered_alike(keys: Any, refused: Any) -> None:
    kms, key, algorithm = keys.kms, keys("RSA_2048", CRYPT), "RSAES_OAEP_SHA_256"
    blob = kms.encrypt(KeyId=key, Plaintext=b"text", EncryptionAlgorithm=algorithm)["CiphertextBlob"]
    assert len(blob) == 256
    foreign = rsa.generate_private_key(65537, 2048).public_key().encrypt(b"text", OAEP[algorithm])
    symmetric = kms.encrypt(KeyId=keys("SYMMETRIC_DEFAULT", CRYPT), Plaintext=b"text")["CiphertextBlob"]
    for wrong in (
        blob[:-1],
        blob + b"\0",
        bytes((blob[0] ^ 1,)) + blob[1:],
        blob[:-1] + bytes((blob[-1] ^ 1,)),
        foreign,
        symmetric,
        b"\0",
        b"\xff" * 256,
        bytes(6144),
    ):
        with refused("InvalidCiphertextException"):
            kms.decrypt(KeyId=key, CiphertextBlob=wrong, EncryptionAlgorithm=algorithm)
    with refused("InvalidCiphertextException"):
        kms.decrypt(KeyId=key, CiphertextBlob=blob, EncryptionAlgorithm="RSAES_OAEP_SHA_1")
    with refused("InvalidKeyUsageException", "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048."):
        kms.decrypt(KeyId=key, CiphertextBlob=blob)
    with refused("ValidationException", "KeyId is required"):
        kms.decrypt(CiphertextBlob=blob, EncryptionAlgorithm=algorithm)
    with refused("InvalidCiphertextException"):
        kms.decrypt(CiphertextBlob=blob)


def test_rsa_binds_no_encryption_context_and_says_so(keys: Any, refused: Any) -> None:
    kms, key, algorithm = keys.kms, keys("RSA_2048", CRYPT), "RSAES_OAEP_SHA_256"
    asked = {"KeyId": key, "EncryptionAlgorithm": algorithm, "EncryptionContext": {"a": "b"}}
    blob = kms.encrypt(KeyId=key, Plaintext=b"text", EncryptionAlgorithm=algorithm)["CiphertextBlob"]
    with refused("ValidationException", "encryption context"):
        kms.encrypt(Plaintext=b"text", **asked)
    with refused("ValidationException", "encryption context"):
        kms.decrypt(CiphertextBlob=blob, **asked)
    with refused("InvalidKeyUsageException", "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048."):
        kms.encrypt(KeyId=key, Plaintext=b"text")


REENCRYPTIONS = [
    ("SYMMETRIC_DEFAULT", "SYMMETRIC_DEFAULT", "RSA_2048", "RSAES_OAEP_SHA_1"),
    ("RSA_2048", "RSAES_OAEP_SHA_256", "SYMMETRIC_DEFAULT", "SYMMETRIC_DEFAULT"),
    ("RSA_2048", "RSAES_OAEP_SHA_256", "RSA_3072", "RSAES_OAEP_SHA_256"),
]


@pytest.mark.parametrize(("source", "source_algorithm", "target", "target_algorithm"), REENCRYPTIONS)
def test_reencrypt_goes_between_kinds_of_keys(
    keys: Any, refused: Any, source: str, source_algorithm: str, target: str, target_algorithm: str
) -> None:
    kms, old, new = keys.kms, keys(source, CRYPT), keys(target, CRYPT)
    blob = kms.encrypt(KeyId=old, Plaintext=b"text", EncryptionAlgorithm=source_algorithm)["CiphertextBlob"]
    asked = {
        "CiphertextBlob": blob,
        "SourceKeyId": old,
        "SourceEncryptionAlgorithm": source_algorithm,
        "DestinationKeyId": new,
        "DestinationEncryptionAlgorithm": target_algorithm,
    }
    moved = kms.re_encrypt(**asked)
    assert (moved["SourceKeyId"], moved["KeyId"]) == (old, new)
    assert (moved["SourceEncryptionAlgorithm"], moved["DestinationEncryptionAlgorithm"]) == (
        source_algorithm,
        target_algorithm,
    )
    assert ("SourceKeyMaterialId" in moved) == (source == "SYMMETRIC_DEFAULT")
    assert ("DestinationKeyMaterialId" in moved) == (target == "SYMMETRIC_DEFAULT")
    opened = kms.decrypt(KeyId=new, CiphertextBlob=moved["CiphertextBlob"], EncryptionAlgorithm=target_algorithm)
    assert opened["Plaintext"] == b"text"
    with refused("DryRunOperationException"):
        kms.re_encrypt(**asked, DryRun=True)
    for side, spec in (("Source", source), ("Destination", target)):
        if spec != "SYMMETRIC_DEFAULT":
            with refused("ValidationException", "encryption context"):
                kms.re_encrypt(**asked, **{f"{side}EncryptionContext": {"a": "b"}})
            with refused("InvalidKeyUsageException", f"incompatible with key spec {spec}"):
                kms.re_encrypt(**{**asked, f"{side}EncryptionAlgorithm": "SYMMETRIC_DEFAULT"})


def test_reencrypt_takes_only_what_the_new_key_can_hold(keys: Any, refused: Any) -> None:
    blob = keys.kms.encrypt(KeyId=keys("SYMMETRIC_DEFAULT", CRYPT), Plaintext=bytes(191))["CiphertextBlob"]
    with refused("ValidationException", "cannot encrypt data larger than 190 bytes"):
        keys.kms.re_encrypt(
            CiphertextBlob=blob,
            DestinationKeyId=keys("RSA_2048", CRYPT),
            DestinationEncryptionAlgorithm="RSAES_OAEP_SHA_256",
        )


# --- MACs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [224, 256, 384, 512])
def test_a_mac_is_made_and_verified(keys: Any, refused: Any, bits: int) -> None:
    kms = keys.kms
    asked = {"KeyId": keys(f"HMAC_{bits}", MAC), "Message": b"m" * 4096, "MacAlgorithm": f"HMAC_SHA_{bits}"}
    made = kms.generate_mac(**asked)
    assert (made["KeyId"], made["MacAlgorithm"], len(made["Mac"])) == (asked["KeyId"], asked["MacAlgorithm"], bits // 8)
    assert kms.generate_mac(**asked)["Mac"] == made["Mac"]
    assert kms.verify_mac(**asked, Mac=made["Mac"])["MacValid"] is True
    mac = made["Mac"]
    for wrong in (mac[:-1], mac + b"\0", bytes((mac[0] ^ 1,)) + mac[1:], b"\0"):
        with refused("KMSInvalidMacException"):
            kms.verify_mac(**asked, Mac=wrong)
    with refused("KMSInvalidMacException"):
        kms.verify_mac(**{**asked, "Message": b"other"}, Mac=mac)
    with refused("ValidationException", "'message'"):
        kms.generate_mac(**{**asked, "Message": bytes(4097)})
    for call, more in ((kms.generate_mac, {}), (kms.verify_mac, {"Mac": mac})):
        with refused("DryRunOperationException"):
            call(**asked, **more, DryRun=True)
    other = "HMAC_SHA_256" if bits != 256 else "HMAC_SHA_512"
    with refused("InvalidKeyUsageException", f"Algorithm {other} is incompatible with key spec HMAC_{bits}."):
        kms.generate_mac(**{**asked, "MacAlgorithm": other})


def test_a_mac_is_the_standards_hmac(kms: Any) -> None:
    key = kms("CreateKey", KeySpec="HMAC_384", KeyUsage=MAC)["KeyMetadata"]["KeyId"]
    call = kms.call("GenerateMac")
    held = loaded.by_id(call, key)
    assert held is not None
    secret = held.secret(call)
    made = kms("GenerateMac", KeyId=key, Message=b"message", MacAlgorithm="HMAC_SHA_384")
    assert made["Mac"] == hmac.new(secret, b"message", hashlib.sha384).digest()


# --- key agreement ----------------------------------------------------------------------------------------------------

CURVES: list[tuple[str, ec.EllipticCurve, int]] = [
    ("ECC_NIST_P256", ec.SECP256R1(), 32),
    ("ECC_NIST_P384", ec.SECP384R1(), 48),
    ("ECC_NIST_P521", ec.SECP521R1(), 66),
]


@pytest.mark.parametrize(("spec", "curve", "length"), CURVES)
def test_both_sides_derive_the_same_secret(keys: Any, refused: Any, spec: str, curve: Any, length: int) -> None:
    mine = ec.generate_private_key(curve)
    asked = {"KeyId": keys(spec, AGREE), "KeyAgreementAlgorithm": "ECDH", "PublicKey": spki(mine.public_key())}
    derived = keys.kms.derive_shared_secret(**asked)
    assert derived["SharedSecret"] == mine.exchange(ec.ECDH(), keys.public(spec, AGREE))
    assert (derived["KeyId"], derived["KeyAgreementAlgorithm"], derived["KeyOrigin"], len(derived["SharedSecret"])) == (
        asked["KeyId"],
        "ECDH",
        "AWS_KMS",
        length,
    )
    with refused("DryRunOperationException"):
        keys.kms.derive_shared_secret(**asked, DryRun=True)
    with refused("NotImplemented", "Recipient (answers for attested recipients"):
        keys.kms.derive_shared_secret(**asked, Recipient={"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"})


def test_public_keys_that_are_not_on_the_curve_are_refused(keys: Any, refused: Any) -> None:
    good = spki(ec.generate_private_key(ec.SECP256R1()).public_key())
    at_infinity = good[:-65] + b"\0"
    wrong = {
        "another curve": spki(ec.generate_private_key(ec.SECP384R1()).public_key()),
        "secp256k1": spki(ec.generate_private_key(ec.SECP256K1()).public_key()),
        "RSA": spki(rsa.generate_private_key(65537, 2048).public_key()),
        "Ed25519": spki(ed25519.Ed25519PrivateKey.generate().public_key()),
        "not on the curve": good[:-1] + bytes((good[-1] ^ 1,)),
        "zeros": good[:-64] + bytes(64),
        "infinity": at_infinity,
        "cut short": good[:-1],
        "more": good + b"\0",
        "no DER": b"public key",
        "a point alone": good[-65:],
    }
    for name, encoded in wrong.items():
        with refused("ValidationException", "public key"):
            keys.kms.derive_shared_secret(
                KeyId=keys("ECC_NIST_P256", AGREE), KeyAgreementAlgorithm="ECDH", PublicKey=encoded
            )
            pytest.fail(name)


# --- data key pairs ---------------------------------------------------------------------------------------------------

PAIR_SPECS = [
    "RSA_2048",
    "RSA_3072",
    "ECC_NIST_P256",
    "ECC_NIST_P384",
    "ECC_NIST_P521",
    "ECC_SECG_P256K1",
    "ECC_NIST_EDWARDS25519",
    "ML_KEM_768",
    "ML_KEM_1024",
]


@pytest.mark.parametrize("spec", PAIR_SPECS)
def test_a_data_key_pair_opens_with_its_context(keys: Any, refused: Any, spec: str) -> None:
    kms, key = keys.kms, keys("SYMMETRIC_DEFAULT", CRYPT)
    asked = {"KeyId": key, "KeyPairSpec": spec, "EncryptionContext": {"for": "mail"}}
    made = kms.generate_data_key_pair(**asked)
    assert (made["KeyId"], made["KeyPairSpec"]) == (key, spec)
    private = serialization.load_der_private_key(made["PrivateKeyPlaintext"], None)
    assert spki(private.public_key()) == made["PublicKey"]
    opened = kms.decrypt(CiphertextBlob=made["PrivateKeyCiphertextBlob"], EncryptionContext={"for": "mail"})
    assert opened["Plaintext"] == made["PrivateKeyPlaintext"]
    assert opened["KeyMaterialId"] == made["KeyMaterialId"]
    with refused("InvalidCiphertextException"):
        kms.decrypt(CiphertextBlob=made["PrivateKeyCiphertextBlob"])
    if spec == "RSA_3072":
        return
    other = kms.generate_data_key_pair_without_plaintext(**asked)
    assert "PrivateKeyPlaintext" not in other
    assert other["PublicKey"] != made["PublicKey"]
    opened = kms.decrypt(CiphertextBlob=other["PrivateKeyCiphertextBlob"], EncryptionContext={"for": "mail"})
    assert spki(serialization.load_der_private_key(opened["Plaintext"], None).public_key()) == other["PublicKey"]


def test_a_data_key_pair_is_not_made_for_what_cannot_be(keys: Any, refused: Any) -> None:
    kms, key = keys.kms, keys("SYMMETRIC_DEFAULT", CRYPT)
    for call in (kms.generate_data_key_pair, kms.generate_data_key_pair_without_plaintext):
        for spec in ("ECC_NIST_P256", "RSA_4096"):
            with refused("DryRunOperationException"):
                call(KeyId=key, KeyPairSpec=spec, DryRun=True)
        with refused("UnsupportedOperationException", "SM2"):
            call(KeyId=key, KeyPairSpec="SM2")
        with refused("NotImplemented", "ML_KEM_512"):
            call(KeyId=key, KeyPairSpec="ML_KEM_512")
        with refused("InvalidKeyUsageException"):
            call(KeyId=keys("RSA_2048", CRYPT), KeyPairSpec="ECC_NIST_P256")
    with refused("NotImplemented", "Recipient (answers for attested recipients"):
        kms.generate_data_key_pair(
            KeyId=key, KeyPairSpec="ECC_NIST_P256", Recipient={"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
        )


# --- encapsulation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("spec", "length"), [("ML_KEM_768", 1088), ("ML_KEM_1024", 1568)])
def test_a_secret_is_encapsulated_here_and_outside(keys: Any, refused: Any, spec: str, length: int) -> None:
    kms, asked = keys.kms, {"KeyId": keys(spec, ENCAPSULATE), "EncapsulationAlgorithm": "ML_KEM"}
    made = kms.encapsulate(**asked)
    blob = made["SharedSecretCiphertextBlob"]
    assert (made["KeyId"], made["EncapsulationAlgorithm"]) == (asked["KeyId"], "ML_KEM")
    assert (len(made["SharedSecret"]), len(blob)) == (32, length)
    assert kms.decapsulate(**asked, SharedSecretCiphertextBlob=blob)["SharedSecret"] == made["SharedSecret"]
    secret, outside = keys.public(spec, ENCAPSULATE).encapsulate()
    assert kms.decapsulate(**asked, SharedSecretCiphertextBlob=outside)["SharedSecret"] == secret
    altered = kms.decapsulate(**asked, SharedSecretCiphertextBlob=bytes((blob[0] ^ 1,)) + blob[1:])["SharedSecret"]
    assert len(altered) == 32
    assert altered != made["SharedSecret"]
    for wrong in (blob[:-1], blob + b"\0", b"\0"):
        with refused("InvalidCiphertextException"):
            kms.decapsulate(**asked, SharedSecretCiphertextBlob=wrong)
    with refused("DryRunOperationException"):
        kms.encapsulate(**asked, DryRun=True)
    with refused("DryRunOperationException"):
        kms.decapsulate(**asked, SharedSecretCiphertextBlob=blob, DryRun=True)


def test_an_encapsulation_key_is_the_standards(keys: Any) -> None:
    shown = keys.kms.get_public_key(KeyId=keys("ML_KEM_768", ENCAPSULATE))["PublicKey"]
    public = mlkem.MLKEM768PublicKey.from_public_bytes(shown[-1184:])
    assert spki(public) == shown


def test_openssl_derives_the_same_secret(keys: Any, tmp_path: Path) -> None:
    """As in AWS's own walk-through with OpenSSL.
    https://aws.amazon.com/blogs/security/announcing-aws-kms-elliptic-curve-diffie-hellman-ecdh-support/
    """
    key = keys("ECC_NIST_P384", AGREE)

    def openssl(*arguments: str) -> bytes:
        return subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True).stdout

    openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", "own.pem")
    public = openssl("pkey", "-in", "own.pem", "-pubout", "-outform", "DER")
    (tmp_path / "kms.der").write_bytes(keys.kms.get_public_key(KeyId=key)["PublicKey"])
    openssl("pkey", "-pubin", "-inform", "DER", "-in", "kms.der", "-out", "kms.pem")
    secret = openssl("pkeyutl", "-derive", "-inkey", "own.pem", "-peerkey", "kms.pem")
    derived = keys.kms.derive_shared_secret(KeyId=key, KeyAgreementAlgorithm="ECDH", PublicKey=public)
    assert derived["SharedSecret"] == secret

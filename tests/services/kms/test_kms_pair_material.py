"""The material of asymmetric and HMAC keys: as its format page says, in its own place only, gone with its key."""

from __future__ import annotations

import hmac
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from freehold.errors import AwsError
from freehold.services.kms import loaded, specs
from freehold.services.kms.records import MATERIALS

DAY = 86_400
KINDS = [
    ("RSA_2048", "SIGN_VERIFY"),
    ("ECC_NIST_P256", "SIGN_VERIFY"),
    ("ECC_NIST_P521", "KEY_AGREEMENT"),
    ("ECC_SECG_P256K1", "SIGN_VERIFY"),
    ("ECC_NIST_EDWARDS25519", "SIGN_VERIFY"),
    ("ML_DSA_65", "SIGN_VERIFY"),
    ("ML_KEM_768", "ENCAPSULATE_DECAPSULATE"),
    ("HMAC_384", "GENERATE_VERIFY_MAC"),
]


def create(kms: Any, spec: str, usage: str) -> str:
    made: str = kms("CreateKey", KeySpec=spec, KeyUsage=usage)["KeyMetadata"]["KeyId"]
    return made


def use(kms: Any, key_id: str, spec: str) -> Any:
    """What takes the key's private half or its secret."""
    if spec.startswith("HMAC"):
        return kms("GenerateMac", KeyId=key_id, Message=b"m", MacAlgorithm="HMAC_SHA_384")["Mac"]
    return kms("GetPublicKey", KeyId=key_id)["PublicKey"]


def by_the_page(kms: Any, key_id: str) -> bytes:
    """The material, read as docs/formats/kms-key-material.md and sealed-value.md say."""
    record = MATERIALS.get(kms.app.records.reader(), ("us-east-1", key_id, 1))
    assert record is not None
    purpose_key, sealed = kms.root_key.sealing_key("kms"), record.sealed
    derived = hmac.digest(purpose_key, b"freehold sealed value v1\0" + sealed[1:17] + b"\1", "sha512")
    assert derived[32:] == sealed[17:49]
    associated = "\0".join(["freehold kms material v1", "us-east-1", key_id, "1", record.material_id]).encode()
    return AESGCM(derived[:32]).decrypt(sealed[49:61], sealed[61:], associated)


@pytest.mark.parametrize(("spec", "usage"), KINDS)
def test_material_is_what_its_format_page_says_and_nowhere_in_the_clear(kms: Any, spec: str, usage: str) -> None:
    key_id = create(kms, spec, usage)
    material = by_the_page(kms, key_id)
    shown = use(kms, key_id, spec)
    if spec.startswith("HMAC"):
        assert hmac.digest(material, b"m", "sha384") == shown
        secret = material
    else:
        private: Any = serialization.load_der_private_key(material, None)
        spki = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        assert private.public_key().public_bytes(*spki) == shown
        secret = material[-40:] if spec == "RSA_2048" else material[: len(material) // 2][-16:]
    for path in Path(kms.data).rglob("*"):
        assert not path.is_file() or secret not in path.read_bytes()
    for _, value in kms.app.records.reader().scan(MATERIALS.name):
        assert secret not in value


@pytest.mark.parametrize(("spec", "usage"), KINDS)
def test_material_in_another_keys_place_is_never_used(kms: Any, spec: str, usage: str) -> None:
    key_id, other = create(kms, spec, usage), create(kms, spec, usage)
    record = MATERIALS.get(kms.app.records.reader(), ("us-east-1", key_id, 1))
    assert record is not None
    kms.write(lambda tx: MATERIALS.put(tx, ("us-east-1", other, 1), record))
    with pytest.raises(AwsError) as refused:
        use(kms, other, spec)
    assert (refused.value.code, refused.value.status) == ("KMSInternalException", 500)
    assert use(kms, key_id, spec)


def test_what_was_loaded_of_a_deleted_key_is_gone_with_it(kms: Any) -> None:
    key_id = create(kms, "ECC_NIST_P256", "SIGN_VERIFY")
    asked = {"KeyId": key_id, "Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256"}
    assert kms("Sign", **asked)["Signature"]
    kms("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=7)
    with pytest.raises(AwsError, match="is pending deletion"):
        kms("Sign", **asked)
    kms.app.clock.advance(8 * DAY)
    kms.sweep()
    for operation in ("Sign", "GetPublicKey"):
        with pytest.raises(AwsError) as refused:
            kms(operation, **(asked if operation == "Sign" else {"KeyId": key_id}))
        assert refused.value.code == "NotFoundException"
    assert list(kms.app.records.reader().scan(MATERIALS.name)) == []
    assert loaded.by_id(kms.call("Sign"), key_id) is None


def test_what_is_loaded_shows_nothing_of_itself() -> None:
    for spec, _ in KINDS:
        row = specs.SPECS[spec]
        if row.asymmetric:
            assert repr(row.load(row.make())) == "KeyPair"


def test_a_key_is_parsed_once_while_nothing_changes(kms: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    key_id = create(kms, "ECC_NIST_P256", "SIGN_VERIFY")
    row, loads = specs.SPECS["ECC_NIST_P256"], []

    def counted(raw: bytes) -> Any:
        loads.append(len(raw))
        return row.load(raw)

    monkeypatch.setitem(
        specs.SPECS, row.name, specs.Spec(row.name, row.kind, row.usages, row.make, counted, row.accept)
    )
    asked = {"KeyId": key_id, "Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256"}
    for _ in range(5):
        signature = kms("Sign", **asked)["Signature"]
        kms("Verify", **asked, Signature=signature)
        kms("GetPublicKey", KeyId=key_id)
    assert len(loads) == 1

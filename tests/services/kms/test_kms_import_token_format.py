"""Import tokens and ids of imported material, read by their format pages alone."""

from __future__ import annotations

import hmac
from typing import Any

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from kms_wrapping import FOR_EVER, private_bytes, wrapped


def opened(purpose_key: bytes, sealed: bytes, associated: bytes) -> bytes:
    """docs/formats/sealed-value.md."""
    assert sealed[0] == 1
    derived = hmac.digest(purpose_key, b"freehold sealed value v1\0" + sealed[1:17] + b"\1", "sha512")
    assert derived[32:] == sealed[17:49]
    return AESGCM(derived[:32]).decrypt(sealed[49:61], sealed[61:], associated)


def test_a_token_can_be_read_from_its_format_page_alone(kms: Any) -> None:
    key_id = kms("CreateKey", Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    algorithm = "RSA_AES_KEY_WRAP_SHA_256"
    given = kms("GetParametersForImport", KeyId=key_id, WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_2048")
    token = given["ImportToken"]
    assert token[0] == 1
    day = int.from_bytes(token[1:5], "big")
    assert day == int(kms.app.clock.now_seconds()) // 86_400
    row = kms.app.records.reader().get("kms.import_epochs", (day,))
    secret = msgspec.msgpack.decode(row)["secret"]
    content = msgspec.msgpack.decode(opened(secret, token[5:], b"freehold kms import token v1\0" + token[:5]))
    assert set(content) == {"region", "key_id", "algorithm", "expires_at", "private_key"}
    assert (content["region"], content["key_id"], content["algorithm"]) == ("us-east-1", key_id, algorithm)
    assert content["expires_at"] == given["ParametersValidTo"].timestamp()
    private_key = serialization.load_der_private_key(content["private_key"], None)
    assert isinstance(private_key, RSAPrivateKey)
    public = private_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert public == given["PublicKey"]


def test_ids_of_imported_material_follow_from_their_format_page(kms: Any) -> None:
    private_key = ec.generate_private_key(ec.SECP256R1())
    public = private_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    cases: list[tuple[dict[str, str], bytes, bytes]] = [({}, bytes(32), bytes(32))]
    cases += [({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}, private_bytes(private_key), public)]
    for params, material, identity in cases:
        key_id = kms("CreateKey", Origin="EXTERNAL", **params)["KeyMetadata"]["KeyId"]
        algorithm = "RSA_AES_KEY_WRAP_SHA_256"
        given = kms("GetParametersForImport", KeyId=key_id, WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_2048")
        kms(
            "ImportKeyMaterial",
            KeyId=key_id,
            ImportToken=given["ImportToken"],
            EncryptedKeyMaterial=wrapped(algorithm, given["PublicKey"], material),
            **FOR_EVER,
        )
        reader = kms.app.records.reader()
        key = msgspec.msgpack.decode(reader.get("kms.keys", ("us-east-1", key_id)))
        imported = msgspec.msgpack.decode(reader.get("kms.imported", ("us-east-1", key_id, 1)))
        named = b"freehold kms imported material v1\0" + key_id.encode() + b"\0" + identity
        assert imported["material_id"] == hmac.digest(key["import_secret"], named, "sha256").hex()
        assert imported["present"] is True
        assert not imported.get("expires_at")
        sealed = msgspec.msgpack.decode(reader.get("kms.materials", ("us-east-1", key_id, 1)))
        parts = ["freehold kms material v1", "us-east-1", key_id, "1", imported["material_id"]]
        kept = opened(kms.root_key.sealing_key("kms"), sealed["sealed"], "\0".join(parts).encode())
        assert kept == material

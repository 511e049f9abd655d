"""A chapter of the tour: a key whose public half is outside, and one whose material is.

Signatures are verified, and material is wrapped, without KMS: by the `cryptography` library, as any customer would.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from freehold.testing import Principal

if TYPE_CHECKING:
    from freehold.cli.story import Stage

MESSAGE = b"Pay 100 to Ada."


def keys_of_other_kinds(stage: Stage, chapter: Callable[[str], None], admin: Principal) -> None:
    chapter("A key that signs, and a key whose material comes from outside")
    _signing(stage, admin)
    _imported(stage, admin)


def _signing(stage: Stage, admin: Principal) -> None:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = _made(stage, admin, KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    signed = stage.allowed(
        "root", "kms:Sign", lambda: admin.kms.sign(KeyId=key, Message=MESSAGE, SigningAlgorithm="ECDSA_SHA_256")
    )
    public = serialization.load_der_public_key(admin.kms.get_public_key(KeyId=key)["PublicKey"])
    assert isinstance(public, ec.EllipticCurvePublicKey)
    try:
        public.verify(signed["Signature"], MESSAGE, ec.ECDSA(hashes.SHA256()))
        verifies = True
    except InvalidSignature:
        verifies = False
    stage.seen("the signature verifies outside, by the public key alone", verifies)
    stage.refused(
        "root",
        "kms:Verify, of another message",
        lambda: admin.kms.verify(
            KeyId=key, Message=MESSAGE + b"0", Signature=signed["Signature"], SigningAlgorithm="ECDSA_SHA_256"
        ),
        "KMSInvalidSignatureException",
    )


def _imported(stage: Stage, admin: Principal) -> None:
    key = _made(stage, admin, Origin="EXTERNAL")
    material = secrets.token_bytes(32)
    stage.allowed("root", "kms:ImportKeyMaterial of 32 bytes made here", lambda: _import(admin, key, material))
    sealed = stage.allowed("root", "kms:Encrypt", lambda: admin.kms.encrypt(KeyId=key, Plaintext=MESSAGE))
    stage.allowed(
        "root",
        "kms:DeleteImportedKeyMaterial",
        lambda: admin.kms.delete_imported_key_material(KeyId=key),
        "erased here at once; our copy stays ours",
    )

    def decrypt() -> Any:
        return admin.kms.decrypt(CiphertextBlob=sealed["CiphertextBlob"])

    stage.refused("root", "kms:Decrypt", decrypt, "KMSInvalidStateException")
    stage.refused(
        "root",
        "kms:ImportKeyMaterial of other 32 bytes",
        lambda: _import(admin, key, secrets.token_bytes(32)),
        "IncorrectKeyMaterialException",
    )
    stage.allowed("root", "kms:ImportKeyMaterial of the same again", lambda: _import(admin, key, material))
    stage.allowed("root", "kms:Decrypt", decrypt, lambda found: f"{found['Plaintext'].decode()}")


def _made(stage: Stage, admin: Principal, **spec: str) -> str:
    words = ", ".join(f"{name}={value}" for name, value in spec.items())
    made = stage.allowed("root", f"kms:CreateKey {words}", lambda: admin.kms.create_key(**spec))
    return str(made["KeyMetadata"]["KeyId"])


def _import(admin: Principal, key: str, material: bytes) -> Any:
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    given = admin.kms.get_parameters_for_import(
        KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    public = serialization.load_der_public_key(given["PublicKey"])
    assert isinstance(public, rsa.RSAPublicKey)
    wrapped = public.encrypt(material, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))
    return admin.kms.import_key_material(
        KeyId=key,
        ImportToken=given["ImportToken"],
        EncryptedKeyMaterial=wrapped,
        ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
    )

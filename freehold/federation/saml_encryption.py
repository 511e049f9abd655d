"""Encrypted assertions, opened with a private key that the account's owner gave to the provider's record.

Key transport is RSA-OAEP, never RSA with PKCS #1 v1.5. Content is AES-GCM; AES-CBC, whose ciphertext can be altered
unseen, only where a signature that was verified before covers it, so that no answer tells anything of the padding.
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_saml.html
https://www.w3.org/TR/xmlenc-core1/
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final

from freehold.federation.identity import InvalidIdentity
from freehold.federation.saml_xml import ENCRYPTION, ENCRYPTION_11, children, ds, only, text, xenc

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from lxml.etree import _Element

MOST_PRIVATE_KEYS: Final = 2
_LEAST_KEY_BITS: Final = 2048
_NOT_OPENED: Final = "The SAML assertion could not be decrypted."
"""For every way in which it can fail: a sender learns nothing by trying."""

_GCM: Final = {f"{ENCRYPTION_11}aes{bits}-gcm": bits // 8 for bits in (128, 192, 256)}
_CBC: Final = {f"{ENCRYPTION}aes{bits}-cbc": bits // 8 for bits in (128, 192, 256)}
_OAEP_MGF1P: Final = f"{ENCRYPTION}rsa-oaep-mgf1p"
_OAEP: Final = f"{ENCRYPTION_11}rsa-oaep"
_HASHES: Final = {
    "http://www.w3.org/2000/09/xmldsig#sha1": "SHA1",
    f"{ENCRYPTION}sha256": "SHA256",
    "http://www.w3.org/2001/04/xmldsig-more#sha384": "SHA384",
    f"{ENCRYPTION}sha512": "SHA512",
}
"""Inside OAEP, where nothing rests on collisions, SHA-1 is as good as the others, and the default."""
_MASKS: Final = {
    f"{ENCRYPTION_11}mgf1sha1": "SHA1",
    f"{ENCRYPTION_11}mgf1sha256": "SHA256",
    f"{ENCRYPTION_11}mgf1sha384": "SHA384",
    f"{ENCRYPTION_11}mgf1sha512": "SHA512",
}
_IV_BYTES: Final = {"GCM": 12, "CBC": 16}


def private_key(pem: str, *, checked_before: bool = False) -> RSAPrivateKey:
    """The key in an unencrypted PEM. Raises InvalidIdentity for any other than RSA of 2,048 to 8,192 bits.

    `checked_before`: that its numbers belong together was found out when it was given, which takes long.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        text = pem.encode("utf-8", "replace")
        key = load_pem_private_key(text, None, unsafe_skip_rsa_key_validation=checked_before)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidIdentity("Invalid private key.") from None
    if not isinstance(key, RSAPrivateKey) or not _LEAST_KEY_BITS <= key.key_size <= 8192:
        raise InvalidIdentity("Invalid private key.")
    return key


def opened(encrypted: _Element, pems: tuple[str, ...], *, authenticated: bool) -> bytes:
    """The XML of the assertion in an `EncryptedAssertion`. Raises InvalidIdentity.

    `authenticated`: whether a verified signature covers the ciphertext.
    """
    data = only(encrypted, xenc("EncryptedData"), "EncryptedData")
    algorithm = only(data, xenc("EncryptionMethod"), "encryption method").get("Algorithm", "")
    size = _GCM.get(algorithm) or (_CBC.get(algorithm) if authenticated else None)
    if size is None:
        raise InvalidIdentity(
            "The SAML assertion is encrypted by an algorithm that is not accepted: use AES-GCM, or sign the whole "
            "response as well."
        )
    wrapped = _encrypted_keys(encrypted, data)
    ciphertext = _cipher_value(data)
    for pem in pems:
        for key in wrapped:
            content_key = _unwrapped(key, private_key(pem, checked_before=True))
            if content_key is not None and len(content_key) == size:
                return _decrypted(content_key, ciphertext, "GCM" if algorithm in _GCM else "CBC")
    raise InvalidIdentity(_NOT_OPENED)


def _encrypted_keys(encrypted: _Element, data: _Element) -> list[_Element]:
    """Keys stand in the data's KeyInfo or beside it. More than a few are nobody's."""
    found = [key for info in children(data, ds("KeyInfo")) for key in children(info, xenc("EncryptedKey"))]
    found += children(encrypted, xenc("EncryptedKey"))
    if not 1 <= len(found) <= 4:
        raise InvalidIdentity(_NOT_OPENED)
    return found


def _cipher_value(element: _Element) -> bytes:
    value = only(only(element, xenc("CipherData"), "CipherData"), xenc("CipherValue"), "CipherValue")
    try:
        return base64.b64decode("".join(text(value).split()), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidIdentity(_NOT_OPENED) from None


def _unwrapped(key: _Element, private: RSAPrivateKey) -> bytes | None:
    """The content key, None when it was wrapped for another."""
    from cryptography.hazmat.primitives.asymmetric import padding

    method = only(key, xenc("EncryptionMethod"), "encryption method of the key")
    algorithm = method.get("Algorithm")
    if algorithm not in (_OAEP_MGF1P, _OAEP) or children(method, xenc("OAEPparams")):
        raise InvalidIdentity("The key of the SAML assertion must be encrypted by RSA-OAEP.")
    digest = _HASHES.get(_named(method, ds("DigestMethod")) or "http://www.w3.org/2000/09/xmldsig#sha1")
    mask = "SHA1"
    if algorithm == _OAEP:
        mask = _MASKS.get(_named(method, f"{{{ENCRYPTION_11}}}MGF") or f"{ENCRYPTION_11}mgf1sha1", "")
    if not digest or not mask:
        raise InvalidIdentity(_NOT_OPENED)
    oaep = padding.OAEP(padding.MGF1(_hash(mask)), _hash(digest), None)
    try:
        return private.decrypt(_cipher_value(key), oaep)
    except ValueError:
        return None


def _named(method: _Element, tag: str) -> str | None:
    found = children(method, tag)
    return found[0].get("Algorithm", "-") if found else None


def _hash(name: str) -> Any:
    from cryptography.hazmat.primitives import hashes

    return getattr(hashes, name)()


def _decrypted(key: bytes, data: bytes, mode: str) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CBC

    iv, rest = data[: _IV_BYTES[mode]], data[_IV_BYTES[mode] :]
    try:
        if mode == "GCM":
            return AESGCM(key).decrypt(iv, rest, None)
        decryptor = Cipher(AES(key), CBC(iv)).decryptor()
        padded = decryptor.update(rest) + decryptor.finalize()
    except (InvalidTag, ValueError):
        raise InvalidIdentity(_NOT_OPENED) from None
    # XML Encryption's padding: only the last byte counts, the others may be anything.
    if not padded or not 1 <= padded[-1] <= 16:
        raise InvalidIdentity(_NOT_OPENED)
    return padded[: -padded[-1]]

"""Encryption with RSA keys: RSAES-OAEP as RFC 8017 has it, with SHA-1 or SHA-256 for both hash and mask, no label.

The ciphertext is the standard's and says nothing of its key, so that whoever decrypts names key and algorithm. Refuses
an encryption context, which it couldn't authenticate. Whatever is wrong with a ciphertext, the answer is
InvalidCiphertextException without a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from freehold.services.kms.admission import usable_for
from freehold.services.kms.errors import InvalidCiphertext, ValidationException
from freehold.services.kms.loaded import LoadedKey
from freehold.services.kms.specs import ENCRYPT_DECRYPT, KeyPair

if TYPE_CHECKING:
    from freehold.services.call import Call

_HASHES: Final[dict[str, hashes.HashAlgorithm]] = {
    "RSAES_OAEP_SHA_1": hashes.SHA1(),  # noqa: S303
    "RSAES_OAEP_SHA_256": hashes.SHA256(),
}
_PADDINGS: Final = {name: padding.OAEP(padding.MGF1(algorithm), algorithm, None) for name, algorithm in _HASHES.items()}


def checked(key: LoadedKey, operation_name: str, algorithm: str, context: Mapping[str, str] | None) -> None:
    """Raise unless an RSA key takes part in the operation as the request has it."""
    usable_for(key, operation_name, ENCRYPT_DECRYPT, algorithm)
    if context:
        raise ValidationException(f"An encryption context cannot be used with the algorithm {algorithm}.")


def longest_bytes(pair: KeyPair, algorithm: str) -> int:
    """How much one message may hold, 190 to 470 bytes.

    https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
    """
    size: int = pair.public.key_size // 8
    return size - 2 * _HASHES[algorithm].digest_size - 2


def encrypt(call: Call, key: LoadedKey, plaintext: bytes, algorithm: str) -> bytes:
    """The ciphertext, as long as the key. Raises ValidationException for too much. The key must be `checked`."""
    pair: KeyPair = key.secret(call)
    longest = longest_bytes(pair, algorithm)
    if len(plaintext) > longest:
        raise ValidationException(
            f"Algorithm {algorithm} and key spec {key.record.spec} cannot encrypt data larger than {longest} bytes."
        )
    made: bytes = pair.public.encrypt(plaintext, _PADDINGS[algorithm])
    return made


def decrypt(call: Call, key: LoadedKey, ciphertext: bytes, algorithm: str) -> bytes:
    """The plaintext. Raises InvalidCiphertextException. The key must be `checked`."""
    pair: KeyPair = key.secret(call)
    try:
        plaintext: bytes = pair.private.decrypt(ciphertext, _PADDINGS[algorithm])
    except ValueError:
        raise InvalidCiphertext from None
    return plaintext

"""Whether an RSA private key from elsewhere is one: its numbers belong together, and its public half verifies what it
signs.

The library's own check proves both factors prime, and nothing else runs in the process meanwhile: half a second for
4,096 bits, and many for the longest key that fits into a request. What is not proven here is just that; a key with
composite factors that works all the same does harm to nobody but who imported it. Refuses (ValueError) the rest.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InternalError, InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

_MOST_EXPONENT_BITS: Final = 64
"""Beyond it, OpenSSL verifies nothing under long keys."""
_TEXTS: Final = (b"freehold", b"checks this key")


def check(key: RSAPrivateKey) -> None:
    """Raise ValueError unless the key can be used. Takes some milliseconds."""
    numbers = key.private_numbers()
    n, e = numbers.public_numbers.n, numbers.public_numbers.e
    p, q, d = numbers.p, numbers.q, numbers.d
    holds = (
        e >= 3
        and e & 1
        and e.bit_length() <= _MOST_EXPONENT_BITS
        and p > 2
        and q > 2
        and p != q
        and p & 1
        and q & 1
        and p * q == n
        and 1 < d < n
        and (e * d - 1) % (p - 1) == 0
        and (e * d - 1) % (q - 1) == 0
        and numbers.dmp1 == d % (p - 1)
        and numbers.dmq1 == d % (q - 1)
        and 0 < numbers.iqmp < p
        and numbers.iqmp * q % p == 1
    )
    if not holds:
        raise ValueError("the key's numbers do not belong together")
    try:
        for text in _TEXTS:
            key.public_key().verify(key.sign(text, padding.PKCS1v15(), SHA256()), text, padding.PKCS1v15(), SHA256())
    except (InvalidSignature, InternalError):
        raise ValueError("the key's factors are not prime") from None

"""Passwords as Argon2id hashes, in the PHC string format. Refuses to show, log or keep a password.

A hash costs about 40 ms of CPU and 19 MiB on purpose: whoever calls this on an event loop stops it (`services/iam/
hashing.py` is the way). The parameters are OWASP's recommendation; a hash carries its own, so they can be raised.
https://www.rfc-editor.org/rfc/rfc9106
https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from hmac import compare_digest
from typing import Final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

MEMORY_KIB: Final = 19_456
ITERATIONS: Final = 2
_LANES: Final = 1
_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32

NOBODYS: Final = f"$argon2id$v=19$m={MEMORY_KIB},t={ITERATIONS},p={_LANES}$" + "$".join(
    base64.b64encode(bytes(size)).decode().rstrip("=") for size in (_SALT_BYTES, _HASH_BYTES)
)
"""A hash that no password is known for: compared with where there is no user, so that it takes as long."""


def hashed(password: str, *, like: str = "") -> str:
    """The password's hash. `like`: take the salt of this hash.

    The former passwords of one user share a salt, so that a new one is compared with 24 of them at the cost of one.
    """
    salt = _parts(like)[0] if like else os.urandom(_SALT_BYTES)
    return _derive(password, salt, MEMORY_KIB, ITERATIONS, _LANES)


def matches(password: str, hashes: Iterable[str]) -> bool:
    """Whether one of the hashes is this password's. Compares with all of them, whatever it finds."""
    made: dict[tuple[bytes, int, int, int], str] = {}
    found = False
    for known in hashes:
        parts = _parts(known)
        if parts not in made:
            made[parts] = _derive(password, *parts)
        found |= compare_digest(made[parts].encode(), known.encode())
    return found


def _derive(password: str, salt: bytes, memory_kib: int, iterations: int, lanes: int) -> str:
    derivation = Argon2id(salt=salt, length=_HASH_BYTES, iterations=iterations, lanes=lanes, memory_cost=memory_kib)
    return derivation.derive_phc_encoded(password.encode())


def _parts(known: str) -> tuple[bytes, int, int, int]:
    """The salt, memory in KiB, iterations and lanes that a hash was made with."""
    _, _, _, parameters, salt, _ = known.split("$")
    numbers = dict(parameter.split("=") for parameter in parameters.split(","))
    decoded = base64.b64decode(salt + "=" * (-len(salt) % 4), validate=True)
    return decoded, int(numbers["m"]), int(numbers["t"]), int(numbers["p"])

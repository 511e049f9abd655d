"""Custody by a passphrase: the root key is what Argon2id (RFC 9106) makes of it and a random salt.

As good as the passphrase: whoever has the data directory can guess at it, at the price of one hash a guess. Nothing
is stored but the salt and the cost; another passphrase is another root key.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from freehold.crypto.root_key import RootKey
from freehold.custody.access import Access
from freehold.custody.errors import CustodyError, WrongSecret
from freehold.custody.provider import Established, options_as, parameters_as
from freehold.custody.record import Head

BY_PEOPLE = True
LEAST_CHARACTERS: Final = 12
_SALT_BYTES: Final = 16
_MEMORY_MIB: Final = range(19, 4097)
_ITERATIONS: Final = range(1, 101)
_LANES: Final = range(1, 65)


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """About half a second on a server's core; RFC 9106, section 4, asks for 64 MiB and three iterations at least."""

    memory_mib: int = 256
    iterations: int = 3
    lanes: int = 4


class Parameters(msgspec.Struct, forbid_unknown_fields=True):
    salt: bytes
    memory_mib: int
    iterations: int
    lanes: int


def again(head: Head) -> dict[str, Any]:
    known = parameters_as(Parameters, head)
    return {"memory_mib": known.memory_mib, "iterations": known.iterations, "lanes": known.lanes}


def establish(options: Mapping[str, Any], access: Access, deployment: str) -> Established:
    wanted = options_as(Options, options)
    passphrase = access.secret_for("the new passphrase")
    if len(passphrase) < LEAST_CHARACTERS:
        raise CustodyError(f"a passphrase has at least {LEAST_CHARACTERS} characters; better, six random words")
    parameters = Parameters(os.urandom(_SALT_BYTES), wanted.memory_mib, wanted.iterations, wanted.lanes)
    root_key = _derived(passphrase, parameters)
    return Established("passphrase", msgspec.to_builtins(parameters), root_key)


def before(established: Established, access: Access) -> None:
    """Nothing: the custody file has it all."""


def after(established: Established, access: Access) -> None:
    """Nothing."""


def obtain(head: Head, access: Access) -> RootKey:
    root_key = _derived(access.secret_for("the passphrase"), parameters_as(Parameters, head))
    if root_key.fingerprint() != head.fingerprint:
        raise WrongSecret("this is not the passphrase that the data was put under")
    return root_key


def _derived(passphrase: str, parameters: Parameters) -> RootKey:
    # Bounded, since the file may have been put there by someone who wants the server to take all memory.
    if (
        len(parameters.salt) != _SALT_BYTES
        or parameters.memory_mib not in _MEMORY_MIB
        or parameters.iterations not in _ITERATIONS
        or parameters.lanes not in _LANES
    ):
        raise CustodyError("the passphrase's cost is out of bounds: 19 to 4096 MiB, 1 to 100 iterations, 1 to 64 lanes")
    try:
        kdf = Argon2id(
            salt=parameters.salt,
            length=32,
            iterations=parameters.iterations,
            lanes=parameters.lanes,
            memory_cost=parameters.memory_mib * 1024,
        )
        return RootKey(kdf.derive(unicodedata.normalize("NFC", passphrase).encode()))
    except (MemoryError, UnicodeEncodeError):
        raise CustodyError("there is not enough memory for the passphrase's cost, or it is not text") from None

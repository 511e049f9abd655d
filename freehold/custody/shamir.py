"""Custody by shares: any `threshold` of them make the root key, fewer tell nothing (Shamir, SLIP-0039).

A share is 33 words with a checksum, so that a slip of the pen is noticed at once; the custody file has a hash of each,
so that a wrong one is refused by itself and doesn't spoil those that were given before it.
https://github.com/satoshilabs/slips/blob/master/slip-0039.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from hmac import compare_digest
from typing import Any, Final

import msgspec
from shamir_mnemonic import MnemonicError, combine_mnemonics, generate_mnemonics

from freehold.crypto.root_key import RootKey
from freehold.custody.access import Access
from freehold.custody.errors import CustodyError, Locked, WrongSecret
from freehold.custody.provider import Established, options_as, parameters_as
from freehold.custody.record import Head

BY_PEOPLE = True
MOST_SHARES: Final = 16
_MOST_CHARACTERS: Final = 1024
_HASHED: Final = b"freehold share v1\x00"


class Options(msgspec.Struct, forbid_unknown_fields=True):
    shares: int
    threshold: int


class Parameters(msgspec.Struct, forbid_unknown_fields=True):
    threshold: int
    hashes: list[bytes]
    """SHA-256 of each share, which has 256 random bits: nothing is found from it."""


def again(head: Head) -> dict[str, Any]:
    known = parameters_as(Parameters, head)
    return {"shares": len(known.hashes), "threshold": known.threshold}


def establish(options: Mapping[str, Any], access: Access, deployment: str) -> Established:
    wanted = options_as(Options, options)
    if not 2 <= wanted.threshold <= wanted.shares <= MOST_SHARES:
        raise CustodyError(f"there are 2 to {MOST_SHARES} shares, and the threshold is 2 to as many as there are")
    root_key = RootKey.random()
    # One group is SLIP-0039's plain k of n. Its own passphrase stays empty, so that iterations would protect nothing.
    (shares,) = generate_mnemonics(1, [(wanted.threshold, wanted.shares)], root_key.material(), iteration_exponent=0)
    parameters = Parameters(wanted.threshold, [_hash(share) for share in shares])
    return Established("shamir", msgspec.to_builtins(parameters), root_key, tuple(shares))


def before(established: Established, access: Access) -> None:
    """Nothing: the shares are with people."""


def after(established: Established, access: Access) -> None:
    """Nothing."""


def obtain(head: Head, access: Access) -> RootKey:
    """Asks on the terminal for one share after the other."""
    collected = Collected(head)
    if access.ask is None:
        raise Locked(f"{collected.threshold} of the shares are needed; give each with: freehold unseal")
    while not collected.complete:
        collected.add(access.ask(f"share {len(collected) + 1} of {collected.threshold}"))
    return collected.root_key()


class Collected:
    """Shares as they come in, each checked. Its repr shows none."""

    def __init__(self, head: Head) -> None:
        parameters = parameters_as(Parameters, head)
        self.threshold = parameters.threshold
        self.of = len(parameters.hashes)
        self._fingerprint = head.fingerprint
        self._hashes = parameters.hashes
        self._shares: dict[int, str] = {}
        if not 2 <= self.threshold <= self.of <= MOST_SHARES:
            raise CustodyError("the custody file's number of shares is out of bounds")

    def __len__(self) -> int:
        return len(self._shares)

    @property
    def complete(self) -> bool:
        return len(self) >= self.threshold

    def add(self, text: str) -> None:
        """One more share; giving one twice changes nothing. Raises WrongSecret for what is none of this root key's."""
        share = " ".join(text[:_MOST_CHARACTERS].lower().split())
        given = _hash(share)
        for number, known in enumerate(self._hashes):
            if compare_digest(given, known):
                self._shares[number] = share
                return
        raise WrongSecret("this is not one of the shares of this deployment's root key")

    def forget(self) -> None:
        self._shares.clear()

    def root_key(self) -> RootKey:
        """What enough shares make. They are forgotten, right or wrong. Raises WrongSecret."""
        try:
            root_key = RootKey(combine_mnemonics(list(self._shares.values())[: self.threshold]))
        except (MnemonicError, ValueError):
            root_key = None
        finally:
            self.forget()
        if root_key is None or root_key.fingerprint() != self._fingerprint:
            raise WrongSecret("these shares do not make this deployment's root key; all of them are forgotten")
        return root_key


def proven(established: Established, deployment: str, shares: Sequence[str]) -> None:
    """That these shares make the root key that was split. Raises CustodyError."""
    head = Head(deployment, 0, established.root_key.fingerprint(), 0, established.kind, established.parameters)
    collected = Collected(head)
    for share in shares:
        collected.add(share)
    if not collected.complete:
        raise CustodyError(f"{collected.threshold} different shares are needed; {len(collected)} were given")
    collected.root_key()


def _hash(share: str) -> bytes:
    return hashlib.sha256(_HASHED + share.encode("utf-8", "surrogateescape")).digest()

"""Custody by a file beside the data directory (docs/formats/root-key.md): whoever reads it has the root key.

A new key is first written to `FILE.next`, then the custody file is replaced, then `FILE.next` takes the place of
`FILE`. Cut off in between, the key that the custody file names is in one of the two.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from freehold.crypto.root_key import RootKey, RootKeyError, sync_directory
from freehold.custody.access import Access
from freehold.custody.errors import CustodyError, WrongSecret
from freehold.custody.provider import Established, options_as, parameters_as
from freehold.custody.record import Head

BY_PEOPLE = False


class Parameters(msgspec.Struct, forbid_unknown_fields=True):
    """Nothing: where the file lies is said at the start, so that it can be moved."""


def again(head: Head) -> dict[str, Any]:
    return {}


def establish(options: Mapping[str, Any], access: Access, deployment: str) -> Established:
    options_as(Parameters, options)
    return Established("file", {}, RootKey.random())


def before(established: Established, access: Access) -> None:
    following = _following(access.root_key)
    try:
        following.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            following.unlink()
        established.root_key.save(following)
    except RootKeyError as error:
        raise CustodyError(str(error)) from None
    except OSError as error:
        raise CustodyError(f"the root key cannot be written to {following}: {error.strerror}") from None


def after(established: Established, access: Access) -> None:
    _settle(access.root_key)


def obtain(head: Head, access: Access) -> RootKey:
    """The key that the record names, from the file or, where a change of keys was cut off, from `FILE.next`."""
    parameters_as(Parameters, head)
    path = access.root_key
    following = _following(path)
    problem: CustodyError = WrongSecret(f"the root key at {path} is not the one that the data was put under")
    try:
        found = load_from(path)
        if found.fingerprint() == head.fingerprint:
            return found
    except CustodyError as error:
        problem = error
    if following.exists():
        found = load_from(following)
        if found.fingerprint() == head.fingerprint:
            _settle(path)
            return found
    raise problem


def load_from(path: Path) -> RootKey:
    """The key in a file. Raises CustodyError."""
    if not path.exists():
        raise CustodyError(f"there is no root key at {path}; name it with --root-key")
    try:
        return RootKey.load(path)
    except RootKeyError as error:
        raise CustodyError(str(error)) from None


def _following(path: Path) -> Path:
    return path.with_name(path.name + ".next")


def _settle(path: Path) -> None:
    # Another process that opens the same data may have done it just now.
    with contextlib.suppress(FileNotFoundError):
        os.rename(_following(path), path)
    sync_directory(path.parent)

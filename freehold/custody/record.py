"""The file `custody` of a data directory: which provider has the root key, and the keyring sealed under it.

Owns docs/formats/custody.md. Nothing in it is secret, and all of it is authenticated by the root key: the keyring opens
only with every byte of the head as it was. Replaced as a whole, by a rename. Refuses what it would not have written.
"""

from __future__ import annotations

import base64
import binascii
import os
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.crypto.aead import IntegrityError, Sealer
from freehold.crypto.root_key import RootKey, sync_directory
from freehold.custody.errors import CustodyError, WrongSecret
from freehold.custody.keyring import Keyring

NAME: Final = "custody"
_FIRST_LINE: Final = b"freehold-custody 1\n"
_MOST_BYTES: Final = 256 * 1024
_ASSOCIATED: Final = b"freehold keyring v1\x00"
PURPOSE: Final = "keyring"


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is in the open: `deployment` names the data, `kind` the provider, whose business `parameters` are."""

    deployment: str
    """32 random hexadecimal digits, the same for the life of the data."""
    number: int
    """1 for the first root key; each further one adds 1."""
    fingerprint: str
    """The root key's."""
    changed_at: int
    """Seconds since the epoch."""
    kind: str
    parameters: dict[str, Any]


class Record:
    """A custody file as it was read, or as it is to be written."""

    def __init__(self, head: Head, text: bytes, sealed: bytes) -> None:
        self.head = head
        self._text = text
        self._sealed = sealed

    @classmethod
    def read(cls, directory: Path) -> Record | None:
        """The directory's record, None when it has none. Raises CustodyError."""
        path = directory / NAME
        try:
            with open(path, "rb") as file:
                text = file.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CustodyError(f"{path} cannot be read: {error.strerror}") from None
        first, _, rest = text.partition(b"\n")
        if first.startswith(b"freehold-custody ") and first + b"\n" != _FIRST_LINE:
            raise CustodyError(f"{path} was written by another version of Freehold, or is damaged")
        try:
            line, last, end = rest.split(b"\n")
            sealed = base64.b64decode(last, validate=True)
            head = msgspec.json.decode(line, type=Head)
        except (ValueError, binascii.Error, msgspec.DecodeError):
            raise CustodyError(f"{path} is damaged") from None
        if first + b"\n" != _FIRST_LINE or end or len(text) > _MOST_BYTES:
            raise CustodyError(f"{path} is damaged")
        return cls(head, _FIRST_LINE + line + b"\n", sealed)

    @classmethod
    def make(cls, head: Head, root_key: RootKey, keyring: Keyring) -> Record:
        """The record by which `root_key` opens `keyring`."""
        text = _FIRST_LINE + msgspec.json.encode(head) + b"\n"
        return cls(head, text, _sealer(root_key).seal(keyring.encoded(), _ASSOCIATED + text))

    def open(self, root_key: RootKey) -> Keyring:
        """The keyring. Raises WrongSecret for another root key, CustodyError where the record was altered."""
        if root_key.fingerprint() != self.head.fingerprint:
            raise WrongSecret("this is not the root key that the data directory was put under")
        try:
            content = _sealer(root_key).open(self._sealed, _ASSOCIATED + self._text)
        except IntegrityError:
            raise CustodyError("the custody file was altered: the root key does not open it") from None
        return Keyring.decoded(content, root_key.fingerprint())

    def write(self, directory: Path) -> None:
        """Put it in the place of the directory's record, durably: all of it or nothing. One writer at a time.

        Raises OSError.
        """
        draft = directory / f"{NAME}.draft"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(self._text + base64.b64encode(self._sealed) + b"\n")
            file.flush()
            os.fsync(descriptor)
        os.rename(draft, directory / NAME)
        sync_directory(directory)


def _sealer(root_key: RootKey) -> Sealer:
    return Sealer(root_key.sealing_key(PURPOSE))

"""The mark of a data directory (the file `deployment`), and the custody file that belongs to it.

Owns the mark of docs/formats/custody.md. A directory without a mark is no deployment; one of the first format has no
custody file, its root key is in a file, and the mark has that key's fingerprint.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from freehold.crypto.root_key import RootKey, sync_directory
from freehold.custody import key_file
from freehold.custody.access import Access
from freehold.custody.errors import CustodyError, WrongSecret
from freehold.custody.keyring import Keyring
from freehold.custody.opening import Opened, open_record
from freehold.custody.record import Head, Record

NAME: Final = "deployment"
FORMAT: Final = "freehold-data-2"
FIRST_FORMAT: Final = "freehold-data-1"
"""Without a keyring: the sealing keys are the root key's own, until the root key is rotated."""


def open_directory(data: Path, access: Access) -> Opened:
    """The keyring of a data directory. Raises CustodyError: Locked when a passphrase or shares are lacking."""
    record = record_of(data)
    if record is not None:
        return open_record(record, access)
    head = head_of(data)
    root_key: RootKey = key_file.load_from(access.root_key)
    if root_key.fingerprint() != head.fingerprint:
        raise WrongSecret(f"the root key at {access.root_key} is not the one that the data was put under")
    return Opened(head, Keyring.of_first_format(root_key))


def record_of(data: Path) -> Record | None:
    """The custody file of a deployment, None where there's none yet (first format). Raises CustodyError."""
    form, name = _read(data)
    if form not in (FORMAT, FIRST_FORMAT):
        raise CustodyError(f"{data} was written by another version of Freehold ({form})")
    record = Record.read(data)
    if form == FORMAT and record is None:
        raise CustodyError(f"{data} has no custody file: the keyring in it opens all the data")
    if form == FORMAT and record is not None and record.head.deployment != name:
        raise CustodyError(f"the custody file in {data} is another deployment's")
    # With the first format's mark, a rotation was cut off between the custody file and the new mark: the file counts.
    return record


def head_of(data: Path) -> Head:
    """What is in the open about a deployment's custody. Raises CustodyError."""
    record = record_of(data)
    if record is not None:
        return record.head
    return Head("", 1, _read(data)[1], int((data / NAME).stat().st_mtime), "file", {})


def write_mark(data: Path, deployment: str) -> None:
    """Written last: a directory without it isn't a deployment. Raises OSError."""
    line = f"{FORMAT} {deployment}"
    draft = data / f"{NAME}.draft"
    with open(draft, "w") as file:
        file.write(f"{line}\n{_check(line)}\n")
        file.flush()
        os.fsync(file.fileno())
    os.rename(draft, data / NAME)
    sync_directory(data)


def _read(data: Path) -> tuple[str, str]:
    """(format, the deployment's name; in the first format the root key's fingerprint)."""
    path = data / NAME
    try:
        mark = path.read_bytes()
    except FileNotFoundError:
        raise CustodyError(f"{data} holds no deployment; make one with: freehold init") from None
    except OSError as error:
        raise CustodyError(f"{path} cannot be read: {error.strerror}") from None
    try:
        line, check = mark.decode("ascii").splitlines()
        form, name = line.split(" ")
    except ValueError:
        raise CustodyError(f"{path} is damaged") from None
    if check != _check(line):
        raise CustodyError(f"{path} is damaged")
    return form, name


def _check(line: str) -> str:
    return hashlib.sha256(line.encode()).hexdigest()

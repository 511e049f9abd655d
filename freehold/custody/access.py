"""How this process may get what a provider asks for: the key file's place, a passphrase or PIN from where it is safe.

A secret comes from a file that only its owner reads, from a descriptor, or from the terminal; never from the command
line or the environment, which other processes can read.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from freehold.custody.errors import CustodyError, Locked

MOST_SECRET_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Access:
    """`root_key`: the key file's place. A passphrase or PIN is `secret`, or comes from the others."""

    root_key: Path
    secret_file: Path | None = None
    secret: str | None = field(default=None, repr=False)
    descriptor: int | None = None
    """Read when it is first needed, so that the process that only hands it on doesn't hold what is in it."""
    ask: Callable[[str], str] | None = None

    def secret_for(self, what: str) -> str:
        """The passphrase or PIN. Raises Locked where there is none to be had, CustodyError for a file that can't be."""
        if self.secret is not None:
            return self.secret
        if self.descriptor is not None:
            return read_secret_from(self.descriptor)
        if self.secret_file is not None:
            return read_secret(self.secret_file)
        if self.ask is not None:
            return self.ask(what)
        raise Locked(f"{what} is needed: name a file that has it with --secret-file, or a descriptor with --secret-fd")


def terminal() -> Callable[[str], str] | None:
    """Asks at the terminal without showing the answer; None where there is none."""
    if not sys.stdin.isatty():
        return None
    from getpass import getpass

    return lambda what: getpass(f"{what[:1].upper()}{what[1:]}: ")


def read_secret(path: Path) -> str:
    """A secret's text from a file that nobody else may read. One newline at its end does not belong to it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise CustodyError(f"the secret file {path} is not a regular file")
            if status.st_mode & 0o077 and not _is_service_credential(path):
                raise CustodyError(f"the secret file {path} may be used by others; run: chmod 600 {path}")
            if status.st_uid not in (os.geteuid(), 0):
                raise CustodyError(f"the secret file {path} belongs to another user (uid {status.st_uid})")
            return _text(file.read(MOST_SECRET_BYTES + 1), str(path))
    except OSError as error:
        raise CustodyError(f"the secret file {path} cannot be read: {error.strerror}") from None


def read_secret_from(descriptor: int) -> str:
    """A secret's text from an inherited descriptor (a pipe, as a shell or a service manager makes it); closes it."""
    try:
        with open(descriptor, "rb") as file:
            return _text(file.read(MOST_SECRET_BYTES + 1), f"descriptor {descriptor}")
    except OSError as error:
        raise CustodyError(f"the secret cannot be read from descriptor {descriptor}: {error.strerror}") from None


def _is_service_credential(path: Path) -> bool:
    """Whether it is one of systemd's credentials, which are root's and shown to this service alone by other means."""
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    return directory is not None and path.absolute().parent == Path(directory)


def _text(content: bytes, source: str) -> str:
    if len(content) > MOST_SECRET_BYTES:
        raise CustodyError(f"the secret in {source} is longer than {MOST_SECRET_BYTES} bytes")
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise CustodyError(f"the secret in {source} is not UTF-8 text") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise CustodyError(f"the secret in {source} is empty")
    return text

"""What commands share about the root key's custody: options, secrets from where it is safe, shares for people."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from freehold.cli.output import Problem

if TYPE_CHECKING:
    from freehold.config import Settings
    from freehold.custody.access import Access

Custody = Annotated[
    str, typer.Option(help="Where the root key is: file, passphrase, pkcs11, kms or shamir.", metavar="KIND")
]
With = Annotated[
    list[str] | None,
    typer.Option("--with", help="A choice of that custody, may be repeated: docs/custody.md.", metavar="NAME=VALUE"),
]
SecretFile = Annotated[
    Path | None,
    typer.Option(help="File (0600) with the passphrase or PIN [default: $FREEHOLD_SECRET_FILE].", metavar="FILE"),
]
SecretFd = Annotated[
    int | None, typer.Option(help="Descriptor to read the passphrase or PIN from.", metavar="N", min=0)
]
SharesTo = Annotated[
    Path | None, typer.Option(help="Write each share into a file (0600) in DIR, instead of showing it.", metavar="DIR")
]


def words(given: list[str] | None) -> dict[str, str]:
    """The `NAME=VALUE` of each --with."""
    found: dict[str, str] = {}
    for each in given or ():
        name, separator, value = each.partition("=")
        if not separator or name in found:
            raise Problem(f"--with takes NAME=VALUE, each name once; {name} is not that")
        found[name.replace("-", "_")] = value
    return found


def secret(what: str, secret_file: Path | None, secret_fd: int | None, *, new: bool = False) -> str:
    """A passphrase, PIN or share from a descriptor, a file, the terminal or the standard input."""
    from freehold.custody import memory
    from freehold.custody.access import read_secret, read_secret_from, terminal
    from freehold.custody.errors import CustodyError

    memory.protect()
    try:
        if secret_fd is not None:
            return read_secret_from(secret_fd)
        if secret_file is not None:
            return read_secret(secret_file)
        ask = terminal()
        if ask is None:
            return read_secret_from(sys.stdin.fileno())
    except CustodyError as error:
        raise Problem(str(error)) from None
    return (twice(ask) if new else ask)(what)


def access(settings: Settings, secret_fd: int | None = None, *, new: bool = False, ask: bool = True) -> Access:
    """How this command gets secrets: descriptor, file, or (`ask`) the terminal, which asks for a `new` one twice."""
    from freehold.custody import memory
    from freehold.custody.access import Access, terminal

    memory.protect()
    asks = terminal() if ask else None
    return Access(
        settings.root_key, settings.secret_file, descriptor=secret_fd, ask=twice(asks) if asks and new else asks
    )


def twice(ask: Callable[[str], str]) -> Callable[[str], str]:
    """Has what nobody can see repeated."""

    def asked(what: str) -> str:
        given = ask(what)
        if ask(f"{what}, again") != given:
            raise Problem("these were not the same")
        return given

    return asked


def keep_shares(shares: tuple[str, ...], directory: Path) -> list[str]:
    """A file for each share, which only its owner reads. Returns their paths."""
    paths = []
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number, share in enumerate(shares, 1):
            path = directory / f"share-{number}"
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
                file.write(share + "\n")
                file.flush()
                os.fsync(file.fileno())
            paths.append(str(path))
    except OSError as error:
        raise Problem(f"the shares cannot be written to {directory}: {error.strerror}") from None
    return paths


def show_shares(shares: tuple[str, ...], *, needed: int) -> None:
    """For the people who will hold them. Not through rich, which would break lines."""
    write = sys.stdout.write
    write(f"\nShares of the root key, shown this once; any {needed} of them unseal. One person, one share:\n")
    for number, share in enumerate(shares, 1):
        write(f"\n  share {number}\n    {share}\n")
    sys.stdout.flush()

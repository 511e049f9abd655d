"""A directory's keyring: opened by what has its root key, and put under another root key while it is in use.

Refuses a root key other than the one that the custody file names, and a keyring that was changed since it was read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from freehold.custody.access import Access
from freehold.custody.errors import CustodyError
from freehold.custody.keyring import Keyring
from freehold.custody.provider import Established, provider
from freehold.custody.record import Head, Record


class Opened(NamedTuple):
    head: Head
    keyring: Keyring


def open_record(record: Record, access: Access) -> Opened:
    """What a custody file holds. Raises Locked, WrongSecret or another CustodyError."""
    root_key = provider(record.head.kind).obtain(record.head, access)
    return Opened(record.head, record.open(root_key))


def establish(kind: str, options: Mapping[str, Any], access: Access, deployment: str) -> Established:
    """A new root key in a provider. It opens nothing until `put_under`. May take a second, or as long as a network."""
    return provider(kind).establish(options, access, deployment)


def put_under(
    directory: Path,
    new: Established,
    keyring: Keyring,
    *,
    access: Access,
    deployment: str,
    number: int,
    now_seconds: float,
    then: Callable[[], None] | None = None,
) -> Head:
    """Put a keyring under a new root key, durably: until it returns, the former root key or the new one opens it.

    `number`: that of the root key. Whoever calls this keeps others from doing so at once. `then` is called once the
    custody file is replaced, which decides. Raises CustodyError.
    """
    found = provider(new.kind)
    head = Head(deployment, number, new.root_key.fingerprint(), int(now_seconds), new.kind, new.parameters)
    record = Record.make(head, new.root_key, keyring)
    # What doesn't open again must not take the place of what does.
    record.open(new.root_key)
    found.before(new, access)
    try:
        record.write(directory)
    except OSError as error:
        raise CustodyError(f"the custody file cannot be written in {directory}: {error.strerror}") from None
    found.after(new, access)
    if then is not None:
        then()
    return head


def replace_keyring(directory: Path, record: Record, access: Access, change: Callable[[Keyring], Keyring]) -> Keyring:
    """Put another keyring in the place of a record's, under the same root key, durably. Raises CustodyError.

    For a directory that no server holds: one that runs would go on with the former keyring.
    """
    root_key = provider(record.head.kind).obtain(record.head, access)
    keyring = change(record.open(root_key))
    try:
        Record.make(record.head, root_key, keyring).write(directory)
    except OSError as error:
        raise CustodyError(f"the custody file cannot be written in {directory}: {error.strerror}") from None
    return keyring

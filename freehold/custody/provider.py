"""The interface of a provider, and the table of them. A further source of root keys is one module and one row.

A provider has two verbs: `establish` a new root key, and `obtain` it again by the parameters that `establish` left in
the custody file. Modules are imported when their kind is used, so that nobody pays for another's library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final, Protocol, TypeVar, cast

import msgspec

from freehold.crypto.root_key import RootKey
from freehold.custody.access import Access
from freehold.custody.errors import CustodyError
from freehold.custody.record import Head, Record

_MODULES: Final = {
    "file": "freehold.custody.key_file",
    "passphrase": "freehold.custody.passphrase",
    "pkcs11": "freehold.custody.pkcs11",
    "kms": "freehold.custody.kms",
    "shamir": "freehold.custody.shamir",
}
KINDS: Final = tuple(_MODULES)

S = TypeVar("S", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Established:
    """A new root key that opens nothing yet. `parameters` are not secret; `shares` are, and are nowhere else."""

    kind: str
    parameters: dict[str, Any]
    root_key: RootKey
    shares: tuple[str, ...] = field(default=(), repr=False)


class Provider(Protocol):
    """What a module of this table has."""

    BY_PEOPLE: bool
    """Whether a server waits, sealed, for people to give what is needed, and can be sealed again."""

    def again(self, head: Head) -> dict[str, Any]:
        """The operator's choices that led to a record's parameters: what a new root key of this kind starts from."""
        ...

    def establish(self, options: Mapping[str, Any], access: Access, deployment: str) -> Established:
        """A new root key. `options` are the operator's choices. Raises CustodyError."""
        ...

    def obtain(self, head: Head, access: Access) -> RootKey:
        """The root key again. Raises Locked when people are needed, CustodyError when it can't be had."""
        ...

    def before(self, established: Established, access: Access) -> None:
        """Just before the custody file is replaced: what must be durable by then. Raises CustodyError."""
        ...

    def after(self, established: Established, access: Access) -> None:
        """Just after it. May be cut off at any point: `obtain` must find its way all the same."""
        ...


def provider(kind: str) -> Provider:
    """The provider of a kind. Raises CustodyError for an unknown one, or one whose library isn't installed."""
    name = _MODULES.get(kind)
    if name is None:
        raise CustodyError(f"there is no custody {kind}; there are: {', '.join(KINDS)}")
    try:
        return cast(Provider, import_module(name))
    except ModuleNotFoundError as error:
        raise CustodyError(f"custody {kind} needs the Python package {error.name}, which is not installed") from None


def options_as(wanted: type[S], options: Mapping[str, Any]) -> S:
    """The operator's choices, typed; numbers may be text. Raises CustodyError for an unknown or missing one."""
    try:
        return msgspec.convert(dict(options), wanted, strict=False)
    except msgspec.ValidationError as error:
        raise CustodyError(f"custody options: {error}") from None


def parameters_as(wanted: type[S], head: Head) -> S:
    """A record's parameters, typed. Raises CustodyError."""
    try:
        return msgspec.convert(head.parameters, wanted)
    except msgspec.ValidationError:
        raise CustodyError(f"the custody file's parameters for {head.kind} are not known to this program") from None


def waits_for_people(record: Record | None) -> bool:
    """Whether the root key is in people's hands, so that a server may be sealed, and is unsealed by them."""
    return record is not None and provider(record.head.kind).BY_PEOPLE

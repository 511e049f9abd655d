"""The keyring: what a deployment's sealing keys are derived from, in memory. The root key is not in it.

Owns docs/formats/keyring.md. Whoever holds a keyring opens everything of the deployment, whatever becomes of the root
key afterwards; its repr shows nothing, and it isn't pickled.
"""

from __future__ import annotations

import secrets
from typing import Final

import msgspec

from freehold.crypto.root_key import RootKey
from freehold.custody.errors import CustodyError

_KEY_BYTES: Final = 32


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    base: bytes
    replaced: dict[str, list[bytes]] = {}

    def __repr__(self) -> str:
        return "_Content(…)"


class Keyring:
    """Gives sealing keys (`crypto.root_key.SealingKeys`)."""

    __slots__ = ("_base", "_content", "_fingerprint")

    def __init__(self, content: _Content, fingerprint: str) -> None:
        self._content = content
        self._base = RootKey(content.base)
        self._fingerprint = fingerprint

    def __repr__(self) -> str:
        return "Keyring(…)"

    def __reduce__(self) -> str:
        raise TypeError("a keyring is not pickled")

    @classmethod
    def new(cls) -> Keyring:
        """A random one, not yet under a root key."""
        return cls(_Content(secrets.token_bytes(_KEY_BYTES)), "")

    @classmethod
    def of_first_format(cls, root_key: RootKey) -> Keyring:
        """That of data from before there were keyrings: sealing keys are derived from the root key itself."""
        return cls(_Content(root_key.material()), root_key.fingerprint())

    @classmethod
    def decoded(cls, encoded: bytes, fingerprint: str) -> Keyring:
        """From `encoded`, which was authenticated."""
        try:
            content = msgspec.json.decode(encoded, type=_Content)
            lengths = {len(content.base), *(len(key) for keys in content.replaced.values() for key in keys)}
        except msgspec.DecodeError:
            raise CustodyError("the keyring is of another version of Freehold") from None
        if lengths != {_KEY_BYTES} or not all(content.replaced.values()):
            raise CustodyError("the keyring holds keys of a wrong size")
        return cls(content, fingerprint)

    def encoded(self) -> bytes:
        """Its content in the clear, to be sealed."""
        return msgspec.json.encode(self._content)

    def sealing_key(self, purpose: str) -> bytes:
        """32 bytes: what new values of this purpose are sealed under."""
        replaced = self._content.replaced.get(purpose)
        return replaced[0] if replaced else self._base.sealing_key(purpose)

    def former_keys(self, purpose: str) -> list[bytes]:
        """Under what older values of this purpose may still be sealed, newest first; mostly nothing."""
        return self._content.replaced.get(purpose, [b""])[1:]

    def fingerprint(self) -> str:
        """The fingerprint of the root key that opened this keyring."""
        return self._fingerprint

    def with_new_key(self, purpose: str) -> Keyring:
        """A further sealing key for a purpose; the one until now becomes a former one."""
        present = self._content.replaced.get(purpose) or [self._base.sealing_key(purpose)]
        replaced = {**self._content.replaced, purpose: [secrets.token_bytes(_KEY_BYTES), *present]}
        return Keyring(_Content(self._content.base, replaced), self._fingerprint)

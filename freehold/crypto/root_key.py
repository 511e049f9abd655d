"""The root key: what opens a deployment's keyring. It never is stored with the data.

Owns the key file of docs/formats/root-key.md. Refuses to overwrite a file, and to read one that others may read or
that differs from what was written in a single byte. Other sources (a passphrase, an HSM, another KMS, shares) are in
`freehold/custody`; what uses sealing keys asks for `SealingKeys`, and never for the root key itself.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
import stat
from hmac import compare_digest
from pathlib import Path
from typing import Final, Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_TAG: Final = "freehold-root-key"
_VERSION: Final = "v1"
_KEY_BYTES: Final = 32
_MOST_BYTES: Final = 4096


class RootKeyError(Exception):
    """The root key cannot be had. The message is one line that says what to change and shows no key."""


class SealingKeys(Protocol):
    """What a deployment asks of its keyring, wherever the root key is kept."""

    def sealing_key(self, purpose: str) -> bytes:
        """32 bytes for one purpose ("records", "tokens", "audit" …), the same at every call."""
        ...

    def former_keys(self, purpose: str) -> list[bytes]:
        """Under what older values of the purpose may be sealed still; mostly nothing."""
        ...

    def fingerprint(self) -> str:
        """A name for the root key that is safe to show and to store."""
        ...


class RootKey:
    """32 random bytes."""

    __slots__ = ("_material",)

    def __init__(self, material: bytes) -> None:
        if len(material) != _KEY_BYTES:
            raise ValueError(f"a root key has {_KEY_BYTES} bytes")
        self._material = bytes(material)

    def __repr__(self) -> str:
        return "RootKey(…)"

    def __reduce__(self) -> str:
        raise TypeError("a root key is not pickled")

    @classmethod
    def random(cls) -> RootKey:
        """A new root key that is nowhere else yet."""
        return cls(secrets.token_bytes(_KEY_BYTES))

    @classmethod
    def create(cls, path: str | os.PathLike[str]) -> RootKey:
        """A new root key, durable in a new file that only its owner reads. Raises RootKeyError if it exists."""
        key = cls.random()
        key.save(path)
        return key

    def save(self, path: str | os.PathLike[str]) -> None:
        """Put the key into a new file that only its owner reads, durably. Raises RootKeyError if it exists."""
        path = Path(path)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                with open(descriptor, "wb") as file:
                    # The creation mode is subject to the process's mask, which may take even the owner's rights.
                    os.fchmod(descriptor, 0o600)
                    file.write(_line(self._material))
                    file.flush()
                    os.fsync(descriptor)
                # A link, unlike a rename, fails where the name is taken; the whole key appears at once or not at all.
                os.link(draft, path)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(draft)
            sync_directory(path.parent)
        except FileExistsError:
            raise RootKeyError(f"{path} exists already and is not overwritten") from None
        except OSError as error:
            raise RootKeyError(f"the root key cannot be written to {path}: {error.strerror}") from None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RootKey:
        """The root key in a file. Raises RootKeyError when it's missing, readable by others, altered or malformed."""
        path = Path(path)
        try:
            # Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            with open(descriptor, "rb") as file:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise RootKeyError(f"the root key file {path} is not a regular file")
                if status.st_mode & 0o077:
                    raise RootKeyError(
                        f"the root key file {path} may be used by others (mode {status.st_mode & 0o777:04o}); "
                        f"run: chmod 600 {path}"
                    )
                if status.st_uid not in (os.geteuid(), 0):
                    raise RootKeyError(f"the root key file {path} belongs to another user (uid {status.st_uid})")
                text = file.read(_MOST_BYTES + 1)
        except OSError as error:
            raise RootKeyError(f"the root key file {path} cannot be read: {error.strerror}") from None
        return cls(_parse(text, path))

    def material(self) -> bytes:
        """The 32 bytes themselves, for what wraps or splits the key; never to be shown."""
        return self._material

    def sealing_key(self, purpose: str) -> bytes:
        """HKDF-SHA256 of the root key for one purpose: 32 bytes."""
        return self._derive(b"freehold sealing key v1\x00" + purpose.encode(), _KEY_BYTES)

    def former_keys(self, purpose: str) -> list[bytes]:
        """None: a root key's own sealing keys are never replaced."""
        return []

    def fingerprint(self) -> str:
        """32 hexadecimal digits derived from the key, from which it can't be found."""
        return self._derive(b"freehold root key fingerprint v1\x00", 16).hex()

    def _derive(self, info: bytes, length: int) -> bytes:
        return HKDF(SHA256(), length, None, info).derive(self._material)


def _line(material: bytes) -> bytes:
    """`freehold-root-key v1 KEY CHECKSUM` and a newline; both in base64url without padding."""
    encoded = base64.urlsafe_b64encode(material).rstrip(b"=").decode()
    checksum = hashlib.sha256(f"{_TAG} {_VERSION} {encoded}".encode()).digest()[:12]
    return f"{_TAG} {_VERSION} {encoded} {base64.urlsafe_b64encode(checksum).decode()}\n".encode()


def _parse(text: bytes, path: Path) -> bytes:
    parts = text.split(b" ")
    if len(text) > _MOST_BYTES or len(parts) != 4 or parts[0] != _TAG.encode():
        raise RootKeyError(f"{path} is not a Freehold root key file")
    if parts[1] != _VERSION.encode():
        raise RootKeyError(f"the root key file {path} has a version that this program does not know, or was altered")
    try:
        material = base64.b64decode(parts[2] + b"=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        material = b""
    if len(material) != _KEY_BYTES:
        raise RootKeyError(f"the root key in {path} does not have {_KEY_BYTES} bytes, or was altered")
    # Comparing whole lines also refuses other spellings of the same key.
    if not compare_digest(_line(material), text):
        raise RootKeyError(f"the root key file {path} was altered: its checksum does not match")
    return material


def sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""What a signature is checked against: secrets, credentials, where they come from, and sealed session tokens.

A session token is self-contained: nothing about a session is stored. It holds the secret and the whole principal,
sealed under the deployment's token key (docs/formats/session-token.md). This module says whether a token is genuine,
belongs to the access key id it came with, and is not expired. Whether the role or user behind it still exists, its
policies and its revocation (`sessions_not_before` against `Session.issued_at`) are looked up at each call elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import os
import zlib
from dataclasses import dataclass, field, replace
from hmac import compare_digest
from typing import Any, Final, Protocol

import msgspec

from freehold.authentication.key_ids import new_access_key_id, new_secret
from freehold.authorization.principal import Kind, Principal, Session
from freehold.clock import Clock
from freehold.crypto.aead import IntegrityError

MOST_TOKEN_CHARACTERS: Final = 12_288
"""The longest session token. Request headers are limited, and a token travels in one."""
_VERSION: Final = 1
_PLAIN: Final = b"\x00"
_DEFLATED: Final = b"\x01"
_DEFLATE_FROM_BYTES: Final = 512
_MOST_PLAINTEXT_BYTES: Final = 262_144
_HELD_TOKENS: Final = 2_048


class CredentialRefused(Exception):
    """Why credentials don't authenticate; each service says it with an error of its own (`refusals.py`)."""


class UnknownAccessKey(CredentialRefused):
    """No active access key has this id."""


class ExpiredToken(CredentialRefused):
    """The session token was genuine and has run out."""


class InvalidToken(CredentialRefused):
    """The session token is altered, missing, not needed, or another access key's."""


class TokenTooLarge(Exception):
    """A session's policies and tags don't fit in a token. `percent` of the limit is above 100."""

    def __init__(self, percent: int) -> None:
        self.percent = percent
        super().__init__(f"the session takes {percent} % of a session token's size")


class Secret:
    """A secret access key. Shows itself only to `reveal()`; refuses to be pickled."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and compare_digest(self._text.encode(), other._text.encode())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not pickled")


@dataclass(frozen=True, slots=True, eq=False)
class Credential:
    """The secret that signs for an access key id, and who signs with it."""

    secret: Secret
    principal: Principal


class CredentialSource(Protocol):
    """Where access keys are looked up."""

    def lookup(self, access_key_id: str, session_token: str | None) -> Credential:
        """The active credential. `access_key_id` and `session_token` are the client's words, not yet verified.

        Raises UnknownAccessKey, ExpiredToken or InvalidToken (or an AwsError, which passes as it is). A long-term key
        that comes with a token is InvalidToken, as is a temporary one without.
        """
        ...


class Sealing(Protocol):
    """What the tokens are sealed with: `freehold.crypto.aead.Sealer`."""

    def seal(self, plaintext: bytes, associated: bytes) -> bytes: ...
    def open(self, blob: bytes, associated: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True, eq=False)
class TemporaryCredential:
    """What STS hands out. `principal.access_key_id` is the new id; `percent` of the token's size limit is taken."""

    access_key_id: str
    secret: Secret
    token: str = field(repr=False)
    principal: Principal
    percent: int


class _Content(msgspec.Struct, array_like=True, frozen=True):
    """A token's inside. Fields are only ever added at the end, with a default."""

    access_key_id: str
    secret: str
    kind: Kind
    account_id: str
    arn: str
    unique_id: str
    name: str
    issuer_arn: str
    tags: tuple[tuple[str, str], ...]
    extra_context: dict[str, str | tuple[str, ...]]
    session: Session
    padding: bytes = b""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Content)


class TokenSealer:
    """Issues temporary credentials and opens their tokens. `sealing` holds the key for purpose "tokens"."""

    def __init__(self, sealing: Sealing, clock: Clock) -> None:
        self._sealing = sealing
        self._clock = clock
        self._held: dict[str, Credential] = {}

    def issue(self, principal: Principal, *, least_characters: int = 0) -> TemporaryCredential:
        """Credentials for `principal`, whose `session` says until when and within what. Its `tags` are kept as given.

        A token shorter than `least_characters` is padded. Raises TokenTooLarge (STS answers PackedPolicyTooLarge).
        """
        session = principal.session
        if session is None:
            raise ValueError("temporary credentials belong to a session")
        access_key_id = new_access_key_id("ASIA", principal.account_id)
        secret = new_secret()
        content = _Content(
            access_key_id,
            secret,
            principal.kind,
            principal.account_id,
            principal.arn,
            principal.unique_id,
            principal.name,
            principal.issuer_arn,
            principal.tags,
            principal.extra_context,
            session,
        )
        token = self._sealed(content)
        padding = 0
        while len(token) < least_characters:
            # More than once, when what was stored plainly is compressed now that it is longer.
            padding += -(-3 * (least_characters - len(token)) // 4)
            token = self._sealed(msgspec.structs.replace(content, padding=os.urandom(padding)))
        percent = -(-100 * len(token) // MOST_TOKEN_CHARACTERS)
        if percent > 100:
            raise TokenTooLarge(percent)
        return TemporaryCredential(
            access_key_id, Secret(secret), token, replace(principal, access_key_id=access_key_id), percent
        )

    def _sealed(self, content: _Content) -> str:
        """The token of a content. Raises TokenTooLarge."""
        plaintext = _encoder.encode(content)
        if len(plaintext) > _MOST_PLAINTEXT_BYTES:
            raise TokenTooLarge(100 * len(plaintext) // MOST_TOKEN_CHARACTERS)
        if len(plaintext) >= _DEFLATE_FROM_BYTES:
            plaintext = _DEFLATED + zlib.compress(plaintext)
        else:
            plaintext = _PLAIN + plaintext
        sealed = self._sealing.seal(plaintext, _associated(content.access_key_id))
        return base64.b64encode(bytes((_VERSION,)) + sealed).decode("ascii")

    def open(self, access_key_id: str, token: str) -> Credential:
        """The credential inside a token. Raises InvalidToken or ExpiredToken. The principal is as it was issued."""
        credential = self._held.pop(token, None)
        if credential is None:
            credential = self._unseal(access_key_id, token)
        # Inserted anew at each use, so that the first of the dict is the least recently used.
        self._held[token] = credential
        if len(self._held) > _HELD_TOKENS:
            del self._held[next(iter(self._held))]
        principal = credential.principal
        if principal.access_key_id != access_key_id:
            raise InvalidToken
        session = principal.session
        if session is None or session.expires_at <= self._clock.now_seconds():
            raise ExpiredToken
        return credential

    def _unseal(self, access_key_id: str, token: str) -> Credential:
        if len(token) > MOST_TOKEN_CHARACTERS:
            raise InvalidToken
        try:
            blob = base64.b64decode(token, validate=True)
            # Base64 has several spellings of one value (unused bits); only the one that was issued is accepted.
            if blob[:1] != bytes((_VERSION,)) or base64.b64encode(blob).decode("ascii") != token:
                raise InvalidToken
            plaintext = self._sealing.open(blob[1:], _associated(access_key_id))
        except (IntegrityError, binascii.Error, ValueError):
            raise InvalidToken from None
        content = _decoder.decode(_inflate(plaintext))
        principal = Principal(
            kind=content.kind,
            account_id=content.account_id,
            arn=content.arn,
            unique_id=content.unique_id,
            name=content.name,
            issuer_arn=content.issuer_arn,
            access_key_id=content.access_key_id,
            session=content.session,
            tags=content.tags,
            extra_context=content.extra_context,
        )
        return Credential(Secret(content.secret), principal)


def _inflate(plaintext: bytes) -> bytes:
    if plaintext[:1] == _PLAIN:
        return plaintext[1:]
    return zlib.decompressobj().decompress(plaintext[1:], _MOST_PLAINTEXT_BYTES)


def _associated(access_key_id: str) -> bytes:
    return b"session token\x00" + access_key_id.encode("utf-8", "surrogateescape")

"""Import tokens: the private half of a wrapping key, sealed, carried by the client and valid for 24 hours.

Owns the format of docs/formats/import-token.md. Nothing is kept for a token, so that asking for many fills nothing;
what seals them is a random secret a day, kept in the records and erased when the last token of its day is invalid:
tokens and wrapped material that a client kept open nothing then, not even with the root key and the data directory.
A token is for one key, one wrapping algorithm, and as many imports as there are time for, as in AWS.
Refuses what was not issued here for that key (InvalidImportTokenException) and what is too old
(ExpiredImportTokenException).
https://docs.aws.amazon.com/kms/latest/developerguide/importing-keys-get-public-key-and-token.html
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

import msgspec

from freehold.crypto.aead import IntegrityError, Sealer
from freehold.services.kms.errors import ExpiredImportToken, InvalidImportToken
from freehold.services.kms.records import IMPORT_EPOCHS, ImportEpoch, Key
from freehold.services.operation import due_work
from freehold.storage.records import Reader, Transaction

if TYPE_CHECKING:
    from freehold.app import App

VALID_SECONDS: Final = 86_400
_VERSION: Final = 1
_EPOCH_SECONDS: Final = 86_400
_HEADER_BYTES: Final = 5
_ASSOCIATED: Final = b"freehold kms import token v1\0"


class Token(msgspec.Struct, kw_only=True):
    """What a token holds."""

    region: str
    key_id: str
    algorithm: str
    expires_at: int
    private_key: bytes
    """PKCS #8, DER."""

    def __repr__(self) -> str:
        return f"Token({self.key_id})"


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Token).decode


async def issue(app: App, key: Key, algorithm: str, private_key: bytes) -> tuple[bytes, int]:
    """(token, when it ceases to be valid, in seconds since the epoch) for a wrapping key that was made for `key`."""
    now = int(app.clock.now_seconds())
    number = now // _EPOCH_SECONDS
    epoch = IMPORT_EPOCHS.get(app.records.reader(), (number,))
    if epoch is None:
        epoch = await asyncio.wrap_future(app.records.submit(lambda tx: _new_epoch(tx, number)))
    token = Token(
        region=key.region,
        key_id=key.key_id,
        algorithm=algorithm,
        expires_at=now + VALID_SECONDS,
        private_key=private_key,
    )
    header = bytes((_VERSION,)) + number.to_bytes(4, "big")
    return header + Sealer(epoch.secret).seal(_encode(token), _ASSOCIATED + header), token.expires_at


def read(reader: Reader, key: Key, token: bytes, now: float) -> Token:
    """What a token for `key` holds. Raises InvalidImportTokenException or ExpiredImportTokenException."""
    header = bytes(token[:_HEADER_BYTES])
    if len(header) < _HEADER_BYTES or header[0] != _VERSION:
        raise InvalidImportToken
    number = int.from_bytes(header[1:], "big")
    epoch = IMPORT_EPOCHS.get(reader, (number,))
    if epoch is None:
        # Nobody can tell any more whether it was genuine; a date in the past says what to do all the same.
        raise ExpiredImportToken if _is_over(number, now) else InvalidImportToken
    try:
        found = _decode(Sealer(epoch.secret).open(bytes(token[_HEADER_BYTES:]), _ASSOCIATED + header))
    except (IntegrityError, msgspec.MsgspecError):
        raise InvalidImportToken from None
    if (found.region, found.key_id) != (key.region, key.key_id):
        raise InvalidImportToken
    if now >= found.expires_at:
        raise ExpiredImportToken
    return found


def _new_epoch(tx: Transaction, number: int) -> ImportEpoch:
    epoch = IMPORT_EPOCHS.get(tx, (number,))
    if epoch is None:
        epoch = ImportEpoch(secret=os.urandom(32))
        IMPORT_EPOCHS.put(tx, (number,), epoch)
    return epoch


def _is_over(number: int, now: float) -> bool:
    """Whether every token of this day is invalid."""
    return now >= (number + 1) * _EPOCH_SECONDS + VALID_SECONDS


@due_work
def forget_epochs(app: App, tx: Transaction) -> None:
    """Erase what sealed the tokens of days whose tokens are all invalid."""
    now = app.clock.now_seconds()
    for row, _ in list(IMPORT_EPOCHS.scan(tx)):
        if _is_over(int(row[0]), now):
            tx.erase(IMPORT_EPOCHS.name, row)

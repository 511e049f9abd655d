"""Service-specific credentials that sign: a user's access key id and secret for one service, good for no other.

AWS KMS signs with them what it asks of this deployment as an external key store proxy. Unlike a password's, the secret
is kept as it is, since a signature can't be verified with a hash; like an access key's, the record is sealed at rest
and the secret shown once. Of the two that a user may have, both hold, so that one can be replaced without a gap.
https://github.com/aws/aws-kms-xksproxy-api-spec (Authentication, Appendix A)
"""

from __future__ import annotations

import base64
import secrets
from typing import Final

from freehold.authentication.credentials import Credential, InvalidToken, Secret, UnknownAccessKey
from freehold.authentication.key_ids import new_access_key_id
from freehold.services.iam import access
from freehold.services.iam.records import Record
from freehold.storage.cache import Cache
from freehold.storage.records import Reader, Records, Table, Transaction

SERVICE: Final = "kms-xks-proxy.amazonaws.com"
PREFIX: Final = "XKSP"
_SECRET_BYTES: Final = 48


class SigningKey(Record, kw_only=True):
    account_id: str
    user_id: str
    secret: str = ""
    active: bool = True

    def __repr__(self) -> str:
        return f"SigningKey({self.account_id}, {self.user_id})"


SIGNING_KEYS = Table("iam.signing_keys", SigningKey, domain="iam")  # (access key id,)


def create(tx: Transaction, account_id: str, user_id: str) -> str:
    """A new access key id, which names its account: 20 characters A-Z and 2-7. It needs a secret to be of use."""
    made = new_access_key_id(PREFIX, account_id)
    while SIGNING_KEYS.get(tx, (made,)) is not None:
        made = new_access_key_id(PREFIX, account_id)
    SIGNING_KEYS.put(tx, (made,), SigningKey(account_id=account_id, user_id=user_id))
    return made


def give_secret(tx: Transaction, access_key_id: str) -> str:
    """A new secret, instead of any that there was: 64 characters of base64 from 384 random bits.

    The specification has 43 to 64.
    """
    record = _require(tx, access_key_id)
    record.secret = base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")
    SIGNING_KEYS.put(tx, (access_key_id,), record)
    return record.secret


def set_active(tx: Transaction, access_key_id: str, *, active: bool) -> None:
    record = _require(tx, access_key_id)
    record.active = active
    SIGNING_KEYS.put(tx, (access_key_id,), record)


def forget(tx: Transaction, access_key_id: str) -> None:
    SIGNING_KEYS.delete(tx, (access_key_id,))


def _require(reader: Reader, access_key_id: str) -> SigningKey:
    found = SIGNING_KEYS.get(reader, (access_key_id,))
    if found is None:
        raise UnknownAccessKey
    return found


class SigningCredentials:
    """authentication's `CredentialSource` for requests to the external key store proxy."""

    def __init__(self, stored: Records, cache: Cache) -> None:
        self._records = stored
        self._cache = cache

    def lookup(self, access_key_id: str, session_token: str | None) -> Credential:
        """The secret and the user behind an active credential. Raises UnknownAccessKey, InvalidToken."""
        if session_token is not None:
            raise InvalidToken
        held = self._cache.get("iam", "signing credentials", _nothing)
        credential = held.get(access_key_id)
        if credential is None:
            credential = held[access_key_id] = _credential(self._records.reader(), access_key_id)
        return credential


def _nothing(reader: Reader) -> dict[str, Credential]:
    return {}


def _credential(reader: Reader, access_key_id: str) -> Credential:
    key = _require(reader, access_key_id)
    if not key.active or not key.secret:
        raise UnknownAccessKey
    return Credential(Secret(key.secret), access.user_with_key(reader, key.account_id, key.user_id, access_key_id))

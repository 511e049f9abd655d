"""Identifiers and secrets of credentials: access key ids that name their account, unique ids, secret access keys.

An access key id is a four-letter prefix (`AKIA`: long-term, `ASIA`: temporary) and 16 base32 characters. These hold
80 bits: a one, the account id in 40 bits, and 39 random bits; so the account follows from the id alone, as AWS's does.
Ids of the older form (their fifth character is below `Q`) name no account and are refused.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
https://docs.aws.amazon.com/STS/latest/APIReference/API_GetAccessKeyInfo.html
"""

from __future__ import annotations

import base64
import secrets

_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_NAMES_ACCOUNT = 1 << 79
_RANDOM_BITS = 39
_ACCOUNT_MASK = (1 << 40) - 1
_UNIQUE_ID_CHARACTERS = 17


def new_access_key_id(prefix: str, account_id: str) -> str:
    """A fresh id such as `AKIA…` or `ASIA…` (20 characters) for a 12-digit account."""
    if len(prefix) != 4 or len(account_id) != 12 or not (account_id.isascii() and account_id.isdigit()):
        raise ValueError("an access key id is made from a prefix of 4 letters and an account of 12 digits")
    bits = _NAMES_ACCOUNT | int(account_id) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
    return prefix + base64.b32encode(bits.to_bytes(10, "big")).decode("ascii")


def account_of_access_key_id(access_key_id: str) -> str:
    """The 12-digit account that an access key id names. Raises ValueError where it names none."""
    if len(access_key_id) != 20:
        raise ValueError("an access key id has 20 characters")
    try:
        bits = int.from_bytes(base64.b32decode(access_key_id[4:]), "big")
    except ValueError:
        raise ValueError("not an access key id") from None
    account = bits >> _RANDOM_BITS & _ACCOUNT_MASK
    if not bits & _NAMES_ACCOUNT or account > 999_999_999_999:
        raise ValueError("this access key id names no account")
    return f"{account:012d}"


def new_secret() -> str:
    """A secret access key: 40 characters from 240 random bits."""
    return base64.b64encode(secrets.token_bytes(30)).decode("ascii")


def new_unique_id(prefix: str) -> str:
    """A unique id such as `AIDA…` (user), `AROA…` (role), `AGPA…` (group), `ANPA…` (policy): 21 characters."""
    return prefix + "".join(secrets.choice(_BASE32) for _ in range(_UNIQUE_ID_CHARACTERS))

"""The four ways to name a key (key id, key ARN, alias name, alias ARN), and the form of each. Pure.

https://docs.aws.amazon.com/kms/latest/developerguide/concepts.html#key-id
"""

from __future__ import annotations

import re
import secrets
import uuid
from typing import Final, NamedTuple

from freehold.services.kms.errors import InvalidArn, NotFound

_KEY_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|mrk-[0-9a-f]{32}", re.ASCII)
MULTI_REGION: Final = "mrk-"
"""What the ids of multi-Region keys begin with, and no other's do."""

_ACCOUNT: Final = re.compile(r"[0-9]{12}", re.ASCII)
_ALIAS: Final = re.compile(r"alias/[a-zA-Z0-9/_-]+", re.ASCII)


class Name(NamedTuple):
    """What a `KeyId` names. `key_id` is empty for an alias, `alias` (with its prefix) for a key."""

    account_id: str
    key_id: str
    alias: str


def parse(text: str, region: str, account_id: str, *, aliases: bool) -> Name:
    """Read a `KeyId` sent by a caller of `account_id` to `region`.

    Raises NotFoundException for what can't be a key here, InvalidArnException for an ARN of something else or, unless
    `aliases`, of an alias.
    """
    resource = text
    if text.startswith("arn:"):
        parts = text.split(":", 5)
        if len(parts) != 6 or parts[1] != "aws" or parts[2] != "kms" or not _ACCOUNT.fullmatch(parts[4]):
            raise InvalidArn(f"Invalid arn {text}")
        if parts[3] != region:
            raise NotFound(f"Invalid arn {parts[3]}")
        account_id, resource = parts[4], parts[5]
        if resource.startswith("alias/") and not aliases:
            raise InvalidArn("Key Aliases are not supported for this operation.")
        if not resource.startswith(("key/", "alias/")):
            raise InvalidArn(f"Invalid arn {text}")
        if resource.startswith("key/"):
            resource, aliases = resource[4:], False
    if _KEY_ID.fullmatch(resource):
        return Name(account_id, resource, "")
    if aliases and _ALIAS.fullmatch(resource):
        return Name(account_id, "", resource)
    raise NotFound(f"Invalid keyId '{resource}'")


def is_key_id(text: str) -> bool:
    return _KEY_ID.fullmatch(text) is not None


def is_alias(text: str) -> bool:
    return _ALIAS.fullmatch(text) is not None


def new_key_id(*, multi_region: bool = False) -> str:
    return f"{MULTI_REGION}{uuid.uuid4().hex}" if multi_region else str(uuid.uuid4())


def new_material_id() -> str:
    """64 hexadecimal digits, as AWS's `KeyMaterialId`. Random: it says nothing about the material."""
    return secrets.token_hex(32)


def new_grant_id() -> str:
    return secrets.token_hex(32)

"""Grant tokens: a sealed name of one grant.

A new grant holds at once here, so that a token adds nothing to it: tokens are checked, and otherwise only serve to
retire a grant. A token of a grant that is gone is accepted and grants nothing, as in AWS.
https://docs.aws.amazon.com/kms/latest/developerguide/grant-manage.html#using-grant-token
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final, NamedTuple

from freehold.crypto.aead import IntegrityError
from freehold.services.kms import material
from freehold.services.kms.errors import InvalidGrantToken
from freehold.services.kms.records import Grant

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.services.call import Call

_ASSOCIATED: Final = b"freehold kms grant token v1"


class Named(NamedTuple):
    region: str
    key_id: str
    grant_id: str


def issue(app: App, grant: Grant) -> str:
    """A token that names the grant; each one differs."""
    text = f"{grant.region}\n{grant.key_id}\n{grant.grant_id}".encode()
    return base64.b64encode(material.sealer(app).seal(text, _ASSOCIATED)).decode()


def read(app: App, token: str) -> Named:
    """The grant that a token names. Raises InvalidGrantTokenException for one that wasn't issued here."""
    try:
        sealed = base64.b64decode(token, validate=True)
        return Named(*material.sealer(app).open(sealed, _ASSOCIATED).decode().split("\n"))
    except (binascii.Error, ValueError, IntegrityError):
        raise InvalidGrantToken from None


def check(call: Call, tokens: list[str]) -> None:
    """Refuse a request with a token that wasn't issued here. Raises InvalidGrantTokenException."""
    for token in tokens:
        read(call.app, token)

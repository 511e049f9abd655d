"""PKCS#11 URIs: how an operator names a token and the library that reaches it. Pure.

    pkcs11:token=freehold?module-path=/usr/lib/softhsm/libsofthsm2.so

Reads the parts of RFC 7512 that name a token (`token`, `serial`, `manufacturer`, `model`) and `module-path`, and
attributes of one's own (`x-…`) that the caller asks for. Refuses what it doesn't know, and a PIN: a secret has no
place in a command line.
https://www.rfc-editor.org/rfc/rfc7512
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes

_SCHEME: Final = "pkcs11:"
_PATH: Final = ("token", "serial", "manufacturer", "model")
_QUERY: Final = ("module-path",)
_TEXT: Final = re.compile(r"(?:[A-Za-z0-9\[\]:@!$'()*+,=&/_.~-]|%[0-9A-Fa-f]{2})*", re.ASCII)
_MOST_CHARACTERS: Final = 4096


class BadUri(ValueError):
    """No URI of a token. The message says what it should be."""


@dataclass(frozen=True, slots=True)
class TokenUri:
    """A library (absolute path) and what tells the token among those that it shows; never all of it empty."""

    module: Path
    token: str = ""
    serial: str = ""
    manufacturer: str = ""
    model: str = ""
    own: dict[str, str] = field(default_factory=dict)
    """The values of the `x-…` attributes."""


def parse(text: str, own: tuple[str, ...] = ()) -> TokenUri:
    """Read a URI; `own` names the `x-…` attributes that may be in its query. Raises BadUri."""
    if not text.startswith(_SCHEME) or len(text) > _MOST_CHARACTERS:
        raise BadUri("a token is named as pkcs11:token=LABEL?module-path=/PATH/TO/LIBRARY.so (RFC 7512)")
    path, _, query = text.removeprefix(_SCHEME).partition("?")
    named = _attributes(path, ";", _PATH)
    asked = _attributes(query, "&", (*_QUERY, *own))
    module = Path(asked.pop("module-path", ""))
    if not module.is_absolute():
        raise BadUri("a token's URI needs module-path=/PATH/TO/LIBRARY.so, an absolute path")
    if not named.get("token") and not named.get("serial"):
        raise BadUri("a token's URI needs token=LABEL or serial=NUMBER")
    return TokenUri(module, **named, own=asked)


def _attributes(text: str, separator: str, known: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split(separator) if text else ():
        name, equals, value = part.partition("=")
        if name.startswith("pin-"):
            raise BadUri("a token's URI has no PIN: it would be in the command line")
        if not equals or name not in known or name in found or not _TEXT.fullmatch(value):
            raise BadUri(f"a token's URI has the attributes {', '.join(known)}, once each, percent-encoded")
        try:
            found[name] = unquote_to_bytes(value).decode()
        except UnicodeDecodeError:
            raise BadUri(f"the attribute {name} of a token's URI is not UTF-8") from None
    return found

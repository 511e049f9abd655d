"""Providers of web identities: their names, the URLs at which they are reached, and which of those may lie inside.

A provider's name is its issuer URL without the scheme (`accounts.google.com`, `idp.example.com/tenant`). It is reached
at `https://NAME`, unless the operator says `--issuer NAME=URL`: a customer can never name such an address.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_NAME = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*/?", re.ASCII)
_MOST_URL_CHARACTERS = 255


class BadIssuer(ValueError):
    """No issuer's name or URL. The message says what it should be."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a provider is reached."""

    url: str
    """The issuer URL, without a trailing slash that it didn't have."""
    issuers: tuple[str, ...]
    """What the provider's metadata and tokens may say as their issuer."""
    inward: bool = False
    """Whether the operator named the address, which then may be inside one's own network."""


def mapping(text: str) -> tuple[str, str]:
    """`NAME=URL` as (name, URL). Raises BadIssuer."""
    name, equals, url = text.partition("=")
    if not equals or not _NAME.fullmatch(name):
        raise BadIssuer(f"--issuer takes NAME=URL (accounts.google.com=https://127.0.0.1:9000), not {text!r}")
    check_url(url)
    return name, url


def check_url(url: str) -> None:
    """Refuse what no issuer URL may be: no https, credentials, a query, a fragment. Raises BadIssuer."""
    if (
        len(url) > _MOST_URL_CHARACTERS
        or not url.isascii()
        or any(ord(one) <= 32 or one in '"<>\\^`{|}' for one in url)
    ):
        raise BadIssuer(f"an issuer URL has at most {_MOST_URL_CHARACTERS} characters, all of them allowed in a URL")
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 (raises for a port that is none)
    except ValueError:
        raise BadIssuer("an issuer URL is https://HOST[:PORT][/PATH]") from None
    if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc or "?" in url or "#" in url:
        raise BadIssuer("an issuer URL is https://HOST[:PORT][/PATH], without credentials, query or fragment")


ALSO_KNOWN_AS = {"accounts.google.com": ("accounts.google.com",)}
"""What tokens of a provider may say as their issuer besides its URL.

https://developers.google.com/identity/gsi/web/guides/verify-google-id-token
"""


class Addresses:
    """Where each provider is reached, with the operator's `--issuer` settings."""

    def __init__(self, mapped: tuple[tuple[str, str], ...] = ()) -> None:
        self._mapped = dict(mapped)

    def of(self, provider: str) -> Address:
        own = (f"https://{provider}", *ALSO_KNOWN_AS.get(provider, ()))
        url = self._mapped.get(provider)
        if url is None:
            return Address(own[0], own)
        return Address(url, (url, *own), inward=True)

    def providers_of(self, issuer: str) -> tuple[str, ...]:
        """The names of the providers that a token's `iss` may mean: several where the operator mapped them to one."""
        mapped = (name for name, url in self._mapped.items() if issuer == url)
        return (*mapped, issuer.removeprefix("https://"))

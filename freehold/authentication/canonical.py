"""The canonical request of Signature Version 4: what a signature is about. Pure text in, pure text out.

S3's path is encoded once and kept as it is; every other service's is normalized and encoded again on top of what was
sent. A `+` in a query is a space, as it is to the parser of parameters: what is signed is what is acted upon.
Text is as transport gives it: octets decoded as Latin-1 (text beyond that is taken as UTF-8).
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any
from urllib.parse import quote, unquote_to_bytes

# Percent-encoded in upper case, and only what must be: written so already by every common client.
_ENCODED = "%(?!3[0-9]|[46][1-9A-F]|[57][0-9A]|2[DE]|5F|7E)[0-9A-F]{2}"
_is_canonical = re.compile(rf"(?:[A-Za-z0-9\-_.~]|{_ENCODED})*").fullmatch
_is_canonical_path = re.compile(rf"/(?:[A-Za-z0-9\-_.~/]|{_ENCODED})*").fullmatch
_SPACES = re.compile(r"[ \t\r\n]+")


def octets(text: str) -> bytes:
    """The octets that arrived as `text`."""
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape")


def decoded(text: str) -> str:
    """A query item's name or value without its percent-encoding."""
    return unquote_to_bytes(octets(text.replace("+", " "))).decode("utf-8", "surrogateescape")


def _encoded_once(text: str) -> str:
    return text if _is_canonical(text) else quote(unquote_to_bytes(octets(text)), safe="-_.~")


def object_path(raw_path: str) -> str:
    """S3's canonical URI. `%2F` stays apart from `/`: they may name different objects."""
    if _is_canonical_path(raw_path):
        return raw_path
    return "/".join([_encoded_once(segment) for segment in raw_path.split("/")]) or "/"


def service_path(raw_path: str) -> str:
    """The canonical URI of every service but S3."""
    if raw_path == "/" or not raw_path:
        return "/"
    kept: list[str] = []
    for segment in raw_path.split("/"):
        if segment == "..":
            if kept:
                kept.pop()
        elif segment and segment != ".":
            kept.append(segment)
    path = "/" + "/".join(kept)
    if kept and raw_path.endswith("/"):
        path += "/"
    return quote(octets(path), safe="/-_.~")


def query_pairs(query_string: str) -> list[tuple[str, str]]:
    """The items of a query, each encoded in the one canonical way, in canonical order."""
    pairs = []
    for item in query_string.split("&"):
        if item:
            name, _, value = item.partition("=")
            if not _is_canonical(name):
                name = _encoded_once(name.replace("+", " "))
            if not _is_canonical(value):
                value = _encoded_once(value.replace("+", " "))
            pairs.append((name, value))
    pairs.sort()
    return pairs


def joined(pairs: list[tuple[str, str]]) -> str:
    return "&".join([f"{name}={value}" for name, value in pairs])


class HeaderLines:
    """Writes the `name:value` lines of a set of signed headers; made once for all requests that sign the same ones."""

    __slots__ = ("_names", "_template", "_values")

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._template = "".join([f"{name.replace('%', '%%')}:%s\n" for name in names])
        self._values: Callable[[Mapping[str, str]], Any] = itemgetter(*names)

    def of(self, headers: Mapping[str, str]) -> str:
        """Raises KeyError for a header that the request doesn't have."""
        lines: str = self._template % self._values(headers)
        if (
            "  " not in lines
            and ": " not in lines
            and " \n" not in lines
            and "\t" not in lines
            and lines.count("\n") == len(self._names)
        ):
            return lines
        return "".join([f"{name}:{_SPACES.sub(' ', headers[name]).strip(' ')}\n" for name in self._names])

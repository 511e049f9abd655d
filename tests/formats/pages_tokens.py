"""Decoders written from session-token.md, denials.md and small-tokens.md alone."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import msgspec
from pages_crypto import sealed_value


def session_token(tokens_key: bytes, access_key_id: str, token: str) -> list[Any]:
    raw = base64.b64decode(token, validate=True)
    assert raw[0] == 1
    opened = sealed_value(tokens_key, raw[1:], b"session token\x00" + access_key_id.encode())
    content = {0: lambda: opened[1:], 1: lambda: zlib.decompress(opened[1:])}[opened[0]]()
    decoded: list[Any] = msgspec.msgpack.decode(content)
    return decoded


def encoded_message(messages_key: bytes, message: str) -> tuple[str, dict[str, Any]]:
    """(account id, decoded message)."""
    raw = base64.urlsafe_b64decode(message + "=" * (-len(message) % 4))
    account_id, decoded = json.loads(zlib.decompress(sealed_value(messages_key, raw, b"encoded authorization message")))
    return account_id, decoded


def denial(value: bytes) -> tuple[str, str, list[Any]]:
    """(account id, organization id, record)."""
    account_id, organization_id, record = msgspec.msgpack.decode(value)
    return account_id, organization_id, msgspec.msgpack.decode(record)


def denied_at(authorization_id: str) -> int:
    assert len(authorization_id) == 26
    return int(authorization_id[:7], 36)


def device_token(devices_key: bytes, token: str) -> list[str]:
    """Owner, device, until."""
    return sealed_value(devices_key, base64.urlsafe_b64decode(token), b"sign-in device").decode().split("/")


def place_in_the_trail(trail_key: bytes, token: str, account_id: str, region: str) -> list[Any]:
    """Of a lookup without an attribute and times."""
    bound = f"{account_id}\x00{region}\x00\x00None\x00None\x00".encode()
    place: list[Any] = msgspec.msgpack.decode(sealed_value(trail_key, base64.urlsafe_b64decode(token), bound))
    return place

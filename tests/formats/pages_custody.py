"""Decoders written from root-key.md, custody.md and keyring.md alone."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from pages_crypto import hkdf_sha256, sealed_value


def root_key_file(line: bytes) -> bytes:
    assert len(line) == 82
    tag, version, key, checksum = line.decode("ascii").removesuffix("\n").split(" ")
    assert (tag, version) == ("freehold-root-key", "v1")
    expected = hashlib.sha256(f"{tag} {version} {key}".encode()).digest()[:12]
    assert base64.urlsafe_b64encode(expected).decode() == checksum
    return base64.urlsafe_b64decode(key + "=")


def fingerprint(root_key: bytes) -> str:
    return hkdf_sha256(root_key, b"freehold root key fingerprint v1\x00", 16).hex()


def custody_file(root_key: bytes, custody: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """(head, keyring)."""
    first, head_line, sealed_line, nothing = custody.split(b"\n")
    assert (first, nothing) == (b"freehold-custody 1", b"")
    head: dict[str, Any] = json.loads(head_line)
    assert head["fingerprint"] == fingerprint(root_key)
    purpose_key = hkdf_sha256(root_key, b"freehold sealing key v1\x00keyring", 32)
    associated = b"freehold keyring v1\x00" + first + b"\n" + head_line + b"\n"
    keyring: dict[str, Any] = json.loads(sealed_value(purpose_key, base64.b64decode(sealed_line), associated))
    return head, keyring


def mark(lines: bytes) -> str:
    """The deployment's name."""
    line, check = lines.decode("ascii").splitlines()
    assert hashlib.sha256(line.encode()).hexdigest() == check
    form, name = line.split(" ")
    assert form == "freehold-data-2"
    return name


def sealing_key(keyring: dict[str, Any], purpose: str) -> bytes:
    replaced = keyring.get("replaced", {}).get(purpose)
    if replaced:
        return base64.b64decode(replaced[0])
    return hkdf_sha256(base64.b64decode(keyring["base"]), b"freehold sealing key v1\x00" + purpose.encode(), 32)

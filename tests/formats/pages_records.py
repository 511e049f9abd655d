"""A reader of the database written from records.md alone; the engine that the page names is taken as it is."""

from __future__ import annotations

import zlib
from pathlib import Path

import apsw
import msgspec
from pages_crypto import sealed_value

Part = str | int


def key_parts(encoded: bytes) -> tuple[Part, ...]:
    parts: list[Part] = []
    at = 0
    while at < len(encoded):
        tag = encoded[at]
        if tag == 0x20:
            at += 1
            text = b""
            while True:
                end = encoded.index(0, at)
                text += encoded[at:end]
                at = end + 1
                if encoded[at : at + 1] != b"\xff":
                    break
                text += b"\x00"
                at += 1
            parts.append(text.decode())
        else:
            assert 0x10 <= tag <= 0x18
            end = at + 1 + tag - 0x10
            parts.append(int.from_bytes(encoded[at + 1 : end], "big"))
            at = end
    return tuple(parts)


class Database:
    def __init__(self, path: Path, page_key: bytes, records_key: bytes) -> None:
        self._connection = apsw.Connection(str(path))
        self._connection.execute("PRAGMA cipher = 'aegis'")
        self._connection.execute(f"PRAGMA key = 'raw:{page_key.hex()}'")
        self._records_key = records_key
        meta = dict(self._connection.execute("SELECT name, value FROM meta"))
        assert meta["format"] == 1
        self.commits = int(meta["commits"])

    def tables(self) -> list[str]:
        found = self._connection.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'r.%' AND type = 'table'")
        return [str(name).removeprefix("r.") for (name,) in found]

    def values(self, table: str) -> dict[tuple[Part, ...], bytes]:
        made = {}
        for key, value in self._connection.execute(f'SELECT key, value FROM "r.{table}"'):
            made[key_parts(key)] = sealed_value(self._records_key, value, table.encode() + b"\x00" + key)
        return made

    def rows(self, table: str) -> dict[tuple[Part, ...], dict[str, object]]:
        return {key: msgspec.msgpack.decode(value) for key, value in self.values(table).items()}

    def close(self) -> None:
        self._connection.close()


def acknowledged(content: bytes) -> int:
    assert len(content) == 16
    assert content[:4] == b"\x01\x00\x00\x00"
    assert zlib.crc32(content[:4] + content[8:]) == int.from_bytes(content[4:8], "little")
    return int.from_bytes(content[8:], "little")

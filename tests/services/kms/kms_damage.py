"""Damage to rows of a deployment's database, by who has its page key."""

from __future__ import annotations

from typing import Any

from freehold.storage import keys
from freehold.storage.database import connect


def flip(kms: Any, table: str, *row: str | int) -> None:
    """Flip one bit of a sealed row."""
    connection = connect(kms.data / "records.db", kms.root_key.sealing_key("pages"))
    key = keys.encode(row)
    select, update = f'SELECT value FROM "r.{table}" WHERE key = ?', f'UPDATE "r.{table}" SET value = ? WHERE key = ?'
    [(value,)] = connection.execute(select, (key,))
    connection.execute(update, (value[:-1] + bytes((value[-1] ^ 1,)), key))
    connection.close()
    kms.write(lambda tx: tx.touch("kms"))


def count(kms: Any, table: str) -> int:
    connection = connect(kms.data / "records.db", kms.root_key.sealing_key("pages"))
    [(found,)] = connection.execute(f'SELECT count(*) FROM "r.{table}"')
    connection.close()
    return int(found)

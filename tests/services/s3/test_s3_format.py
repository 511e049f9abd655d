"""The page of the stored format is true: an object is read back by what it says, without the server's code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from freehold.services.s3 import records
from freehold.services.s3.bodies import context_of, part_context_of

PAGE = Path(__file__).parents[3] / "docs" / "formats" / "s3-objects.md"


def test_the_contexts_are_those_of_the_page() -> None:
    assert context_of("00ff") == b"s3 object\x0000ff"
    assert part_context_of("00ff", "upload", 7, "aa") == b"s3 part\x0000ff\x00upload\x007\x00aa"


def test_every_table_is_on_the_page() -> None:
    tables = {value.name for value in vars(records).values() if isinstance(value, records.Table)}
    page = PAGE.read_text()
    assert tables
    assert all(f"`{name}`" in page for name in tables)


def test_a_record_has_the_fields_of_the_page_in_their_order() -> None:
    record = records.ObjectRecord(
        "id", 3, "tag", 9, records.Encryption("AES256", b"w"), records.Checksum("CRC32", "v", "FULL_OBJECT"), body=b"b"
    )
    raw: list[Any] = msgspec.msgpack.decode(msgspec.msgpack.encode(record))
    assert raw == [
        "id",
        3,
        "tag",
        9,
        ["AES256", b"w", "", False, []],
        ["CRC32", "v", "FULL_OBJECT"],
        {},
        {},
        b"b",
        "",
        0,
    ]
    short = msgspec.msgpack.encode(raw[:6])
    assert msgspec.msgpack.decode(short, type=records.ObjectRecord).blob == ""

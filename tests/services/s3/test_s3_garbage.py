"""Blobs that nobody needs: each kind is found, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from freehold.clock import Clock
from freehold.crypto.aead import Sealer
from freehold.services.s3 import garbage
from freehold.services.s3.records import GARBAGE, LAYOUTS, Encryption, Layout, ObjectRecord, Part
from freehold.storage.counters import SharedCounters
from freehold.storage.files import FileBlobs
from freehold.storage.sqlite import SqliteRecords

KEPT = Encryption("AES256", b"wrapped")


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Any]:
    records = SqliteRecords(tmp_path, b"p" * 32, Sealer(b"s" * 32), SharedCounters())
    pool = ThreadPoolExecutor(1)
    yield SimpleNamespace(
        records=records, blobs=FileBlobs(tmp_path / "blobs"), pool=pool, clock=Clock(movable=True), root_key=None
    )
    pool.shutdown()
    records.close()


def blob(app: Any, *, owned: bool = True) -> str:
    writer = app.blobs.create()
    writer.write(b"sealed")
    name: str = writer.commit()
    if owned:
        app.records.submit(lambda tx: garbage.own(tx, name, "object")).result(10)
    return name


def replace(app: Any, record: ObjectRecord) -> None:
    call = SimpleNamespace(app=app)
    app.records.submit(lambda tx: garbage.discard_object(call, tx, record)).result(10)  # type: ignore[arg-type]
    app.pool.submit(lambda: None).result(10)


def test_a_replaced_object_s_blob_goes_with_the_replacement(app: Any) -> None:
    name, bystander = blob(app), blob(app)
    replace(app, ObjectRecord("object", 6, "etag", 0, KEPT, blob=name))
    assert list(app.blobs.list()) == [bystander]
    assert garbage.sweep(app) == 1
    assert garbage.sweep(app) == 0


def test_a_crash_before_the_deletion_leaves_it_to_the_sweep(app: Any) -> None:
    name = blob(app)
    app.pool.shutdown()  # nothing is deleted any more, as after a kill
    call = SimpleNamespace(app=SimpleNamespace(clock=app.clock, pool=SimpleNamespace(submit=_never), blobs=app.blobs))
    record = ObjectRecord("object", 6, "etag", 0, KEPT, blob=name)
    app.records.submit(lambda tx: garbage.discard_object(call, tx, record)).result(10)  # type: ignore[arg-type]
    assert list(app.blobs.list()) == [name]
    assert garbage.sweep(app) == 1
    assert list(app.blobs.list()) == []


def _never(*_: Any) -> Any:
    return SimpleNamespace(add_done_callback=lambda _: None)


def test_parts_stay_for_their_readers_and_then_go(app: Any) -> None:
    parts = [Part(number, "id", blob(app), 6, "etag", 0) for number in (1, 2)]
    app.records.submit(lambda tx: LAYOUTS.put(tx, ("object",), Layout("upload", parts))).result(10)
    replace(app, ObjectRecord("object", 12, "etag", 0, KEPT, parts=2))
    assert LAYOUTS.get(app.records.reader(), ("object",)) is None
    assert garbage.sweep(app) == 0
    assert len(list(app.blobs.list())) == 2
    app.clock.advance(garbage.LINGER_SECONDS + 1)
    assert garbage.sweep(app) == 2
    assert list(app.blobs.list()) == []
    assert list(GARBAGE.scan(app.records.reader())) == []


def test_a_blob_without_a_record_goes_when_it_is_seen_twice(app: Any) -> None:
    kept, orphan = blob(app), blob(app, owned=False)
    seen = garbage.sweep_orphans(app, set())
    assert seen == {orphan}
    late = blob(app, owned=False)
    assert garbage.sweep_orphans(app, seen) == {late}
    assert set(app.blobs.list()) == {kept, late}

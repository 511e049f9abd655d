"""What every engine of `Blobs` must do, run over each of them."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from freehold.storage.blobs import Blobs, CorruptBlob
from freehold.storage.files import FileBlobs


def files(directory: Path) -> Blobs:
    return FileBlobs(directory / "blobs")


ENGINES = {"files": files}


@pytest.fixture(params=ENGINES.values(), ids=ENGINES.keys())
def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    return request.param(tmp_path)


def stored(blobs: Blobs, *pieces: bytes) -> str:
    writer = blobs.create()
    for piece in pieces:
        writer.write(piece)
    return writer.commit()


def content(blobs: Blobs, name: str) -> bytes:
    reader = blobs.open(name)
    try:
        return reader.pread(0, reader.size)
    finally:
        reader.close()


@pytest.mark.parametrize(
    "pieces", [(), (b"",), (b"abc",), (b"abc", bytearray(b"def"), memoryview(b"ghi")), (b"x" * 5_000_000,)]
)
def test_what_was_written_is_read(blobs: Blobs, pieces: tuple[bytes, ...]) -> None:
    assert content(blobs, stored(blobs, *pieces)) == b"".join(pieces)


def test_a_range_is_read_exactly(blobs: Blobs) -> None:
    reader = blobs.open(stored(blobs, b"0123456789"))
    assert reader.size == 10
    assert reader.pread(3, 4) == b"3456"
    assert reader.pread(10, 0) == b""
    with pytest.raises(CorruptBlob, match="ends at byte 10"):
        reader.pread(8, 3)
    reader.close()
    reader.close()
    with pytest.raises(ValueError, match="closed"):
        reader.pread(0, 1)


def test_a_blob_is_invisible_before_its_commit(blobs: Blobs) -> None:
    writer = blobs.create()
    writer.write(b"abc")
    assert list(blobs.list()) == []
    name = writer.commit()
    assert list(blobs.list()) == [name]


def test_an_aborted_blob_leaves_nothing(blobs: Blobs) -> None:
    writer = blobs.create()
    writer.write(b"abc")
    writer.abort()
    writer.abort()
    assert list(blobs.list()) == []
    for act in (writer.commit, lambda: writer.write(b"x")):
        with pytest.raises(ValueError, match="finished"):
            act()


def test_an_abort_after_the_commit_is_harmless(blobs: Blobs) -> None:
    writer = blobs.create()
    writer.write(b"abc")
    name = writer.commit()
    writer.abort()
    del writer
    assert content(blobs, name) == b"abc"


def test_a_deleted_blob_is_gone_and_its_open_reader_is_not(blobs: Blobs) -> None:
    name = stored(blobs, b"abc")
    reader = blobs.open(name)
    blobs.delete(name)
    blobs.delete(name)
    assert reader.pread(0, 3) == b"abc"
    reader.close()
    assert list(blobs.list()) == []
    with pytest.raises(CorruptBlob, match="missing"):
        blobs.open(name)


def test_all_blobs_are_listed_in_order(blobs: Blobs) -> None:
    names = [stored(blobs, b"%d" % n) for n in range(40)]
    assert len(set(names)) == 40
    assert list(blobs.list()) == sorted(names)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "../../etc/passwd",
        "0" * 31,
        "0" * 33,
        "0" * 31 + "A",
        "0" * 31 + "\n",
        "0" * 32 + "\n",
        "00/" + "0" * 29,
    ],
)
def test_anything_but_a_name_is_refused(blobs: Blobs, name: str) -> None:
    for act in (blobs.open, blobs.delete):
        with pytest.raises(ValueError, match="not a blob's name"):
            act(name)


def test_writers_in_threads_do_not_disturb_each_other(blobs: Blobs) -> None:
    written: dict[str, bytes] = {}

    def write(seed: int) -> None:
        for n in range(10):
            data = bytes((seed, n)) * 10_000
            written[stored(blobs, data[:7], data[7:])] = data

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: content(blobs, name) for name in blobs.list()} == written
    assert len(written) == 40


def test_a_name_is_not_guessable(blobs: Blobs) -> None:
    names = [int(stored(blobs, os.urandom(1)), 16) for _ in range(8)]
    assert all(abs(one - two) > 2**64 for one in names for two in names if one != two)

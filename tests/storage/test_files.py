from __future__ import annotations

import os
import resource
import stat
from pathlib import Path

import pytest

from freehold.storage.blobs import CorruptBlob
from freehold.storage.files import FileBlobs
from freehold.storage.records import StorageFull


def files_below(directory: Path) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file()]


def test_only_the_owner_may_read_them(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs")
    writer = blobs.create()
    writer.write(b"abc")
    name = writer.commit()
    path = tmp_path / "blobs" / name[:2] / name
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "blobs").stat().st_mode) == 0o700
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_a_dead_writer_left_is_removed_and_blobs_are_not(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    writer = blobs.create()
    writer.write(b"abc")
    name = writer.commit()
    child = os.fork()
    if child == 0:
        left = blobs.create()
        left.write(b"half")
        os._exit(0)
    os.waitpid(child, 0)
    assert len(files_below(tmp_path)) == 2
    assert FileBlobs(tmp_path).remove_unfinished() == 1
    assert [path.name for path in files_below(tmp_path)] == [name]


def test_a_writer_that_is_dropped_leaves_no_file(tmp_path: Path) -> None:
    writer = FileBlobs(tmp_path).create()
    writer.write(b"abc")
    del writer
    assert files_below(tmp_path) == []


def test_when_the_room_ends_nothing_is_left_and_writing_goes_on(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        writer = blobs.create()
        with pytest.raises(StorageFull, match="no room"):
            writer.write(b"x" * 20_000)  # written in part: the rest has no room
        writer.abort()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert files_below(tmp_path) == []
    writer = blobs.create()
    writer.write(b"x" * 20_000)
    name = writer.commit()
    assert list(blobs.list()) == [name]


def test_a_file_cut_short_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    writer = blobs.create()
    writer.write(b"0123456789")
    name = writer.commit()
    reader = blobs.open(name)
    os.truncate(tmp_path / name[:2] / name, 4)
    with pytest.raises(CorruptBlob, match="ends at byte 4"):
        reader.pread(0, 10)
    reader.close()


def test_a_link_in_place_of_a_blob_is_not_followed(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    name = "ab" * 16
    (tmp_path / "elsewhere").write_bytes(b"secret")
    (tmp_path / "ab" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorruptBlob, match="not a file"):
        blobs.open(name)


def test_other_files_in_the_directory_are_not_listed(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    (tmp_path / "ab" / "notes.txt").write_bytes(b"")
    assert list(blobs.list()) == []


def test_what_is_written_back_early_is_all_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freehold.storage.files.WRITE_BACK_BYTES", 10_000)
    pieces = [os.urandom(size) for size in (4_096, 9_000, 1, 30_000, 8)]
    blobs = FileBlobs(tmp_path / "blobs")
    writer = blobs.create()
    for piece in pieces:
        writer.write(piece)
    reader = blobs.open(writer.commit())
    whole = b"".join(pieces)
    assert reader.size == len(whole)
    assert reader.pread(0, len(whole)) == whole
    reader.close()

"""Cut off at any step, a directory opens by what is there: with the former root key or the new one, never with none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from first_format import as_first_format

from freehold.crypto.root_key import RootKey
from freehold.custody.access import Access
from freehold.custody.errors import CustodyError
from freehold.custody.keyring import Keyring
from freehold.custody.mark import open_directory, write_mark
from freehold.custody.opening import establish, put_under
from freehold.testing import Server

SECRET = "correct horse battery staple"


def made(directory: Path, kind: str) -> tuple[Path, Path]:
    """A data directory (nothing but its custody) and where its key file is."""
    data, root_key = directory / "data", directory / "data.root-key"
    if kind == "first format":
        server = as_first_format(Server(directory))
        return server.data, server.root_key
    data.mkdir()
    access = Access(root_key, secret=SECRET)
    options = {"memory_mib": 19, "iterations": 1, "lanes": 1} if kind == "passphrase" else {}
    new = establish(kind, options, access, "d" * 32)
    put_under(data, new, Keyring.new(), access=access, deployment="d" * 32, number=1, now_seconds=0)
    write_mark(data, "d" * 32)
    return data, root_key


def cut_off_at(step: int, data: Path, root_key: Path, kind: str) -> bool:
    """In a forked child that ends at the step. Whether it was cut off."""
    import cut_off

    child = os.fork()
    if child == 0:
        status = 1
        try:
            cut_off.main(step, data, root_key, kind)
            status = 0
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 9)
    return status == 9


MOVES = [("file", "file"), ("file", "passphrase"), ("passphrase", "file"), ("passphrase", "passphrase"),
         ("first format", "file"), ("first format", "passphrase")]  # fmt: skip


@pytest.mark.parametrize(("before", "after"), MOVES)
def test_a_change_that_is_cut_off_at_any_step_is_made_or_not_made(tmp_path: Path, before: str, after: str) -> None:
    (tmp_path / "made").mkdir()
    data, root_key = made(tmp_path / "made", before)
    was = open_directory(data, Access(root_key, secret=SECRET))
    key = was.keyring.sealing_key("records")
    outcomes = []
    step = 0
    while True:
        step += 1
        place = tmp_path / f"step-{step}"
        shutil.copytree(data.parent, place)
        copy, key_file = place / data.name, place / root_key.name
        access = Access(key_file, secret=SECRET)
        cut = cut_off_at(step, copy, key_file, after)
        found = open_directory(copy, access)
        assert found.keyring.sealing_key("records") == key
        assert found.head.number in (1, 2)
        outcomes.append(found.head.number)
        # What was left behind is not in the way of the next change, nor of the start after it.
        assert not cut_off_at(0, copy, key_file, "file")
        again = open_directory(copy, access)
        assert again.keyring.sealing_key("records") == key
        assert again.head.number == found.head.number + 1
        if not cut:
            break
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {1, 2}
    assert step > 5


def test_without_either_key_nothing_opens(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    data, root_key = made(tmp_path / "made", "file")
    RootKey.create(tmp_path / "another")
    with pytest.raises(CustodyError, match="is not the one that the data was put under"):
        open_directory(data, Access(tmp_path / "another"))
    root_key.rename(root_key.with_name("data.root-key.next"))
    assert open_directory(data, Access(root_key)).head.number == 1
    assert root_key.exists(), "the key takes its place at once"

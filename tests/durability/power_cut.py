"""Power cuts for tests: start programs with `environment`, kill them, `roll_back`, and look at what a disk would hold.

`unsynced.c` says how, and how strict it is. Kill every process that was started so before rolling back.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

_SOURCE = Path(__file__).with_name("unsynced.c")

ROLLED_BACK = ("files", "dirty", "directories")


@functools.cache
def build() -> Path:
    """The compiled library. Skips the test where there is no gcc, unless CI is set: then it fails."""
    if shutil.which("gcc") is None:
        if os.environ.get("CI"):
            pytest.fail("the durability tests need gcc")
        pytest.skip("no gcc")
    directory = Path(tempfile.mkdtemp(prefix="unsynced-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    library = directory / "unsynced.so"
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", library, _SOURCE], check=True)
    return library


def environment(data: Path) -> dict[str, str]:
    """The environment for programs that use the directory `data` and will be killed. Its present state is durable.

    The shadow is kept beside it, in `<data>.shadow`; one that is there already is replaced.
    """
    library = build()
    data.mkdir(exist_ok=True)
    shadow = _shadow(data)
    shutil.rmtree(shadow, ignore_errors=True)
    for part in ROLLED_BACK:
        (shadow / part).mkdir(parents=True)
    if ctypes.CDLL(str(library)).unsynced_begin(os.fsencode(data.resolve()), os.fsencode(shadow)) != 0:
        raise OSError("the shadow could not be made")
    return {
        **os.environ,
        "LD_PRELOAD": str(library),
        "UNSYNCED_DATA": str(data.resolve()),
        "UNSYNCED_SHADOW": str(shadow),
    }


def roll_back(data: Path) -> None:
    """Replace the content of `data` by what was synced. Raises AssertionError for what the library can't follow."""
    shadow = _shadow(data)
    unsupported = shadow / "unsupported"
    assert not unsupported.exists(), f"written through a shared mapping: {unsupported.read_text()}"
    rolled = shadow / "rolled"
    rolled.mkdir()
    _restore(shadow, (shadow / "root").read_text(), rolled)
    for path in data.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    for path in rolled.iterdir():
        path.rename(data / path.name)
    shutil.rmtree(shadow)


def _restore(shadow: Path, directory_id: str, to: Path) -> None:
    names = shadow / "directories" / directory_id
    if not names.exists():  # its name was synced, its content never
        return
    fields = names.read_bytes().split(b"\0")[:-1]
    for kind, mode, identity, name, target in zip(*[iter(fields)] * 5, strict=True):
        path = to / os.fsdecode(name)
        if kind == b"f":
            content = shadow / "files" / identity.decode()
            # A file whose name was synced, but never its content, is empty.
            path.write_bytes(content.read_bytes() if content.exists() else b"")
            path.chmod(int(mode, 8))
        elif kind == b"d":
            path.mkdir()
            _restore(shadow, identity.decode(), path)
            path.chmod(int(mode, 8))
        elif kind == b"l":
            path.symlink_to(os.fsdecode(target))


def _shadow(data: Path) -> Path:
    resolved = data.resolve()
    return resolved.with_name(f"{resolved.name}.shadow")

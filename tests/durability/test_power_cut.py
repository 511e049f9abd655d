"""That the power cut is one: what was synced is there afterwards, what was not is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import power_cut
import pytest

BEFORE = """
import os, sys, threading
from pathlib import Path
data = Path(sys.argv[1])
os.chdir(data)
def sync(path, call=os.fsync):
    file = os.open(path, os.O_RDONLY)
    call(file)
    os.close(file)
def write(path, content, flags=os.O_WRONLY | os.O_CREAT):
    file = os.open(path, flags, 0o600)
    os.write(file, content)
    os.close(file)
"""
AFTER = """
os.kill(os.getpid(), 9)
"""


def after_power_cut(data: Path, program: str) -> dict[str, bytes | None]:
    """What is in `data` (None for a directory) after `program` ran there and its power was cut."""
    source = BEFORE + textwrap.dedent(program) + AFTER
    done = subprocess.run([sys.executable, "-c", source, data], env=power_cut.environment(data), timeout=60)
    assert done.returncode == -signal.SIGKILL
    power_cut.roll_back(data)
    return {
        str(path.relative_to(data)): path.read_bytes() if path.is_file() else None for path in sorted(data.rglob("*"))
    }


LINK_UNNAMED = """
f = os.open('.', os.O_TMPFILE | os.O_RDWR)
os.write(f, b't')
os.fsync(f)
os.link(f'/proc/self/fd/{f}', 't', src_dir_fd=f, follow_symlinks=True)
sync('.')
"""

CASES = [  # what is done to a directory with the durable files `kept` ("old") and `sub/inner` ("in"), what is left
    ("nothing", "", {}),
    ("a write without a sync is lost", "write('kept', b'new')", {}),
    ("a synced write is there", "write('kept', b'new'); sync('kept')", {"kept": b"new"}),
    ("fdatasync syncs too", "write('kept', b'new'); sync('kept', os.fdatasync)", {"kept": b"new"}),
    ("a later write is lost", "write('kept', b'new'); sync('kept'); write('kept', b'xxx')", {"kept": b"new"}),
    ("another descriptor's sync", "f = os.open('kept', 2); os.pwrite(f, b'N', 1); sync('kept')", {"kept": b"oNd"}),
    ("an appended write", "write('kept', b'er', os.O_WRONLY | os.O_APPEND); sync('kept')", {"kept": b"older"}),
    ("an unsynced end is cut", "write('kept', b'er', os.O_WRONLY | os.O_APPEND)", {}),
    ("truncating without a sync is undone", "os.truncate('kept', 1)", {}),
    ("truncating with a sync stays", "os.truncate('kept', 1); sync('kept')", {"kept": b"o"}),
    ("opening with O_TRUNC is undone", "open('kept', 'wb').close()", {}),
    ("O_TRUNC and a sync", "open('kept', 'wb').close(); sync('kept')", {"kept": b""}),
    ("cut and grown again", "os.truncate('kept', 1); os.truncate('kept', 3); sync('kept')", {"kept": b"o\0\0"}),
    ("a hole before a write", "f = os.open('kept', 2); os.pwrite(f, b'!', 5); os.fsync(f)", {"kept": b"old\0\0!"}),
    ("space reserved", "f = os.open('kept', 2); os.posix_fallocate(f, 0, 5); os.fsync(f)", {"kept": b"old\0\0"}),
    ("gathered writes", "f = os.open('kept', 2); os.writev(f, [b'n', b'e']); os.fsync(f)", {"kept": b"ned"}),
    ("gathered at a place", "f = os.open('kept', 2); os.pwritev(f, [b'n', b'e'], 1); os.fsync(f)", {"kept": b"one"}),
    ("O_DSYNC needs no sync", "write('kept', b'new', os.O_WRONLY | os.O_DSYNC)", {"kept": b"new"}),
    ("O_SYNC needs no sync", "os.pwrite(os.open('kept', os.O_WRONLY | os.O_SYNC), b'new', 0)", {"kept": b"new"}),
    ("a copied file", "import shutil; shutil.copyfile('sub/inner', 'kept'); sync('kept')", {"kept": b"in"}),
    ("a copied file, unsynced", "import shutil; shutil.copyfile('sub/inner', 'kept')", {}),
    ("a new file without a sync is gone", "write('a', b'a')", {}),
    ("a new file that was synced has no name yet", "write('a', b'a'); sync('a')", {}),
    ("a new name without content is empty", "write('a', b'a'); sync('.')", {"a": b""}),
    ("both synced", "write('a', b'a'); sync('a'); sync('.')", {"a": b"a"}),
    ("both synced in the other order", "write('a', b'a'); sync('.'); sync('a')", {"a": b"a"}),
    ("a rename without a sync is undone", "os.rename('kept', 'b')", {}),
    ("a rename with a sync stays", "os.rename('kept', 'b'); sync('.')", {"kept": ..., "b": b"old"}),
    ("replacing by an unsynced file empties", "write('a', b'a'); os.rename('a', 'kept'); sync('.')", {"kept": b""}),
    ("replacing safely", "write('a', b'a'); sync('a'); os.rename('a', 'kept'); sync('.')", {"kept": b"a"}),
    ("replacing without syncing the directory", "write('a', b'a'); sync('a'); os.rename('a', 'kept')", {}),
    ("moving is durable where it was synced", "os.rename('kept', 'sub/b'); sync('sub')", {"sub/b": b"old"}),
    ("a removal without a sync is undone", "os.unlink('kept')", {}),
    ("a removal with a sync stays", "os.unlink('kept'); sync('.')", {"kept": ...}),
    ("a number used again", "os.unlink('kept'); write('a', b'a'); sync('a')", {}),
    ("a link", "os.link('kept', 'b'); sync('.')", {"b": b"old"}),
    ("a new directory is gone", "os.mkdir('d'); write('d/x', b'x'); sync('d/x'); sync('d')", {}),
    ("a new directory with a name only", "os.mkdir('d'); write('d/x', b'x'); sync('d/x'); sync('.')", {"d": None}),
    ("a new directory, all synced", "os.mkdir('d'); write('d/x', b'x'); sync('d/x'); sync('d'); sync('.')",
     {"d": None, "d/x": b"x"}),
    ("a file without a name, then linked",
     LINK_UNNAMED, {"t": b"t"}),
    ("a child's write", "os.fork() or (write('kept', b'new'), os._exit(0)); os.wait(); sync('kept')", {"kept": b"new"}),
    ("a program's write", "os.system('printf new > kept'); sync('kept')", {"kept": b"new"}),
    ("a program's write, unsynced", "os.system('printf new > kept')", {}),
]  # fmt: skip


@pytest.mark.parametrize(("program", "changes"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_left(tmp_path: Path, program: str, changes: dict[str, object]) -> None:
    data = tmp_path / "data"
    (data / "sub").mkdir(parents=True)
    (data / "kept").write_bytes(b"old")
    (data / "sub" / "inner").write_bytes(b"in")
    expected = {"kept": b"old", "sub": None, "sub/inner": b"in", **changes}
    assert after_power_cut(data, program) == {path: value for path, value in expected.items() if value is not ...}


def test_modes_are_kept(tmp_path: Path) -> None:
    data = tmp_path / "data"
    after_power_cut(data, "write('a', b'a'); os.mkdir('d', 0o700); sync('a'); sync('.')")
    assert (data / "a").stat().st_mode & 0o777 == 0o600
    assert (data / "d").stat().st_mode & 0o777 == 0o700


def test_files_outside_are_left_alone(tmp_path: Path) -> None:
    after_power_cut(tmp_path / "data", f"write({str(tmp_path / 'outside')!r}, b'a')")
    assert (tmp_path / "outside").read_bytes() == b"a"


def test_a_shared_mapping_is_reported_rather_than_missed(tmp_path: Path) -> None:
    program = "import mmap; write('a', b'abc'); f = os.open('a', os.O_RDWR); mmap.mmap(f, 3)[0] = 0"
    with pytest.raises(AssertionError, match="shared mapping"):
        after_power_cut(tmp_path / "data", program)


def test_threads_and_processes_that_sync_one_file_lose_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    program = """
    import random
    write('a', b'')
    sync('.')
    for process in range(3):
        if os.fork() == 0:
            break
    else:
        process = 3
    told = os.open(data.parent / 'told', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    def work(thread):
        file = os.open('a', os.O_RDWR)
        for turn in range(60):
            place = ((process * 3 + thread) * 60 + turn) * 8
            os.pwrite(file, place.to_bytes(8, 'big'), place)
            if turn % 3:
                os.fdatasync(file)
                os.write(told, place.to_bytes(8, 'big'))
    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(3)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    if process < 3:
        os._exit(0)
    for _ in range(3): os.wait()
    """
    content = after_power_cut(data, program)["a"]
    assert content is not None
    told = (tmp_path / "told").read_bytes()
    places = [int.from_bytes(told[at : at + 8], "big") for at in range(0, len(told), 8)]
    assert len(places) == 4 * 3 * 40
    for place in places:
        assert content[place : place + 8] == place.to_bytes(8, "big")


def test_a_file_of_standard_output_is_not_disturbed(tmp_path: Path) -> None:
    environment = power_cut.environment(tmp_path / "data")
    done = subprocess.run([sys.executable, "-c", "print('hello')"], env=environment, capture_output=True)
    assert done.stdout == b"hello\n"
    assert done.stderr == b""
    assert os.environ.get("LD_PRELOAD") != environment["LD_PRELOAD"]

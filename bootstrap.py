#!/usr/bin/env python3
"""Set Freehold up in `.venv` beside this file and run it: needs Python 3.11 or newer, and nothing else.

python3 bootstrap.py demo        the guided tour
python3 bootstrap.py test        lint, types and tests (further words go to pytest)
python3 bootstrap.py run ARGS    any other command of freehold, e.g. `run serve --help`
python3 bootstrap.py lock        resolve the dependencies anew into the lock files
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENT = HERE / ".venv"
LOCKS = {"run": HERE / "requirements.lock", "dev": HERE / "requirements-dev.lock"}
CLIENTS = "tests/clients/encryption/requirements"
"""The lock of the clients that need other versions, and so an environment of their own."""


def program(name: str) -> str:
    return str(ENVIRONMENT / "bin" / name)


def call(*command: str) -> None:
    code = subprocess.call(command, cwd=HERE)
    if code:
        sys.exit(code)


def prepare(kind: str) -> None:
    """Install what the lock file of `kind` says, once per content of that file."""
    lock = LOCKS[kind]
    wanted = hashlib.sha256(lock.read_bytes() + (HERE / "pyproject.toml").read_bytes()).hexdigest()
    mark = ENVIRONMENT / f"installed-{kind}"
    if mark.exists() and mark.read_text() == wanted:
        return
    print(f"Installing into {ENVIRONMENT.name} (about a minute, once) …", flush=True)
    if not (ENVIRONMENT / "bin" / "python").exists():
        venv.create(ENVIRONMENT, with_pip=True)
    pip = (program("python"), "-m", "pip", "--disable-pip-version-check", "--quiet")
    call(*pip, "install", "--only-binary", ":all:", "--require-hashes", "-r", str(lock))
    call(*pip, "install", "--no-deps", "--editable", str(HERE))
    mark.write_text(wanted)


def lock() -> None:
    prepare("dev")
    call(program("python"), "-m", "pip", "install", "--quiet", "uv")
    options = ("--universal", "--generate-hashes", "--no-header", "--quiet", "--no-emit-index-url")
    common = (program("uv"), "pip", "compile", *options, "--python-version", "3.11")
    call(*common, "pyproject.toml", "--output-file", str(LOCKS["run"]))
    call(*common, "pyproject.toml", "--extra", "dev", "--output-file", str(LOCKS["dev"]))
    call(*common, f"{CLIENTS}.in", "--output-file", f"{CLIENTS}.lock")


def test(arguments: list[str]) -> None:
    prepare("dev")
    if not arguments:
        call(program("ruff"), "check", ".")
        call(program("ruff"), "format", "--check", ".")
        call(program("mypy"))
        # A file's tests stay together: what they share is made once.
        arguments = ["-n", str(min(4, os.cpu_count() or 1)), "--dist", "loadfile"]
    call(program("python"), "-m", "pytest", *arguments)


def main() -> None:
    if sys.version_info < (3, 11):
        sys.exit("Freehold needs Python 3.11 or newer; this is " + sys.version.split()[0])
    words = sys.argv[1:]
    match words[:1]:
        case ["demo"]:
            prepare("run")
            os.execv(program("freehold"), ["freehold", "demo", *words[1:]])
        case ["run"]:
            prepare("run")
            os.execv(program("freehold"), ["freehold", *words[1:]])
        case ["test"]:
            test(words[1:])
        case ["lock"]:
            lock()
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()

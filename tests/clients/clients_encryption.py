"""The clients in `encryption/`: installed once, from their lock file, and asked through one process of theirs."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import venv
from pathlib import Path
from typing import Any

from clients_programs import missing

HERE = Path(__file__).with_name("encryption")
ENVIRONMENT = HERE / ".venv"
INSTALLATION_SECONDS = 300


def installed() -> Path:
    """The directory of the environment's programs."""
    lock = HERE / "requirements.lock"
    mark, wanted = ENVIRONMENT / ".installed", hashlib.sha256(lock.read_bytes()).hexdigest()
    programs = ENVIRONMENT / "bin"
    if not mark.exists() or mark.read_text() != wanted:
        venv.create(ENVIRONMENT, with_pip=True, clear=True)
        words = ("-m", "pip", "--disable-pip-version-check", "--quiet", "install", "--only-binary", ":all:")
        command = (str(programs / "python"), *words, "--require-hashes", "-r", str(lock))
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALLATION_SECONDS)
        if done.returncode:
            missing(f"pip could not install the encryption clients: {done.stderr[-2000:]}")
        mark.write_text(wanted)
    return programs


def told(principal: Any) -> dict[str, str]:
    """A principal, as the process is told of it."""
    names = ("endpoint", "access_key_id", "secret_access_key", "region")
    return {name: getattr(principal, name) for name in names}


class Refused(Exception):
    """The client raised an error; its type and all that it says."""


class Clients:
    """The process. `ask` raises Refused with what the client's error says."""

    def __init__(self, endpoint: str, home: Path) -> None:
        environment = {
            "AWS_ENDPOINT_URL": endpoint, "AWS_EC2_METADATA_DISABLED": "true", "HOME": str(home), "LANG": "C.UTF-8",
        }  # fmt: skip
        self._errors = (home / "errors").open("w+")
        self._process = subprocess.Popen(
            [str(installed() / "python"), str(HERE / "worker.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, text=True, env=environment,
        )  # fmt: skip

    def ask(self, do: str, who: Any, data: bytes = b"", **asked: Any) -> dict[str, Any]:
        line = {"context": {}, **asked, "do": do, "who": told(who), "data": base64.b64encode(data).decode()}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(line) + "\n")
        self._process.stdin.flush()
        answered = self._process.stdout.readline()
        if not answered:
            self._errors.seek(0)
            raise RuntimeError(f"the clients' process ended: {self._errors.read()[-2000:]}")
        answer: dict[str, Any] = json.loads(answered)
        if "error" in answer:
            raise Refused(answer["error"])
        if "data" in answer:
            answer["data"] = base64.b64decode(answer["data"])
        return answer

    def close(self) -> None:
        self._process.communicate(timeout=30)
        self._errors.close()

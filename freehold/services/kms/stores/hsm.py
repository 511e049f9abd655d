"""PKCS#11 libraries in processes of their own, and the tokens in them as this worker uses them.

A vendor's library runs neither in the server's memory nor under its interpreter's lock: one that crashes is started
again, one that hangs is killed when its time is over. A process serves one library, one request at a time, in the
order in which they came; it is started at the first use and ends with its worker. Nothing about a token is kept in it
that can't be told to the next one.
"""

from __future__ import annotations

import logging
import os
import select
import subprocess
import sys
import threading
import time
from itertools import count
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.crypto.pkcs11_uri import TokenUri
from freehold.services.kms.stores.errors import PROBLEMS, StoreProblem
from freehold.services.kms.stores.threads import Threads

log = logging.getLogger("freehold")

PROGRAM: Final = "freehold.services.kms.stores.token_process"
START_SECONDS: Final = 10.0
UNKNOWN: Final = "unknown token"
_HEAD_BYTES: Final = 4
_MOST_ANSWER_BYTES: Final = 64 * 1024

_numbers = count(1)


class Library:
    """One PKCS#11 library, as this worker has it. All but `threads` is used in its one thread."""

    def __init__(self, module: Path) -> None:
        self.threads = Threads("freehold-pkcs11", 1)
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def find(self, uri: TokenUri, seconds: float) -> None:
        """Raise StoreProblem unless the token that the URI names is there, and TimeoutError when that takes longer."""
        self.ask({"do": "find", "uri": _shown(uri)}, seconds)

    def ask(self, request: dict[str, Any], seconds: float) -> Any:
        """The process's answer. Raises StoreProblem, and TimeoutError when it takes longer: it ends the process."""
        self._start()
        return self._asked(request, seconds)

    def _asked(self, request: dict[str, Any], seconds: float) -> Any:
        deadline, process = time.monotonic() + seconds, self._process
        assert process is not None
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            text = msgspec.msgpack.encode(request)
            process.stdin.write(len(text).to_bytes(_HEAD_BYTES, "big") + text)
            process.stdin.flush()
            size = int.from_bytes(_read(process.stdout.fileno(), _HEAD_BYTES, deadline), "big")
            if size > _MOST_ANSWER_BYTES:
                raise EOFError
            answer = msgspec.msgpack.decode(_read(process.stdout.fileno(), size, deadline))
        except TimeoutError:
            log.error("the PKCS#11 library %s hangs; its process is ended", self._module)
            self.stop()
            raise
        except (OSError, EOFError, msgspec.DecodeError):
            log.error("the process of the PKCS#11 library %s has ended", self._module)
            self.stop()
            raise StoreProblem("device") from None
        problem = answer.get("problem")
        if problem is not None:
            raise StoreProblem(problem if problem in PROBLEMS or problem == UNKNOWN else "device")
        return answer.get("value")

    def stop(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:
                        log.debug("a pipe was closed from the other side")

    def _start(self) -> None:
        if self.running:
            return
        self.stop()
        self._process = subprocess.Popen(
            (sys.executable, "-I", "-m", PROGRAM, str(self._module)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._asked({"do": "begin"}, START_SECONDS)


_libraries: dict[Path, Library] = {}
_libraries_lock = threading.Lock()


def library(module: Path) -> Library:
    """The one of this worker."""
    with _libraries_lock:
        held = _libraries.get(module)
        if held is None:
            held = _libraries[module] = Library(module)
        return held


class Token:
    """One store's token. All but `__init__` and `close` is for the library's thread.

    `serial`: what the token must have, unless it is empty. `seconds`: how long one call may take.
    """

    def __init__(self, library: Library, uri: TokenUri, pin: str, serial: str, seconds: float) -> None:
        self.library = library
        self.serial = serial
        self._uri = uri
        self._pin = pin
        self._seconds = seconds
        self._number = next(_numbers)

    def __repr__(self) -> str:
        return f"Token({self._uri.token or self._uri.serial})"

    def open(self) -> None:
        """Find the token and log in. Raises StoreProblem."""
        self.serial = str(self._ask("open"))

    def mac(self, key_id: str, message: bytes) -> bytes:
        """HMAC-SHA-512 under a key's object."""
        return bytes(self._ask("mac", key_id=key_id, message=message))

    def make(self, key_id: str, name: str) -> None:
        """Make a key's object in the token, with this label."""
        self._ask("make", key_id=key_id, name=name)

    def destroy(self, key_id: str) -> None:
        """Destroy a key's object, if there is one."""
        self._ask("destroy", key_id=key_id)

    def random(self, length_bytes: int) -> bytes:
        return bytes(self._ask("random", length_bytes=length_bytes))

    def close(self) -> None:
        """Log out, whenever the library's thread is free."""
        try:
            self.library.threads.submit(lambda: self._ask("forget"))
        except Exception:
            log.error("a token could not be logged out of: its library is busy")

    def _ask(self, do: str, **more: Any) -> Any:
        request = {"do": do, "token": self._number, **more}
        try:
            return self.library.ask(request, self._seconds)
        except StoreProblem as problem:
            if problem.kind != UNKNOWN:
                raise
        if do == "forget":
            return None
        # The process is a new one.
        told = {"uri": _shown(self._uri), "pin": self._pin, "serial": self.serial}
        self.library.ask({"do": "know", "token": self._number, **told}, self._seconds)
        return self.library.ask(request, self._seconds)


def _shown(uri: TokenUri) -> dict[str, str]:
    return {
        "module": str(uri.module),
        "token": uri.token,
        "serial": uri.serial,
        "manufacturer": uri.manufacturer,
        "model": uri.model,
    }


def _read(descriptor: int, size: int, deadline: float) -> bytes:
    """Just so many bytes. Raises TimeoutError, and EOFError at the end."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    pieces = b""
    while len(pieces) < size:
        left = deadline - time.monotonic()
        if left <= 0 or not waiting.poll(left * 1000):
            raise TimeoutError
        piece = os.read(descriptor, size - len(pieces))
        if not piece:
            raise EOFError
        pieces += piece
    return pieces

"""The process that has a PKCS#11 library in it: reads requests from its standard input, answers, and ends with it.

A request is a MessagePack map after its length (4 bytes): `do`, what it is done to, and for `know` a token with its
PIN. The answer is `value` or `problem`, a row of `errors.PROBLEMS`. PINs are in memory alone; core dumps are off.
"""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.crypto.pkcs11_uri import TokenUri
from freehold.services.kms.stores.errors import StoreProblem
from freehold.services.kms.stores.hsm import UNKNOWN
from freehold.services.kms.stores.pkcs11 import Library, Token, again_after, find

log = logging.getLogger("freehold")

_PR_SET_DUMPABLE: Final = 4


def main() -> None:
    _protect()
    serve = Service(Library(Path(sys.argv[1])))
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # What a library prints must not be taken for an answer.
    os.dup2(2, 1)
    while len(head := requests.read(4)) == 4:
        request = msgspec.msgpack.decode(requests.read(int.from_bytes(head, "big")))
        text = msgspec.msgpack.encode(serve.answer(request))
        answers.write(len(text).to_bytes(4, "big") + text)
        answers.flush()


class Service:
    def __init__(self, library: Library) -> None:
        self._library = library
        self._tokens: dict[int, Token] = {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"value": self._done(**request)}
        except StoreProblem as problem:
            return {"problem": problem.kind}
        except Exception as error:
            log.error("a token failed: %s", type(error).__name__)
            return {"problem": "device"}

    def _done(self, do: str, token: int = 0, **more: Any) -> Any:
        if do == "begin":
            return None
        if do == "find":
            uri = _uri(more["uri"])
            again_after(self._library, lambda: find(self._library, uri))
            return None
        if do == "know":
            self._tokens[token] = Token(self._library, _uri(more["uri"]), more["pin"], more["serial"])
            return None
        known = self._tokens.get(token)
        if known is None:
            raise StoreProblem(UNKNOWN)
        if do == "forget":
            del self._tokens[token]
            known.shut()
            return None
        if do == "open":
            known.open()
            return known.serial
        work: dict[str, Callable[..., Any]] = {
            "mac": known.mac,
            "make": known.make,
            "destroy": known.destroy,
            "random": known.random,
        }
        return work[do](**more)


def _uri(shown: dict[str, str]) -> TokenUri:
    return TokenUri(Path(shown["module"]), shown["token"], shown["serial"], shown["manufacturer"], shown["model"])


def _protect() -> None:
    """No core dumps. The worker's end is the end of standard input and so of this; Ctrl-C is for the worker."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    main()

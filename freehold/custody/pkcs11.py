"""Custody by an HSM: a key that never leaves a PKCS#11 token decrypts the root key, which lies wrapped beside the data.

The token is spoken to by a process of its own (`token_process.py`) that ends with the answer: the vendor's library,
which may crash, hang, and not survive a fork, is never loaded into the server. The PIN goes there through a pipe.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from freehold.crypto.pkcs11_uri import BadUri, TokenUri, parse
from freehold.crypto.root_key import RootKey
from freehold.custody.access import Access
from freehold.custody.errors import CustodyError
from freehold.custody.provider import Established, options_as, parameters_as
from freehold.custody.record import Head

BY_PEOPLE = False
MOST_SECONDS: Final = 60
ASSOCIATED: Final = b"freehold root key v1\x00"


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """`token`: `pkcs11:token=LABEL?module-path=/PATH.so`. `key`: the label of an AES or RSA key in it."""

    token: str
    key: str = "freehold-root"
    create: bool = False
    """Make an AES key of that label in the token, which can't be taken out of it."""


class Parameters(msgspec.Struct, forbid_unknown_fields=True):
    token: str
    key: str
    mechanism: str
    wrapped: bytes


class Request(msgspec.Struct, forbid_unknown_fields=True):
    """What the token's process is asked. `wrap` or `unwrap` is set."""

    token: str
    key: str
    pin: str
    deployment: str
    create: bool = False
    wrap: bytes = b""
    mechanism: str = ""
    unwrap: bytes = b""

    def __repr__(self) -> str:
        return "Request(…)"


class Answer(msgspec.Struct, forbid_unknown_fields=True):
    """Its answer: what was wrapped and how, or unwrapped; or a problem in one line."""

    mechanism: str = ""
    content: bytes = b""
    problem: str = ""

    def __repr__(self) -> str:
        return "Answer(…)"


def again(head: Head) -> dict[str, Any]:
    known = parameters_as(Parameters, head)
    return {"token": known.token, "key": known.key}


def establish(options: Mapping[str, Any], access: Access, deployment: str) -> Established:
    wanted = options_as(Options, options)
    root_key = RootKey.random()
    pin = access.secret_for("the token's PIN")
    request = Request(wanted.token, wanted.key, pin, deployment, create=wanted.create, wrap=root_key.material())
    answer = _asked(request)
    parameters = Parameters(wanted.token, wanted.key, answer.mechanism, answer.content)
    unwrapping = Request(wanted.token, wanted.key, pin, deployment, mechanism=answer.mechanism, unwrap=answer.content)
    if _asked(unwrapping).content != root_key.material():
        raise CustodyError("the token does not give back what it wrapped")
    return Established("pkcs11", msgspec.to_builtins(parameters), root_key)


def before(established: Established, access: Access) -> None:
    """Nothing: the custody file has what the token unwraps."""


def after(established: Established, access: Access) -> None:
    """Nothing."""


def obtain(head: Head, access: Access) -> RootKey:
    known = parameters_as(Parameters, head)
    pin = access.secret_for("the token's PIN")
    answer = _asked(
        Request(known.token, known.key, pin, head.deployment, mechanism=known.mechanism, unwrap=known.wrapped)
    )
    try:
        return RootKey(answer.content)
    except ValueError:
        raise CustodyError("what the token unwrapped is not a root key") from None


def named(text: str) -> TokenUri:
    """The token of a URI, by a library that nobody but root and this user can have put there. Raises CustodyError.

    The URI may come out of the data directory: whoever can write there must not choose what code runs here.
    """
    try:
        uri = parse(text)
        status = os.stat(uri.module)
    except BadUri as error:
        raise CustodyError(str(error)) from None
    except OSError as error:
        raise CustodyError(f"the PKCS#11 library {Path(parse(text).module)} cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o022 or status.st_uid != 0:
        raise CustodyError(f"the PKCS#11 library {uri.module} must be root's, and not writable by others")
    return uri


def _asked(request: Request) -> Answer:
    named(request.token)
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-m", "freehold.custody.token_process"],
            input=msgspec.json.encode(request),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=MOST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CustodyError(f"the token did not answer within {MOST_SECONDS} seconds") from None
    except OSError as error:
        raise CustodyError(f"the token's process cannot be started: {error.strerror}") from None
    try:
        answer = msgspec.json.decode(done.stdout, type=Answer)
    except msgspec.DecodeError:
        raise CustodyError(f"the token's process ended ({done.returncode}): its library may have failed") from None
    if answer.problem:
        raise CustodyError(answer.problem)
    return answer

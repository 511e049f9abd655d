"""New key material that takes long: made in a thread of its own, so that neither the event loop nor S3 waits for it.

One at a time in each worker: an RSA key of 4,096 bits takes a second or more of a core, and whoever may create keys
must not take all cores with them. Who asks meanwhile waits; when too many wait, they are asked to come back.
"""

from __future__ import annotations

import asyncio
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from freehold.errors import aws_error
from freehold.services.kms.specs import Spec

if TYPE_CHECKING:
    from freehold.app import App

MOST_WAITING: Final = 64

ThrottlingException = aws_error(
    "ThrottlingException", 400, "Too many RSA keys are being made at the moment. Try again in a few seconds."
)


class _Maker:
    """The thread of one worker. It starts when it's first needed."""

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="freehold-key-making")
        self.waiting = 0


_makers: weakref.WeakKeyDictionary[App, _Maker] = weakref.WeakKeyDictionary()


async def made(app: App, spec: Spec) -> bytes:
    """New material of `spec`. Raises ThrottlingException when too many wait."""
    maker = _makers.get(app)
    if maker is None:
        maker = _makers[app] = _Maker()
    if maker.waiting >= MOST_WAITING:
        raise ThrottlingException()
    maker.waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(maker.thread, spec.make)
    finally:
        maker.waiting -= 1

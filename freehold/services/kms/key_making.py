"""New key material that takes long: made in a thread of its own, so that neither the event loop nor S3 waits for it.

One at a time in each worker: an RSA key of 4,096 bits takes a second or more of a core, and whoever may create keys
must not take all cores with them. Who asks meanwhile waits; when too many wait, or too many of one account, they are
asked to come back.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from freehold.errors import aws_error
from freehold.services.kms.specs import Spec

if TYPE_CHECKING:
    from freehold.app import App

MOST_WAITING: Final = 64
MOST_OF_AN_ACCOUNT: Final = 16

ThrottlingException = aws_error(
    "ThrottlingException", 400, "Too many RSA keys are being made at the moment. Try again in a few seconds."
)


class _Maker:
    """The thread of one worker. It starts when it's first needed."""

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="freehold-key-making")
        # Who waits, waits here and not in the thread's queue, which a server that stops would have to work off first.
        self.turn = asyncio.Lock()
        self.waiting: Counter[str] = Counter()
        """How many requests of an account wait, by its id."""


_makers: weakref.WeakKeyDictionary[App, _Maker] = weakref.WeakKeyDictionary()


async def made(app: App, spec: Spec, account_id: str) -> bytes:
    """New material of `spec` for a request of an account. Raises ThrottlingException when too many wait."""
    maker = _makers.get(app)
    if maker is None:
        maker = _makers[app] = _Maker()
    waiting = maker.waiting
    if waiting[account_id] >= MOST_OF_AN_ACCOUNT or waiting.total() >= MOST_WAITING:
        raise ThrottlingException()
    waiting[account_id] += 1
    try:
        async with maker.turn:
            return await asyncio.get_running_loop().run_in_executor(maker.thread, spec.make)
    finally:
        waiting[account_id] -= 1
        if not waiting[account_id]:
            del waiting[account_id]

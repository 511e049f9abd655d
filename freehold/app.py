"""The only place where a deployment's parts are wired together; one `App` per worker process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from freehold.audit import unsealing
from freehold.audit.sink import AuditLog
from freehold.authentication.credentials import CredentialSource, TokenSealer
from freehold.authorization.gather import Authorizer
from freehold.clock import Clock
from freehold.config import Settings
from freehold.crypto.aead import Sealer
from freehold.custody.keyring import Keyring
from freehold.federation.oidc import WebIdentities
from freehold.pipeline import Pipeline
from freehold.protocol import xks
from freehold.services import operation as operations
from freehold.services.freehold import root_key as root_key_operations
from freehold.services.freehold.vpc_endpoints import EndpointDirectory
from freehold.services.iam.access import AccessDirectory
from freehold.services.iam.hashing import PasswordThread
from freehold.services.iam.last_used import LastUses
from freehold.services.iam.signing_credentials import SigningCredentials
from freehold.services.iam_toolbox.kept import DenialLog
from freehold.services.kms.key_uses import KeyUses
from freehold.services.kms.stores import backends as key_stores
from freehold.services.organizations.source import Organizations
from freehold.storage.cache import Cache
from freehold.storage.counters import SharedCounters
from freehold.storage.files import FileBlobs
from freehold.storage.records import Transaction
from freehold.storage.sqlite import SqliteRecords

if TYPE_CHECKING:
    from freehold.sealed import Attempt

log = logging.getLogger("freehold")

BULK_THREADS = 4
DUE_WORK_SECONDS = 30.0


class App:
    """`records`, `blobs`, `cache`, `clock`, `audit`, `authorizer`, `organizations`, `web_identities`, `pool`, `tokens`,
    `root_key`, `settings`."""

    def __init__(
        self,
        settings: Settings,
        root_key: Keyring,
        counters: SharedCounters,
        *,
        worker: int,
        blobs_at_start: frozenset[str] = frozenset(),
        attempts: Sequence[Attempt] = (),
        seal: Callable[[], None] | None = None,
    ) -> None:
        self.settings = settings
        self.root_key = root_key
        self.counters = counters
        self.worker = worker
        self.seal = seal
        """Has the whole server sealed, None where it can't be."""
        self._attempts = attempts
        self.clock = Clock(counters.offset, movable=settings.movable_clock)
        self.started_at = self.clock.now()
        self.records = SqliteRecords(
            settings.data, root_key.sealing_key("pages"), Sealer(root_key.sealing_key("records")), counters
        )
        self.blobs = FileBlobs(settings.blobs)
        self.blobs_at_start = blobs_at_start
        """Those that were there before any worker was: no upload under way will own one of them."""
        self.cache = Cache(self.records, counters)
        self.tokens = TokenSealer(Sealer(root_key.sealing_key("tokens")), self.clock)
        self.access = AccessDirectory(self.records, self.cache, self.tokens, self.clock)
        self.credentials_of: dict[str, CredentialSource] = {xks.SERVICE: SigningCredentials(self.records, self.cache)}
        """Whose signatures count for a service, where it is not the access keys'."""
        self.denials = DenialLog(self.records, self.clock, root_key.sealing_key("encoded-messages"))
        self.organizations = Organizations(self.cache)
        self.authorizer = Authorizer(self.access, organization_source=self.organizations, denials=self.denials)
        self.web_identities = WebIdentities(settings, self.clock)
        self.last_uses = LastUses(self.records)
        self.key_uses = KeyUses(self.records)
        self.passwords = PasswordThread()
        self.sign_in_devices = Sealer(root_key.sealing_key("sign-in devices"))
        self.endpoints = EndpointDirectory(self.cache)
        self.pool = ThreadPoolExecutor(BULK_THREADS, thread_name_prefix="freehold-bulk")
        self.audit = AuditLog(settings.audit, self.records, root_key, self.clock, worker=worker)
        operations.load_all()
        self.pipeline = Pipeline(self)
        self._due_at = 0.0

    async def start(self) -> None:
        """Called on the event loop before the first request."""
        await self.audit.start()
        if self.worker == 0:
            await root_key_operations.note_at_start(self)
        if self._attempts and self.worker == 0:
            await self.audit.write(unsealing.events(self._attempts, self.settings.regions[0]))

    async def stop(self) -> None:
        """Called on the event loop after the last request."""
        await self._write_last_uses(everything=True)
        await self.audit.stop()

    def close(self) -> None:
        stores = key_stores.held_by(self)
        if stores is not None:
            stores.close()
        self.passwords.close()
        self.pool.shutdown(wait=True)
        self.denials.close()
        self.web_identities.close()
        self.audit.close()
        self.records.close()

    def do_due_work(self, tx: Transaction) -> None:
        """What the clock has made due (key deletions …), in one transaction."""
        for work in operations.DUE_WORK:
            work(self, tx)

    async def keep_house(self) -> None:
        """Called every few seconds; the first worker does what has become due."""
        await self._write_last_uses()
        self.cache.forget()
        stores = key_stores.held_by(self)
        if stores is not None:
            stores.forget_disconnected()
        if self.worker != 0 or time.monotonic() < self._due_at:
            return
        self._due_at = time.monotonic() + DUE_WORK_SECONDS
        # A transaction each, in one commit: what one stumbles over keeps no other from its time.
        due = [(work, self.records.submit(partial(work, self))) for work in operations.DUE_WORK]
        for work, future in due:
            try:
                await asyncio.wrap_future(future)
            except Exception as error:
                log.error("due work failed: %s: %s", work.__name__, type(error).__name__)

    async def _write_last_uses(self, *, everything: bool = False) -> None:
        try:
            await self.last_uses.write_out()
            await self.key_uses.write_out(everything=everything)
        except Exception as error:
            log.error("last uses could not be written; the next attempt is soon: %s", type(error).__name__)

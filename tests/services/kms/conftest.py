"""KMS's operations in this process (real records, cryptography and decisions, without transport and audit), and what
the tests with boto3 share."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.serialization import load_der_public_key

from freehold.authentication.credentials import TokenSealer
from freehold.authorization.context_keys import of_request
from freehold.authorization.gather import Authorizer
from freehold.authorization.principal import Principal
from freehold.clock import Clock
from freehold.crypto.aead import Sealer
from freehold.crypto.root_key import RootKey
from freehold.message import Request
from freehold.services import operation as operations
from freehold.services.call import Call
from freehold.services.iam import accounts
from freehold.services.iam.access import AccessDirectory
from freehold.services.kms.deletion import destroy_due
from freehold.services.kms.import_tokens import forget_epochs
from freehold.services.kms.importing import expire_due
from freehold.services.kms.key_uses import KeyUses
from freehold.services.kms.rotation import rotate_due
from freehold.storage.cache import Cache
from freehold.storage.counters import SharedCounters
from freehold.storage.sqlite import SqliteRecords

Refused = Callable[..., AbstractContextManager[None]]


class Parts(SimpleNamespace):
    """An App's parts. Hashed by identity, as an App is."""

    __hash__ = object.__hash__


class Deployment:
    """One worker's parts over a data directory; `account` is its customer account's root user."""

    def __init__(self, directory: Path) -> None:
        self.data = directory / "data"
        self.data.mkdir()
        self.root_key = RootKey.create(directory / "root-key")
        self.events: list[dict[str, Any]] = []
        """What was to be audited in transactions."""
        pool = ThreadPoolExecutor(1)
        self.app: Any = Parts(root_key=self.root_key, clock=Clock(movable=True), audit=self, pool=pool)
        self._open()
        self.account = self.new_account()

    def _open(self) -> None:
        app, key = self.app, self.root_key
        counters = SharedCounters()
        app.records = SqliteRecords(self.data, key.sealing_key("pages"), Sealer(key.sealing_key("records")), counters)
        app.cache = Cache(app.records, counters)
        app.tokens = TokenSealer(Sealer(key.sealing_key("tokens")), app.clock)
        app.access = AccessDirectory(app.records, app.cache, app.tokens, app.clock)
        app.authorizer = Authorizer(app.access)
        app.key_uses = KeyUses(app.records)
        app.started_at = app.clock.now()

    def new_account(self) -> Principal:
        account_id = self.write(lambda tx: accounts.create_account(tx, "test")).account_id
        arn = f"arn:aws:iam::{account_id}:root"
        return Principal(kind="root", account_id=account_id, arn=arn, unique_id=account_id, name="root")

    def append_in(self, tx: Any, events: list[bytes]) -> None:
        self.events += [json.loads(event) for event in events]

    def write(self, work: Any) -> Any:
        return self.app.records.submit(work).result(30)

    def sweep(self) -> None:
        """What is due, as the server does it."""
        self.write(lambda tx: [work(self.app, tx) for work in (destroy_due, rotate_due, expire_due, forget_epochs)])

    def call(
        self, name: str, *, as_: Principal | None = None, via: tuple[str, ...] = (), region: str = "us-east-1"
    ) -> Call:
        request = Request("POST", "/", "", {})
        context = of_request(request, region=region, now_seconds=time.time(), via=via)
        operation = operations.REGISTRY[f"kms.{name}"]
        return Call(self.app, request, operation, as_ or self.account, region, "r", context, via=via)

    def __call__(
        self,
        name: str,
        *,
        as_: Principal | None = None,
        via: tuple[str, ...] = (),
        region: str = "us-east-1",
        **params: Any,
    ) -> Any:
        """The result of an operation, after its permissions, as the pipeline does it."""
        call = self.call(name, as_=as_, via=via, region=region)
        call.params = params
        for permission in call.operation.permissions(call, params):
            call.require(permission)
        if call.operation.prepare is not None:
            asyncio.run(call.operation.prepare(call, params))
        if not call.operation.writes:
            return call.operation.handler(call, params)

        def work(tx: Any) -> Any:
            call.transaction = tx
            return call.operation.handler(call, params)

        return self.write(work)

    def close(self) -> None:
        self.app.pool.shutdown()
        self.app.records.close()


@pytest.fixture
def kms(tmp_path: Path) -> Iterator[Deployment]:
    operations.load("kms")
    made = Deployment(tmp_path)
    yield made
    made.close()


@pytest.fixture
def key_id(kms: Deployment) -> str:
    made: str = kms("CreateKey")["KeyMetadata"]["KeyId"]
    return made


@pytest.fixture(scope="session")
def refused() -> Refused:
    """`with refused("DisabledException", "is disabled"): …`: the client's error has this code, and this in its text."""

    @contextmanager
    def expect(code: str, *texts: str) -> Iterator[None]:
        with pytest.raises(ClientError) as error:
            yield
        answer = error.value.response["Error"]
        assert answer["Code"] == code, answer
        for text in texts:
            assert text in answer["Message"], answer

    return expect


class Keys:
    """KMS keys of one account at a live server, made when they're first asked for and shared by a module's tests."""

    def __init__(self, principal: Any) -> None:
        self.principal = principal
        self.kms = principal.kms
        self._made: dict[tuple[str, str], str] = {}

    def __call__(self, spec: str, usage: str) -> str:
        """The ARN of the key of this spec and usage."""
        if (spec, usage) not in self._made:
            made = self.kms.create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
            self._made[spec, usage] = made["Arn"]
        return self._made[spec, usage]

    def public(self, spec: str, usage: str) -> Any:
        """The public half, as `cryptography` has it."""
        return load_der_public_key(self.kms.get_public_key(KeyId=self(spec, usage))["PublicKey"])


@pytest.fixture(scope="module")
def keys(freehold_server: Any) -> Keys:
    return Keys(freehold_server.new_account())

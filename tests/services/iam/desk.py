"""IAM and STS without a wire: a deployment's parts, and calls that go from the access key to the handler."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from freehold.authentication.credentials import TokenSealer
from freehold.authorization.gather import Authorizer
from freehold.clock import Clock
from freehold.crypto.aead import Sealer
from freehold.errors import AwsError
from freehold.services import operation
from freehold.services.call import Call
from freehold.services.iam.access import AccessDirectory
from freehold.services.iam.accounts import create_account, create_operator
from freehold.storage.cache import Cache
from freehold.storage.counters import SharedCounters
from freehold.storage.sqlite import SqliteRecords

operation.load("iam")
operation.load("sts")


class Worker:
    """One worker process's parts; several share a directory and the counters."""

    def __init__(self, directory: Path, counters: SharedCounters, clock: Clock) -> None:
        self.records = SqliteRecords(directory, bytes(32), Sealer(b"r" * 32), counters)
        self.cache = Cache(self.records, counters)
        self.clock = clock
        self.tokens = TokenSealer(Sealer(b"t" * 32), clock)
        self.access = AccessDirectory(self.records, self.cache, self.tokens, clock)
        self.authorizer = Authorizer(self.access)
        self.pool = ThreadPoolExecutor(2)

    def call(self, key: Key, name: str, **params: Any) -> dict[str, Any]:
        """Authenticate, authorize and run one operation."""
        credential = self.access.lookup(key.id, key.token)
        declared = operation.REGISTRY[name]
        app: Any = self
        request: Any = SimpleNamespace(headers={}, source_ip="127.0.0.1")
        call = Call(app, request, declared, credential.principal, "us-east-1", "request", {})
        call.params = params
        for permission in declared.permissions(call, params):
            self.authorizer.require(call, permission)
        if declared.prepare is not None:
            asyncio.run(declared.prepare(call, params))
        if not declared.writes:
            return declared.handler(call, params) or {}

        def work(tx: Any) -> dict[str, Any]:
            call.transaction = tx
            return declared.handler(call, params) or {}

        return self.records.submit(work).result(10)


class Key(SimpleNamespace):
    """`id`, `secret`, `token` (None for long-term) and the `worker` that it calls through."""

    id: str
    token: str | None
    worker: Worker

    def __call__(self, name: str, **params: Any) -> dict[str, Any]:
        return self.worker.call(self, name if "." in name else f"iam.{name}", **params)

    def at(self, worker: Worker) -> Key:
        return Key(**{**self.__dict__, "worker": worker})


class Desk:
    """A deployment with one worker (`more_workers` adds others)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.counters = SharedCounters()
        self.clock = Clock(self.counters.offset, movable=True)
        self.worker = Worker(directory, self.counters, self.clock)
        self._workers = [self.worker]

    def another_worker(self) -> Worker:
        worker = Worker(self.directory, self.counters, self.clock)
        self._workers.append(worker)
        return worker

    def account(self, name: str = "test") -> Key:
        """A new account's root key; `key.account` is its id."""
        new = self.worker.records.submit(lambda tx: create_account(tx, name)).result(10)
        return Key(id=new.access_key_id, token=None, worker=self.worker, account=new.account_id)

    def operator(self) -> Key:
        new = self.worker.records.submit(create_operator).result(10)
        return Key(id=new.access_key_id, token=None, worker=self.worker, account="000000000000")

    def user(self, admin: Key, name: str, *statements: dict[str, Any], **more: Any) -> Key:
        """A new user with an inline policy of these statements, by its access key."""
        admin("CreateUser", UserName=name, **more)
        if statements:
            admin("PutUserPolicy", UserName=name, PolicyName="inline", PolicyDocument=policy(*statements))
        made = admin("CreateAccessKey", UserName=name)["AccessKey"]
        return Key(id=made["AccessKeyId"], token=None, worker=admin.worker, account=admin.account)

    def session(self, key: Key, name: str, **params: Any) -> Key:
        """Temporary credentials from an STS operation."""
        result = key(f"sts.{name}", **params)
        got = result["Credentials"]
        return Key(
            id=got["AccessKeyId"], token=got["SessionToken"], worker=key.worker, account=key.account, result=result
        )

    def close(self) -> None:
        for worker in self._workers:
            worker.pool.shutdown(wait=True)
            worker.records.close()


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, resource: Any = "*", **elements: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource, **elements}


def deny(*actions: str, resource: Any = "*", **elements: Any) -> dict[str, Any]:
    return allow(*actions, resource=resource, **elements) | {"Effect": "Deny"}


def sized(characters: int) -> str:
    """A policy of so many characters without whitespace, written with a lot of it."""
    text = json.dumps({"Version": "2012-10-17", "Id": "", "Statement": [allow("iam:GetUser")]}, separators=(",", ":"))
    return text.replace('"Id":""', '"Id":"' + "x" * (characters - len(text)) + '"').replace(",", "," + " " * 500)


def trust(*principals: Any, actions: Any = "sts:AssumeRole", **elements: Any) -> str:
    named = {"AWS": list(principals)}
    return policy({"Effect": "Allow", "Principal": named, "Action": actions, **elements})


@contextmanager
def refused(code: str, text: str = ""):
    """The block raises this AWS error; its message holds `text`."""
    with pytest.raises(AwsError) as caught:
        yield caught
    assert (caught.value.code, text in caught.value.message) == (code, True), (caught.value.code, caught.value.message)

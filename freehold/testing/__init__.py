"""A real Freehold server for tests: start one, get accounts and boto3 clients, move its clock.

    with freehold.testing.server() as server:
        aws = server.new_account()
        aws.s3.create_bucket(Bucket="reports")

Every request is signed, authorized, encrypted and audited as in production: a missing permission fails the test.
With pytest, the fixtures `freehold_server` (one per session) and `aws` (a fresh account per test) come with the
package (see `plugin.py`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import IO, Any

from freehold.services.operation import SERVED

START_SECONDS = 30


class ServerError(Exception):
    """The server did not start, or stopped by itself; has what it said."""


@dataclass(eq=False)
class Principal:
    """Credentials at a server. `p.s3`, `p.iam`, `p.cognito_identity` … are boto3 clients signed with them."""

    endpoint: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    account_id: str = ""
    region: str = "us-east-1"
    ca_bundle: str | None = None

    @cached_property
    def session(self) -> Any:
        """A boto3 Session with these credentials and Region."""
        import boto3
        import botocore.session

        # The profile that the environment may name has nothing to do with this server.
        core = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
        core.register_component("data_loader", _loader())
        return boto3.Session(
            self.access_key_id, self.secret_access_key, self.session_token, self.region, botocore_session=core
        )

    def client(self, service: str, **options: Any) -> Any:
        """A boto3 client for this server; `options` are those of `Session.client`."""
        from botocore.config import Config

        config = Config(retries={"total_max_attempts": 1}, proxies={}).merge(options.pop("config", None) or Config())
        return self.session.client(service, endpoint_url=self.endpoint, verify=self.ca_bundle, config=config, **options)

    def __getattr__(self, name: str) -> Any:
        service = name.replace("_", "-")
        if service not in SERVED:
            raise AttributeError(name)
        made = self.__dict__[name] = self.client(service)
        return made

    def using(self, credentials: dict[str, Any]) -> Principal:
        """The principal of an access key (`create_access_key`) or temporary credentials (`assume_role`)."""
        given = credentials.get("AccessKey") or credentials.get("Credentials") or credentials
        return Principal(
            self.endpoint,
            given["AccessKeyId"],
            given["SecretAccessKey"],
            given.get("SessionToken"),
            self.account_id,
            self.region,
            self.ca_bundle,
        )

    def in_region(self, region: str) -> Principal:
        return Principal(
            self.endpoint,
            self.access_key_id,
            self.secret_access_key,
            self.session_token,
            self.account_id,
            region,
            self.ca_bundle,
        )

    def new_user(self, name: str, *policies: dict[str, Any]) -> Principal:
        """A new IAM user with these inline policies, and an access key."""
        self.iam.create_user(UserName=name)
        for number, policy in enumerate(policies):
            self.iam.put_user_policy(UserName=name, PolicyName=f"policy-{number}", PolicyDocument=json.dumps(policy))
        return self.using(self.iam.create_access_key(UserName=name))


class Server:
    """A running server: `endpoint`, `data` (its directory), `operator`, and `account` (its first account's root)."""

    _log: IO[str]

    def __init__(
        self,
        directory: Path,
        *,
        workers: int = 1,
        regions: Sequence[str] = ("us-east-1",),
        options: Sequence[str] = (),
        environment: dict[str, str] | None = None,
        ca_bundle: str | None = None,
        init: Sequence[str] = (),
    ) -> None:
        self.data = directory / "data"
        self.root_key = directory / "data.root-key"
        self.ca_bundle = ca_bundle
        self._options = [f"--workers={workers}", *(f"--region={region}" for region in regions), *options]
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[str] | None = None
        self._made = json.loads(self._run("init", f"--data={self.data}", "--json", *init))
        self.endpoint = ""

    def on_copy(self, data: Path) -> Server:
        """A server, not started, for a copy of this one's data directory, with the same root key and principals."""
        made = Server.__new__(Server)
        made.__dict__.update(self.__dict__, data=data, endpoint="", _process=None)
        for own in ("_operator", "_log"):
            made.__dict__.pop(own, None)
        made._options = [*self._options, f"--root-key={self.root_key}"]
        return made

    def start(self) -> None:
        """Serve, on a port of its own choice the first time and on the same one afterwards."""
        port = self.endpoint.rpartition(":")[2] or "0"
        if hasattr(self, "_log"):
            self._log.close()
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [
                *_COMMAND,
                "serve",
                f"--data={self.data}",
                f"--port={port}",
                "--movable-clock",
                "--json",
                *self._options,
            ],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            env=self._environment,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._end(signal.SIGTERM)
            raise ServerError(f"the server did not start: {self.log()}")
        self.endpoint = json.loads(line)["endpoint"]

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ServerError("the server is not running")
        return self._process.pid

    def log(self) -> str:
        """What the server wrote to its standard error since it was started."""
        self._log.seek(0)
        return self._log.read()

    def stop(self) -> int:
        """Let requests in flight finish, stop, and return the exit status."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        try:
            status = process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise ServerError("the server did not stop") from None
        finally:
            assert process.stdout is not None
            process.stdout.close()
        return status

    def close(self) -> None:
        self.stop()
        if hasattr(self, "_log"):
            self._log.close()

    @property
    def account(self) -> Principal:
        """The first account's root user."""
        return self._principal(self._made, self._made["account_id"])

    @property
    def operator(self) -> Principal:
        """The operator: makes accounts and moves the clock (`operator.freehold`)."""
        return self._principal(self._made["operator"], "")

    def _principal(self, keys: dict[str, str], account_id: str) -> Principal:
        return Principal(
            self.endpoint,
            keys["access_key_id"],
            keys["secret_access_key"],
            account_id=account_id,
            ca_bundle=self.ca_bundle,
        )

    def new_account(self, name: str = "test") -> Principal:
        """A fresh account, as its root user."""
        operator = self.__dict__.setdefault("_operator", self.operator)
        made = operator.freehold.create_account(Name=name)
        key = made["RootAccessKey"]
        return self._principal(
            {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]},
            made["Account"]["AccountId"],
        )

    def as_service(
        self, service: str, role_arn: str, *, source_arn: str = "", source_account: str = "", session_name: str = "test"
    ) -> Principal:
        """A session of a role that trusts a service (`ec2.amazonaws.com`), as the service has it of the operator.

        `source_arn` and `source_account` are what it acts for (`aws:SourceArn`, `aws:SourceAccount`). Raises
        ClientError (AccessDeniedException) where the role's trust policy doesn't let the service in.
        """
        sources = {"SourceArn": source_arn, "SourceAccount": source_account}
        given = self.operator.freehold.assume_role_for_service(
            ServiceName=service,
            RoleArn=role_arn,
            RoleSessionName=session_name,
            **{name: value for name, value in sources.items() if value},
        )
        session = self.operator.using(given)
        session.account_id = role_arn.split(":")[4]
        return session

    def advance(self, *, seconds: int = 0, minutes: int = 0, hours: int = 0, days: int = 0) -> None:
        """Move the server's clock forward; what becomes due is done when this returns."""
        total = seconds + 60 * (minutes + 60 * (hours + 24 * days))
        self.operator.freehold.advance_clock(Seconds=total)

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([*_COMMAND, *arguments], capture_output=True, text=True, env=self._environment)
        if done.returncode:
            raise ServerError(done.stderr.strip())
        return done.stdout


@cache
def _loader() -> Any:
    """botocore's models and Freehold's own, read once for all principals."""
    from botocore.loaders import Loader

    from freehold.cli.operator_client import MODELS

    return Loader(extra_search_paths=[MODELS])


_COMMAND = (sys.executable, "-m", "freehold")


@contextmanager
def server(directory: Path | None = None, **options: Any) -> Iterator[Server]:
    """A running server, stopped at the end; in a temporary directory unless one is named.

    `workers` (1), `regions` (us-east-1), `options` (further words for `freehold serve`), `environment`, `ca_bundle`,
    `init` (further words for `freehold init`).
    """
    with tempfile.TemporaryDirectory(prefix="freehold-") as temporary:
        made = Server(Path(directory or temporary), **options)
        try:
            made.start()
            yield made
        finally:
            made.close()

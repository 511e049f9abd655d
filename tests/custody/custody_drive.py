"""What tests of custody drive servers and commands with."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ConnectionClosedError

from freehold.audit import chain
from freehold.audit.segment import SegmentReader, Tail, segment_files
from freehold.config import Settings
from freehold.crypto.aead import Sealer
from freehold.custody.access import Access
from freehold.deployment import root_key_of
from freehold.storage.counters import SharedCounters
from freehold.storage.sqlite import SqliteRecords
from freehold.testing import Server, _loader

PASSPHRASE = "correct horse battery staple"
CHEAP = ("--with=memory_mib=19", "--with=iterations=1", "--with=lanes=1")


def anyone(server: Server) -> Any:
    """A client for Freehold's own operations that doesn't sign."""
    import botocore.session

    core = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    core.register_component("data_loader", _loader())
    config = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, proxies={})
    session = boto3.Session(region_name="us-east-1", botocore_session=core)
    return session.client("freehold", endpoint_url=server.endpoint, config=config, verify=server.ca_bundle)


def command(*words: str, stdin: str = "", environment: dict[str, str] | None = None) -> str:
    """What a freehold command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "freehold", *words], input=stdin, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def shares_of(server: Server) -> list[str]:
    return list(server._made["shares"])


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def is_sealed(server: Server) -> bool:
    """Asked on a new connection each time; one that was opened while processes change hands may be closed."""
    while True:
        with contextlib.suppress(ConnectionClosedError):
            return bool(anyone(server).get_seal_status()["Sealed"])


def unseal(server: Server, *shares: str) -> None:
    client = anyone(server)
    for share in shares:
        client.unseal(Share=share)
    until(lambda: not is_sealed(server))


def secret_file(directory: Path, secret: str, name: str = "secret") -> Path:
    path = directory / name
    path.touch(mode=0o600)
    path.write_text(secret + "\n")
    return path


def operator_environment(server: Server, environment: dict[str, str]) -> dict[str, str]:
    """The operator's keys for a command."""
    made = server._made["operator"]
    return {
        **environment,
        "AWS_ACCESS_KEY_ID": made["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": made["secret_access_key"],
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    }


def printed(*words: str, **options: Any) -> Any:
    return json.loads(command(*words, "--json", **options))


def trail(server: Server, access: Access | None = None) -> list[dict[str, Any]]:
    """Every event of a stopped server's trail."""
    keyring = root_key_of(Settings(data=server.data, root_key=server.root_key), access)
    records = SqliteRecords(
        server.data, keyring.sealing_key("pages"), Sealer(keyring.sealing_key("records")), SharedCounters()
    )
    try:
        events = [event for _, told in chain.walk(records.reader()) for event in told]
    finally:
        records.close()
    for path in segment_files(server.data / "audit"):
        for step in SegmentReader(path, keyring.sealing_key("audit")).walk():
            assert not isinstance(step, Tail)
            events += step[2]
    return [json.loads(event) for event in events]


def giving(*secrets: str) -> Access:
    """As somebody at a terminal who answers with these, one after the other."""
    answers = iter(secrets)
    return Access(Path("/nowhere"), ask=lambda what: next(answers))


def every_byte(server: Server) -> bytes:
    """All that is in the data directory."""
    return b"\0".join(path.read_bytes() for path in sorted(server.data.rglob("*")) if path.is_file())

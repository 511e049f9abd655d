"""What 10,000 users and 10,000 roles cost whoever is there already: `python -m bench.scale [--principals 10000]`.

Two servers, one with ten users, one with the others as well, measured in turn: start to first answer, CPU per request
of the ten users, memory at rest, and memory once each of the other users has called. Each user has an access key, an
inline policy of its own, tags, and three managed policies.
"""

from __future__ import annotations

import argparse
import json
import secrets
import tempfile
import time
from pathlib import Path

from botocore.credentials import Credentials

from bench.peers import Running
from bench.replay import cpu_seconds, replay, resident_mib
from bench.workload import Workload
from freehold.config import Settings
from freehold.crypto.aead import Sealer
from freehold.deployment import root_key_of
from freehold.services.iam import records
from freehold.services.iam.records import ACCESS_KEYS, AccessKey, Role, User
from freehold.storage.counters import SharedCounters
from freehold.storage.records import Transaction
from freehold.storage.sqlite import SqliteRecords
from freehold.testing import Server

AT_ONCE = 500
REQUESTS = 3000
STARTS = 7
ROUNDS = 5
POLICIES = [
    f"arn:aws:iam::aws:policy/{name}" for name in ("ReadOnlyAccess", "IAMUserChangePassword", "job-function/Billing")
]


class Filled:
    """A data directory, with users and roles written the way IAM keeps them."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.settings = Settings(data=server.data, root_key=server.root_key)
        self.account_id = server.account.account_id

    def add(self, first: int, count: int) -> list[Credentials]:
        """`count` users with keys, and as many roles. The server must be stopped."""
        root_key = root_key_of(self.settings)
        stored = SqliteRecords(
            self.settings.data, root_key.sealing_key("pages"), Sealer(root_key.sealing_key("records")), SharedCounters()
        )
        made: list[Credentials] = []
        try:
            for start in range(first, first + count, AT_ONCE):
                numbers = range(start, min(start + AT_ONCE, first + count))
                made += stored.submit(lambda tx, numbers=numbers: [self._one(tx, one) for one in numbers]).result()
        finally:
            stored.close()
        return made

    def _one(self, tx: Transaction, number: int) -> Credentials:
        key_id, secret = f"AKIA{number:016}", secrets.token_urlsafe(30)
        own = f"arn:aws:s3:::bench/{number}/*"
        statement = {
            "Effect": "Allow",
            "Action": ["s3:GetObject", "s3:PutObject", "iam:GetUser"],
            "Resource": [own, "*"],
        }
        inline = {"own": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}
        user = User(
            account_id=self.account_id, name=f"user-{number}", path="/bench/", unique_id=f"AIDA{number:017}",
            created_at=1, inline=inline, attached=POLICIES, tags={"team": f"team-{number % 100}"},
            access_key_ids=[key_id],
        )  # fmt: skip
        trust = {"Effect": "Allow", "Principal": {"AWS": user.unique_id}, "Action": "sts:AssumeRole"}
        role = Role(
            account_id=self.account_id, name=f"role-{number}", path="/bench/", unique_id=f"AROA{number:017}",
            created_at=1, inline=inline, attached=POLICIES, tags={"team": f"team-{number % 100}"},
            trust_policy=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )  # fmt: skip
        records.save(tx, user)
        records.save(tx, role)
        ACCESS_KEYS.put(
            tx,
            (key_id,),
            AccessKey(access_key_id=key_id, secret=secret, account_id=self.account_id, owner="user",
                      owner_id=user.unique_id, created_at=1),
        )  # fmt: skip
        return Credentials(key_id, secret)


def _workload(server: Server, principals: list[Credentials]) -> Workload:
    running = Running("Freehold", "", server.account, server.pid, 0.0)
    return Workload(running, principals, [], [], 0)


def _calls(server: Server, principals: list[Credentials], count: int) -> dict[str, list[bytes]]:
    """Signed requests by kind, each by the next of the principals."""
    load = _workload(server, principals)
    bodies = {"GetCallerIdentity": ("sts", b"Action=GetCallerIdentity&Version=2011-06-15"),
              "GetUser": ("iam", b"Action=GetUser&Version=2010-05-08")}  # fmt: skip
    return {
        name: [load._form(service, body, principals[number % len(principals)]) for number in range(count)]
        for name, (service, body) in bodies.items()
    }


def _sent(server: Server, requests: list[bytes]) -> float:
    """CPU in ms per request."""
    port = int(server.endpoint.rpartition(":")[2])
    outcome = replay("127.0.0.1", port, requests, connections=8, server_pid=server.pid)
    if set(outcome.statuses) != {200}:
        raise SystemExit(f"refused: {outcome.statuses} {outcome.first_refusal[:300]!r}")
    return outcome.cpu_ms_per_request


def started(servers: list[Server]) -> tuple[list[float], list[float], list[float]]:
    """The best time to a first answer, its CPU, and the memory then, of each server; they are started in turn."""
    seconds, cpu, resident = [float("inf")] * len(servers), [float("inf")] * len(servers), [0.0] * len(servers)
    for _ in range(STARTS):
        for place, server in enumerate(servers):
            began = time.perf_counter()
            server.start()
            server.account.sts.get_caller_identity()
            seconds[place] = min(seconds[place], time.perf_counter() - began)
            cpu[place] = min(cpu[place], cpu_seconds(server.pid))
            resident[place] = resident_mib(server.pid)
            server.stop()
    return seconds, cpu, resident


def spent(servers: list[Server], principals: list[list[Credentials]]) -> dict[str, list[float]]:
    """The least CPU in ms per request of each of the servers, which are asked in turn."""
    for server in servers:
        server.start()
    calls = [_calls(server, ten, REQUESTS) for server, ten in zip(servers, principals, strict=True)]
    found: dict[str, list[float]] = {}
    for name in calls[0]:
        rounds = [
            [_sent(server, of_server[name]) for server, of_server in zip(servers, calls, strict=True)]
            for _ in range(ROUNDS + 1)
        ]
        found[name] = [min(each) for each in zip(*rounds[1:], strict=True)]
    for server in servers:
        server.stop()
    return found


def memory(server: Server, principals: list[Credentials]) -> float:
    """KiB that each principal takes once it has called. The server must be stopped, and is stopped afterwards."""
    server.start()
    server.account.sts.get_caller_identity()
    _sent(server, _calls(server, principals[:10], 100)["GetUser"])
    before = resident_mib(server.pid)
    _sent(server, _calls(server, principals, len(principals))["GetUser"])
    after = resident_mib(server.pid)
    server.stop()
    return (after - before) * 1024 / len(principals)


def main() -> None:
    parser = argparse.ArgumentParser(description="Freehold with many principals")
    parser.add_argument("--principals", type=int, default=10_000, help="users, and as many roles")
    count = parser.parse_args().principals
    with tempfile.TemporaryDirectory(prefix="freehold-scale-") as few, tempfile.TemporaryDirectory() as many:
        servers = [Server(Path(few)), Server(Path(many))]
        filled = [Filled(server) for server in servers]
        ten = [one.add(0, 10) for one in filled]
        began = time.perf_counter()
        others = filled[1].add(10, count)
        print(f"{count} users and {count} roles written in {time.perf_counter() - began:.1f} s")
        size = (servers[1].data / "records.db").stat().st_size
        seconds, start_cpu, resident = started(servers)
        cpu = spent(servers, ten)
        each = memory(servers[1], others)
        for server in servers:
            server.close()
    print(f"{'':28} {'10 users':>10} {'and more':>10} {'change':>8}")
    rows = [("start to first answer, s", seconds), ("the same, CPU s", start_cpu), ("resident at start, MiB", resident),
            *((f"{name}, CPU ms", best) for name, best in cpu.items())]  # fmt: skip
    for label, (before, after) in rows:
        print(f"{label:28} {before:10.3f} {after:10.3f} {after / before - 1:+8.1%}")
    print(f"memory per user that has called: {each:.1f} KiB; on disk {size / 1024 / (2 * count):.1f} KiB a principal")


if __name__ == "__main__":
    main()

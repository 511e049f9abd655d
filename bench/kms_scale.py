"""What 100,000 KMS keys in one account cost whoever uses a few of them: `python -m bench.kms_scale [--keys 100000]`.

Two servers, one with 100 keys, one with the others as well, measured in turn: start to first answer, CPU per request
on the same 100 keys, pages of lists from the middle, memory. Then, on the larger one, what changes of other keys cost
those who use keys: a steady trickle of them among Encrypts. Each key has an alias, a tag and material of its own.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from bench.peers import Running
from bench.replay import replay, resident_mib, run_seconds
from bench.scale import started
from bench.workload import ONE_KIB, Workload
from freehold.config import Settings
from freehold.crypto.aead import Sealer
from freehold.deployment import root_key_of
from freehold.services.kms import keys, policies, records
from freehold.services.kms.records import ALIASES, ALIASES_OF_KEY, Alias, Key, Mark
from freehold.storage.counters import SharedCounters
from freehold.storage.records import Transaction
from freehold.storage.sqlite import SqliteRecords
from freehold.testing import Server

FEW = 100
AT_ONCE = 500
REQUESTS = 2000
ROUNDS = 7
ACTIVE = 1000
"""How many keys are in use while others change."""


class Filled:
    """A data directory, with keys written the way KMS keeps them; `key_ids` in the order in which they were made."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.settings = Settings(data=server.data, root_key=server.root_key)
        self.root_key = root_key_of(self.settings)
        self.key_ids: list[str] = []

    def add(self, count: int) -> None:
        """`count` keys more. The server must be stopped."""
        stored = SqliteRecords(
            self.settings.data,
            self.root_key.sealing_key("pages"),
            Sealer(self.root_key.sealing_key("records")),
            SharedCounters(),
        )
        rng = random.Random(len(self.key_ids))
        new = [str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(count)]
        try:
            for start in range(0, count, AT_ONCE):
                some = new[start : start + AT_ONCE]
                stored.submit(lambda tx, some=some: [self._one(tx, each) for each in some]).result()
        finally:
            stored.close()
        self.key_ids += new

    def _one(self, tx: Transaction, key_id: str) -> None:
        account_id, region = self.server.account.account_id, self.server.account.region
        key = Key(
            key_id=key_id, account_id=account_id, region=region, created_at=1.0,
            policy=policies.default_policy(account_id), tags={"team": f"team-{key_id[:2]}"},
        )  # fmt: skip
        keys.store(self, tx, key)  # type: ignore[arg-type]
        alias = _alias(key_id)
        ALIASES.put(tx, (account_id, region, alias), Alias(target_key_id=key_id, created_at=1.0, updated_at=1.0))
        ALIASES_OF_KEY.put(tx, (region, key_id, alias), Mark())
        records.recount(tx, key, aliases=1)


def _alias(key_id: str) -> str:
    return f"alias/bench/{key_id}"


class Asking:
    """Signed requests of the account's administrator to one running server, and the CPU that they cost."""

    def __init__(self, server: Server) -> None:
        self.server = server
        account = server.account
        running = Running("Freehold", "", account, server.pid, 0.0)
        self.load = Workload(running, [], [], [], 0, {})
        self.who = Credentials(account.access_key_id, account.secret_access_key)

    def request(self, operation: str, **parameters: Any) -> bytes:
        return self.load._json(f"TrentService.{operation}", parameters, self.who)

    def encrypt(self, key_id: str) -> bytes:
        return self.request("Encrypt", KeyId=key_id, Plaintext=ONE_KIB)

    def sent(self, requests: list[bytes]) -> float:
        """CPU in µs of all of them."""
        pid, port = self.server.pid, int(self.server.endpoint.rpartition(":")[2])
        before = run_seconds(pid)
        outcome = replay("127.0.0.1", port, requests, connections=8, server_pid=pid)
        if set(outcome.statuses) != {200}:
            raise SystemExit(f"refused: {outcome.statuses} {outcome.first_refusal[:300]!r}")
        return (run_seconds(pid) - before) * 1e6


def _calls(ask: Asking, key_ids: list[str]) -> dict[str, list[bytes]]:
    """Requests by kind. `key_ids` are the keys in use; the lists' pages begin in the middle of all keys."""
    account = ask.server.account
    page = account.kms.list_keys(Limit=50)
    after = page.get("NextMarker")
    aliases = account.kms.list_aliases(Limit=10)["NextMarker"]
    each = [key_ids[number % len(key_ids)] for number in range(REQUESTS)]
    few = REQUESTS // 4
    return {
        "DescribeKey": [ask.request("DescribeKey", KeyId=key_id) for key_id in each],
        "Encrypt": [ask.encrypt(key_id) for key_id in each],
        "Encrypt, by alias": [ask.encrypt(_alias(key_id)) for key_id in each],
        "GenerateDataKey": [ask.request("GenerateDataKey", KeyId=key_id, KeySpec="AES_256") for key_id in each],
        "ListKeys, 50": [ask.request("ListKeys", Limit=50, Marker=after) for _ in range(few)],
        "ListAliases, 10": [ask.request("ListAliases", Limit=10, Marker=aliases) for _ in range(few)],
        "ListAliases of a key": [ask.request("ListAliases", KeyId=key_id) for key_id in each[:few]],
    }


def spent(filled: list[Filled]) -> dict[str, list[float]]:
    """The least CPU in µs per request of each of the servers, which are asked in turn."""
    for one in filled:
        one.server.start()
    calls = [_calls(Asking(one.server), filled[0].key_ids[:FEW]) for one in filled]
    asking = [Asking(one.server) for one in filled]
    found: dict[str, list[float]] = {}
    for name in calls[0]:
        rounds = [
            [ask.sent(of[name]) / len(of[name]) for ask, of in zip(asking, calls, strict=True)]
            for _ in range(ROUNDS + 1)
        ]
        found[name] = [min(each) for each in zip(*rounds[1:], strict=True)]
    for one in filled:
        one.server.stop()
    return found


def memory(filled: Filled) -> tuple[float, float]:
    """(KiB that each key takes once it was used, µs of a key's first use). The server is stopped afterwards."""
    filled.server.start()
    ask = Asking(filled.server)
    ask.sent([ask.encrypt(key_id) for key_id in filled.key_ids[:FEW]] * 5)
    before = resident_mib(filled.server.pid)
    others = filled.key_ids[FEW : FEW + 20_000]
    took = ask.sent([ask.encrypt(key_id) for key_id in others])
    after = resident_mib(filled.server.pid)
    filled.server.stop()
    return (after - before) * 1024 / len(others), took / len(others)


def _change(ask: Asking, kind: str, key_id: str) -> bytes:
    """A request that changes something of one key, other than any before; or, for comparison, nothing in KMS."""
    name = uuid.uuid4().hex
    if kind == "PutObject":
        return ask.load._s3("PUT", f"/{CONTROL}/{name}", b"", ask.who)
    if kind == "CreateAlias":
        return ask.request(kind, TargetKeyId=key_id, AliasName=f"alias/new/{name}")
    if kind == "CreateGrant":
        account = f"arn:aws:iam::{ask.server.account.account_id}:root"
        return ask.request(kind, KeyId=key_id, GranteePrincipal=account, Operations=["Decrypt"], Name=name)
    return ask.request(kind, KeyId=key_id, Description=name)


CHANGES = ("PutObject", "UpdateKeyDescription", "CreateGrant", "CreateAlias")
CONTROL = "bench-control"
"""A bucket with S3's own keys: writes to it cost the processor and the disk what writes do, and change no key."""


def trickle(filled: Filled, changes_per_hundred: int) -> dict[str, tuple[float, float]]:
    """By kind of change: CPU in µs of an Encrypt alone, and with so many changes of other keys to each hundred.

    What the changes cost by themselves is taken away.
    """
    filled.server.start()
    with suppress(ClientError):
        filled.server.account.s3.create_bucket(Bucket=CONTROL)
    ask = Asking(filled.server)
    in_use = filled.key_ids[:ACTIVE]
    others = iter(filled.key_ids[-20_000:])
    reads = [ask.encrypt(key_id) for key_id in in_use] * 2
    ask.sent(reads)
    found: dict[str, tuple[float, float]] = {}
    for kind in CHANGES:
        rounds = []
        for _ in range(3):
            count = len(reads) * changes_per_hundred // 100
            alone = ask.sent(reads)
            by_themselves = ask.sent([_change(ask, kind, next(others)) for _ in range(count)])
            ask.sent(reads)
            step = len(reads) // count
            mixed: list[bytes] = []
            for number in range(count):
                mixed += [*reads[number * step : (number + 1) * step], _change(ask, kind, next(others))]
            both = ask.sent(mixed)
            rounds.append((alone / len(reads), (both - by_themselves) / (step * count)))
        found[kind] = (min(each[0] for each in rounds), min(each[1] for each in rounds))
    filled.server.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Freehold with many KMS keys")
    parser.add_argument("--keys", type=int, default=100_000)
    parser.add_argument("--only", choices=("scale", "trickle"), help="one half of it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="freehold-kms-") as few, tempfile.TemporaryDirectory() as many:
        filled = [Filled(Server(Path(directory))) for directory in (few, many)]
        began = time.perf_counter()
        for one, count in zip(filled, (FEW, FEW), strict=True):
            one.add(count)
        filled[1].add(arguments.keys - FEW)
        print(f"{arguments.keys} keys written in {time.perf_counter() - began:.1f} s", flush=True)
        size = (filled[1].server.data / "records.db").stat().st_size
        if arguments.only != "trickle":
            _print_scale(filled, size / 1024 / arguments.keys)
        if arguments.only != "scale":
            _print_trickle(filled[1])
        for one in filled:
            one.server.close()


def _print_scale(filled: list[Filled], kib_on_disk: float) -> None:
    seconds, start_cpu, resident = started([one.server for one in filled])
    rows = {"start to first answer, s": seconds, "the same, CPU s": start_cpu, "resident at start, MiB": resident}
    rows |= {f"{name}, CPU µs": best for name, best in spent(filled).items()}
    print(f"{'':28} {FEW:>10} {len(filled[1].key_ids):>10} {'change':>8}")
    for label, (before, after) in rows.items():
        print(f"{label:28} {before:10.3f} {after:10.3f} {after / before - 1:+8.1%}", flush=True)
    each, first = memory(filled[1])
    print(f"a key: {each:.1f} KiB of memory once used, {kib_on_disk:.1f} KiB on disk; its first use {first:.0f} µs")


def _print_trickle(filled: Filled) -> None:
    print(f"Encrypt with {ACTIVE} keys, CPU µs: alone, and with changes of other keys among a hundred of them")
    for changes in (1, 10):
        for kind, (alone, mixed) in trickle(filled, changes).items():
            print(f"{changes:3} {kind:22} {alone:8.1f} {mixed:8.1f} {mixed - alone:+8.1f}", flush=True)


if __name__ == "__main__":
    main()

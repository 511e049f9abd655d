"""Freehold beside its peers, in one run on one machine.

    python -m bench.compare                       all servers, 1,000 principals, keys and contexts
    python -m bench.compare --only freehold --count 100

Prints Markdown. CPU is user and system time of the server's whole process tree. "cold" is each principal's, key's and
context's first use after a restart of what allows one (Freehold), else the first after set-up; "warm" the ones after.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256

from bench.peers import PEERS, Running
from bench.replay import Outcome, replay, resident_mib
from bench.workload import BUCKET, MESSAGE, Workload, prepare

CASES = {
    "caller_identity": "GetCallerIdentity",
    "encrypt": "KMS Encrypt, 1 KiB",
    "decrypt": "KMS Decrypt, 1 KiB",
    "generate_data_key": "KMS GenerateDataKey",
    "sign_p256": "KMS Sign, 1 KiB, P-256",
    "sign_rsa_2048": "KMS Sign, 1 KiB, RSA-2048",
    "verify_p256": "KMS Verify, 1 KiB, P-256",
    "verify_rsa_2048": "KMS Verify, 1 KiB, RSA-2048",
    "get_4k": "S3 GET 4 KiB, SSE-KMS",
    "put_4k": "S3 PUT 4 KiB, SSE-KMS",
    "list_1000": "List 1,000 keys of a larger bucket",
}
CONNECTIONS = (1, 8, 32)
NOT_SERVED = "refused"
LARGE_BYTES = 64 * 1024 * 1024


def measure(server: Running, count: int, rounds: int, listed: int) -> dict[str, Any]:
    """Every figure of one server."""
    print(f"<!-- {server.name}: preparing -->", flush=True)
    at_start = resident_mib(server.pid)
    load = prepare(server, count, listed)
    figures: dict[str, Any] = {"start": (server.start_seconds, at_start)}
    for case in CASES:
        if not load.serves(case):
            continue
        figures[case] = _case(load, case, count, rounds)
        print(f"<!-- {server.name}: {case} {figures[case]['warm', 8].cpu_ms_per_request:.3f} -->", flush=True)
    figures["large"] = _large(load)
    figures["resident"] = resident_mib(server.pid)
    return figures


def _case(load: Workload, case: str, count: int, rounds: int) -> dict[tuple[str, int], Outcome]:
    server = load.server
    few = 30 if case == "list_1000" else count
    outcomes = {("cold", 8): _run(server, load.requests(case, few), 8)}
    for connections in CONNECTIONS:
        each = few if connections == 1 else few * rounds
        outcomes["warm", connections] = _run(server, load.requests(case, each), connections)
    return outcomes


def _run(server: Running, requests: list[bytes], connections: int) -> Outcome:
    outcome = replay("127.0.0.1", server.port, requests, connections=connections, server_pid=server.pid)
    if set(outcome.statuses) != {200}:
        raise RuntimeError(f"{server.name} refused: {outcome.statuses} {outcome.first_refusal!r}")
    return outcome


def _large(load: Workload) -> tuple[float, float]:
    """MiB/s of GET and PUT of 64 MiB, the best of three: one connection, unsigned payload hash left to the client."""
    server = load.server
    body = os.urandom(1 << 20) * 64
    who = load.principals[0]
    puts, gets = [], []
    for _ in range(3):
        put = load._s3("PUT", f"/{BUCKET}/large", body, who)
        began = time.perf_counter()
        _run(server, [put], 1)
        puts.append(time.perf_counter() - began)
        get = load._s3("GET", f"/{BUCKET}/large", b"", who)
        began = time.perf_counter()
        _run(server, [get], 1)
        gets.append(time.perf_counter() - began)
    mib = LARGE_BYTES / (1 << 20)
    return mib / min(gets), mib / min(puts)


def bare() -> dict[str, float]:
    """CPU in ms of each signing or verifying case's primitive alone, as the library does it in this process: the least
    of a few rounds."""
    message = MESSAGE
    curve, number = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
    ecdsa = ec.ECDSA(SHA256())
    signatures = curve.sign(message, ecdsa), number.sign(message, PKCS1v15(), SHA256())
    curve_public, number_public = curve.public_key(), number.public_key()
    work: dict[str, Callable[[], Any]] = {
        "sign_p256": lambda: curve.sign(message, ecdsa),
        "sign_rsa_2048": lambda: number.sign(message, PKCS1v15(), SHA256()),
        "verify_p256": lambda: curve_public.verify(signatures[0], message, ecdsa),
        "verify_rsa_2048": lambda: number_public.verify(signatures[1], message, PKCS1v15(), SHA256()),
    }
    found = {}
    for case, once in work.items():
        rounds = []
        for _ in range(7):
            began = time.thread_time()
            for _ in range(200):
                once()
            rounds.append((time.thread_time() - began) * 1000 / 200)
        found[case] = min(rounds)
    return found


def _cell(value: float) -> str:
    return f"{value:.3f}" if value < 10 else f"{value:.0f}"


def report(results: dict[str, dict[str, Any]], versions: dict[str, str], alone: dict[str, float]) -> str:
    names = list(results)
    header = "| | " + " | ".join(f"{name} {versions[name]}" for name in names) + " |"
    rule = "|---" * (len(names) + 1) + "|"
    lines = ["### CPU, ms per request, warm, at 1 / 8 / 32 connections", "", header, rule]
    for case, title in CASES.items():
        cells = []
        for name in names:
            found = results[name].get(case)
            each_count = [] if found is None else [found["warm", each] for each in CONNECTIONS]
            cells.append(" / ".join(_cell(one.cpu_ms_per_request) for one in each_count) or NOT_SERVED)
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "### CPU of the primitive alone, ms, as `cryptography` does it in one process",
        "",
        "| | |",
        "|---|---|",
    ]
    lines += [f"| {CASES[case]} | {value:.3f} |" for case, value in alone.items()]
    lines += ["", "### CPU, ms per request, cold, at 8 connections", "", header, rule]
    for case, title in CASES.items():
        cells = [
            _cell(results[name][case]["cold", 8].cpu_ms_per_request) if case in results[name] else NOT_SERVED
            for name in names
        ]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    lines += ["", "### Requests/s and latency p50 · p99 in ms, warm, at 1, 8, 32 connections", "", header, rule]
    for case, title in CASES.items():
        for each in CONNECTIONS:
            cells = []
            for name in names:
                if case not in results[name]:
                    cells.append(NOT_SERVED)
                    continue
                found = results[name][case]["warm", each]
                p50, p99 = found.percentile(0.5) * 1000, found.percentile(0.99) * 1000
                cells.append(f"{found.requests / found.seconds:,.0f} · {p50:.2f} · {p99:.2f}")
            lines.append(f"| {title}, {each} | " + " | ".join(cells) + " |")
    lines += ["", "### The rest", "", header, rule]
    rows = {
        "64 MiB GET / PUT, MiB/s": lambda found: "{:,.0f} / {:,.0f}".format(*found["large"]),
        "start to first answer, s · resident, MiB": lambda found: "{:.2f} · {:.0f}".format(*found["start"]),
        "resident at the end, MiB": lambda found: f"{found['resident']:.0f}",
    }
    for title, cell in rows.items():
        lines.append(f"| {title} | " + " | ".join(cell(results[name]) for name in names) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("--only", choices=list(PEERS), action="append", help="measure only this server (repeatable)")
    parser.add_argument("--count", type=int, default=1000, help="principals, keys, contexts and objects")
    parser.add_argument("--rounds", type=int, default=4, help="warm passes over them")
    parser.add_argument("--listed", type=int, default=10_000, help="keys in the bucket that is listed")
    parser.add_argument("--workers", type=int, default=1, help="Freehold's worker processes")
    arguments = parser.parse_args()
    results, versions, alone = {}, {}, bare()
    for name in arguments.only or PEERS:
        directory = Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))
        server = PEERS[name](directory, arguments.workers)
        try:
            results[server.name] = measure(server, arguments.count, arguments.rounds, arguments.listed)
            versions[server.name] = server.version
        finally:
            server.stop()
            shutil.rmtree(directory, ignore_errors=True)
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, Linux {platform.release()}\n")
    # Before and after all servers: the machine may have been busier with one of them.
    after = bare()
    print(report(results, versions, {case: min(took, after[case]) for case, took in alone.items()}))


if __name__ == "__main__":
    main()

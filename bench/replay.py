"""A client cheap enough not to be the limit: replays ready-made HTTP/1.1 requests over keep-alive connections.

One thread, one epoll; a connection sends its next request when the answer to the last one is complete. Answers are
recognised by Content-Length (or chunked framing); their bodies are counted and dropped.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass
class Outcome:
    requests: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Of the server's whole process tree."""
    latencies: list[float] = field(default_factory=list)
    """Seconds, in order of completion."""
    statuses: dict[int, int] = field(default_factory=dict)
    first_refusal: bytes = b""

    @property
    def cpu_ms_per_request(self) -> float:
        return self.cpu_seconds * 1000 / self.requests if self.requests else float("nan")

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def process_tree(pid: int) -> list[int]:
    """`pid` and all its living descendants."""
    found = [pid]
    for each in found:
        try:
            with open(f"/proc/{each}/task/{each}/children") as file:
                found.extend(int(child) for child in file.read().split())
        except FileNotFoundError:
            continue
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of the process tree, reaped children included."""
    total = 0
    for each in process_tree(pid):
        try:
            with open(f"/proc/{each}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except FileNotFoundError:
            continue
        total += int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])
    return total / TICKS_PER_SECOND


def run_seconds(pid: int) -> float:
    """Time on a processor of the threads that live now, in nanoseconds' precision: for a server that keeps them."""
    total = 0
    for each in process_tree(pid):
        try:
            for thread in os.listdir(f"/proc/{each}/task"):
                with open(f"/proc/{each}/task/{thread}/schedstat") as file:
                    total += int(file.read().split()[0])
        except FileNotFoundError:
            continue
    return total / 1e9


def resident_mib(pid: int) -> float:
    """Proportional set size of the process tree: shared pages count once."""
    total = 0
    for each in process_tree(pid):
        try:
            with open(f"/proc/{each}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return total / 1024


class _Connection:
    __slots__ = ("buffer", "closes", "left", "sent_at", "sock", "status")

    def __init__(self, host: str, port: int) -> None:
        self.sock = socket.create_connection((host, port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.left = -1
        self.closes = False
        """Whether the server closes the connection after this answer."""
        self.status = 0
        self.sent_at = 0.0

    def complete(self, data: bytes) -> bool:
        """Take in a piece of the answer; True when it is whole."""
        if self.left < 0:
            self.buffer += data
            head, separator, rest = self.buffer.partition(b"\r\n\r\n")
            if not separator:
                return False
            self.status = int(head[9:12])
            lower = head.lower()
            self.closes = b"\r\nconnection: close" in lower
            at = lower.find(b"\r\ncontent-length:")
            if at < 0:
                if b"chunked" in lower:
                    return rest.endswith(b"0\r\n\r\n")
                self.left = 0
            else:
                self.left = int(lower[at + 17 : (lower + b"\r\n").find(b"\r\n", at + 17)])
            data = rest
        self.left -= len(data)
        if self.left > 0:
            return False
        self.left, self.buffer = -1, b""
        return True


def replay(host: str, port: int, requests: Sequence[bytes], *, connections: int, server_pid: int) -> Outcome:
    """Send each of `requests` once, spread over `connections`. Stops at the first closed connection with an error."""
    outcome = Outcome()
    waiting: Iterator[bytes] = iter(requests)
    poll = select.epoll()
    open_connections: dict[int, _Connection] = {}
    clock = time.perf_counter
    for _ in range(connections):
        connection = _Connection(host, port)
        open_connections[connection.sock.fileno()] = connection
        poll.register(connection.sock, select.EPOLLIN)
    cpu_before, began = cpu_seconds(server_pid), clock()

    def send_next(connection: _Connection) -> bool:
        request = next(waiting, None)
        if request is None:
            return False
        connection.sent_at = clock()
        connection.sock.sendall(request)
        return True

    active = sum(send_next(connection) for connection in open_connections.values())
    try:
        while active:
            for descriptor, _ in poll.poll(30):
                connection = open_connections[descriptor]
                data = connection.sock.recv(1 << 20)
                if not data:
                    raise ConnectionError("the server closed a connection in the middle of the run")
                if not connection.complete(data):
                    continue
                outcome.latencies.append(clock() - connection.sent_at)
                outcome.requests += 1
                outcome.statuses[connection.status] = outcome.statuses.get(connection.status, 0) + 1
                if connection.status >= 300 and not outcome.first_refusal:
                    outcome.first_refusal = data[:600]
                if connection.closes:
                    poll.unregister(connection.sock)
                    connection.sock.close()
                    del open_connections[descriptor]
                    connection = _Connection(host, port)
                    open_connections[connection.sock.fileno()] = connection
                    poll.register(connection.sock, select.EPOLLIN)
                active -= not send_next(connection)
    finally:
        for connection in open_connections.values():
            connection.sock.close()
        poll.close()
    outcome.seconds = clock() - began
    outcome.cpu_seconds = cpu_seconds(server_pid) - cpu_before
    return outcome

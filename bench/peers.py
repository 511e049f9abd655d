"""The servers that are measured: Freehold, moto server and ministack, each peer in an environment of its own.

Peers are installed from the package index into `.bench/NAME` at first use.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import freehold
from freehold.testing import Principal, Server

ENVIRONMENTS = Path(__file__).parent.parent / ".bench"
START_SECONDS = 60


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass
class Running:
    """A started server: who its administrator is, and its process."""

    name: str
    version: str
    administrator: Principal
    pid: int
    start_seconds: float
    """From the start of the process to the first answer."""
    resident_mib_at_start: float = 0.0
    _stop: Any = field(default=None, repr=False)

    @property
    def port(self) -> int:
        return int(self.administrator.endpoint.rpartition(":")[2])

    def stop(self) -> None:
        self._stop()


def start_freehold(directory: Path, workers: int) -> Running:
    server = Server(directory, workers=workers)
    began = time.perf_counter()
    server.start()
    took = time.perf_counter() - began
    return Running("Freehold", freehold.__version__, server.account, server.pid, took, _stop=server.close)


def start_moto(directory: Path, workers: int) -> Running:
    python = _environment("moto", "moto[server]")
    port = free_port()
    command = [str(python.parent / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    return _start("moto", _version(python, "moto"), command, {}, port, "/moto-api/", directory)


def start_ministack(directory: Path, workers: int) -> Running:
    python = _environment("ministack", "ministack")
    port = free_port()
    environment = {"AUTH": "true", "GATEWAY_PORT": str(port), "EDGE_PORT": str(port), "DATA_DIR": str(directory)}
    command = [str(python.parent / "ministack")]
    path = "/_ministack/health"
    return _start("ministack", _version(python, "ministack"), command, environment, port, path, directory)


PEERS = {"freehold": start_freehold, "moto": start_moto, "ministack": start_ministack}


def _environment(name: str, requirement: str) -> Path:
    python = ENVIRONMENTS / name / "bin" / "python"
    if not python.exists():
        print(f"installing {name} …", file=sys.stderr)
        venv.create(ENVIRONMENTS / name, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", requirement], check=True)
    return python


def _version(python: Path, package: str) -> str:
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _start(
    name: str, version: str, command: list[str], environment: dict[str, str], port: int, path: str, directory: Path
) -> Running:
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment},
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def stop() -> None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    url = f"http://127.0.0.1:{port}"
    while True:
        try:
            urllib.request.urlopen(url + path, timeout=2).close()
            break
        except OSError as error:
            if getattr(error, "code", None) is not None:
                break
            if time.perf_counter() - began > START_SECONDS or process.poll() is not None:
                stop()
                raise RuntimeError(f"{name} did not start") from None
            time.sleep(0.005)
    took = time.perf_counter() - began
    administrator = Principal(url, "test", "test", account_id="000000000000")
    return Running(name, version, administrator, process.pid, took, _stop=stop)

"""What an HTTP request costs before Freehold does anything: servers of the ecosystem beside our protocol class.

    python -m bench.transport            needs granian beside the development packages

Each server answers 200 with 20 bytes to a POST of 300 bytes; CPU is the server's own.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from typing import Any

from bench.replay import replay

REQUEST = (
    b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-amz-json-1.1\r\n"
    b"X-Amz-Target: TrentService.Encrypt\r\nX-Amz-Date: 20260101T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 "
    b"Credential=AKIDEXAMPLE/20260101/us-east-1/kms/aws4_request, SignedHeaders=host;x-amz-date, Signature="
    + b"0" * 64
    + b"\r\nContent-Length: 300\r\n\r\n"
    + b"x" * 300
)
ANSWER = b"12345678901234567890"


async def asgi(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    headers = [(b"content-length", b"20")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


async def rsgi(scope: Any, protocol: Any) -> None:
    await protocol()
    protocol.response_bytes(200, [("content-length", "20")], ANSWER)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def run_uvicorn(port: int) -> None:
    import uvicorn

    uvicorn.run(asgi, port=port, loop="uvloop", http="httptools", log_config=None, access_log=False, lifespan="off")


def run_freehold(port: int) -> None:
    from concurrent.futures import ThreadPoolExecutor

    import uvicorn

    from freehold.message import Request, Response
    from freehold.transport.http import HttpProtocol, no_application

    class Hello:
        pool = ThreadPoolExecutor(1)

        async def serve(self, request: Request) -> Response:
            return Response(200, [], ANSWER)

    config = uvicorn.Config(
        no_application, port=port, loop="uvloop", http=HttpProtocol.serving(Hello()), log_config=None, lifespan="off"
    )
    uvicorn.Server(config).run()


def run_granian(port: int, interface: str) -> None:
    from granian import Granian

    target = f"bench.transport:{interface}"
    Granian(target, port=port, interface=interface, workers=1, loop="uvloop", log_enabled=False).serve()


SERVERS = {
    "freehold (httptools on uvicorn's server)": run_freehold,
    "uvicorn + httptools + uvloop, ASGI": run_uvicorn,
    "granian, ASGI": lambda port: run_granian(port, "asgi"),
    "granian, RSGI": lambda port: run_granian(port, "rsgi"),
}


def main() -> None:
    if len(sys.argv) == 3:
        list(SERVERS.values())[int(sys.argv[1])](int(sys.argv[2]))
        return
    print("| server | µs of CPU per request, 8 connections | requests/s |\n|---|---|---|")
    for number, name in enumerate(SERVERS):
        port = free_port()
        server = subprocess.Popen([sys.executable, "-m", "bench.transport", str(number), str(port)])
        try:
            for _ in range(100):
                time.sleep(0.1)
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    continue
            replay("127.0.0.1", port, [REQUEST] * 2000, connections=8, server_pid=server.pid)
            best = min(
                (replay("127.0.0.1", port, [REQUEST] * 20000, connections=8, server_pid=server.pid) for _ in range(3)),
                key=lambda outcome: outcome.cpu_seconds,
            )
            print(
                f"| {name} | {best.cpu_ms_per_request * 1000:.0f} | {best.requests / best.seconds:,.0f} |", flush=True
            )
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()

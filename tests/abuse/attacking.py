"""What the attacks share: raw connections, requests signed by botocore, and answers taken apart."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

FORM = "application/x-www-form-urlencoded"
VERSIONS = {"iam": "2010-05-08", "sts": "2011-06-15"}


class Answer(NamedTuple):
    """One HTTP answer; `status` is 0 where the connection was closed without one."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The AWS error code, in whichever envelope; empty without one."""
        found = re.search(rb"<Code>([^<]*)</Code>", self.body) or re.search(
            rb'"__type":"(?:[^"]*#)?([^"]*)"', self.body
        )
        return found[1].decode() if found else ""


def host_of(principal: Any) -> str:
    return str(urlsplit(principal.endpoint).netloc)


def connect(principal: Any, seconds: float = 20) -> socket.socket:
    address = urlsplit(principal.endpoint)
    return socket.create_connection((address.hostname, address.port), timeout=seconds)


def raw(principal: Any, *pieces: bytes | float, seconds: float = 20, half_close: bool = False) -> bytes:
    """Everything that comes back for these bytes until the server closes; a number among them is a pause in seconds."""
    with connect(principal, seconds) as connection:
        got = b""
        try:
            for piece in pieces:
                if isinstance(piece, float):
                    time.sleep(piece)
                else:
                    connection.sendall(piece)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            while piece := connection.recv(65_536):
                got += piece
        except ConnectionResetError:
            pass
        return got


def answers(got: bytes, *, bodiless: bool = False) -> list[Answer]:
    """The answers in what came back. Raises AssertionError for what is no well-formed HTTP."""
    found = []
    while got:
        head, end, got = got.partition(b"\r\n\r\n")
        assert end, f"an answer breaks off: {head[:200]!r}"
        first, *lines = head.split(b"\r\n")
        status = re.fullmatch(rb"HTTP/1\.1 (\d{3}) [ -~]*", first)
        assert status, first[:200]
        headers = {}
        for line in lines:
            name, colon, value = line.partition(b":")
            assert colon, line[:200]
            assert re.fullmatch(rb"[A-Za-z0-9-]+", name), line[:200]
            assert not re.search(rb"[\x00-\x08\x0a-\x1f]", value), line[:200]
            headers[name.decode().lower()] = value.decode("latin-1").strip()
        if status[1] == b"100":
            continue
        length = 0 if bodiless else int(headers.get("content-length", "0"))
        assert len(got) >= length, "a body breaks off"
        found.append(Answer(int(status[1]), headers, got[:length]))
        got = got[length:]
    return found


def request(principal: Any, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """The bytes of a request, exactly as told, that asks to close afterwards."""
    fields = {"Host": host_of(principal), "Connection": "close", **headers}
    if not any(name.lower() in ("content-length", "transfer-encoding") for name in fields) and (
        body or method != "GET"
    ):
        fields["Content-Length"] = str(len(body))
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def ask(
    principal: Any, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
) -> Answer:
    got = answers(raw(principal, request(principal, method, target, headers or {}, body)), bodiless=method == "HEAD")
    assert len(got) <= 1, got
    return got[0] if got else Answer(0, {}, b"")


def credentials(principal: Any) -> Credentials:
    return Credentials(principal.access_key_id, principal.secret_access_key, principal.session_token)


def signed(
    principal: Any,
    service: str,
    method: str,
    target: str,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    *,
    region: str = "us-east-1",
) -> dict[str, str]:
    """The headers of a signed request."""
    made = AWSRequest(method, principal.endpoint + target, data=body, headers={"Host": host_of(principal)})
    for name, value in (headers or {}).items():
        made.headers[name] = value
    claimed = made.headers.get("x-amz-content-sha256")
    signer = (S3SigV4Auth if service == "s3" else SigV4Auth)(credentials(principal), service, region)
    if claimed is not None:
        # botocore would put the body's own hash in its place.
        signer.payload = lambda _: claimed
    signer.add_auth(made)
    return {name: value for name, value in made.headers.items() if name != "Host"}


def presigned(principal: Any, method: str, target: str, *, seconds: int = 3600, **headers: str) -> str:
    """The target of a request to S3 that is signed in its query."""
    made = AWSRequest(method, principal.endpoint + target, headers={"Host": host_of(principal), **headers})
    S3SigV4QueryAuth(credentials(principal), "s3", "us-east-1", expires=seconds).add_auth(made)
    address = urlsplit(made.prepare().url)
    return f"{address.path}?{address.query}"


def call(principal: Any, service: str, action: str, body: bytes = b"", **headers: str) -> Answer:
    """A signed call with this very body: a form for iam and sts, JSON for the others (`action`: with its prefix)."""
    if service in VERSIONS:
        fields = {"Content-Type": FORM, **headers}
        body = f"Action={action}&Version={VERSIONS[service]}".encode() + (b"&" + body if body else b"")
    else:
        fields = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": action, **headers}
    return ask(principal, "POST", "/", signed(principal, service, "POST", "/", fields, body), body)


def s3(principal: Any, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
    """A signed call of S3."""
    return ask(principal, method, target, signed(principal, "s3", method, target, headers, body), body)

"""An external key store proxy as the XKS Proxy API (version 1) has it, small, over TLS, that can be told to misbehave.

Signatures are verified with botocore's own signer. https://github.com/aws/aws-kms-xksproxy-api-spec
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from provider_authority import make_authority

HOST = "xks.example.com"
OTHER_HOST = "not-in-the-certificate.example.org"
PREFIX = "/tenant-1/kms/xks/v1"
ACCESS_KEY_ID = "ABCDEFGHIJ234567ABCD"
SECRET = "c2VjcmV0LW9mLXRoZS1wcm94eS1mb3ItdGVzdHMhISE"
Misbehaviour = Callable[["_Handler", dict[str, Any]], bool]
"""Told the handler and the request's body; whether it has answered in its own way."""


class Refusal(Exception):
    def __init__(self, status: int, name: str) -> None:
        super().__init__(name)
        self.status = status
        self.name = name


class FakeProxy:
    def __init__(self, directory: Path) -> None:
        self.authority = make_authority(directory, HOST)
        self.keys: dict[str, bytes] = {}
        self.metadata: dict[str, dict[str, Any]] = {}
        self.health = "ACTIVE"
        self.secrets = {ACCESS_KEY_ID: SECRET}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        """The last part of the path, and the body, of each request that was authentic."""
        self.connections = 0
        self._misbehaviour: Misbehaviour | None = None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority.certificate, self.authority.key)
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._server.context, self._server.proxy = context, self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def options(self) -> list[str]:
        """For `freehold serve`."""
        return [
            f"--xks-resolve={HOST}=127.0.0.1:{self.port}",
            f"--xks-resolve={OTHER_HOST}=127.0.0.1:{self.port}",
            f"--xks-ca={self.authority.bundle}",
        ]

    def new_key(self, name: str = "") -> str:
        name = name or f"external-{len(self.keys)}"
        self.keys[name] = os.urandom(32)
        self.metadata[name] = {"keySpec": "AES_256", "keyUsage": ["ENCRYPT", "DECRYPT"], "keyStatus": "ENABLED"}
        return name

    @contextmanager
    def misbehaving(self, how: Misbehaviour) -> Iterator[None]:
        self._misbehaviour = how
        try:
            yield
        finally:
            self._misbehaviour = None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def authenticate(self, handler: _Handler, body: bytes) -> None:
        given = handler.headers.get("Authorization", "")
        try:
            credential = given.split("Credential=")[1].split(",")[0]
            access_key_id, _, region, service, _ = credential.split("/")
            secret = self.secrets[access_key_id]
        except (IndexError, KeyError, ValueError):
            raise Refusal(401, "AuthenticationFailedException") from None
        request = AWSRequest("POST", f"https://{handler.headers['Host']}{handler.path}", data=body)
        request.context["timestamp"] = handler.headers["X-Amz-Date"]
        request.headers["Host"] = handler.headers["Host"]
        request.headers["X-Amz-Date"] = handler.headers["X-Amz-Date"]
        signer = SigV4Auth(Credentials(access_key_id, secret), service, region)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        moment = time.mktime(time.strptime(handler.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ")) - time.timezone
        if (
            service != "kms-xks-proxy"
            or abs(moment - time.time()) > 300
            or given.split("Signature=")[1] != signer.signature(text, request)
        ):
            raise Refusal(401, "AuthenticationFailedException")

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if not path.startswith(PREFIX + "/"):
            raise Refusal(404, "InvalidUriPathException")
        parts = path.removeprefix(PREFIX + "/").split("/")
        if parts == ["health"]:
            return {
                "xksProxyFleetSize": 1,
                "xksProxyVendor": "Tests",
                "xksProxyModel": "Fake 1.0",
                "ekmVendor": "Tests",
                "ekmFleetDetails": [{"id": "one", "model": "Fake 1.0", "healthStatus": self.health}],
            }
        if len(parts) != 3 or parts[0] != "keys" or parts[2] not in ("metadata", "encrypt", "decrypt"):
            raise Refusal(404, "InvalidUriPathException")
        if parts[1] not in self.keys:
            raise Refusal(404, "KeyNotFoundException")
        if parts[2] == "metadata":
            return self.metadata[parts[1]]
        if self.metadata[parts[1]]["keyStatus"] != "ENABLED":
            raise Refusal(400, "InvalidStateException")
        return (self.encrypt if parts[2] == "encrypt" else self.decrypt)(self.keys[parts[1]], body)

    def encrypt(self, key: bytes, body: dict[str, Any]) -> dict[str, Any]:
        assert body["encryptionAlgorithm"] == "AES_GCM"
        data, metadata = _bytes(body.get("additionalAuthenticatedData", "")), b"key version 1"
        vector = os.urandom(12)
        sealed = AESGCM(key).encrypt(vector, _bytes(body["plaintext"]), _bound(data, metadata))
        ciphertext, tag = sealed[:-16], sealed[-16:]
        assert body["ciphertextDataIntegrityValueAlgorithm"] == "SHA_256"
        return {
            "ciphertext": _text(ciphertext),
            "ciphertextMetadata": _text(metadata),
            "initializationVector": _text(vector),
            "authenticationTag": _text(tag),
            "ciphertextDataIntegrityValue": _text(hashlib.sha256(data + metadata + vector + ciphertext + tag).digest()),
        }

    def decrypt(self, key: bytes, body: dict[str, Any]) -> dict[str, Any]:
        data, metadata = _bytes(body.get("additionalAuthenticatedData", "")), _bytes(body.get("ciphertextMetadata", ""))
        sealed = _bytes(body["ciphertext"]) + _bytes(body["authenticationTag"])
        try:
            opened = AESGCM(key).decrypt(_bytes(body["initializationVector"]), sealed, _bound(data, metadata))
        except InvalidTag:
            raise Refusal(400, "InvalidCiphertextException") from None
        return {"plaintext": _text(opened)}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    context: ssl.SSLContext
    proxy: FakeProxy

    def finish_request(self, request: Any, client_address: Any) -> None:
        self.proxy.connections += 1
        try:
            secured = self.context.wrap_socket(request, server_side=True)
        except (OSError, ssl.SSLError):
            return
        with secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of the tests' errors."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy: ClassVar[FakeProxy]

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(text)
        try:
            self.proxy.authenticate(self, text)
            self.proxy.asked.append((self.path.rpartition("/")[2], body))
            misbehaviour = self.proxy._misbehaviour
            if misbehaviour is not None and misbehaviour(self, body):
                return
            self.send(200, self.proxy.answer(self.path, body))
        except Refusal as refusal:
            self.send(refusal.status, {"errorName": refusal.name, "errorMessage": "what the proxy says, secretly"})

    def send(self, status: int, answer: Any, **headers: str) -> None:
        text = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""


def _bound(data: bytes, metadata: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data + bytes((len(metadata),)) + metadata


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()

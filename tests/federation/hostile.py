"""Servers that behave as no identity provider should, on this machine over TLS; and one that signs what it is told."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from provider_authority import Authority, make_authority

Route = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.close_connection = True
        route = self.server.routes.get(self.path)
        if route is None:
            self.send_error(404)
        else:
            route(self)

    def log_message(self, *args: Any) -> None:
        """Nothing."""


class Server(ThreadingHTTPServer):
    """Answers what `routes` has for a path; `asked` are the paths that were asked for."""

    daemon_threads = True

    def __init__(self, directory: Path, *names: str, show_authority: bool = True) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.routes: dict[str, Route] = {}
        self.asked: list[str] = []
        self.authority: Authority = make_authority(directory, *names, show_authority=show_authority)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.authority.certificate, self.authority.key)
        self.origin = f"https://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(20)
        try:
            with self.context.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)
        except OSError:
            """The client went away, or refused the certificate."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that break off are what is tested here."""

    def close(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()


def document(value: Any, **headers: str) -> Route:
    """JSON, with further headers (underscores for hyphens)."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), text)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def redirect(url: str) -> Route:
    def answer(handler: Handler) -> None:
        handler.send_response(302)
        handler.send_header("Location", url)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def endless(handler: Handler) -> None:
    """A body without an end, as fast as it is taken."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    for _ in range(10_000):
        handler.wfile.write(piece)


def dripping(handler: Handler) -> None:
    """A body of which a byte comes now and then."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(1000):
        handler.wfile.write(b" ")
        time.sleep(0.05)


def dripping_headers(handler: Handler) -> None:
    """A status line that never ends."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for _ in range(1000):
        handler.wfile.write(b"X")
        time.sleep(0.05)


class Silent:
    """Takes connections and says nothing, not even TLS."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.origin = f"https://127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        self._socket.close()


class Signer(Server):
    """An issuer whose keys the test has: signs any claims with any header."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.ec_key = ec.generate_private_key(ec.SECP256R1())
        self.keys = [public_jwk(self.rsa_key, "rsa"), public_jwk(self.ec_key, "ec")]
        self.routes["/.well-known/openid-configuration"] = document(metadata(self.origin))
        self.routes["/jwks"] = lambda handler: document({"keys": self.keys})(handler)

    def token(self, claims: dict[str, Any], header: dict[str, Any] | None = None, key: Any = None) -> str:
        header = {"alg": "RS256", "kid": "rsa", "typ": "JWT"} | (header or {})
        return signed(claims, header, key or (self.ec_key if header["alg"] == "ES256" else self.rsa_key))

    def claims(self, **changed: Any) -> dict[str, Any]:
        """Good claims, with changes; a value of None takes a claim away."""
        now = int(time.time())
        good = {"iss": self.origin, "sub": "alice", "aud": "app", "iat": now, "exp": now + 600}
        return {name: value for name, value in (good | changed).items() if value is not None}

    def public_pem(self) -> bytes:
        return self.rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def metadata(issuer: str, **changed: Any) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/jwks",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    } | changed


def public_jwk(key: Any, key_id: str) -> dict[str, Any]:
    algorithm: Any = jwt.get_algorithm_by_name("RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256")
    made: dict[str, Any] = json.loads(algorithm.to_jwk(key.public_key()))
    made.pop("key_ops", None)
    return {**made, "kid": key_id, "use": "sig"}


def private_pem(key: Any) -> bytes:
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


def signed(claims: dict[str, Any] | bytes, header: dict[str, Any] | bytes, key: Any) -> str:
    """A compact JWS over exactly these texts, by the algorithm that the header names."""
    header_text = header if isinstance(header, bytes) else json.dumps(header).encode()
    claims_text = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    signing_input = encoded(header_text) + "." + encoded(claims_text)
    name = json.loads(header_text)["alg"]
    algorithm: Any = jwt.get_algorithm_by_name(name)
    signature = b"" if name == "none" else algorithm.sign(signing_input.encode(), key)
    return f"{signing_input}.{encoded(signature)}"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

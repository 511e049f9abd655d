"""Requests signed by botocore (the independent implementation) or by a vector, as the transport would hand them on."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import BaseSigner
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from freehold.authentication.canonical import object_path, service_path
from freehold.authentication.credentials import Credential, ExpiredToken, InvalidToken, Secret, UnknownAccessKey
from freehold.authentication.refusals import QUERY, SERVICES, Service
from freehold.authentication.sigv4 import Authenticated, authenticate
from freehold.authorization.principal import Principal
from freehold.message import Request

VECTORS = Path(__file__).parent.parent / "vectors" / "sigv4"
KEY_ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TOKEN, OLD_TOKEN = "a token/+=", "an old token"
REGIONS = ("eu-central-1", "eu-west-1")


class Keys:
    """Knows one long-term key, which temporary ones borrow with `TOKEN` or `OLD_TOKEN`."""

    def __init__(self, key_id: str = KEY_ID, secret: str = SECRET) -> None:
        self.key_id = key_id
        self.credential = Credential(Secret(secret), Principal(kind="user", name="ann"))

    def lookup(self, access_key_id: str, session_token: str | None) -> Credential:
        if access_key_id != self.key_id:
            raise UnknownAccessKey
        if session_token == OLD_TOKEN:
            raise ExpiredToken
        if session_token not in (None, TOKEN):
            raise InvalidToken
        return self.credential


class At:
    """A clock that stands still."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def wall_seconds(self) -> float:
        return self.seconds

    def now_seconds(self) -> float:
        return self.seconds


def by_botocore(
    signer: type[BaseSigner],
    service: str,
    region: str = REGIONS[0],
    *,
    method: str = "GET",
    url: str = "http://localhost:8000/",
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    token: str | None = None,
    key_id: str = KEY_ID,
    secret: str = SECRET,
    **options: Any,
) -> Request:
    request = AWSRequest(method, url, headers=headers or {}, data=body)
    signer(Credentials(key_id, secret, token), service, region, **options).add_auth(request)
    sent = request.prepare()
    target = urlsplit(sent.url)
    received = {
        name.lower(): value if isinstance(value, str) else value.decode("latin-1")
        for name, value in sent.headers.items()
    }
    received.setdefault("host", target.netloc)
    return Request(sent.method, target.path or "/", target.query, received, body)


def vectors(name: str) -> dict[str, Any]:
    return json.loads((VECTORS / name).read_text(encoding="utf-8"))


def by_vector(suite: dict[str, Any], case: dict[str, Any]) -> Request:
    headers = {"host": "example.amazonaws.com", "x-amz-date": suite["timestamp"], **case.get("headers", {})}
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={suite['access_key_id']}/{suite['scope']},"
        f"SignedHeaders={';'.join(sorted(headers))},Signature={case['signature']}"
    )
    return Request(
        case.get("method", "GET"), case.get("path", "/"), case.get("query", ""), headers, case.get("body", "").encode()
    )


def services_of(case: dict[str, Any]) -> dict[str, Service]:
    path = service_path if case.get("normalize", True) else object_path
    return {**SERVICES, "service": Service(QUERY, 900, path)}


def altered(request: Request, **changes: Any) -> Request:
    other = deepcopy(request)
    for name, value in changes.items():
        setattr(other, name, value)
    return other


def with_header(request: Request, name: str, value: str | None) -> Request:
    other = deepcopy(request)
    if value is None:
        del other.headers[name]
    else:
        other.headers[name] = value
    return other


def check(request: Request, seconds: float, keys: Keys | None = None, **options: Any) -> Authenticated:
    options.setdefault("regions", REGIONS)
    return authenticate(request, credentials=keys or Keys(), clock=At(seconds), **options)

"""Custody by another key service that speaks AWS KMS's API: the root key lies wrapped beside the data, and KMS unwraps
it, as the principal whose credentials this process finds.

The encryption context names the deployment, so that a key policy can ask for it. Over TLS that is verified, always;
nothing of an answer but its error's code is shown. A deployment can't be its own KMS: it could never start.
https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import http.client
import json
import re
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from freehold.authentication.signing_key import signing_key
from freehold.crypto.root_key import RootKey
from freehold.custody.access import Access
from freehold.custody.aws_credentials import Credentials, find_credentials
from freehold.custody.errors import CustodyError
from freehold.custody.provider import Established, options_as, parameters_as
from freehold.custody.record import Head

BY_PEOPLE = False
CONNECT_SECONDS: Final = 10
ATTEMPTS: Final = 3
"""A key service that restarts meanwhile is asked again, one and then two seconds later."""
_MOST_ANSWER_BYTES: Final = 64 * 1024
_REGION: Final = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
_CODE: Final = re.compile(r"[A-Za-z0-9.]{1,64}", re.ASCII)


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """`ca`: PEM file of the authorities that the endpoint's certificate is verified with, instead of the system's."""

    key_id: str
    region: str = "us-east-1"
    endpoint: str = ""
    ca: str = ""


class Parameters(msgspec.Struct, forbid_unknown_fields=True):
    endpoint: str
    region: str
    key_id: str
    ca: str
    wrapped: bytes


class _Unreachable(CustodyError):
    """It may answer in a moment."""


def again(head: Head) -> dict[str, Any]:
    known = parameters_as(Parameters, head)
    return {"key_id": known.key_id, "region": known.region, "endpoint": known.endpoint, "ca": known.ca}


def establish(options: Mapping[str, Any], access: Access, deployment: str) -> Established:
    wanted = options_as(Options, options)
    endpoint = wanted.endpoint or f"https://kms.{wanted.region}.amazonaws.com"
    service = _Service(endpoint, wanted.region, wanted.ca)
    root_key = RootKey.random()
    asked = {"KeyId": wanted.key_id, "Plaintext": _base64(root_key.material()), **_context(deployment)}
    answer = service.call("Encrypt", asked)
    parameters = Parameters(endpoint, wanted.region, answer["KeyId"], wanted.ca, _bytes(answer["CiphertextBlob"]))
    if _unwrapped(service, parameters, deployment) != root_key.material():
        raise CustodyError("the key service does not give back what it encrypted")
    return Established("kms", msgspec.to_builtins(parameters), root_key)


def before(established: Established, access: Access) -> None:
    """Nothing: the custody file has what KMS unwraps."""


def after(established: Established, access: Access) -> None:
    """Nothing."""


def obtain(head: Head, access: Access) -> RootKey:
    known = parameters_as(Parameters, head)
    try:
        return RootKey(_unwrapped(_Service(known.endpoint, known.region, known.ca), known, head.deployment))
    except ValueError:
        raise CustodyError("what the key service decrypted is not a root key") from None


def _unwrapped(service: _Service, known: Parameters, deployment: str) -> bytes:
    # With the key's id: a blob that was put in its place, under a key of somebody else's, isn't opened.
    asked = {"KeyId": known.key_id, "CiphertextBlob": _base64(known.wrapped), **_context(deployment)}
    return _bytes(service.call("Decrypt", asked)["Plaintext"])


def _context(deployment: str) -> dict[str, Any]:
    return {"EncryptionContext": {"freehold:deployment": deployment, "freehold:purpose": "root key"}}


class _Service:
    """The key service at an endpoint."""

    def __init__(self, endpoint: str, region: str, ca: str) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme != "https" or not parts.hostname or parts.path.strip("/") or parts.query or parts.username:
            raise CustodyError("the key service's endpoint is https://HOST[:PORT]")
        if not _REGION.fullmatch(region):
            raise CustodyError("the key service's region is not the name of one")
        self._host = parts.hostname
        self._port = parts.port or 443
        self._netloc = parts.netloc
        self._region = region
        try:
            self._tls = ssl.create_default_context(cafile=ca or None)
        except (OSError, ssl.SSLError):
            raise CustodyError(f"the authorities in {Path(ca)} cannot be read") from None

    def call(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        """The answer. Raises CustodyError."""
        credentials = find_credentials()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._called(operation, params, credentials)
            except _Unreachable:
                if attempt == ATTEMPTS:
                    raise
                time.sleep(attempt)
        raise AssertionError("unreachable")

    def _called(self, operation: str, params: dict[str, Any], credentials: Credentials) -> dict[str, Any]:
        body = json.dumps(params).encode()
        headers = _signed(self._netloc, self._region, f"TrentService.{operation}", body, credentials)
        connection = http.client.HTTPSConnection(self._host, self._port, timeout=CONNECT_SECONDS, context=self._tls)
        try:
            connection.request("POST", "/", body, headers)
            response = connection.getresponse()
            status, content = response.status, response.read(_MOST_ANSWER_BYTES)
        except ssl.SSLCertVerificationError as error:
            reason = error.verify_message
            raise CustodyError(f"the key service's certificate cannot be verified: {reason}") from None
        except (OSError, http.client.HTTPException) as error:
            raise _Unreachable(f"the key service at {self._netloc} can't be reached: {type(error).__name__}") from None
        finally:
            connection.close()
        try:
            answer = json.loads(content)
            assert isinstance(answer, dict)
        except (ValueError, AssertionError):
            answer = {}
        if status == 200 and answer:
            return answer
        code = str(answer.get("__type", "")).rpartition("#")[2]
        told = code if _CODE.fullmatch(code) else "an answer that can't be read"
        kind = _Unreachable if status >= 500 else CustodyError
        raise kind(f"the key service refuses {operation}: {told} (HTTP {status})")


def _signed(host: str, region: str, target: str, body: bytes, credentials: Credentials) -> dict[str, str]:
    """The headers of one request, signed with version 4 for KMS."""
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": host,
        "x-amz-date": now,
        "x-amz-target": target,
    }
    if credentials.session_token:
        headers["x-amz-security-token"] = credentials.session_token
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{now[:8]}/{region}/kms/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signature = signing_key(credentials.secret, now[:8], region, "kms").sign(to_sign.encode())
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return headers


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise CustodyError("the key service's answer can't be read") from None

"""What the live tests of S3 expect of refusals, and raw signed requests for what boto3 won't send."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError


@contextmanager
def refused(code: str, status: int | None = None) -> Iterator[Any]:
    """The block's call is refused with this code (for HEAD: its status as text)."""
    with pytest.raises(ClientError) as caught:
        yield caught
    error = caught.value.response
    assert error["Error"]["Code"] == code, error
    if status is not None:
        assert error["ResponseMetadata"]["HTTPStatusCode"] == status


class _Signer(S3SigV4Auth):  # type: ignore[misc]
    """Signs a payload hash that the request names itself, where it does."""

    def payload(self, request: Any) -> str:
        return str(request.context.get("payload") or super().payload(request))


def raw(
    principal: Any,
    method: str,
    path: str,
    *,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    signed_body: bytes | None = None,
    declared_length: int | None = None,
    signed: bool = True,
) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body) of one request, its path and query sent as they are here.

    `signed_body`: what is hashed in place of `body`; `declared_length`: the Content-Length, where it is a lie.
    """
    endpoint = urlsplit(principal.endpoint)
    hashed = body if signed_body is None else signed_body
    request = AWSRequest(method=method, url=principal.endpoint + path, data=hashed, headers=dict(headers or {}))
    request.context["payload"] = (headers or {}).get("X-Amz-Content-SHA256")
    if signed:
        credentials = Credentials(principal.access_key_id, principal.secret_access_key, principal.session_token)
        _Signer(credentials, "s3", principal.region).add_auth(request)
    connection = http.client.HTTPConnection(endpoint.netloc, timeout=30)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in request.headers.items():
            connection.putheader(name, value)
        length = len(body) if declared_length is None else declared_length
        connection.putheader("Content-Length", str(length))
        connection.endheaders(body or None)
        if declared_length is not None and declared_length > len(body):
            connection.sock.shutdown(1)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def presigned(principal: Any, operation: str, **options: Any) -> str:
    """A URL presigned with signature version 4 (boto3's own choice for us-east-1 is version 2)."""
    client = principal.client("s3", config=Config(signature_version="s3v4"))
    return str(client.generate_presigned_url(operation, **options))

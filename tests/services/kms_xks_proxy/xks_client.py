"""What AWS KMS is to an external key store proxy: a client that signs with botocore's signer."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import urllib.parse
from dataclasses import dataclass, field, replace
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from freehold.testing import Principal

SERVICE_NAME = "kms-xks-proxy.amazonaws.com"
METADATA = {
    "awsPrincipalArn": "arn:aws:iam::123456789012:user/Alice",
    "kmsKeyArn": "arn:aws:kms:us-east-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab",
    "kmsOperation": "GenerateDataKey",
    "kmsRequestId": "4112f4d6-db54-4af4-ae30-c55a22a8dfae",
    "kmsViaService": "ebs",
}
ERROR_NAMES = {
    *("ValidationException", "InvalidStateException", "InvalidCiphertextException", "InvalidKeyUsageException"),
    *("AuthenticationFailedException", "AccessDeniedException", "KeyNotFoundException", "InvalidUriPathException"),
    *("ThrottlingException", "UnsupportedOperationException", "DependencyTimeoutException", "InternalException"),
}
USE_KEYS = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Action": ["kms:DescribeKey", "kms:Encrypt", "kms:Decrypt"], "Resource": "*"},
    ],
}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: Any

    @property
    def error(self) -> tuple[int, str]:
        return self.status, self.body.get("errorName", "")


@dataclass(frozen=True)
class XksClient:
    """`path` is a key store's XksProxyUriPath; `region` is where AWS KMS is."""

    endpoint: str
    access_key_id: str
    secret: str = field(repr=False)
    path: str = "/us-east-1/kms/xks/v1"
    region: str = "us-west-2"
    service: str = "kms-xks-proxy"
    ca_bundle: str | None = None

    def but(self, **change: Any) -> XksClient:
        return replace(self, **change)

    def post(self, path: str, body: Any, *, method: str = "POST", date: str = "", token: str = "") -> Answer:
        """`body` is sent as JSON, bytes as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = AWSRequest(method, f"{self.endpoint}{self.path}{path}", data=data)
        request.headers["Content-Type"] = "application/json"
        signer = SigV4Auth(Credentials(self.access_key_id, self.secret, token or None), self.service, self.region)
        if date:
            request.context["timestamp"] = date
            request.headers["X-Amz-Date"] = date
            request.headers["Host"] = urllib.parse.urlsplit(self.endpoint).netloc
            text = signer.string_to_sign(request, signer.canonical_request(request))
            signer._inject_signature_to_request(request, signer.signature(text, request))
        else:
            signer.add_auth(request)
        return self.send(method, path, data, dict(request.headers.items()))

    def send(self, method: str, path: str, data: bytes, headers: dict[str, str]) -> Answer:
        parts = urllib.parse.urlsplit(self.endpoint)
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=self.ca_bundle)
            connection = http.client.HTTPSConnection(parts.netloc, context=context, timeout=30)
        else:
            connection = http.client.HTTPConnection(parts.netloc, timeout=30)
        try:
            connection.request(method, self.path + path, data, headers)
            response = connection.getresponse()
            text = response.read()
            found = {name.lower(): value for name, value in response.getheaders()}
        finally:
            connection.close()
        return Answer(response.status, found, json.loads(text) if "json" in found.get("content-type", "") else text)

    def health(self) -> Answer:
        return self.post("/health", {"requestMetadata": {"kmsOperation": "KmsHealthCheck", "kmsRequestId": "1"}})

    def metadata(self, key_id: str, **told: str) -> Answer:
        return self.post(f"/keys/{key_id}/metadata", {"requestMetadata": METADATA | told})

    def encrypt(
        self, key_id: str, secret: bytes = b"secret", *, told: dict[str, str] = METADATA, **more: Any
    ) -> Answer:
        body = {"requestMetadata": told, "plaintext": text(secret), "encryptionAlgorithm": "AES_GCM", **more}
        return self.post(f"/keys/{key_id}/encrypt", {name: part for name, part in body.items() if part is not None})

    def decrypt(self, key_id: str, sealed: dict[str, Any], *, told: dict[str, str] = METADATA, **more: Any) -> Answer:
        body = {"requestMetadata": told, "encryptionAlgorithm": "AES_GCM", **sealed, **more}
        return self.post(f"/keys/{key_id}/decrypt", {name: part for name, part in body.items() if part is not None})


def text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def octets(value: str) -> bytes:
    return base64.b64decode(value, validate=True)


def new_credential(owner: Principal, user: str) -> dict[str, Any]:
    made = owner.iam.create_service_specific_credential(UserName=user, ServiceName=SERVICE_NAME)
    return dict(made["ServiceSpecificCredential"])


def client_of(owner: Principal, credential: dict[str, Any], **change: Any) -> XksClient:
    made = XksClient(owner.endpoint, credential["ServiceUserName"], credential["ServicePassword"])
    return made.but(ca_bundle=owner.ca_bundle, **change)


def new_client(owner: Principal, user: str = "aws-kms", *policies: dict[str, Any]) -> XksClient:
    """A client with a new user's credential; the user may use every key that the key's policy leaves to IAM."""
    owner.iam.create_user(UserName=user)
    for number, policy in enumerate(policies or (USE_KEYS,)):
        owner.iam.put_user_policy(UserName=user, PolicyName=f"policy-{number}", PolicyDocument=json.dumps(policy))
    return client_of(owner, new_credential(owner, user))

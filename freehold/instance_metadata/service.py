"""What the metadata service answers to one request: pure, over the instance's data and its role.

Guards as IMDSv2 has them: a session token that only a PUT with a header of its own gives, so that a proxy or a server
that can be talked into a GET gets nothing; no token for what was forwarded (X-Forwarded-For). And two that a service
on a developer's machine needs: nothing for a browser (Origin, Sec-Fetch-Site), and no host name but an address, so that
no web page reaches it through a name that resolves to this machine.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import json
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from freehold.instance_metadata.identity_document import IdentitySigner
from freehold.instance_metadata.role import InstanceRole, RoleUnavailable

TOKEN_HEADER = "x-aws-ec2-metadata-token"  # noqa: S105
TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"
MOST_TTL_SECONDS = 21_600
_VERSIONS = re.compile(r"latest|1\.0|20\d\d-\d\d-\d\d", re.ASCII)
_DIGEST_BYTES = 32
_NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = b""
    content_type: str = "text/plain"
    headers: tuple[tuple[str, str], ...] = ()
    is_token: bool = False
    """Whether this hands out a session token, which may travel only so many network hops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """What an instance is told of itself."""

    instance_id: str
    instance_profile_arn: str
    region: str
    availability_zone: str
    instance_type: str = ""
    image_id: str = ""
    local_ipv4: str = ""
    hostname: str = ""
    launched_at: datetime | None = None

    @property
    def account_id(self) -> str:
        return self.instance_profile_arn.split(":")[4]

    @property
    def arn(self) -> str:
        return f"arn:aws:ec2:{self.region}:{self.account_id}:instance/{self.instance_id}"


class Tokens:
    """Session tokens: what the service signed with a key that it forgets when it ends. Nothing is kept of them."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._key = secrets.token_bytes(32)
        self._now = now

    def issue(self, ttl_seconds: int) -> str:
        content = int(self._now() + ttl_seconds).to_bytes(8, "big") + secrets.token_bytes(_NONCE_BYTES)
        return base64.urlsafe_b64encode(content + self._signed(content)).decode()

    def is_good(self, token: str) -> bool:
        """Whether this token was issued here and has not expired."""
        try:
            raw = base64.b64decode(token, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return False
        content, signature = raw[:-_DIGEST_BYTES], raw[-_DIGEST_BYTES:]
        if len(content) != 8 + _NONCE_BYTES or not hmac.compare_digest(signature, self._signed(content)):
            return False
        return int.from_bytes(content[:8], "big") > self._now()

    def _signed(self, content: bytes) -> bytes:
        return hmac.digest(self._key, content, "sha256")


@dataclass(slots=True)
class MetadataService:
    """`role` gives credentials for IMDSv2; `role_v1` those for requests without a token, None where they're refused."""

    instance: Instance
    role: InstanceRole
    now: Callable[[], float]
    wall: Callable[[], datetime]
    role_v1: InstanceRole | None = None
    host_names: frozenset[str] = frozenset(("localhost",))
    signer: IdentitySigner | None = None
    """Signs the identity document; without one there are no signatures of it."""
    tokens: Tokens = field(init=False)

    def __post_init__(self) -> None:
        self.tokens = Tokens(self.now)

    def answer(self, method: str, path: str, headers: Mapping[str, str]) -> Answer:
        """`path` without its query; header names in lower case."""
        if "origin" in headers or "sec-fetch-site" in headers or not self._names_us(headers.get("host", "")):
            return _refusal(403, "This is not for browsers, and is reached by its address.")
        version, _, rest = path.lstrip("/").partition("/")
        if method == "PUT":
            return self._token(version, rest, headers)
        if method not in ("GET", "HEAD"):
            return _refusal(405, "GET, or PUT for a token.")
        token = headers.get(TOKEN_HEADER)
        role: InstanceRole | None = self.role
        if token is None:
            role = self.role_v1
        elif not self.tokens.is_good(token):
            role = None
        if role is None:
            return _refusal(401, f"A session token is needed: PUT /latest/api/token with {TTL_HEADER}.")
        if not version:
            return Answer(200, b"latest")
        if not _VERSIONS.fullmatch(version):
            return _refusal(404, "There is no such version.")
        return self._read(rest.rstrip("/"), role)

    def _names_us(self, host: str) -> bool:
        name = host
        if host.startswith("["):
            name = host[1:].partition("]")[0]
        elif host.count(":") == 1:
            name = host.partition(":")[0]
        if name.lower() in self.host_names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def _token(self, version: str, rest: str, headers: Mapping[str, str]) -> Answer:
        if (version, rest.rstrip("/")) != ("latest", "api/token"):
            return _refusal(405, "Only a token is put.")
        if "x-forwarded-for" in headers or "forwarded" in headers or "via" in headers:
            return _refusal(403, "No token for what was forwarded.")
        ttl = headers.get(TTL_HEADER, "")
        if not (ttl.isascii() and ttl.isdigit() and len(ttl) <= 5 and 1 <= int(ttl) <= MOST_TTL_SECONDS):
            return _refusal(400, f"{TTL_HEADER} is 1 to {MOST_TTL_SECONDS} seconds.")
        token = self.tokens.issue(int(ttl))
        return Answer(200, token.encode(), headers=((TTL_HEADER, ttl),), is_token=True)

    def _read(self, path: str, role: InstanceRole) -> Answer:
        if path.startswith(_IDENTITY):
            found = self._about_identity(path.removeprefix(_IDENTITY))
            if found is not None:
                return found
        if path == "meta-data/iam/info":
            return self._about_role(role, self._info)
        if path == "meta-data/iam/security-credentials":
            return self._about_role(role, lambda role: Answer(200, role.current().role_name.encode()))
        if path.startswith("meta-data/iam/security-credentials/"):
            name = path.rpartition("/")[2]
            return self._about_role(role, lambda role: self._credentials(role, name))
        values = self._values()
        if path in values:
            return Answer(200, values[path].encode())
        special = _SPECIAL if self.signer is None else (*_SPECIAL, *(f"{_IDENTITY}{name}" for name in _SIGNED))
        names = sorted({_entry(name, path) for name in (*values, *special) if not path or name.startswith(f"{path}/")})
        return Answer(200, "\n".join(names).encode()) if names else _refusal(404, "There is no such data.")

    def _values(self) -> dict[str, str]:
        instance = self.instance
        values = {
            "ami-id": instance.image_id,
            "hostname": instance.hostname,
            "instance-id": instance.instance_id,
            "instance-type": instance.instance_type,
            "local-hostname": instance.hostname,
            "local-ipv4": instance.local_ipv4,
            "placement/availability-zone": instance.availability_zone,
            "placement/region": instance.region,
            "services/domain": "amazonaws.com",
            "services/partition": "aws",
        }
        return {f"meta-data/{name}": value for name, value in values.items() if value}

    def _about_identity(self, name: str) -> Answer | None:
        """The identity document, or a signature of it; None where there is no such thing."""
        document = _json(self._identity())
        if name == "document":
            return document
        if self.signer is None or name not in _SIGNED:
            return None
        sign = self.signer.signature if name == "signature" else self.signer.pkcs7
        return Answer(200, sign(document.body))

    def _identity(self) -> dict[str, Any]:
        instance = self.instance
        launched = instance.launched_at
        return {
            "accountId": instance.account_id,
            "availabilityZone": instance.availability_zone,
            "imageId": instance.image_id or None,
            "instanceId": instance.instance_id,
            "instanceType": instance.instance_type or None,
            "pendingTime": None if launched is None else _iso(launched),
            "privateIp": instance.local_ipv4 or None,
            "region": instance.region,
            "version": "2017-09-30",
        }

    def _about_role(self, role: InstanceRole, tell: Callable[[InstanceRole], Answer]) -> Answer:
        try:
            return tell(role)
        except RoleUnavailable as problem:
            told = {"Code": problem.code, "LastUpdated": _iso(self.wall()), "Message": problem.message}
            return _json(told)

    def _info(self, role: InstanceRole) -> Answer:
        current = role.current()
        return _json(
            {
                "Code": "Success",
                "LastUpdated": _iso(current.issued_at),
                "InstanceProfileArn": self.instance.instance_profile_arn,
                "InstanceProfileId": current.instance_profile_id,
            }
        )

    def _credentials(self, role: InstanceRole, name: str) -> Answer:
        current = role.current()
        if name != current.role_name:
            return _refusal(404, "The instance has another role.")
        return _json(
            {
                "Code": "Success",
                "LastUpdated": _iso(current.issued_at),
                "Type": "AWS-HMAC",
                "AccessKeyId": current.access_key_id,
                "SecretAccessKey": current.secret_access_key,
                "Token": current.session_token,
                "Expiration": _iso(current.expires_at),
            }
        )


_IDENTITY = "dynamic/instance-identity/"
_SIGNED = ("pkcs7", "rsa2048", "signature")
"""On AWS `pkcs7` is by a DSA key; here both are by the one RSA key."""
_SPECIAL = (
    "dynamic/instance-identity/document",
    "meta-data/iam/info",
    "meta-data/iam/security-credentials/",
)


def _entry(name: str, path: str) -> str:
    """The next part of a name below a path; with a slash where more is below it."""
    rest = name[len(path) + 1 :] if path else name
    first, slash, _ = rest.partition("/")
    return first + slash


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(value: dict[str, Any]) -> Answer:
    return Answer(200, json.dumps(value, indent=2).encode(), "application/json")


def _refusal(status: int, why: str) -> Answer:
    return Answer(status, f"{status} - {why}\n".encode())

"""What the audit says of an operation, as far as it's the same for every call: prepared once, at first use."""

from __future__ import annotations

from typing import Final

from freehold.audit import redact
from freehold.protocol import models

READ_PREFIXES: Final = (
    "Describe",
    "Decode",
    "Generate",
    "Get",
    "Head",
    "List",
    "Lookup",
    "Select",
    "Simulate",
    "Verify",
)
READ_NAMES: Final = frozenset(
    (
        *("kms.Decapsulate", "kms.Decrypt", "kms.DeriveSharedSecret", "kms.Encapsulate", "kms.Encrypt"),
        *("kms.ReEncrypt", "kms.Sign", "kms-xks-proxy.Decrypt", "kms-xks-proxy.Encrypt"),
        *("sts.AssumeRole", "sts.AssumeRoleWithSAML", "sts.AssumeRoleWithWebIdentity", "sts.AssumeRoot"),
    )
)
"""Operations that change nothing, whatever they are called."""

WRITE_NAMES: Final = frozenset(
    f"cognito-identity.{name}"
    for name in ("GetCredentialsForIdentity", "GetId", "GetOpenIdToken", "GetOpenIdTokenForDeveloperIdentity")
)
"""Operations that change something, whatever they are called.
https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-info-in-cloudtrail.html"""

DATA_NAMES: Final = frozenset(
    f"s3.{name}"
    for name in (
        *("AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateMultipartUpload", "DeleteObject"),
        *("DeleteObjectTagging", "DeleteObjects", "GetObject", "GetObjectAcl", "GetObjectAttributes", "HeadObject"),
        *("GetObjectLegalHold", "GetObjectRetention", "GetObjectTagging", "GetObjectTorrent", "ListMultipartUploads"),
        *("ListObjectVersions", "ListObjects", "ListObjectsV2", "ListParts", "PutObject", "PutObjectAcl"),
        *("PutObjectLegalHold", "PutObjectRetention", "PutObjectTagging", "RestoreObject", "SelectObjectContent"),
        *("UpdateObjectEncryption", "UploadPart", "UploadPartCopy"),
    )
)
"""What CloudTrail calls data events. https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html"""

OWN_SOURCE: Final = "freehold"


class Described:
    """`source`, `name`, `read_only`, `data` (an event on data rather than on resources), and the redactors."""

    __slots__ = ("answers", "data", "name", "read_only", "request", "response", "service", "source")

    def __init__(self, service: str, name: str) -> None:
        full_name = f"{service}.{name}"
        self.service = service
        self.name = name
        self.source = OWN_SOURCE if service == "freehold" else f"{service}.amazonaws.com"
        self.read_only = full_name in READ_NAMES or (name.startswith(READ_PREFIXES) and full_name not in WRITE_NAMES)
        self.data = full_name in DATA_NAMES
        self.answers = not self.read_only or service == "sts"
        """Whether the answer is in the event. STS's shows who got which credentials; CloudTrail does the same."""
        self.request, self.response = redact.compiled(models.service(service).operations[name])


_described: dict[tuple[str, str], Described] = {}


def described(service: str, name: str) -> Described:
    key = (service, name)
    made = _described.get(key)
    if made is None:
        made = _described[key] = Described(service, name)
    return made

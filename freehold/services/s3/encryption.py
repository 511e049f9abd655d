"""Which key an object is encrypted under, and its data key: made, wrapped, opened.

SSE-S3 wraps the data key under a service-owned key. SSE-KMS has the KMS service do it, as the caller: with the
caller's permissions, the key's policy, the encryption context and the audit, at every write and every read, so that a
key that is disabled or taken away stops its objects at once. SSE-C, DSSE-KMS and the file-system kinds are refused.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
"""

from __future__ import annotations

import base64
import binascii
import secrets
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from freehold.crypto.aead import IntegrityError, Sealer
from freehold.errors import AwsError, NotImplementedByFreehold
from freehold.services.kms.managed import ensure_aws_managed
from freehold.services.s3.errors import AccessDenied, InvalidArgument, from_kms
from freehold.services.s3.names import bucket_arn, object_arn
from freehold.services.s3.records import Encryption
from freehold.storage.records import CorruptRecord

if TYPE_CHECKING:
    from freehold.app import App
    from freehold.services.call import Call
    from freehold.services.operation import Params
    from freehold.services.s3.access import Bucket

SSE_S3, SSE_KMS = "AES256", "aws:kms"
DATA_KEY_BYTES = 32
MANAGED_KEY = "alias/aws/s3"
ARN_KEY = "aws:s3:arn"
MOST_CONTEXT_BYTES = 8 * 1024
REFUSED_MEMBERS = ("SSECustomerAlgorithm", "SSECustomerKey", "SSECustomerKeyMD5")


@dataclass(frozen=True, slots=True)
class Choice:
    """How a write is to be encrypted."""

    algorithm: str
    key_id: str = ""
    bucket_key: bool = False
    context: tuple[tuple[str, str], ...] = ()


def choose(bucket: Bucket, params: Params) -> Choice:
    """The request's choice, or else the bucket's default. Raises InvalidArgument where the members contradict."""
    algorithm = params.get("ServerSideEncryption")
    default = bucket.record.encryption
    if algorithm is None:
        if "SSEKMSKeyId" in params or "SSEKMSEncryptionContext" in params:
            raise InvalidArgument(
                "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption :"
                " aws:kms",
                ArgumentName="x-amz-server-side-encryption",
                ArgumentValue="null",
            )
        if default.algorithm == SSE_S3:
            return Choice(SSE_S3)
        return Choice(SSE_KMS, default.key_id, params.get("BucketKeyEnabled", default.bucket_key))
    if algorithm == SSE_S3:
        if "SSEKMSKeyId" in params or "SSEKMSEncryptionContext" in params:
            raise InvalidArgument(
                "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption :"
                " aws:kms",
                ArgumentName="x-amz-server-side-encryption",
                ArgumentValue=SSE_S3,
            )
        return Choice(SSE_S3)
    if algorithm != SSE_KMS:
        raise NotImplementedByFreehold(f"Server-side encryption {algorithm} is not implemented: use AES256 or aws:kms.")
    return Choice(
        SSE_KMS,
        params.get("SSEKMSKeyId", ""),
        params.get("BucketKeyEnabled", default.bucket_key),
        _context(params.get("SSEKMSEncryptionContext")),
    )


def _context(header: str | None) -> tuple[tuple[str, str], ...]:
    if header is None:
        return ()
    try:
        if len(header) > MOST_CONTEXT_BYTES:
            raise ValueError("too long")
        context = orjson.loads(base64.b64decode(header, validate=True))
        if not isinstance(context, dict) or not all(isinstance(value, str) for value in context.values()):
            raise ValueError("not a map of text")
    except (binascii.Error, ValueError):
        raise InvalidArgument(
            "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which"
            " represents a string-string map",
            ArgumentName="x-amz-server-side-encryption-context",
        ) from None
    if ARN_KEY in context:
        raise InvalidArgument(
            f"The encryption context's {ARN_KEY} is set by S3 and cannot be given",
            ArgumentName="x-amz-server-side-encryption-context",
        )
    return tuple(sorted(context.items()))


async def new_data_key(call: Call, bucket: str, key: str, object_id: str, choice: Choice) -> tuple[bytes, Encryption]:
    """A fresh data key for the object and how it is kept. With SSE-KMS this is the caller's kms:GenerateDataKey."""
    if choice.algorithm == SSE_S3:
        data_key = secrets.token_bytes(DATA_KEY_BYTES)
        sealed = _sealer(call.app).seal(data_key, bound_to(bucket, key, object_id))
        return data_key, Encryption(SSE_S3, sealed)
    key_id = choice.key_id or MANAGED_KEY
    if key_id == MANAGED_KEY:
        if call.principal.kind == "anonymous":
            raise AccessDenied
        key_id = await ensure_aws_managed(call, "s3")
    request = {
        "KeyId": key_id,
        "KeySpec": "AES_256",
        "EncryptionContext": encryption_context(bucket, key, choice.bucket_key, choice.context),
    }
    try:
        answer = await call.invoke_async("kms.GenerateDataKey", request, via="s3")
    except AwsError as error:
        raise from_kms(error) from None
    return answer["Plaintext"], Encryption(
        SSE_KMS, answer["CiphertextBlob"], answer["KeyId"], choice.bucket_key, choice.context
    )


def open_data_key(call: Call, bucket: str, key: str, object_id: str, encryption: Encryption) -> bytes:
    """The object's data key, for a handler. With SSE-KMS this is the caller's kms:Decrypt; raises what KMS refuses."""
    if encryption.algorithm == SSE_S3:
        return _open_own(call, bucket, key, object_id, encryption)
    try:
        request, region = _to_decrypt(bucket, key, encryption), _region_of(encryption)
        answer = call.invoke("kms.Decrypt", request, via="s3", region=region)
    except AwsError as error:
        raise from_kms(error) from None
    plaintext: bytes = answer["Plaintext"]
    return plaintext


async def opened_data_key(call: Call, bucket: str, key: str, object_id: str, encryption: Encryption) -> bytes:
    """As `open_data_key`, for a coroutine."""
    if encryption.algorithm == SSE_S3:
        return _open_own(call, bucket, key, object_id, encryption)
    try:
        request, region = _to_decrypt(bucket, key, encryption), _region_of(encryption)
        answer = await call.invoke_async("kms.Decrypt", request, via="s3", region=region)
    except AwsError as error:
        raise from_kms(error) from None
    plaintext: bytes = answer["Plaintext"]
    return plaintext


def _open_own(call: Call, bucket: str, key: str, object_id: str, encryption: Encryption) -> bytes:
    try:
        return _sealer(call.app).open(encryption.wrapped, bound_to(bucket, key, object_id))
    except IntegrityError:
        raise CorruptRecord("s3.objects: a wrapped data key does not open") from None


def _region_of(encryption: Encryption) -> str:
    """Where the object's key is asked: what is copied from another Region opens with its key there."""
    return encryption.key_arn.split(":", 4)[3]


def _to_decrypt(bucket: str, key: str, encryption: Encryption) -> Params:
    return {
        "KeyId": encryption.key_arn,
        "CiphertextBlob": encryption.wrapped,
        "EncryptionContext": encryption_context(bucket, key, encryption.bucket_key, encryption.context),
    }


def bound_to(bucket: str, key: str, object_id: str) -> bytes:
    """Associated data of a wrapped data key. A key may hold any character, so it comes last."""
    return f"s3 data key\0{bucket}\0{object_id}\0{key}".encode()


def encryption_context(bucket: str, key: str, bucket_key: bool, extra: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """The encryption context under which an object's data key is wrapped."""
    context = dict(extra)
    context[ARN_KEY] = bucket_arn(bucket) if bucket_key else object_arn(bucket, key)
    return context


def members(encryption: Encryption) -> dict[str, Any]:
    """The output members that say how an object is encrypted."""
    if encryption.algorithm == SSE_S3:
        return {"ServerSideEncryption": SSE_S3}
    shown: dict[str, Any] = {"ServerSideEncryption": SSE_KMS, "SSEKMSKeyId": encryption.key_arn}
    if encryption.bucket_key:
        shown["BucketKeyEnabled"] = True
    return shown


def write_members(encryption: Encryption) -> dict[str, Any]:
    """As `members`, with the encryption context that the writer added, which only writes answer."""
    shown = members(encryption)
    if encryption.context:
        shown["SSEKMSEncryptionContext"] = base64.b64encode(orjson.dumps(dict(encryption.context))).decode()
    return shown


_sealers: weakref.WeakKeyDictionary[App, Sealer] = weakref.WeakKeyDictionary()


def _sealer(app: App) -> Sealer:
    """The service-owned key that wraps the data keys of SSE-S3."""
    sealer = _sealers.get(app)
    if sealer is None:
        sealer = _sealers[app] = Sealer(app.root_key.sealing_key("service-owned"))
    return sealer

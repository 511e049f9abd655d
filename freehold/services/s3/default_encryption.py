"""A bucket's default encryption: set, shown and reset at any time; what is stored already stays as it is.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-encryption.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from freehold.errors import NotImplementedByFreehold
from freehold.services.operation import operation
from freehold.services.s3 import checksums
from freehold.services.s3.access import bucket_of, bucket_permission
from freehold.services.s3.errors import InvalidArgument, MalformedXML
from freehold.services.s3.records import BUCKETS, DefaultEncryption

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.services.operation import Params, Result

SERVED = ("AES256", "aws:kms")


@operation("s3.PutBucketEncryption", permissions=bucket_permission("s3:PutEncryptionConfiguration"), writes=True)
def put_bucket_encryption(call: Call, params: Params) -> Result:
    """Choose SSE-S3 or SSE-KMS for new objects. The key isn't looked at until an object is written, as in S3.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketEncryption.html
    """
    bucket = bucket_of(call, params)
    checksums.check_body(call.request.headers, call.request.body)
    rules = params["ServerSideEncryptionConfiguration"]["Rules"]
    if len(rules) != 1:
        raise MalformedXML
    bucket.record.encryption = _from_rule(rules[0], bucket.record.encryption)
    BUCKETS.put(call.tx, (bucket.name,), bucket.record)
    return {}


def _from_rule(rule: dict[str, Any], present: DefaultEncryption) -> DefaultEncryption:
    default = rule.get("ApplyServerSideEncryptionByDefault")
    blocked = present.blocked
    if "BlockedEncryptionTypes" in rule:
        types = rule["BlockedEncryptionTypes"].get("EncryptionType", [])
        if not types or ("NONE" in types and len(types) > 1):
            raise MalformedXML
        blocked = () if types == ["NONE"] else tuple(types)
    if default is None:
        return DefaultEncryption(present.algorithm, present.key_id, rule.get("BucketKeyEnabled", False), blocked)
    algorithm = default["SSEAlgorithm"]
    if algorithm not in SERVED:
        raise NotImplementedByFreehold(
            f"Default encryption with {algorithm} is not implemented: use AES256 or aws:kms."
        )
    key_id = default.get("KMSMasterKeyID", "")
    if key_id and algorithm != "aws:kms":
        raise InvalidArgument(
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
            ArgumentName="KMSMasterKeyID",
        )
    bucket_key = bool(rule.get("BucketKeyEnabled", False)) and algorithm == "aws:kms"
    return DefaultEncryption(algorithm, key_id, bucket_key, blocked)


@operation("s3.GetBucketEncryption", permissions=bucket_permission("s3:GetEncryptionConfiguration"))
def get_bucket_encryption(call: Call, params: Params) -> Result:
    """The default; every bucket has one.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetBucketEncryption.html
    """
    encryption = bucket_of(call, params).record.encryption
    default = {"SSEAlgorithm": encryption.algorithm}
    if encryption.key_id:
        default["KMSMasterKeyID"] = encryption.key_id
    rule = {
        "ApplyServerSideEncryptionByDefault": default,
        "BucketKeyEnabled": encryption.bucket_key,
        "BlockedEncryptionTypes": {"EncryptionType": list(encryption.blocked) or ["NONE"]},
    }
    return {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}


@operation("s3.DeleteBucketEncryption", permissions=bucket_permission("s3:PutEncryptionConfiguration"), writes=True)
def delete_bucket_encryption(call: Call, params: Params) -> Result:
    """Go back to SSE-S3. Nothing is ever stored unencrypted.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteBucketEncryption.html
    """
    bucket = bucket_of(call, params)
    bucket.record.encryption = DefaultEncryption(blocked=bucket.record.encryption.blocked)
    BUCKETS.put(call.tx, (bucket.name,), bucket.record)
    return {}

"""What every bucket answers of the features that none has yet: that they aren't configured. One row each.

SDKs, the AWS CLI and infrastructure tools ask for these as a matter of routine. The answers are AWS's for a bucket or
object without the feature, and they are true; setting any of it is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from freehold.errors import AwsError, aws_error
from freehold.services.operation import operation
from freehold.services.s3.access import bucket_of, bucket_permission, object_permission
from freehold.services.s3.objects import existing

if TYPE_CHECKING:
    from freehold.services.call import Call
    from freehold.services.operation import Params, Result

_ABSENT: tuple[tuple[str, str, type[AwsError]], ...] = (
    (
        "GetBucketCors",
        "s3:GetBucketCORS",
        aws_error("NoSuchCORSConfiguration", 404, "The CORS configuration does not exist"),
    ),
    (
        "GetBucketLifecycleConfiguration",
        "s3:GetLifecycleConfiguration",
        aws_error("NoSuchLifecycleConfiguration", 404, "The lifecycle configuration does not exist"),
    ),
    (
        "GetBucketReplication",
        "s3:GetReplicationConfiguration",
        aws_error("ReplicationConfigurationNotFoundError", 404, "The replication configuration was not found"),
    ),
    (
        "GetBucketWebsite",
        "s3:GetBucketWebsite",
        aws_error("NoSuchWebsiteConfiguration", 404, "The specified bucket does not have a website configuration"),
    ),
    (
        "GetObjectLockConfiguration",
        "s3:GetBucketObjectLockConfiguration",
        aws_error(
            "ObjectLockConfigurationNotFoundError", 404, "Object Lock configuration does not exist for this bucket"
        ),
    ),
)

_ANSWERS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("GetBucketAccelerateConfiguration", "s3:GetAccelerateConfiguration", {}),
    ("GetBucketLogging", "s3:GetBucketLogging", {}),
    ("GetBucketNotificationConfiguration", "s3:GetBucketNotification", {}),
    ("GetBucketRequestPayment", "s3:GetBucketRequestPayment", {"Payer": "BucketOwner"}),
    ("GetBucketVersioning", "s3:GetBucketVersioning", {}),
)


def _absent(error: type[AwsError]) -> Callable[[Call, Params], Result]:
    def refuse(call: Call, params: Params) -> Result:
        raise error(BucketName=bucket_of(call, params).name)

    return refuse


def _answer(result: dict[str, object]) -> Callable[[Call, Params], Result]:
    def answer(call: Call, params: Params) -> Result:
        bucket_of(call, params)
        return dict(result)

    return answer


for _name, _action, _error in _ABSENT:
    operation("s3." + _name, permissions=bucket_permission(_action))(_absent(_error))
for _name, _action, _result in _ANSWERS:
    operation("s3." + _name, permissions=bucket_permission(_action))(_answer(_result))


@operation("s3.GetObjectTagging", permissions=object_permission("s3:GetObjectTagging"), refuses=("VersionId",))
def get_object_tagging(call: Call, params: Params) -> Result:
    """An object's tags: none, since writing them is refused.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html
    """
    existing(call, bucket_of(call, params), params["Key"])
    return {"TagSet": []}

"""What S3 does on the wire and its model doesn't say: the names of root elements, and codes for bad arguments.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
"""

from __future__ import annotations

from freehold.errors import AwsError
from freehold.protocol.refusals import InvalidArgument, InvalidStorageClass

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"

ROOTS = {
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "CreateSession": "CreateSessionResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "GetBucketAcl": "AccessControlPolicy",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycle": "LifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketNotification": "NotificationConfiguration",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetObjectAcl": "AccessControlPolicy",
    "GetObjectAttributes": "GetObjectAttributesResponse",
    "GetObjectTagging": "Tagging",
    "ListBucketAnalyticsConfigurations": "ListBucketAnalyticsConfigurationResult",
    "ListBucketIntelligentTieringConfigurations": "ListBucketIntelligentTieringConfigurationsOutput",
    "ListBucketInventoryConfigurations": "ListInventoryConfigurationsResult",
    "ListBucketMetricsConfigurations": "ListMetricsConfigurationsResult",
    "ListBuckets": "ListAllMyBucketsResult",
    "ListDirectoryBuckets": "ListAllMyDirectoryBucketsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListParts": "ListPartsResult",
}

PARTIAL_CONTENT = frozenset(("GetObject", "HeadObject"))
"""Operations whose answer is 206 when it has a ContentRange."""

UNTESTED = frozenset(("BucketCannedACL", "BucketLocationConstraint"))
"""Enumerations that the service judges itself: with a code of their own, or because the model doesn't list them all."""

_BY_ARGUMENT: dict[str, tuple[type[AwsError], str]] = {
    "encoding-type": (InvalidArgument, "Invalid Encoding Method specified in Request"),
    "x-amz-metadata-directive": (InvalidArgument, "Unknown metadata directive."),
    "x-amz-object-attributes": (InvalidArgument, "Invalid attribute name specified."),
    "x-amz-server-side-encryption": (InvalidArgument, "The encryption method specified is not supported"),
    "x-amz-storage-class": (InvalidStorageClass, "The storage class you specified is not valid"),
    "x-amz-tagging-directive": (InvalidArgument, "Unknown tagging directive."),
}


def invalid_argument(name: str, value: str, kind: str) -> AwsError:
    """The refusal of a header's or a query parameter's value; `kind` is its shape's type."""
    if kind in ("integer", "long"):
        error, message = InvalidArgument, f"Provided {name} not an integer or within integer range"
    else:
        error, message = _BY_ARGUMENT.get(name, (InvalidArgument, f"The value of {name} is not valid."))
    return error(message, ArgumentName=name, ArgumentValue=value[:1024])

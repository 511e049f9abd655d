"""S3: buckets and objects, every object encrypted under a data key of its own.

Serves general purpose buckets without versioning: objects, multipart uploads, listings, bucket policies, Block Public
Access and default encryption. What it doesn't serve is refused, with the reason below.
"""

from __future__ import annotations

_ANOTHER_SERVICE = "needs another AWS service"
_ACLS = "ACLs are disabled on every bucket (BucketOwnerEnforced); use bucket policies"
_VERSIONING = "versioning is not served yet"
_OBJECT_LOCK = "Object Lock is not served yet"
_CONFIGURATION = "this bucket feature is not served yet"
_DIRECTORY = "directory buckets are not served"
_ANNOTATIONS = "object annotations are not served yet"
_OLD = "replaced by a newer operation of the same request"

NOT_IMPLEMENTED = {
    "CreateBucketMetadataConfiguration": _ANOTHER_SERVICE,
    "CreateBucketMetadataTableConfiguration": _ANOTHER_SERVICE,
    "CreateSession": _DIRECTORY,
    "DeleteBucketAnalyticsConfiguration": _ANOTHER_SERVICE,
    "DeleteBucketCors": _CONFIGURATION,
    "DeleteBucketIntelligentTieringConfiguration": _ANOTHER_SERVICE,
    "DeleteBucketInventoryConfiguration": _ANOTHER_SERVICE,
    "DeleteBucketLifecycle": _CONFIGURATION,
    "DeleteBucketMetadataConfiguration": _ANOTHER_SERVICE,
    "DeleteBucketMetadataTableConfiguration": _ANOTHER_SERVICE,
    "DeleteBucketMetricsConfiguration": _ANOTHER_SERVICE,
    "DeleteBucketOwnershipControls": _ACLS,
    "DeleteBucketReplication": _CONFIGURATION,
    "DeleteBucketWebsite": _CONFIGURATION,
    "DeleteObjectAnnotation": _ANNOTATIONS,
    "DeleteObjectTagging": "tags of objects are not served yet",
    "GetBucketAnalyticsConfiguration": _ANOTHER_SERVICE,
    "GetBucketIntelligentTieringConfiguration": _ANOTHER_SERVICE,
    "GetBucketInventoryConfiguration": _ANOTHER_SERVICE,
    "GetBucketLifecycle": _OLD,
    "GetBucketMetadataConfiguration": _ANOTHER_SERVICE,
    "GetBucketMetadataTableConfiguration": _ANOTHER_SERVICE,
    "GetBucketMetricsConfiguration": _ANOTHER_SERVICE,
    "GetBucketNotification": _OLD,
    "GetObjectAnnotation": _ANNOTATIONS,
    "GetObjectLegalHold": _OBJECT_LOCK,
    "GetObjectRetention": _OBJECT_LOCK,
    "GetObjectTorrent": "S3 itself has ended it",
    "ListBucketAnalyticsConfigurations": _ANOTHER_SERVICE,
    "ListBucketIntelligentTieringConfigurations": _ANOTHER_SERVICE,
    "ListBucketInventoryConfigurations": _ANOTHER_SERVICE,
    "ListBucketMetricsConfigurations": _ANOTHER_SERVICE,
    "ListDirectoryBuckets": _DIRECTORY,
    "ListObjectAnnotations": _ANNOTATIONS,
    "ListObjectVersions": _VERSIONING,
    "PutBucketAccelerateConfiguration": "there is no edge network",
    "PutBucketAcl": _ACLS,
    "PutBucketAnalyticsConfiguration": _ANOTHER_SERVICE,
    "PutBucketCors": _CONFIGURATION,
    "PutBucketIntelligentTieringConfiguration": _ANOTHER_SERVICE,
    "PutBucketInventoryConfiguration": _ANOTHER_SERVICE,
    "PutBucketLifecycle": _OLD,
    "PutBucketLifecycleConfiguration": _CONFIGURATION,
    "PutBucketLogging": _CONFIGURATION,
    "PutBucketMetricsConfiguration": _ANOTHER_SERVICE,
    "PutBucketNotification": _OLD,
    "PutBucketNotificationConfiguration": _CONFIGURATION,
    "PutBucketReplication": _CONFIGURATION,
    "PutBucketRequestPayment": "nobody pays",
    "PutBucketVersioning": _VERSIONING,
    "PutBucketWebsite": _CONFIGURATION,
    "PutObjectAcl": _ACLS,
    "PutObjectAnnotation": _ANNOTATIONS,
    "PutObjectLegalHold": _OBJECT_LOCK,
    "PutObjectLockConfiguration": _OBJECT_LOCK,
    "PutObjectRetention": _OBJECT_LOCK,
    "PutObjectTagging": "tags of objects are not served yet",
    "RenameObject": _DIRECTORY,
    "RestoreObject": "all objects are in the STANDARD class",
    "SelectObjectContent": _ANOTHER_SERVICE,
    "UpdateBucketMetadataAnnotationTableConfiguration": _ANOTHER_SERVICE,
    "UpdateBucketMetadataInventoryTableConfiguration": _ANOTHER_SERVICE,
    "UpdateBucketMetadataJournalTableConfiguration": _ANOTHER_SERVICE,
    "UpdateObjectEncryption": "changing the key of a stored object in place is not served yet; copy it onto itself",
    "WriteGetObjectResponse": _ANOTHER_SERVICE,
}
"""Operations of the model that are refused (501), and why."""

"""S3's errors: code, status and message, one row each, as AWS lists them.

https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
"""

from __future__ import annotations

from freehold.errors import AwsError, aws_error

AccessControlListNotSupported = aws_error("AccessControlListNotSupported", 400, "The bucket does not allow ACLs")
InvalidBucketAclWithObjectOwnership = aws_error(
    "InvalidBucketAclWithObjectOwnership",
    400,
    "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
)
AccessDenied = aws_error("AccessDenied", 403, "Access Denied")
AuthorizationHeaderMalformed = aws_error("AuthorizationHeaderMalformed", 400, "The authorization header is malformed.")
BadDigest = aws_error("BadDigest", 400, "The Content-MD5 you specified did not match what we received.")
BucketAlreadyExists = aws_error(
    "BucketAlreadyExists",
    409,
    "The requested bucket name is not available. The bucket namespace is shared by all users of the system."
    " Please select a different name and try again.",
)
BucketAlreadyOwnedByYou = aws_error(
    "BucketAlreadyOwnedByYou",
    409,
    "Your previous request to create the named bucket succeeded and you already own it.",
)
BucketNotEmpty = aws_error("BucketNotEmpty", 409, "The bucket you tried to delete is not empty")
EntityTooLarge = aws_error("EntityTooLarge", 400, "Your proposed upload exceeds the maximum allowed size")
EntityTooSmall = aws_error("EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size")
IllegalLocationConstraint = aws_error("IllegalLocationConstraintException", 400)
IncompleteBody = aws_error("IncompleteBody", 400, "The request body terminated unexpectedly")
InternalError = aws_error("InternalError", 500, "We encountered an internal error. Please try again.")
InvalidArgument = aws_error("InvalidArgument", 400, "Invalid Argument")
InvalidBucketName = aws_error("InvalidBucketName", 400, "The specified bucket is not valid.")
InvalidDigest = aws_error("InvalidDigest", 400, "The Content-MD5 you specified was invalid.")
InvalidLocationConstraint = aws_error(
    "InvalidLocationConstraint", 400, "The specified location-constraint is not valid"
)
InvalidPart = aws_error(
    "InvalidPart",
    400,
    "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified"
    " entity tag may not match the part's entity tag.",
)
InvalidPartNumber = aws_error("InvalidPartNumber", 416, "The requested partnumber is not satisfiable")
InvalidPartOrder = aws_error(
    "InvalidPartOrder",
    400,
    "The list of parts was not in ascending order. Parts must be ordered by part number.",
)
InvalidRange = aws_error("InvalidRange", 416, "The requested range is not satisfiable")
InvalidRequest = aws_error("InvalidRequest", 400)
InvalidTag = aws_error("InvalidTag", 400, "The tag provided was not a valid tag.")
KeyTooLong = aws_error("KeyTooLongError", 400, "Your key is too long")
MalformedPolicy = aws_error("MalformedPolicy", 400, "Policies must be valid JSON and the first byte must be '{'")
MalformedXML = aws_error(
    "MalformedXML",
    400,
    "The XML you provided was not well-formed or did not validate against our published schema",
)
MetadataTooLarge = aws_error("MetadataTooLarge", 400, "Your metadata headers exceed the maximum allowed metadata size")
MethodNotAllowed = aws_error("MethodNotAllowed", 405, "The specified method is not allowed against this resource.")
MissingContentLength = aws_error("MissingContentLength", 411, "You must provide the Content-Length HTTP header.")
NoSuchBucket = aws_error("NoSuchBucket", 404, "The specified bucket does not exist")
NoSuchBucketPolicy = aws_error("NoSuchBucketPolicy", 404, "The bucket policy does not exist")
NoSuchKey = aws_error("NoSuchKey", 404, "The specified key does not exist.")
NoSuchPublicAccessBlockConfiguration = aws_error(
    "NoSuchPublicAccessBlockConfiguration", 404, "The public access block configuration was not found"
)
NoSuchTagSet = aws_error("NoSuchTagSet", 404, "The TagSet does not exist")
NoSuchUpload = aws_error(
    "NoSuchUpload",
    404,
    "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or"
    " completed.",
)
NotModified = aws_error("NotModified", 304, "Not Modified")
OperationAborted = aws_error(
    "OperationAborted",
    409,
    "A conflicting conditional operation is currently in progress against this resource. Please try again.",
)
OwnershipControlsNotFound = aws_error(
    "OwnershipControlsNotFoundError", 404, "The bucket ownership controls were not found"
)
PreconditionFailed = aws_error(
    "PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold"
)
TooManyBuckets = aws_error("TooManyBuckets", 400, "You have attempted to create more buckets than allowed")

NotImplementedHeader = aws_error(
    "NotImplemented", 501, "A header you provided implies functionality that is not implemented."
)

_KMS_ERRORS: dict[str, type[AwsError]] = {}


def from_kms(error: AwsError) -> AwsError:
    """How S3 reports what KMS refused: a denial as AccessDenied with KMS's words, all else as `KMS.<code>` (400)."""
    if error.code in ("AccessDeniedException", "AccessDenied"):
        return AccessDenied(error.message)
    if error.status >= 500:
        return error
    kind = _KMS_ERRORS.get(error.code)
    if kind is None:
        kind = _KMS_ERRORS[error.code] = aws_error("KMS." + error.code, 400)
    return kind(error.message)

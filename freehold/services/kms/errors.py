"""KMS's errors: code, HTTP status and the message used when none is given. A row added is an error added.

The model carries no statuses for KMS; they are those of the API reference.
https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
"""

from __future__ import annotations

from freehold.errors import AccessDeniedException, AwsError, ValidationException, aws_error

AlreadyExists = aws_error("AlreadyExistsException", 400)
Conflict = aws_error("ConflictException", 400)
Disabled = aws_error("DisabledException", 400)
DryRun = aws_error("DryRunOperationException", 412, "The request would have succeeded, but the DryRun option is set.")
ExpiredImportToken = aws_error(
    "ExpiredImportTokenException", 400, "The import token has expired; get a new one with GetParametersForImport."
)
IncorrectKey = aws_error(
    "IncorrectKeyException",
    400,
    "The key ID in the request does not identify a CMK that can perform this operation.",
)
IncorrectKeyMaterial = aws_error("IncorrectKeyMaterialException", 400)
InvalidAliasName = aws_error("InvalidAliasNameException", 400)
InvalidArn = aws_error("InvalidArnException", 400)
InvalidCiphertext = aws_error("InvalidCiphertextException", 400)
"""Without a message, as AWS answers: it says nothing about which part of a ciphertext was wrong."""
InvalidGrantId = aws_error("InvalidGrantIdException", 400)
InvalidGrantToken = aws_error("InvalidGrantTokenException", 400, "The grant token is not valid.")
InvalidImportToken = aws_error(
    "InvalidImportTokenException", 400, "The import token is not valid, or is associated with a different KMS key."
)
InvalidKeyUsage = aws_error("InvalidKeyUsageException", 400)
InvalidMarker = aws_error("InvalidMarkerException", 400, "The marker is not valid.")
InvalidMac = aws_error("KMSInvalidMacException", 400)
InvalidSignature = aws_error("KMSInvalidSignatureException", 400)
InvalidState = aws_error("KMSInvalidStateException", 400)
KmsInternal = aws_error("KMSInternalException", 500, "The key's material cannot be read.")
LimitExceeded = aws_error("LimitExceededException", 400)
MalformedPolicyDocument = aws_error("MalformedPolicyDocumentException", 400)
NotFound = aws_error("NotFoundException", 400)
Tag = aws_error("TagException", 400)
UnsupportedOperation = aws_error("UnsupportedOperationException", 400)

__all__ = [
    "AccessDeniedException",
    "AlreadyExists",
    "AwsError",
    "Conflict",
    "Disabled",
    "DryRun",
    "ExpiredImportToken",
    "IncorrectKey",
    "IncorrectKeyMaterial",
    "InvalidAliasName",
    "InvalidArn",
    "InvalidCiphertext",
    "InvalidGrantId",
    "InvalidGrantToken",
    "InvalidImportToken",
    "InvalidKeyUsage",
    "InvalidMac",
    "InvalidMarker",
    "InvalidSignature",
    "InvalidState",
    "KmsInternal",
    "LimitExceeded",
    "MalformedPolicyDocument",
    "NotFound",
    "Tag",
    "UnsupportedOperation",
    "ValidationException",
    "key_not_found",
    "not_in_this_account",
    "not_in_this_region",
]


def key_not_found(arn: str) -> AwsError:
    return NotFound(f"Key '{arn}' does not exist")


def not_in_this_account(principal_arn: str, action: str) -> AwsError:
    """What a caller hears of another account's key that doesn't exist, or may not be asked about: the same."""
    return AccessDeniedException(
        f"User: {principal_arn} is not authorized to perform: {action} on this resource because the resource does not "
        "exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies "
        "access"
    )


def not_in_this_region(principal_arn: str, action: str) -> AwsError:
    """What a caller hears of a ciphertext whose key is in another Region."""
    return AccessDeniedException(
        f"User: {principal_arn} is not authorized to perform: {action} on the resource associated with this ciphertext "
        "because the resource does not exist in this Region, no resource-based policies allow access, or a "
        "resource-based policy explicitly denies access"
    )
